// What actions reach outside: `fetch`, and the secrets that they need for it.
//
// The host decides what may be asked of whom; here a request becomes text and a response an object.

import { op_host_start, op_utf8_read } from "ext:core/ops";
import { checkText, shown } from "ext:weir/arguments.js";
import { fromBase64, isBytes, toBase64, utf8 } from "ext:weir/bytes.js";
import { article, ask, atHand, refused } from "ext:weir/call.js";

const { parse, stringify } = JSON;
const { isSafeInteger } = Number;
const { isArray } = Array;
const { ownKeys } = Reflect;

/** The most headers that the host takes of a request or a response: FETCH_HEADERS_MAX and RESPONSE_HEADERS_MAX in weir-schema. */
const HEADERS_MAX = 100;
const OPTIONS = ["method", "headers", "body", "redirect", "timeoutMs"];
const REDIRECTS = ["follow", "error", "manual"];

function mustAct(what) {
  if (atHand.running === null) throw new Error(`${what} works only while an action runs, not while a module loads or after the call`);
  if (atHand.running.kind !== "action") throw new Error(`only an action may use ${what}; this is ${article(atHand.running.kind)}`);
}

/** The headers of a response: names in lower case, in the order of the response. */
export class FetchHeaders {
  #pairs;

  constructor(pairs) {
    this.#pairs = pairs;
    Object.freeze(this);
  }

  get(name) {
    const wanted = String(name).toLowerCase();
    const values = this.#pairs.filter(([known]) => known === wanted).map(([, value]) => value);
    return values.length === 0 ? null : values.join(", ");
  }

  has(name) {
    return this.get(name) !== null;
  }

  /** Pairs of name and value; a name that came more than once, `set-cookie` perhaps, stands more than once. */
  entries() {
    return this.#pairs.map(([name, value]) => [name, value]).values();
  }

  keys() {
    return this.#pairs.map(([name]) => name).values();
  }

  values() {
    return this.#pairs.map(([, value]) => value).values();
  }

  [Symbol.iterator]() {
    return this.entries();
  }
}

/** A response, read to its end. */
export class FetchResponse {
  #body;

  constructor({ status, statusText, url, redirected, headers, body }) {
    this.#body = body;
    this.status = status;
    this.ok = status >= 200 && status <= 299;
    this.statusText = statusText;
    this.url = url;
    this.redirected = redirected;
    this.headers = new FetchHeaders(headers);
    Object.freeze(this);
  }

  async text() {
    return textOf(this.#body);
  }

  async json() {
    return parse(textOf(this.#body));
  }

  async bytes() {
    return bytesOfBody(this.#body);
  }
}

/** What a body is as JSON for the host; null for none. */
export function bodyFor(body, what) {
  if (body === undefined || body === null) return null;
  if (typeof body === "string") return { text: body.toWellFormed() };
  if (isBytes(body)) return { base64: toBase64(body) };
  throw new TypeError(`${what} is ${shown(body)}, and should be a string or a Uint8Array; write JSON.stringify(value)`);
}

/** The bytes of a body. */
export function bytesOfBody({ text, base64 }) {
  return base64 === undefined ? utf8(text) : fromBase64(base64);
}

/** The text of a body, without the mark of its byte order. */
export function textOf({ text, base64 }) {
  const decoded = base64 === undefined ? text : op_utf8_read(fromBase64(base64));
  return decoded.startsWith("\ufeff") ? decoded.slice(1) : decoded;
}

/** Asks another server. For actions. */
export function fetch(url, options = {}) {
  mustAct("fetch");
  return send(url, options);
}

async function send(url, options) {
  if (typeof url !== "string") throw new TypeError(`fetch(${shown(url)}): pass a URL, a string`);
  checkText("fetch", url);
  if (typeof options !== "object" || options === null) throw new TypeError(`fetch(..., ${shown(options)}): the options are an object`);
  for (const key of ownKeys(options)) {
    if (!OPTIONS.includes(key)) throw new TypeError(`fetch has no option ${String(key)}; it has ${OPTIONS.join(", ")}`);
  }
  const { method = "GET", headers, body, redirect = "follow", timeoutMs } = options;
  if (typeof method !== "string") throw new TypeError(`fetch: the method is ${shown(method)}, and should be a string`);
  if (!REDIRECTS.includes(redirect)) throw new TypeError('fetch: redirect is "follow", "error" or "manual"');
  if (timeoutMs !== undefined && (!isSafeInteger(timeoutMs) || timeoutMs < 1)) {
    throw new TypeError(`fetch: timeoutMs is ${shown(timeoutMs)}, and should be a whole number, 1 or more`);
  }
  const list = headerList(headers, "fetch");
  const sent = bodyFor(body, "fetch: the body");
  if (sent?.text !== undefined && !list.some(([name]) => name.toLowerCase() === "content-type")) {
    list.push(["content-type", "text/plain;charset=UTF-8"]);
  }
  const request = { url, method: method.toWellFormed(), headers: list, body: sent, redirect, timeoutMs };
  let answer;
  try {
    answer = await op_host_start(stringify({ fetch: request }));
  } catch (error) {
    refused("fetch", error);
  }
  return new FetchResponse(parse(answer));
}

/** Headers as pairs of name and value. `what` begins the errors. */
export function headerList(headers, what) {
  if (headers === undefined || headers === null) return [];
  if (typeof headers !== "object") throw new TypeError(`${what}: the headers are ${shown(headers)}, and should be an object or a list of pairs`);
  const pairs = typeof headers[Symbol.iterator] === "function" ? headers : Object.entries(headers);
  const list = [];
  for (const pair of pairs) {
    const [name, value] = isArray(pair) ? pair : [];
    const isText = typeof value === "string" || typeof value === "number";
    if (typeof name !== "string" || !isText) throw new TypeError(`${what}: a header is a name and a value, both strings`);
    list[list.length] = [name.toWellFormed(), `${value}`.toWellFormed()];
    // One more than the host takes: it says so.
    if (list.length > HEADERS_MAX) break;
  }
  return list;
}

/** A secret that app.toml names, from the configuration of the server. For actions. */
export function secret(name) {
  mustAct("secret");
  if (typeof name !== "string") throw new TypeError(`secret(${shown(name)}): pass the name of a secret, a string`);
  checkText("secret", name);
  return ask("weir", "secret", stringify({ secret: { name } }));
}
