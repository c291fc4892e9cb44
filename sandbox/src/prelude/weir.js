// The API that apps import as "weir". Runs once, when the startup snapshot is made.
//
// Scripts get `api`; the host keeps `host`. Whatever a script does to values it can reach, neither `host` nor the
// captured built-ins below change under it.

import { op_host, op_host_start } from "ext:core/ops";
import { freezeModules, resetPatterns } from "ext:weir/constants.js";
import { beginClock, endClock, fixedNow } from "ext:weir/determinism.js";
import { HALF_A_PAIR, resultText, valuesText } from "ext:weir/values.js";

const { parse, stringify } = JSON;
const { isFinite: isFiniteNumber, isSafeInteger } = Number;
const { get: reflectGet, has: reflectHas, ownKeys: reflectOwnKeys, getOwnPropertyDescriptor } = Reflect;

// ---- the call at hand ----

/** @type {{ kind: string, depth: number } | null} Null while modules load. */
let current = null;
let callDepthMax = 0;
let callerNow = null;
/** Counts the calls, so that what belongs to one is told from what belongs to another. */
let callNumber = 0;

/** Errors that the host threw, and what was asked of it. */
const hostCalls = new WeakMap();

/** Asks the host. `collection` and `method` name the call where it fails. */
function ask(collection, method, text) {
  mustBeInside();
  try {
    return parse(op_host(text));
  } catch (error) {
    hostCalls.set(error, `${collection}.${method}`);
    throw error;
  }
}

function mustBeInside() {
  if (current === null) throw new Error("data can be read and written only while a function runs, not while a module loads or after the call");
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

/** Shows an argument in an error. */
function shown(value) {
  if (typeof value === "string") return stringify(value);
  if (typeof value === "function") return "a function";
  if (typeof value === "bigint") return `${value}n`;
  return typeof value === "object" && value !== null ? "an object" : String(value);
}

function checkText(method, text) {
  if (!text.isWellFormed()) throw new TypeError(`${method}(${stringify(text)}): the text ${HALF_A_PAIR}`);
}

function checkField(method, field) {
  if (typeof field !== "string") throw new TypeError(`${method}(${shown(field)}): pass the name of a member, a string`);
  checkText(method, field);
}

function checkOperand(method, field, value) {
  if (value === undefined) throw new TypeError(`${method}(${stringify(field)}, undefined): pass a value, or null for absent ones`);
  const isScalar = typeof value === "string" || typeof value === "boolean" || value === null || isFiniteNumber(value);
  if (!isScalar) throw new TypeError(`${method}(${stringify(field)}, ${shown(value)}): pass a string, a finite number, a boolean or null`);
  if (typeof value === "string") checkText(method, value);
}

function checkCount(method, n) {
  if (!isSafeInteger(n) || n < 0) throw new TypeError(`${method}(${shown(n)}): pass a whole number, 0 or more`);
}

function checkOptions(method, options) {
  if (typeof options !== "object" || options === null) throw new TypeError(`${method}(${shown(options)}): pass an object`);
}

const EMPTY = Object.freeze({ equal: Object.freeze([]), range: null, order: null });

/** What narrows and what reads; the same on collections and on rows. `this` is unused: `plan` is bound. */
function narrowing(name, plan) {
  const read = (method, call, options) => {
    const collection = name();
    return ask(collection, method, stringify({ [call]: { collection, ...plan, ...options } }));
  };
  const methods = {
    __proto__: null,
    where(field, value) {
      checkField("where", field);
      checkOperand("where", field, value);
      return rows(name, { ...plan, equal: [...plan.equal, [field, value]] });
    },
    range(field, bounds) {
      checkField("range", field);
      checkOptions("range", bounds);
      if (plan.range !== null) throw new Error("range stands twice: give both bounds in one");
      const { gt, gte, lt, lte, ...rest } = bounds;
      const unknown = reflectOwnKeys(rest)[0];
      if (unknown !== undefined) throw new TypeError(`range bounds are gt, gte, lt and lte, not ${String(unknown)}`);
      for (const bound of [gt, gte, lt, lte]) if (bound !== undefined) checkOperand("range", field, bound);
      return rows(name, { ...plan, range: { field, gt, gte, lt, lte } });
    },
    orderBy(field, direction = "asc") {
      checkField("orderBy", field);
      if (direction !== "asc" && direction !== "desc") throw new TypeError(`orderBy(${stringify(field)}, ${shown(direction)}): say "asc" or "desc"`);
      if (plan.order !== null) throw new Error("orderBy stands twice: declare a compound index and order by its first free field");
      return rows(name, { ...plan, order: [field, direction] });
    },
    take(n) {
      checkCount("take", n);
      return read("take", "rows", { limit: n });
    },
    all() {
      return read("all", "rows", { limit: null });
    },
    first() {
      return methods.take(1)[0] ?? null;
    },
    count() {
      return read("count", "count", {});
    },
    page(options = {}) {
      checkOptions("page", options);
      const first = options.first ?? 20;
      const after = options.after ?? null;
      checkCount("page", first);
      if (typeof after !== "string" && after !== null) throw new TypeError(`page({ after: ${shown(after)} }): pass the cursor of an edge, a string`);
      if (after !== null) checkText("page", after);
      return read("page", "page", { first, after });
    },
  };
  return methods;
}

/** Lazy rows: an array that is read from the store when it is first looked into. Of no use after the call. */
function rows(name, plan) {
  const call = callNumber;
  const mustBeOfThisCall = () => {
    if (call !== callNumber) throw new Error("these rows belong to a call that has ended");
  };
  const nameOfOwn = () => {
    mustBeOfThisCall();
    return name();
  };
  const methods = narrowing(nameOfOwn, plan);
  methods.toJSON = () => load();
  methods.then = undefined; // Not a promise: asking must not read.
  let loaded = false;
  const target = [];
  const load = () => {
    mustBeOfThisCall();
    if (!loaded) {
      loaded = true;
      for (const row of methods.all()) target[target.length] = row;
    }
    return target;
  };
  return new Proxy(target, {
    get: (_, key) => {
      mustBeOfThisCall();
      return typeof key === "string" && key in methods ? methods[key] : reflectGet(load(), key);
    },
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
    const collection = this.#name();
    return ask(collection, "get", stringify({ get: { collection, id } }));
  }

  insert(value) {
    mustWrite("insert");
    checkDocument("insert", value);
    const collection = this.#name();
    return ask(collection, "insert", valuesText({ insert: { collection, value } }, collection));
  }

  replace(id, value) {
    mustWrite("replace");
    checkId("replace", id);
    checkDocument("replace", value);
    const collection = this.#name();
    return ask(collection, "replace", valuesText({ replace: { collection, id, value } }, collection));
  }

  patch(id, part) {
    mustWrite("patch");
    checkId("patch", id);
    checkDocument("patch", part);
    const collection = this.#name();
    // An undefined member removes an optional one; JSON would drop it.
    const removed = reflectOwnKeys(part).filter((key) => typeof key === "string" && part[key] === undefined);
    return ask(collection, "patch", valuesText({ patch: { collection, id, part, removed } }, collection));
  }

  delete(id) {
    mustWrite("delete");
    checkId("delete", id);
    const collection = this.#name();
    return ask(collection, "delete", stringify({ delete: { collection, id } }));
  }
}

function checkId(method, id) {
  if (typeof id !== "string") throw new TypeError(`${method}(${shown(id)}): pass the id of a document, a string`);
  checkText(method, id);
}

function checkDocument(method, value) {
  if (typeof value !== "object" || value === null) throw new TypeError(`${method}(${shown(value)}): pass a document, an object`);
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
  const text = valuesText({ call: { function: name, args } }, name);
  return op_host_start(text).then(parse, (error) => {
    hostCalls.set(error, `call(${name})`);
    throw error;
  });
}

const query = (body) => define("query", body);
const procedure = (body) => define("procedure", body);
const action = (body) => define("action", body);
const view = (body) => define("view", body);

view.groupBy = (source, keyOf, aggregates) => define("view", () => groupBy(source, keyOf, aggregates));

function checkOf(aggregate, of) {
  if (typeof of !== "function") throw new TypeError(`${aggregate}(${shown(of)}): pass a function of a document`);
}

const sum = (of) => {
  checkOf("sum", of);
  return { start: 0, add: (total, row) => total + of(row), end: (total) => total };
};
const count = () => ({ start: 0, add: (n) => n + 1, end: (n) => n });
const avg = (of) => {
  checkOf("avg", of);
  return {
    start: { total: 0, n: 0 },
    add: ({ total, n }, row) => ({ total: total + of(row), n: n + 1 }),
    end: ({ total, n }) => total / n,
  };
};
const extreme = (aggregate, better) => (of) => {
  checkOf(aggregate, of);
  return {
    start: null,
    add: (best, row) => {
      const value = of(row);
      return value !== null && value !== undefined && (best === null || better(value, best)) ? value : best;
    },
    end: (best) => best,
  };
};
const min = extreme("min", (a, b) => a < b);
const max = extreme("max", (a, b) => a > b);

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

/** What `fail` threw, and the codes. */
const failures = new WeakMap();

function fail(code, message) {
  if (typeof code !== "string" || code === "") throw new TypeError("fail(code, message): the code is a string such as \"NOT_FOUND\"");
  const failure = new Error(message === undefined ? code : String(message));
  failures.set(failure, code);
  throw failure;
}

function now() {
  return new Date(fixedNow()).toISOString();
}

const caller = Object.freeze({
  get kind() {
    return whoCalls().kind;
  },
  get subject() {
    return whoCalls().subject;
  },
});

function whoCalls() {
  if (current === null) throw new Error("who calls is known only inside a function, not while a module loads or after the call");
  return callerNow;
}

function metric(name, value) {
  if (typeof name !== "string" || typeof value !== "number" || !isFiniteNumber(value)) {
    throw new TypeError("metric(name, value) takes a string and a finite number");
  }
  checkText("metric", name);
  ask("weir", "metric", stringify({ metric: { name, value } }));
}

function show(value) {
  if (typeof value === "string") return value;
  try {
    if (value instanceof Error) return String(value.stack ?? value);
    return stringify(value, (_, inner) => (typeof inner === "bigint" ? `${inner}n` : inner)) ?? String(value);
  } catch {
    return `[${typeof value}]`;
  }
}

const log = (level) => (...values) => {
  const text = values.map(show).join(" ").toWellFormed();
  if (current === null) return;
  ask("console", level, stringify({ log: { level, text } }));
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

/** What scripts can get hold of besides the globals. */
export const shared = [api, Collection.prototype];

// ---- for the host alone ----

/** Exported functions in the order of the declarations: name, kind, body, and what JSON could lose of a result. */
const exported = [];

/** Tells collections and functions their exported names; takes what the entry module exports, and a limit. */
function bind({ modules, collections, functions }, callDepth) {
  callDepthMax = callDepth;
  for (const [name, value] of collections) {
    if (!(value instanceof Collection)) throw new TypeError(`${name} is not a collection`);
    names.set(value, name);
  }
  for (const [name, value, unnoticed] of functions) {
    const made = bodies.get(value);
    if (made === undefined) throw new TypeError(`${name} is not a function made with query, view, procedure or action`);
    functionNames.set(value, name);
    exported.push({ name, kind: made.kind, body: made.body, unnoticed });
  }
  freezeModules(modules);
}

/** The text that `callerNow` was last parsed from. */
let callerText = null;

function begin({ kind, body }, argumentsText, caller, nowMs, seed0, seed1, seed2, seed3) {
  callNumber++;
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
  const target = exported[index];
  const value = begin(target, ...rest);
  if (isThenable(value)) throw new TypeError(`${target.name} returned a promise: only actions are asynchronous, database calls need no await`);
  return resultText(value, target.unnoticed);
}

/** Runs an action. Resolves as `run` returns. */
async function start(index, ...rest) {
  const target = exported[index];
  return resultText(await begin(target, ...rest), target.unnoticed);
}

/** Ends the call, however it went. */
function end() {
  current = null;
  endClock();
  resetPatterns();
}

const failureCode = (error) => failures.get(error);
const hostCall = (error) => hostCalls.get(error);

export const host = Object.freeze({ bind, run, start, end, failureCode, hostCall, console });
