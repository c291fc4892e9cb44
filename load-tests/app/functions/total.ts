import { query, type Float, type Int } from "weir";

/** What is bought, and how much of it. */
export interface Item {
  price: Float;
  quantity: Float;
}

/** What has to be paid. */
export interface Total {
  net: Float;
  tax: Float;
  gross: Float;
}

/** Adds up. Results are kept: another `call` has the function run again. */
export const total = query((args: { items: Item[]; rate: Float; call?: Int }): Total => {
  const net = args.items.reduce((sum, item) => sum + item.price * item.quantity, 0);
  const tax = net * args.rate;
  return { net, tax, gross: net + tax };
});
