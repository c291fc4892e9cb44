// Checks what scripts pass to the API, so that mistakes are told where they are made.

import { HALF_A_PAIR } from "ext:weir/values.js";

const { stringify } = JSON;
const { isFinite: isFiniteNumber, isSafeInteger } = Number;

/** Shows an argument in an error. */
export function shown(value) {
  if (typeof value === "string") return stringify(value);
  if (typeof value === "function") return "a function";
  if (typeof value === "bigint") return `${value}n`;
  return typeof value === "object" && value !== null ? "an object" : String(value);
}

export function checkText(method, text) {
  if (!text.isWellFormed()) throw new TypeError(`${method}(${stringify(text)}): the text ${HALF_A_PAIR}`);
}

export function checkField(method, field) {
  if (typeof field !== "string") throw new TypeError(`${method}(${shown(field)}): pass the name of a member, a string`);
  checkText(method, field);
}

export function checkOperand(method, field, value) {
  if (value === undefined) throw new TypeError(`${method}(${stringify(field)}, undefined): pass a value, or null for absent ones`);
  const isScalar = typeof value === "string" || typeof value === "boolean" || value === null || isFiniteNumber(value);
  if (!isScalar) throw new TypeError(`${method}(${stringify(field)}, ${shown(value)}): pass a string, a finite number, a boolean or null`);
  if (typeof value === "string") checkText(method, value);
}

export function checkCount(method, n) {
  if (!isSafeInteger(n) || n < 0) throw new TypeError(`${method}(${shown(n)}): pass a whole number, 0 or more`);
}

export function checkOptions(method, options) {
  if (typeof options !== "object" || options === null) throw new TypeError(`${method}(${shown(options)}): pass an object`);
}

export function checkId(method, id) {
  if (typeof id !== "string") throw new TypeError(`${method}(${shown(id)}): pass the id of a document, a string`);
  checkText(method, id);
}

export function checkDocument(method, value) {
  if (typeof value !== "object" || value === null) throw new TypeError(`${method}(${shown(value)}): pass a document, an object`);
}
