import { query, type JSON } from "weir";

interface Made { value: number; made?: { deep: { value: number } | null } }
const thing = { value: 3, method() { return this === thing; } };
const absent = null as Made | null;
const numbers = (...all: number[]): number => all.reduce((sum, one) => sum + one, 0);

export const angles = query((): JSON => (<any>thing).value + <number>(<unknown>"4"));
export const objectsOfArrows = query((): JSON => [1].map((x) => <JSON>{ x }));
export const objectsAsArrows = query((): JSON => [1].map((x) => ({ x } as JSON)));
export const receivers = query((): JSON => [(thing.method as any)(), (thing.method!)(), (<any>thing.method)(), thing!.method()]);
export const nonNull = query((): JSON => [thing!.value!, (thing as Made | null)!.value, [1, 2]![1]!]);
export const powers = query((): JSON => [(-2 as number) ** 2, (<number>-3) ** 2, 2 ** (3 as number), (2 as number) ** 3 ** 1]);
export const mixedNullish = query((): JSON => [((absent ?? 0) as number) || 7, (absent as any) ?? (0 || (5 as number))]);
export const commas = query((): JSON => numbers((1, 2) as number, (<number>(3, 4)), 5));
export const chains = query((): JSON => {
  try {
    return (absent?.made as any).deep.value;
  } catch (error) {
    return (error as Error).constructor.name;
  }
});
export const chainsGoOn = query((): JSON => String(absent?.made!.deep!.value));
export const chainsBroken = query((): JSON => {
  try {
    return (absent?.made)!.deep as JSON;
  } catch (error: any) {
    return (error as Error).constructor.name;
  }
});
export const news = query((): JSON => {
  class Inner { got: number; constructor(n = 1) { this.got = n; } static make(n: number) { return class extends Inner { constructor() { super(n); } }; } }
  const make = (): typeof Inner => Inner;
  return [new (Inner as any)(2).got, new (make() as any)(3).got, new (<any>Inner.make(4))().got, (new Inner as Inner).got, new Inner!(5).got];
});
export const targets = query((): JSON => {
  let a: unknown = 1;
  let b: number | undefined = 1;
  const object: { a?: number; b: number[] } = { a: 1, b: [1] };
  (a as number) = 2;
  (a as number) += 3;
  b! += 4;
  b!++;
  (<any>object.a) = 6;
  object.b[0]!--;
  [(a as any), object.b[1]!] = [(a as number) * 2, 8];
  ({ b: (b as any), ...(object as any).rest } = { b: b! + 1, rest: 1 });
  for ((a as any) of [10]);
  for ((object.a as any) in { key: 1 });
  delete (object as any).b;
  delete object!.a;
  return [a as JSON, b!, object as JSON];
});
export const starts = query((): JSON => {
  const seen: unknown[] = [];
  (function () { seen.push(1); } as any)();
  (<any>{ f() { seen.push(2); } }).f();
  ({ f() { seen.push(3); } } as any).f();
  (class { static f() { seen.push(4); } } as any).f();
  (async () => 0) as unknown;
  <any>(() => seen.push(5))();
  (seen as any)[0]! as number;
  return seen as JSON;
});
export const templates = query((): JSON => [`${thing.value as number}${<any>"x"}${absent!}`, (String.raw as any)`a\n${1 as number}`]);
export const names = query((): JSON => {
  const arrow = (() => 1) as any;
  const fn = (function () {}) as any;
  const cls = <any>(class {});
  const { made = (() => 1) as any } = {} as any;
  return [arrow.name, fn.name, cls.name, made.name];
});
export const relations = query((): JSON => [1 as number < 2 as any, ("value" as any) in thing, (thing as any) instanceof (Object as any), typeof (thing as any), !thing as any, void 0 as any ?? 9]);
export const spreads = query((): JSON => [...([1] as number[]), ...<number[]>[2], ...(thing ? [3] : []) as number[], { ...(thing as object), method: undefined } as JSON]);
export const ternaries = query((): JSON => (thing as any ? 1 as number : 2) as number + (absent as any ? (1) : (2) as number));
