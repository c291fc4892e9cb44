import { query, type JSON } from "weir";

const key: unique symbol = Symbol("key");
interface Keyed { [key]: number; readonly [Symbol.toStringTag]: string }
const keyed: Keyed = { [key]: 1, [Symbol.toStringTag]: "Keyed" };
class Money { constructor(private readonly cents: number) {} [Symbol.toPrimitive](hint: "number" | "string" | "default"): number | string { return hint === "number" ? this.cents : `${this.cents}c`; } static [Symbol.hasInstance](value: unknown): value is Money { return typeof value === "number"; } }

export const properties = query((): JSON => [keyed[key], String(keyed), key.description!, Object.keys(keyed).length]);
export const conversions = query((): JSON => [+(new Money(5) as any), `${new Money(6) as any}`, (1 as any) instanceof Money, (new Money(7) as any) + ""]);
export const iterators = query((): JSON => { const it: Iterable<number> = { [Symbol.iterator]: function* (): Generator<number> { yield* [1, 2]; } }; const [a, ...rest] = it; return [a!, rest, Math.max(...it), new Set<number>(it).size]; });
