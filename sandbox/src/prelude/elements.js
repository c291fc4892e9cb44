// What a view of groups is over: the documents of a collection, some of them, or what is in a list of each.

import { shown } from "ext:weir/arguments.js";

const { isArray } = Array;

/** Elements to the collection that they come from, and the steps that lead from one of its documents to them. */
const origins = new WeakMap();

/** Elements of a collection. They say what a view is over; nothing can be read from them. */
export class Elements {
  constructor(collection, steps) {
    origins.set(this, { collection, steps });
    Object.freeze(this);
  }

  filter(keeps) {
    return after(this, (elements) => elements.filter((element) => keeps(element)), "filter", keeps);
  }

  flatMap(listOf) {
    return after(this, (elements) => elements.flatMap((element) => listed(listOf(element))), "flatMap", listOf);
  }
}

function after(elements, step, method, callback) {
  if (typeof callback !== "function") throw new TypeError(`${method}(${shown(callback)}): pass a function of a document`);
  const { collection, steps } = origins.get(elements);
  return new Elements(collection, [...steps, step]);
}

/** An absent list has no elements. */
function listed(list) {
  if (list === undefined || list === null) return [];
  if (!isArray(list)) throw new TypeError(`flatMap was given ${shown(list)}: give a list`);
  return list;
}

/** The collection that elements come from, and the way to them; undefined where the value is none. */
export function originOf(value) {
  const origin = origins.get(value);
  if (origin === undefined) return undefined;
  const { collection, steps } = origin;
  return { collection, of: (document) => steps.reduce((elements, step) => step(elements), [document]) };
}
