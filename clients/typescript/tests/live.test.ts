// Live queries of the real binary. That nothing comes is shown without waiting for it: what must come later is the very
// next message.

import { parse } from "graphql";
import { createClient as createSocketClient } from "graphql-ws";
import WebSocket from "ws";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";

import type { Client, TypedDocument } from "../src/index.js";
import { client, eventually, Server, Watcher, Wire } from "./server.js";

const BOARD = "subscription { board { id title lane place note tags steps { text done } votes } }";
const TITLES = "subscription ($lane: CardLane!) { titles(lane: $lane) }";
const ADD = "mutation ($title: String!, $lane: CardLane, $place: Float) { add(title: $title, lane: $lane, place: $place) { id } }";

let server: Server;
let direct: Client;

beforeAll(async () => {
  server = await Server.start();
  direct = client(server.port);
});
afterAll(async () => {
  await direct?.dispose();
  await server?.stop();
});
beforeEach(async () => {
  for (const { id } of (await server.data("{ board { id } }")).board) await server.data("mutation ($id: ID!) { remove(id: $id) }", { id });
});

const add = async (title: string, more: object = {}): Promise<string> =>
  (await direct.mutate({ query: ADD, variables: { title, ...more } })).data!["add"].id;

test("changes come as whole values, several subscriptions at once", async () => {
  const watchers = (["todo", "doing"] as const).map((lane) => new Watcher(direct, { query: TITLES, variables: { lane } }));
  for (const watcher of watchers) expect((await watcher.next()).data).toEqual({ titles: [] });
  await add("a");
  await add("b", { lane: "doing" });
  const [todo, doing] = await Promise.all(watchers.map((watcher) => watcher.next()));
  expect(todo?.data).toEqual({ titles: ["a"] });
  expect(doing?.data).toEqual({ titles: ["b"] });
  expect(BigInt(todo!.commit!)).toBeLessThan(BigInt(doing!.commit!));
  expect(todo?.cursor).toBeTypeOf("string");
  watchers[0]!.unsubscribe();
  await add("c");
  await add("d", { lane: "doing" });
  expect((await watchers[1]!.next()).data).toEqual({ titles: ["b", "d"] });
  expect(watchers[0]!.all).toHaveLength(2);
  watchers[1]!.unsubscribe();
});

test("patches give the whole values over many random changes, and share what has not changed", async () => {
  const plain = createSocketClient({ url: `ws://127.0.0.1:${server.port}/graphql`, webSocketImpl: WebSocket });
  const whole = new Map<string, unknown>();
  let patched = 0;
  const stop = plain.subscribe<any, any>({ query: BOARD }, {
    next: ({ data, extensions }) => void whole.set(extensions.weir.commit, data),
    error: (error) => { throw error; },
    complete: () => {},
  });
  const counting = client(server.port, { on: { message: (message: any) => void (patched += message.payload?.extensions?.weir?.patch ? 1 : 0) } });
  const watcher = new Watcher<any>(counting, { query: BOARD });
  await watcher.next();

  let state = 7;
  const draw = (n: number) => Math.floor(((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32) * n);
  const ids: string[] = [];
  for (let round = 0; round < 300; round++) {
    const kind = draw(10);
    if (ids.length < 5 || kind < 2) {
      ids.push(await add(`card ${round}`, { place: draw(100) }));
      continue;
    }
    const id = ids[draw(ids.length)]!;
    if (kind === 2) {
      ids.splice(ids.indexOf(id), 1);
      await direct.mutate({ query: "mutation ($id: ID!) { remove(id: $id) }", variables: { id } });
      continue;
    }
    const part = [
      { title: `again ${round}` },
      { place: draw(100) },
      { note: draw(2) === 0 ? null : `note ${round}` },
      { tags: Array.from({ length: draw(4) }, () => `t${draw(5)}`) },
      { steps: Array.from({ length: draw(3) }, (_, i) => ({ text: `s${i}`, done: draw(2) === 0 })) },
      { lane: ["todo", "doing", "done"][draw(3)], title: `both ${round}` },
    ][draw(6)];
    await direct.mutate({
      query: `mutation ($id: ID!, $title: String, $lane: CardLane, $place: Float, $note: String, $tags: [String!], $steps: [StepInput!]) {
        change(id: $id, title: $title, lane: $lane, place: $place, note: $note, tags: $tags, steps: $steps) { id } }`,
      variables: { id, ...part },
    });
  }
  const last = await server.data(BOARD.replace("subscription", "query"));
  await eventually("the last value", () => (JSON.stringify(watcher.all.at(-1)?.data) === JSON.stringify(last) ? true : undefined));

  let compared = 0;
  for (const { commit, data } of watcher.all) {
    if (!whole.has(commit!)) continue;
    compared++;
    expect(data).toEqual(whole.get(commit!));
  }
  expect(compared).toBeGreaterThan(0);
  expect(patched).toBeGreaterThan(0);
  watcher.all.reduce((before, after) => {
    const known = new Map(before.data.board.map((card: any) => [card.id, card]));
    for (const card of after.data.board) {
      const old = known.get(card.id);
      if (old !== undefined && JSON.stringify(old) === JSON.stringify(card)) expect(card).toBe(old);
    }
    return after;
  });
  stop();
  await Promise.all([plain.dispose(), counting.dispose()]);
});

test("after a cut it goes on where it was", async () => {
  const wire = await Wire.to(server);
  const cut = client(wire.port);
  const watchers = (["todo", "doing"] as const).map((lane) => new Watcher(cut, { query: TITLES, variables: { lane } }));
  for (const watcher of watchers) await watcher.next();
  await add("a");
  const before = await watchers[0]!.next();
  wire.cut();
  await eventually("the second connection", () => (wire.connections > 1 ? true : undefined));
  // Both come back; only the second has something new.
  await add("b", { lane: "doing" });
  expect((await watchers[1]!.next()).data).toEqual({ titles: ["b"] });
  await add("c");
  const after = await watchers[0]!.next();
  expect(after.data).toEqual({ titles: ["a", "c"] });
  expect(after.cursor).not.toBe(before.cursor);
  // What changes while the wire is cut comes as soon as it is there again.
  wire.cut();
  await add("d");
  await eventually("the last value", () => ((watchers[0]!.all.at(-1)!.data as any).titles.length === 3 ? true : undefined));
  await cut.dispose();
  wire.close();
});

test("after a kill of the server it goes on where it was, and parts that are equal stay the same", async () => {
  const ids = [await add("a", { place: 1 }), await add("b", { place: 2 })];
  const restarted = client(server.port);
  const watcher = new Watcher<any>(restarted, { query: BOARD });
  const first = await watcher.next();
  expect(first.data.board.map((card: any) => card.id)).toEqual(ids);
  await server.kill();
  await server.startAgain();
  await server.data("mutation ($id: ID!) { vote(id: $id) }", { id: ids[1] });
  const second = await watcher.next();
  expect(second.data.board[1].votes).toBe(1);
  expect(second.data.board[0]).toBe(first.data.board[0]);
  expect(second.data.board[1].steps).toBe(first.data.board[1].steps);
  await add("c", { place: 3 });
  const third = await watcher.next();
  expect(third.data.board).toHaveLength(3);
  expect(third.data.board[0]).toBe(first.data.board[0]);
  await restarted.dispose();
});

test("errors come in between, and a cut after one brings the value again", async () => {
  const wire = await Wire.to(server);
  const cut = client(wire.port);
  const watcher = new Watcher<any>(cut, { query: "subscription { votes }" });
  expect((await watcher.next()).data).toEqual({ votes: 0 });
  const id = await add("broken");
  const failed = await watcher.next();
  expect(failed.data).toEqual({ votes: null });
  expect(failed.errors?.[0]?.extensions).toMatchObject({ code: "FUNCTION_FAILED", appCode: "BROKEN" });
  wire.cut();
  await server.data("mutation ($id: ID!) { change(id: $id, title: \"good\") { id } }", { id });
  const value = await eventually("a value", () => watcher.all.slice(2).find(({ errors }) => errors === undefined));
  expect(value.data).toEqual({ votes: 0 });
  await server.data("mutation ($id: ID!) { vote(id: $id) }", { id });
  await eventually("the vote", () => watcher.all.find(({ data }) => data?.votes === 1));
  await cut.dispose();
  wire.close();
});

test("a document that does not fit is told once", async () => {
  const watcher = new Watcher(direct, { query: "subscription { nothing }" });
  await eventually("the end", () => watcher.end);
  expect(watcher.end?.error).toMatchObject([{ extensions: { code: "GRAPHQL_VALIDATION_FAILED" } }]);
  await expect(direct.iterate({ query: "subscription { nothing }" }).next()).rejects.toThrow(/nothing/);
});

test("iterators give the newest value, and all events of a stream", async () => {
  const events: unknown[] = [];
  for await (const { data } of direct.iterate({ query: "subscription { counted(to: 50) }" })) events.push(data?.["counted"]);
  expect(events).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));

  const watched = new Watcher(direct, { query: TITLES, variables: { lane: "todo" } });
  await watched.next();
  const values = direct.iterate({ query: TITLES, variables: { lane: "todo" } });
  expect((await values.next()).value?.data).toEqual({ titles: [] });
  for (const [n, title] of ["a", "b", "c"].entries()) {
    await add(title, { place: n });
    await watched.next();
  }
  // All have come on the same socket, one after the other: those in between are overtaken.
  await eventually("the newest", async () => ((await values.next()).value!.data!["titles"].length === 3 ? true : undefined));
  await values.return();
  watched.unsubscribe();
});

test("typed documents type results and variables", async () => {
  const document = parse(TITLES) as ReturnType<typeof parse> & TypedDocument<{ titles: string[] | null }, { lane: "todo" | "done" }>;
  await add("typed");
  for await (const live of direct.iterate({ query: document, variables: { lane: "todo" } })) {
    const first: string | undefined = live.data?.titles?.[0];
    expect(first).toBe("typed");
    break;
  }
  // @ts-expect-error: no such lane
  void (() => direct.iterate({ query: document, variables: { lane: "none" } }));
  // @ts-expect-error: the lane is missing
  void (() => direct.iterate({ query: document }));
  // @ts-expect-error: no such field
  void (async () => { for await (const live of direct.iterate({ query: document, variables: { lane: "todo" } })) live.data?.names; });
});
