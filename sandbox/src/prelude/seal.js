// Takes away what scripts must not reach and freezes what they share, in two steps.
//
// `harden` runs when the snapshot is made, since there is a lot to freeze, and isolates have to start quickly: it takes the
// methods. `seal` runs when an isolate has started and before the first line of the app: it removes what the engine itself
// wanted until then, and freezes the rest. V8 adds to constructors, prototypes and namespaces when it starts from a
// snapshot, and does not survive to find them frozen.

import { allowShadowing, FREEZE, freezeReachable, PASS } from "ext:weir/freeze.js";

const { apply, defineProperty, deleteProperty, getOwnPropertyDescriptor, getPrototypeOf, ownKeys } = Reflect;
const { freeze, hasOwn } = Object;

/** Not for scripts: engine internals, code from strings, shared memory, real clocks, garbage collection as a clock. */
const REMOVED = [
  "Deno", "__bootstrap", "__weir", "eval", "Function", "WebAssembly", "SharedArrayBuffer", "Atomics", "WeakRef",
  "FinalizationRegistry", "queueMicrotask", "escape", "unescape", "performance", "setTimeout", "setInterval",
  "setImmediate", "clearTimeout", "clearInterval", "clearImmediate", "gc",
];

const functionPrototype = getPrototypeOf(() => {});
const asyncFunction = async () => {};
const generatorFunction = function* () {};
const asyncGeneratorFunction = async function* () {};

/** Removes the globals above. */
function removeGlobals() {
  // Deleting the wrapper of queueMicrotask reveals the native one: hence the loop.
  for (const name of REMOVED) while (hasOwn(globalThis, name)) delete globalThis[name];
  deleteProperty(getPrototypeOf(globalThis), "constructor");
}

/** Removes what built-ins would keep of one call, tell of the engine, or make of text. */
function mendBuiltIns() {
  deleteProperty(Error, "captureStackTrace");
  removeLegacyPatterns();
  for (const literal of [removeGlobals, asyncFunction, generatorFunction, asyncGeneratorFunction]) {
    refuseConstructor(getPrototypeOf(literal));
  }
  const errors = [
    Error, AggregateError, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError,
  ];
  for (const error of errors) allowShadowing(error.prototype);
  allowShadowing(Object.prototype);
  freezeBound(Intl.Collator.prototype, "compare");
  freezeBound(Intl.NumberFormat.prototype, "format");
}

/** `RegExp.$1` and the like hold the last match, whoever made it; `compile` changes a pattern in place. */
function removeLegacyPatterns() {
  for (const key of ownKeys(RegExp)) {
    const property = getOwnPropertyDescriptor(RegExp, key);
    if (typeof key === "string" && "get" in property) deleteProperty(RegExp, key);
  }
  deleteProperty(RegExp.prototype, "compile");
}

/** What makes functions of text can be reached from any function: something that throws takes its place. */
function refuseConstructor(prototype) {
  const refusing = function () {
    throw new EvalError("code cannot be made of text here");
  };
  defineProperty(refusing, "name", { value: prototype.constructor.name });
  defineProperty(refusing, "prototype", { value: prototype, writable: false });
  defineProperty(prototype, "constructor", { value: refusing, writable: false, enumerable: false, configurable: false });
}

/** Some built-ins make a function on demand and return it again each time: scripts could hang things on it. */
function freezeBound(prototype, name) {
  const { get } = getOwnPropertyDescriptor(prototype, name);
  const getter = {
    get [name]() {
      return freeze(apply(get, this, []));
    },
  };
  defineProperty(prototype, name, { get: getOwnPropertyDescriptor(getter, name).get });
}

/** Judges everything that can be reached from the global object, from syntax and from the API, and is not frozen yet. */
function freezeIntrinsics(api, judge) {
  const segments = new Intl.Segmenter("en").segment("");
  const roots = [
    asyncFunction, generatorFunction, asyncGeneratorFunction, generatorFunction(), asyncGeneratorFunction(),
    [][Symbol.iterator](), ""[Symbol.iterator](), new Map().entries(), new Set().values(), /x/[Symbol.matchAll](""),
    [].values().map((x) => x), Iterator.from({ next() {} }), new Error(""),
    // These two hold what no snapshot can.
    getPrototypeOf(segments), getPrototypeOf(segments[Symbol.iterator]()),
    getPrototypeOf(globalThis), api,
  ];
  for (const key of ownKeys(globalThis).filter((key) => !REMOVED.includes(key))) {
    const property = getOwnPropertyDescriptor(globalThis, key);
    roots.push(property.value, property.get, property.set);
  }
  freezeReachable(roots.filter((root) => root !== globalThis), judge);
}

/** A function with a name, a length, and nothing that leads on. */
function isPlainMethod(value) {
  return typeof value === "function" && getPrototypeOf(value) === functionPrototype && ownKeys(value).length === 2;
}

/** The first step. */
export function harden(api) {
  mendBuiltIns();
  freezeIntrinsics(api, (value) => (isPlainMethod(value) ? FREEZE : PASS));
}

/** The second step. */
export function seal(api) {
  removeGlobals();
  // Not there yet when the snapshot is made, no more than Temporal.
  allowShadowing(SuppressedError.prototype);
  freezeIntrinsics(api, () => FREEZE);
  freeze(globalThis);
}
