// A real graphql-sse client that is driven line by line, as `socket.mjs` is, and a browser's own EventSource beside it.
//
// Takes `{"subscribe": NAME, "query": …, "variables": …, "extensions": …}` and `{"complete": NAME}` on stdin; writes
// `{"name": NAME, "next" | "error" | "complete": …}` for everything that comes. A `next` with a patch gets the `data` that
// comes of it. `{"watch": NAME, "query": …, "variables": …}` opens an EventSource, which comes back by itself; each time that it
// asks it writes `{"name": NAME, "asks": …}` with the id of the last event that it has got.

import { createInterface } from "node:readline";
import { EventSource } from "eventsource";
import jsonpatch from "fast-json-patch";
import { createClient } from "graphql-sse";

const url = process.argv[2];
const write = (message) => console.log(JSON.stringify(message));

// What the server ends stays ended: that it does is seen here.
const client = createClient({ url, retryAttempts: 0 });

const endings = new Map();

function watch(name, query, variables) {
  const parameters = new URLSearchParams({ query, variables: JSON.stringify(variables) });
  const ask = (input, init) => {
    write({ name, asks: init.headers["Last-Event-ID"] ?? null });
    return fetch(input, init);
  };
  const source = new EventSource(`${url}?${parameters}`, { fetch: ask });
  source.addEventListener("next", ({ data }) => write({ name, next: JSON.parse(data) }));
  source.addEventListener("complete", () => {
    source.close();
    write({ name, complete: true });
  });
  endings.set(name, () => source.close());
}

for await (const line of createInterface({ input: process.stdin })) {
  const { subscribe, complete, watch: watched, ...payload } = JSON.parse(line);
  if (complete !== undefined) endings.get(complete)();
  if (watched !== undefined) watch(watched, payload.query, payload.variables);
  if (subscribe === undefined) continue;
  let data;
  const sink = {
    next: (next) => {
      const patch = next.extensions?.weir?.patch;
      data = patch ? jsonpatch.applyPatch(data, patch, true, false).newDocument : next.data;
      write({ name: subscribe, next: { ...next, data } });
    },
    error: (error) => write({ name: subscribe, error: String(error) }),
    complete: () => write({ name: subscribe, complete: true }),
  };
  endings.set(subscribe, client.subscribe(payload, sink));
}
