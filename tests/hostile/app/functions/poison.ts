// Changes of what is shared with later calls and with others: each must fail, or be gone when the next call begins.
// The runner compares what the next calls see with what the first one saw.

import { action, caller, fail, query, type Doc } from "weir";
import * as collections from "../collections";
import { things, type Thing } from "../collections";

const TARGETS = (): [string, any][] => [
  ["globalThis", globalThis], ["what globalThis inherits", Object.getPrototypeOf(globalThis)],
  ["its constructor", Object.getPrototypeOf(globalThis).constructor], ["Object.prototype", Object.prototype], ["Function.prototype", Function_prototype()],
  ["Array.prototype", Array.prototype], ["String.prototype", String.prototype], ["Number.prototype", Number.prototype],
  ["Promise.prototype", Promise.prototype], ["Map.prototype", Map.prototype], ["Set.prototype", Set.prototype],
  ["WeakMap.prototype", WeakMap.prototype], ["Date.prototype", Date.prototype], ["RegExp.prototype", RegExp.prototype],
  ["Error.prototype", Error.prototype], ["TypeError.prototype", TypeError.prototype], ["Symbol.prototype", Symbol.prototype],
  ["BigInt.prototype", BigInt.prototype], ["Uint8Array.prototype", Uint8Array.prototype], ["ArrayBuffer.prototype", ArrayBuffer.prototype],
  ["Object", Object], ["Array", Array], ["JSON", JSON], ["Math", Math], ["Reflect", Reflect], ["Date", Date], ["RegExp", RegExp],
  ["Error", Error], ["Promise", Promise], ["Symbol", Symbol], ["Intl", Intl], ["Proxy", Proxy], ["console", console],
  ["TypedArray", Object.getPrototypeOf(Uint8Array)], ["generators", Object.getPrototypeOf(function* () {})],
  ["async generators", Object.getPrototypeOf(async function* () {})], ["async functions", Object.getPrototypeOf(async () => {})],
  ["array iterators", Object.getPrototypeOf([].values())], ["string iterators", Object.getPrototypeOf("".matchAll(/x/g))],
  ["iterator helpers", Object.getPrototypeOf([].values().map((x) => x))],
  ["wrapped iterators", Object.getPrototypeOf(Iterator.from({ next: () => ({ done: true }) } as any))],
  ["segments", Object.getPrototypeOf(new Intl.Segmenter().segment("a"))],
  ["segment iterators", Object.getPrototypeOf(new Intl.Segmenter().segment("a")[Symbol.iterator]())],
  ["iterators", Object.getPrototypeOf(Object.getPrototypeOf([].values()))], ["Temporal", (globalThis as any).Temporal],
  ["DateTimeFormat.prototype", Intl.DateTimeFormat.prototype], ["caller", caller], ["collection", things],
  ["module", collections], ["fail", fail],
];

function Function_prototype(): unknown {
  return Object.getPrototypeOf(() => 1);
}

/** Those which let themselves be changed in one of many ways. */
function changed(change: (target: any) => unknown): string {
  const targets = TARGETS().filter(([, target]) => {
    try {
      return change(target) === true;
    } catch {
      return false;
    }
  });
  return targets.length === 0 ? "nothing" : targets.map(([name]) => name).join(", ");
}

/** @expects value "nothing" */
export const poisonsWithMembers = query((): string => changed((target) => {
  target.poison = "poison";
  return Object.hasOwn(target, "poison");
}));

/** @expects value "nothing" */
export const poisonsWithDefinitions = query((): string =>
  changed((target) => Reflect.defineProperty(target, "poison", { value: "poison", configurable: true })),
);

/** @expects value "nothing" */
export const poisonsWithSymbols = query((): string =>
  changed((target) => Reflect.set(target, Symbol.toPrimitive, () => "poison") && Object.hasOwn(target, Symbol.toPrimitive)),
);

/** @expects value "nothing" */
export const poisonsWithReplacements = query((): string =>
  changed((target) => Reflect.ownKeys(target).some((key) => {
    const before = target[key];
    return Reflect.set(target, key, "poison") && target[key] !== before;
  })),
);

/** @expects value "nothing" */
export const poisonsWithDeletions = query((): string =>
  changed((target) => Reflect.ownKeys(target).some((key) => Reflect.deleteProperty(target, key))),
);

/** @expects value "nothing" */
export const poisonsWithPrototypes = query((): string =>
  changed((target) => Reflect.setPrototypeOf(target, { poison: "poison" }) && Reflect.getPrototypeOf(target).poison !== undefined),
);

/** @expects value "nothing" */
export const poisonsWithOldSetters = query((): string => changed((target) => {
  target.__defineGetter__("poison", () => "poison");
  return Object.hasOwn(target, "poison");
}));

/** @expects value "nothing" */
export const poisonsFromAnAction = action(async (): Promise<string> => {
  await null;
  return changed((target) => Reflect.set(target, "then", (done: (value: string) => void) => done("poison")) && Object.hasOwn(target, "then"));
});

/** @expects FUNCTION_FAILED TypeError */
export const poisonsEveryObject = query((): string => {
  (Object.prototype as any).admin = true;
  return String(({} as any).admin);
});

/** @expects FUNCTION_FAILED TypeError */
export const poisonsIteration = query((): string => {
  (Array.prototype as any)[Symbol.iterator] = function* () {
    yield "poison";
  };
  return [...[1]].join();
});

/** @expects FUNCTION_FAILED TypeError */
export const poisonsJson = query((): string => {
  JSON.stringify = () => '"poison"';
  return "changed";
});

/** @expects FUNCTION_FAILED TypeError */
export const poisonsToJson = query((): string => {
  (String.prototype as any).toJSON = () => "poison";
  return "changed";
});

/** @expects FUNCTION_FAILED TypeError */
export const poisonsPromises = query((): string => {
  Promise.prototype.then = () => "poison" as any;
  return "changed";
});

/** @expects FUNCTION_FAILED TypeError */
export const poisonsTheClock = query((): string => {
  Date.now = () => 0;
  return "changed";
});

/** @expects FUNCTION_FAILED TypeError */
export const poisonsChance = query((): string => {
  Math.random = () => 0;
  return "changed";
});

/** @expects FUNCTION_FAILED TypeError */
export const poisonsGlobals = query((): string => {
  (globalThis as any).shared = "poison";
  return "changed";
});

/** @expects FUNCTION_FAILED
 * @expects value "absent" */
export const poisonsUndeclared = query((): string => {
  (undeclared as any) = "poison";
  return "changed";
});

/** @expects FUNCTION_FAILED TypeError */
export const poisonsACollection = query((): string => {
  const collection = things as any;
  collection.get = () => ({ name: "poison" });
  return "changed";
});

/** @expects FUNCTION_FAILED TypeError */
export const poisonsTheCaller = query((): string => {
  const alias = caller;
  Object.defineProperty(alias, "kind", { value: "admin" });
  return alias.kind;
});

/** @expects FUNCTION_FAILED TypeError */
export const poisonsTheLog = query((): string => {
  console.log = () => {};
  return "changed";
});

/** What was read belongs to the call alone.
 * @expects value "thing 0" */
export const poisonsDocuments = query((): string => {
  const read = (): Doc<Thing> => things.where("name", "thing 0").first()!;
  const first = read();
  first.name = "poison";
  Object.setPrototypeOf(first, { size: -1 });
  return read().name;
});

/** @expects FUNCTION_FAILED read-only */
export const poisonsRows = query((): string => {
  const rows = things.orderBy("size") as any;
  rows[0] = { name: "poison" };
  return "changed";
});

/** What a match leaves behind is for nobody else to see.
 * @expects value "a secret" */
export const leavesAMatch = query((): string => /a (secret)/.exec("this is a secret of this call")![0]);

/** @expects value "a secret" */
export const leavesAMatchFromAnAction = action(async (): Promise<string> => {
  await null;
  return "this is a secret of this call".replace(/.*(a secret).*/, "$1");
});

/** @expects FUNCTION_FAILED TypeError */
export const leavesAnInput = query((): string => {
  (RegExp as any).input = "a secret";
  return "changed";
});

/** @expects FUNCTION_FAILED TypeError
 * @expects value "[object Object]" */
export const poisonsASpecies = query((): string => {
  Object.defineProperty(Array, Symbol.species, { value: class extends Array {} });
  return "changed";
});

/** @expects value "own" */
export const shadowsWhatItMay = query((): string => {
  class Own extends Error {
    constructor() {
      super("m");
      this.name = "own";
    }
  }
  const object = { toString: () => "x" } as any;
  object.valueOf = () => 1;
  return new Own().name;
});
