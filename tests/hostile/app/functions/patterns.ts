// Regular expressions that go back and forth for ever, or grow when they are compiled.

import { query, type Int } from "weir";

const A = "a".repeat(40);

/** @expects LIMIT_EXCEEDED cpu_ms */
export const backtracksNested = query((): boolean => /^(a+)+$/.test(`${A}!`));

/** @expects LIMIT_EXCEEDED cpu_ms */
export const backtracksOverAlternatives = query((): boolean => /^(a|a)*$/.test(`${A}!`));

/** @expects LIMIT_EXCEEDED cpu_ms */
export const backtracksOverAnything = query((): boolean => /^(.*)*x$/.test(A));

/** @expects LIMIT_EXCEEDED cpu_ms */
export const backtracksOverWords = query((): boolean => /^(\w+\s?)*!$/.test("one two three four five six seven eight nine ten eleven"));

/** @expects LIMIT_EXCEEDED cpu_ms */
export const backtracksInReplace = query((): string => `${A}b`.replace(/(x+x+)+y|(a+a+)+c/g, "-"));

/** @expects LIMIT_EXCEEDED cpu_ms */
export const backtracksInSplit = query((): Int => `${A}!`.split(/(?:a*)*b/).length);

/** @expects LIMIT_EXCEEDED cpu_ms */
export const backtracksInMatchAll = query((): Int => [...`${A}!`.matchAll(/(?:a+)+b/g)].length);

/** @expects LIMIT_EXCEEDED cpu_ms */
export const backtracksInSearch = query((): Int => `${A}!`.search(/(([a-z])+.)+[A-Z]([a-z])+$/));

/** @expects LIMIT_EXCEEDED cpu_ms */
export const backtracksLookingAhead = query((): boolean => /^(?=(a+)+$)a/.test(`${A}!`));

/** @expects LIMIT_EXCEEDED cpu_ms */
export const backtracksLookingBehind = query((): boolean => /(?<=^(a+)+)!$/.test(`b${A}!`));

/** @expects LIMIT_EXCEEDED cpu_ms */
export const backtracksOverReferences = query((): boolean => /^(a*)(a*)(a*)(a*)(a*)(a*)(a*)\1\2\3b$/.test("a".repeat(400)));

/** @expects LIMIT_EXCEEDED cpu_ms */
export const backtracksWithoutCase = query((): boolean => /^(?<name>[äÄ]+)+$/iu.test("ä".repeat(40) + "!"));

/** @expects LIMIT_EXCEEDED cpu_ms */
export const backtracksOverSets = query((): boolean => /^([\p{L}--[b]]+)+$/v.test(`${A}!`));

/** @expects LIMIT_EXCEEDED cpu_ms */
export const backtracksSticky = query((): boolean => {
  const pattern = /(a+)+b/y;
  return pattern.test(`${A}!`);
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const backtracksOverAddresses = query((): boolean =>
  /^([a-zA-Z0-9])(([-.]|[_]+)?([a-zA-Z0-9]+))*(@){1}[a-z0-9]+[.]{1}(([a-z]{2,3})|([a-z]{2,3}[.]{1}[a-z]{2,3}))$/.test(A.repeat(3)),
);

/** Quadratic, on much text.
 * @expects LIMIT_EXCEEDED cpu_ms */
export const backtracksOnLongText = query((): boolean => /\s+$/.test(`${" ".repeat(1_000_000)}x`));

/** What it has to remember grows with the text.
 * @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes
 * @expects FUNCTION_FAILED Maximum call stack size exceeded
 * @expects value false */
export const remembersMuch = query((): boolean => /^(?:(a)|(b)|(?:c))*$/.test(`${"abc".repeat(3_000_000)}!`));

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects FUNCTION_FAILED regular expression
 * @expects value true */
export const compilesALargePattern = query((): boolean => new RegExp("(?:a{0,1000}){0,1000}".repeat(20)).test("b"));

/** @expects FUNCTION_FAILED regular expression
 * @expects LIMIT_EXCEEDED cpu_ms */
export const compilesADeepPattern = query((): boolean => new RegExp("(".repeat(200_000) + ")".repeat(200_000)).test("b"));

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes
 * @expects FUNCTION_FAILED regular expression
 * @thread V8 does not interrupt the compiler of patterns, whose memory no limit counts */
export const compilesALongPattern = query((): boolean => new RegExp(`(?:${"abc|".repeat(500_000)}d)`, "iv").test("x"));

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const compilesManyPatterns = query((): Int => {
  for (let i = 0; ; i += 1) if (new RegExp(`a{${i % 1000}}[^\\w${String.fromCharCode(i % 5000 + 256)}]`, "iu").test("b")) return i;
});

/** Its own exec never says that it is done.
 * @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const matchesForEver = query((): Int => {
  class Endless extends RegExp {
    exec(): any {
      return ["a"];
    }
  }
  return "a".match(new Endless("a", "g"))!.length;
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const capturesMuch = query((): Int => "x".repeat(2 ** 23).match(/x/g)!.length);
