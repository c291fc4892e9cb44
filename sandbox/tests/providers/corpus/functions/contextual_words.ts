import { query, type JSON } from "weir";
import { type, of, satisfies as plus } from "../lib/words";

const abstract = 1, declare = 2, namespace = 3, module = 4, readonly = 5, is = 6, infer = 7, keyof = 8, unique = 9, out = 10, override = 11, global = 12, any = 13, number = 14, string = "s", asserts = 15, require = 16, accessor = 17, satisfies = 18, from = 19, get = 20, set = 21, target = 22, meta = 23, constructor = 24, intrinsic = 25, async = (x: number): number => x, as = 27, undefined_ = undefined, never = 28, object = 29, symbol = 30, defer = 31, source = 32;
type abstract = typeof abstract;
type type = abstract;
type of = type;
interface declare { declare: declare; type: type; readonly readonly: 1; get get(): 1; set: set; new: 1; as?: as }
type set = 1; type as = 2;

export const values = query((): JSON => [abstract, declare, namespace, module, readonly, is, infer, keyof, unique, out, override, global, any, number, string, asserts, require, accessor, satisfies, from, get, set, target, meta, constructor, intrinsic, async(26), as, undefined_ ?? 0, never, object, symbol, defer, source]);
export const asThemselves = query((): JSON => [as as as, type as unknown as string, satisfies satisfies number, (as as number) as any, of, plus(1)]);
export const statements = query((): JSON => {
  let type: number = 0, declare = 0, abstract = 0, namespace = 0, module = 0, interface_ = 0;
  type = 1; declare
  ++abstract; namespace
  = 4; module = 2; type
  declare = 3; abstract
  async (4);
  type + 1; type; type ? 1 : 2; abstract[0]; module.x; namespace.toFixed();
  return [type, declare, abstract, namespace, module, interface_];
  function declare_(): void {}
});
export const parameters = query((): JSON => {
  const f = (type: string, as?: number, readonly = 1, ...of: number[]): JSON => [type, as!, readonly, of];
  const g = async => async + 1;
  const h = (async: number) => async;
  const { type: as2, as: type2 = 3, of }: { type: number; as?: number; of: of | number } = { type: 1, of: 2 };
  return [f("t", 1), g(1), h(2), as2, type2, of as number];
});
