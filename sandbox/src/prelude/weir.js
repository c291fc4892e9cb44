// The API that apps import as "weir". Runs once, when the startup snapshot is made.
//
// Scripts get `api`; the host keeps `host`. Whatever a script does to values it can reach, neither `host` nor the
// captured built-ins below change under it.

import { avg, count, max, min, sum, top } from "ext:weir/aggregates.js";
import { checkText } from "ext:weir/arguments.js";
import { hmac, timingSafeEqual } from "ext:weir/bytes.js";
import { ask, atHand, hostCall, isThenable, observe, observeClaim, OBSERVED } from "ext:weir/call.js";
import { Collection, collection, nameCollection, textOfRows } from "ext:weir/collections.js";
import { freezeModules, resetPatterns } from "ext:weir/constants.js";
import { beginClock, endClock, fixedNow } from "ext:weir/determinism.js";
import { Elements } from "ext:weir/elements.js";
import { attempt, fail, failureCode } from "ext:weir/failing.js";
import { FetchHeaders, FetchResponse, secret } from "ext:weir/fetch.js";
import { groupBy } from "ext:weir/groups.js";
import { index, nameIndex, teachIndex } from "ext:weir/indexes.js";
import { http, HttpQuery, HttpRequest } from "ext:weir/http.js";
import { action, call, define, limitDepth, nameFunction, procedure, query, view } from "ext:weir/functions.js";
import { cancelJob, schedule } from "ext:weir/schedule.js";
import { beginStream, endStream, giveUpStream, nextEvent, stream } from "ext:weir/streams.js";
import { resultText } from "ext:weir/values.js";

const { parse, stringify } = JSON;
const { isFinite: isFiniteNumber } = Number;
const { defineProperty, freeze } = Object;

view.groupBy = (source, keyOf, aggregates) => {
  const { rows, contributions } = groupBy(source, keyOf, aggregates);
  return define("view", () => rows(), ({ documents }) => (documents === undefined ? rows() : contributions(documents)));
};

view.index = (source, keysOf, valueOf) => {
  const { page, contributions, learn } = index(source, keysOf, valueOf);
  const made = define("view", page, (args) => (args.documents === undefined ? page(args) : contributions(args.documents)));
  nameIndex(made, learn);
  return made;
};

// ---- time, caller, telemetry ----

function now() {
  return new Date(fixedNow()).toISOString();
}

const caller = Object.freeze({
  get kind() {
    return whoCalls("kind");
  },
  get subject() {
    return whoCalls("subject");
  },
  get issuer() {
    return whoCalls("issuer");
  },
  get roles() {
    return whoCalls("roles");
  },
  get scopes() {
    return whoCalls("scopes");
  },
  get claims() {
    mustRun();
    return claims;
  },
});

function whoCalls(what) {
  mustRun();
  observe(what);
  return callerNow[what];
}

function mustRun() {
  if (atHand.running === null) throw new Error("who calls is known only inside a function, not while a module loads or after the call");
}

/** A member for each claim that the app declares. */
let claims = null;

function nameClaims(names) {
  const made = { __proto__: null };
  for (let place = 0; place < names.length; place++) {
    const get = () => {
      mustRun();
      observeClaim(place);
      return callerNow.claims[place] ?? null;
    };
    defineProperty(made, names[place], { __proto__: null, get: freeze(get), enumerable: true });
  }
  claims = freeze(made);
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
  if (atHand.running === null) return;
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
  action, attempt, avg, call, caller, cancelJob, collection, count, fail, hmac, http, max, metric, min, now, procedure, query, schedule,
  secret, stream, sum, timingSafeEqual, top, view,
});

/** What scripts can get hold of besides the globals. */
export const shared = [
  api, Collection.prototype, Elements.prototype, FetchHeaders.prototype, FetchResponse.prototype, HttpQuery.prototype, HttpRequest.prototype,
];

// ---- for the host alone ----

/** Exported functions in the order of the declarations: name, kind, body, and what JSON could lose of a result. */
const exported = [];

/** Tells collections and functions their exported names; takes what the entry module exports, and a limit. */
function bind({ modules, collections, functions, claims }, callDepth) {
  limitDepth(callDepth);
  nameClaims(claims);
  for (const [name, value] of collections) nameCollection(value, name);
  for (const [name, value, unnoticed, keyParts = null] of functions) {
    const made = nameFunction(value, name, unnoticed);
    if (made === undefined) throw new TypeError(`${name} is not a function made with query, view, procedure, action or stream`);
    teachIndex(value, name, keyParts, unnoticed);
    exported.push({ name, callable: value, kind: made.kind, body: made.fromHost, unnoticed });
  }
  freezeModules(modules);
}

/** Who calls, and the text that it was last parsed from. */
let callerNow = null;
let callerText = null;

function begin({ callable, kind, body }, argumentsText, caller, nowMs, seed0, seed1, seed2, seed3) {
  atHand.number++;
  beginClock(nowMs, seed0, seed1, seed2, seed3);
  if (caller !== callerText) {
    callerNow = parse(caller);
    callerText = caller;
    // The next call of the same caller is given the same lists.
    for (const list of [callerNow.roles, callerNow.scopes, ...callerNow.claims]) freeze(list);
  }
  atHand.running = { kind, depth: 0, callable, outer: null };
  // Only what is read can be kept, and then shared.
  atHand.observed = kind === "query" || kind === "view" ? 0 : OBSERVED.all;
  return body(parse(argumentsText));
}

/** Runs a query, view or procedure. Returns the result as JSON text, or undefined where it has none. */
function run(index, ...rest) {
  const target = exported[index];
  const value = begin(target, ...rest);
  if (isThenable(value)) throw new TypeError(`${target.name} returned a promise: only actions are asynchronous, database calls need no await`);
  return textOfRows(value) ?? resultText(value, target.unnoticed);
}

/** Runs an action. Resolves as `run` returns. */
async function start(index, ...rest) {
  const target = exported[index];
  return resultText(await begin(target, ...rest), target.unnoticed);
}

/** Begins a stream and runs to its first event. Resolves as `nextEvent`. */
async function open(index, ...rest) {
  const target = exported[index];
  beginStream(begin(target, ...rest), target.unnoticed);
  return await nextEvent();
}

/** Ends the call, however it went. */
function end() {
  endStream();
  atHand.running = null;
  endClock();
  resetPatterns();
}

export const host = Object.freeze({ bind, run, start, open, nextEvent, giveUpStream, end, failureCode, hostCall, console });
