// What the scripts share: how they ask, what they check, and what a run tells.
//
// `load-tests/run` sets WEIR_URL, SUMMARY (the file that the summary goes to) and, for the quick form, QUICK. A load is a
// scenario of k6; its name is a tag of what was measured, and a row of the summary.

import { check } from "k6";
import http from "k6/http";
import { Counter, Trend } from "k6/metrics";

export const url = __ENV.WEIR_URL;
export const quick = __ENV.QUICK === "1";

/** Every answer, also the wrong ones. */
const answers = new Counter("answers");
/** From a request to its answer. */
const answerTime = new Trend("answer_ms", true);

/** What was wrong first, in each VU: one line is enough to look into it. */
let told = false;

/** Counts what holds and what does not, and tells what did not. */
export function holds(name, isTrue, found) {
  if (!check(isTrue, { [name]: (value) => value }) && !told) {
    told = true;
    console.error(`${name} does not hold: ${typeof found === "string" ? found : JSON.stringify(found)}`);
  }
  return isTrue;
}

/** Asks, and times the answer: its `data`, or null where it has errors or is none. */
export function ask(query, variables, headers = {}) {
  const response = http.post(`${url}/graphql`, JSON.stringify({ query, variables }), {
    headers: { "content-type": "application/json", ...headers },
    responseType: "text",
  });
  answers.add(1);
  answerTime.add(response.timings.duration);
  let answer = {};
  try {
    answer = JSON.parse(response.body);
  } catch {
    // What is no JSON has no data either.
  }
  const isAnswer = response.status === 200 && answer.data !== undefined && answer.errors === undefined;
  const found = `${response.status} ${response.body ?? response.error}`;
  return holds("an answer has data and no errors", isAnswer, found) ? answer.data : null;
}

/** The same while a run is set up, which an error ends. */
export function prepare(query, variables) {
  const data = ask(query, variables);
  if (data === null) throw new Error("the run cannot be set up");
  return data;
}

/** What every script's options say, with thresholds of its own. */
export function options(scenarios, thresholds) {
  return {
    scenarios,
    thresholds: { checks: ["rate==1"], ...thresholds },
    summaryTrendStats: ["med", "p(95)", "p(99)", "max"],
    setupTimeout: "60s",
    teardownTimeout: "60s",
  };
}

/** The thresholds of a load: it did something, all of it held, and, in the long form, 99 of 100 times were below a bound. */
export function bounds(load, count, trend, p99) {
  return {
    [`checks{scenario:${load}}`]: ["rate==1"],
    [`${count}{scenario:${load}}`]: ["count>0"],
    // In the quick form there are too few times for a bound: it only has them told apart by load.
    [`${trend}{scenario:${load}}`]: [quick ? "max>=0" : `p(99)<${p99}`],
  };
}

/** Seconds between two loads. */
const BETWEEN = 1;

/** Loads that come one after the other: users join up to their number, and then each asks without a pause. */
export function oneByOne(loads, wrong) {
  const stages = quick ? [1, 2] : [5, 20];
  const seconds = stages[0] + stages[1];
  const scenarios = {};
  const thresholds = {};
  Object.entries(loads).forEach(([load, { users, p99 }], index) => {
    const target = quick ? 3 : users;
    scenarios[load] = {
      executor: "ramping-vus",
      exec: load,
      startTime: `${index * (seconds + BETWEEN)}s`,
      startVUs: 1,
      stages: stages.map((duration) => ({ duration: `${duration}s`, target })),
      gracefulStop: "60s",
    };
    Object.assign(thresholds, bounds(load, "answers", "answer_ms", p99));
  });
  const rows = Object.entries(loads).map(([load, { title }]) => ({ load, title, seconds, trend: "answer_ms" }));
  return { options: options(scenarios, thresholds), handleSummary: summary(rows, wrong) };
}

/** What goes to `load-tests/run` at the end: a row for each load, and what does not hold, by thresholds and by all metrics. */
export function summary(rows, wrong = () => []) {
  return ({ metrics }) => {
    const of = (metric, load) => metrics[`${metric}{scenario:${load}}`]?.values;
    const told = rows.map(({ load, title, seconds, trend, deliveries }) => {
      const times = of(trend, load);
      const done = of(deliveries ?? "answers", load)?.count ?? 0;
      return {
        title,
        perSecond: done / seconds,
        p50: times?.med ?? null,
        p95: times?.["p(95)"] ?? null,
        p99: times?.["p(99)"] ?? null,
        errors: of("checks", load)?.fails ?? 0,
        deliveries: deliveries ? done : null,
      };
    });
    const crossed = Object.entries(metrics).flatMap(([metric, { thresholds = {} }]) =>
      Object.entries(thresholds).flatMap(([bound, { ok }]) => (ok ? [] : [`${metric}: ${bound}`])),
    );
    return { [__ENV.SUMMARY]: JSON.stringify({ rows: told, crossed: [...crossed, ...wrong(metrics)] }) };
  };
}
