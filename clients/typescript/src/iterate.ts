// A subscription as an async iterator.
//
// Values of live queries overtake each other: whoever takes them slowly gets the newest. Events of streams do not, so that
// they wait, up to a bound.

import type { Live, Sink } from "./live.js";

/** How many events of a stream wait for whoever iterates. */
export const EVENTS_WAITING_MAX = 10_000;

/** Events of a stream came faster than they were taken, [`EVENTS_WAITING_MAX`] of them. */
export class EventsWaiting extends Error {
  override name = "EventsWaiting";
  constructor() {
    super(`${EVENTS_WAITING_MAX} events of the stream wait to be taken: take them faster, or use subscribe`);
  }
}

/** Iterates over what `subscribe` tells its sink. Ends the subscription when the loop ends. */
export async function* iterate<Data>(
  subscribe: (sink: Sink<Data>) => () => void,
): AsyncGenerator<Live<Data>, void, undefined> {
  let waiting: Live<Data>[] = [];
  let end: { error?: unknown } | undefined;
  let wake = () => {};
  const finish = (how: { error?: unknown }) => {
    end ??= how;
    wake();
  };
  const unsubscribe = subscribe({
    next(live) {
      if (end !== undefined) return;
      if (live.cursor !== undefined || live.errors !== undefined) waiting = waiting.filter(isEvent);
      waiting.push(live);
      if (waiting.length > EVENTS_WAITING_MAX) finish({ error: new EventsWaiting() });
      wake();
    },
    error: (error) => finish({ error }),
    complete: () => finish({}),
  });
  try {
    for (;;) {
      const next = waiting.shift();
      if (next !== undefined) {
        yield next;
      } else if (end === undefined) {
        await new Promise<void>((resolve) => (wake = resolve));
      } else {
        if ("error" in end) throw asError(end.error);
        return;
      }
    }
  } finally {
    unsubscribe();
  }
}

function isEvent(live: Live<unknown>): boolean {
  return live.cursor === undefined && live.errors === undefined;
}

/** What graphql-ws tells a sink, as something to throw. */
function asError(error: unknown): Error {
  if (error instanceof Error) return error;
  if (Array.isArray(error)) return new Error(error.map(({ message }) => message).join("; "), { cause: error });
  const { code, reason } = (error ?? {}) as { code?: unknown; reason?: unknown };
  return new Error(`the socket was closed: ${code} ${reason}`, { cause: error });
}
