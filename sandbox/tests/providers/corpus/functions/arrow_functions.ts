import { query, action, type JSON } from "weir";

const add = (a: number, b: number = 1): number => a + b;
const options = ({ name = "x", ...rest }: { name?: string; [key: string]: unknown } = {}): string => name + Object.keys(rest).length;
const typed: (a: number) => (b: number) => number = a => b => a - b;
const returns = (): { a: number; b: { c: string } } => ({ a: 1, b: { c: "c" } });
const optional = (a?: number, b?: string): string => `${a}${b}`;
const predicate = (x): x is string => typeof x === "string";
const later = async <T,>(value: T): Promise<T> => await value;
const thisless = async (x: number): Promise<number> => x;

export const calls = query((): JSON => [add(1), add(1, 2), options(), options({ name: "y", z: 1 }), typed(5)(3), optional(1)]);
export const shapes = query((): JSON => [returns(), predicate(""), add.length, options.length, optional.length]);
export const conditional = query((): JSON => {
  const t = true as boolean, a = 1, b = (x: number) => x * 2;
  return [t ? (a) : b(1), t ? (c: number) => c : null, !t ? a : (c: number): number => c, t ? ((a)) : (a) => a, t ? b : a, (t ? (x: number): string => `${x}` : b)(3)].map((one) => typeof one === "function" ? `f${one(4)}` : one);
});
export const bodies = query((): JSON => {
  const empty = (): void => {};
  const label = () => { a: 1; };
  const inside = () => ({}).toString();
  const comma = () => (1, 2);
  const sequence = (x = (1, 2)): number => x;
  const voids = () => void 0;
  const indexed = () => [1, 2][1];
  const object = () => <JSON>({ a: 1 });
  const fn = () => function () { return 3; } as () => number;
  const cls = () => class {} as any;
  return [empty() ?? "e", label() ?? "l", inside(), comma(), sequence(), voids() ?? "v", indexed(), object(), fn()(), typeof cls()];
});
export const asynchronous = action(async (): Promise<JSON> => [await later<number>(1), await thisless(2), await (async x => x as number)(3), await (async (): Promise<string> => "4")()]);
export const precedence = query((): JSON => [(() => 1)(), (x => x)(2), typeof (() => 1), (() => 1) || 0 ? "function" : "", ((x) => x) instanceof Object].map(String));
