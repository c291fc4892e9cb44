// A query with variables that calls a function and returns three fields. What comes back is computed here too.

import exec from "k6/execution";
import { ask, holds, oneByOne } from "./weir.js";

const QUERY = `query Total($items: [ItemInput!]!, $rate: Float!, $call: Int) {
  total(items: $items, rate: $rate, call: $call) { net tax gross }
}`;

export const { options, handleSummary } = oneByOne({
  run: { title: "each call a run", users: 32, p99: 250 },
  kept: { title: "a result at hand", users: 32, p99: 250 },
});

/** No two calls are alike. */
export function run() {
  const number = exec.scenario.iterationInTest;
  total(number % 1000, number);
}

/** All calls are alike. */
export function kept() {
  total(7, -1);
}

function total(quantity, call) {
  const items = [
    { price: 9.5, quantity },
    { price: 3, quantity: 7 },
    { price: 1.25, quantity: 4 },
  ];
  const rate = 0.2;
  const net = items.reduce((sum, item) => sum + item.price * item.quantity, 0);
  const tax = net * rate;
  const data = ask(QUERY, { items, rate, call });
  const { net: itsNet, tax: itsTax, gross } = data?.total ?? {};
  holds("the total is right", itsNet === net && itsTax === tax && gross === net + tax, data);
}
