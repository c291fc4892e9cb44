import { query, type JSON } from "weir";

const Anonymous = class {};
const Named = class Inner<T> { own = (): string => Inner.name; value?: T };
type Mixable<T = {}> = new (...args: any[]) => T;
const tagged = <B extends Mixable>(Base: B) => class Tagged extends Base { tag = "tagged"; };
const extended = class<T extends object> extends tagged(class<U> { u?: U; first = 1 })<T> implements Iterable<number> {
  declare x: T;
  *[Symbol.iterator](): Generator<number, void, unknown> { yield this.first; }
  [Symbol.dispose](): void {}
} as any;

export const names = query((): JSON => [Anonymous.name, Named.name, new Named<1>().own(), extended.name, (class {}).name, tagged(Object as any).name]);
export const mixed = query((): JSON => [[...new extended()], new extended().tag, Object.keys(new extended())]);
export const inExpressions = query((): JSON => {
  const made = new (class<T> { constructor(public value: T) {} })<string>("x");
  const list = [class {}, class A {}, (class B<T> {} as any)].map((one: { name: string }) => one.name);
  return [made.value, list, typeof (class {} as unknown)];
});
export const extendsOdd = query((): JSON => {
  const nothing = class extends (null as any) {} as any;
  const conditional = class extends (Math.PI > 3 ? Array<number> : Object) {} as any;
  return [Object.getPrototypeOf(nothing.prototype) === null, new conditional(1, 2).length];
});
