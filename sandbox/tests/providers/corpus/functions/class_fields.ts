import { query, type JSON } from "weir";

const log = (list: string[], what: string): string => (list.push(what), what);

export const order = query((): JSON => {
  const seen: string[] = [];
  class Base { a: string = log(seen, "Base.a"); constructor(readonly p = log(seen, "Base.p")) { log(seen, "Base()"); } }
  class Derived extends Base {
    static s: string = log(seen, "Derived.s");
    [log(seen, "key")]: string = log(seen, "value");
    static { log(seen, "static block"); }
    b = log(seen, "Derived.b");
    constructor() { log(seen, "before super"); super(); log(seen, "after super"); }
    static readonly last = log(seen, "Derived.last");
  }
  new Derived();
  return seen;
});
export const defined = query((): JSON => {
  class WithSetter { set value(_: number) { throw new Error("the setter ran"); } }
  class Overriding extends (WithSetter as new () => object) { value = 1; undefined; "quoted": number; 7?: string; }
  return [{ ...new Overriding() }, Object.keys(new Overriding())];
});
export const receivers = query((): JSON => {
  class Bound { name = "bound"; arrow = (): string => this.name; static self = this; nested = { get: () => this.name }; }
  const { arrow, nested } = new Bound();
  return [arrow(), nested.get(), Bound.self === Bound];
});
export const words = query((): JSON => {
  class Words { get; set; static; async; readonly; declare; abstract; override; accessor; type = 1; of = 2; 'constructor2' = 3; static static = 4; static async = 5; static get = 6; static readonly readonly = 7 }
  return [Object.keys(new Words()), Object.keys(Words)];
});
export const blocks = query((): JSON => {
  class Block {
    static total: number;
    static { const x: number = 2; this.total = x; }
    static { type T = number; interface I { t: T } const i: I = { t: 3 }; this.total! += i.t as T; }
  }
  return Block.total;
});
