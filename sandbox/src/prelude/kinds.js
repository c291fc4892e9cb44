// Objects that are more than their properties: what they are called, and what to write instead of them.

import { op_kind } from "ext:core/ops";

const { getPrototypeOf } = Reflect;

const kind = (name, inJson) => Object.freeze({ name, inJson });

export const NAMESPACE = kind("a module");
export const PATTERN = kind("a regular expression", "write its source");
export const TYPED_ARRAY = kind("a typed array", "write bytes.toBase64(), or [...numbers]");
export const ERROR = kind("an error", "write its message");

/** By the numbers of `op_kind`; 0 is for all others. */
const KINDS = [
  null,
  NAMESPACE,
  PATTERN,
  kind("a Map", "write Object.fromEntries(map) or [...map]"),
  kind("a Set", "write [...set]"),
  kind("a WeakMap", "leave it out"),
  kind("a WeakSet", "leave it out"),
  kind("a Date"),
  kind("an ArrayBuffer", "write new Uint8Array(buffer).toBase64()"),
  TYPED_ARRAY,
  kind("a generator", "write [...generator]"),
  kind("a promise", "await it in an action"),
  kind("a proxy (rows of a collection are one)"),
  kind("an iterator", "write [...iterator]"),
  ERROR,
];

/** Objects of these prototypes change as they are used, and `op_kind` does not tell them from others. */
let byPrototype = null;

function makeByPrototype() {
  const iterator = KINDS[13];
  const iterators = [
    [].values(), ""[Symbol.iterator](), "".matchAll(/x/g), [].values().map((x) => x), Iterator.from({ next() {} }),
    new Intl.Segmenter("en").segment("")[Symbol.iterator](),
  ];
  byPrototype = new Map(iterators.map((one) => [getPrototypeOf(one), iterator]));
  byPrototype.set(DisposableStack.prototype, kind("a DisposableStack", "leave it out"));
  byPrototype.set(AsyncDisposableStack.prototype, kind("an AsyncDisposableStack", "leave it out"));
}

/** What kind of object it is; null for one that is its properties and no more. Runs no code of a proxy. */
export function kindOf(value) {
  const known = KINDS[op_kind(value)];
  if (known !== null) return known;
  if (byPrototype === null) makeByPrototype();
  return byPrototype.get(getPrototypeOf(value)) ?? null;
}
