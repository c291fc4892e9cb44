import { query, type JSON } from "weir";

const levels = ["low", "high"] as const;
type Level = (typeof levels)[number];
const table = { low: 1, high: 2, deep: { list: [1, 2, [3]] } } as const;
const text = `a${"b"}c` as const;
const mixed = [...levels, <const>"top", -1 as const, true as const] as const;

const rank = (level: Level): number => table[level];

export const ranks = query((): JSON => levels.map(rank));
export const deep = query((): JSON => table.deep.list[2][0]);
export const all = query((): JSON => ({ text, mixed: [...mixed] }));
export const parameters = query((): JSON => {
  const first = <const T extends readonly unknown[]>(list: T): T[0] => list[0];
  return first(["x", "y"]) as "x";
});
