// The examples of the README: they are its very text, and they work.

import { gql } from "@apollo/client";
import { createElement } from "react";
import { renderToString } from "react-dom/server";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";

import { apolloClient } from "../examples/apollo.js";
import { useLive } from "../examples/react.js";
import { urqlClient } from "../examples/urql.js";
import type { Client } from "../src/index.js";
import { client, eventually, Server } from "./server.js";

let server: Server;
let weir: Client;

beforeAll(async () => {
  server = await Server.start();
  weir = client(server.port);
});
afterAll(async () => {
  await weir?.dispose();
  await server?.stop();
});

const TITLES = "subscription ($lane: CardLane!) { titles(lane: $lane) }";

const add = (title: string, lane: string) =>
  weir.mutate({ query: "mutation ($title: String!, $lane: CardLane) { add(title: $title, lane: $lane) { id } }", variables: { title, lane } });

test.each(["react.tsx", "urql.ts", "apollo.ts"])("the README has %s", (name) => {
  const text = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), "utf8");
  expect(text("README.md")).toContain(text(`examples/${name}`).trim());
});

test("urql gets whole values", async () => {
  const urql = urqlClient(`http://127.0.0.1:${server.port}/graphql`, weir);
  const seen: unknown[] = [];
  const { unsubscribe } = urql.subscription(TITLES, { lane: "todo" }).subscribe(({ data, error }) => void seen.push(error ?? data.titles));
  await eventually("the first", () => seen[0]);
  await add("a", "todo");
  await eventually("the second", () => seen[1]);
  await add("b", "todo");
  await eventually("the third", () => seen[2]);
  expect(seen).toEqual([[], ["a"], ["a", "b"]]);
  unsubscribe();
});

test("Apollo Client gets whole values", async () => {
  const apollo = apolloClient(`http://127.0.0.1:${server.port}/graphql`, weir);
  const seen: unknown[] = [];
  const query = gql(TITLES);
  const watching = apollo.subscribe<any>({ query, variables: { lane: "doing" } }).subscribe(({ data, error }) => void seen.push(error ?? data.titles));
  await eventually("the first", () => seen[0]);
  await add("a", "doing");
  await eventually("the second", () => seen[1]);
  await add("b", "doing");
  await eventually("the third", () => seen[2]);
  expect(seen).toEqual([[], ["a"], ["a", "b"]]);
  watching.unsubscribe();
  apollo.stop();
});

test("React renders before the first value", () => {
  const request = { query: TITLES, variables: { lane: "done" } };
  const Titles = () => createElement("p", null, useLive<any, any>(weir, request)?.data?.titles.length ?? "nothing yet");
  expect(renderToString(createElement(Titles))).toBe("<p>nothing yet</p>");
});
