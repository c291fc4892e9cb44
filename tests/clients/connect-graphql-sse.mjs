import { createClient } from "graphql-sse";

export const connect = (url) => createClient({ url });
