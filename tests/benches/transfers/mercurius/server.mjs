// The transfers of the benchmark behind mercurius: one GraphQL mutation that calls a function of PostgreSQL.
//
// node server.mjs HOST PORT SOCKET_FOLDER CONNECTIONS
// Statements are named, so that PostgreSQL prepares each once per connection; `jit` has hot queries compiled.

import Fastify from "fastify";
import mercurius from "mercurius";
import pg from "pg";

const [host, port, socket, connections] = process.argv.slice(2);
const pool = new pg.Pool({ host: socket, user: "weir", database: "postgres", max: Number(connections) });

const schema = `
  type Query { total: String! }
  type Mutation { transfer(source: ID!, target: ID!, amount: Int!): Boolean! }
`;

const resolvers = {
  Query: {
    total: async () => (await pool.query("SELECT sum(balance) AS total FROM accounts")).rows[0].total,
  },
  Mutation: {
    transfer: async (_, { source, target, amount }) => {
      const text = "SELECT transfer($1, $2, $3)";
      await pool.query({ name: "transfer", text, values: [Number(source), Number(target), amount] });
      return true;
    },
  },
};

const app = Fastify({ logger: false });
app.register(mercurius, { schema, resolvers, jit: 1, path: "/graphql" });
await app.listen({ host, port: Number(port) });
