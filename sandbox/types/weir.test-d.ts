// What the editor types must accept and refuse. Checked by `tsc --noEmit --strict`; never run.

import {
  action, attempt, avg, call, caller, cancelJob, collection, count, fail, hmac, http, max, metric, min, now, procedure, query, schedule,
  secret, stream, sum, timingSafeEqual, top, view, type Bytes, type DateTime, type Doc, type FetchHeaders, type FetchResponse, type Float,
  type HttpRequest, type HttpResponse, type ID, type Int, type JSON as Json, type Page, type Ref, type Rows,
} from "weir";

interface Customer {
  name: string;
  email: string;
  tier: "free" | "pro";
  note?: string;
}

interface Order {
  customer: Ref<Customer>;
  total: Float;
  status: "open" | "paid";
  at: DateTime;
  extra?: Json;
  scan?: Bytes | null;
}

const customers = collection<Customer>({ unique: ["email"] });
const orders = collection<Order>({ index: [["customer", "at"], ["status"], "at"] });

// @ts-expect-error no such member
collection<Order>({ index: ["when"] });
// @ts-expect-error no such option
collection<Order>({ indexes: ["at"] });

interface Parcel {
  order: Ref<Order>;
  sender: Ref<Customer> | null;
  courier?: Ref<Customer>;
  stops: Ref<Customer>[];
  witnesses: (Ref<Customer> | null)[];
  lines: { order: Ref<Order> | null }[];
  weight: Float;
  label: string;
  labels: string[];
  extra?: Json;
}

collection<Parcel>({
  onDelete: {
    order: "cascade", sender: "setNull", courier: "setNull", stops: "restrict", witnesses: "setNull", lines: "setNull",
  },
});
// @ts-expect-error no such choice
collection<Parcel>({ onDelete: { order: "delete" } });
// @ts-expect-error there always is an order
collection<Parcel>({ onDelete: { order: "setNull" } });
// @ts-expect-error elements are never null
collection<Parcel>({ onDelete: { stops: "setNull" } });
// @ts-expect-error no such member
collection<Parcel>({ onDelete: { parcel: "cascade" } });
// @ts-expect-error a number is no reference
collection<Parcel>({ onDelete: { weight: "cascade" } });
// @ts-expect-error text is no reference
collection<Parcel>({ onDelete: { label: "cascade" } });
// @ts-expect-error nor is a list of text
collection<Parcel>({ onDelete: { labels: "cascade" } });
// @ts-expect-error nor is JSON
collection<Parcel>({ onDelete: { extra: "cascade" } });

export const ordersOf = query((args: { customer: ID; limit?: Int }): Doc<Order>[] =>
  orders.where("customer", args.customer).orderBy("at", "desc").take(args.limit ?? 20));

/** Rows are a list of documents. */
export const lazily = query((args: { customer: ID }): Doc<Order>[] => orders.where("customer", args.customer));

export const pages = query((args: { first?: Int; after?: string }): Page<Doc<Order>> => orders.orderBy("at").page(args));

/** The pages of a collection hold its documents, so the shorter name will do. */
export const shortPages = query((): Page<Order> => orders.page());

export const narrowed = query((args: { id: ID }): string => {
  const order = orders.get(args.id);
  // @ts-expect-error possibly null
  order.status;
  if (!order) fail("NOT_FOUND", "no such order");
  return order.status;
});

export const ranges = query((args: { day: DateTime }): Int =>
  orders.where("status", "open").range("at", { gte: args.day, lt: "2027-01-01" }).count());

export const absent = query((): Doc<Customer> | null => customers.where("note", null).first());

export const plainCalls = procedure((args: { customer: ID }): Int => {
  const list: Doc<Order>[] = ordersOf({ customer: args.customer });
  // @ts-expect-error the argument is missing
  ordersOf({});
  const again: Doc<Order>[] = call(ordersOf, { customer: args.customer, limit: 3 });
  metric("orders", again.length);
  return list.length + again.length;
});

export const writes = procedure((args: { customer: ID; total: Float }): Doc<Order> => {
  const order = orders.insert({ customer: args.customer, total: args.total, status: "open", at: now() });
  // @ts-expect-error no such status
  orders.insert({ customer: args.customer, total: 1, status: "closed", at: now() });
  // @ts-expect-error a member is missing
  orders.insert({ customer: args.customer });
  // @ts-expect-error the id is Weir's
  orders.insert({ id: order.id, customer: args.customer, total: 1, status: "open", at: now() });
  orders.replace(order.id, { ...order, total: 2 });
  orders.replace(order.id, { customer: order.customer, total: 2, status: "paid", at: order.at });
  orders.patch(order.id, { status: "paid", extra: undefined });
  // @ts-expect-error no such member
  orders.patch(order.id, { state: "paid" });
  // @ts-expect-error no such field
  orders.where("when", 1);
  // @ts-expect-error no such value
  orders.where("status", "closed");
  // @ts-expect-error no such direction
  orders.orderBy("at", "down");
  const gone: boolean = orders.delete(order.id);
  const buyer: Doc<Customer> | null = customers.get(order.customer);
  console.log(gone, buyer, caller.kind, caller.subject);
  return order;
});

const rows: Rows<Order> = orders.where("status", "open");
for (const order of rows) order.total.toFixed(2);
const totals: number[] = rows.map((order) => order.total);

export const byStatus = view.groupBy(orders, (o) => o.status, {
  revenue: sum((o) => o.total),
  mean: avg((o) => o.total),
  orders: count(),
  first: min((o) => o.at),
  last: max((o) => o.at),
});

export const readsView = view((): Float => {
  const row = byStatus()[0];
  if (!row) return totals.length;
  const key: "open" | "paid" = row.key;
  const first: DateTime = row.first;
  // @ts-expect-error no such aggregate
  row.median;
  return row.revenue + row.mean + row.orders + key.length + first.length;
}, { keep: { every: "5m" } });

export const byTotal = view.index(orders, (o) => o.total);
export const openByCustomer = view.index(orders.filter((o) => o.status === "open"), (o) => ({ customer: o.customer, at: o.at }));
export const byWords = view.index(customers, (c): string[] => c.name.split(" "), (c) => ({ name: c.name, tier: c.tier }));
export const byNote = view.index(customers, (c) => c.note);
export const byTier = view.index(customers, (c) => c.tier);
// @ts-expect-error no such member
view.index(orders, (o) => o.when);

export const readsIndexes = query((args: { first?: Int; after?: string }): Page<Doc<Order>> => {
  const total: number | undefined = byTotal({ gt: 5, order: "desc" }).edges[0]?.key;
  const keys: { customer: Ref<Customer>; at: DateTime }[] = openByCustomer({ prefix: { customer: "c" } }).edges.map((edge) => edge.key);
  const { node, document, cursor } = byWords({ prefix: "a", first: 1 }).edges[0]!;
  const found: { name: string; tier: "free" | "pro" } = node;
  const note: string | undefined = byNote({ key: "x" }).edges[0]?.key;
  const tier: "free" | "pro" | undefined = byTier().edges[0]?.key;
  // @ts-expect-error no such member
  node.email;
  // @ts-expect-error keys are numbers
  byTotal({ gt: "5" });
  // @ts-expect-error numbers begin with nothing
  byTotal({ prefix: 5 });
  // @ts-expect-error no such direction
  byTotal({ order: "down" });
  // @ts-expect-error a whole key is needed
  openByCustomer({ gte: { customer: "c" } });
  console.log(total, keys, document, cursor, found, note, tier);
  return byTotal(args);
});

export const paidByStatus = view.groupBy(orders.filter((o) => o.status === "paid"), (o) => o.status, {
  orders: count(),
  best: top(3, (o) => o.total),
  latest: top(3, (o) => o.at),
});
interface Basket {
  paid: boolean;
  lines: { product: string; quantity: Int }[];
  gifts?: { product: string }[] | null;
}
const baskets = collection<Basket>();
export const byProduct = view.groupBy(
  baskets.filter((b) => b.paid).flatMap((b) => b.lines).filter((l) => l.quantity > 1),
  (l) => l.product,
  { sold: sum((l) => l.quantity), largest: top(1, (l) => l.quantity) },
);
view.groupBy(baskets.flatMap((b) => b.gifts), (g) => g.product, {});

export const readsGroups = view((): Float => {
  const best: Doc<Order>[] = paidByStatus().flatMap((row) => row.best);
  const largest: number[] = byProduct().flatMap((row) => row.largest.map((l) => l.quantity + l.product.length));
  // @ts-expect-error a member of baskets, not of their lines
  byProduct()[0]?.largest[0]?.paid;
  return best.length + largest.length;
});

// @ts-expect-error no such policy
view((): Int => 1, { keep: "always" });
// @ts-expect-error no such member
view.groupBy(orders, (o) => o.when, {});
// @ts-expect-error no such member
view.groupBy(orders.filter((o) => o.paid), (o) => o.status, {});
// @ts-expect-error a member of documents, not of what their lists hold
view.groupBy(baskets.flatMap((b) => b.lines), (l) => l.paid, {});
// @ts-expect-error only objects have members
view.groupBy(orders.flatMap((o) => [o.total]), (n) => n, {});
// @ts-expect-error rows are no source
view.groupBy(orders.where("status", "paid"), (o) => o.status, {});
// @ts-expect-error nor are lists
view.groupBy(orders.all().filter((o) => o.total > 1), (o) => o.status, {});
// @ts-expect-error nothing can be read from them
orders.filter((o) => o.total > 1).length;
// @ts-expect-error objects have no order
view.groupBy(orders, (o) => o.status, { n: top(3, (o) => o) });
// @ts-expect-error how many, then of what
view.groupBy(orders, (o) => o.status, { n: top((o) => o.total) });
// @ts-expect-error a sum is of numbers
view.groupBy(orders, (o) => o.status, { n: sum((o) => o.at) });

export const streams = stream(async function* (args: { n: Int }): AsyncGenerator<Float> {
  for (let n = 0; n < args.n; n++) yield n;
});
export const restreams = stream(async function* (): AsyncIterable<Float> {
  yield* streams({ n: 2 });
  // @ts-expect-error events have their type
  yield "three";
});
// @ts-expect-error a stream is an async generator
stream((): Int[] => [1]);

export const acts = action(async (args: { customer: ID }): Promise<Float> => {
  const order = await call(writes, { customer: args.customer, total: 1 });
  const total: Float = order.total;
  return total;
});

// @ts-expect-error actions are asynchronous
action((): Int => 1);

export const attempts = procedure((args: { id: ID }): Float => {
  const tried = attempt(() => orders.get(args.id));
  // @ts-expect-error only where it went well
  tried.value;
  if (!tried.ok) {
    const code: string | null = tried.error.code;
    return code === null ? tried.error.message.length : fail(code);
  }
  const order: Doc<Order> | null = tried.value;
  const never = attempt(() => fail("NO"));
  const any = attempt(() => order?.extra);
  // @ts-expect-error no promises
  attempt(async () => 1);
  // @ts-expect-error nor what may be one
  attempt(() => (order ? Promise.resolve(1) : 1));
  return never.ok ? 0 : any.ok ? any.value : 1;
});

/** A reference to one type is none to another; strings and ids are any. */
export function references(order: Ref<Order>, id: ID): Ref<Customer>[] {
  // @ts-expect-error another type
  const wrong: Ref<Customer> = order;
  return [id, "x", wrong];
}

export const schedules = procedure((args: { customer: ID; at: DateTime }): boolean => {
  const id: ID = schedule({ after: "5m" }, writes, { customer: args.customer, total: 1 });
  schedule({ after: 300_000 }, acts, { customer: args.customer });
  schedule({ at: args.at }, acts, { customer: args.customer });
  // @ts-expect-error an argument is missing
  schedule({ after: "5m" }, writes, { customer: args.customer });
  // @ts-expect-error of another type
  schedule({ after: "5m" }, writes, { customer: args.customer, total: "1" });
  // @ts-expect-error a time is one of the two
  schedule({ in: "5m" }, acts, { customer: args.customer });
  // @ts-expect-error an object
  schedule("5m", acts, { customer: args.customer });
  // @ts-expect-error a query changes nothing, later either
  schedule({ after: "5m" }, ordersOf, { customer: args.customer });
  // @ts-expect-error nor does a stream
  schedule({ after: "5m" }, streams, { n: 1 });
  // @ts-expect-error not a function of the app
  schedule({ after: "5m" }, () => 1, {});
  // @ts-expect-error the id is a string
  cancelJob(7);
  const cancelled: boolean = cancelJob(id);
  return cancelled;
});

export const calls = action(async (args: { customer: ID }): Promise<Float> => {
  const list: Doc<Order>[] = await call(ordersOf, { customer: args.customer });
  // @ts-expect-error of another type
  await call(writes, { customer: 1, total: 1 });
  // @ts-expect-error not a function of the app
  await call(() => 1, {});
  const again: Float = await call(acts, { customer: args.customer });
  return again + list.length;
});

export const fetches = action(async (args: { url: string; bytes: Bytes }): Promise<string> => {
  const response: FetchResponse = await fetch(args.url, {
    method: "POST",
    headers: { authorization: `Bearer ${secret("PAYMENT_KEY")}`, "x-count": 1 },
    body: Uint8Array.of(1, 2),
    redirect: "error",
    timeoutMs: 1000,
  });
  await fetch(args.url, { headers: [["x-a", "1"], ["x-a", 2]], body: "text" });
  await fetch(args.url, { headers: response.headers, body: null });
  // @ts-expect-error no such option
  await fetch(args.url, { signal: null });
  // @ts-expect-error a URL is a string
  await fetch({ url: args.url });
  // @ts-expect-error nothing is written as JSON by itself
  await fetch(args.url, { body: { a: 1 } });
  // @ts-expect-error no such choice
  await fetch(args.url, { redirect: "always" });
  // @ts-expect-error a header has one value
  await fetch(args.url, { headers: { a: ["1", "2"] } });
  // @ts-expect-error milliseconds
  await fetch(args.url, { timeoutMs: "1s" });
  // @ts-expect-error a response does not change
  response.status = 200;
  const headers: FetchHeaders = response.headers;
  // @ts-expect-error nor do its headers
  headers.set("a", "1");
  // @ts-expect-error perhaps there is none
  headers.get("content-type").length;
  for (const [name, value] of headers) console.log(name.length, value.length);
  // @ts-expect-error await it
  const early: string = response.text();
  const bytes: Uint8Array = await response.bytes();
  return `${early} ${bytes.length} ${(await response.json()).any} ${response.ok} ${await response.text()}`;
});

// @ts-expect-error a secret has a name
secret();
// @ts-expect-error which is a string
secret(7);

export const signs = query((args: { data: string }): boolean => {
  const bytes: Uint8Array = hmac("SHA-256", "key", args.data);
  const text: string = hmac("SHA-512", bytes, bytes, "hex");
  // @ts-expect-error no such hash
  hmac("MD5", "key", args.data);
  // @ts-expect-error no such encoding
  hmac("SHA-256", "key", args.data, "utf8");
  // @ts-expect-error bytes are no text
  const wrong: string = hmac("SHA-256", "key", args.data);
  // @ts-expect-error neither text nor bytes
  hmac("SHA-256", 7, args.data);
  // @ts-expect-error neither text nor bytes
  timingSafeEqual(text, null);
  return timingSafeEqual(text, wrong);
});

export const hook = http.post("/hooks/:name", action(async (request: HttpRequest): Promise<HttpResponse> => {
  const [name, first, type]: (string | null | undefined)[] = [request.params.name, request.query.get("a"), request.headers.get("a")];
  // @ts-expect-error perhaps there is none
  request.query.get("a").length;
  // @ts-expect-error a request does not change
  request.path = "/";
  if (request.method === "POST") return { status: 201, headers: { "x-a": 1 }, body: { name: name ?? null, first: first ?? null } };
  return request.path === "/" ? {} : { headers: [["a", "1"]], body: (await request.bytes()).length ? await request.bytes() : `${type}` };
}));
export const unasked = http.get("/", action(async (): Promise<HttpResponse> => ({ body: [1, "two", null] })));
// @ts-expect-error a status is a number
http.put("/a", action(async (): Promise<HttpResponse> => ({ status: "200" })));
// @ts-expect-error no such member
http.patch("/a", action(async (): Promise<HttpResponse> => ({ code: 200 })));
// @ts-expect-error an action, not a bare function
http.delete("/a", async (): Promise<HttpResponse> => ({}));
// @ts-expect-error a query answers no requests
http.get("/a", query((): Int => 1));
// @ts-expect-error no such method
http.trace("/a", action(async (): Promise<HttpResponse> => ({})));
// @ts-expect-error an endpoint is not called
hook({});
