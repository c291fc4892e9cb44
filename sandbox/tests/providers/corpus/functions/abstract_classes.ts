import { query, type JSON } from "weir";
import type { Shape } from "../lib/types";

abstract class Polygon implements Shape {
  abstract readonly sides: number;
  abstract area(): number;
  protected abstract get label(): string;
  protected abstract set label(value: string);
  abstract accessor hidden: number;
  describe(): string {
    return `${this.label} with ${this.sides} sides, ${this.area()}`;
  }
}

class Square extends Polygon {
  override readonly sides = 4;
  declare hidden: number;
  constructor(private readonly side: number) {
    super();
  }
  override area(): number { return this.side ** 2; }
  protected override get label(): string { return "square"; }
  protected override set label(_: string) {}
}

type Constructor = abstract new (...args: any[]) => Polygon;
const isPolygon = (maker: Constructor): boolean => maker.prototype instanceof Polygon;

export const described = query((): JSON => new Square(3).describe());
export const members = query((): JSON => [Object.getOwnPropertyNames(Polygon.prototype), Object.getOwnPropertyNames(new Square(1))]);
export const made = query((): JSON => [isPolygon(Square), new (class extends Polygon { sides = 0; area() { return 0; } get label() { return "none"; } set label(_) {} declare hidden: number })().describe()]);
