// node mercurius.mjs HOST PORT PROCESSES
//
// mercurius on Fastify; `jit` has a query compiled once it was asked. Several processes share the port.

import cluster from "node:cluster";
import Fastify from "fastify";
import mercurius from "mercurius";
import { resolvers, typeDefs } from "./schema.mjs";

const [host, port, processes] = process.argv.slice(2);

if (cluster.isPrimary && processes !== "1") {
  for (let index = 0; index < Number(processes); index++) cluster.fork();
} else {
  const app = Fastify({ logger: false });
  app.register(mercurius, { schema: typeDefs, resolvers, jit: 1, path: "/graphql" });
  await app.listen({ host, port: Number(port) });
}
