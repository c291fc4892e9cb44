import { query, type JSON } from "weir";
import { eins, inner, "the origin" as start, shift, type Mass, Shape, Called } from "../lib/barrel";
import * as words from "../lib/words";
import { yield as yields } from "../lib/words";
import "../lib/words";

export type { Shape };
export { type Called, type Mass as Weight };
export { units, type Unit } from "../lib/values";
export type * from "../lib/types";
export type * as types from "../lib/types";
export {} from "../lib/words";

interface Local { a: number }
class Kept {}
export { Local, Kept as Renamed, type Local as Other };

export const followed = query((): JSON => [eins, inner.one, shift(start, 3).x]);
export const whole = query((): JSON => [words.type, words.of, words.satisfies(1), yields, Object.keys(words)]);
export const weight = query((): JSON => ("cm" satisfies Mass));
export const kept = query((): JSON => [Kept.name, Object.keys(inner)]);
