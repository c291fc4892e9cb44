import { action, query, type JSON } from "weir";

const wait = async <T,>(value: T, turns: number = 1): Promise<T> => { for (let i = 0; i < turns; i++) await null; return value; };

export const awaits = action(async (): Promise<JSON> => [await wait(1), (await wait<number[]>([2]))[0]!, (await wait({ a: 3 })).a, await (wait(4) as Promise<number>), (await wait(5)) ** 2 as number].flat());
export const races = action(async (): Promise<JSON> => {
  const seen: string[] = [];
  await Promise.all([wait(1, 3).then(() => { seen.push("a"); }), (async () => { await wait(2); seen.push("b"); })(), Promise.resolve().then((): void => { seen.push("c"); })] as Promise<void>[]);
  return seen;
});
export const caught = action(async (): Promise<JSON> => {
  try { await (Promise.reject(new Error("rejected")) as Promise<number>)!; return "not thrown"; } catch (error: any) { return error.message as string; } finally { await null!; }
});
export const notAsync = action((): Promise<JSON> => wait<JSON>("plain"));
export const settled = query((): JSON => { const { promise, resolve } = Promise.withResolvers<number>(); resolve(1); return typeof promise.then; });
