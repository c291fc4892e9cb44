import { query, JSON as Json } from "weir";
// Only types use these: nothing of them may be left, or V8 would ask for exports that are not there.
import { Shape, Named } from "../lib/types";
import { Box, origin, units, Unit } from "../lib/values";
import { satisfies, type as kind } from "../lib/words";
// Nobody uses these.
import { eins, inner } from "../lib/barrel";
import {} from "../lib/barrel";
import { Called } from "../lib/barrel";
// These are values as well.
import { shift, Point, one as uno } from "../lib/values";

type Boxed = Box<typeof origin>;
type Measure = (typeof units)[number] | Unit;
interface Triangle extends Shape { at: Point }
class Named3 implements Named<Triangle> {
  sides = 3;
  name = "triangle";
  at: Point = { x: uno, y: 0 };
  declare box: Boxed;
  f(satisfies: number): number { return satisfies; }
}
declare const called: Called<Shape>;

export const shifted = query((): Json => shift(new Named3().at, 2) as unknown as Json);
export const shadowed = query((): Json => {
  const kind = "local";
  const measure: Measure = "inch";
  return [kind, measure, new Named3().f(1), [1].map((inner) => inner)];
});
export const ambient = query((): Json => typeof (undefined as typeof called | typeof kind | typeof satisfies | undefined));
