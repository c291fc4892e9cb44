// Collections: lazy rows that narrow along an index, and the writes of one document.

import { checkCount, checkDocument, checkField, checkId, checkOperand, checkOptions, checkText, shown } from "ext:weir/arguments.js";
import { ask, askText, atHand, mustBeInside, mustWrite } from "ext:weir/call.js";
import { Elements } from "ext:weir/elements.js";
import { pagingOf } from "ext:weir/paging.js";
import { valuesText } from "ext:weir/values.js";

const { stringify } = JSON;
const { get: reflectGet, has: reflectHas, ownKeys: reflectOwnKeys, getOwnPropertyDescriptor } = Reflect;

/** Which collection an object is; set when the app's exports are bound. */
const names = new WeakMap();

/** Tells a collection its exported name. */
export function nameCollection(value, name) {
  if (!(value instanceof Collection)) throw new TypeError(`${name} is not a collection`);
  names.set(value, name);
}

function nameOf(collection) {
  mustBeInside();
  const name = names.get(collection);
  if (name === undefined) throw new Error("this collection is not exported, so it has no name: export it from its module");
  return name;
}

const EMPTY = Object.freeze({ equal: Object.freeze([]), range: null, order: null });

/** Lazy rows that may never have been looked into, to what reads them as JSON text. */
const unread = new WeakMap();

/** The JSON text of lazy rows that nobody has looked into: the host has it as such. Undefined for all other values. */
export function textOfRows(value) {
  return unread.get(value)?.();
}

/** What narrows and what reads; the same on collections and on rows. `this` is unused: `plan` is bound. */
function narrowing(name, plan) {
  const read = (method, call, options) => {
    const collection = name();
    return ask(collection, method, stringify({ [call]: { collection, ...plan, ...options } }));
  };
  const methods = {
    __proto__: null,
    where(field, value) {
      checkField("where", field);
      checkOperand("where", field, value);
      return rows(name, { ...plan, equal: [...plan.equal, [field, value]] });
    },
    range(field, bounds) {
      checkField("range", field);
      checkOptions("range", bounds);
      if (plan.range !== null) throw new Error("range stands twice: give both bounds in one");
      const { gt, gte, lt, lte, ...rest } = bounds;
      const unknown = reflectOwnKeys(rest)[0];
      if (unknown !== undefined) throw new TypeError(`range bounds are gt, gte, lt and lte, not ${String(unknown)}`);
      for (const bound of [gt, gte, lt, lte]) if (bound !== undefined) checkOperand("range", field, bound);
      return rows(name, { ...plan, range: { field, gt, gte, lt, lte } });
    },
    orderBy(field, direction = "asc") {
      checkField("orderBy", field);
      if (direction !== "asc" && direction !== "desc") throw new TypeError(`orderBy(${stringify(field)}, ${shown(direction)}): say "asc" or "desc"`);
      if (plan.order !== null) throw new Error("orderBy stands twice: declare a compound index and order by its first free field");
      return rows(name, { ...plan, order: [field, direction] });
    },
    take(n) {
      checkCount("take", n);
      return read("take", "rows", { limit: n });
    },
    all() {
      return read("all", "rows", { limit: null });
    },
    first() {
      return methods.take(1)[0] ?? null;
    },
    count() {
      return read("count", "count", {});
    },
    page(options = {}) {
      checkOptions("page", options);
      const paging = pagingOf(options);
      checkCount("page", paging.size);
      for (const name of ["after", "before"]) {
        const cursor = paging[name];
        if (typeof cursor !== "string" && cursor !== null) throw new TypeError(`page({ ${name}: ${shown(cursor)} }): pass the cursor of an edge, a string`);
        if (cursor !== null) checkText("page", cursor);
      }
      return read("page", "page", paging);
    },
  };
  return methods;
}

/** Lazy rows: an array that is read from the store when it is first looked into. Of no use after the call. */
function rows(name, plan) {
  const call = atHand.number;
  const mustBeOfThisCall = () => {
    if (call !== atHand.number) throw new Error("these rows belong to a call that has ended");
  };
  const nameOfOwn = () => {
    mustBeOfThisCall();
    return name();
  };
  const methods = narrowing(nameOfOwn, plan);
  methods.toJSON = () => load();
  methods.then = undefined; // Not a promise: asking must not read.
  let loaded = false;
  const target = [];
  const load = () => {
    mustBeOfThisCall();
    if (!loaded) {
      loaded = true;
      for (const row of methods.all()) target[target.length] = row;
    }
    return target;
  };
  const proxy = new Proxy(target, {
    get: (_, key) => {
      mustBeOfThisCall();
      return typeof key === "string" && key in methods ? methods[key] : reflectGet(load(), key);
    },
    has: (_, key) => key in methods || reflectHas(load(), key),
    ownKeys: () => reflectOwnKeys(load()),
    getOwnPropertyDescriptor: (_, key) => getOwnPropertyDescriptor(load(), key),
    set: () => {
      throw new TypeError("rows are read-only: take a copy with .all()");
    },
    deleteProperty: () => {
      throw new TypeError("rows are read-only: take a copy with .all()");
    },
    defineProperty: () => {
      throw new TypeError("rows are read-only: take a copy with .all()");
    },
  });
  unread.set(proxy, () => {
    if (loaded) return undefined;
    const collection = nameOfOwn();
    return askText(collection, "all", stringify({ rows: { collection, ...plan, limit: null, taken: "whole" } }));
  });
  return proxy;
}

export class Collection {
  #name = () => nameOf(this);

  constructor() {
    const methods = narrowing(this.#name, EMPTY);
    for (const key of reflectOwnKeys(methods)) this[key] = methods[key];
    Object.freeze(this);
  }

  get(id) {
    checkId("get", id);
    const collection = this.#name();
    return ask(collection, "get", stringify({ get: { collection, id } }));
  }

  insert(value) {
    mustWrite("insert");
    checkDocument("insert", value);
    const collection = this.#name();
    return ask(collection, "insert", valuesText({ insert: { collection, value } }, collection));
  }

  replace(id, value) {
    mustWrite("replace");
    checkId("replace", id);
    checkDocument("replace", value);
    const collection = this.#name();
    return ask(collection, "replace", valuesText({ replace: { collection, id, value } }, collection));
  }

  patch(id, part) {
    mustWrite("patch");
    checkId("patch", id);
    checkDocument("patch", part);
    const collection = this.#name();
    // An undefined member removes an optional one; JSON would drop it.
    const removed = reflectOwnKeys(part).filter((key) => typeof key === "string" && part[key] === undefined);
    return ask(collection, "patch", valuesText({ patch: { collection, id, part, removed } }, collection));
  }

  filter(keeps) {
    return elementsOf(this, "filter").filter(keeps);
  }

  flatMap(listOf) {
    return elementsOf(this, "flatMap").flatMap(listOf);
  }

  delete(id) {
    mustWrite("delete");
    checkId("delete", id);
    const collection = this.#name();
    return ask(collection, "delete", stringify({ delete: { collection, id } }));
  }
}

/** What a view of groups is over, which only code says that runs while a module loads. */
function elementsOf(collection, method) {
  if (atHand.running === null) return new Elements(collection, []);
  const name = nameOf(collection);
  throw new TypeError(`${name}.${method} reads nothing, it is for view.groupBy(${name}.${method}(...), ...) and view.index: write ${name}.all().${method}(...)`);
}

/** Declares a collection. */
export function collection() {
  return new Collection();
}
