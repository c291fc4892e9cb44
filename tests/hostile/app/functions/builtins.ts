// Built-ins that run long inside one call, most of which V8 cannot interrupt.

import { action, call, procedure, query, type Int } from "weir";
import { things } from "../collections";
import { sumTo } from "./neighbour";

/** As long as JavaScript allows, and empty. */
const endless = (): any => ({ length: Number.MAX_SAFE_INTEGER });

const LONGEST = 2 ** 29 - 24;

/** A string of one byte a character, flat. */
const flat = (text: string, length: number): string => {
  const made = text.repeat(length / text.length);
  made.charCodeAt(made.length - 1);
  return made;
};

/** A number below 2 ** 32 for every index, without a pattern. */
const scattered = (i: number): number => Math.imul(i ^ (i >>> 15), 0x2c1b3c6d) >>> 0;

/** @expects LIMIT_EXCEEDED cpu_ms
 * @thread V8 does not interrupt this built-in */
export const walksWithIndexOf = query((): Int => Array.prototype.indexOf.call(endless(), 1));

/** Nothing of what it has written stays.
 * @expects LIMIT_EXCEEDED cpu_ms
 * @thread V8 does not interrupt this built-in */
export const walksInAProcedure = procedure((): Int => {
  things.insert({ name: "before the walk", size: 1 });
  return Array.prototype.indexOf.call(endless(), 1);
});

/** The actions of others share its worker.
 * @expects LIMIT_EXCEEDED cpu_ms
 * @thread V8 does not interrupt this built-in */
export const walksInAnAction = action(async (): Promise<Int> => {
  await call(sumTo, { n: 1 });
  return Array.prototype.indexOf.call(endless(), 1);
});

/** @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms
 * @thread V8 ends the process when this cannot be allocated */
export const splitsAStringInAnAction = action(async (): Promise<Int> => "x".repeat(2 ** 28).split("").length);

/** @expects LIMIT_EXCEEDED cpu_ms
 * @thread V8 does not interrupt this built-in */
export const walksWithLastIndexOf = query((): Int => Array.prototype.lastIndexOf.call(endless(), 1));

/** @expects LIMIT_EXCEEDED cpu_ms
 * @thread V8 does not interrupt this built-in */
export const walksWithIncludes = query((): boolean => Array.prototype.includes.call(endless(), 1));

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes
 * @thread V8 does not interrupt this built-in */
export const walksWithFill = query((): Int => Array.prototype.fill.call(endless(), 1).length);

/** @expects LIMIT_EXCEEDED cpu_ms
 * @thread V8 does not interrupt this built-in */
export const walksWithCopyWithin = query((): Int => Array.prototype.copyWithin.call(endless(), 1, 0).length);

/** @expects LIMIT_EXCEEDED cpu_ms
 * @thread V8 does not interrupt this built-in */
export const walksWithReverse = query((): Int => Array.prototype.reverse.call(endless()).length);

/** @expects LIMIT_EXCEEDED cpu_ms
 * @thread V8 does not interrupt this built-in */
export const walksWithShift = query((): string => String(Array.prototype.shift.call(endless())));

/** @expects LIMIT_EXCEEDED cpu_ms
 * @thread V8 does not interrupt this built-in */
export const walksWithUnshift = query((): Int => Array.prototype.unshift.call({ length: 2 ** 53 - 2 } as any, 1));

/** @expects LIMIT_EXCEEDED cpu_ms
 * @thread V8 does not interrupt this built-in */
export const walksWithSplice = query((): Int => Array.prototype.splice.call(endless(), 0, 1).length);

/** @expects LIMIT_EXCEEDED cpu_ms
 * @thread V8 does not interrupt this built-in */
export const walksWithSome = query((): boolean => Array.prototype.some.call(endless(), Boolean));

/** @expects LIMIT_EXCEEDED cpu_ms
 * @thread V8 does not interrupt this built-in */
export const walksWithEvery = query((): boolean => Array.prototype.every.call(endless(), Boolean));

/** @expects LIMIT_EXCEEDED cpu_ms */
export const walksWithFind = query((): string => String(Array.prototype.find.call(endless(), Boolean)));

/** @expects LIMIT_EXCEEDED cpu_ms */
export const walksWithFindLastIndex = query((): Int => (Array.prototype as any).findLastIndex.call(endless(), Boolean));

/** @expects LIMIT_EXCEEDED cpu_ms
 * @thread V8 does not interrupt this built-in */
export const walksWithForEach = query((): string => String(Array.prototype.forEach.call(endless(), Boolean)));

/** @expects LIMIT_EXCEEDED cpu_ms
 * @thread V8 does not interrupt this built-in */
export const walksWithFilter = query((): Int => Array.prototype.filter.call(endless(), Boolean).length);

/** @expects LIMIT_EXCEEDED cpu_ms
 * @thread V8 does not interrupt this built-in */
export const walksWithReduce = query((): string => String(Array.prototype.reduce.call(endless(), Boolean as any, 0)));

/** @expects LIMIT_EXCEEDED cpu_ms
 * @thread V8 does not interrupt this built-in */
export const walksWithReduceRight = query((): string => String(Array.prototype.reduceRight.call(endless(), Boolean as any, 0)));

/** @expects LIMIT_EXCEEDED cpu_ms
 * @thread V8 does not interrupt this built-in */
export const walksWithFlat = query((): Int => (Array.prototype as any).flat.call(endless()).length);

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes
 * @thread V8 ends the process when this cannot be allocated */
export const walksWithSort = query((): Int => Array.prototype.sort.call(endless()).length);

/** Longer than any string.
 * @expects LIMIT_EXCEEDED cpu_ms
 * @expects FUNCTION_FAILED Invalid */
export const walksWithJoin = query((): string => Array.prototype.join.call(endless(), "x"));

/** Nothing to join but nothing: the result is short.
 * @expects LIMIT_EXCEEDED cpu_ms
 * @thread V8 does not interrupt this built-in */
export const walksWithJoinOfNothing = query((): string => Array.prototype.join.call({ length: 2 ** 32 - 1 } as any, ""));

/** @expects FUNCTION_FAILED Invalid array length */
export const walksWithMap = query((): Int => Array.prototype.map.call(endless(), Boolean).length);

/** @expects FUNCTION_FAILED Invalid array length */
export const walksWithToSorted = query((): Int => (Array.prototype as any).toSorted.call(endless()).length);

/** @expects LIMIT_EXCEEDED cpu_ms
 * @thread V8 does not interrupt this built-in */
export const walksWithConcat = query((): Int => {
  const spreadable = { ...endless(), [Symbol.isConcatSpreadable]: true };
  return ([] as unknown[]).concat({ ...spreadable, length: 2 ** 32 - 2 }).length;
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes
 * @thread V8 does not interrupt this built-in */
export const walksWithFrom = query((): Int => Array.from({ length: 2 ** 32 - 1 }).length);

/** @expects FUNCTION_FAILED Invalid array length */
export const walksWithFromTooFar = query((): Int => Array.from(endless()).length);

/** The hole of a real array.
 * @expects LIMIT_EXCEEDED cpu_ms
 * @expects value false */
export const walksThroughAHole = query((): boolean => new Array(2 ** 32 - 1).includes(1));

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes
 * @thread V8 does not interrupt this built-in */
export const fillsAHole = query((): Int => new Array(2 ** 32 - 1).fill(0).length);

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes
 * @thread V8 does not interrupt this built-in */
export const copiesAHole = query((): Int => (new Array(2 ** 32 - 2) as any).toSpliced(0, 0).length);

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const listsKeysOfAHole = query((): Int => [...new Array(2 ** 32 - 1).keys()].length);

/** @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms */
export const spreadsAString = query((): Int => [..."x".repeat(2 ** 28)].length);

/** @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms */
export const takesAStringApart = query((): Int => Array.from("x".repeat(2 ** 28)).length);

/** @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms
 * @thread V8 ends the process when this cannot be allocated */
export const splitsAString = query((): Int => "x".repeat(2 ** 28).split("").length);

/** @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms
 * @thread V8 does not interrupt this built-in */
export const listsIndicesOfAString = query((): Int => Object.keys(new String("x".repeat(2 ** 28))).length);

/** @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms
 * @thread V8 does not interrupt this built-in */
export const listsIndicesOfBytes = query((): Int => Object.getOwnPropertyNames(new Uint8Array(2 ** 23)).length);

/** @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms
 * @expects FUNCTION_FAILED
 * @thread V8 does not interrupt this built-in */
export const appliesALongList = query((): number => Math.max.apply(null, { length: 2 ** 27 } as any));

/** @expects FUNCTION_FAILED
 * @expects LIMIT_EXCEEDED heap_bytes */
export const constructsFromALongList = query((): Int => Reflect.construct(Array, { length: 2 ** 32 - 1 } as any).length);

/** @expects FUNCTION_FAILED Maximum call stack size exceeded */
export const passesManyArguments = query((): string => String.fromCharCode(...new Array(1_000_000).fill(65)));

/** @expects FUNCTION_FAILED Invalid string length
 * @expects LIMIT_EXCEEDED heap_bytes */
export const repeatsTooOften = query((): Int => "x".repeat(2 ** 30).length);

/** @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms */
export const padsAndFlattens = query((): Int => {
  const padded = "x".padStart(LONGEST, "abc");
  return padded.charCodeAt(7) + JSON.stringify(padded.split("b", 1)).length;
});

/** @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms
 * @expects FUNCTION_FAILED Invalid string length */
export const replacesEverywhere = query((): Int => flat("x", 2 ** 24).replaceAll("x", "y".repeat(64)).length);

/** @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms
 * @thread V8 does not interrupt this built-in */
export const replacesNothingEverywhere = query((): Int => flat("x", 2 ** 24).replaceAll("", "-").length);

/** @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms */
export const normalizes = query((): Int => flat("ﷺ", 2 ** 22).normalize("NFKD").length);

/** @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms */
export const changesCase = query((): Int => flat("ß", 2 ** 24).toUpperCase().length);

/** Each comparison takes the letters one by one.
 * @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const compares = query((): Int => {
  const [a, b] = [flat("ä", 2 ** 22), flat("ä", 2 ** 22) + "b"];
  let sum = 0;
  for (let i = 0; i < 100; i += 1) sum += a.localeCompare(b, "sv", { numeric: true });
  return sum;
});

/** Quadratic inside one call: the text has the pattern everywhere but for its end.
 * @expects LIMIT_EXCEEDED cpu_ms
 * @thread V8 does not interrupt this built-in */
export const searches = query((): Int => {
  const half = flat("a", 2 ** 20);
  return flat("a", 2 ** 22).indexOf(`${half}b${half}`) + `b${flat("a", 2 ** 22)}`.lastIndexOf(`b${half}b`);
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes
 * @thread V8 compiles this loop without a look for its end */
export const encodesUris = query((): Int => {
  const text = flat("é", 2 ** 18);
  for (let i = 0; ; i += 1) if (encodeURIComponent(text).length === i) return i;
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes
 * @thread V8 compiles this loop without a look for its end */
export const decodesUris = query((): Int => {
  const text = flat("%C3%A9", 6 * 2 ** 17);
  for (let i = 0; ; i += 1) if (decodeURIComponent(text).length === i) return i;
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes
 * @thread V8 does not interrupt this built-in */
export const parsesManyValues = query((): Int => JSON.parse(`[${"{},".repeat(2_000_000)}{}]`).length);

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes
 * @expects FUNCTION_FAILED
 * @thread V8 does not interrupt this built-in */
export const parsesDeepText = query((): string => typeof JSON.parse("[".repeat(2 ** 22) + "]".repeat(2 ** 22)));

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const parsesManyKeys = query((): Int => {
  let text = "{";
  for (let i = 0; i < 300_000; i += 1) text += `"k${i}":${i},`;
  return Object.keys(JSON.parse(`${text}"end":0}`)).length;
});

/** Forty lists, each twice in the next.
 * @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const writesABillionLaughs = query((): Int => {
  let list: unknown[] = ["ha"];
  for (let i = 0; i < 40; i += 1) list = [list, list];
  return JSON.stringify(list).length;
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const joinsABillionLaughs = query((): Int => {
  let list: unknown[] = [""];
  for (let i = 0; i < 40; i += 1) list = [list, list];
  return String(list).length;
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes
 * @thread V8 does not interrupt this built-in */
export const flattensABillionLaughs = query((): Int => {
  let list: unknown[] = ["ha"];
  for (let i = 0; i < 40; i += 1) list = [list, list];
  return list.flat(Infinity).length;
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const sortsText = query((): Int => Array.from({ length: 400_000 }, (_, i) => `${scattered(i)}`).sort().length);

/** @expects LIMIT_EXCEEDED cpu_ms */
export const sortsBytes = query((): Int => {
  const bytes = new Float64Array(2 ** 20);
  for (let round = 0; ; round += 1) {
    for (let i = 0; i < bytes.length; i += 1) bytes[i] = scattered(i + round);
    bytes.sort();
    if (bytes.length === 0) return round;
  }
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const sortsBytesByComparison = query((): Int => {
  const bytes = new Uint32Array(2 ** 21);
  for (let i = 0; i < bytes.length; i += 1) bytes[i] = scattered(i);
  return bytes.sort((a, b) => (a < b ? 1 : -1)).length;
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const joinsBytes = query((): Int => {
  for (let i = 0; ; i += 1) if (new Float64Array(2 ** 18).fill(1.2345678901234e-7).join().length === i) return i;
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes
 * @thread V8 does not interrupt this built-in */
export const writesBytesInWords = query((): Int => new Float64Array(2 ** 20).fill(1234567.891).toLocaleString("de").length);

/** @expects LIMIT_EXCEEDED cpu_ms */
export const copiesBytes = query((): Int => {
  const [from, to] = [new Uint8Array(2 ** 22), new Float64Array(2 ** 20)];
  for (let i = 0; ; i += 1) {
    to.set(from.subarray(0, to.length), 0);
    if (from.copyWithin(1, 0).length === 0) return i;
  }
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @thread V8 compiles this loop without a look for its end */
export const searchesBytes = query((): Int => {
  const bytes = new Uint8Array(2 ** 23);
  for (let i = 0; ; i += 1) if (bytes.includes(1) || bytes.lastIndexOf(1) >= 0) return i;
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const convertsBytes = query((): Int => {
  for (let i = 0; ; i += 1) if (Float32Array.from(new Uint8Array(2 ** 20), String as any).length === 0) return i;
});

const manyMembers = (): Record<string, number> => {
  const object: Record<string, number> = {};
  for (let i = 0; i < 60_000; i += 1) object[`member ${i}`] = i;
  return object;
};

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const listsMembers = query((): Int => {
  const object = manyMembers();
  for (let i = 0; ; i += 1) if (Object.entries(object).length + Reflect.ownKeys(object).length === 0) return i;
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const copiesMembers = query((): Int => {
  const object = manyMembers();
  for (let i = 0; ; i += 1) if (Object.keys(Object.assign({}, object, { ...object })).length === 0) return i;
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const describesMembers = query((): Int => {
  const object = manyMembers();
  for (let i = 0; ; i += 1) if (Object.keys(Object.getOwnPropertyDescriptors(Object.freeze({ ...object }))).length === 0) return i;
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const groupsMembers = query((): Int => Map.groupBy(Array.from({ length: 500_000 }, (_, i) => i), String).size);

/** A set that says it is endless, and is.
 * @expects LIMIT_EXCEEDED cpu_ms */
export const comparesSets = query((): boolean => {
  const all = { size: Infinity, has: () => true, keys: () => ({ next: () => ({ done: false, value: 1 }) }) } as any;
  return (new Set([1, 2]) as any).union(all).size === 2;
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const unitesSets = query((): Int => {
  const numbers = new Set(Array.from({ length: 100_000 }, (_, i) => i)) as any;
  for (let i = 0; ; i += 1) if (numbers.union(numbers).intersection(numbers).symmetricDifference(numbers).size > 0) return i;
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const raisesPowers = query((): Int => (3n ** 40_000_000n > 0n ? 1 : 0));

/** @expects LIMIT_EXCEEDED cpu_ms */
export const multipliesNumbers = query((): Int => {
  for (let n = 3n; ; n *= n) if (n < 0n) return 0;
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const dividesNumbers = query((): Int => {
  const large = (1n << 8_000_000n) - 1n;
  for (let i = 0n; ; i += 1n) if (large % ((1n << 4_000_000n) - 3n) === i) return 1;
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const writesNumbers = query((): Int => ((1n << 16_000_000n) - 1n).toString(10).length);

/** @expects LIMIT_EXCEEDED cpu_ms */
export const readsNumbers = query((): Int => (BigInt("7".repeat(4_000_000)) > 0n ? 1 : 0));

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const readsLongNumbers = query((): number => {
  for (let i = 0; ; i += 1) if (Number(`0.${"1".repeat(1_000_000 + i)}`) + parseFloat("9".repeat(1_000_000)) < 0) return i;
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const formatsNumbers = query((): Int => {
  const [format, number] = [new Intl.NumberFormat("ar"), 10n ** 300_000n];
  for (let i = 0; ; i += 1) if (format.format(number).length === i) return i;
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const formatsLists = query((): Int => new Intl.ListFormat("en").format(new Array(400_000).fill("item")).length);

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const segmentsText = query((): Int => [...new Intl.Segmenter("th", { granularity: "word" }).segment(flat("ก", 2 ** 20))].length);

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const collatesText = query((): Int => {
  const collator = new Intl.Collator("de", { sensitivity: "base" });
  const words = Array.from({ length: 200_000 }, (_, i) => `wört${scattered(i)}`);
  return words.sort(collator.compare).length;
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes
 * @expects FUNCTION_FAILED
 * @thread V8 does not interrupt this built-in */
export const namesLocales = query((): Int => Intl.getCanonicalLocales(Array.from({ length: 300_000 }, (_, i) => `en-x-${scattered(i).toString(36)}`)).length);

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const parsesDates = query((): Int => {
  for (let i = 0; ; i += 1) if (Date.parse(`2026-01-01 ${"(".repeat(1_000_000 + i)}`) < 0) return i;
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const formatsDates = query((): Int => {
  for (let i = 0; ; i += 1) if (new Date(i * 1e9).toLocaleString("ja-JP-u-ca-japanese", { dateStyle: "full" }) === "") return i;
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const countsDays = query((): Int => {
  const { PlainDate } = (globalThis as any).Temporal;
  for (let i = 0; ; i += 1) {
    const days = PlainDate.from("-271821-04-20").until("+275760-09-12", { largestUnit: "months" });
    if (days.months < 0) return i;
  }
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects FUNCTION_FAILED */
export const flattensACycle = query((): Int => {
  const list: unknown[] = [];
  list.push(list, list);
  return list.flat(Infinity).length;
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const shiftsALongArray = query((): Int => {
  const list = new Array(1_000_000).fill(0);
  for (;;) list.unshift(list.pop());
});
