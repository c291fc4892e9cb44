// What views of groups are made of: aggregates, and the rows that they give.

import { shown } from "ext:weir/arguments.js";

const { ownKeys: reflectOwnKeys } = Reflect;

function checkOf(aggregate, of) {
  if (typeof of !== "function") throw new TypeError(`${aggregate}(${shown(of)}): pass a function of a document`);
}

export const sum = (of) => {
  checkOf("sum", of);
  return { start: 0, add: (total, row) => total + of(row), end: (total) => total };
};
export const count = () => ({ start: 0, add: (n) => n + 1, end: (n) => n });
export const avg = (of) => {
  checkOf("avg", of);
  return {
    start: { total: 0, n: 0 },
    add: ({ total, n }, row) => ({ total: total + of(row), n: n + 1 }),
    end: ({ total, n }) => total / n,
  };
};
const extreme = (aggregate, better) => (of) => {
  checkOf(aggregate, of);
  return {
    start: null,
    add: (best, row) => {
      const value = of(row);
      return value !== null && value !== undefined && (best === null || better(value, best)) ? value : best;
    },
    end: (best) => best,
  };
};
export const min = extreme("min", (a, b) => a < b);
export const max = extreme("max", (a, b) => a > b);

/** Every document, page by page: a collection may be larger than the heap. */
function* documentsOf(source) {
  for (let after = null; ; ) {
    const { edges, pageInfo } = source.page({ first: 1000, after });
    for (const { node } of edges) yield node;
    if (!pageInfo.hasNextPage) return;
    after = pageInfo.endCursor;
  }
}

/** The rows of a view of groups, in key order. */
export function groupBy(source, keyOf, aggregates) {
  const names = reflectOwnKeys(aggregates);
  const groups = new Map();
  for (const row of documentsOf(source)) {
    const key = keyOf(row) ?? null; // Absent and null are one key.
    let states = groups.get(key);
    if (states === undefined) groups.set(key, (states = names.map((name) => aggregates[name].start)));
    names.forEach((name, i) => {
      states[i] = aggregates[name].add(states[i], row);
    });
  }
  const compare = ([a], [b]) => (a === b ? 0 : a === null ? -1 : b === null ? 1 : a < b ? -1 : 1);
  return [...groups].sort(compare).map(([key, states]) => {
    const row = { key };
    names.forEach((name, i) => {
      row[name] = aggregates[name].end(states[i]);
    });
    return row;
  });
}
