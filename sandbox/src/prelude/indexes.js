// Sorted views: which entries each document has, and the page that all entries give.

import { checkOptions, shown } from "ext:weir/arguments.js";
import { cursorOf, placeOf } from "ext:weir/cursors.js";
import { pageInfoOf, pagingOf } from "ext:weir/paging.js";
import { compareIds, compareKeys, scalarKey } from "ext:weir/scalars.js";
import { documentsOf, sourceOf } from "ext:weir/sources.js";
import { resultText } from "ext:weir/values.js";

const { isArray } = Array;
const { isSafeInteger } = Number;
const { stringify } = JSON;
const { ownKeys: reflectOwnKeys } = Reflect;

/** How many entries a page has at most. The host knows it too. */
const PAGE_MAX = 1000;
/** How many characters a text in a key has at most. */
const KEY_TEXT_MAX = 4096;

const ARGUMENTS = ["key", "gt", "gte", "lt", "lte", "prefix", "order", "first", "after", "last", "before"];

/** Views by what is called, to what takes that which the compiler knows of them. */
const learning = new WeakMap();

/** Remembers what is called in the place of a view. */
export function nameIndex(callable, learn) {
  learning.set(callable, learn);
}

/** Tells a view its name, the members of its keys, null where a key is one value, and what JSON could lose of its values. */
export function teachIndex(callable, name, parts, unnoticed) {
  learning.get(callable)?.(name, parts, unnoticed);
}

/** A sorted view: `page(arguments)` reads a page of it; `contributions(documents)` are the entries of each document. */
export function index(source, keysOf, valueOf) {
  const { collection, of } = sourceOf(source, "view.index");
  if (typeof keysOf !== "function") throw new TypeError(`view.index(..., ${shown(keysOf)}): pass a function of a document`);
  if (valueOf !== undefined && typeof valueOf !== "function") throw new TypeError(`view.index(..., ..., ${shown(valueOf)}): pass a function of a document`);
  let name = "";
  let parts = null;
  let unnoticed = "anything";
  const learn = (theName, theParts, theUnnoticed) => {
    name = theName;
    parts = theParts;
    unnoticed = theUnnoticed;
  };

  /** The keys of an element as lists of their parts, each once. */
  const keysIn = (element) => {
    const given = keysOf(element);
    const keys = (isArray(given) ? given : [given]).filter((key) => key !== undefined && key !== null).map((key) => partsOf(key, parts));
    if (keys.length < 2) return keys;
    const seen = new Set();
    return keys.filter((key) => {
      const text = stringify(key);
      return !seen.has(text) && seen.add(text);
    });
  };

  const entriesOf = (document) =>
    of(document).flatMap(({ element, at }) => {
      const keys = keysIn(element);
      const node = valueOf === undefined || keys.length === 0 ? element : valueOf(element);
      return keys.map((key) => ({ key, at, node }));
    });

  const contribution = ({ key, at, node }) =>
    valueOf === undefined ? [...key, ...at] : [...key, ...at, resultText(node, unnoticed) ?? "null"];
  const contributions = (documents) => documents.map((document) => entriesOf(document).map(contribution));

  const page = (args = {}) => {
    const { isWithin, paging, sign } = questionOf(args, name, parts);
    const { size, from, after, before } = paging;
    const walk = from === "first" ? sign : -sign;
    const found = [];
    let others = false;
    for (const document of documentsOf(collection)) {
      entriesOf(document).forEach(({ key, node }, place) => {
        const entry = { key, document: document.id, place, node };
        if (!isWithin(key)) return;
        const isAfter = after === null || compareEntries(entry, after) * sign > 0;
        const isBefore = before === null || compareEntries(entry, before) * sign < 0;
        if (!(from === "first" ? isAfter : isBefore)) others = true;
        if (isAfter && isBefore) insert(found, entry, walk, size + 1);
      });
    }
    const edges = found.slice(0, size).map((entry) => {
      const { key, document, node } = entry;
      return { key: keyFrom(key, parts), document, node, cursor: cursorOf(entry, name) };
    });
    if (from === "last") edges.reverse();
    return { edges, pageInfo: pageInfoOf(paging, found.length > size, others, edges) };
  };
  return { page, contributions, learn };
}

/** Puts an entry where it belongs, as long as no `n` others are before it. */
function insert(found, entry, sign, n) {
  let from = 0;
  let to = found.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (compareEntries(entry, found[middle]) * sign < 0) to = middle;
    else from = middle + 1;
  }
  if (from === n) return;
  found.splice(from, 0, entry);
  if (found.length > n) found.pop();
}

// ---- keys ----

/** The parts of a key, the most significant first. */
function partsOf(key, names) {
  if (names === null) return [partOf(key)];
  if (typeof key !== "object" || key === null) throw new TypeError(`a key is ${shown(key)}: give an object with ${names.join(", ")}`);
  return names.map((name) => partOf(key[name]));
}

function partOf(value) {
  const part = scalarKey(value);
  if (typeof part === "string" && part.length > KEY_TEXT_MAX) {
    throw new TypeError(`a key has ${part.length} characters, and may have ${KEY_TEXT_MAX}: cut it, or index something shorter`);
  }
  return part;
}

/** A key of these parts, as it is given. */
function keyFrom(key, names) {
  if (names === null) return key[0];
  const made = {};
  names.forEach((name, i) => {
    made[name] = key[i];
  });
  return made;
}

/** Orders entries: by key, then by document, then by place in it. */
function compareEntries(a, b) {
  return compareKeys(a.key, b.key) || compareIds(a.document, b.document) || a.place - b.place;
}

// ---- what is asked ----

/** Which keys are asked for, which page of them, and in which direction: 1 or -1. */
function questionOf(args, view, names) {
  checkOptions("an index", args);
  const unknown = reflectOwnKeys(args).find((name) => !ARGUMENTS.includes(name));
  if (unknown !== undefined) throw new TypeError(`an index takes ${ARGUMENTS.join(", ")}, not ${String(unknown)}`);
  const { order = "asc", prefix } = args;
  const paging = pagingOf(args);
  const { size, from } = paging;
  if (!isSafeInteger(size) || size < 0 || size > PAGE_MAX) throw new TypeError(`${from} is ${shown(size)}: a page of an index has from 0 to ${PAGE_MAX} entries`);
  if (order !== null && order !== "asc" && order !== "desc") throw new TypeError(`order is ${shown(order)}: say "asc" or "desc"`);
  const checks = [];
  const bound = (name, holds) => {
    const key = args[name];
    if (key === undefined || key === null) return;
    const parts = partsOf(key, names);
    checks.push((other) => holds(compareKeys(other, parts)));
  };
  bound("key", (order) => order === 0);
  bound("gt", (order) => order > 0);
  bound("gte", (order) => order >= 0);
  bound("lt", (order) => order < 0);
  bound("lte", (order) => order <= 0);
  if (prefix !== undefined && prefix !== null) checks.push(names === null ? textPrefix(prefix) : partsPrefix(prefix, names));
  const place = (argument) => (paging[argument] === null ? null : placeOf(argument, paging[argument], view, names === null ? 1 : names.length));
  return {
    isWithin: (key) => checks.every((check) => check(key)),
    paging: { size, from, after: place("after"), before: place("before") },
    sign: order === "desc" ? -1 : 1,
  };
}

function textPrefix(prefix) {
  if (typeof prefix !== "string") throw new TypeError(`prefix is ${shown(prefix)}: pass a string`);
  return ([part]) => typeof part === "string" && part.startsWith(prefix);
}

/** The first parts of a key, as many as are there. */
function partsPrefix(prefix, names) {
  checkOptions("prefix", prefix);
  const given = names.filter((name) => prefix[name] !== undefined);
  const gap = given.find((name, i) => name !== names[i]);
  if (gap !== undefined) throw new TypeError(`prefix has ${gap} without ${names[given.indexOf(gap)]}, which comes before it`);
  const parts = given.map((name) => scalarKey(prefix[name]));
  return (key) => compareKeys(parts, key) === 0;
}
