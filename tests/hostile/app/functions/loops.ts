// Loops without end: plain, in generators and iterators, in callbacks of built-ins, in promises.

import { action, query, type Int } from "weir";

function* naturals(): Generator<number> {
  for (let i = 0; ; i += 1) yield i;
}

function* nested(): Generator<number> {
  for (;;) yield* [1, 2, 3];
}

/** An iterator that is no generator. */
const ones = (): any => ({ [Symbol.iterator]: () => ({ next: () => ({ done: false, value: 1 }) }) });

const spin = (): never => {
  for (;;);
};

/** @expects LIMIT_EXCEEDED cpu_ms */
export const loopsEmpty = query((): string => {
  for (;;);
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const loopsCounting = query((): Int => {
  let n = 0;
  while (n >= 0) n = (n + 1) % 1000;
  return n;
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const loopsOnFloats = query((): number => {
  let x = 2;
  do x = Math.sqrt(x) + 1;
  while (x < 10);
  return x;
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const loopsWithLabels = query((): string => {
  outer: for (;;) {
    for (let i = 0; ; i += 1) if (i > 10) continue outer;
  }
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const loopsThrowing = query((): string => {
  for (;;) {
    try {
      throw new Error("again");
    } catch {
      // Goes on.
    }
  }
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const loopsOnBigInts = query((): string => {
  for (let n = 0n; ; n += 1n) if (n < 0n) return "";
});

/** Two functions that hand over to each other.
 * @expects LIMIT_EXCEEDED cpu_ms */
export const loopsOnATrampoline = query((): string => {
  const ping = (): (() => unknown) => pong;
  const pong = (): (() => unknown) => ping;
  let next: any = ping;
  for (;;) next = next();
});

/** Exponential without a loop.
 * @expects LIMIT_EXCEEDED cpu_ms */
export const loopsAsFibonacci = query((): Int => {
  const fibonacci = (n: number): number => (n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2));
  return fibonacci(60);
});

/** Ackermann's function: deep and long at once.
 * @expects LIMIT_EXCEEDED cpu_ms
 * @expects FUNCTION_FAILED Maximum call stack size exceeded */
export const loopsAsAckermann = query((): Int => {
  const a = (m: number, n: number): number => (m === 0 ? n + 1 : n === 0 ? a(m - 1, 1) : a(m - 1, a(m, n - 1)));
  return a(4, 2);
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const loopsOverAGenerator = query((): Int => {
  let sum = 0;
  for (const n of naturals()) sum = (sum + n) % 7;
  return sum;
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const loopsOverADelegate = query((): Int => {
  let sum = 0;
  for (const n of nested()) sum = (sum + n) % 7;
  return sum;
});

/** A generator that is in the middle of itself for ever.
 * @expects LIMIT_EXCEEDED cpu_ms */
export const loopsInsideAGenerator = query((): string => {
  const stuck = (function* (): Generator<string> {
    for (;;);
  })();
  return stuck.next().value;
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const loopsSpreading = query((): Int => [...naturals()].length);

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const loopsSpreadingIntoACall = query((): number => Math.max(...naturals()));

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const loopsInArrayFrom = query((): Int => Array.from(ones()).length);

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const loopsInARest = query((): Int => {
  const [, ...rest] = naturals();
  return rest.length;
});

/** The set stays small: nothing stops it but the time.
 * @expects LIMIT_EXCEEDED cpu_ms */
export const loopsInASet = query((): Int => new Set(ones()).size);

/** @expects LIMIT_EXCEEDED cpu_ms */
export const loopsInAMap = query((): Int => {
  const pairs = { [Symbol.iterator]: () => ({ next: () => ({ done: false, value: [1, 1] }) }) } as any;
  return new Map(pairs).size;
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const loopsInFromEntries = query((): Int => {
  const pairs = { [Symbol.iterator]: () => ({ next: () => ({ done: false, value: ["a", 1] }) }) } as any;
  return Object.keys(Object.fromEntries(pairs)).length;
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const loopsInGroupBy = query((): Int => Object.keys(Object.groupBy(naturals(), () => spin())).length);

/** @expects LIMIT_EXCEEDED cpu_ms */
export const loopsInIteratorFind = query((): number => naturals().find((n) => n < 0) ?? 0);

/** @expects LIMIT_EXCEEDED cpu_ms */
export const loopsInIteratorFilter = query((): number => naturals().filter(() => false).next().value ?? 0);

/** @expects LIMIT_EXCEEDED cpu_ms */
export const loopsInIteratorDrop = query((): number => naturals().drop(Number.MAX_SAFE_INTEGER).next().value ?? 0);

/** All of it built-in: no line of the script runs.
 * @expects LIMIT_EXCEEDED cpu_ms */
export const loopsInIteratorEvery = query((): boolean => Iterator.from(ones()).every(Number));

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const loopsInIteratorToArray = query((): Int => Iterator.from(ones()).flatMap(() => [1, 2]).toArray().length);

/** The array grows under its own loop.
 * @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const loopsOverAGrowingArray = query((): Int => {
  const list = [1];
  for (const n of list) list.push(n);
  return list.length;
});

/** The map stays small, but its iterator never comes to the end.
 * @expects LIMIT_EXCEEDED cpu_ms */
export const loopsOverAChangingMap = query((): Int => {
  const map = new Map([["a", 1]]);
  for (const [key, value] of map) {
    map.delete(key);
    map.set(key, value);
  }
  return map.size;
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const loopsInSetForEach = query((): Int => {
  const set = new Set([1]);
  set.forEach((n) => {
    set.delete(n);
    set.add(n);
  });
  return set.size;
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const loopsInAComparison = query((): Int => [3, 1, 2].sort(spin).length);

/** @expects LIMIT_EXCEEDED cpu_ms */
export const loopsInAReplacement = query((): string => "a".replace(/a/, spin));

/** @expects LIMIT_EXCEEDED cpu_ms */
export const loopsInAReviver = query((): string => JSON.parse("[1]", spin));

/** @expects LIMIT_EXCEEDED cpu_ms */
export const loopsInAReplacer = query((): string => JSON.stringify([1], spin));

/** @expects LIMIT_EXCEEDED cpu_ms */
export const loopsInAConversion = query((): string => `${{ [Symbol.toPrimitive]: spin } as any}`);

/** @expects LIMIT_EXCEEDED cpu_ms */
export const loopsInAConstructor = query((): string => {
  class Stuck {
    field = spin();
  }
  return new Stuck().field;
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const loopsInATypedArray = query((): Int => new Float64Array(8).map(spin).length);

/** A promise that makes the next, after the query has returned.
 * @expects LIMIT_EXCEEDED cpu_ms
 * @expects FUNCTION_FAILED promise */
export const loopsInMicrotasks = query((): string => {
  const again = (): Promise<void> => Promise.resolve().then(again);
  void again();
  return "returned";
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects FUNCTION_FAILED promise */
export const loopsInOneMicrotask = query((): string => {
  void Promise.resolve().then(spin);
  return "returned";
});

/** A thenable that is resolved with itself, again and again.
 * @expects LIMIT_EXCEEDED cpu_ms
 * @expects FUNCTION_FAILED promise */
export const loopsInThenables = query((): string => {
  const thenable = { then: (resolve: (value: unknown) => void) => resolve(thenable) } as any;
  void Promise.resolve(thenable);
  return "returned";
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const loopsInAnAction = action(async (): Promise<string> => {
  for (;;);
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const loopsAwaiting = action(async (): Promise<string> => {
  for (;;) await null;
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const loopsInMicrotasksOfAnAction = action(async (): Promise<string> => {
  const again = (): Promise<string> => Promise.resolve().then(again);
  return again();
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const loopsInAnAsyncGenerator = action(async (): Promise<string> => {
  const ticks = async function* (): AsyncGenerator<number> {
    for (;;) yield 1;
  };
  for await (const _ of ticks());
  return "";
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const loopsInPromiseAll = action(async (): Promise<string> => (await Promise.all(ones())).join());

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const loopsInPromiseRace = action(async (): Promise<string> => String(await Promise.race(ones())));

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const loopsInFromAsync = action(async (): Promise<Int> => (await (Array as any).fromAsync(ones())).length);
