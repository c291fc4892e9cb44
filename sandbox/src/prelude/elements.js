// What a view of groups is over: the documents of a collection, some of them, or what is in a list of each.

import { shown } from "ext:weir/arguments.js";
import { resetPatterns } from "ext:weir/constants.js";

const { isArray } = Array;
const { freeze, values } = Object;

/** Where a document is in itself. */
const NOWHERE = Object.freeze([]);

/**
 * Elements to the collection that they come from, and the steps that lead from one of its documents to them. A step takes and
 * gives elements with where they are in the document: the index in each list on the way.
 */
const origins = new WeakMap();

/** Elements of a collection. They say what a view is over; nothing can be read from them. */
export class Elements {
  constructor(collection, steps) {
    origins.set(this, { collection, steps });
    Object.freeze(this);
  }

  filter(keeps) {
    return after(this, (located) => located.filter(({ element }) => keeps(element)), "filter", keeps);
  }

  flatMap(listOf) {
    return after(this, (located) => located.flatMap(({ element, at }) => within(listOf(element), at)), "flatMap", listOf);
  }
}

function after(elements, step, method, callback) {
  if (typeof callback !== "function") throw new TypeError(`${method}(${shown(callback)}): pass a function of a document`);
  const { collection, steps } = origins.get(elements);
  return new Elements(collection, [...steps, step]);
}

/** The elements of a list in an element. An absent list has none. */
function within(list, at) {
  if (list === undefined || list === null) return [];
  if (!isArray(list)) throw new TypeError(`flatMap was given ${shown(list)}: give a list`);
  return list.map((element, i) => ({ element, at: [...at, i] }));
}

/** What a document gives may not depend on what was done with it, or with others, before. */
function untouchable(document) {
  resetPatterns();
  const next = [document];
  for (let value; (value = next.pop()) !== undefined; ) {
    freeze(value);
    for (const member of isArray(value) ? value : values(value)) if (typeof member === "object" && member !== null) next[next.length] = member;
  }
  return document;
}

/**
 * The collection that elements come from, and the way to them: `of` gives those of a document, with where they are in it.
 * Undefined where the value is none.
 */
export function originOf(value) {
  const origin = origins.get(value);
  if (origin === undefined) return undefined;
  const { collection, steps } = origin;
  return { collection, of: (document) => steps.reduce((located, step) => step(located), [{ element: untouchable(document), at: NOWHERE }]) };
}
