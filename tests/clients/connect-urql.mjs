import { Client, fetchExchange } from "@urql/core";

// Subscriptions come as server-sent events.
export const connect = (url) => new Client({ url, exchanges: [fetchExchange], fetchSubscriptions: true });
