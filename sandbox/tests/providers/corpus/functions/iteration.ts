import { query, action, type JSON } from "weir";

function* count(to: number, from?: number): Generator<number, string, boolean | undefined> {
  for (let n: number = from ?? 0; n < to; n++) { if ((yield n) as boolean | undefined) break; }
  return "done" as const;
}
async function* later<T>(...list: T[]): AsyncGenerator<Awaited<T>, void, undefined> { for (const one of list) yield await (one as T); }
const object = { *[Symbol.iterator](): Iterator<string> { yield* ["x", "y"] as string[]; }, async *each(): AsyncIterable<number> { yield 1; } };

export const loops = query((): JSON => {
  const seen: JSON[] = [];
  for (const [key, value] of Object.entries({ a: 1 } as Record<string, number>)) seen.push(key, value);
  for (const key in <object>{ b: 1 }) seen.push(key);
  for (var i = 0, j: number = 2; i < j; i++, j--) seen.push(i + j);
  outer: for (const x of [1, 2] as number[]) { for (const y of [1, 2]) { if (y > x) continue outer; if (x + y > 3) break outer; seen.push(x * 10 + y); } }
  let n = 0;
  while (n < 2) n++;
  do { n--; } while (n > 0);
  for (const [a = 5, ...rest] of [[, 1]] as (number | undefined)[][]) seen.push(a!, rest.length);
  for (const async of [1]) seen.push(async);
  return [...seen, n, ...object];
});
export const closures = query((): JSON => {
  const all: (() => number)[] = [];
  for (let i: number = 0; i < 3; i++) { all.push(() => i); i += 0; }
  for (const k of [7, 8]) all.push((): number => k);
  return all.map((f) => f());
});
export const generators = query((): JSON => {
  const it = count(5, 1);
  return [it.next().value, it.next().value, it.next(true).value, [...count(2)], (function* (): Generator<number> { const x: number = yield* [1] as any; yield (x, 2); })().next().value!] as JSON;
});
export const asynchronous = action(async (): Promise<JSON> => {
  const seen: JSON[] = [];
  for await (const one of later(1, Promise.resolve(2))) seen.push(one);
  for await (const one of object.each() as AsyncIterable<number>) seen.push(one);
  for (const one of await Promise.all([1, 2].map(async (x): Promise<number> => x * 2))) seen.push(one);
  return seen;
});
