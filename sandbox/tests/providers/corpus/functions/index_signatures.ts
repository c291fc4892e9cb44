import { query, type JSON } from "weir";

interface Dictionary { [word: string]: number }
class Bag {
  [key: string]: unknown;
  static [key: `s${string}`]: number | (() => number) | undefined;
  readonly [index: number]: string;
  count = 0;
  ["computed" + 1] = 5;
  [Symbol.toStringTag] = "Bag";
}
type Flags = { readonly [K in "a" | "b" as `is${Uppercase<K>}`]?: boolean };

export const interfaces = query((): JSON => {
  const words: Dictionary = { a: 1 };
  words["b"] = 2;
  return words;
});
export const classes = query((): JSON => [Object.keys(new Bag()), String(new Bag()), Object.getOwnPropertyNames(Bag)]);
export const mapped = query((): JSON => ({ isA: true, isB: false } satisfies Flags));
