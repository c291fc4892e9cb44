import { query, type JSON } from "weir";

class Base { kind(): string { return "base"; } static make<T extends typeof Base>(this: T): InstanceType<T> { return new this() as InstanceType<T>; } get name(): string { return "n"; } }
class Derived extends Base {
  override kind(): string { return (super.kind as any).call(this) + super.kind!() + (super["kind"] as () => string)(); }
  override get name(): string { return super.name! + (super.name as string); }
  arrow = (): string => super.kind();
  static override make<T extends typeof Base>(this: T): InstanceType<T> { return super.make.call(this) as InstanceType<T>; }
}
function Old(this: { target: boolean } | void): JSON { return new.target === undefined ? "called" : "built"; }

export const supers = query((): JSON => [new Derived().kind(), new Derived().name, new Derived().arrow(), Derived.make().kind(), Derived.make() instanceof Derived]);
export const targets = query((): JSON => {
  let seen: JSON = null;
  class Target { constructor(public given?: number) { seen = (new.target as Function).name; } }
  new Target; new (class Sub extends Target {} as typeof Target)(1);
  return [Old(), seen, typeof new (Old as any)(), new (Target!)(2).given!, (new Target(3)).given!, new Target(4)["given" as const]!];
});
export const objects = query((): JSON => {
  const parent = { greet(): string { return "hello"; } };
  const child = { __proto__: parent, greet(): string { return super.greet() + "!"; } } as typeof parent;
  return child.greet();
});
export const conditionalSuper = query((): JSON => {
  class A { constructor(readonly a: number) {} }
  class B extends A { readonly b: number; constructor(flag: boolean, b = 1) { if (flag) super(1); else super(2); this.b = b; } }
  class C extends A { constructor(public c: number) { super(((): number => c * 2)()); this.c++; } }
  return [{ ...new B(true) }, { ...new B(false) }, { ...new C(5) }];
});
