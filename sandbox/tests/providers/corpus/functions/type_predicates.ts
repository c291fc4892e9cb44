import { query, type JSON } from "weir";

const isText = (value: unknown): value is string => typeof value === "string";
function assertNumber(value: unknown): asserts value is number { if (typeof value !== "number") throw new TypeError("no number"); }
function assert(condition: unknown, message?: string): asserts condition { if (!condition) throw new Error(message ?? "assertion failed"); }
class Tree { left?: Tree; hasLeft(): this is Tree & { left: Tree } { return this.left !== undefined; } assertLeft(): asserts this is { left: Tree } { assert(this.left, "no left"); } }
const asserts = (is: number): number => is;
const is = (asserts: boolean): boolean => asserts;

export const predicates = query((): JSON => [isText("x"), isText(1), [1, "a", null].filter(isText), new Tree().hasLeft()]);
export const assertions = query((): JSON => {
  const value: unknown = 4;
  assertNumber(value);
  assert(value > 3);
  return value + asserts(1) + Number(is(true));
});
export const failed = query((): JSON => {
  new Tree().assertLeft();
  return 1;
});
