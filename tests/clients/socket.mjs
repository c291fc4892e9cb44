// A real graphql-ws client that is driven line by line.
//
// Takes `{"subscribe": NAME, "query": …, "variables": …, "extensions": …}` and `{"complete": NAME}` on stdin; writes
// `{"name": NAME, "next" | "error" | "complete": …}` for everything that comes, and `{"closed": CODE}`. A `next` with a patch
// gets the `data` that comes of it.

import { createInterface } from "node:readline";
import jsonpatch from "fast-json-patch";
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const write = (message) => console.log(JSON.stringify(message));

const client = createClient({
  url: process.argv[2],
  webSocketImpl: WebSocket,
  // What the server ends stays ended: that it does is seen here.
  retryAttempts: 0,
  lazy: false,
  onNonLazyError: (error) => write({ failed: String(error) }),
  on: {
    connected: () => write({ connected: true }),
    closed: (event) => write({ closed: event.code }),
  },
});

const endings = new Map();

for await (const line of createInterface({ input: process.stdin })) {
  const { subscribe, complete, ...payload } = JSON.parse(line);
  if (complete !== undefined) endings.get(complete)();
  if (subscribe === undefined) continue;
  let data;
  const sink = {
    next: (next) => {
      const patch = next.extensions?.weir?.patch;
      data = patch ? jsonpatch.applyPatch(data, patch, true, false).newDocument : next.data;
      write({ name: subscribe, next: { ...next, data } });
    },
    error: (error) => write({ name: subscribe, error }),
    complete: () => write({ name: subscribe, complete: true }),
  };
  endings.set(subscribe, client.subscribe(payload, sink));
}
await client.dispose();
