// Where an error is thrown, after all that is erased before it.
import { query, action, type JSON } from "weir";
import { fail, Box } from "../lib/values";

interface Long {
  a: number;
  b: string;

  c(): void;
}

type Erased =
  | "one"
  | "two";

declare function nowhere(): void;

class Thrower<T extends Long | Erased> {
  declare x: T;
  constructor(
    private readonly why: string,
    public deeper?: Thrower<Erased>,
  ) {}
  throw(): never {
    throw new Error(this.why);
  }
  get getter(): number {
    return (this.deeper as Thrower<Erased>).throw();
  }
  static make(this: void, why: string): Thrower<Erased> {
    return new Thrower(why, new Thrower<Erased>(`${why}!`));
  }
  field = (): number => this.getter;
}

export const plain = query((): JSON => { throw new Error("plain"); });
export const method = query((): JSON => Thrower.make("method").throw());
export const getter = query((): JSON => Thrower.make("getter").field());
export const inLib = query((): JSON => {
  const values: number[] = [1, 2, 3];
  return values.map((value: number): JSON => {
    if (value < 3) return value;
    return fail("three");
  });
});
export const ofNull = query((): JSON => {
  const nothing = null as unknown as { a: { b: number } };
  const text: string = "a" + "b"; return [text, nothing.a.b];
});
export const notCallable = query((): JSON => (undefined as any as () => JSON)());
export const afterManyLines = query((): JSON => {
  type Local = { a: number };



  const local: Local = { a: 1 }; // a comment
  /* another
     one */
  return (local as any)
    .b
    .c;
});
export const nested = query((): JSON => {
  const one = (): number => two();
  const two = (): number => [0].map(() => three())[0]!;
  function three(): number {
    return (new Box<() => number>((): number => { throw new TypeError("nested"); }).open())();
  }
  return one();
});
export const reference = query((): JSON => {
  // @ts-expect-error: not declared anywhere
  return missing as JSON;
});
export const early = query((): JSON => {
  const value: () => number = () => later;
  const read = value();
  const later: number = 1;
  return read;
});
export const asynchronous = action(async (): Promise<JSON> => {
  await Promise.resolve<number>(1);
  const inner = async (): Promise<never> => {
    await null;
    throw new Error("asynchronous");
  };
  return await inner() as JSON;
});
export const template = query((): JSON => `${1}
${2} ${(null as any).three}
`);
export const argument = query((): JSON => Math.max(1,
  (<any>undefined).two,
  3));
