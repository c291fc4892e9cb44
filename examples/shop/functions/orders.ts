import { count, fail, now, procedure, query, sum, view, type Doc, type Float, type ID, type Int, type Page } from "weir";
import { customers, orders, type Order } from "../collections";

/** Orders of one customer, newest first. */
export const ordersOf = query((args: { customer: ID; limit?: Int }): Doc<Order>[] =>
  orders.where("customer", args.customer).orderBy("at", "desc").take(args.limit ?? 20),
);

/** All orders, newest first, page by page. */
export const ordersPage = query((args: { first?: Int; after?: string; last?: Int; before?: string }): Page<Doc<Order>> =>
  orders.orderBy("at", "desc").page(args),
);

/** Revenue per day, kept up to date as orders change. */
export const revenueByDay = view.groupBy(orders, (o) => o.at.slice(0, 10), {
  revenue: sum((o) => o.total),
  orders: count(),
});

/** Places an order for an existing customer. */
export const placeOrder = procedure((args: { customer: ID; total: Float }): Doc<Order> => {
  if (!customers.get(args.customer)) fail("NOT_FOUND", "no such customer");
  if (args.total < 0) fail("BAD_TOTAL", "a total is never negative");
  return orders.insert({ customer: args.customer, total: args.total, status: "open", at: now() });
});

/** Marks an open order as paid. */
export const payOrder = procedure((args: { id: ID }): Doc<Order> => {
  const order = orders.get(args.id);
  if (!order) fail("NOT_FOUND", "no such order");
  if (order.status === "paid") fail("ALREADY_PAID", "this order is paid already");
  return orders.patch(order.id, { status: "paid" });
});
