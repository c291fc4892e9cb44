import { query, type JSON } from "weir";

type Elements<T> = T extends readonly (infer E extends string)[] ? E : T extends { [key: string]: infer V } ? V : never;
type Route<T extends string> = T extends `${infer Head}/${infer Tail}` ? [Head, ...Route<Tail>] : [T];
type Getters<T> = { readonly [K in keyof T as `get${Capitalize<string & K>}`]-?: () => T[K] };
type Recursive = { child: Recursive | null; list: Recursive[]; tuple: [first: number, second?: string, ...rest: boolean[]] };
type Fn = (this: void, a: number, b?: string, ...rest: unknown[]) => asserts a is 1;
type Ctor = new <T>(value: T) => { value: T };
type AbstractCtor = abstract new () => object;
type Predicate = (value: unknown) => value is string;
type Indexed = Recursive["tuple"][0] | Recursive["tuple"]["length"];
type Imported = import("../lib/types").Shape | typeof import("../lib/values");
type Member = typeof import("../lib/values").origin.x;
type Odd = | "a"
  | `b${number}` | -1 | 1n | true | null | undefined | void | never | object | symbol | (keyof typeof here)
  | (() => void) | (new () => void) | readonly string[] | asserts | is;
type asserts = 1; type is = 2; type infer = 3; type keyof = 4; type readonly = 5; type unique = 6; type out = 7; type abstract = 8;
type Conditional<in out T extends readonly unknown[], U = T extends [] ? 1 : 2> = U extends 1 ? T : [...T, ...T];
declare const here: { a: 1; "b-c": 2; 3: 4; [Symbol.iterator]: 5; method?(): void; get x(): number; set x(value: number); readonly y?: 1; new (): 1; (): 2; <T>(x: T): T };
interface Everything<T = {}> extends Partial<Recursive>, Pick<Recursive, "list"> { <U>(a: U): T; new (a: T): Everything<T>; readonly [index: number]: T; method<V extends T>(this: Everything<T>, v?: V): v is V; get prop(): T; set prop(value: T); optional?: T }

export const erased = query((): JSON => {
  type Inner = Elements<["a"]>;
  const route: Route<"a/b"> = ["a", "b"];
  const value: Inner | Indexed = "a";
  const typed = ((x) => x) as Predicate & Fn & Ctor & AbstractCtor & Getters<Recursive> & Everything & Conditional<[]> & Imported & Member & Odd as unknown as (x: JSON) => JSON;
  return [typed(route), value];
});
export const functionsOfTypes = query((): JSON => {
  const f: <T>(value: T) => T = (value) => value;
  const g: { (x: number): number; kind?: string } = (x) => x;
  const h = (callback: (error: Error | null, value?: number) => void): void => callback(null, 1);
  let seen: number | undefined;
  h((_, value) => { seen = value; });
  return [f(1), g(2), seen ?? 0];
});
