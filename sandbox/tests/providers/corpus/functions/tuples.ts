import { query, type JSON } from "weir";

type Range = readonly [from: number, to?: number, ...steps: number[]];
type Strings = [...string[], last: number];
const span = ([from, to = from + 1, ...steps]: Range): number => steps.reduce((sum, step) => sum + step, to - from);

export const labelled = query((): JSON => [span([1]), span([1, 5]), span([1, 5, 10, 20])]);
export const rests = query((): JSON => {
  const strings: Strings = ["a", "b", 3];
  const [first, , third = 9, ...others]: [string, string, number?, ...boolean[]] = ["x", "y"];
  const holes: (number | undefined)[] = [, 1, , 2, ,];
  return [strings, first, third, others, holes.length, 0 in holes];
});
export const parameters = query((): JSON => {
  const f = (...[a, b = 2]: [a: number, b?: number]): number => a + b;
  return [f(1), f(1, 5), f.length];
});
