// Calls of the host with what does not fit: wrong types, strange numbers, stale and foreign things.

import { action, call, caller, procedure, query, type Int } from "weir";
import { notes, things } from "../collections";
import { remember, sumTo } from "./neighbour";

const any = (value: unknown): any => value;

/** @expects FUNCTION_FAILED pass the id of a document */
export const asksForANumber = query((): Int => (things.get(any(1)) ? 1 : 0));

/** @expects FUNCTION_FAILED pass the id of a document */
export const asksForAnObject = query((): Int => (things.get(any({ toString: () => "x" })) ? 1 : 0));

/** @expects FUNCTION_FAILED pass the id of a document */
export const asksForNothing = query((): Int => (things.get(any(undefined)) ? 1 : 0));

/** @expects FUNCTION_FAILED
 * @expects value 0 */
export const asksForAPath = query((): Int => (things.get("../../../etc/passwd") ? 1 : 0));

/** @expects FUNCTION_FAILED
 * @expects value 0 */
export const asksForAnEmptyId = query((): Int => (things.get("") ? 1 : 0));

/** @expects FUNCTION_FAILED
 * @expects value 0 */
export const asksForALongId = query((): Int => (things.get("x".repeat(1_000_000)) ? 1 : 0));

/** Longer than any message to the host.
 * @expects value 1 */
export const asksForALongerIdThanFits = query((): Int => {
  try {
    return things.get("x".repeat(3_000_000)) ? 2 : 0;
  } catch {
    return 1;
  }
});

/** @expects FUNCTION_FAILED
 * @expects value 0 */
export const asksForHalfACharacter = query((): Int => (things.get("\ud800\u0000") ? 1 : 0));

/** @expects FUNCTION_FAILED */
export const asksForAForeignId = query((): Int => {
  const id = things.orderBy("size").first()!.id;
  if (notes.get(id) !== null) return 1;
  throw new Error("it is not there");
});

/** @expects FUNCTION_FAILED whole number */
export const takesMinusOne = query((): Int => things.take(-1).length);

/** @expects FUNCTION_FAILED whole number */
export const takesNaN = query((): Int => things.take(NaN).length);

/** @expects FUNCTION_FAILED whole number */
export const takesInfinity = query((): Int => things.take(Infinity).length);

/** @expects FUNCTION_FAILED whole number */
export const takesAHalf = query((): Int => things.take(1.5).length);

/** @expects FUNCTION_FAILED whole number */
export const takesText = query((): Int => things.take(any("3")).length);

/** @expects FUNCTION_FAILED
 * @expects value 100 */
export const takesAll = query((): Int => things.take(2 ** 53 - 1).length);

/** @expects FUNCTION_FAILED
 * @expects value 100 */
export const takesMoreThanThereAreNumbers = query((): Int => things.take(1e300).length);

/** @expects FUNCTION_FAILED no field */
export const narrowsByNothing = query((): Int => things.where(any("missing"), 1).count());

/** @expects FUNCTION_FAILED */
export const narrowsByAnObject = query((): Int => things.where(any({ toString: () => "name" }), "x").count());

/** @expects FUNCTION_FAILED */
export const narrowsByAPrototype = query((): Int => things.where(any("__proto__"), any({})).count());

/** @expects FUNCTION_FAILED pass a value */
export const narrowsToNothing = query((): Int => things.where("name", any(undefined)).count());

/** @expects FUNCTION_FAILED NaN */
export const narrowsToNaN = query((): Int => things.where("size", NaN).count());

/** @expects FUNCTION_FAILED where("size", 1n) */
export const narrowsToABigInt = query((): Int => things.where("size", any(1n)).count());

/** @expects FUNCTION_FAILED
 * @expects value 0 */
export const narrowsToAList = query((): Int => things.where("size", any([1, [2], {}])).count());

/** @expects FUNCTION_FAILED
 * @expects value 0 */
export const narrowsToMuch = query((): Int => things.where("name", "x".repeat(100_000)).count());

/** @expects FUNCTION_FAILED
 * @expects value 0 */
export const rangesBackwards = query((): Int => things.range("size", { gt: 10, lt: 5 }).count());

/** @expects FUNCTION_FAILED range bounds */
export const rangesUnknown = query((): Int => things.range("size", any({ above: 1 })).count());

/** @expects FUNCTION_FAILED range stands twice */
export const rangesTwice = query((): Int => things.range("size", { gt: 1 }).range("size", { lt: 3 }).count());

/** @expects FUNCTION_FAILED say */
export const ordersSideways = query((): Int => things.orderBy("size", any("sideways")).count());

/** @expects FUNCTION_FAILED */
export const ordersByASymbol = query((): Int => things.orderBy(any(Symbol("size"))).count());

/** @expects FUNCTION_FAILED whole number */
export const pagesBackwards = query((): Int => things.page({ first: -5 }).edges.length);

/** @expects FUNCTION_FAILED
 * @expects LIMIT_EXCEEDED documents_read
 * @expects value 100 */
export const pagesEverything = query((): Int => things.page({ first: 2 ** 40 }).edges.length);

/** @expects FUNCTION_FAILED cursor */
export const pagesFromNowhere = query((): Int => things.page({ after: "%%%not a cursor%%%" }).edges.length);

/** @expects FUNCTION_FAILED */
export const pagesFromALongCursor = query((): Int => things.page({ after: "A".repeat(1_000_000) }).edges.length);

/** @expects FUNCTION_FAILED */
export const pagesFromAnotherIndex = query((): Int => {
  const { pageInfo } = things.orderBy("name").page({ first: 1 });
  return things.orderBy("size").page({ after: any({ cursor: pageInfo.endCursor }) }).edges.length;
});

/** @expects FUNCTION_FAILED */
export const insertsNothing = procedure((): Int => (things.insert(any(null)) ? 1 : 0));

/** @expects FUNCTION_FAILED */
export const insertsAList = procedure((): Int => (things.insert(any([])) ? 1 : 0));

/** @expects FUNCTION_FAILED */
export const insertsAFunction = procedure((): Int => (things.insert(any(() => 1)) ? 1 : 0));

/** @expects FUNCTION_FAILED NaN */
export const insertsNaN = procedure((): Int => (things.insert({ name: "nan", size: NaN }) ? 1 : 0));

/** @expects FUNCTION_FAILED bigint */
export const insertsABigInt = procedure((): Int => (things.insert({ name: "big", size: any(1n) }) ? 1 : 0));

/** What is no text in Unicode is not stored.
 * @expects FUNCTION_FAILED */
export const insertsHalfACharacter = procedure((): Int => (things.insert({ name: "half \ud83d", size: 1 }) ? 1 : 0));

/** @expects FUNCTION_FAILED */
export const insertsAHugeNumber = procedure((): Int => (things.insert({ name: "huge", size: 1e308 }) ? 1 : 0));

/** @expects FUNCTION_FAILED contains itself */
export const insertsACycle = procedure((): Int => {
  const data: any = {};
  data.data = data;
  return things.insert({ name: "cycle", size: 1, data }) ? 1 : 0;
});

/** @expects FUNCTION_FAILED */
export const insertsDeepData = procedure((): Int => {
  let data: any = 1;
  for (let i = 0; i < 5_000; i += 1) data = [data];
  return things.insert({ name: "deep", size: 1, data }) ? 1 : 0;
});

/** @expects FUNCTION_FAILED */
export const insertsItsOwnId = procedure((): Int => (things.insert(any({ id: "mine", name: "a", size: 1 })) ? 1 : 0));

/** @expects LIMIT_EXCEEDED cpu_ms */
export const insertsAnEndlessGetter = procedure((): Int => {
  const value = {
    name: "a",
    get size(): number {
      for (;;);
    },
  };
  return things.insert(value) ? 1 : 0;
});

/** What it becomes when it is written is what counts, and that is checked.
 * @expects FUNCTION_FAILED things */
export const insertsAToJson = procedure((): Int => (things.insert(any({ toJSON: () => ({ name: 7 }) })) ? 1 : 0));

/** Asks the host while the host is being asked.
 * @expects FUNCTION_FAILED not an insert */
export const insertsWhileInserting = procedure((): Int => {
  const value = {
    name: "outer",
    get size(): number {
      return things.insert({ name: "inner", size: things.count() }).size;
    },
  };
  things.insert(value);
  throw new Error("not an insert");
});

/** @expects FUNCTION_FAILED */
export const patchesNothing = procedure((): Int => (things.patch(any("0123456789abcdefghjkmnpqrs"), any(null)) ? 1 : 0));

/** @expects FUNCTION_FAILED */
export const patchesAnId = procedure((): Int => {
  const { id } = things.insert({ name: "a", size: 1 });
  return things.patch(id, any({ id: "another" })) ? 1 : 0;
});

/** @expects FUNCTION_FAILED */
export const patchesAProxy = procedure((): Int => {
  const { id } = things.insert({ name: "a", size: 1 });
  const part = new Proxy({}, { ownKeys: () => ["a", "__proto__", "size"], getOwnPropertyDescriptor: () => undefined });
  things.patch(id, any(part));
  throw new Error("a proxy of nothing changes nothing");
});

/** @expects FUNCTION_FAILED pass the id */
export const deletesNothing = procedure((): Int => (things.delete(any(null)) ? 1 : 0));

/** @expects FUNCTION_FAILED only a procedure may */
export const writesInAQuery = query((): Int => (things.insert({ name: "a", size: 1 }) ? 1 : 0));

/** @expects FUNCTION_FAILED call */
export const readsInAnAction = action(async (): Promise<Int> => things.count());

/** @expects FUNCTION_FAILED cannot call */
export const callsAProcedureInAQuery = query((): Int => remember({ name: "a", size: 1 }).size);

/** @expects FUNCTION_FAILED takes a function of the app */
export const callsNoFunction = query((): Int => any(call)({ kind: "query" }, {}));

/** @expects FUNCTION_FAILED takes a function of the app */
export const callsAProxyOfAFunction = query((): Int => any(call)(new Proxy(sumTo, {}), { n: 1 }));

/** @expects FUNCTION_FAILED */
export const callsWithACycle = action(async (): Promise<Int> => {
  const args: any = { n: 1 };
  args.args = args;
  return call(sumTo, args);
});

/** @expects FUNCTION_FAILED sumTo */
export const callsWithStrangeArguments = action(async (): Promise<Int> => call(sumTo, any({ n: 1.5 })));

/** @expects FUNCTION_FAILED sumTo */
export const callsWithTooManyArguments = action(async (): Promise<Int> => call(sumTo, any({ n: 1, __proto__: null, m: 2 })));

/** @expects LIMIT_EXCEEDED cpu_ms */
export const callsWithAnEndlessGetter = action(async (): Promise<Int> => {
  const args = {
    get n(): number {
      for (;;);
    },
  };
  return call(sumTo, args);
});

/** @expects value "developer null" */
export const forgesItsCaller = query((): string => {
  const forged = Object.assign(Object.create(caller), {});
  return `${forged.kind} ${forged.subject}`;
});
