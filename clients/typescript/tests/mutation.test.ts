import { afterAll, beforeAll, expect, test } from "vitest";

import { Refused, type Client } from "../src/index.js";
import { client, Server, Wire } from "./server.js";

let server: Server;
let wire: Wire;
let cut: Client;

beforeAll(async () => {
  server = await Server.start();
  wire = await Wire.to(server);
  cut = client(wire.port);
});
afterAll(async () => {
  await cut?.dispose();
  wire?.close();
  await server?.stop();
});

const ADD = "mutation ($title: String!) { add(title: $title) { id title } }";

test("a mutation whose answer was lost has happened once", async () => {
  const first = await cut.mutate({ query: ADD, variables: { title: "first" } });
  expect(first.commit).toMatch(/^\d+$/);
  for (let round = 1; round <= 5; round++) {
    const lost = wire.loseAnswer();
    const made = cut.mutate({ query: ADD, variables: { title: `round ${round}` } });
    await lost;
    expect((await made).data).toMatchObject({ add: { title: `round ${round}` } });
  }
  const { board } = await server.data("{ board { title } }");
  expect(board.map(({ title }: { title: string }) => title).sort()).toEqual(["first", ...[1, 2, 3, 4, 5].map((n) => `round ${n}`)]);
});

test("a mutation that meets a server that starts is made when it has started", async () => {
  await server.kill();
  const made = cut.mutate({ query: ADD, variables: { title: "late" } });
  await server.startAgain();
  expect((await made).data).toMatchObject({ add: { title: "late" } });
});

test("a key of one's own stands for one outcome", async () => {
  const ask = () => cut.mutate<any>({ query: ADD, variables: { title: "mine" } }, { idempotencyKey: "mine" });
  const [first, again] = [await ask(), await ask()];
  expect(again).toEqual(first);
  const other = await cut.mutate({ query: ADD, variables: { title: "other" } }, { idempotencyKey: "mine" });
  expect(other.errors?.[0]?.extensions).toMatchObject({ code: "CONFLICT" });
});

test("what was refused, failed or given up is told", async () => {
  await expect(cut.mutate({ query: "mutation { nothing }" })).rejects.toThrow(Refused);
  const failed = await cut.mutate({ query: "mutation { vote(id: \"none\") }" });
  expect(failed.data).toEqual({ vote: null });
  expect(failed.errors).toHaveLength(1);
  await expect(cut.mutate({ query: ADD, variables: { title: "no" } }, { signal: AbortSignal.abort() })).rejects.toThrow(/aborted/);
});
