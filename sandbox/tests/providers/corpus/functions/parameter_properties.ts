import { query, type JSON } from "weir";

class Account {
  balance = 0;
  readonly opened: string = "today";
  note?: string;
  constructor(public readonly owner: string, protected limit = 10, private secret?: string, plain = 1) {
    this.balance = plain + limit;
  }
  reveal(): JSON { return [this.limit, this.secret ?? null]; }
}

class Savings extends Account {
  rate = this.balance / 2;
  constructor(override readonly owner: string, public readonly years: number) {
    const doubled = years * 2;
    super(`${owner}!`, doubled);
    this.balance += this.years;
  }
}

class Shadow {
  constructor(public x: number, readonly f = () => x, public g = () => this.x) {
    x += 1;
    this.x += 10;
  }
}

export const values = query((): JSON => [{ ...new Account("ann") }, new Account("bob", 3, "s").reveal()]);
export const order = query((): JSON => [Object.keys(new Account("ann")), Object.keys(new Savings("cy", 2))]);
export const inherited = query((): JSON => ({ ...new Savings("cy", 2) }));
export const shadowed = query((): JSON => {
  const shadow = new Shadow(1);
  return [shadow.x, shadow.f(), shadow.g()];
});
export const lengths = query((): JSON => [Account.length, Savings.length, Shadow.length]);
export const expressions = query((): JSON => ({ ...new (class<T> { constructor(public value: T, readonly $: T, private readonly \u0061b: T) {} })(1, 2, 3) }));
export const early = query((): JSON => {
  class Early { copy = (this as any).later ?? "unset"; constructor(public later: number) {} }
  return { ...new Early(1) };
});
export const afterSuper = query((): JSON => {
  class Base { constructor(readonly base: number) {} }
  class Derived extends Base {
    constructor(public a: number, public b = a + 1) {
      "not a directive any more";
      if (a > 0) { a = a * 2; }
      super(a);
      this.a += 100;
    }
  }
  return { ...new Derived(1) };
});
