import { GraphQLClient } from "graphql-request";

export const connect = (url) => new GraphQLClient(url);
