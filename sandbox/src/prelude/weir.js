// The API that apps import as "weir". Runs once, when the startup snapshot is made.
//
// Scripts get `api`; the host keeps `host`. Whatever a script does to values it can reach, neither `host` nor the
// captured built-ins below change under it.

import { op_host, op_host_start } from "ext:core/ops";
import { beginClock, fixedNow } from "ext:weir/determinism.js";

const { parse, stringify } = JSON;
const { isFinite: isFiniteNumber, isInteger } = Number;
const { get: reflectGet, has: reflectHas, ownKeys: reflectOwnKeys, getOwnPropertyDescriptor } = Reflect;

// ---- the call at hand ----

/** @type {{ kind: string, depth: number } | null} Null while modules load. */
let current = null;
let callDepthMax = 0;
let callerNow = null;

function ask(request) {
  mustBeInside();
  return parse(op_host(stringify(request, refuseUnwritable)));
}

function mustBeInside() {
  if (current === null) throw new Error("data can be read and written only while a function runs, not while a module loads or after the call");
}

function refuseUnwritable(key, value) {
  if (typeof value === "number" && !isFiniteNumber(value)) throw new TypeError(`${key || "value"} is ${value}, which JSON cannot hold`);
  if (typeof value === "bigint") throw new TypeError(`${key || "value"} is a bigint, which JSON cannot hold; use a number or a string`);
  return value;
}

function mustWrite(what) {
  if (current !== null && current.kind !== "procedure") {
    throw new Error(`${what} writes, which only a procedure may; this is ${article(current.kind)}`);
  }
}

function article(kind) {
  return kind === "action" ? "an action" : `a ${kind}`;
}

// ---- collections ----

/** Which collection an object is; set when the app's exports are bound. */
const names = new WeakMap();

function nameOf(collection) {
  mustBeInside();
  const name = names.get(collection);
  if (name === undefined) throw new Error("this collection is not exported, so it has no name: export it from its module");
  return name;
}

function checkOperand(method, field, value) {
  if (value === undefined) throw new TypeError(`${method}(${stringify(field)}, undefined): pass a value, or null for absent ones`);
}

function checkCount(method, n) {
  if (!isInteger(n) || n < 0) throw new TypeError(`${method}(${n}): pass a whole number, 0 or more`);
}

const EMPTY = Object.freeze({ equal: Object.freeze([]), range: null, order: null });

/** What narrows and what reads; the same on collections and on rows. `this` is unused: `plan` is bound. */
function narrowing(name, plan) {
  const methods = {
    __proto__: null,
    where(field, value) {
      checkOperand("where", field, value);
      return rows(name, { ...plan, equal: [...plan.equal, [field, value]] });
    },
    range(field, bounds) {
      if (plan.range !== null) throw new Error("range stands twice: give both bounds in one");
      const { gt, gte, lt, lte, ...rest } = bounds ?? {};
      const unknown = reflectOwnKeys(rest)[0];
      if (unknown !== undefined) throw new TypeError(`range bounds are gt, gte, lt and lte, not ${String(unknown)}`);
      return rows(name, { ...plan, range: { field, gt, gte, lt, lte } });
    },
    orderBy(field, direction = "asc") {
      if (direction !== "asc" && direction !== "desc") throw new TypeError(`orderBy(${stringify(field)}, ${stringify(direction)}): say "asc" or "desc"`);
      if (plan.order !== null) throw new Error("orderBy stands twice: declare a compound index and order by its first free field");
      return rows(name, { ...plan, order: [field, direction] });
    },
    take(n) {
      checkCount("take", n);
      return ask({ rows: { collection: name(), ...plan, limit: n } });
    },
    all() {
      return ask({ rows: { collection: name(), ...plan, limit: null } });
    },
    first() {
      return methods.take(1)[0] ?? null;
    },
    count() {
      return ask({ count: { collection: name(), ...plan } });
    },
    page({ first = 20, after = null } = {}) {
      checkCount("page", first);
      return ask({ page: { collection: name(), ...plan, first, after: after ?? null } });
    },
  };
  return methods;
}

/** Lazy rows: an array that is read from the store when it is first looked into. */
function rows(name, plan) {
  const methods = narrowing(name, plan);
  methods.toJSON = () => load();
  methods.then = undefined; // Not a promise: asking must not read.
  let loaded = false;
  const target = [];
  const load = () => {
    if (!loaded) {
      loaded = true;
      for (const row of methods.all()) target[target.length] = row;
    }
    return target;
  };
  return new Proxy(target, {
    get: (_, key) => (typeof key === "string" && key in methods ? methods[key] : reflectGet(load(), key)),
    has: (_, key) => key in methods || reflectHas(load(), key),
    ownKeys: () => reflectOwnKeys(load()),
    getOwnPropertyDescriptor: (_, key) => getOwnPropertyDescriptor(load(), key),
    set: () => {
      throw new TypeError("rows are read-only: take a copy with .all()");
    },
    deleteProperty: () => {
      throw new TypeError("rows are read-only: take a copy with .all()");
    },
    defineProperty: () => {
      throw new TypeError("rows are read-only: take a copy with .all()");
    },
  });
}

class Collection {
  #name = () => nameOf(this);

  constructor() {
    const methods = narrowing(this.#name, EMPTY);
    for (const key of reflectOwnKeys(methods)) this[key] = methods[key];
    Object.freeze(this);
  }

  get(id) {
    checkId("get", id);
    return ask({ get: { collection: this.#name(), id } });
  }

  insert(value) {
    mustWrite("insert");
    return ask({ insert: { collection: this.#name(), value } });
  }

  replace(id, value) {
    mustWrite("replace");
    checkId("replace", id);
    return ask({ replace: { collection: this.#name(), id, value } });
  }

  patch(id, part) {
    mustWrite("patch");
    checkId("patch", id);
    // An undefined member removes an optional one; JSON would drop it.
    const removed = reflectOwnKeys(part ?? {}).filter((key) => part[key] === undefined);
    return ask({ patch: { collection: this.#name(), id, part, removed } });
  }

  delete(id) {
    mustWrite("delete");
    checkId("delete", id);
    return ask({ delete: { collection: this.#name(), id } });
  }
}

function checkId(method, id) {
  if (typeof id !== "string") throw new TypeError(`${method}(${id === undefined ? "undefined" : stringify(id)}): pass the id of a document, a string`);
}

function collection() {
  return new Collection();
}

// ---- functions ----

/** Callable to its kind and body. */
const bodies = new WeakMap();
/** Callable to exported name. */
const functionNames = new WeakMap();

const MAY_CALL = {
  __proto__: null,
  query: ["query", "view"],
  view: ["query", "view"],
  procedure: ["query", "view", "procedure"],
  action: ["action"],
};

function define(kind, body) {
  if (typeof body !== "function") throw new TypeError(`${kind}(...) takes a function`);
  const callable = (args = {}) => enter(callable, args);
  bodies.set(callable, { kind, body });
  return callable;
}

/** Calls one function from inside another, in the same transaction. */
function enter(callable, args) {
  const { kind, body } = bodies.get(callable);
  if (current === null) throw new Error("a function can be called only inside another, not while a module loads");
  const outer = current;
  if (!MAY_CALL[outer.kind].includes(kind)) {
    throw new Error(
      outer.kind === "action"
        ? `an action calls ${article(kind)} with await call(${functionNames.get(callable) ?? "fn"}, args)`
        : `${article(outer.kind)} cannot call ${article(kind)}`,
    );
  }
  if (outer.depth >= callDepthMax) throw new RangeError(`calls nest more than ${callDepthMax} deep`);
  if (kind === "action") return body(args);
  current = { kind, depth: outer.depth + 1 };
  try {
    return body(args);
  } finally {
    current = outer;
  }
}

function call(callable, args = {}) {
  const target = bodies.get(callable);
  if (target === undefined) throw new TypeError("call(fn, args) takes a function of the app");
  if (current?.kind !== "action" || target.kind === "action") return enter(callable, args);
  const name = functionNames.get(callable);
  if (name === undefined) throw new Error("call(fn, args) takes an exported function");
  return op_host_start(stringify({ call: { function: name, args } }, refuseUnwritable)).then(parse);
}

const query = (body) => define("query", body);
const procedure = (body) => define("procedure", body);
const action = (body) => define("action", body);
const view = (body) => define("view", body);

view.groupBy = (source, keyOf, aggregates) => define("view", () => groupBy(source, keyOf, aggregates));

const sum = (of) => ({ start: 0, add: (total, row) => total + of(row), end: (total) => total });
const count = () => ({ start: 0, add: (n) => n + 1, end: (n) => n });
const avg = (of) => ({
  start: { total: 0, n: 0 },
  add: ({ total, n }, row) => ({ total: total + of(row), n: n + 1 }),
  end: ({ total, n }) => total / n,
});
const extreme = (better) => (of) => ({
  start: null,
  add: (best, row) => {
    const value = of(row);
    return value !== null && value !== undefined && (best === null || better(value, best)) ? value : best;
  },
  end: (best) => best,
});
const min = extreme((a, b) => a < b);
const max = extreme((a, b) => a > b);

/** Every document, page by page: a collection may be larger than the heap. */
function* documentsOf(source) {
  for (let after = null; ; ) {
    const { edges, pageInfo } = source.page({ first: 1000, after });
    for (const { node } of edges) yield node;
    if (!pageInfo.hasNextPage) return;
    after = pageInfo.endCursor;
  }
}

function groupBy(source, keyOf, aggregates) {
  const names = reflectOwnKeys(aggregates);
  const groups = new Map();
  for (const row of documentsOf(source)) {
    const key = keyOf(row) ?? null; // Absent and null are one key.
    let states = groups.get(key);
    if (states === undefined) groups.set(key, (states = names.map((name) => aggregates[name].start)));
    names.forEach((name, i) => {
      states[i] = aggregates[name].add(states[i], row);
    });
  }
  const compare = ([a], [b]) => (a === b ? 0 : a === null ? -1 : b === null ? 1 : a < b ? -1 : 1);
  return [...groups].sort(compare).map(([key, states]) => {
    const row = { key };
    names.forEach((name, i) => {
      row[name] = aggregates[name].end(states[i]);
    });
    return row;
  });
}

// ---- failing, time, caller, telemetry ----

class Failure extends Error {
  #code;
  constructor(code, message) {
    super(message);
    this.#code = code;
  }
  static codeOf(error) {
    return typeof error === "object" && error !== null && #code in error ? error.#code : undefined;
  }
}

function fail(code, message) {
  if (typeof code !== "string" || code === "") throw new TypeError("fail(code, message): the code is a string such as \"NOT_FOUND\"");
  throw new Failure(code, message === undefined ? code : String(message));
}

function now() {
  return new Date(fixedNow()).toISOString();
}

const caller = Object.freeze({
  get kind() {
    return callerNow?.kind ?? "anonymous";
  },
  get subject() {
    return callerNow?.subject ?? null;
  },
});

function metric(name, value) {
  if (typeof name !== "string" || typeof value !== "number" || !isFiniteNumber(value)) {
    throw new TypeError("metric(name, value) takes a string and a finite number");
  }
  ask({ metric: { name, value } });
}

function show(value) {
  if (typeof value === "string") return value;
  if (value instanceof Error) return value.stack ?? String(value);
  try {
    return stringify(value, (_, inner) => (typeof inner === "bigint" ? `${inner}n` : inner)) ?? String(value);
  } catch {
    return String(value);
  }
}

const log = (level) => (...values) => {
  const text = values.map(show).join(" ");
  if (current === null) return;
  ask({ log: { level, text } });
};

const console = Object.freeze({
  __proto__: null,
  debug: log("debug"),
  log: log("info"),
  info: log("info"),
  warn: log("warn"),
  error: log("error"),
});

export const api = Object.freeze({
  action, avg, call, caller, collection, count, fail, max, metric, min, now, procedure, query, sum, view,
});

// ---- for the host alone ----

/** Exported functions in the order of the declarations. */
const exported = [];

/** Tells collections and functions their exported names; takes what the entry module exports, and a limit. */
function bind({ collections, functions }, callDepth) {
  callDepthMax = callDepth;
  for (const [name, value] of collections) {
    if (!(value instanceof Collection)) throw new TypeError(`${name} is not a collection`);
    names.set(value, name);
  }
  for (const [name, value] of functions) {
    if (!bodies.has(value)) throw new TypeError(`${name} is not a function made with query, view, procedure or action`);
    functionNames.set(value, name);
    exported.push(value);
  }
}

/** The text that `callerNow` was last parsed from. */
let callerText = null;

function begin(index, argumentsText, caller, nowMs, seed0, seed1, seed2, seed3) {
  const { kind, body } = bodies.get(exported[index]);
  beginClock(nowMs, seed0, seed1, seed2, seed3);
  if (caller !== callerText) {
    callerNow = parse(caller);
    callerText = caller;
  }
  current = { kind, depth: 0 };
  return body(parse(argumentsText));
}

function isThenable(value) {
  return typeof value === "object" && value !== null && typeof value.then === "function";
}

/** Runs a query, view or procedure. Returns the result as JSON text, or undefined where it has none. */
function run(index, ...rest) {
  const value = begin(index, ...rest);
  if (isThenable(value)) throw new TypeError(`${functionNames.get(exported[index])} returned a promise: only actions are asynchronous, database calls need no await`);
  return stringify(value);
}

/** Runs an action. Resolves as `run` returns. */
async function start(...request) {
  return stringify(await begin(...request));
}

/** Ends the call, however it went. */
function end() {
  current = null;
}

export const host = Object.freeze({ bind, run, start, end, failureCode: Failure.codeOf, console });
