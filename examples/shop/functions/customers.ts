import { fail, procedure, query, type Doc, type ID, type Int } from "weir";
import { customers, orders, type Customer } from "../collections";

/** The customer with this e-mail address, if there is one. */
export const customerByEmail = query((args: { email: string }): Doc<Customer> | null =>
  customers.where("email", args.email).first(),
);

/** Adds a customer. Fails with a conflict if the e-mail address is taken. */
export const addCustomer = procedure((args: { name: string; email: string; tier?: Customer["tier"] }): Doc<Customer> => {
  if (!args.email.includes("@")) fail("BAD_EMAIL", "an e-mail address has an @");
  return customers.insert({ name: args.name, email: args.email, tier: args.tier ?? "free" });
});

/** Removes a customer with all orders. Says whether there was one. */
export const removeCustomer = procedure((args: { id: ID }): boolean => customers.delete(args.id));

/** How much there is of everything. */
export interface Counts {
  customers: Int;
  orders: Int;
}

/** Fills an empty shop with the same few customers and orders every time. */
export const seed = procedure((): Counts => {
  if (customers.count() > 0) fail("NOT_EMPTY", "the shop has customers already");
  const names = ["Ada", "Grace", "Edsger", "Barbara"];
  for (const [c, name] of names.entries()) {
    const customer = customers.insert({
      name,
      email: `${name.toLowerCase()}@example.com`,
      tier: c % 2 === 0 ? "pro" : "free",
    });
    for (let o = 0; o < 5; o++) {
      const day = String(1 + c + 3 * o).padStart(2, "0");
      orders.insert({
        customer: customer.id,
        total: 10 * (c + 1) + 2.5 * o,
        status: o < 3 ? "paid" : "open",
        at: `2026-01-${day}T12:00:00.000Z`,
      });
    }
  }
  return { customers: customers.count(), orders: orders.count() };
});
