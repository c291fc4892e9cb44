import { query, type JSON } from "weir";
import { Box } from "../lib/values";

const id = <T,>(value: T): T => value;
const pair = <A, B extends A[] = A[]>(a: A, b: B): [A, B] => [a, b];
function pick<T extends object, const K extends readonly (keyof T)[]>(from: T, keys: K): Pick<T, K[number]> {
  return Object.fromEntries(keys.map((key) => [key, from[key]])) as Pick<T, K[number]>;
}
interface Source<out T> { get(): T }
interface Sink<in T> { put(value: T): void }
type Both<in out T> = Source<T> & Sink<T>;
class Cell<T = string> implements Both<T> {
  constructor(private value: T) {}
  get(): T { return this.value; }
  put(value: T): void { this.value = value; }
  map<U>(f: (value: T) => U): Cell<U> { return new Cell<U>(f(this.value)); }
}
const numberId = id<number>;
const BoxOfText = Box<string>;

export const calls = query((): JSON => [id<number>(1), id<Array<Array<number>>>([[2]])[0]![0]!, pair<number>(1, [2])[1]]);
export const classes = query((): JSON => new Cell<number>(2).map<string>((value) => "x".repeat(value)).get());
export const instantiations = query((): JSON => [numberId(3), new BoxOfText("b").open(), typeof id<string>]);
export const collections = query((): JSON => [...new Map<string, Set<number>>([["a", new Set<number>([1])]]).get("a")!]);
export const keys = query((): JSON => pick({ a: 1, b: 2, c: 3 }, ["a", "c"]));
export const tags = query((): JSON => {
  const tag = <T,>(parts: TemplateStringsArray, ...values: T[]): string => parts.join("|") + values.join(",");
  return tag<number>`a${1}b${2}c`;
});
export const optionalCalls = query((): JSON => {
  const maybe = { call: id } as { call?: typeof id } | undefined;
  return [maybe?.call?.<string>("x") ?? null, maybe?.call!<number>(1)];
});
export const arrows = query((): JSON => {
  const asserting = <T extends { a?: number }>(value: T): value is T & { a: number } => value.a !== undefined;
  const curried = <A,>(a: A) => <B,>(b: B): [A, B] => [a, b];
  return [asserting({ a: 1 }), asserting({}), curried(1)("b")];
});
