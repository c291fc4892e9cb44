import { collection, type Float, type Int } from "weir";

/** A step of a card. */
export interface Step {
  text: string;
  done: boolean;
}

/** A card on the board. */
export interface Card {
  title: string;
  lane: "todo" | "doing" | "done";
  place: Float;
  note?: string;
  tags: string[];
  steps: Step[];
  votes: Int;
}

export const cards = collection<Card>({ index: ["place", ["lane", "place"]] });
