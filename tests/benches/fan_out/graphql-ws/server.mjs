// The board of the benchmark behind graphql-ws: a state in memory, and subscriptions that an in-memory pub/sub feeds.
//
// node server.mjs HOST PORT
// A subscription joins before its first value is sent, so that it misses none.

import { createServer } from "node:http";
import { buildSchema } from "graphql";
import { useServer } from "graphql-ws/use/ws";
import { WebSocketServer } from "ws";

const [host, port] = process.argv.slice(2);

const schema = buildSchema(`
  type Player { id: ID!, name: String!, points: Int! }
  type Query { board: [Player!] }
  type Mutation { score(points: Int!): Int }
  type Subscription { board: [Player!] }
`);

const players = Array.from({ length: 100 }, (_, n) => ({ id: `p${n}`, name: `player ${n}`, points: 100 - n }));
const board = () => [...players].sort((a, b) => b.points - a.points).slice(0, 10);

/** The values for one subscriber: those that wait for it, or it for the next. */
class Values {
  static all = new Set();
  #waiting = [];
  #taker = null;

  constructor(first) {
    this.#waiting.push(first);
    Values.all.add(this);
  }

  push(value) {
    if (this.#taker === null) return this.#waiting.push(value);
    this.#taker({ value, done: false });
    this.#taker = null;
  }

  next() {
    if (this.#waiting.length > 0) return Promise.resolve({ value: this.#waiting.shift(), done: false });
    return new Promise((taker) => (this.#taker = taker));
  }

  return() {
    Values.all.delete(this);
    this.#taker?.({ value: undefined, done: true });
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator]() {
    return this;
  }
}

const roots = {
  query: { board },
  mutation: {
    score: ({ points }) => {
      players[0].points = points;
      const value = { board: board() };
      for (const values of Values.all) values.push(value);
      return points;
    },
  },
  subscription: { board: () => new Values({ board: board() }) },
};

const http = createServer();
useServer({ schema, roots }, new WebSocketServer({ server: http, path: "/graphql" }));
http.listen({ host, port: Number(port), backlog: 1024 });
