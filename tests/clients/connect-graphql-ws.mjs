import { createClient } from "graphql-ws";

export const connect = (url) => createClient({ url: url.replace("http", "ws") });
