import { query, type JSON } from "weir";

function size(value: string): number;
function size(value: unknown[]): number;
function size(value: string | unknown[]): number {
  return value.length;
}

export function double(value: number): number;
export function double(value: string): string;
export function double(value: any): any {
  return value + value;
}

class Reader {
  read(key: string): string;
  read(key: number): number;
  read(key: string | number): string | number { return key; }
  static of(): Reader;
  static of(_: string): Reader;
  static of(_?: string): Reader { return new this(); }
  constructor();
  constructor(name: string);
  constructor(readonly name: string = "none") {}
}

export const functions = query((): JSON => [size("abc"), size([1, 2]), double(2), double("x")]);
export const methods = query((): JSON => [Reader.of().read("k"), Reader.of("").read(1), new Reader("n").name, new Reader().name]);
export const inBlocks = query((): JSON => {
  function inner(): number;
  function inner(x: number): number;
  function inner(x = 5): number { return x; }
  {
    function inner(): string;
    function inner(): string { return "block"; }
    if (inner() !== "block") return "wrong";
  }
  return [inner(), inner(6)];
});
export const lengths = query((): JSON => [size.length, double.length, Reader.length, Reader.prototype.read.length]);
