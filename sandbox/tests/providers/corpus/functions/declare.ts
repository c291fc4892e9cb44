import { query, type JSON } from "weir";

declare const ambient: number;
declare let changing: string, other: number;
declare var old: boolean;
declare function missing(value: number): string;
declare function missing(value: string): string;
declare class Ghost { private x: number; haunt(): void }
declare abstract class Spirit { abstract rise(): void }
declare enum Level { Low, High }
declare const enum Fixed { A = 1 }
declare namespace Outer.Inner { const deep: number; interface Held { a: number } namespace More {} }
declare module "nothing" { export const x: number; }
declare global { interface Array<T> { readonly second?: T } }
declare type Alias = Ghost | Spirit;
declare interface Shape { sides: number }
export declare const exported: number;
export declare function exportedFunction(): void;
export declare class ExportedClass {}

type Held = Outer.Inner.Held & Shape;

export const kinds = query((): JSON => [typeof ambient, typeof changing, typeof other, typeof old, typeof missing, typeof Ghost, typeof Level]);
export const declared = query((): JSON => ({ a: 1, sides: 2 } satisfies Held));
export const called = query((): JSON => {
  try {
    return missing(1);
  } catch (error) {
    return String(error);
  }
});
export const inFunctions = query((): JSON => {
  const Ghost = "a value of that name";
  type Local = typeof Ghost;
  interface Shape { length: number }
  const local: Local & Shape = Ghost;
  return local;
});
