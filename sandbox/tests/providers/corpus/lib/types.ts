// Nothing of this module is left in JavaScript.
export interface Shape {
  readonly sides: number;
}
export type Named<T> = T & { name: string };
export declare const phantom: unique symbol;
export type { Point as Place } from "./values";
