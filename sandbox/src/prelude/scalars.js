// The values by which elements are grouped and compared: strings, finite numbers, booleans and null.

import { shown } from "ext:weir/arguments.js";
import { HALF_A_PAIR } from "ext:weir/values.js";

const { isFinite: isFiniteNumber } = Number;

/** What is given for a name in `aggregates`, as a scalar: null for all that is none. */
export function scalar(value, name) {
  switch (typeof value) {
    case "string":
      return checkedText(value, name);
    case "number":
      return isFiniteNumber(value) ? value + 0 : null; // Not -0.
    case "boolean":
      return value;
    default:
      return null;
  }
}

/** What is given for a key: absent and null are one. All that is no scalar is refused. */
export function scalarKey(value) {
  if (value === undefined || value === null) return null;
  const key = scalar(value, "key");
  if (key === null) throw new TypeError(`a key is ${shown(value)}: give a string, a finite number, a boolean or null`);
  return key;
}

function checkedText(text, name) {
  if (!text.isWellFormed()) throw new TypeError(`a value of ${name} ${HALF_A_PAIR}`);
  return text;
}

const RANKS = { __proto__: null, boolean: 0, number: 1, string: 2 };

/** Orders lists of scalars, as many in both, by the first in which they differ. */
export function compareKeys(a, b) {
  for (let i = 0; i < a.length; i++) {
    const order = compare(a[i], b[i]);
    if (order !== 0) return order;
  }
  return 0;
}

/** Orders ids of documents as the store does, by the bytes of their UTF-8. */
export function compareIds(a, b) {
  let at = 0;
  while (at < a.length && a[at] === b[at]) at++;
  return at === a.length || at === b.length ? a.length - b.length : a.codePointAt(at) - b.codePointAt(at);
}

/** Orders scalars: null, booleans, numbers, strings by their UTF-16 code units. */
export function compare(a, b) {
  if (a === b) return 0;
  if (a === null) return -1;
  if (b === null) return 1;
  if (typeof a !== typeof b) return RANKS[typeof a] - RANKS[typeof b];
  return a < b ? -1 : 1;
}
