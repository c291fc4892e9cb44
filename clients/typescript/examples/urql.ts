import { Client, fetchExchange, subscriptionExchange } from "@urql/core";
import type { Client as WeirClient } from "@weir/client";

export function urqlClient(url: string, weir: WeirClient): Client {
  return new Client({
    url,
    preferGetMethod: false,
    exchanges: [
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: ({ query, variables, operationName }) => ({
          subscribe: (sink) => ({
            unsubscribe: weir.subscribe({ query: query ?? "", variables, operationName }, sink),
          }),
        }),
      }),
    ],
  });
}
