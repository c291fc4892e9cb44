// Real clients that hold a subscription each, whatever becomes of the server: nothing here is done when it goes and
// when it comes back.
//
// `returning.mjs URL CUSTOMER` writes `{"name": CLIENT, "totals": […]}` for every value that comes, and
// `{"name": CLIENT, "ended": …}` for a subscription that did not last.

import { ApolloClient, gql, InMemoryCache } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { Client, subscriptionExchange } from "@urql/core";
import jsonpatch from "fast-json-patch";
import { createClient as createEventsClient } from "graphql-sse";
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const [url, customer] = process.argv.slice(2);
const query = "subscription($customer: ID!) { ordersOf(customer: $customer) { id total } }";
const variables = { customer };

const write = (message) => console.log(JSON.stringify(message));
const show = (name, data) => write({ name, totals: data.ordersOf.map((order) => order.total) });
const end = (name) => (reason) => write({ name, ended: `${reason?.code ?? ""} ${reason?.reason ?? reason}` });

const pause = () => new Promise((resolve) => setTimeout(resolve, 200));

// Without end: a server may be away for long. That it refuses connections meanwhile is no reason to give up.
const connect = () =>
  createClient({
    url,
    webSocketImpl: WebSocket,
    retryAttempts: Infinity,
    shouldRetry: () => true,
    retryWait: pause,
  });

function subscribeWithGraphqlWs(name, extensions) {
  let data;
  connect().subscribe(
    { query, variables, extensions },
    {
      next: (next) => {
        const patch = next.extensions?.weir?.patch;
        data = patch ? jsonpatch.applyPatch(data, patch, true, false).newDocument : next.data;
        show(name, data);
      },
      error: end(name),
      complete: end(name),
    },
  );
}

function subscribeWithGraphqlSse(name) {
  const events = createEventsClient({ url: url.replace("ws", "http"), retryAttempts: Infinity, retry: pause });
  const next = ({ data }) => show(name, data);
  events.subscribe({ query, variables }, { next, error: end(name), complete: end(name) });
}

function subscribeWithApollo(name) {
  const client = new ApolloClient({ link: new GraphQLWsLink(connect()), cache: new InMemoryCache() });
  const next = ({ data, error }) => (error ? end(name)(error) : show(name, data));
  client.subscribe({ query: gql(query), variables }).subscribe({ next, error: end(name), complete: end(name) });
}

function subscribeWithUrql(name) {
  const socket = connect();
  const forwardSubscription = (request) => ({
    subscribe: (sink) => ({ unsubscribe: socket.subscribe({ ...request, query: request.query ?? "" }, sink) }),
  });
  // The address is for queries over HTTP, of which there are none.
  const client = new Client({ url: "http://127.0.0.1/", exchanges: [subscriptionExchange({ forwardSubscription })] });
  client.subscription(query, variables).subscribe(({ data, error, hasNext }) => {
    if (error || !hasNext) end(name)(error);
    else show(name, data);
  });
}

subscribeWithGraphqlWs("graphql-ws");
subscribeWithGraphqlSse("graphql-sse");
subscribeWithGraphqlWs("patches", { weir: { delta: "json-patch" } });
subscribeWithApollo("apollo");
subscribeWithUrql("urql");
