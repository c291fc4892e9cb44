// Sockets that subscribe over graphql-transport-ws and are held, while a writer commits what they watch. Each delivery is
// checked, and timed from before its mutation was sent: writer and subscribers share one clock.
//
// A slow subscriber may skip values, but never the last: each socket waits for what a query over HTTP gave at the end.

import exec from "k6/execution";
import { WebSocket } from "k6/experimental/websockets";
import { Counter, Trend } from "k6/metrics";
import { ask, bounds, holds, options as withAll, prepare, quick, summary, url } from "./weir.js";

/** Each socket watches one topic of so many, so that a commit concerns one of so many sockets. */
const TOPICS = quick ? 2 : 10;
const SOCKETS_EACH = quick ? 3 : 10;
const USERS = quick ? 2 : 100;
const WRITES_PER_SECOND = quick ? 10 : 20;
const RAMP = quick ? 1 : 15;
const HELD = quick ? 3 : 45;
/** The longest that the last value may take to arrive, in milliseconds. */
const LAST_WITHIN = 30_000;
/** Between two looks at whether it has. */
const BETWEEN_LOOKS = 50;

const SUBSCRIPTION = "subscription($topic: Int!) { lastOf(topic: $topic) { topic number text sent } }";
const NUMBER = "query($topic: Int!) { lastOf(topic: $topic) { number } }";
const PUBLISH = "mutation($topic: Int!, $sent: Float!) { publish(topic: $topic, sent: $sent) { topic number } }";

const deliveries = new Counter("deliveries");
const deliveryTime = new Trend("delivery_ms", true);

const SECONDS = RAMP + HELD;

export const options = withAll(
  {
    held: {
      executor: "ramping-vus",
      exec: "held",
      startVUs: 1,
      stages: [
        { duration: `${RAMP}s`, target: USERS },
        { duration: `${HELD}s`, target: USERS },
      ],
      gracefulStop: `${(2 * LAST_WITHIN) / 1000}s`,
    },
    writer: {
      executor: "constant-arrival-rate",
      exec: "writer",
      rate: WRITES_PER_SECOND,
      duration: `${SECONDS}s`,
      preAllocatedVUs: 50,
      gracefulStop: "60s",
    },
  },
  {
    ...bounds("held", "deliveries", "delivery_ms", 500),
    ...bounds("writer", "answers", "answer_ms", 500),
  },
);

export const handleSummary = summary([
  { load: "writer", title: "commits", seconds: SECONDS, trend: "answer_ms" },
  {
    load: "held",
    title: `${USERS * SOCKETS_EACH} held sockets`,
    seconds: SECONDS,
    trend: "delivery_ms",
    deliveries: "deliveries",
  },
]);

export function setup() {
  prepare("mutation($count: Int!, $sent: Float!) { addTopics(count: $count, sent: $sent) }", {
    count: TOPICS,
    sent: Date.now(),
  });
}

export function writer() {
  const topic = exec.scenario.iterationInTest % TOPICS;
  const note = ask(PUBLISH, { topic, sent: Date.now() })?.publish;
  holds("a commit is of its topic", note?.topic === topic && note.number > 0, note);
}

/** Opens the sockets of one user, and holds them until the stages are over: then no user begins anew. */
export function held() {
  const over = exec.scenario.startTime + SECONDS * 1000;
  const sockets = Array.from({ length: SOCKETS_EACH }, (_, index) => watch((exec.vu.idInTest + index) % TOPICS));
  setTimeout(() => sockets.forEach(finish), Math.max(0, over - Date.now()) + BETWEEN_LOOKS);
}

/** A socket that watches a topic. */
function watch(topic) {
  const watched = { topic, number: -1, commit: 0n, finished: false };
  const socket = new WebSocket(`${url.replace("http", "ws")}/graphql`, "graphql-transport-ws");
  watched.socket = socket;
  const send = (message) => socket.send(JSON.stringify(message));
  socket.onopen = () => send({ type: "connection_init" });
  // What comes after it was closed here is of no interest: k6 calls it an error if a ping comes then.
  socket.onerror = ({ error }) => holds("a socket is held until it is closed here", watched.finished, error);
  socket.onclose = () => holds("a socket is held until it is closed here", watched.finished, "closed");
  socket.onmessage = ({ data }) => {
    const now = Date.now();
    const message = JSON.parse(data);
    switch (message.type) {
      case "connection_ack":
        return send({ id: "1", type: "subscribe", payload: { query: SUBSCRIPTION, variables: { topic } } });
      case "next":
        return deliver(watched, message.payload, now);
      default:
        return holds("only values are sent", false, data);
    }
  };
  return watched;
}

/** Checks a value, and times it unless it is the first, which was there before. */
function deliver(watched, { data, errors, extensions }, now) {
  const note = data?.lastOf;
  const commit = BigInt(extensions?.weir?.commit ?? 0);
  const isNew = note?.number > watched.number && commit > watched.commit;
  const isRight = note?.topic === watched.topic && note.text === `note ${note.number}` && errors === undefined;
  if (!holds("a delivery is right, and newer than the one before", isNew && isRight, { data, errors, extensions })) return;
  if (watched.number >= 0) {
    deliveries.add(1);
    deliveryTime.add(now - note.sent);
  }
  watched.number = note.number;
  watched.commit = commit;
}

/** Waits for the last value, and closes the socket. */
function finish(watched) {
  const last = ask(NUMBER, { topic: watched.topic })?.lastOf?.number;
  const until = Date.now() + LAST_WITHIN;
  const look = () => {
    const isThere = watched.number >= last;
    if (!isThere && Date.now() < until) return setTimeout(look, BETWEEN_LOOKS);
    holds("the last value arrives", isThere, { last, number: watched.number });
    watched.finished = true;
    watched.socket.close(1000);
  };
  look();
}
