import { query, type JSON } from "weir";

const __proto__ = { inherited: 1 };
const get = 1, set = 2, async = 3, of = 4, type = 5, as = 6;
const withProto = { __proto__: __proto__ };
const shorthandProto = { __proto__ };
const computedProto = { ["__proto__"]: __proto__ };
const quotedProto = { "__proto__": __proto__ as object };

export const protos = query((): JSON => [withProto, shorthandProto, computedProto, quotedProto].map((one) => [Object.keys(one), Object.getPrototypeOf(one) === __proto__]));
export const words = query((): JSON => ({ get, set, async, of, type, as, new: 7, class: 8, default: 9, await: 10, yield: 11, let: 12, static: 13, null: 14, true: 15 }));
export const methods = query((): JSON => {
  const object = { get() { return "get"; }, set(value: string): string { return value; }, async() { return "async"; }, static<T>(x: T): T { return x; }, *gen(): Generator<number> { yield 1; }, async later() { return 1; }, async *both() { yield 1; }, "quoted"() { return "q"; }, 1() { return 1; }, [`c${1}`](): string { return "c1"; }, get a() { return "a"; }, set a(_) {}, get: 5 as any };
  return [object.set("s"), object.async(), object.static<number>(1), [...object.gen()], object.quoted(), object[1](), (object as any).c1(), object.a, object.get, Object.keys(object)];
});
export const spreads = query((): JSON => { const a = { x: 1, y: 2 }; return [{ ...a, x: 3 }, { x: 3, ...a }, { ...(null as any), ...[7], ..."s" as any, ...(true && { z: 1 }) }]; });
export const duplicates = query((): JSON => ({ a: 1, b: 2, a: 3, ["b"]: 4 } as any));
export const names = query((): JSON => { const o = { f: () => 1, g: function () {}, ["h" as string]: class {}, i: (() => 1) as any, j: <any>function () {} }; return Object.values(o).map((one) => one.name); });
export const trailing = query((): JSON => [[1, 2,], [,], [, ,].length, ((a: number, b: number,) => a + b)(1, 2,), { a: 1, }]);
