// Places in sorted views as text that clients keep: base64 of a JSON list of the view, the key's parts, the document and the place in it.
//
// The host reads and writes the same: a part is `n`, `b0` or `b1`, `t` and a text, or `d` and the 16 hexadecimal digits of a double.

import { op_utf8_read } from "ext:core/ops";
import { shown } from "ext:weir/arguments.js";
import { fromBase64, toBase64, utf8 } from "ext:weir/bytes.js";

const { parse, stringify } = JSON;
const { isArray } = Array;
const { isSafeInteger } = Number;

const PART = /^(?:n|b[01]|d[0-9a-f]{16}|t.*)$/s;

/** The cursor of an entry of a view. */
export function cursorOf({ key, document, place }, view) {
  return toBase64(utf8(stringify([view, key.map(written), document, place])));
}

function written(part) {
  switch (typeof part) {
    case "boolean":
      return part ? "b1" : "b0";
    case "string":
      return `t${part}`;
    case "number": {
      const bits = new BigUint64Array(new Float64Array([part]).buffer)[0];
      return `d${bits.toString(16).padStart(16, "0")}`;
    }
    default:
      return "n";
  }
}

/** The place that a cursor names, which is an argument of this name, in a view of this name whose keys have so many parts. */
export function placeOf(argument, cursor, view, parts) {
  if (typeof cursor !== "string") throw new TypeError(`${argument} is ${shown(cursor)}: pass the cursor of an edge, a string`);
  const [of, key, document, place] = listIn(cursor);
  const isPlace = typeof of === "string" && isArray(key) && key.every((part) => typeof part === "string" && PART.test(part)) && typeof document === "string" && isSafeInteger(place);
  if (!isPlace) throw new TypeError(`${argument}: this is not a cursor`);
  if (of !== view || key.length !== parts) throw new TypeError(`${argument}: this cursor belongs to another query: start again without it`);
  return { key: key.map(read), document, place };
}

function listIn(cursor) {
  try {
    const list = parse(op_utf8_read(fromBase64(cursor)));
    return isArray(list) ? list : [];
  } catch {
    return [];
  }
}

function read(part) {
  switch (part[0]) {
    case "b":
      return part === "b1";
    case "t":
      return part.slice(1);
    case "d":
      return new Float64Array(new BigUint64Array([BigInt(`0x${part.slice(1)}`)]).buffer)[0];
    default:
      return null;
  }
}
