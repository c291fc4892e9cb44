// What every client does with `examples/shop`, connected as the documentation says: a query with variables, a mutation, an
// error, and a subscription that sees the mutation.
//
// `matrix.mjs CLIENT URL TOTAL` connects with `connect-CLIENT.mjs`, places an order of TOTAL and writes what came of it:
// `{"name", "placed", "error", "live"}`.

import { gql } from "@apollo/client";
import WebSocket from "ws";

// As browsers have it.
globalThis.WebSocket = WebSocket;

const [name, url, total] = process.argv.slice(2);
const { connect } = await import(`./connect-${name}.mjs`);
const client = connect(url);

/** A promise of the first value, and a function that waits for the next. */
const values = (subscribe) => {
  const [come, waiting] = [[], []];
  const settle = (method) => (value) => {
    const waiter = waiting.shift();
    if (waiter) waiter[method](value);
    else come.push([method, value]);
  };
  const end = subscribe({
    next: settle("resolve"),
    error: settle("reject"),
    complete: () => settle("reject")(new Error("the subscription has ended")),
  });
  const next = () =>
    new Promise((resolve, reject) => {
      const [method, value] = come.shift() ?? [];
      if (method) ({ resolve, reject })[method](value);
      else waiting.push({ resolve, reject });
    });
  return { next, end };
};

/** The only result of an operation of `graphql-ws` or `graphql-sse`. */
const only = async (payload) => {
  for await (const result of client.iterate(payload)) return result;
};
const iterating = {
  run: async (query, variables) => only({ query, variables }),
  subscribe: (query, variables, sink) => client.subscribe({ query, variables }, sink),
};
const urql = {
  run: async (query, variables) => {
    const ask = query.startsWith("mutation") ? client.mutation : client.query;
    const { data, error } = await ask.call(client, query, variables).toPromise();
    return { data, errors: error?.graphQLErrors };
  },
  subscribe: (query, variables, { next }) => client.subscription(query, variables).subscribe(next).unsubscribe,
};
const relay = (text, variables) => {
  const operationKind = text.match(/^\w+/)[0];
  const request = { id: null, cacheID: text, name: "Operation", text, operationKind, metadata: {} };
  return client.getNetwork().execute(request, variables, { force: true });
};

/** How each client runs an operation to its result, and how it subscribes. */
const { run, subscribe } = {
  "graphql-request": {
    run: async (query, variables) => {
      try {
        return { data: await client.request(query, variables) };
      } catch ({ response }) {
        return { errors: response.errors };
      }
    },
  },
  apollo: {
    run: async (query, variables) => {
      try {
        const isMutation = query.startsWith("mutation");
        const { data } = isMutation
          ? await client.mutate({ mutation: gql(query), variables })
          : await client.query({ query: gql(query), variables });
        return { data };
      } catch ({ errors }) {
        return { errors };
      }
    },
    subscribe: (query, variables, sink) => {
      const subscription = client.subscribe({ query: gql(query), variables }).subscribe(sink);
      return () => subscription.unsubscribe();
    },
  },
  urql,
  "urql-graphql-sse": urql,
  relay: {
    run: (text, variables) => relay(text, variables).toPromise(),
    subscribe: (text, variables, sink) => relay(text, variables).subscribe(sink).unsubscribe,
  },
  "graphql-sse": iterating,
  "graphql-ws": iterating,
}[name];

const email = "ada@example.com";
const { data } = await run("query($email: String!) { customerByEmail(email: $email) { id name } }", { email });
const { id: customer, name: known } = data.customerByEmail;

const query = "subscription($customer: ID!) { ordersOf(customer: $customer, limit: 1) { total } }";
const live = subscribe && values((sink) => subscribe(query, { customer }, sink));
const newest = async () => (await live.next()).data.ordersOf[0].total;
const before = live && (await newest());

const place = "mutation($customer: ID!, $total: Float!) { placeOrder(customer: $customer, total: $total) { total } }";
const placed = (await run(place, { customer, total: Number(total) })).data.placeOrder.total;
const seen = live && [before, await newest()];
live?.end();

const failed = await run(place, { customer: "nobody", total: 1 });
const { code, appCode } = failed.errors[0].extensions;
console.log(JSON.stringify({ name: known, placed, error: [code, appCode ?? null], live: seen ?? null }));
// Sockets stay open for the next operation.
process.exit(0);
