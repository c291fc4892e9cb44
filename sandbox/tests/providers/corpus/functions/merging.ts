import { query, type JSON } from "weir";


type Status = "open" | "paid";
const Status = { open: "open", paid: "paid" } as const satisfies Record<Status, Status>;

interface parse { (text: string): number }
function parse(text: string): number { return Number(text); }

export type Both = number;
export const Both = 5;
type Iterable2<T> = { [Symbol.iterator](): Iterator<T> };
const Iterable2 = <T>(list: T[]): Iterable2<T> => list;
export { Status, type parse, Iterable2 };

export const classes = query((): JSON => {
  interface Money { amount: number }
  interface Money { currency?: string }
  class Money { constructor(amount: number) { this.amount = amount; } doubled(): Money { return new Money(this.amount * 2); } }
  return [new Money(2).doubled().amount, Object.keys(new Money(1))];
});
export const constants = query((): JSON => [Status.open satisfies Status, Both as Both, [...Iterable2([1])]]);
export const functions = query((): JSON => parse("4") + (parse as parse)("5"));
