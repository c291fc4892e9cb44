// Queries, views, procedures, actions and streams: making them, and calling one from inside another.

import { op_host_start } from "ext:core/ops";
import { article, ask, atHand, isThenable, OBSERVED, refused } from "ext:weir/call.js";
import { resultText, valuesText } from "ext:weir/values.js";

const { parse } = JSON;

/** Callable to its kind, its body, and what the host calls in place of the body. */
const bodies = new WeakMap();
/** Callable to exported name. */
const functionNames = new WeakMap();
/** Callable to what its declared type does not tell of a result. */
const unnoticedOf = new WeakMap();
/** The most names of functions in the message about calls that nest too deep. */
const NAMES_MAX = 20;
/** How deep calls nest. */
let depthMax = 0;

/** Takes the limit of how deep calls nest. */
export function limitDepth(limit) {
  depthMax = limit;
}

/**
 * Tells a function its exported name, and what its declared type does not tell of a result. Returns its kind and what the host
 * calls; undefined where it is no function.
 */
export function nameFunction(value, name, unnoticed) {
  const made = bodies.get(value);
  if (made === undefined) return made;
  functionNames.set(value, name);
  unnoticedOf.set(value, unnoticed);
  return made;
}

/** The kind of a function and its exported name, if it has one; undefined where it is no function. */
export function functionOf(value) {
  const made = bodies.get(value);
  return made === undefined ? undefined : { kind: made.kind, name: functionNames.get(value) };
}

const MAY_CALL = {
  __proto__: null,
  query: ["query", "view"],
  view: ["query", "view"],
  procedure: ["query", "view", "procedure"],
  action: ["action"],
  stream: ["query", "view", "stream"],
};

/** Makes a function. `fromHost` is what the host calls, who may pass what no script can. */
export function define(kind, body, fromHost = body) {
  if (typeof body !== "function") throw new TypeError(`${kind}(...) takes a function`);
  const callable = (args = {}) => enter(callable, args);
  bodies.set(callable, { kind, body, fromHost });
  return callable;
}

/** An action that answers requests: `wrap` makes of its body what the host calls. */
export function answering(value, wrap, what) {
  const made = bodies.get(value);
  if (made?.kind !== "action") throw new TypeError(`${what} takes a path and an action: action(async (request) => ...)`);
  return define("action", wrap(made.body));
}

/** The names of the functions that have called each other up to one, the outermost first, until one comes again. */
function way(running, callable) {
  const calls = [callable];
  for (let call = running; call !== null; call = call.outer) calls[calls.length] = call.callable;
  const names = [];
  const seen = new Set();
  for (let i = calls.length - 1; i >= 0; i--) {
    const again = seen.has(calls[i]);
    if (names.length === NAMES_MAX && !again) return `${names.join(" \u2192 ")} \u2192 \u2026`;
    names[names.length] = functionNames.get(calls[i]) ?? "a function without a name";
    if (again) break;
    seen.add(calls[i]);
  }
  return names.join(" \u2192 ");
}

/** Calls one function from inside another, in the same transaction. */
function enter(callable, args) {
  const { kind, body } = bodies.get(callable);
  if (atHand.running === null) throw new Error("a function can be called only inside another, not while a module loads");
  const outer = atHand.running;
  if (!MAY_CALL[outer.kind].includes(kind)) {
    throw new Error(
      outer.kind === "action" && kind !== "stream"
        ? `an action calls ${article(kind)} with await call(${functionNames.get(callable) ?? "fn"}, args)`
        : `${article(outer.kind)} cannot call ${article(kind)}`,
    );
  }
  if (outer.depth >= depthMax) {
    // What catches it gives something else where it is called from elsewhere.
    if (outer.kind === "query" || outer.kind === "view") ask("weir", "depth", '{"observe":"depth"}');
    throw new RangeError(`calls nest more than ${depthMax} deep: ${way(outer, callable)}`);
  }
  // Asynchronous code goes on when this has returned, as part of what calls it.
  if (kind === "action" || kind === "stream") return body(args);
  const name = functionNames.get(callable);
  if (kind === "view" && name !== undefined) return enterView(name, callable, body, args);
  return runInside(kind, callable, body, args);
}

function runInside(kind, callable, body, args) {
  const outer = atHand.running;
  atHand.running = { kind, depth: outer.depth + 1, callable, outer };
  try {
    return body(args);
  } finally {
    atHand.running = outer;
  }
}

/**
 * Calls an exported view. The host may know its result; otherwise it is computed here, and the host keeps it with all that is
 * asked in between. Either way the caller gets what a client would get: plain data of the declared type.
 */
function enterView(name, callable, body, args) {
  const known = ask("view", name, valuesText({ view: { function: name, args } }, name));
  if (known.args === undefined) return known.result;
  // What the caller has looked at says nothing of the view.
  const observed = atHand.observed;
  if (observed !== OBSERVED.all) atHand.observed = 0;
  let text;
  try {
    text = runInside("view", callable, (args) => viewText(name, body(args), unnoticedOf.get(callable)), known.args);
  } catch (error) {
    ask("view", name, `{"viewFailed":{"number":${known.number}}}`);
    throw error;
  } finally {
    atHand.observed |= observed;
  }
  return ask("view", name, `{"viewResult":{"number":${known.number}${text}}}`);
}

/** The result of a view as the member of a request. */
function viewText(name, value, unnoticed) {
  if (isThenable(value)) throw new TypeError(`${name} returned a promise: only actions are asynchronous, database calls need no await`);
  const text = resultText(value, unnoticed);
  return text === undefined ? "" : `,"value":${text}`;
}

/** Calls one function from inside another; an action through the host. */
export function call(callable, args = {}) {
  const target = bodies.get(callable);
  if (target === undefined) throw new TypeError("call(fn, args) takes a function of the app");
  if (atHand.running?.kind !== "action" || target.kind === "action" || target.kind === "stream") return enter(callable, args);
  const name = functionNames.get(callable);
  if (name === undefined) throw new Error("call(fn, args) takes an exported function");
  const text = valuesText({ call: { function: name, args } }, name);
  return op_host_start(text).then(parse, (error) => refused(`call(${name})`, error));
}

export const query = (body) => define("query", body);
export const procedure = (body) => define("procedure", body);
export const action = (body) => define("action", body);
export const view = (body) => define("view", body);
