// Ways out of the sandbox: code from strings, globals that are not granted, what stacks and constructors lead to.

import { action, call, caller, fail, query, type Int } from "weir";
import { things } from "../collections";

/** The names of the ways that gave something. */
function open(ways: Record<string, () => unknown>): string {
  const found = Object.keys(ways).filter((name) => {
    try {
      return ways[name]!() !== undefined;
    } catch {
      return false;
    }
  });
  return found.length === 0 ? "nothing" : found.join(", ");
}

const CODE = "return 'escaped'";
const plain = (() => 1) as any;
const generator = function* () {} as any;
const asynchronous = (async () => {}) as any;
const both = async function* () {} as any;

/** @expects value "nothing" */
export const runsTextByConstructor = query((): string => open({
  plain: () => plain.constructor(CODE)(),
  "new plain": () => new plain.constructor(CODE)(),
  generator: () => generator.constructor(CODE)().next(),
  async: () => asynchronous.constructor(CODE)(),
  both: () => both.constructor(CODE)().next(),
  reflect: () => Reflect.construct(plain.constructor, [CODE])(),
  apply: () => Reflect.apply(plain.constructor, null, [CODE])(),
  prototype: () => Object.getPrototypeOf(plain).constructor(CODE)(),
  class: () => (class {} as any).constructor(CODE)(),
  method: () => (things.get as any).constructor(CODE)(),
  builtin: () => ([].map as any).constructor(CODE)(),
  bound: () => plain.bind(null).constructor(CODE)(),
  proxy: () => (new Proxy(plain, {}) as any).constructor(CODE)(),
  api: () => (fail as any).constructor(CODE)(),
  getter: () => (Object.getOwnPropertyDescriptor(Map.prototype, "size")!.get as any).constructor(CODE)(),
}));

/** @expects value "nothing" */
export const runsTextBySubclass = query((): string => open({
  plain: () => new (class extends plain.constructor {} as any)(CODE)(),
  generator: () => new (class extends generator.constructor {} as any)(CODE)().next(),
  async: () => new (class extends asynchronous.constructor {} as any)(CODE)(),
  "new target": () => Reflect.construct(plain.constructor, [CODE], Object)(),
  species: () => Reflect.construct(plain.constructor, [CODE], class {})(),
}));

/** @expects value "nothing" */
export const runsTextByName = query((): string => open({
  eval: () => (globalThis as any).eval("'escaped'"),
  indirect: () => (0, (globalThis as any).eval)("'escaped'"),
  Function: () => new (globalThis as any).Function(CODE)(),
  timer: () => (globalThis as any).setTimeout(CODE),
  realm: () => new (globalThis as any).ShadowRealm().evaluate("'escaped'"),
  worker: () => new (globalThis as any).Worker("data:text/javascript,1"),
  execScript: () => (globalThis as any).execScript("1"),
  importScripts: () => (globalThis as any).importScripts("data:text/javascript,1"),
}));

/** @expects value "nothing" */
export const looksForGlobals = query((): string => open(Object.fromEntries([
  "Deno", "__bootstrap", "__weir", "process", "require", "module", "exports", "Bun", "window", "self", "document",
  "XMLHttpRequest", "WebSocket", "EventSource", "WebAssembly", "SharedArrayBuffer", "Atomics", "WeakRef", "FinalizationRegistry",
  "queueMicrotask", "setTimeout", "setInterval", "setImmediate", "clearTimeout", "performance", "gc", "d8", "print", "read", "load",
  "quit", "navigator", "location", "localStorage", "indexedDB", "crypto", "ShadowRealm", "Worker", "postMessage", "MessageChannel",
  "structuredClone", "reportError", "eval", "Function", "escape", "unescape",
].map((name) => [name, () => (globalThis as any)[name]]))));

/** @expects value "nothing" */
export const looksForOps = query((): string => open({
  core: () => (globalThis as any).Deno?.core,
  ops: () => Object.getOwnPropertySymbols(globalThis).map((symbol) => (globalThis as any)[symbol]?.ops).find(Boolean),
  prototype: () => (Object.getPrototypeOf(globalThis) as any).core ?? (Object.getPrototypeOf(globalThis) as any).Deno,
  constructor: () => Reflect.ownKeys(new (globalThis as any).constructor()).find((key) => key !== "constructor"),
  api: () => (fail as any).host ?? (call as any).host ?? (caller as any).host,
}));

/** @expects value "nothing" */
export const looksForTheGlobalThis = query((): string => open({
  function: () => (function (this: unknown) {
    return this;
  })(),
  callback: () => [1].map(function (this: unknown) {
    return this;
  })[0],
  getter: () => Reflect.get({
    get member(): unknown {
      return this === globalThis ? globalThis : undefined;
    },
  }, "member", globalThis) === globalThis ? undefined : 1,
}));

/** @expects value "nothing" */
export const walksUpTheStack = query((): string => open({
  caller: () => plain.caller,
  arguments: () => plain.arguments,
  callee: () => (function () {
    return (arguments as any).callee;
  })(),
  query: () => (looksForOps as any).caller,
  builtin: () => ([].map as any).caller ?? undefined,
}));

/** @expects value "nothing" */
export const makesNamelessCollections = query((): string => open({
  constructor: () => new (things as any).constructor().count(),
  subclass: () => new (class extends (things as any).constructor {} as any)().all(),
  prototype: () => Object.getPrototypeOf(things).get.call({}, "x"),
  create: () => Object.create(things).get("x"),
  proxy: () => (new Proxy(things, {}) as any).get("x"),
}));

/** @expects value "nothing" */
export const compilesWebAssembly = query((): string => open({
  global: () => (globalThis as any).WebAssembly,
  prototype: () => Reflect.ownKeys(globalThis).find((key) => String(key).includes("Wasm") || String(key).includes("WebAssembly")),
}));

/** Real time, found by other ways than the clock.
 * @expects value "nothing" */
export const looksForClocks = query((): string => {
  const start = Date.now();
  for (let i = 0; i < 1_000_000; i += 1);
  const { Now } = (globalThis as any).Temporal;
  return open({
    date: () => (Date.now() === start ? undefined : 1),
    construct: () => (new Date().getTime() === start ? undefined : 1),
    subclass: () => (new (class extends Date {})().getTime() === start ? undefined : 1),
    native: () => (new (Date.prototype.constructor as any)().getTime() === start ? undefined : 1),
    reflect: () => (Reflect.construct(Date, []).getTime() === start ? undefined : 1),
    format: () => (new Intl.DateTimeFormat("en", { timeStyle: "full" }).format() === new Intl.DateTimeFormat("en", { timeStyle: "full" }).format(start) ? undefined : 1),
    temporal: () => (Now.instant().epochMilliseconds === start ? undefined : 1),
    zoned: () => (Now.zonedDateTimeISO().epochMilliseconds === start ? undefined : 1),
    zone: () => (Now.timeZoneId() === "UTC" ? undefined : 1),
    performance: () => (globalThis as any).performance?.now(),
    file: () => ((globalThis as any).File ? 1 : undefined),
  });
});

/** Nothing but the prepared calls of the host can be asked.
 * @expects value "nothing" */
export const asksTheHostWithoutACollection = query((): string => open({
  unexported: () => (things as any)["#name"],
  then: () => (things as any).then,
  json: () => (things as any).toJSON,
}));

const sees = (): string => new Error("where am I").stack ?? "";

/** @expects value "clean" */
export const readsItsStack = query((): string => {
  const stack = sees();
  return /\/(root|home|work|usr|tmp)\/|\.rs|node_modules|\.cargo/.test(stack) ? stack : "clean";
});

/** @expects value "nothing" */
export const preparesStackTraces = query((): string => {
  let frames: any;
  const prepare = (_: unknown, sites: unknown) => (frames = sites);
  const ways = open({
    assign: () => ((Error as any).prepareStackTrace = prepare, new Error("x").stack, frames),
    define: () => (Object.defineProperty(Error, "prepareStackTrace", { value: prepare }), new Error("x").stack, frames),
    subclass: () => (new (class Own extends Error {
      static prepareStackTrace = prepare;
    })("x").stack, frames),
    capture: () => {
      const object = { prepareStackTrace: prepare } as any;
      (Error as any).captureStackTrace?.(object);
      return object.stack, frames;
    },
    type: () => ((TypeError as any).prepareStackTrace = prepare, new TypeError("x").stack, frames),
  });
  return ways;
});

/** @expects FUNCTION_FAILED TypeError */
export const liftsTheLimitOfStacks = query((): string => {
  (Error as any).stackTraceLimit = 1_000_000;
  return "changed";
});

/** @expects value "own"
 * @expects FUNCTION_FAILED TypeError */
export const changesTheStackOfAnError = query((): string => {
  const error = new Error("m");
  error.stack = "own";
  return error.stack;
});

/** @expects value "nothing" */
export const findsFunctionsInCallSites = action(async (): Promise<string> => {
  await null;
  const object = {} as any;
  (Error as any).captureStackTrace?.(object, sees);
  return open({ sites: () => (Array.isArray(object.stack) ? object.stack : undefined) });
});

/** What it passes as text comes back as text.
 * @args {"code": "${globalThis.constructor.constructor('return 1')()}"}
 * @expects value 51 */
export const takesCode = query((args: { code: string }): Int => args.code.length);

/** @expects FUNCTION_FAILED */
export const runsAnImport = query((): string => plain.constructor("return import('node:fs')")());

/** @expects FUNCTION_FAILED */
export const runsADirectEval = query((): string => (globalThis as any).eval("import.meta.url"));
