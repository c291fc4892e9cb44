import { collection, type Float, type Int } from "weir";

/** A number that only goes up. */
export interface Counter {
  name: string;
  value: Int;
}

/** The last thing that was said about a topic. */
export interface Note {
  topic: Int;
  /** Counts what was said about it. */
  number: Int;
  text: string;
  /** When its sender sent it, in milliseconds of the sender's clock. */
  sent: Float;
}

export const counters = collection<Counter>({ unique: ["name"] });

export const notes = collection<Note>({ unique: ["topic"] });
