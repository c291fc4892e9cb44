// JSON Patches (RFC 6902) that leave the value they apply to as it is.
//
// What a patch does not reach is shared between the old value and the new one: it keeps its identity, so that whoever
// compares with `===`, as React's `memo` does, sees what has changed. Of what it reaches each object is copied once.

/** The operations that a Weir server sends. */
export type Operation =
  | { op: "add" | "replace"; path: string; value: unknown }
  | { op: "remove"; path: string }
  | { op: "move"; from: string; path: string };

/** A patch that does not fit the value: nothing was applied. */
export class PatchMismatch extends Error {
  override name = "PatchMismatch";
}

type Container = Record<string, unknown> | unknown[];

/** The value with all operations applied, in order. Throws a [`PatchMismatch`] when one of them does not fit. */
export function applyPatch<T>(value: T, patch: readonly Operation[]): T {
  const root: { value: unknown } = { value };
  /** Those made for this patch: nobody else has them. */
  const own = new Set<object>([root]);

  /** The container of a path and the member in it, with everything on the way made ours. */
  const reach = (operation: Operation, path: string): [Container, string] => {
    const steps = stepsOf(operation, path);
    const last = steps.pop() as string;
    let at: Container = root;
    for (const step of steps) {
      const key = keyOf(operation, at, step, false);
      let child = valueAt(at, key);
      if (typeof child !== "object" || child === null) throw mismatch(operation);
      if (!own.has(child)) {
        child = Array.isArray(child) ? child.slice() : { ...child };
        own.add(child as object);
        set(at, key, child);
      }
      at = child as Container;
    }
    return [at, last];
  };

  const add = (operation: Operation, path: string, added: unknown) => {
    const [at, step] = reach(operation, path);
    if (Array.isArray(at)) at.splice(Number(keyOf(operation, at, step, true)), 0, added);
    else set(at, step, added);
  };
  const remove = (operation: Operation, path: string): unknown => {
    const [at, step] = reach(operation, path);
    const key = keyOf(operation, at, step, false);
    const removed = valueAt(at, key);
    if (Array.isArray(at)) at.splice(Number(key), 1);
    else delete at[key];
    return removed;
  };

  for (const operation of patch) {
    switch (operation.op) {
      case "add":
        add(operation, operation.path, operation.value);
        break;
      case "remove":
        remove(operation, operation.path);
        break;
      case "replace": {
        const [at, step] = reach(operation, operation.path);
        set(at, keyOf(operation, at, step, false), operation.value);
        break;
      }
      case "move":
        add(operation, operation.path, remove(operation, operation.from));
        break;
      default:
        throw mismatch(operation);
    }
  }
  return root.value as T;
}

/** The members of a JSON Pointer (RFC 6901), below `{ value }`. */
function stepsOf(operation: Operation, path: unknown): string[] {
  if (typeof path !== "string" || (path !== "" && !path.startsWith("/"))) throw mismatch(operation);
  return `/value${path}`.slice(1).split("/").map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** The member of a container that a step names: one that is there, or, to add to a list, the place behind its end too. */
function keyOf(operation: Operation, at: Container, step: string, adding: boolean): string {
  if (!Array.isArray(at)) {
    if (!Object.hasOwn(at, step)) throw mismatch(operation);
    return step;
  }
  if (adding && step === "-") return String(at.length);
  const limit = adding ? at.length : at.length - 1;
  if (!/^(0|[1-9][0-9]*)$/.test(step) || Number(step) > limit) throw mismatch(operation);
  return step;
}

function valueAt(at: Container, key: string): unknown {
  return (at as Record<string, unknown>)[key];
}

/** Sets a member, also one that is called `__proto__`. */
function set(at: Container, key: string, value: unknown) {
  if (key === "__proto__") Object.defineProperty(at, key, { value, writable: true, enumerable: true, configurable: true });
  else (at as Record<string, unknown>)[key] = value;
}

function mismatch(operation: Operation): PatchMismatch {
  return new PatchMismatch(`the patch does not fit what was sent before: ${JSON.stringify(operation)}`);
}
