// What goes deep: calls, conversions, proxies, JSON, errors that have causes.

import { action, query, type Int, type JSON as Json } from "weir";


/** A list in a list in a list. */
const nested = (depth: number): unknown => {
  let list: unknown = [];
  for (let i = 1; i < depth; i += 1) list = [list];
  return list;
};

/** @expects FUNCTION_FAILED Maximum call stack size exceeded */
export const recurses = query((): Int => {
  const down = (n: number): number => down(n + 1) + 1;
  return down(0);
});

/** @expects FUNCTION_FAILED Maximum call stack size exceeded */
export const recursesInTurns = query((): boolean => {
  const even = (n: number): boolean => !odd(n + 1);
  const odd = (n: number): boolean => !even(n + 1);
  return even(0);
});

/** Starts again whenever the stack is full.
 * @expects LIMIT_EXCEEDED cpu_ms */
export const recursesAgainAndAgain = query((): Int => {
  const down = (): number => {
    try {
      return down() + 1;
    } catch {
      return down() + 1;
    }
  };
  return down();
});

/** @expects FUNCTION_FAILED Maximum call stack size exceeded */
export const recursesInAGetter = query((): Int => {
  const object = {
    get member(): number {
      return object.member + 1;
    },
  };
  return object.member;
});

/** @expects FUNCTION_FAILED Maximum call stack size exceeded */
export const recursesInToString = query((): string => {
  const object = { toString: (): string => `${object}!` };
  return `${object}`;
});

/** @expects FUNCTION_FAILED Maximum call stack size exceeded */
export const recursesInValueOf = query((): number => {
  const object = { valueOf: (): number => +(object as any) + 1 };
  return +(object as any);
});

/** @expects FUNCTION_FAILED Maximum call stack size exceeded */
export const recursesInAConstructor = query((): Int => {
  class Node {
    child = new Node();
  }
  return [new Node()].length;
});

/** @expects FUNCTION_FAILED Maximum call stack size exceeded */
export const recursesInGenerators = query((): Int => {
  const down = function* (): Generator<number> {
    yield* down();
  };
  return [...down()].length;
});

/** @expects FUNCTION_FAILED Maximum call stack size exceeded */
export const recursesInCallbacks = query((): Int => {
  const down = (): number => [1].map(down).length;
  return down();
});

/** @expects FUNCTION_FAILED Maximum call stack size exceeded */
export const recursesInComparisons = query((): Int => {
  const down = (): number => [2, 1].sort(down)[0]!;
  return down();
});

/** @expects FUNCTION_FAILED Maximum call stack size exceeded */
export const recursesInReplacements = query((): string => {
  const down = (): string => "a".replace(/a/, down);
  return down();
});

/** @expects FUNCTION_FAILED Maximum call stack size exceeded */
export const recursesInRevivers = query((): string => {
  const down = (): unknown => JSON.parse("[1]", down);
  return String(down());
});

/** @expects FUNCTION_FAILED Maximum call stack size exceeded
 * @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const recursesInAnAction = action(async (): Promise<Int> => {
  const down = async (): Promise<number> => (await down()) + 1;
  return down();
});

/** An action that is its own callee, without an end.
 * @expects FUNCTION_FAILED
 * @expects LIMIT_EXCEEDED */
export const recursesThroughCall = action(async (): Promise<Int> => {
  await null;
  return recursesThroughCall() as any;
});

/** @expects FUNCTION_FAILED call */
export const recursesThroughQueries = query((): Int => recursesThroughQueries());

/** @expects FUNCTION_FAILED Maximum call stack size exceeded
 * @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const looksThroughProxies = query((): string => {
  let proxy: any = { member: "found" };
  for (let i = 0; i < 50_000; i += 1) proxy = new Proxy(proxy, {});
  return proxy.member;
});

/** @expects value "called"
 * @expects FUNCTION_FAILED Maximum call stack size exceeded
 * @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const callsThroughProxies = query((): string => {
  let proxy: any = () => "called";
  for (let i = 0; i < 50_000; i += 1) proxy = new Proxy(proxy, {});
  return proxy();
});

/** Asks each of them in another way.
 * @expects value "nothing worse than an error" */
export const asksProxiesInManyWays = query((): string => {
  let proxy: any = [1];
  for (let i = 0; i < 10_000; i += 1) proxy = new Proxy(proxy, {});
  const ways = [
    () => Object.keys(proxy), () => "0" in proxy, () => delete proxy[0], () => Object.getPrototypeOf(proxy), () => proxy instanceof Array,
    () => Array.isArray(proxy), () => JSON.stringify(proxy), () => Object.freeze(proxy), () => Object.isFrozen(proxy), () => [...proxy],
    () => Object.setPrototypeOf(proxy, null), () => Object.prototype.toString.call(proxy), () => [].concat(proxy), () => Reflect.ownKeys(proxy),
    () => (proxy[0] = 2), () => Object.defineProperty(proxy, "1", { value: 1 }), () => `${proxy}`, () => Object.create(proxy).length,
  ];
  for (const way of ways) {
    try {
      way();
    } catch {
      // A full stack is what is to be expected.
    }
  }
  return "nothing worse than an error";
});

/** @expects value "called"
 * @expects FUNCTION_FAILED Maximum call stack size exceeded
 * @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const callsThroughBindings = query((): string => {
  let bound: any = () => "called";
  for (let i = 0; i < 100_000; i += 1) bound = bound.bind(null);
  return bound();
});

/** @expects value "absent"
 * @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const looksUpALongChain = query((): string => {
  let object = {} as any;
  for (let i = 0; i < 50_000; i += 1) object = Object.create(object);
  return object.missing ?? "absent";
});

/** @expects value 200000
 * @expects FUNCTION_FAILED Maximum call stack size exceeded
 * @expects LIMIT_EXCEEDED cpu_ms */
export const writesDeepJson = query((): Int => JSON.stringify(nested(100_000)).length);

/** @expects FUNCTION_FAILED Maximum call stack size exceeded
 * @expects LIMIT_EXCEEDED cpu_ms */
export const joinsDeepLists = query((): string => String(nested(100_000)));

/** @expects FUNCTION_FAILED Maximum call stack size exceeded
 * @expects LIMIT_EXCEEDED cpu_ms */
export const flattensDeepLists = query((): Int => (nested(100_000) as any).flat(Infinity).length);

/** @expects FUNCTION_FAILED Maximum call stack size exceeded
 * @expects LIMIT_EXCEEDED cpu_ms */
export const revivesDeepJson = query((): Int => JSON.parse("[".repeat(50_000) + "]".repeat(50_000), (_, value) => value).length);

/** A string of a hundred thousand parts, each in the next.
 * @expects value 100001
 * @expects LIMIT_EXCEEDED cpu_ms */
export const flattensADeepString = query((): Int => {
  let text = "x";
  for (let i = 0; i < 100_000; i += 1) text = i % 2 === 0 ? `${text}y` : `z${text}`;
  return [...text].length;
});

/** @expects FUNCTION_FAILED end of the chain
 * @expects LIMIT_EXCEEDED cpu_ms */
export const throwsALongChainOfCauses = query((): Int => {
  let error = new Error("start of the chain");
  for (let i = 0; i < 20_000; i += 1) error = new Error("end of the chain", { cause: error });
  throw error;
});

/** @expects FUNCTION_FAILED own cause */
export const throwsItsOwnCause = query((): Int => {
  const error = new Error("own cause") as any;
  error.cause = error;
  throw error;
});

/** @expects FUNCTION_FAILED outermost
 * @expects LIMIT_EXCEEDED cpu_ms */
export const throwsErrorsInErrors = query((): Int => {
  let error: Error = new Error("innermost");
  for (let i = 0; i < 20_000; i += 1) error = new AggregateError([error, error], "outermost");
  throw error;
});

/** @expects FUNCTION_FAILED much
 * @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const throwsAWideError = query((): Int => {
  const errors: Error[] = [];
  for (let i = 0; i < 20_000; i += 1) errors.push(new Error(`one of many ${i}`));
  throw new AggregateError(errors, "much");
});

/** @expects LIMIT_EXCEEDED result_depth */
export const returnsOneTooDeep = query((): Json => nested(101) as Json);

/** @expects LIMIT_EXCEEDED result_depth */
export const returnsDeepObjects = query((): Json => {
  let object: Json = {};
  for (let i = 0; i < 150; i += 1) object = { member: object };
  return object;
});

/** @expects LIMIT_EXCEEDED result_depth */
export const returnsFarTooDeep = query((): Json => nested(3_000) as Json);

/** @expects FUNCTION_FAILED Maximum call stack size exceeded
 * @expects LIMIT_EXCEEDED result_depth
 * @expects LIMIT_EXCEEDED result_bytes
 * @expects LIMIT_EXCEEDED cpu_ms */
export const returnsAsDeepAsCanBe = query((): Json => nested(200_000) as Json);

/** As deep as is allowed.
 * @expects value {"depth": 100} */
export const returnsDeepEnough = query((): Json => {
  const text = JSON.stringify(nested(100));
  return { depth: text.length / 2 };
});

/** @expects value 32
 * @args {"value": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]} */
export const takesDeepArguments = query((args: { value: Json }): Int => JSON.stringify(args.value).length / 2);

