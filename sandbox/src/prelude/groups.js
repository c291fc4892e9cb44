// Views of groups: what each document contributes to which group, and the rows that all contributions give.

import { shown } from "ext:weir/arguments.js";
import { computationOf } from "ext:weir/aggregates.js";
import { documentsOf, sourceOf } from "ext:weir/sources.js";
import { compare, scalar, scalarKey } from "ext:weir/scalars.js";

const { ownKeys: reflectOwnKeys } = Reflect;

/** A view of groups: `rows()` are its rows, in key order; `contributions(documents)` what each document adds to them. */
export function groupBy(source, keyOf, aggregates) {
  const { collection, of } = sourceOf(source, "view.groupBy");
  if (typeof keyOf !== "function") throw new TypeError(`view.groupBy(..., ${shown(keyOf)}, ...): pass a function of a document`);
  if (typeof aggregates !== "object" || aggregates === null) throw new TypeError(`view.groupBy(..., ${shown(aggregates)}): pass an object of aggregates`);
  const columns = reflectOwnKeys(aggregates).map((name) => {
    const computation = computationOf(aggregates[name]);
    if (computation === undefined) throw new TypeError(`view.groupBy: ${String(name)} is no aggregate: write count(), sum((o) => o.total) and the like`);
    return { name, computation };
  });

  const takesElements = columns.some(({ computation }) => computation.takesElements);

  /** What a document adds: for each of its elements where it is, the key, and the value of each aggregate. */
  const contributionsOf = (document) =>
    of(document).map(({ element, at }) => {
      const key = scalarKey(keyOf(element));
      return { element, at, key, values: columns.map(({ name, computation }) => scalar(computation.of(element), name)) };
    });

  const rows = () => {
    const groups = new Map();
    for (const document of documentsOf(collection)) {
      for (const { element, key, values } of contributionsOf(document)) {
        let states = groups.get(key);
        if (states === undefined) groups.set(key, (states = columns.map(({ computation }) => computation.start())));
        columns.forEach(({ computation }, i) => {
          states[i] = computation.add(states[i], values[i], element);
        });
      }
    }
    return [...groups].sort(([a], [b]) => compare(a, b)).map(([key, states]) => {
      const row = { key };
      columns.forEach(({ name, computation }, i) => {
        row[name] = computation.end(states[i]);
      });
      return row;
    });
  };

  const contribution = ({ at, key, values }) => (takesElements ? [key, ...values, ...at] : [key, ...values]);
  const contributions = (documents) => documents.map((document) => contributionsOf(document).map(contribution));
  return { rows, contributions };
}
