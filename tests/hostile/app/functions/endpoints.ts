// Endpoints that answer with what is no response. Whoever sends the request learns that the endpoint failed, and no more.

import { action, call, http, secret, type HttpRequest, type HttpResponse } from "weir";
import { OUTSIDE, told } from "../lib/outside";
import { sumTo } from "./neighbour";

const any = (value: unknown): any => value;
const key = (): string => secret("HOSTILE_KEY");

/** @expects 500 the endpoint failed
 * @each low inform switch below above four odd nan infinite negative fraction text big object null true proxy symbol */
export const answersOddly = http.get("/odd/status/:what", action(async (request: HttpRequest): Promise<HttpResponse> => {
  const statuses: any = {
    low: 99, inform: 100, switch: 101, below: 199, above: 600, four: 999, odd: 1000, nan: NaN, infinite: Infinity, negative: -200, fraction: 200.5, text: "200", big: 200n,
    object: { valueOf: () => 200 }, null: null, true: true, proxy: new Proxy({}, {}), symbol: Symbol("200"),
  };
  return { status: statuses[request.params.what!] };
}));

/** @expects 500 the endpoint failed
 * @each split name-split return zero letters half length encoding connection keep upgrade trailer te proxy space empty colon many long number pairs text value throws proxy */
export const answersWithOddHeaders = http.get("/odd/headers/:what", action(async (request: HttpRequest): Promise<HttpResponse> => {
  const headers: any = {
    split: { "x-a": "a\r\nx-injected: 1" }, "name-split": { "x-a\r\nx-injected": "1" }, return: { "x-a": "a\rb" }, zero: { "x-a": "a\0" }, letters: { "x-a": "ü" },
    half: { "x-a": "\ud800" }, length: { "Content-Length": "3" }, encoding: { "transfer-encoding": "chunked" }, connection: { connection: "upgrade" },
    keep: { "keep-alive": "timeout=1" }, upgrade: { upgrade: "websocket" }, trailer: { trailer: "x-a" }, te: { te: "trailers" },
    proxy: { "proxy-authenticate": "Basic" }, space: { "x a": "1" }, empty: { "": "1" }, colon: { "x-a:": "1" },
    many: Array.from({ length: 101 }, (_, n) => [`x-${n}`, "1"]), long: { "x-a": "x".repeat(70_000) }, number: 7, pairs: [["a"]], text: "x-a: 1",
    value: { "x-a": { toString: () => "1" } }, throws: { get "x-a"() { throw new Error("mine"); } },
  };
  if (request.params.what === "proxy") return { headers: new Proxy({}, { ownKeys: () => { throw new Error("mine"); } }) };
  return { headers: headers[request.params.what!] };
}));

/** More names than a map of headers can hold.
 * @expects 500 the endpoint failed
 * @expects 504 past a limit
 * @expects 503 past a limit */
export const answersWithThousandsOfHeaders = http.get("/odd/thousands", action(async (): Promise<HttpResponse> => {
  const headers: [string, string][] = [];
  for (let n = 0; n < 2_400; n += 1) headers.push([`x${n}`, "1"]);
  return { headers };
}));

/** @expects 500 the endpoint failed
 * @each function symbol bigint map words undefined date cycle nan promise */
export const answersWithOddBodies = http.get("/odd/body/:what", action(async (request: HttpRequest): Promise<HttpResponse> => {
  const cycle: any = {};
  cycle.cycle = cycle;
  const bodies: any = {
    function: () => 1, symbol: Symbol("1"), bigint: 1n, map: new Map([[1, 2]]), words: new Uint16Array(3), undefined: { toJSON: () => undefined },
    date: { toJSON: () => { throw new Error("mine"); } }, cycle, nan: { n: NaN }, promise: Promise.resolve("x"),
  };
  return { body: bodies[request.params.what!] };
}));

/** @expects 500 the endpoint failed
 * @each null text number list function getter member symbol nothing */
export const answersWithNoResponse = http.get("/odd/response/:what", action(async (request: HttpRequest): Promise<HttpResponse> => {
  const responses: any = {
    null: null, text: "200", number: 200, list: [200], function: () => 200, member: { code: 200 }, symbol: { [Symbol.iterator]: 1 }, nothing: undefined,
    getter: { get status() { throw new Error("mine"); } },
  };
  return responses[request.params.what!];
}));

/** @expects 504 past a limit
 * @each status keys headers body params */
export const answersNever = http.get("/odd/never/:what", action(async (request: HttpRequest): Promise<HttpResponse> => {
  const forEver = (): any => { for (;;); };
  switch (request.params.what) {
    case "status": return { get status() { return forEver(); } };
    case "keys": return new Proxy({}, { ownKeys: forEver });
    case "headers": return { headers: { get "x-a"() { return forEver(); } } };
    case "body": return { body: { toJSON: forEver } };
    default: return forEver();
  }
}));

/** Nobody takes more of them than a response may have.
 * @expects 500 the endpoint failed */
export const answersHeadersForEver = http.get("/odd/headers", action(async (): Promise<HttpResponse> => {
  return { headers: (function* (): Generator<[string, string]> { for (;;) yield ["x-a", "1"]; })() };
}));

/** @expects 503 past a limit */
export const answersTooMuch = http.get("/odd/much", action(async (): Promise<HttpResponse> => ({ body: "x".repeat(300_000) })));

/** @expects 500 the endpoint failed
 * @each 101 250 5000 */
export const answersTooDeep = http.get("/odd/deep/:what", action(async (request: HttpRequest): Promise<HttpResponse> => {
  let body: any = 1;
  for (let n = 0; n < Number(request.params.what); n += 1) body = [body];
  return { body };
}));

/** @expects 200 [[[1]]] */
export const answersDeep = http.get("/odd/deep-enough", action(async (): Promise<HttpResponse> => {
  let body: any = 1;
  for (let n = 0; n < 100; n += 1) body = [body];
  return { body };
}));

/** A list of its own, of which nothing stays.
 * @expects 200 {"a":1} */
export const answersWithPollution = http.get("/odd/pollution", action(async (): Promise<HttpResponse> =>
  any({ __proto__: { status: 500 }, status: undefined, headers: { __proto__: { "x-a": "1" } }, body: { a: 1, __proto__: { b: 2 } } })));

/** @expects 500 the endpoint failed
 * @each throws status member header name fetch call */
export const answersWithItsSecret = http.post("/odd/secret/:what", action(async (request: HttpRequest): Promise<HttpResponse> => {
  switch (request.params.what) {
    case "throws": throw new Error(key());
    case "status": return { status: any(key()) };
    case "member": return any({ [key()]: 1 });
    case "header": return { headers: { "content-length": key() } };
    case "name": return { headers: { [`Bearer ${key()}`]: "authorization" } };
    case "fetch": return { body: `${(await fetch(`${OUTSIDE}/never`, { method: key() })).status}` };
    default: return { body: await call(sumTo, { n: any(key()) }) };
  }
}));

/** @expects 500 the endpoint failed */
export const answersAndGoesOn = http.post("/odd/goes-on", action(async (): Promise<HttpResponse> => {
  void told(`${OUTSIDE}/silent`);
  return {};
}));

/** @expects 413 the request is too large
 * @long text 1100000 */
export const takesTooMuch = http.post("/odd/large", action(async (request: HttpRequest): Promise<HttpResponse> => ({ body: (await request.text()).slice(0, 10) })));

/** More than the server reads of any request.
 * @expects 413 the request is too large
 * @long text 17000000 */
export const takesFarTooMuch = http.put("/odd/larger", action(async (): Promise<HttpResponse> => ({})));

/** A request is its own, and frozen; nothing of it is a way to others.
 * @expects 200 []
 * @args {"__proto__": {"polluted": 1}} */
export const keepsARequest = http.post("/odd/keeps/:a/:b", action(async (request: HttpRequest): Promise<HttpResponse> => {
  const json = await request.json();
  const places: any[] = [
    request, request.headers, request.query, request.params, request.constructor, request.constructor.prototype, request.query.constructor.prototype,
    answersNever,
  ];
  const kept: string[] = any({}).polluted === undefined && Object.hasOwn(json, "__proto__") ? [] : ["polluted"];
  for (const [number, place] of places.entries()) {
    for (const name of ["kept", "text", "get", "a"]) {
      const before = place[name];
      try {
        place[name] = () => request;
      } catch {}
      if (place[name] !== before) kept.push(`${number} ${name}`);
    }
  }
  return { body: kept };
}));
