// A new value with all parts of the old one that have not changed, so that these keep their identity.
//
// For values that come whole: the first one after a cut, mostly, which is much like the last one before it.

/** Something equal to `next` that is made of `previous` where both are equal. Leaves both as they are. */
export function share<T>(previous: unknown, next: T): T {
  return shared(previous, next) as T;
}

function shared(previous: unknown, next: unknown): unknown {
  if (previous === next || typeof previous !== "object" || typeof next !== "object" || previous === null || next === null) {
    return next;
  }
  if (Array.isArray(previous) && Array.isArray(next)) return sharedList(previous, next);
  if (Array.isArray(previous) || Array.isArray(next)) return next;
  return sharedObject(previous as Record<string, unknown>, next as Record<string, unknown>);
}

function sharedObject(previous: Record<string, unknown>, next: Record<string, unknown>): unknown {
  const keys = Object.keys(next);
  let same = keys.length === Object.keys(previous).length;
  const entries = keys.map((key): [string, unknown] => {
    const before = Object.hasOwn(previous, key) ? previous[key] : undefined;
    const value = shared(before, next[key]);
    same &&= value === before && Object.hasOwn(previous, key);
    return [key, value];
  });
  return same ? previous : Object.fromEntries(entries);
}

/** Elements that have an `id` are found again by it, others by their place. */
function sharedList(previous: readonly unknown[], next: readonly unknown[]): unknown {
  const known = new Map<unknown, unknown>();
  for (const element of previous) {
    const id = idOf(element);
    if (id !== undefined) known.set(id, element);
  }
  let same = previous.length === next.length;
  const made = next.map((element, place) => {
    const id = idOf(element);
    const value = shared(id === undefined ? previous[place] : known.get(id), element);
    same &&= value === previous[place];
    return value;
  });
  return same ? previous : made;
}

function idOf(element: unknown): unknown {
  return typeof element === "object" && element !== null ? (element as { id?: unknown }).id : undefined;
}
