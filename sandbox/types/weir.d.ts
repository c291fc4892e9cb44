/**
 * Everything that an app of Weir imports.
 *
 * Queries, views, procedures and actions are the fields of the app's GraphQL API. Their declared TypeScript types are
 * its types: what arrives is checked against them, and so is what is returned.
 *
 * @packageDocumentation
 */

// ---- scalars ----

/** The id of a document: a string that Weir chooses. `ID` in GraphQL. */
export type ID = string;

/** A whole number of 32 bits. `Int` in GraphQL. */
export type Int = number;

/** A finite number. `Float` in GraphQL; `number` means the same. */
export type Float = number;

/**
 * A point in time as RFC 3339 writes it, in UTC and to the millisecond: `2026-01-31T12:00:00.000Z`.
 *
 * Values in any other RFC 3339 form are rewritten in this one, so that they compare as strings as they do in time.
 */
export type DateTime = string;

/** Any JSON value. Rename it where the global `JSON` is needed too: `import { type JSON as Json } from "weir"`. */
export type JSON = any;

/** Bytes as a base64 string, padded. */
export type Bytes = string;

// ---- documents ----

declare const target: unique symbol;
declare const kind: unique symbol;
declare const aggregated: unique symbol;
declare const grouped: unique symbol;

/** What a collection stores and returns: a value with the id that Weir gave it. */
export type Doc<T> = T & { id: ID };

/**
 * The id of a document of type `T`. Any `ID` and any string can be used as one, but not a reference to another type.
 *
 * What is stored leads to a document that is there: see `onDelete` of {@link CollectionOptions}.
 */
export type Ref<T> = string & { readonly [target]?: T };

/** One page of a list, after the GraphQL cursor connections specification. */
export interface Page<T> {
  /** The documents of the page, in order. */
  edges: Edge<T>[];
  /** Where the page stands. */
  pageInfo: PageInfo;
}

/** One document of a page. */
export interface Edge<T> {
  /** The document. */
  node: T;
  /** Pass it as `after` to get what follows this document, as `before` to get what is ahead of it. */
  cursor: string;
}

/** Where a page stands in its list. */
export interface PageInfo {
  /** Whether there is more after the page. */
  hasNextPage: boolean;
  /** Whether there is more before the page. */
  hasPreviousPage: boolean;
  /** The cursor of the first document; null on an empty page. */
  startCursor: string | null;
  /** The cursor of the last document; null on an empty page. */
  endCursor: string | null;
}

/** Which page to read: the first documents behind a cursor, or the last before one. */
export interface PageArguments {
  /** How many documents; 20 unless told. */
  first?: Int | null;
  /** The cursor of the document before the page. */
  after?: string | null;
  /** How many documents, from the end; not together with `first`. */
  last?: Int | null;
  /** The cursor of the document behind the page. Alone it gives the last 20 before it. */
  before?: string | null;
}

// ---- collections ----

/** A member by which documents can be found. */
export type Field<T> = keyof T & string;

/** A value to compare a member with. Null finds the documents without one. */
export type Operand<V> = undefined extends V ? Exclude<V, undefined> | null : V;

/** The bounds of a range; those left out are open. */
export interface Range<V> {
  /** Greater than. */
  gt?: V;
  /** Greater than or equal to. */
  gte?: V;
  /** Less than. */
  lt?: V;
  /** Less than or equal to. */
  lte?: V;
}

/** What narrows a list of documents along a declared index, and what reads it. */
export interface Reading<T> {
  /**
   * Only documents whose member equals the value.
   *
   * @example orders.where("customer", args.customer)
   */
  where<F extends Field<T>>(field: F, value: Operand<T[F]>): Rows<T>;
  /**
   * Only documents whose member is within the bounds.
   *
   * @example orders.range("at", { gte: "2026-01-01T00:00:00.000Z" })
   */
  range<F extends Field<T>>(field: F, bounds: Range<Operand<T[F]>>): Rows<T>;
  /** Documents in the order of a member; ascending unless told. */
  orderBy(field: Field<T>, direction?: "asc" | "desc"): Rows<T>;
  /** The first documents, at most `n`. */
  take(n: Int): Doc<T>[];
  /** All documents. */
  all(): Doc<T>[];
  /** The first document, or null. */
  first(): Doc<T> | null;
  /** How many documents there are, without reading them. */
  count(): Int;
  /** One page of the documents, and the cursors to the others. */
  page(args?: PageArguments): Page<Doc<T>>;
}

/**
 * Documents that are read when they are first looked at. They can be returned and looped over as a list; a list that can
 * be changed is what `all()` and `take(n)` give.
 */
export interface Rows<T> extends Array<Doc<T>>, Reading<T> {}

/**
 * What a maintained view is over: the first argument of `view.groupBy` and `view.index`. Nothing else can be done with it: documents are
 * filtered with `orders.all().filter(…)`, or found with `orders.where(…)`.
 */
export interface Elements<E> {
  readonly [grouped]: E;
  /** Only elements for which the function gives true. */
  filter(keeps: (element: E) => boolean): Elements<E>;
  /** What is in a list of each element: `flatMap((o) => o.lines)`, a member that is a list of objects. */
  flatMap<F extends object>(listOf: (element: E) => readonly F[] | null | undefined): Elements<F>;
}

/** A collection of documents of one type. */
export interface Collection<T> extends Reading<T>, Elements<Doc<T>> {
  /** The document of this id, or null. */
  get(id: ID): Doc<T> | null;
  /** Stores a new document and returns it with its id. */
  insert(value: T): Doc<T>;
  /** Stores a document in the place of an existing one and returns it. Fails with `NOT_FOUND` if there is none. */
  replace(id: ID, value: T | Doc<T>): Doc<T>;
  /**
   * Changes some members of an existing document and returns it whole. A member that is `undefined` is removed. Fails
   * with `NOT_FOUND` if there is none.
   */
  patch(id: ID, part: Partial<Doc<T>>): Doc<T>;
  /**
   * Removes a document, and does with those that refer to it what their `onDelete` says. Returns whether there was one.
   */
  delete(id: ID): boolean;
}

/** One index: a member, or several from the most significant to the least. */
export type Index<T> = Field<T> | readonly Field<T>[];

/** What becomes of a document when one that it refers to is deleted. */
export type OnDelete =
  /** The other is not deleted: an error. The default. */
  | "restrict"
  /** It is deleted too. */
  | "cascade"
  /** Its reference becomes null, or is left out where null is not allowed. */
  | "setNull";

/** What a reference of a type may be declared to do; `never` for what is none and holds none. */
type OnDeleteOf<V> =
  0 extends 1 & V ? never
  : NonNullable<V> extends string ?
    typeof target extends keyof NonNullable<V> ? OnDeleteOfSlot<V> : never
  : NonNullable<V> extends readonly (infer E)[] ?
    NonNullable<E> extends string ?
      typeof target extends keyof NonNullable<E> ? OnDeleteOfSlot<E> : never
    : NonNullable<E> extends object ? OnDelete : never
  : NonNullable<V> extends object ? OnDelete
  : never;

type OnDeleteOfSlot<V> = null extends V ? OnDelete : undefined extends V ? OnDelete : Exclude<OnDelete, "setNull">;

/** The members of a type that are references, or objects that may hold some. */
type Referring<T> = { [F in Field<T>]-?: [OnDeleteOf<T[F]>] extends [never] ? never : F }[Field<T>];

/** The indexes of a collection, and what its references do. */
export interface CollectionOptions<T> {
  /** Indexes with at most one document for each value. They serve reading too. */
  unique?: readonly Index<T>[];
  /** Indexes for reading. */
  index?: readonly Index<T>[];
  /** For each member that refers to another document: what becomes of this one when the other is deleted. */
  onDelete?: { readonly [F in Referring<T>]?: OnDeleteOf<T[F]> };
}

/**
 * Declares a collection. Export it as a constant: its name is the collection's.
 *
 * @example
 * export const orders = collection<Order>({ index: [["customer", "at"], "status"], onDelete: { customer: "cascade" } });
 */
export declare function collection<T extends object>(options?: CollectionOptions<T>): Collection<T>;

// ---- functions ----

/** A function of the app's API. Other functions of the app call it as the plain function that it is. */
export type Callable<F, Kind extends string = string> = F & { readonly [kind]: Kind };

/** What a function of the API is made of: one object of arguments, and a result that JSON can hold. */
type Body = (args: any) => unknown;

/**
 * A query: reads, and is on the `Query` and `Subscription` types of GraphQL.
 *
 * @example export const orderById = query((args: { id: ID }): Doc<Order> | null => orders.get(args.id));
 */
export declare function query<F extends Body>(fn: F): Callable<F, "query">;

/**
 * A procedure: reads and writes in one serializable transaction, and is on the `Mutation` type of GraphQL. When it
 * throws, nothing is written.
 *
 * @example export const cancel = procedure((args: { id: ID }): boolean => orders.delete(args.id));
 */
export declare function procedure<F extends Body>(fn: F): Callable<F, "procedure">;

/**
 * An action: asynchronous code that is not a transaction, on the `Mutation` type of GraphQL. It reads and writes by
 * calling queries and procedures: `await call(placeOrder, { … })`.
 */
export declare function action<F extends (args: any) => Promise<unknown>>(fn: F): Callable<F, "action">;

/**
 * A stream: an async generator on the `Subscription` type of GraphQL. Each `yield` is an event, and the next is worked on when
 * the caller takes this one. It reads, as queries do, and all that it reads is of the commit at its start. It waits for
 * nothing but its own promises. When the caller goes away it returns: what is in `finally` runs.
 *
 * @example
 * export const exported = stream(async function* (args: { by: Int }): AsyncGenerator<Doc<Order>[]> {
 *   let after: string | undefined;
 *   for (;;) {
 *     const { edges, pageInfo }: Page<Doc<Order>> = orders.orderBy("at").page({ first: args.by, after });
 *     yield edges.map((edge) => edge.node);
 *     if (!pageInfo.hasNextPage) return;
 *     after = pageInfo.endCursor!;
 *   }
 * });
 */
export declare function stream<F extends (args: any) => AsyncGenerator<unknown> | AsyncIterable<unknown>>(
  fn: F,
): Callable<F, "stream">;

/** When a view's result is computed and kept. */
export interface ViewOptions {
  /**
   * `"eager"`: on every commit that touches it. `"onDemand"`: at the first read, which is the default.
   * `{ every: "5m" }`: at this interval, in ms, s, m, h or d. `{ cron: "0 3 * * *" }`: at these times, as in app.toml.
   */
  keep?: "eager" | "onDemand" | { every: string } | { cron: string };
}

/** Makes views. */
export interface ViewMaker {
  /**
   * A view: a query whose result is kept and persisted.
   *
   * @example export const openOrders = view((): Int => orders.where("status", "open").count(), { keep: "eager" });
   */
  <F extends Body>(fn: F, options?: ViewOptions): Callable<F, "view">;
  /**
   * A view of groups: one row for each key, in key order, with aggregates over the documents of that key. It is over a
   * collection, over some of its documents, or over what is in a list of each.
   *
   * @example
   * export const byStatus = view.groupBy(orders, (o) => o.status, { orders: count(), revenue: sum((o) => o.total) });
   * export const sales = view.groupBy(orders.filter((o) => o.status === "paid").flatMap((o) => o.lines), (l) => l.product, {
   *   sold: sum((l) => l.quantity), largest: top(3, (l) => l.quantity),
   * });
   */
  groupBy<E, K, R extends object>(
    source: Elements<E>,
    keyOf: (element: E) => K,
    aggregates: { [N in keyof R]: Aggregate<E, R[N]> },
  ): Callable<() => ({ key: K } & R)[], "view">;
  /**
   * A sorted view: an entry for each key that the function gives for a document, in key order, read by key, by range and page by
   * page. A key is a string, a number, a boolean, or an object of them, whose first member counts most. A list is several keys;
   * what has none has no entry. The value is the document, unless another function says what is kept of it.
   *
   * @example
   * export const byCity = view.index(customers.filter((c) => c.active), (c) => ({ city: c.city, name: c.name }));
   * export const byTag = view.index(posts, (p) => p.tags, (p) => ({ title: p.title }));
   *
   * byCity({ prefix: { city: "Oslo" }, first: 50 }).edges.map((edge) => edge.node);
   */
  index<E, K extends string | number | boolean | object, V = E>(
    source: Elements<E>,
    keysOf: (element: E) => K | readonly K[] | null | undefined,
    valueOf?: (element: E) => V,
  ): Callable<(args?: IndexArguments<K>) => IndexPage<K, V>, "view">;
}

/** Which entries of a sorted view to read. All that is said holds at once. */
export interface IndexArguments<K> {
  /** Only this key. */
  key?: K | null;
  /** Only keys greater than this one. */
  gt?: K | null;
  /** Only this key and greater ones. */
  gte?: K | null;
  /** Only keys less than this one. */
  lt?: K | null;
  /** Only this key and lesser ones. */
  lte?: K | null;
  /** Only keys that begin so: with a text, or with the first members of an object. */
  prefix?: (K extends string ? string : K extends object ? Partial<K> : never) | null;
  /** Ascending unless told. */
  order?: "asc" | "desc" | null;
  /** How many entries at most, up to 1,000; 20 unless told. */
  first?: Int | null;
  /** The cursor of the entry before the page. */
  after?: string | null;
  /** How many entries at most, from the end of those that are asked for; not together with `first`. */
  last?: Int | null;
  /** The cursor of the entry behind the page. Alone it gives the last 20 before it. */
  before?: string | null;
}

/** One page of a sorted view: a {@link Page} whose edges have the key too. */
export interface IndexPage<K, V> extends Page<V> {
  /** The entries of the page, in order. */
  edges: IndexEdge<K, V>[];
}

/** One entry of a sorted view. */
export interface IndexEdge<K, V> extends Edge<V> {
  /** The key. */
  key: K;
  /** The id of the document that the entry comes from. */
  document: ID;
}

/** Makes views: {@link ViewMaker}. */
export declare const view: ViewMaker;

/** What is computed over the elements of one group. */
export interface Aggregate<E, V> {
  readonly [aggregated]?: (element: E) => V;
}

/** How many elements there are. */
export declare function count(): Aggregate<any, Int>;
/** The sum of a number over the elements: exact, and rounded once. */
export declare function sum<E>(of: (element: E) => number): Aggregate<E, Float>;
/** The mean of a number over the elements: their exact sum, rounded, divided by how many there are. */
export declare function avg<E>(of: (element: E) => number): Aggregate<E, Float>;
/** The least value over the elements; absent ones do not count. */
export declare function min<E, V>(of: (element: E) => V): Aggregate<E, V>;
/** The greatest value over the elements; absent ones do not count. */
export declare function max<E, V>(of: (element: E) => V): Aggregate<E, V>;
/**
 * The `n` elements with the greatest values, the greatest first; `n` is written out, from 1 to 1,000. Of equal ones the first
 * by the id of the document, then by place in its list. Those whose value is absent are left out.
 */
export declare function top<E>(
  n: Int,
  of: (element: E) => string | number | boolean | null | undefined,
): Aggregate<E, E[]>;

// ---- inside of functions ----

/**
 * The time of the call. It stands still while the call runs, and `Date` shows the same. A result that depended on it is
 * neither cached nor shared.
 */
export declare function now(): DateTime;

/**
 * Ends the call with an error that the caller sees: `FUNCTION_FAILED`, with the code under `extensions.appCode`. Nothing
 * is written.
 *
 * @example if (!order) fail("NOT_FOUND", "no such order");
 */
export declare function fail(code: string, message?: string): never;

/** What came of {@link attempt}. */
export type Attempted<T> =
  /** It returned. */
  | { readonly ok: true; readonly value: T }
  /** It threw, and what it had written is gone. `code` is what it named in {@link fail}; null for any other error. */
  | { readonly ok: false; readonly error: { readonly message: string; readonly code: string | null } };

/** What a function may not return that runs at once: a promise. */
type NoPromise<T> = 0 extends 1 & T ? unknown : [Extract<T, PromiseLike<unknown>>] extends [never] ? unknown : never;

/**
 * Runs a function inside of a procedure. If it throws, all that it has written vanishes, deletions and what went with
 * them included, and the procedure goes on. Attempts may stand in each other, up to 64 deep. A limit that is reached ends
 * the call all the same.
 *
 * @example
 * const paid = attempt(() => pay({ order: order.id }));
 * if (!paid.ok && paid.error.code !== "POOR") fail("UNPAID", paid.error.message);
 */
export declare function attempt<T>(fn: (() => T) & NoPromise<T>): Attempted<T>;

/** Who calls. */
export interface Caller {
  /** What the caller is; `"developer"` only in `weir dev`. */
  readonly kind: "developer" | "user" | "service" | "anonymous";
  /** The subject of the caller's token, or null without one. `"cron"` for what `app.toml` calls again and again. */
  readonly subject: string | null;
  /** Who made the caller's token, or null without one. */
  readonly issuer: string | null;
  /** What the caller is allowed to be: sorted, without repeats, and empty without a token. */
  readonly roles: readonly string[];
  /** What the caller's token may be used for: sorted, without repeats, and empty without one. */
  readonly scopes: readonly string[];
  /** What else the token says, as far as `app.toml` declares it under `[caller]`; null where the token does not. */
  readonly claims: CallerClaims;
}

/** The claims that `app.toml` declares under `[caller]`. */
export interface CallerClaims {}

/** Who calls. A result is shared with all callers who agree on those members that it was computed from. */
export declare const caller: Caller;

/**
 * Calls another function of the app. In an action it must be awaited, and each call is a transaction of its own; elsewhere
 * it is part of the transaction at hand, like `fn(args)`.
 *
 * @example const order = await call(placeOrder, { customer, total });
 */
export declare function call<F extends Body>(
  fn: Callable<F>,
  ...args: Parameters<F> extends [] ? [args?: {}] : Parameters<F>
): Awaited<ReturnType<F>>;

/** When a job is due: after a time (`"250ms"`, `"30s"`, `"5m"`, `"1h"`, `"7d"`, or milliseconds), or at one. */
export type When = { after: string | number } | { at: DateTime };

/**
 * Has a procedure or an action of the app called later, by who calls now. It is part of the procedure's transaction: where
 * nothing is written, nothing is scheduled. Returns the id of the job.
 *
 * A procedure runs exactly once, an action at least once. One that fails is tried again, less and less often, until it has
 * no attempts left.
 *
 * @example schedule({ after: "30m" }, cancelUnpaid, { order: order.id });
 */
export declare function schedule<F extends Body>(
  when: When,
  fn: Callable<F, "procedure"> | Callable<F, "action">,
  ...args: Parameters<F> extends [] ? [args?: {}] : Parameters<F>
): ID;

/**
 * Removes a job that waits, or that is dead. It is part of the procedure's transaction. Returns false where there is none,
 * because it has run or runs, and for what `app.toml` calls again and again.
 */
export declare function cancelJob(id: ID): boolean;

/**
 * Gives a value to a metric that `app.toml` declares under `[metrics]`. In procedures, where it counts when they are committed, and in
 * actions, where it does when they end without an error.
 *
 * @example metric("order_value", order.total);
 */
export declare function metric(name: string, value: number): void;
