import { fail, procedure, query, stream, type Doc, type Float, type ID, type Int } from "weir";
import { cards, type Card } from "../collections";

/** All cards in order. */
export const board = query((): Doc<Card>[] => cards.orderBy("place"));

/** The titles of a lane. */
export const titles = query((args: { lane: Card["lane"] }): string[] =>
  cards.where("lane", args.lane).orderBy("place").all().map((card) => card.title),
);

/** How many votes there are. Fails as long as a card asks for it. */
export const votes = query((): Int => {
  const all = cards.all();
  if (all.some((card) => card.title === "broken")) fail("BROKEN", "a card is broken");
  return all.reduce((sum, card) => sum + card.votes, 0);
});

/** Counts up. */
export const counted = stream(async function* (args: { to: Int }): AsyncGenerator<Int> {
  for (let n = 1; n <= args.to; n++) yield n;
});

/** Adds a card. */
export const add = procedure((args: { title: string; lane?: Card["lane"]; place?: Float }): Doc<Card> =>
  cards.insert({ title: args.title, lane: args.lane ?? "todo", place: args.place ?? 0, tags: [], steps: [], votes: 0 }),
);

/** Changes what is given. */
export const change = procedure(
  (args: { id: ID; title?: string; lane?: Card["lane"]; place?: Float; note?: string | null; tags?: string[]; steps?: Card["steps"] }): Doc<Card> => {
    const { id, note, ...rest } = args;
    const part = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
    return cards.patch(id, note === undefined ? part : { ...part, note: note ?? undefined });
  },
);

/** One vote more. */
export const vote = procedure((args: { id: ID }): Int => {
  const card = cards.get(args.id);
  if (!card) fail("NOT_FOUND", "no such card");
  return cards.patch(card.id, { votes: card.votes + 1 }).votes;
});

/** Takes a card away. */
export const remove = procedure((args: { id: ID }): boolean => cards.delete(args.id));
