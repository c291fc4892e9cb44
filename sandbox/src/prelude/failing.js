// Failing, and going on from a failure without what it had written.

import { ask, atHand, isThenable, mustBeInside, mustWrite } from "ext:weir/call.js";

const { stringify } = JSON;

/** What `fail` threw, and the codes. */
const failures = new WeakMap();

/** The code that a failure was given; undefined for what `fail` has not thrown. */
export const failureCode = (error) => failures.get(error);

export function fail(code, message) {
  if (typeof code !== "string" || code === "") throw new TypeError("fail(code, message): the code is a string such as \"NOT_FOUND\"");
  const failure = new Error(message === undefined ? code : String(message));
  failures.set(failure, code);
  throw failure;
}

const savepoint = (step, number) => ask("weir", "attempt", stringify({ savepoint: { step, number } }));

/**
 * Runs a function whose writes vanish if it throws. The host counts the savepoints: one that cannot be ended here, because
 * the stack is exhausted, fails the call in the end, whoever catches what.
 */
export function attempt(body) {
  if (typeof body !== "function") throw new TypeError("attempt(fn): pass a function");
  mustBeInside();
  if (atHand.running.kind === "action") throw new Error("an action writes nothing itself, so there is nothing to take back: use attempt in the procedure that it calls");
  mustWrite("attempt(fn) takes back what fn");
  const number = savepoint("set", 0);
  let value;
  let returnsPromise;
  try {
    value = body();
    returnsPromise = isThenable(value);
  } catch (error) {
    savepoint("rollBack", number);
    return { ok: false, error: { message: messageOf(error), code: failureCode(error) ?? null } };
  }
  if (returnsPromise) {
    savepoint("rollBack", number);
    throw new TypeError("attempt(fn): fn returned a promise, so what it writes could not be taken back; it must not be async, database calls need no await");
  }
  savepoint("release", number);
  return { ok: true, value };
}

/** What was thrown, in words. Code of the script may run in here. */
function messageOf(thrown) {
  try {
    return String(thrown instanceof Error ? thrown.message : thrown);
  } catch {
    return "something was thrown that cannot be shown";
  }
}
