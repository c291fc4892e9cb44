// Passes on what others declare, under the same and other names.
export * from "./values";
export * as inner from "./values";
export type { Shape } from "./types";
export { type Named, type Named as Called } from "./types";
export { one as eins, type Unit as Mass, origin as "the origin" } from "./values";
