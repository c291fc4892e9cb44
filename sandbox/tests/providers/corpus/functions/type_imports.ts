import type { Shape, Named } from "../lib/types";
import { type Unit, type Point, one } from "../lib/values";
import { type JSON, query } from "weir";
import type * as Types from "../lib/types";
import { type Shape as type } from "../lib/types";
import type { from, as } from "../lib/words";

const square: Named<Shape> & type = { sides: 4, name: "square" };
const unit: Unit = "cm";
const place: Types.Place & Point = { x: one, y: one };
type Never = as | from;

export const all = query((): JSON => [square, unit, place as unknown as JSON]);
export const word = query((): JSON => ({ as: typeof (undefined as unknown as Never) }));
