import { collection, type Int, type JSON as Json } from "weir";

/** What the neighbours keep. */
export interface Note {
  name: string;
  size: Int;
}

/** What the scripts read and write. */
export interface Thing {
  name: string;
  size: Int;
  data?: Json;
}

export const notes = collection<Note>({ index: ["name"] });
export const things = collection<Thing>({ index: ["name", "size"] });
