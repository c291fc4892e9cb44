// HTTP endpoints: a request from the host becomes an object, and what the action returns becomes its response.

import { shown } from "ext:weir/arguments.js";
import { isBytes } from "ext:weir/bytes.js";
import { bodyFor, bytesOfBody, FetchHeaders, headerList, textOf } from "ext:weir/fetch.js";
import { answering } from "ext:weir/functions.js";
import { bodyText } from "ext:weir/values.js";

const { parse } = JSON;
const { isSafeInteger } = Number;
const { fromEntries } = Object;
const { ownKeys } = Reflect;

const MEMBERS = ["status", "headers", "body"];

/** The parameters behind the `?` of a request. */
export class HttpQuery {
  #pairs;

  constructor(pairs) {
    this.#pairs = pairs;
    Object.freeze(this);
  }

  get(name) {
    return this.getAll(name)[0] ?? null;
  }

  getAll(name) {
    return this.#pairs.filter(([known]) => known === name).map(([, value]) => value);
  }

  has(name) {
    return this.#pairs.some(([known]) => known === name);
  }

  entries() {
    return this.#pairs.map(([name, value]) => [name, value]).values();
  }

  [Symbol.iterator]() {
    return this.entries();
  }
}

/** A request, read to its end. */
export class HttpRequest {
  #body;

  constructor({ method, path, params, query, headers, body }) {
    this.#body = body;
    this.method = method;
    this.path = path;
    this.params = Object.freeze(fromEntries(params));
    this.query = new HttpQuery(query);
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

/** What an action returned, for the host. */
function responseOf(value) {
  if (typeof value !== "object" || value === null) throw new TypeError(`the response is ${shown(value)}: return { status, headers, body }`);
  for (const key of ownKeys(value)) {
    if (!MEMBERS.includes(key)) throw new TypeError(`a response has no member ${String(key)}: return { status, headers, body }`);
  }
  const { status = 200, headers, body } = value;
  if (!isSafeInteger(status) || status < 200 || status > 599) throw new TypeError(`the status is ${shown(status)}, and should be a number from 200 to 599`);
  const list = headerList(headers, "the response");
  const isJson = typeof body === "object" && body !== null && !isBytes(body) || typeof body === "number" || typeof body === "boolean";
  const sent = isJson ? { text: bodyText(body) } : bodyFor(body, "the body");
  if (sent !== null && !list.some(([name]) => name.toLowerCase() === "content-type")) {
    list.push(["content-type", isJson ? "application/json" : sent.text !== undefined ? "text/plain; charset=utf-8" : "application/octet-stream"]);
  }
  return { status, headers: list, body: sent };
}

const endpoint = (method) => (path, value) => {
  if (typeof path !== "string") throw new TypeError(`http.${method}(${shown(path)}, ...): pass a path, a string`);
  const wrap = (body) => async (request) => responseOf(await body(new HttpRequest(request)));
  return answering(value, wrap, `http.${method}`);
};

export const http = Object.freeze({
  __proto__: null,
  get: endpoint("get"),
  post: endpoint("post"),
  put: endpoint("put"),
  patch: endpoint("patch"),
  delete: endpoint("delete"),
});
