// RUNTIME yoga.mjs HOST PORT
//
// graphql-yoga on Node, Deno and Bun, each with the HTTP server that it has itself.

import { createServer } from "node:http";
import { createSchema, createYoga } from "graphql-yoga";
import { resolvers, typeDefs } from "./schema.mjs";

const [hostname, port] = process.argv.slice(2);
const yoga = createYoga({ schema: createSchema({ typeDefs, resolvers }), logging: false, graphiql: false });

if (globalThis.Deno) {
  Deno.serve({ hostname, port: Number(port), onListen: () => {} }, (request) => yoga.fetch(request));
} else if (globalThis.Bun) {
  Bun.serve({ hostname, port: Number(port), fetch: (request) => yoga.fetch(request) });
} else {
  createServer(yoga).listen({ host: hostname, port: Number(port), backlog: 1024 });
}
