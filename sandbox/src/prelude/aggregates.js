// What can be computed over a group: each aggregate takes one value of every element.

import { shown } from "ext:weir/arguments.js";
import { ExactSum } from "ext:weir/exact.js";
import { compare } from "ext:weir/scalars.js";

const { isSafeInteger } = Number;

/** The largest `n` of `top`; the compiler knows it too. */
const TOP_MAX = 1000;

/**
 * Aggregates to how they are computed: `of` gives the value of an element, `start` the state of a group without any, `add`
 * the state with one more value and its element, `end` what the state comes to. `takesElements` is set where that has elements in it.
 */
const computed = new WeakMap();

/** How an aggregate is computed; undefined where the value is none. */
export function computationOf(value) {
  return computed.get(value);
}

function aggregate(computation) {
  const made = Object.freeze({});
  computed.set(made, computation);
  return made;
}

function checkOf(name, of) {
  if (typeof of !== "function") throw new TypeError(`${name}(${shown(of)}): pass a function of a document`);
}

export const count = () => aggregate({ of: () => 1, start: () => 0, add: (n) => n + 1, end: (n) => n });

export const sum = (of) => {
  checkOf("sum", of);
  return aggregate({ of, start: () => new ExactSum(), add: added, end: (total) => total.rounded() });
};

function added(total, value) {
  total.add(value);
  return total;
}

export const avg = (of) => {
  checkOf("avg", of);
  return aggregate({
    of,
    start: () => ({ total: new ExactSum(), n: 0 }),
    add: ({ total, n }, value) => ({ total: added(total, value), n: n + 1 }),
    end: ({ total, n }) => total.rounded() / n,
  });
};

const extreme = (name, sign) => (of) => {
  checkOf(name, of);
  return aggregate({
    of,
    start: () => null,
    add: (best, value) => (value !== null && (best === null || compare(value, best) * sign > 0) ? value : best),
    end: (best) => best,
  });
};
export const min = extreme("min", -1);
export const max = extreme("max", 1);

export const top = (n, of) => {
  if (!isSafeInteger(n) || n < 1 || n > TOP_MAX) throw new TypeError(`top(${shown(n)}, ...): pass a whole number from 1 to ${TOP_MAX}`);
  if (typeof of !== "function") throw new TypeError(`top(${n}, ${shown(of)}): pass a function of a document`);
  return aggregate({
    of,
    start: () => [],
    add: (best, value, element) => {
      if (value !== null) insert(best, n, { value, element });
      return best;
    },
    end: (best) => best.map(({ element }) => element),
    takesElements: true,
  });
};

/** Puts an element behind those that are greater or equal, as long as no `n` of them are there. */
function insert(best, n, one) {
  let from = 0;
  let to = best.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (compare(one.value, best[middle].value) > 0) to = middle;
    else from = middle + 1;
  }
  if (from === n) return;
  best.splice(from, 0, one);
  if (best.length > n) best.pop();
}
