// Requests to other servers: to those that are not listed, by every spelling of them; with what is not a function's to send;
// too many, too large, without end. What must not arrive is asked for below `/never`.

import { action, call, procedure, query, stream, view, type Int, type JSON as Json } from "weir";
import { allTold, OUTSIDE, raw, told } from "../lib/outside";
import { sumTo } from "./neighbour";

const any = (value: unknown): any => value;
const PORT = OUTSIDE.slice(17);

/** Nothing but HTTP.
 * @expects value ["fetch: file: URLs are not fetched; write https:// or http://", "fetch: data: URLs are not fetched; write https:// or http://", "fetch: blob: URLs are not fetched; write https:// or http://", "fetch: ftp: URLs are not fetched; write https:// or http://", "fetch: ws: URLs are not fetched; write https:// or http://", "fetch: gopher: URLs are not fetched; write https:// or http://", "fetch: javascript: URLs are not fetched; write https:// or http://", "fetch: about: URLs are not fetched; write https:// or http://", "fetch: unix: URLs are not fetched; write https:// or http://", "fetch: view-source: URLs are not fetched; write https:// or http://", "fetch: xxxxxxxxxxxxxxxxxxxx…: URLs are not fetched; write https:// or http://"] */
export const fetchesByOtherSchemes = action((): Promise<string[]> =>
  allTold([
    "file:///etc/passwd", "FILE:/etc/passwd", "data:text/plain,x", `blob:${OUTSIDE}/never`, "ftp://127.0.0.1/never", `ws://127.0.0.1:${PORT}/never`,
    `gopher://127.0.0.1:${PORT}/never`, "javascript:alert(1)", "about:blank", "unix:/run/docker.sock", `view-source:${OUTSIDE}/never`,
    `${"x".repeat(1_000)}:never`,
  ]),
);

/** What stands before the `@` is no host, and what stands behind it counts.
 * @expects value ["fetch: the URL holds a user or a password: send them in the header authorization", "fetch: the app may not fetch from evil.example: add \"evil.example\" to hosts under [fetch] in app.toml"] */
export const fetchesWithAUser = action((): Promise<string[]> =>
  allTold([
    `http://user@127.0.0.1:${PORT}/never`, `http://user:word@127.0.0.1:${PORT}/never`, `http://127.0.0.1:${PORT}@evil.example/never`,
    `http://127.0.0.1:${PORT}%2f@evil.example/never`, `http://%00@127.0.0.1:${PORT}/never`, `http://evil.example#@127.0.0.1:${PORT}/never`,
    `http://evil.example?@127.0.0.1:${PORT}/never`, `http://evil.example\\@127.0.0.1:${PORT}/never`, `http://evil.example/@127.0.0.1:${PORT}/never`,
  ]),
);

/** Other notations of the address that is listed are that address, and nothing else is sent than for the usual one.
 * @expects value ["127.0.0.1:PORT /a"] */
export const fetchesByOtherNotations = action(async (): Promise<string[]> => {
  const all = new Set<string>();
  const notations = [
    `http://127.1:${PORT}/a`, `http://0x7f.1:${PORT}/a`, `http://0177.0.0.1:${PORT}/a`, `http://2130706433:${PORT}/a`, `http://127.0.0.1.:${PORT}/a`,
    `http://①②⑦.⓪.⓪.①:${PORT}/a`, `http://%31%32%37.0.0.1:${PORT}/a`, `HTTP://127.0.0.1:${PORT}/a`, `http:127.0.0.1:${PORT}/a`,
    `http:\\\\127.0.0.1:${PORT}\\a`, ` h\tttp://127.\n0.0.1:${PORT}/a `, `http://127.0.0.1:0${PORT}/b/../a`, `http://127.0.0.1:${PORT}/%2e/a`,
  ];
  for (const url of notations) {
    const response = await fetch(url);
    const [first, ...headers]: string[] = (await response.json()).request.split("\r\n");
    const host = headers.find((line) => line.startsWith("host: "))!.slice(6);
    all.add(`${host} ${first!.split(" ")[1]}`.replaceAll(PORT, "PORT"));
    if (response.url !== `${OUTSIDE}/a`) all.add(response.url);
  }
  return [...all];
});

/** Addresses that are near to it, or are it for the system, and that nobody listed.
 * @expects value true */
export const fetchesFromNearby = action(async (): Promise<boolean> => {
  const addresses = [
    "0", "0.0.0.0", "[::]", "[::1]", "127.0.0.2", "0177.0.0.2", "2130706434", "0x7f000002", "[::127.0.0.1]", "[::ffff:127.0.0.2]",
    "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]", "169.254.169.254", "[fd00:ec2::254]", "255.255.255.255",
  ];
  const all = await allTold(addresses.map((address) => `http://${address}:${PORT}/never`));
  return all.length > 10 && all.every((message) => message.startsWith("fetch: the app may not fetch from "));
});

/** @expects value ["fetch: the app may fetch from 127.0.0.1 at other ports than 1 only: add \"127.0.0.1:1\" to hosts under [fetch] in app.toml", "fetch: the app may fetch from 127.0.0.1 at other ports than 80 only: add \"127.0.0.1:80\" to hosts under [fetch] in app.toml", "fetch: the app may fetch from 127.0.0.1 at other ports than 443 only: add \"127.0.0.1:443\" to hosts under [fetch] in app.toml", "fetch: the app may fetch from 127.0.0.1 at other ports than 0 only: add \"127.0.0.1:0\" to hosts under [fetch] in app.toml", "fetch: the URL cannot be read: invalid port number"] */
export const fetchesFromOtherPorts = action((): Promise<string[]> =>
  allTold([
    "http://127.0.0.1:1/never", "http://127.0.0.1/never", "http://127.0.0.1:/never", "https://127.0.0.1/never", "http://127.0.0.1:0/never",
    "http://127.0.0.1:65536/never", "http://127.0.0.1:-1/never", `http://127.0.0.1:+${PORT}/never`, `http://127.0.0.1:${PORT}:80/never`,
    "http://127.0.0.1:4294967297/never",
  ]),
);

/** Names that look like what is listed, or lead there.
 * @expects value true */
export const fetchesByName = action(async (): Promise<boolean> => {
  const names = [
    `localhost:${PORT}`, `LOCALHOST:${PORT}`, `localhost.:${PORT}`, `127.0.0.1.evil.example:${PORT}`, `127.0.0.1-evil.example:${PORT}`,
    `evil.example:${PORT}`, `1:${PORT}`, `xn--fiqs8s:${PORT}`, `ⅼocalhost:${PORT}`, `127。0。0。2:${PORT}`, `localhost.evil.example:9`, `*:${PORT}`,
  ];
  const all = await allTold(names.map((name) => `http://${name}/never`));
  return all.every((message) => / may (not )?fetch from |cannot be read/.test(message));
});

/** The name is listed, in whatever letters; where it leads to is not.
 * @expects value 5 */
export const fetchesFromAPrivateAddressByName = action(async (): Promise<Int> => {
  const names = ["localhost:9", "LocalHost:9", "ｌｏｃａｌｈｏｓｔ:9", "loc\u00adalhost:9", "%6cocalhost:9"];
  const all: string[] = [];
  for (const name of names) all.push(await told(`http://${name}/never`));
  return all.filter((message) => message.startsWith("fetch: localhost leads to ") && message.includes(", a loopback address: ")).length;
});

/** @expects value true */
export const followsRedirects = action(async (): Promise<boolean> => {
  const targets = [
    "http://evil.example/never", "//evil.example/never", "http://127.0.0.2/never", "http://localhost:9/never", "file:///etc/passwd",
    "data:text/plain,x", `http://user@127.0.0.1:${PORT}/never`, "http://127.0.0.1:1/never", "javascript:1", "http://", "\\\\evil.example\\never",
    "hTTp:\\\\169.254.169.254/never",
  ];
  const all = await allTold(targets.map((target) => `${OUTSIDE}/to/${target}`));
  return all.length >= 9 && all.every((message) => message.startsWith("fetch: 127.0.0.1:PORT redirects to where the app may not follow: "));
});

/** @expects FUNCTION_FAILED more than 10 redirects */
export const followsTooManyRedirects = action(async (): Promise<Int> => {
  let url = `${OUTSIDE}/a`;
  for (let n = 0; n < 12; n += 1) url = `${OUTSIDE}/to/${url}`;
  return (await fetch(url)).status;
});

/** @expects value ["fetch: 127.0.0.1:PORT redirects, and the request says redirect: \"error\"", "302"] */
export const redirectsByHand = action(async (): Promise<string[]> => [
  await told(`${OUTSIDE}/to/http://evil.example/`, { redirect: "error" }),
  await told(`${OUTSIDE}/to/http://evil.example/`, { redirect: "manual" }),
]);

/** @expects value true */
export const fetchesWhatIsNoUrl = action(async (): Promise<boolean> => {
  const urls: unknown[] = [
    undefined, null, 7, {}, [`${OUTSIDE}/never`], { toString: () => `${OUTSIDE}/never` }, () => `${OUTSIDE}/never`, "", " ", "/never",
    `//127.0.0.1:${PORT}/never`, "http://", "http://[", `${OUTSIDE}/\ud800`, `${OUTSIDE}/never/${"x".repeat(20_000)}`,
  ];
  const all = await allTold(urls);
  return all.every((message) => /^fetch(\(.*)?: (pass a URL|the text has half|the URL )/.test(message));
});

/** Neither the connection's headers nor what would be a line of its own.
 * @expects value 14 */
export const fetchesWithHeadersThatAreNone = action(async (): Promise<Int> => {
  const bad: unknown[] = [
    { "x-a": "a\r\nx-injected: 1" }, { "x-a": "a\nx-injected: 1" }, { "x-a": "a\rb" }, { "x-a": "a\0b" }, { "x-a": "\u010d\u010ax-injected: 1" },
    { "x-a\r\nx-injected": "1" }, { "x-a:": "1" }, { " x-a": "1" }, { "": "1" }, { "x a": "1" }, [["x-a", "1", "2"], ["x-b\n", "1"]],
    { "x-a": "ü" }, { "x-a": "\ud800" }, { ":path": "/never" },
  ];
  let refused = 0;
  for (const headers of bad) if ((await told(`${OUTSIDE}/never`, { headers })).includes("is not a header: ")) refused += 1;
  return refused;
});

/** @expects value 15 */
export const fetchesWithTheHeadersOfTheConnection = action(async (): Promise<Int> => {
  const names = [
    "Host", "HOST", "content-length", "Transfer-Encoding", "connection", "keep-alive", "upgrade", "te", "trailer", "expect",
    "proxy-authorization", "proxy-connection", "via", "accept-encoding", "sec-fetch-site",
  ];
  let refused = 0;
  for (const name of names) {
    if ((await told(`${OUTSIDE}/never`, { method: "POST", body: "x", headers: { [name]: "0" } })).includes("is not a function's to set")) refused += 1;
  }
  return refused;
});

/** Lines in a URL or a body are no lines of the head.
 * @expects value "POST /abGET%20/never%20HTTP/1.1x-injected:%201?c=1%20x HTTP/1.1 | content-length: 34" */
export const fetchesWithLinesInTheUrl = action(async (): Promise<string> => {
  const url = `${OUTSIDE}/a\r\nb\r\n\r\nGET /never HTTP/1.1\r\nx-injected: 1?c=1\r\n x#\r\nfragment`;
  const body = "\r\nGET /never HTTP/1.1\r\nhost: x\r\n\r\n";
  const { request } = await (await fetch(url, { method: "POST", body })).json();
  const head: string[] = request.split("\r\n\r\n")[0].split("\r\n");
  const odd = head.slice(1).filter((line) => /injected|never|content-length/.test(line));
  return [head[0], ...odd].join(" | ");
});

/** @expects value ["refused"] */
export const fetchesByOddMethods = action(async (): Promise<string[]> => {
  const all = new Set<string>();
  const methods: unknown[] = ["", "GET /never HTTP/1.1\r\nx:", "GET\0", "CONNECT", "TRACE", "TRACK", "PRI", "\ud800", "x".repeat(5_000), null, 7, {}, ["GET"], any(Symbol("GET"))];
  for (const method of methods) all.add(/no method|the method is/.test(await told(`${OUTSIDE}/never`, { method })) ? "refused" : `${String(method)}`);
  return [...all];
});

/** @expects value ["fetch: the request has more than 100 headers or 65536 bytes of them", "fetch: the URL has more than 16384 bytes"] */
export const sendsTooManyHeaders = action((): Promise<string[]> => {
  const many = Array.from({ length: 1_000 }, (_, n) => [`x-${n}`, "1"]);
  return (async () => [
    ...new Set([
      await told(`${OUTSIDE}/never`, { headers: many }), await told(`${OUTSIDE}/never`, { headers: { "x-a": "x".repeat(70_000) } }),
      await told(`${OUTSIDE}/never`, { headers: { ["x".repeat(70_000)]: "1" } }), await told(`${OUTSIDE}/never?${"x".repeat(20_000)}`),
    ]),
  ])();
});

/** @expects LIMIT_EXCEEDED fetch_bytes */
export const sendsTooMuch = action(async (): Promise<Int> => (await fetch(`${OUTSIDE}/never`, { method: "POST", body: "x".repeat(200_000) })).status);

/** Each is small enough. What is caught does not go on.
 * @expects LIMIT_EXCEEDED fetch_bytes */
export const sendsTooMuchInPieces = action(async (): Promise<Int> => {
  for (let n = 0; n < 15; n += 1) await told(`${OUTSIDE}/silent/no`, { method: "POST", body: "x".repeat(20_000), timeoutMs: 1 });
  return 1;
});

/** More than any request to the host may be.
 * @expects FUNCTION_FAILED the request has more than
 * @expects LIMIT_EXCEEDED */
export const sendsMegabytes = action(async (): Promise<Int> => (await fetch(`${OUTSIDE}/never`, { method: "POST", body: "x".repeat(4_000_000) })).status);

/** @expects LIMIT_EXCEEDED fetch_bytes */
export const receivesWithoutEnd = action(async (): Promise<Int> => (await (await fetch(`${OUTSIDE}/endless`)).text()).length);

/** @expects LIMIT_EXCEEDED fetch_bytes */
export const receivesTooMuch = action(async (): Promise<Int> => (await (await fetch(`${OUTSIDE}/zeros/200000`)).bytes()).length);

/** Zeros take six bytes each in JSON text.
 * @expects value 140000 */
export const receivesZeros = action(async (): Promise<Int> => (await (await fetch(`${OUTSIDE}/zeros/140000`)).bytes()).length);

/** What is announced takes no memory.
 * @expects FUNCTION_FAILED it ends too early
 * @expects LIMIT_EXCEEDED fetch_bytes */
export const receivesLessThanAnnounced = action(async (): Promise<Int> => (await fetch(raw("HTTP/1.1 200 OK\r\ncontent-length: 999999999999\r\n\r\nx"))).status);

/** @expects FUNCTION_FAILED no response from 127.0.0.1
 * @expects LIMIT_EXCEEDED wall_ms */
export const receivesSlowlyForEver = action(async (): Promise<Int> => (await fetch(`${OUTSIDE}/trickle`)).status);

/** @expects FUNCTION_FAILED within 300 ms */
export const waitsForNoAnswer = action(async (): Promise<Int> => (await fetch(`${OUTSIDE}/silent`, { timeoutMs: 300 })).status);

/** More time than there is.
 * @expects FUNCTION_FAILED within 2000 ms
 * @expects LIMIT_EXCEEDED wall_ms */
export const waitsForNoAnswerForEver = action(async (): Promise<Int> => (await fetch(`${OUTSIDE}/silent`, { timeoutMs: Number.MAX_SAFE_INTEGER })).status);

/** Responses that are none, or two at once.
 * @expects value true */
export const receivesWhatIsNoResponse = action(async (): Promise<boolean> => {
  const head = "HTTP/1.1 200 OK\r\n";
  const responses = [
    "", "x", "220 mail ready\r\n\r\n", "HTTP/1.1 099 Low\r\n\r\n", "HTTP/1.1 1000 High\r\n\r\n", "HTTP/9.9 200 OK\r\n\r\n", "HTTP/1.1 101 Switch\r\nupgrade: x\r\n\r\n",
    `${head}content-length: 1\r\ncontent-length: 2\r\n\r\nxx`, `${head}content-length: -1\r\n\r\n`, `${head}transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\nx`,
    `${head}transfer-encoding: chunked\r\n\r\n5\r\nhel`, `${head}x y: z\r\n\r\n`, `${head}x\0: z\r\n\r\n`, `${head}${"x: y\r\n".repeat(200)}\r\n`,
  ];
  const all = await allTold(responses.map(raw));
  return all.every((message) => message.startsWith("fetch: the response of 127.0.0.1:PORT cannot be read: "));
});

/** Nothing follows a response, and nothing in one is a name in JavaScript.
 * @expects value "200 x null {\"__proto__\":{\"polluted\":1}} [object Object] undefined" */
export const receivesPollution = action(async (): Promise<string> => {
  const body = '{"__proto__":{"polluted":1}}';
  const head = `HTTP/1.1 200 OK\r\n__proto__: x\r\nconstructor: y\r\ncontent-length: ${body.length}\r\n\r\n`;
  const response = await fetch(raw(`${head}${body}HTTP/1.1 500 No\r\n\r\n`));
  const json = await response.json();
  const headers: any = response.headers;
  return `${response.status} ${headers.get("__proto__")} ${headers.get("toString")} ${JSON.stringify(json)} ${Object.prototype.toString.call(Object.getPrototypeOf(json))} ${any({}).polluted}`;
});

/** @expects LIMIT_EXCEEDED fetches */
export const fetchesForEver = action(async (): Promise<Int> => {
  for (;;) await fetch(`${OUTSIDE}/a`);
});

/** Those that are refused count too, and what is caught does not go on.
 * @expects LIMIT_EXCEEDED fetches */
export const fetchesForEverAndCatches = action(async (): Promise<Int> => {
  for (;;) await told("http://evil.example/never");
});

/** @expects LIMIT_EXCEEDED fetches
 * @expects LIMIT_EXCEEDED outstanding_promises */
export const fetchesThousandsAtOnce = action(async (): Promise<Int> => {
  const all = Array.from({ length: 5_000 }, () => told(`${OUTSIDE}/silent`));
  return (await Promise.all(all)).length;
});

/** @expects FUNCTION_FAILED await
 * @expects value 1 */
export const leavesAFetch = action(async (): Promise<Int> => {
  void fetch(`${OUTSIDE}/a`);
  return 1;
});

/** The quicker one wins, the other is given up.
 * @expects FUNCTION_FAILED await */
export const leavesASlowFetch = action(async (): Promise<Int> => {
  void fetch(`${OUTSIDE}/silent`);
  return (await fetch(`${OUTSIDE}/a`)).status;
});

/** There is nowhere to keep a response for the next call.
 * @expects value [] */
export const keepsAResponse = action(async (): Promise<string[]> => {
  const response: any = await fetch(`${OUTSIDE}/a`);
  const places: any[] = [
    fetch, response, response.headers, response.constructor, response.constructor.prototype, response.headers.constructor,
    response.headers.constructor.prototype, globalThis, Promise.prototype, Object.getPrototypeOf(response.headers.entries()), told, console,
  ];
  const kept: string[] = [];
  for (const [number, place] of places.entries()) {
    for (const name of ["kept", "text", "get", "next"]) {
      const before = place[name];
      try {
        place[name] = () => response;
      } catch {}
      try {
        Object.defineProperty(place, name, { value: () => response });
      } catch {}
      if (place[name] !== before) kept.push(`${number} ${name}`);
    }
  }
  return kept;
});

/** @expects value true */
export const readsABodyAgainAndAgain = action(async (): Promise<boolean> => {
  const response = await fetch(`${OUTSIDE}/a`);
  const [one, other] = [await response.bytes(), await response.bytes()];
  one.fill(0);
  return other.some((byte) => byte !== 0) && (await response.text()).startsWith("{");
});

/** Private parts of a response are its own.
 * @expects FUNCTION_FAILED */
export const readsABodyOfAnother = action(async (): Promise<string> => {
  const response: any = await fetch(`${OUTSIDE}/a`);
  return response.text.call(Object.create(response));
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const fetchesWithAnEndlessOption = action(async (): Promise<Int> => {
  const options = {
    get method(): string {
      for (;;);
    },
  };
  return (await fetch(`${OUTSIDE}/never`, options)).status;
});

/** @expects FUNCTION_FAILED more than 100 headers */
export const fetchesWithEndlessHeaders = action(async (): Promise<Int> => {
  const headers = {
    *[Symbol.iterator](): Generator<[string, string]> {
      for (;;) yield ["x-a", "1"];
    },
  };
  return (await fetch(`${OUTSIDE}/never`, { headers })).status;
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const fetchesWithAnEndlessProxy = action(async (): Promise<Int> => {
  const options = new Proxy({}, {
    ownKeys: () => {
      for (;;);
    },
  });
  return (await fetch(`${OUTSIDE}/never`, options)).status;
});

/** Each option is looked at once.
 * @expects value "method,headers,body,redirect,timeoutMs 302" */
export const fetchesWithShiftyOptions = action(async (): Promise<string> => {
  const seen: string[] = [];
  const first: any = { method: "POST", headers: {}, body: "x", redirect: "manual", timeoutMs: 1_000 };
  const options = new Proxy(first, {
    get: (target, name) => {
      if (seen.includes(String(name))) return { toString: () => "CONNECT" };
      seen.push(String(name));
      return target[name];
    },
  });
  const { status } = await fetch(`${OUTSIDE}/to/http://evil.example/`, options);
  return `${seen.join(",")} ${status}`;
});

/** @expects value ["fetch has no option then; it has method, headers, body, redirect, timeoutMs", "mine", "fetch: the body is an object, and should be a string or a Uint8Array; write JSON.stringify(value)", "fetch: the headers are \"x\", and should be an object or a list of pairs", "fetch: a header is a name and a value, both strings", "fetch(..., 7): the options are an object", "fetch: redirect is \"follow\", \"error\" or \"manual\"", "fetch: timeoutMs is Infinity, and should be a whole number, 1 or more"] */
export const fetchesWithOddOptions = action(async (): Promise<string[]> => {
  const odd: unknown[] = [
    { then: (done: any) => done({}) }, { get body() { throw new Error("mine"); } }, { method: "POST", body: Promise.resolve("x") },
    { method: "POST", body: { toString: () => "x" } }, { method: "POST", body: new String("x") }, { method: "POST", body: new Uint16Array(2) },
    { headers: "x" }, { headers: [["a"]] }, { headers: [{ 0: "a", 1: "b", length: 2 }] }, 7, { redirect: { toString: () => "follow" } }, { timeoutMs: Infinity },
  ];
  const all = new Set<string>();
  for (const options of odd) all.add(await told(`${OUTSIDE}/never`, options));
  return [...all];
});

/** Bytes are what they are, whatever they say of themselves.
 * @expects value ["1,2,3", "1,2,3", "", "1,2"] */
export const sendsBytesThatLie = action(async (): Promise<string[]> => {
  class Lying extends Uint8Array {
    override get length() { return 2 ** 30; }
    override toBase64() { return "not base64"; }
    override get byteLength() { return 7; }
  }
  const lying = new Lying(Uint8Array.of(1, 2, 3).buffer);
  const renamed = Object.defineProperty(Uint8Array.of(1, 2, 3), Symbol.toStringTag, { value: "Map" });
  const empty = new Uint8Array(0);
  const shrunk = new Uint8Array(new ArrayBuffer(3, { maxByteLength: 8 }));
  shrunk.set([1, 2, 3]);
  any(shrunk.buffer).resize(2);
  const all: string[] = [];
  for (const body of [lying, renamed, empty, shrunk]) {
    all.push([...(await (await fetch(`${OUTSIDE}/echo`, { method: "POST", body })).bytes())].join());
  }
  return all;
});

/** @expects FUNCTION_FAILED detached */
export const sendsBytesThatAreGone = action(async (): Promise<Int> => {
  const body = new Uint8Array(8);
  body.buffer.transfer();
  return (await fetch(`${OUTSIDE}/never`, { method: "POST", body })).status;
});

/** @expects FUNCTION_FAILED only an action may use fetch; this is a query */
export const fetchesInAQuery = query((): Int => (fetch(`${OUTSIDE}/never`) ? 1 : 0));

/** @expects FUNCTION_FAILED only an action may use fetch; this is a procedure */
export const fetchesInAProcedure = procedure((): Int => (fetch(`${OUTSIDE}/never`) ? 1 : 0));

/** @expects FUNCTION_FAILED only an action may use fetch; this is a view */
export const fetchesInAView = view((): Int => (fetch(`${OUTSIDE}/never`) ? 1 : 0));

/** @expects FUNCTION_FAILED only an action may use fetch; this is a stream */
export const fetchesInAStream = stream(async function* (): AsyncGenerator<Int> {
  yield 1;
  await fetch(`${OUTSIDE}/never`);
});

/** An action that runs beside does not lend its rights.
 * @expects FUNCTION_FAILED only an action may use fetch; this is a query */
export const fetchesInAQueryOfAnAction = action(async (): Promise<Int> => {
  const beside = fetch(`${OUTSIDE}/a`);
  try {
    return await call(fetchesInAQuery, {});
  } finally {
    await beside;
  }
});

/** What a call passes on cannot be more than a value.
 * @expects FUNCTION_FAILED
 * @expects value 6 */
export const callsWithAResponse = action(async (): Promise<Json> => call(sumTo, { n: 3, ...any(await fetch(`${OUTSIDE}/a`)) }));
