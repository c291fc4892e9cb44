// What leaves the guest as JSON text: nothing that JSON would drop or change goes unnoticed.
//
// Getters, proxies and toJSON run here, inside the guest. The usual values take V8's own way; what that way cannot tell
// apart, or stumbles over, is looked at again with names for its places.

import { kindOf } from "ext:weir/kinds.js";

const { stringify } = JSON;
const { isFinite: isFiniteNumber } = Number;
const { getPrototypeOf } = Reflect;
const objectPrototype = Object.prototype;
const arrayPrototype = Array.prototype;

/** The host refuses what nests so deep. Going on would fill the stack, since V8 calls back for each value. */
const DEEPER_THAN_ANY_READER = 200;

/** How deep the body of a response may nest, which the host sends on without a look at it. */
const BODY_DEPTH_MAX = 100;

/** In JSON text only half of a pair of surrogates is written so; a backslash before `ud` is, too. */
const HALF = "\\ud";

/** What is wrong with such text, and what to do. */
export const HALF_A_PAIR =
  "has half of a surrogate pair in it: cut text by characters, [...text], or mend it with text.toWellFormed()";

/** The text of a request with values of the script in it, as members of its only member; `name` stands for them in errors. */
export function valuesText(request, name) {
  const text = stringify(request, faithful(name, 3));
  if (text.includes(HALF)) stringify(request, wellFormed(name, 3));
  return text;
}

/** The text of the body of a response. */
export function bodyText(body) {
  const check = holdable(2);
  const text = stringify({ body }, visiting("body", 2, (key, value, place, holders) => {
    check(key, value, place, holders);
    // Itself and what holds it.
    if (holders.length > BODY_DEPTH_MAX + 1) throw new TypeError(`body nests more than ${BODY_DEPTH_MAX} deep`);
  }));
  if (text.includes(HALF)) stringify({ body }, wellFormed("body", 2));
  return text.slice('{"body":'.length, -1);
}

/** The text of a result. `unnoticed` says what its declared type does not tell: "nothing", "numbers" or "anything". */
export function resultText(value, unnoticed) {
  const text = unnoticed === "anything" ? stringify(value, faithful("result", 1)) : strictText(value);
  if (text === undefined) return text;
  if (unnoticed === "numbers" && text.includes("null")) stringify(value, faithful("result", 1));
  if (text.includes(HALF)) stringify(value, wellFormed("result", 1));
  return text;
}

function strictText(value) {
  try {
    return stringify(value);
  } catch (error) {
    // Says where it is, if the value is to blame and not its own code.
    stringify(value, faithful("result", 1));
    throw error;
  }
}

/** Visits all that is written, with the way to it. The first `skipped` keys of the way are not part of its name. */
function visiting(name, skipped, visit) {
  const holders = [];
  const keys = [];
  const place = (key) => [...keys, key].slice(skipped).reduce((path, step) => path + (/^\d+$/.test(step) ? `[${step}]` : `.${step}`), name);
  return function (key, value) {
    let depth = holders.length;
    while (depth > 0 && holders[depth - 1] !== this) depth--;
    holders.length = depth;
    keys.length = depth;
    visit(key, value, place, holders);
    if (depth > DEEPER_THAN_ANY_READER) return null;
    if (typeof value === "object" && value !== null) {
      holders.push(value);
      keys.push(key);
    }
    return value;
  };
}

/** Refuses what JSON cannot hold and would write as null, as `{}` or not at all. */
function faithful(name, skipped) {
  return visiting(name, skipped, holdable(skipped));
}

function holdable(skipped) {
  return (key, value, place, holders) => {
    switch (typeof value) {
      case "number":
        if (!isFiniteNumber(value)) throw new TypeError(`${place(key)} is ${value}, which JSON cannot hold`);
        break;
      case "bigint":
        throw new TypeError(`${place(key)} is a bigint, which JSON cannot hold; use a number or a string`);
      case "undefined":
        // Of a request this is all that there is to say; a member is just absent.
        if (skipped > 1 && holders.length === skipped - 1) throw new TypeError(`${place(key)} is undefined, which JSON cannot hold`);
        break;
      case "function":
      case "symbol":
        throw new TypeError(`${place(key)} is a ${typeof value}, which JSON cannot hold`);
      case "object": {
        if (value === null) break;
        if (holders.includes(value)) throw new TypeError(`${place(key)} contains itself, which JSON cannot hold`);
        const prototype = getPrototypeOf(value);
        if (prototype === objectPrototype || prototype === arrayPrototype) break;
        const kind = kindOf(value);
        if (kind?.inJson !== undefined) throw new TypeError(`${place(key)} is ${kind.name}, which JSON cannot hold; ${kind.inJson}`);
      }
    }
  };
}

/** Refuses text with half a character in it, which is not text anywhere else. */
function wellFormed(name, skipped) {
  return visiting(name, skipped, (key, value, place) => {
    if (!key.isWellFormed()) throw new TypeError(`the name of ${place(key).toWellFormed()} ${HALF_A_PAIR}`);
    if (typeof value === "string" && !value.isWellFormed()) throw new TypeError(`${place(key)} ${HALF_A_PAIR}`);
  });
}
