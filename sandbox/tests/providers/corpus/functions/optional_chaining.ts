import { query, type JSON } from "weir";

interface Node { next?: Node; value?: number | null; call?(by?: number): number; list?: number[] }
const chain: Node = { value: 1, next: { value: null, list: [1, 2], call(by = 1) { return (this.list?.length ?? 0) + by; } } };
const none = undefined as Node | undefined;
const nothing = null as null | { a: { b: { c(): number } } };

export const reads = query((): JSON => [chain.next?.list?.[1] ?? -1, none?.next?.list?.[1] ?? -1, chain?.["value"] ?? 0]);
export const calls = query((): JSON => [chain.next?.call?.(2) ?? 0, chain.call?.() ?? 0, none?.call!(1) ?? "short", chain?.next!.call!(3)]);
export const shortCircuits = query((): JSON => String([nothing?.a.b.c(), nothing?.a!.b!.c(), nothing?.a["b"].c?.()]));
export const broken = query((): JSON => {
  const outcomes: string[] = [];
  for (const read of [() => (nothing?.a)!.b, () => (nothing?.a as any).b, () => (<any>nothing?.a).b, () => (nothing?.a satisfies object | undefined)!.b]) {
    try { outcomes.push(String(read())); } catch { outcomes.push("thrown"); }
  }
  return outcomes;
});
export const receivers = query((): JSON => [(chain.next?.call)!(4), (chain.next?.call as any)?.(5), (chain.next!.call!)?.(6)]);
export const deletes = query((): JSON => {
  const object: { a?: { b?: number } } = { a: { b: 1 } };
  return [delete object?.a?.b, delete (object as any)?.["a"], delete none?.next, Object.keys(object)];
});
export const numbersAndQuestions = query((): JSON => [chain ?.5:1, none?.value?.toFixed(1) ?? "-", true?.5:0]);
export const templates = query((): JSON => `${chain?.value}${none?.value}${chain.next?.list?.map((x) => x! * 2).join()}`);
export const assignment = query((): JSON => {
  const into: Node = {};
  into.value ??= 5;
  into.next ||= { value: 6 };
  into.next.value &&= 7;
  into.next!.list! ??= [];
  return into as JSON;
});
