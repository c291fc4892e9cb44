import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { createClient } from "graphql-ws";

export const connect = (url) => {
  const http = new HttpLink({ uri: url });
  const socket = new GraphQLWsLink(createClient({ url: url.replace("http", "ws") }));
  const link = ApolloLink.split(({ operationType }) => operationType === "subscription", socket, http);
  return new ApolloClient({ link, cache: new InMemoryCache() });
};
