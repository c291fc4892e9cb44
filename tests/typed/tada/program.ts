// A program that is written against what gql.tada makes of the schema. Each line that says that an
// error is to come has one.

import { createClient } from "@weir/client";

import { graphql } from "./graphql.js";

const client = createClient({ url: "ws://127.0.0.1:4000/graphql" });

const Orders = graphql(`
  subscription Orders($customer: ID!, $limit: Int) {
    ordersOf(customer: $customer, limit: $limit) { id total status at }
  }
`);

const Shelf = graphql(`
  subscription Shelf {
    shelf { kind: __typename ... on Book { title cover } ... on Box { content weights } }
  }
`);

const AddCustomer = graphql(`
  mutation AddCustomer($name: String!, $email: String!, $tier: CustomerTier) {
    addCustomer(name: $name, email: $email, tier: $tier) { id tier }
  }
`);

const Page = graphql(`
  subscription Page($after: String) {
    ordersPage(first: 10, after: $after) { edges { cursor node { id } } pageInfo { hasNextPage endCursor } }
  }
`);

export async function use(): Promise<void> {
  for await (const { data } of client.iterate({ query: Orders, variables: { customer: "c" } })) {
    for (const order of data?.ordersOf ?? []) {
      const total: number = order.total;
      const at: string = order.at;
      const status: "open" | "paid" = order.status;
      void [total, at, status];
      // @ts-expect-error: an order has no such field
      void order.totl;
      // @ts-expect-error: there is no such status
      void (order.status === "sent");
    }
    // @ts-expect-error: a root field may be null
    void data?.ordersOf.length;
  }
  // @ts-expect-error: the customer is missing
  void client.iterate({ query: Orders, variables: {} });

  const { data } = await client.mutate({ query: AddCustomer, variables: { name: "Ada", email: "ada@example.com", tier: "pro" } });
  const id: string | undefined = data?.addCustomer?.id;
  void id;
  // @ts-expect-error: there is no such tier
  void client.mutate({ query: AddCustomer, variables: { name: "Ada", email: "ada@example.com", tier: "gold" } });

  for await (const { data } of client.iterate({ query: Shelf })) {
    for (const item of data?.shelf ?? []) {
      if (item.kind === "Book") {
        const cover: string | null = item.cover;
        void cover;
      } else {
        const weights: number[] = item.weights;
        void weights;
        // @ts-expect-error: JSON has to be looked into first
        void item.content.anything;
      }
    }
  }
  for await (const { data } of client.iterate({ query: Page, variables: {} })) {
    const cursor: string | null | undefined = data?.ordersPage?.pageInfo.endCursor;
    const more: boolean | undefined = data?.ordersPage?.pageInfo.hasNextPage;
    void [cursor, more];
  }
}
