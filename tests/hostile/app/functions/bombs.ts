// What grows until memory is gone: strings, arrays, maps, buffers, numbers, and what lies outside of V8's heap.

import { action, query, type Int } from "weir";

const KIB = 1024;
const MIB = 1024 * KIB;

/** @expects FUNCTION_FAILED Invalid string length */
export const doublesAString = query((): Int => {
  let text = "x";
  for (;;) text += text;
});

/** @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms */
export const flattensLongStrings = query((): Int => {
  const all: string[] = [];
  for (let i = 0; ; i += 1) {
    const text = `${i}`.padEnd(MIB, "xyz");
    text.charCodeAt(MIB - 1);
    all.push(text);
  }
});

/** One allocation of half a GiB.
 * @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms */
export const flattensTheLongestString = query((): Int => {
  let text = "ab";
  while (text.length < 2 ** 28) text += text;
  return /b$/.test(text) ? text.charCodeAt(5) : 0;
});

/** @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms */
export const buildsManyStrings = query((): Int => {
  const all: string[] = [];
  for (let i = 0; ; i += 1) all.push(`${i} is a number that was not there before`);
});

/** @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms */
export const pushesForEver = query((): Int => {
  const all: number[] = [];
  for (;;) all.push(1.5);
});

/** @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms */
export const nestsArrays = query((): Int => {
  let list: unknown[] = [];
  for (;;) list = [list, new Array(100)];
});

/** @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms */
export const keepsLargeArrays = query((): Int => {
  const all: unknown[] = [];
  for (;;) all.push(new Array(10_000).fill(1));
});

/** One allocation of 256 MiB.
 * @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms */
export const fillsOneArray = query((): Int => new Array(2 ** 25).fill(0.5).length);

/** @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms
 * @expects FUNCTION_FAILED */
export const growsOneArrayAtOnce = query((): Int => {
  const list = [1.5];
  for (let i = 0; i < 27; i += 1) list.push(...list.slice(0, 60_000)), (list.length *= 2);
  return list.concat(list).length;
});

/** @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms */
export const growsAMap = query((): Int => {
  const map = new Map<number, number>();
  for (let i = 0; ; i += 1) map.set(i, i);
});

/** @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms */
export const growsASet = query((): Int => {
  const set = new Set<string>();
  for (let i = 0; ; i += 1) set.add(`${i}`);
});

/** @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms */
export const growsAWeakMap = query((): Int => {
  const [keys, map] = [[] as object[], new WeakMap<object, object>()];
  for (;;) {
    const key = {};
    keys.push(key);
    map.set(key, {});
  }
});

/** @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms */
export const growsAnObject = query((): Int => {
  const object: Record<string, number> = {};
  for (let i = 0; ; i += 1) object[`member ${i}`] = i;
});

/** @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms */
export const keepsClosures = query((): Int => {
  let last = (): number => 0;
  for (;;) {
    const before = last;
    last = () => before() + 1;
  }
});

/** The registry of symbols is not the call's own.
 * @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms */
export const registersSymbols = query((): Int => {
  for (let i = 0; ; i += 1) Symbol.for(`symbol ${i} ${"x".repeat(1000)}`);
});

/** @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms */
export const keepsGenerators = query((): Int => {
  const all: unknown[] = [];
  for (;;) {
    const started = (function* (): Generator<number> {
      yield all.length;
    })();
    started.next();
    all.push(started);
  }
});

/** @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms */
export const keepsErrors = query((): Int => {
  const all: Error[] = [];
  for (;;) all.push(new Error("x".repeat(100)));
});

/** @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms */
export const keepsClasses = query((): Int => {
  let Base: any = class {};
  for (;;) Base = class extends Base {};
});

/** @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms */
export const keepsPromises = action(async (): Promise<Int> => {
  const all: Promise<unknown>[] = [];
  for (;;) all.push(new Promise(() => {}));
});

/** @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms */
export const forksMicrotasks = action(async (): Promise<Int> => {
  const fork = (): void => {
    void Promise.resolve().then(fork);
    void Promise.resolve().then(fork);
  };
  fork();
  await new Promise(() => {});
  return 0;
});

/** @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms */
export const keepsBigNumbers = query((): Int => {
  const all: bigint[] = [];
  for (;;) all.push(1n << BigInt(100_000 + all.length));
});

/** @expects FUNCTION_FAILED Maximum BigInt size exceeded
 * @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms */
export const squaresNumbers = query((): Int => {
  let n = 1n << 1_000_000n;
  for (;;) n *= n;
});

/** One allocation of 128 MiB.
 * @expects LIMIT_EXCEEDED heap_bytes
 * @expects FUNCTION_FAILED Maximum BigInt size exceeded */
export const shiftsTooFar = query((): Int => ((1n << (2n ** 30n - 1n)) > 0n ? 1 : 0));

/** @expects LIMIT_EXCEEDED heap_bytes
 * @expects FUNCTION_FAILED Maximum BigInt size exceeded */
export const wrapsTooFar = query((): Int => (BigInt.asUintN(2 ** 30 - 1, -1n) > 0n ? 1 : 0));

/** @expects LIMIT_EXCEEDED array_buffer_bytes */
export const keepsBuffers = query((): Int => {
  const all: ArrayBuffer[] = [];
  for (;;) all.push(new ArrayBuffer(MIB));
});

/** @expects LIMIT_EXCEEDED array_buffer_bytes */
export const keepsSmallBuffers = query((): Int => {
  const all: Uint8Array[] = [];
  for (;;) all.push(new Uint8Array(64 * KIB));
});

/** @expects LIMIT_EXCEEDED array_buffer_bytes */
export const asksForOneBuffer = query((): Int => new ArrayBuffer(2 ** 31).byteLength);

/** @expects LIMIT_EXCEEDED array_buffer_bytes
 * @expects FUNCTION_FAILED Invalid typed array length
 * @expects LIMIT_EXCEEDED heap_bytes */
export const asksForTheLargestBuffer = query((): Int => new Uint8Array(2 ** 53 - 1).length);

/** @expects LIMIT_EXCEEDED array_buffer_bytes */
export const growsABuffer = query((): Int => {
  const buffer = new (ArrayBuffer as any)(MIB, { maxByteLength: 2 ** 30 });
  for (;;) buffer.resize(buffer.byteLength + MIB);
});

/** Nothing of it is used: it is only room.
 * @expects LIMIT_EXCEEDED array_buffer_bytes
 * @expects FUNCTION_FAILED allocation failed */
export const reservesRoom = query((): Int => {
  const all: ArrayBuffer[] = [];
  for (;;) all.push(new (ArrayBuffer as any)(0, { maxByteLength: 2 ** 32 }));
});

/** @expects LIMIT_EXCEEDED array_buffer_bytes */
export const keepsGrowingBuffers = query((): Int => {
  const all: ArrayBuffer[] = [];
  for (;;) {
    const buffer = new (ArrayBuffer as any)(0, { maxByteLength: 4 * MIB });
    buffer.resize(2 * MIB);
    new Uint8Array(buffer).fill(1);
    all.push(buffer);
  }
});

/** @expects LIMIT_EXCEEDED array_buffer_bytes */
export const transfersABuffer = query((): Int => {
  let buffer = new ArrayBuffer(MIB) as any;
  for (;;) buffer = buffer.transfer(buffer.byteLength * 2);
});

/** @expects LIMIT_EXCEEDED array_buffer_bytes */
export const transfersAGrowingBuffer = query((): Int => {
  const all: ArrayBuffer[] = [];
  for (;;) {
    const growing = new (ArrayBuffer as any)(MIB, { maxByteLength: 2 * MIB });
    growing.resize(2 * MIB);
    all.push(growing.transferToFixedLength());
  }
});

/** @expects LIMIT_EXCEEDED array_buffer_bytes */
export const slicesABuffer = query((): Int => {
  const [bytes, all] = [new Uint8Array(2 * MIB), [] as unknown[]];
  for (;;) all.push(bytes.slice(), bytes.buffer.slice(0));
});

/** @expects LIMIT_EXCEEDED array_buffer_bytes
 * @expects LIMIT_EXCEEDED cpu_ms */
export const copiesIntoTypedArrays = query((): Int => {
  const [all, source] = [[] as unknown[], new Uint8Array(MIB)];
  for (;;) all.push(new Float64Array(source), (source as any).toReversed());
});

/** Small enough each time, and let go of at once: that is allowed as long as there is time.
 * @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED array_buffer_bytes */
export const dropsBuffers = query((): Int => {
  for (let i = 0; ; i += 1) if (new Uint8Array(MIB).fill(i)[5] === 256) return i;
});

/** The failure of an allocation can be caught, the limit cannot.
 * @expects LIMIT_EXCEEDED array_buffer_bytes */
export const catchesTheLackOfBuffers = query((): string => {
  const all: unknown[] = [];
  try {
    for (;;) all.push(new ArrayBuffer(MIB));
  } catch {
    return "caught";
  }
});

/** Inside of the ICU library.
 * @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const keepsFormats = query((): Int => {
  const all: unknown[] = [];
  for (;;) all.push(new Intl.NumberFormat("de", { style: "currency", currency: "EUR", minimumFractionDigits: all.length % 20 }));
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const keepsDateFormats = query((): Int => {
  const all: unknown[] = [];
  for (;;) all.push(new Intl.DateTimeFormat("zh-u-ca-chinese", { dateStyle: "full", timeStyle: "full", timeZone: "Asia/Tokyo" }));
});

/** Each copies the text.
 * @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const keepsSegments = query((): Int => {
  const [all, segmenter, text] = [[] as unknown[], new Intl.Segmenter("en"), "x".repeat(MIB)];
  for (;;) all.push(segmenter.segment(text), segmenter.segment(text)[Symbol.iterator]());
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const keepsTemporals = query((): Int => {
  const { ZonedDateTime } = (globalThis as any).Temporal;
  const all: unknown[] = [];
  for (;;) all.push(ZonedDateTime.from(`2026-11-24T10:00:00[Europe/Berlin]`).add({ hours: all.length }));
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const keepsPatterns = query((): Int => {
  const all: RegExp[] = [];
  for (;;) {
    const pattern = new RegExp(`(?:${"ab?c*".repeat(200)}){2,5}${all.length}`);
    pattern.test("abc".repeat(50));
    pattern.test("abc".repeat(60));
    all.push(pattern);
  }
});
