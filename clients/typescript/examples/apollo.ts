import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, Observable } from "@apollo/client";
import { OperationTypeNode } from "graphql";
import type { Client } from "@weir/client";

export function apolloClient(url: string, weir: Client): ApolloClient {
  const live = new ApolloLink(
    ({ query, variables, operationName }) =>
      new Observable((observer) => weir.subscribe({ query, variables, operationName }, observer)),
  );
  return new ApolloClient({
    cache: new InMemoryCache(),
    link: ApolloLink.split(
      ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
      live,
      new HttpLink({ uri: url }),
    ),
  });
}
