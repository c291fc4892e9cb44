// Keyed hashes and comparisons of what is too much, is gone, or is no bytes.

import { hmac, query, timingSafeEqual, type Int } from "weir";

const any = (value: unknown): any => value;

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const hashesForEver = query((): Int => {
  for (;;) hmac("SHA-512", "key", "x".repeat(10_000));
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED array_buffer_bytes */
export const hashesMegabytesForEver = query((): Int => {
  const data = new Uint8Array(6_000_000);
  for (;;) hmac("SHA-256", data, data);
});

/** Text of megabytes is bytes for a moment.
 * @expects LIMIT_EXCEEDED array_buffer_bytes
 * @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const hashesLongText = query((): Int => {
  for (;;) hmac("SHA-256", "key", "ü".repeat(7_000_000));
});

/** @expects value "64 64 true" */
export const hashesWithHugeAndEmptyKeys = query((): string => {
  const [empty, huge] = [hmac("SHA-256", "", "", "hex"), hmac("SHA-256", "x".repeat(100_000), "", "hex")];
  return `${empty.length} ${huge.length} ${empty !== huge}`;
});

/** @expects value ["no"] */
export const hashesByOddNames = query((): string[] => {
  const names: unknown[] = ["SHA-1", "sha-256", "MD5", "", "__proto__", "constructor", "toString", null, undefined, 256, {}, ["SHA-256"], { toString: () => "SHA-256" }, Symbol("SHA-256")];
  return [
    ...new Set(
      names.map((name) => {
        try {
          return any(hmac)(name, "k", "d", "hex");
        } catch (error) {
          return (error as Error).message.includes('the hash is "SHA-256"') ? "no" : String(error);
        }
      }),
    ),
  ];
});

/** @expects value ["no"] */
export const hashesWhatIsNoBytes = query((): string[] => {
  const odd: unknown[] = [
    undefined, null, 7, 1n, {}, [1, 2], { toString: () => "key" }, new String("key"), new Uint16Array(2), new DataView(new ArrayBuffer(2)), new ArrayBuffer(2),
    { length: 2 ** 32, 0: 1 }, new Proxy(new Uint8Array(2), {}), Object.create(new Uint8Array(2)), () => "key", Symbol("key"),
  ];
  return [
    ...new Set(
      odd.flatMap((value) =>
        [() => hmac("SHA-256", any(value), "d"), () => hmac("SHA-256", "k", any(value)), () => timingSafeEqual(any(value), "k")].map((make) => {
          try {
            return String(make());
          } catch (error) {
            return (error as Error).message.includes("pass a string or a Uint8Array") ? "no" : String(error);
          }
        }),
      ),
    ),
  ];
});

/** @expects value ["no"] */
export const hashesInOddEncodings = query((): string[] => {
  const odd: unknown[] = ["HEX", "utf8", "", null, 16, {}, { toString: () => "hex" }, "__proto__"];
  return [
    ...new Set(
      odd.map((encoding) => {
        try {
          return any(hmac)("SHA-256", "k", "d", encoding);
        } catch (error) {
          return (error as Error).message.includes("the encoding is") ? "no" : String(error);
        }
      }),
    ),
  ];
});

/** What has gone is nothing, and what shrinks is what is left of it.
 * @expects value "true true true true" */
export const hashesBytesThatAreGone = query((): string => {
  const gone = new Uint8Array(8);
  gone.buffer.transfer();
  const buffer = new ArrayBuffer(8, { maxByteLength: 16 });
  const [follows, fixed] = [new Uint8Array(buffer), new Uint8Array(buffer, 4, 4)];
  buffer.resize(2);
  const of = (data: string | Uint8Array) => hmac("SHA-256", data, data, "hex");
  return `${of(gone) === of("")} ${of(follows) === of("\0\0")} ${of(fixed) === of("")} ${timingSafeEqual(gone, "")}`;
});

/** A hash of the caller's own is the caller's own.
 * @expects value "0,0 false" */
export const changesAHash = query((): string => {
  const one = hmac("SHA-256", "k", "d");
  const same = hmac("SHA-256", "k", "d");
  one.fill(0);
  return `${one.slice(0, 2).join()} ${timingSafeEqual(one, same)}`;
});

/** @expects value [] */
export const keepsInAHash = query((): string[] => {
  const kept: string[] = [];
  for (const [name, target] of Object.entries({ hmac, timingSafeEqual } as any)) {
    for (const member of ["kept", "call", "name", "length"]) {
      try {
        (target as any)[member] = 1;
        kept.push(`${name}.${member}`);
      } catch {}
    }
  }
  return kept;
});

/** Half a character is the same for both.
 * @expects value true */
export const comparesHalfCharacters = query((): boolean => timingSafeEqual("\ud800", "\udc00") && timingSafeEqual("\ud800", "\ufffd"));
