import { query, type JSON } from "weir";

const a = 1, b = 2, c = 3;
const f = (...values: unknown[]): JSON => values as JSON;

// With and without type arguments the same tokens mean other things.
export const comparisons = query((): JSON => [a < b, b > c, a < b === b < c, a<b, b>c]);
export const shifts = query((): JSON => [c >> a, c >>> a, c<<a, a < b >> a as any]);
export const callOrComparison = query((): JSON => f(f<number, string>(a), a < b, b > -c));
export const lists = query((): JSON => f(a < b, c > +b));
export const assigned = query((): JSON => {
  let x = 8;
  x >>= 1;
  x >>>= 1;
  x <<= 3;
  const more: Array<Array<number>>= [[x]];
  const equal: boolean= a<b==true;
  return [x, more, equal];
});
export const conditional = query((): JSON => {
  const yes = a < b ? (b) : c;
  const arrow = a > b ? (x: number): number => x : (y: number) => y * 2;
  const nested = a ? (b ? (c) : a) : (b);
  const typed = a ? (x: number) => (x) : (y: number): number => -y;
  return [yes, arrow(5), nested, typed(1)];
});
export const regexAfterAngle = query((): JSON => [1 > /x/.lastIndex, <number><unknown>/y/.source.length]);
