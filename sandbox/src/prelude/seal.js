// Takes away what scripts must not reach and freezes what they share.
//
// `removeGlobals` and `freezeIntrinsics` run when an isolate has started and before the first line of the app.

const { apply, getOwnPropertyDescriptor, getPrototypeOf, ownKeys, defineProperty } = Reflect;
const { freeze, hasOwn, isFrozen } = Object;

/** Not for scripts: engine internals, code from strings, shared memory, real clocks, garbage collection as a clock. */
const REMOVED = [
  "Deno", "__bootstrap", "__weir", "eval", "Function", "WebAssembly", "SharedArrayBuffer", "Atomics", "WeakRef",
  "FinalizationRegistry", "queueMicrotask", "escape", "unescape", "performance", "setTimeout", "setInterval",
  "setImmediate", "clearTimeout", "clearInterval", "clearImmediate", "gc",
];

/** Removes the globals above. */
export function removeGlobals() {
  // Deleting the wrapper of queueMicrotask reveals the native one: hence the loop.
  for (const name of REMOVED) while (hasOwn(globalThis, name)) delete globalThis[name];
}

/**
 * Assigning to an inherited property that is frozen throws, though `error.name = "X"` is ordinary code. For the
 * prototypes that ordinary code shadows in this way, each property becomes an accessor whose setter defines an own one.
 */
function allowShadowing(prototype) {
  for (const key of ownKeys(prototype)) {
    const property = getOwnPropertyDescriptor(prototype, key);
    if (!("value" in property) || !property.configurable) continue;
    const { value } = property;
    defineProperty(prototype, key, {
      get: () => value,
      set(shadow) {
        if (this === prototype) throw new TypeError(`${String(key)} of a built-in cannot be changed`);
        defineProperty(this, key, { value: shadow, writable: true, enumerable: true, configurable: true });
      },
      enumerable: property.enumerable,
      configurable: false,
    });
  }
}

/** Freezes everything that can be reached from the global object and from syntax, then the global object itself. */
export function freezeIntrinsics() {
  const async = async () => {};
  const generator = function* () {};
  const asyncGenerator = async function* () {};
  const errors = [Error, AggregateError, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError];
  for (const error of errors) allowShadowing(error.prototype);
  allowShadowing(Object.prototype);
  const roots = [
    globalThis, async, generator, asyncGenerator, generator(), asyncGenerator(), [][Symbol.iterator](),
    ""[Symbol.iterator](), new Map().entries(), new Set().values(), /x/[Symbol.matchAll](""),
  ];
  const seen = new Set();
  const pending = roots.filter((root) => root !== globalThis);
  for (const key of ownKeys(globalThis)) {
    const property = getOwnPropertyDescriptor(globalThis, key);
    if ("value" in property) pending.push(property.value);
  }
  while (pending.length > 0) {
    const value = pending.pop();
    const isObject = (typeof value === "object" && value !== null) || typeof value === "function";
    if (!isObject || value === globalThis || seen.has(value)) continue;
    seen.add(value);
    pending.push(getPrototypeOf(value));
    for (const key of ownKeys(value)) {
      const property = getOwnPropertyDescriptor(value, key);
      pending.push(property.value, property.get, property.set);
    }
  }
  for (const value of seen) if (!isFrozen(value)) freeze(value);
  freeze(globalThis);
}
