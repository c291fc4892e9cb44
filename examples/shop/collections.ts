import { collection, type DateTime, type Float, type Ref } from "weir";

/** Somebody who orders. */
export interface Customer {
  name: string;
  /** Unique: two customers never share an address. */
  email: string;
  tier: "free" | "pro";
}

/** One order of one customer. */
export interface Order {
  customer: Ref<Customer>;
  /** In the shop's currency, never negative. */
  total: Float;
  status: "open" | "paid";
  at: DateTime;
}

export const customers = collection<Customer>({ unique: ["email"] });

export const orders = collection<Order>({
  index: [["customer", "at"], ["status", "at"], "at"],
  onDelete: { customer: "cascade" },
});
