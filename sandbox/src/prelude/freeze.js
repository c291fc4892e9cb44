// Freezes whole graphs of objects, without running any of their getters.

const { defineProperty, getOwnPropertyDescriptor, getPrototypeOf, ownKeys, preventExtensions } = Reflect;
const { freeze } = Object;

const isObject = (value) => (typeof value === "object" && value !== null) || typeof value === "function";

/** All that was met so far, in whichever graph. */
const met = new Set();

/**
 * What becomes of an object: frozen with all that hangs from it, the same but for one own property, left alone, or left for
 * another time while what hangs from it is judged.
 */
export const FREEZE = { except: null };
export const LEAVE = { except: null };
export const PASS = { except: null };

/**
 * Freezes what can be reached from values through own properties, accessors and prototypes.
 *
 * `judge(value, key, path)` says what becomes of each object; `key` is the one that led to it, and `path()` all of them,
 * from the index of its root on.
 */
export function freezeReachable(roots, judge) {
  const values = [];
  const parents = [];
  const keys = [];
  const passed = [];
  const meet = (value, parent, key) => {
    if (!isObject(value) || met.has(value)) return;
    met.add(value);
    values.push(value);
    parents.push(parent);
    keys.push(key);
  };
  const pathTo = (at) => {
    const path = [];
    for (let here = at; here >= 0; here = parents[here]) path.push(keys[here]);
    return path.reverse();
  };
  for (let root = 0; root < roots.length; root++) meet(roots[root], -1, root);
  for (let at = 0; at < values.length; at++) {
    const value = values[at];
    const verdict = judge(value, keys[at], () => pathTo(at));
    if (verdict === LEAVE) continue;
    meet(getPrototypeOf(value), at, "__proto__");
    for (const key of ownKeys(value)) {
      const property = getOwnPropertyDescriptor(value, key);
      if ("value" in property) {
        meet(property.value, at, key);
      } else {
        meet(property.get, at, key);
        meet(property.set, at, key);
      }
      if (verdict.except !== null && key !== verdict.except) defineProperty(value, key, { writable: false, configurable: false });
    }
    if (verdict === PASS) passed.push(value);
    else if (verdict.except === null) freeze(value);
    else preventExtensions(value);
  }
  for (const value of passed) met.delete(value);
}

/** Nothing is going to be frozen any more. */
export function forgetFrozen() {
  met.clear();
}

/**
 * Assigning to an inherited property that is frozen throws, though `error.name = "X"` is ordinary code. For a prototype
 * that ordinary code shadows in this way, each property becomes an accessor whose setter defines an own one.
 */
export function allowShadowing(prototype) {
  for (const key of ownKeys(prototype)) {
    const property = getOwnPropertyDescriptor(prototype, key);
    if (!("value" in property) || !property.configurable) continue;
    const { value } = property;
    defineProperty(prototype, key, {
      get: () => value,
      set(shadow) {
        if (this === prototype) throw new TypeError(`${String(key)} of a prototype that all calls share cannot be changed`);
        defineProperty(this, key, { value: shadow, writable: true, enumerable: true, configurable: true });
      },
      enumerable: property.enumerable,
      configurable: false,
    });
  }
}
