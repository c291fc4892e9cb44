// ---- inside of actions ----

/** What {@link fetch} is told besides the URL. */
export interface FetchOptions {
  /** `"GET"` without it; also `"HEAD"`, `"POST"`, `"PUT"`, `"PATCH"`, `"DELETE"` and `"OPTIONS"`. */
  method?: string;
  /**
   * What is sent along, as an object or as pairs of name and value. Nothing is added but `accept`, `user-agent` and, for a
   * text, `content-type`: no cookies, no credentials.
   */
  headers?: { readonly [name: string]: string | number } | Iterable<readonly [string, string | number]>;
  /** A text, sent as UTF-8, or bytes. */
  body?: string | Uint8Array | null;
  /**
   * What to do when the server answers with another URL. `"follow"`, without it: ask there, if the app may. `"error"`: fail.
   * `"manual"`: return the answer.
   */
  redirect?: "follow" | "error" | "manual";
  /** How long all of it may take, in milliseconds. Without it, as long as the action. */
  timeoutMs?: number;
}

/** The headers of a response. Names are in lower case. */
export interface FetchHeaders extends Iterable<[string, string]> {
  /** The value of a header, in any case; several of one name are joined with `", "`. Null if it is not there. */
  get(name: string): string | null;
  /** Whether a header is there. */
  has(name: string): boolean;
  /** Pairs of name and value, in the order of the response. */
  entries(): IterableIterator<[string, string]>;
  /** The names. */
  keys(): IterableIterator<string>;
  /** The values. */
  values(): IterableIterator<string>;
}

/** What a server has answered, read to its end. */
export interface FetchResponse {
  /** The status, such as 200. */
  readonly status: number;
  /** Whether the status is one from 200 to 299. */
  readonly ok: boolean;
  /** What the status means, such as `"OK"`. */
  readonly statusText: string;
  /** Where the answer came from, after redirects. */
  readonly url: string;
  /** Whether there were any. */
  readonly redirected: boolean;
  /** The headers. */
  readonly headers: FetchHeaders;
  /** The body as text; it is taken for UTF-8. */
  text(): Promise<string>;
  /** The body as JSON. */
  json(): Promise<any>;
  /** The body as it is. */
  bytes(): Promise<Uint8Array>;
}

/**
 * A secret from the configuration of the server, such as the key of another service. `app.toml` names it:
 * `secrets = ["PAYMENT_KEY"]`. In actions only. What stands for it in logs and in errors is its name.
 *
 * @example headers: { authorization: `Bearer ${secret("PAYMENT_KEY")}` }
 */
export declare function secret(name: string): string;

// ---- HTTP endpoints ----

/** The parameters behind the `?` of a request. */
export interface HttpQuery extends Iterable<[string, string]> {
  /** The first value of a parameter, or null. */
  get(name: string): string | null;
  /** All values of a parameter. */
  getAll(name: string): string[];
  /** Whether a parameter is there. */
  has(name: string): boolean;
  /** Pairs of name and value, in order. */
  entries(): IterableIterator<[string, string]>;
}

/** A request to an endpoint, read to its end. */
export interface HttpRequest {
  /** The method, such as `"POST"`. */
  readonly method: string;
  /** The path, as it was sent. */
  readonly path: string;
  /** What stands for the `:name` parts of the endpoint's path, as it was sent. */
  readonly params: { readonly [name: string]: string };
  /** The parameters behind the `?`. */
  readonly query: HttpQuery;
  /** The headers. */
  readonly headers: FetchHeaders;
  /** The body as text; it is taken for UTF-8. */
  text(): Promise<string>;
  /** The body as JSON. */
  json(): Promise<any>;
  /** The body as it is: what signatures are made of. */
  bytes(): Promise<Uint8Array>;
}

/** What an endpoint answers. */
export interface HttpResponse {
  /** From 200 to 599; 200 without it. */
  status?: number;
  /** Those of the connection are not yours to set. `content-type` follows from the body without it. */
  headers?: { readonly [name: string]: string | number } | Iterable<readonly [string, string | number]>;
  /** A text, bytes, or a value that is sent as JSON. */
  body?: string | Uint8Array | JSON;
}

/** Makes an endpoint of a path and the action that answers there. */
type MakeEndpoint = (
  path: string,
  action: Callable<(request: HttpRequest) => Promise<HttpResponse>, "action">,
) => Callable<() => Promise<HttpResponse>, "endpoint">;

/** Makes endpoints, by the method of HTTP that they answer. */
export interface HttpMethods {
  /** GET, and HEAD. */
  get: MakeEndpoint;
  /** POST. */
  post: MakeEndpoint;
  /** PUT. */
  put: MakeEndpoint;
  /** PATCH. */
  patch: MakeEndpoint;
  /** DELETE. */
  delete: MakeEndpoint;
}

/**
 * HTTP endpoints, for webhooks of other services. The path is written out; `:name` stands for one part of it. The caller is
 * anonymous: check a signature.
 *
 * @example
 * export const payHook = http.post("/hooks/pay", action(async (request: HttpRequest): Promise<HttpResponse> => {
 *   const signature = hmac("SHA-256", secret("HOOK_KEY"), await request.bytes(), "hex");
 *   if (!timingSafeEqual(signature, request.headers.get("x-signature") ?? "")) return { status: 401 };
 *   await call(markPaid, await request.json());
 *   return { status: 204 };
 * }));
 */
export declare const http: HttpMethods;

// ---- bytes ----

/**
 * A keyed hash of a message (HMAC), as signatures of webhooks are made of: bytes, or text where `encoding` says so. Texts
 * are taken as UTF-8.
 *
 * @example const signature = hmac("SHA-256", secret("HOOK_KEY"), body, "hex");
 */
export declare function hmac(hash: Sha2, key: string | Uint8Array, data: string | Uint8Array, encoding: "hex" | "base64"): string;
export declare function hmac(hash: Sha2, key: string | Uint8Array, data: string | Uint8Array): Uint8Array;

type Sha2 = "SHA-256" | "SHA-384" | "SHA-512";

/**
 * Whether two texts or two byte arrays are the same. The time that it takes tells nothing but their length, where `===`
 * tells how much of them is: compare signatures with it.
 */
export declare function timingSafeEqual(one: string | Uint8Array, other: string | Uint8Array): boolean;

// Only what says `export` is exported.
export {};

declare global {
  /** Where functions log to: lines with the name of the function, in the server's log. `log` is `info`. */
  interface Console {
    debug(...values: unknown[]): void;
    log(...values: unknown[]): void;
    info(...values: unknown[]): void;
    warn(...values: unknown[]): void;
    error(...values: unknown[]): void;
  }
  var console: Console;

  /**
   * Asks another server. In actions only, and of the hosts only that `app.toml` names: `[fetch] hosts = ["api.example.com"]`.
   * The answer is read to its end before it is there, within the limits of the action.
   *
   * @example
   * const response = await fetch("https://api.example.com/v1/charges", { method: "POST", body: JSON.stringify(charge) });
   */
  function fetch(url: string, options?: FetchOptions): Promise<FetchResponse>;
}
