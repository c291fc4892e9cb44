// Writes with idempotency keys: each user of a counter of its own, then all of one. Some are repeated with their key, and
// must be answered as before. At the end the counters have counted each write once.

import exec from "k6/execution";
import { Counter } from "k6/metrics";
import { ask, holds, oneByOne, prepare } from "./weir.js";

const USERS = 32;
/** Every so many writes one is made twice. */
const REPEATED = 10;

/** Writes that were acknowledged, without repeats. */
const written = new Counter("written");
/** What the counters have come to in this run. */
const counted = new Counter("counted");

export const { options, handleSummary } = oneByOne(
  {
    own: { title: "a document of each user's own", users: USERS, p99: 500 },
    same: { title: "one document of all", users: USERS, p99: 1500 },
  },
  ({ written, counted }) => {
    const [made, there] = [written, counted].map((metric) => metric?.values.count ?? 0);
    return made === there ? [] : [`each write is counted once: ${made} were acknowledged, ${there} are there`];
  },
);

/** Makes the counters. Names and keys are of this run alone. */
export function setup() {
  const run = `${Date.now()}`;
  // Users of the second load may have other numbers than those of the first.
  const names = Array.from({ length: 2 * USERS }, (_, user) => nameOf(run, user + 1));
  prepare("mutation($names: [String!]!) { addCounters(names: $names) }", { names: [...names, `${run} all`] });
  return { run, before: prepare("{ counted }").counted };
}

const nameOf = (run, user) => `${run} user ${user}`;

/** What this user's own counter has come to. */
let mine = 0;

export function own({ run }) {
  const value = increment(run, nameOf(run, exec.vu.idInTest));
  mine += 1;
  holds("nobody else has counted", value === mine, value);
}

/** What this user has seen last. */
let seen = 0;

export function same({ run }) {
  const value = increment(run, `${run} all`);
  holds("a counter only goes up", value > seen, value);
  seen = value;
}

function increment(run, name) {
  const number = exec.scenario.iterationInTest;
  const key = `${run} ${exec.scenario.name} ${number}`;
  const write = () => ask("mutation($name: String!) { increment(name: $name) }", { name }, { "idempotency-key": key });
  const value = write()?.increment;
  if (number % REPEATED === 0) {
    const again = write()?.increment;
    holds("a repeat is answered as before", again === value, again);
  }
  if (value) written.add(1);
  return value;
}

export function teardown({ before }) {
  counted.add(prepare("{ counted }").counted - before);
}
