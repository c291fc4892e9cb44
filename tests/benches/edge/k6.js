// What k6 sends: the body in BODY, whose number is counted up each time where FIRST is given. Each answer must be EXPECTED.

import { check } from "k6";
import exec from "k6/execution";
import http from "k6/http";

const MARK = '"call":';
const DIGITS = 9;

const body = open(__ENV.BODY);
const expected = open(__ENV.EXPECTED);
const first = __ENV.FIRST === undefined ? null : Number(__ENV.FIRST);
const at = body.indexOf(MARK) + MARK.length;
const [before, after] = [body.slice(0, at), body.slice(at + DIGITS)];
const params = { headers: { "content-type": "application/json" } };

export const options = {
  scenarios: {
    load: { executor: "constant-vus", vus: Number(__ENV.CONNECTIONS), duration: `${__ENV.SECONDS}s`, gracefulStop: "60s" },
  },
  thresholds: { checks: ["rate==1"] },
  summaryTrendStats: ["count", "med", "p(99)"],
};

export default function () {
  const sent = first === null ? body : before + (first + exec.scenario.iterationInTest) + after;
  const answer = http.post(__ENV.URL, sent, params);
  check(answer, { "the answer is right": ({ body }) => body === expected });
}

export function handleSummary({ metrics, state }) {
  const times = metrics.http_req_duration.values;
  const figures = [times.count, state.testRunDurationMs, metrics.checks.values.fails, times.med, times["p(99)"]];
  return { stdout: `figures ${figures.join(" ")}\n` };
}
