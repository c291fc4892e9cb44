import { query, type JSON } from "weir";

interface Options { a?: number; b?: { c: string }; [more: string]: unknown }
function read({ a = 1, b: { c } = { c: "none" }, ...rest }: Options = {}, [first, , third = "t"]: readonly (string | undefined)[] = []): JSON {
  return [a, c, Object.keys(rest), first ?? "none", third!];
}
const { length, ["at"]: at, [`${"con"}cat` as "concat"]: joined }: string = "word";

export const parameters = query((): JSON => [read(), read({ a: 2, b: { c: "c" }, d: 4 }, ["x", "y", "z"])]);
export const assignments = query((): JSON => {
  let a: number, b: number | undefined, rest: number[];
  [a, b = 9, ...rest] = [1, undefined, 3, 4] as number[];
  ({ a, b: b = 5 } = { a: 6 } as { a: number; b?: number });
  [a, b] = [b!, a];
  const object = {} as { x: number; list: number[] };
  ({ x: object.x, y: [(object as any).first = 2] = [] } = { x: 1 } as any);
  [object["list" as const]] = [[1]];
  return [a, b!, rest, object as JSON, length, typeof at, typeof joined];
});
export const catches = query((): JSON => {
  const seen: string[] = [];
  try { throw { message: "m", code: 1 }; } catch ({ message, code }: any) { seen.push(message, String(code)); }
  try { null!; throw "text"; } catch (error: unknown) { seen.push(error as string); } finally { seen.push("finally"); }
  try { (null as any).x; } catch { seen.push("none"); }
  return seen;
});
export const order = query((): JSON => {
  const seen: string[] = [];
  const note = <T,>(name: string, value: T): T => (seen.push(name), value);
  const { [note("key", "k")]: value = note("default", 1) as number } = note("source", {} as Record<string, number>);
  return [...seen, value];
});
export const shorthand = query((): JSON => { const x = 1, y = 2; const { x: z = y as number } = { x: undefined as number | undefined }; return { x, y: y as number, z, ["w"]: x! }; });
