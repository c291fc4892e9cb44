import { query, type JSON } from "weir";

type Colour = "red" | "green";
const palette = { red: [255, 0, 0], green: "#00ff00" } satisfies Record<Colour, string | number[]>;
const point = { x: 1, y: 2 } as const satisfies { x: number; y: number };

export const red = query((): JSON => palette.red.map((part) => part / 5));
export const green = query((): JSON => palette.green.toUpperCase());
export const nested = query((): JSON => [point satisfies object, [point.x satisfies 1] satisfies number[]]);
export const inCalls = query((): JSON => Math.max(...([1, 2, 3] satisfies number[]), 2 satisfies number));
export const inConditions = query((): JSON => (point.x satisfies number) > 0 ? "yes" satisfies string : "no");
export const ofArrows = query((): JSON => (((a, b) => a + b) satisfies (a: number, b: number) => number)(1, 2));
