// The call at hand: what runs, and the way to its host.
//
// Scripts reach nothing of this module but what others give them of it.

import { op_host } from "ext:core/ops";

const { parse } = JSON;

export const atHand = {
  __proto__: null,
  /**
   * What runs, and what has called it; null while modules load and between calls.
   * @type {{ kind: string, depth: number, callable: Function, outer: object | null } | null}
   */
  running: null,
  /** Counts the calls, so that what belongs to one is told from what belongs to another. */
  number: 0,
  /** What the host need not be told any more of what the call looks at: bits of `OBSERVED`. */
  observed: 0,
};

/** What a call can look at besides its arguments and the store. `all` has a bit that no look has by itself. */
export const OBSERVED = Object.freeze({
  __proto__: null, kind: 1, subject: 2, time: 4, randomness: 8, issuer: 16, roles: 32, scopes: 64, all: 0x7fffffff,
});

/** The bit of the first claim that the app declares; those of the others come after it. There are at most 20. */
const FIRST_CLAIM = 128;

/** Errors that the host threw, and what was asked of it. */
const hostCalls = new WeakMap();

/** What was asked of the host where an error is its refusal. */
export const hostCall = (error) => hostCalls.get(error);

/** Says of an error what was asked, and throws it. */
export function refused(what, error) {
  hostCalls.set(error, what);
  throw error;
}

/** Asks the host. `collection` and `method` name the call where it fails. */
export function ask(collection, method, text) {
  return parse(askText(collection, method, text));
}

/** The same, with the answer as JSON text. */
export function askText(collection, method, text) {
  mustBeInside();
  try {
    return op_host(text);
  } catch (error) {
    refused(`${collection}.${method}`, error);
  }
}

/** Tells the host, once in a call, what a result depends on besides arguments and store. */
export function observe(what) {
  if ((atHand.observed & OBSERVED[what]) !== 0) return;
  atHand.observed |= OBSERVED[what];
  ask("weir", what, `{"observe":"${what}"}`);
}

/** The same of the declared claim at a place. */
export function observeClaim(place) {
  const bit = FIRST_CLAIM << place;
  if ((atHand.observed & bit) !== 0) return;
  atHand.observed |= bit;
  ask("weir", "claim", `{"observe":{"claim":${place}}}`);
}

export function mustBeInside() {
  if (atHand.running === null) throw new Error("data can be read and written only while a function runs, not while a module loads or after the call");
}

export function mustWrite(what) {
  if (atHand.running !== null && atHand.running.kind !== "procedure") {
    throw new Error(`${what} writes, which only a procedure may; this is ${article(atHand.running.kind)}`);
  }
}

/** Whether a value is a promise, or passes for one. */
export function isThenable(value) {
  return typeof value === "object" && value !== null && typeof value.then === "function";
}

/** A kind of function, as it stands in a sentence. */
export function article(kind) {
  return kind === "action" ? "an action" : `a ${kind}`;
}
