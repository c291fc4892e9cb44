import { query, type JSON } from "weir";

const Direction = { Up: "UP", Down: "DOWN" } as const;
type Direction = (typeof Direction)[keyof typeof Direction];
type Status = "open" | "paid" | "gone";
const opposite = { [Direction.Up]: Direction.Down, [Direction.Down]: Direction.Up } as const satisfies Record<Direction, Direction>;

function describe(status: Status): string {
  switch (status) {
    case "open": {
      const text: string = "open";
      return text;
    }
    case "paid" as const:
    case <Status>"gone":
      type Inner = "done";
      return "done" satisfies Inner;
    default:
      status satisfies never;
      return `unknown ${status as string}`;
  }
}

export const directions = query((): JSON => [Direction.Up, opposite[Direction.Up as Direction], Object.keys(Direction)]);
export const switches = query((): JSON => [describe("open"), describe("paid"), describe("gone"), describe("none" as Status)]);
export const fallThrough = query((): JSON => [0, 1, 2, 3].map((n: number): string => { let out = ""; switch (true as boolean) { case n > 2: out += "a"; case n > 1: out += "b"; break; default: out += "d"; case n > 0: out += "c"; } return out; }));
