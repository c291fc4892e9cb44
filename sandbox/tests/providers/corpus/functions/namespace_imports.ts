import * as weir from "weir";
import * as values from "../lib/values";
import * as unused from "../lib/words";
import * as types from "../lib/types";
import * as typed from "../lib/barrel";

type Place = types.Place & values.Point;
type Weight = typed.Mass;
const weight: Weight = "cm";

export const used = weir.query((): weir.JSON => [values.one, new values.Box<Place>({ x: 1, y: 2 }).open().y, weight]);
export const elided = weir.query((): weir.JSON => {
  const unused = 1 as unknown as typeof import("../lib/words");
  return unused as unknown as weir.JSON;
});
export const enumerated = weir.query((): weir.JSON => [Object.keys(values), "Point" in values]);
export const destructured = weir.query((): weir.JSON => {
  const { one, units: [first] } = values;
  return [one, first];
});
