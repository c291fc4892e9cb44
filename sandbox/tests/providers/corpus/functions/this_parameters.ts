import { query, type JSON } from "weir";

interface Counter { n: number }
function increase(this: Counter, by: number): number { return (this.n += by); }
function alone(this: void): string { return typeof this; }
const object = {
  n: 1,
  method(this: Counter) { return this.n; },
  arrow: function (this: Counter, { by, ...rest }: { by: number; [key: string]: number }, ...more: number[]): number { return this.n + by + more.length + Object.keys(rest).length; },
  async later(this: { n: number }): Promise<number> { return this.n; },
};

export const calls = query((): JSON => [increase.call({ n: 1 }, 2), alone(), object.method(), object.arrow({ by: 2, c: 3 }, 4, 5)]);
export const lengths = query((): JSON => [increase.length, alone.length, object.method.length, object.arrow.length, object.later.length]);
export const accessors = query((): JSON => {
  const held = { n: 2, get twice(): number { return this.n * 2; }, set twice(value: number) { this.n = value / 2; } };
  held.twice = 10;
  return [held.n, held.twice];
});
