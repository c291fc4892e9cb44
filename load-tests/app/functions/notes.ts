import { fail, procedure, query, type Doc, type Float, type Int } from "weir";
import { notes, type Note } from "../collections";

/** Makes topics, numbered from 0, of which nothing was said. */
export const addTopics = procedure((args: { count: Int; sent: Float }): Int => {
  for (let topic = 0; topic < args.count; topic++) notes.insert({ topic, number: 0, text: "note 0", sent: args.sent });
  return args.count;
});

/** Says the next thing about a topic. */
export const publish = procedure((args: { topic: Int; sent: Float }): Doc<Note> => {
  const note = notes.where("topic", args.topic).first();
  if (!note) fail("NO_TOPIC", "add it with addTopics first");
  const number = note.number + 1;
  return notes.patch(note.id, { number, text: `note ${number}`, sent: args.sent });
});

/** The last thing that was said about a topic. */
export const lastOf = query((args: { topic: Int }): Doc<Note> | null => notes.where("topic", args.topic).first());
