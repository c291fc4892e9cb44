// Bytes: UTF-8, keyed hashes, comparison in constant time.

import { op_hmac, op_same_bytes, op_utf8_length, op_utf8_write } from "ext:core/ops";
import { shown } from "ext:weir/arguments.js";
import { kindOf, TYPED_ARRAY } from "ext:weir/kinds.js";

const { getOwnPropertyDescriptor, getPrototypeOf, apply } = Reflect;
const NativeUint8Array = Uint8Array;
const typedArrayPrototype = getPrototypeOf(Uint8Array.prototype);
const typeOf = getOwnPropertyDescriptor(typedArrayPrototype, Symbol.toStringTag).get;

const HASH_BYTES = { __proto__: null, "SHA-256": 32, "SHA-384": 48, "SHA-512": 64 };

/** Whether a value is a Uint8Array, whatever it says of itself. */
export function isBytes(value) {
  return typeof value === "object" && value !== null && kindOf(value) === TYPED_ARRAY && apply(typeOf, value, []) === "Uint8Array";
}

/** A text as UTF-8. */
export function utf8(text) {
  const wellFormed = text.toWellFormed();
  const bytes = new NativeUint8Array(op_utf8_length(wellFormed));
  op_utf8_write(wellFormed, bytes);
  return bytes;
}

// The methods for base64 and hex are not there yet when the snapshot is made; when scripts run they are frozen.

/** Bytes as base64 text. */
export const toBase64 = (bytes) => apply(NativeUint8Array.prototype.toBase64, bytes, []);

/** Base64 text as bytes. */
export const fromBase64 = (text) => NativeUint8Array.fromBase64(text);

const toHex = (bytes) => apply(NativeUint8Array.prototype.toHex, bytes, []);

function bytesOf(value, what) {
  if (typeof value === "string") return utf8(value);
  if (isBytes(value)) return value;
  throw new TypeError(`${what} is ${shown(value)}: pass a string or a Uint8Array`);
}

/** A keyed hash of a message (HMAC, RFC 2104): as bytes, or as text where `encoding` is "hex" or "base64". */
export function hmac(hash, key, data, encoding) {
  const size = typeof hash === "string" ? HASH_BYTES[hash] : undefined;
  if (size === undefined) throw new TypeError(`hmac(${shown(hash)}, ...): the hash is "SHA-256", "SHA-384" or "SHA-512"`);
  if (encoding !== undefined && encoding !== "hex" && encoding !== "base64") {
    throw new TypeError(`hmac(..., ${shown(encoding)}): the encoding is "hex" or "base64", or left out for bytes`);
  }
  const made = new NativeUint8Array(size);
  op_hmac(bytesOf(key, "the key of hmac"), bytesOf(data, "the data of hmac"), made);
  if (encoding === undefined) return made;
  return encoding === "hex" ? toHex(made) : toBase64(made);
}

/** Whether two texts or two byte arrays are the same. How long it takes tells nothing but their length. */
export function timingSafeEqual(one, other) {
  return op_same_bytes(bytesOf(one, "the first argument of timingSafeEqual"), bytesOf(other, "the second argument of timingSafeEqual"));
}
