import { Client, fetchExchange, subscriptionExchange } from "@urql/core";
import { createClient } from "graphql-sse";

// The same, but a subscription whose connection is lost is begun again.
export const connect = (url) => {
  const events = createClient({ url });
  const forwardSubscription = ({ query, variables }) => ({
    subscribe: (sink) => ({ unsubscribe: events.subscribe({ query, variables }, sink) }),
  });
  return new Client({ url, exchanges: [fetchExchange, subscriptionExchange({ forwardSubscription })] });
};
