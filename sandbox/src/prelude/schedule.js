// Jobs: calls that a procedure has made later, in its own transaction.

import { checkText, shown } from "ext:weir/arguments.js";
import { ask, mustBeInside, mustWrite } from "ext:weir/call.js";
import { functionOf } from "ext:weir/functions.js";
import { valuesText } from "ext:weir/values.js";

const { isFinite: isFiniteNumber } = Number;
const { ownKeys } = Reflect;
const { stringify } = JSON;

const WHEN = "schedule(when, fn, args): when is { after: \"5m\" }, { after: milliseconds } or { at: DateTime }";

/** What the host is told of when. Reads each member once. */
function checkedWhen(when) {
  if (typeof when !== "object" || when === null) throw new TypeError(`${WHEN}, not ${shown(when)}`);
  const keys = ownKeys(when);
  if (keys.length !== 1) throw new TypeError(WHEN);
  const [key] = keys;
  if (key !== "after" && key !== "at") throw new TypeError(`${WHEN}; it has no ${String(key)}`);
  const value = when[key];
  if (typeof value === "string") {
    checkText("schedule", value);
    return { [key]: value };
  }
  if (key === "after" && typeof value === "number" && isFiniteNumber(value)) return { after: value };
  throw new TypeError(`${WHEN}, not { ${key}: ${shown(value)} }`);
}

/** Has a procedure or an action called later, if the transaction is committed. Returns the id of the job. */
export function schedule(when, callable, args = {}) {
  mustBeInside();
  mustWrite("schedule");
  const checked = checkedWhen(when);
  const target = functionOf(callable);
  if (target === undefined) throw new TypeError("schedule(when, fn, args) takes a function of the app");
  if (target.name === undefined) throw new Error("schedule(when, fn, args) takes an exported function");
  const text = valuesText({ schedule: { function: target.name, args, when: checked } }, target.name);
  return ask("weir", "schedule", text);
}

/** Removes a job that has not begun, if the transaction is committed. Returns whether there was one. */
export function cancelJob(id) {
  mustBeInside();
  mustWrite("cancelJob");
  if (typeof id !== "string") throw new TypeError(`cancelJob(${shown(id)}): pass the id of a job, a string`);
  checkText("cancelJob", id);
  return ask("weir", "cancelJob", stringify({ cancelJob: { id } }));
}
