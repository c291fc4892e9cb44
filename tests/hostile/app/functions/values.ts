// What goes across the boundary: results with getters, proxies and toJSON, values that JSON does not have, bombs.

import { action, procedure, query, type Int, type JSON as Json } from "weir";
import { things } from "../collections";

const spin = (): never => {
  for (;;);
};

/** @expects LIMIT_EXCEEDED cpu_ms */
export const returnsAnEndlessGetter = query((): Json => ({
  get member() {
    return spin();
  },
}));

/** @expects FUNCTION_FAILED not today */
export const returnsAThrowingGetter = query((): Json => ({
  get member(): Json {
    throw new Error("not today");
  },
}));

/** @expects LIMIT_EXCEEDED cpu_ms */
export const returnsAnEndlessToJson = query((): Json => ({ toJSON: spin }) as any);

/** @expects value "itself" */
export const returnsAToJson = query((): Json => ({ toJSON: () => "itself" }) as any);

/** Each object is written as another one.
 * @expects FUNCTION_FAILED
 * @expects LIMIT_EXCEEDED */
export const returnsEndlessToJson = query((): Json => {
  const next = (): any => ({ member: { toJSON: next } });
  return next();
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const returnsAnEndlessProxy = query((): Json => new Proxy({}, { ownKeys: spin }) as any);

/** Whatever is asked for is such a proxy too.
 * @expects FUNCTION_FAILED
 * @expects LIMIT_EXCEEDED */
export const returnsProxiesOfProxies = query((): Json => {
  const handler = {
    ownKeys: () => ["a", "b"],
    getOwnPropertyDescriptor: () => ({ value: 1, enumerable: true, configurable: true }),
    get: (_: unknown, key: string | symbol) => (key === "toJSON" ? undefined : new Proxy({}, handler)),
  };
  return new Proxy({}, handler) as any;
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED result_bytes
 * @expects FUNCTION_FAILED */
export const returnsAProxyOfALongArray = query((): Json =>
  new Proxy([], { get: (_, key) => (key === "length" ? 2 ** 32 - 1 : key === "toJSON" ? undefined : 1) }) as any,
);

/** @expects FUNCTION_FAILED revoked */
export const returnsARevokedProxy = query((): Json => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy as any;
});

/** @expects FUNCTION_FAILED contains itself */
export const returnsACycle = query((): Json => {
  const cycle: any = { member: [] };
  cycle.member.push(cycle);
  return cycle;
});

/** @expects FUNCTION_FAILED bigint */
export const returnsABigInt = query((): Json => ({ member: 1n }) as any);

/** @expects FUNCTION_FAILED symbol */
export const returnsASymbol = query((): Json => Symbol("no value") as any);

/** @expects FUNCTION_FAILED function */
export const returnsAFunction = query((): Json => (() => 1) as any);

/** @expects FUNCTION_FAILED NaN */
export const returnsNaN = query((): number => NaN);

/** @expects FUNCTION_FAILED Infinity */
export const returnsInfinity = query((): number => -Infinity);

/** @expects FUNCTION_FAILED NaN */
export const returnsOddValues = query((): Json => [NaN, undefined, () => 1, { a: -0, b: undefined, c: Symbol.iterator }, new Map([[1, 2]])] as any);

/** What is no text in Unicode is not passed on as it is.
 * @expects FUNCTION_FAILED */
export const returnsHalfCharacters = query((): string[] => ["a\ud800b", "\udfff", "\udc00\ud800", "\ud83d\ude00"]);

/** @expects FUNCTION_FAILED */
export const returnsHalfCharactersAsNames = query((): Json => ({ "\ud83d": 1 }));

/** @expects value {"__proto__": {"admin": true}, "constructor": 1, "toString": 2} */
export const returnsTheNameOfAPrototype = query((): Json => JSON.parse('{"__proto__": {"admin": true}, "constructor": 1, "toString": 2}'));

/** What comes in under such a name is a member like any other.
 * @args {"value": {"__proto__": {"admin": true}, "constructor": null}}
 * @expects value "own" */
export const takesTheNameOfAPrototype = query((args: { value: Json }): string => {
  const value = args.value as any;
  if (({} as any).admin !== undefined || value.admin !== undefined) return "polluted";
  return Object.hasOwn(value, "__proto__") && Object.hasOwn(value, "constructor") ? "own" : "lost";
});

/** @expects FUNCTION_FAILED things */
export const storesTheNameOfAPrototype = procedure((): Int => {
  things.insert(JSON.parse('{"name": "a", "size": 1, "__proto__": {"admin": true}}'));
  return 1;
});

/** @long text 1048576
 * @expects LIMIT_EXCEEDED arguments_bytes */
export const takesTooMuchText = query((args: { text: string }): Int => args.text.length);

/** @long text 1000000
 * @expects value 1000000 */
export const takesMuchText = query((args: { text: string }): Int => args.text.length);

/** @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED result_bytes
 * @expects FUNCTION_FAILED Invalid string length */
export const returnsASparseArray = query((): Json => {
  const list: Json[] = [];
  list[2 ** 32 - 2] = 1;
  return list;
});

/** @expects value [1, null, null, 4] */
export const returnsHoles = query((): Json => {
  const list: Json[] = [1];
  list[3] = 4;
  return list;
});

/** @expects LIMIT_EXCEEDED result_bytes */
export const returnsTooMuchText = query((): string => "x".repeat(262_144));

/** @expects LIMIT_EXCEEDED result_bytes */
export const returnsTooManyBytes = query((): string => "あ".repeat(100_000));

/** Each character takes six when it is written.
 * @expects LIMIT_EXCEEDED result_bytes */
export const returnsTooManyEscapes = query((): string => "\u0001".repeat(50_000));

/** @expects LIMIT_EXCEEDED result_bytes
 * @expects LIMIT_EXCEEDED cpu_ms */
export const returnsTooManyElements = query((): Json => new Array(200_000).fill(0));

/** @expects LIMIT_EXCEEDED result_bytes */
export const returnsALongName = query((): Json => ({ ["x".repeat(300_000)]: 1 }));

/** @expects LIMIT_EXCEEDED result_bytes
 * @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms
 * @expects FUNCTION_FAILED Invalid string length */
export const returnsTheLongestText = query((): string => "x".repeat(2 ** 29 - 24));

/** @expects LIMIT_EXCEEDED result_bytes
 * @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes
 * @expects FUNCTION_FAILED Invalid string length */
export const returnsABillionLaughs = query((): Json => {
  let list: Json[] = ["ha"];
  for (let i = 0; i < 40; i += 1) list = [list, list];
  return list;
});

/** @expects LIMIT_EXCEEDED result_bytes */
export const returnsTooMuchFromAnAction = action(async (): Promise<Json> => ["x".repeat(300_000)]);

/** @expects LIMIT_EXCEEDED result_depth */
export const returnsTooDeepFromAnAction = action(async (): Promise<Json> => JSON.parse("[".repeat(150) + "]".repeat(150)));

/** @expects LIMIT_EXCEEDED cpu_ms */
export const returnsAnEndlessThenable = action(async (): Promise<Json> => ({ then: spin }) as any);

/** As much as is allowed, but for the quotes.
 * @expects value 262142 */
export const returnsEnough = query((): Int => "x".repeat(262_142).length);

/** @expects value {"date": "2026-01-02T03:04:05.678Z", "boxed": [1, "a", true]} */
export const returnsBoxes = query((): Json => ({
  date: new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 678)),
  boxed: [new Number(1), new String("a"), new Boolean(true)],
}) as any);

/** @expects FUNCTION_FAILED typed array */
export const returnsBytes = query((): Json => ({ bytes: new Uint8Array([1, 2]) }) as any);

/** @expects FUNCTION_FAILED */
export const returnsAMap = query((): Json => ({ map: new Map([[1, 2]]) }) as any);

/** @expects value {"zero": 0, "list": [1]} */
export const returnsUndefinedMembers = query((): Json => ({ zero: -0, absent: undefined, list: [1] }) as any);

/** @expects FUNCTION_FAILED threw an object that is no Error */
export const throwsAnObject = query((): Int => {
  throw { secret: 1 };
});

/** @expects FUNCTION_FAILED */
export const throwsNothing = query((): Int => {
  throw undefined;
});

/** @expects FUNCTION_FAILED */
export const throwsASymbol = query((): Int => {
  throw Symbol("thrown");
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const throwsAnEndlessMessage = query((): Int => {
  throw Object.defineProperty(new Error(), "message", { get: spin });
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects FUNCTION_FAILED */
export const throwsAnEndlessStack = query((): Int => {
  throw Object.defineProperty(new Error("with a stack"), "stack", { get: spin });
});

/** @expects FUNCTION_FAILED */
export const throwsAThrowingGetter = query((): Int => {
  throw {
    get message(): string {
      throw this;
    },
    get name(): string {
      throw this;
    },
  };
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects FUNCTION_FAILED */
export const throwsAnEndlessProxy = query((): Int => {
  throw new Proxy(new Error("proxy"), { get: spin, getPrototypeOf: spin, has: spin });
});

/** A message of 16 MiB is not for a caller.
 * @expects FUNCTION_FAILED xxxx
 * @expects LIMIT_EXCEEDED */
export const throwsMuchText = query((): Int => {
  throw new Error("x".repeat(2 ** 24));
});
