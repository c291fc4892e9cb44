// Values and types that the corpus imports.
export interface Point {
  x: number;
  y: number;
}

export type Unit = "cm" | "inch";

export const origin: Point = { x: 0, y: 0 };

export const one = 1;

export const units = ["cm", "inch"] as const satisfies readonly Unit[];

export function shift(point: Point, by: number = one): Point {
  return { ...point, x: point.x + by };
}

export class Box<T> {
  readonly #value: T;
  constructor(value: T) {
    this.#value = value;
  }
  open(): T {
    return this.#value;
  }
}

export const fail = (reason: string): never => {
  throw new RangeError(`lib: ${reason}`);
};
