// Real clients that name documents instead of sending them.
//
// `persisted.mjs URL` asks with Apollo Client and urql, twice each with a client that has just been made, and writes what
// each sent: `{"client": …, "sent": ["POST hash", "POST text"], "answer": …}`.
//
// `persisted.mjs URL ID` asks for the trusted document of that id with fetch, in three ways, and over a WebSocket with
// graphql-ws.

import { createHash } from "node:crypto";
import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { Client, fetchExchange } from "@urql/core";
import { persistedExchange } from "@urql/exchange-persisted";
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const [url, id] = process.argv.slice(2);
const write = (message) => console.log(JSON.stringify(message));
const sha256 = (text) => createHash("sha256").update(text).digest("hex");

// What a client sends, and how it goes.
function watched(sent) {
  return (input, init = {}) => {
    const [method, text] = [init.method ?? "GET", init.body ?? new URL(input).search];
    const query = method === "GET" ? new URLSearchParams(text).has("query") : "query" in JSON.parse(text);
    sent.push(`${method} ${query ? "text" : "hash"}`);
    return fetch(input, init);
  };
}

async function apollo(name, query, options = {}) {
  const sent = [];
  const links = [new PersistedQueryLink({ sha256, ...options }), new HttpLink({ uri: url, fetch: watched(sent) })];
  const client = new ApolloClient({ link: ApolloLink.from(links), cache: new InMemoryCache() });
  const { data } = await client.query({ query: gql(query) });
  client.stop();
  write({ client: name, sent, answer: data.count });
}

async function urql(name, query) {
  const sent = [];
  const exchanges = [persistedExchange({ preferGetForPersistedQueries: true }), fetchExchange];
  const client = new Client({ url, exchanges, fetch: watched(sent) });
  const { data, error } = await client.query(query, {}).toPromise();
  write({ client: name, sent, answer: error ? `${error}` : data.count });
}

// Each its own document: what one has registered is known to all.
async function register() {
  const [one, other] = ["query Apollo { count }", "query Urql { count }"];
  await apollo("Apollo Client", one);
  await apollo("Apollo Client again", one);
  await apollo("Apollo Client with GET", one, { useGETForHashedQueries: true });
  await urql("urql", other);
  await urql("urql again", other);
}

async function trusted() {
  const show = async (client, response) => {
    const { data, errors } = await response.json();
    write({ client, answer: data ? data.count : errors[0].extensions.code });
  };
  const post = (body) =>
    fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  const hash = { persistedQuery: { version: 1, sha256Hash: id.replace("sha256:", "") } };
  await show("POST", await post({ documentId: id }));
  await show("GET", await fetch(`${url}?${new URLSearchParams({ documentId: id })}`));
  await show("persistedQuery", await post({ extensions: hash }));
  // It insists on a query.
  for (const payload of [{ query: "", documentId: id }, { query: "", extensions: hash }]) {
    const client = createClient({ url: url.replace("http", "ws"), webSocketImpl: WebSocket, retryAttempts: 0 });
    try {
      for await (const { data } of client.iterate(payload)) write({ client: "graphql-ws", answer: data.count });
    } catch (errors) {
      write({ client: "graphql-ws", answer: errors[0]?.extensions.code ?? `${errors}` });
    }
    await client.dispose();
  }
}

await (id ? trusted() : register());
