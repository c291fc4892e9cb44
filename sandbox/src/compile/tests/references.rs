//! What documents refer to, and `onDelete`.

use expect_test::expect;

use super::check;

#[test]
fn references_lead_to_the_collection_of_their_type() {
    check(
        r#"
        import { query } from "weir";
        export const a = query((): string => "");
        // file: collections.ts
        import { collection, type ID, type Ref } from "weir";
        export interface Customer { name: string; friend?: Ref<Customer>; friends: (Ref<Client> | null)[] }
        type Client = Customer;
        type Sent = { by: "post"; office: Ref<Office> } | { by: "mail"; office: string };
        export interface Office { town: string }
        export interface Comment { author: Ref<Customer> | null; answers: Comment[] }
        export interface Order {
          customer: Ref<Customer>;
          payer: Ref<Customer> | null;
          lines: { product: Ref<Product>; gift: { to?: Ref<Customer> } }[];
          sent?: Sent;
          thread: Comment[];
          other: ID;
        }
        export interface Product { name: string }
        export const customers = collection<Client>({ onDelete: { friend: "setNull", friends: "setNull" } });
        export const offices = collection<Office>();
        export const products = collection<Product>({});
        export const orders = collection<Order>({
          index: ["payer"],
          onDelete: { customer: "cascade", "payer": "setNull" as const, thread: "setNull", sent: "restrict" },
        });
        "#,
        expect![[r#"
            collection customers: Customer CustomerValue friend->customers(setNull) friends->customers(setNull)
            collection offices: Office OfficeValue
            collection products: Product ProductValue
            collection orders: Order OrderValue index(payer) customer->customers(cascade) payer->customers(setNull) lines->customers(restrict) lines->products(restrict) sent->offices(restrict) thread->customers(setNull)
            query a(): String
            type CustomerValue / CustomerInput { name: String, friend?: Ref<Customer>, friends: [Ref<Customer> | null] }
            type Customer / CustomerInput { id: Id, name: String, friend?: Ref<Customer>, friends: [Ref<Customer> | null] }
            type OfficeValue / OfficeInput { town: String }
            type Office / OfficeInput { id: Id, town: String }
            type ProductValue / ProductInput { name: String }
            type Product / ProductInput { id: Id, name: String }
            type OrderValue / OrderInput { customer: Ref<Customer>, payer: Ref<Customer> | null, lines: [OrderLines], sent?: Sent, thread: [Comment], other: Id }
            type OrderLines / OrderLinesInput { product: Ref<Product>, gift: OrderLinesGift }
            type OrderLinesGift / OrderLinesGiftInput { to?: Ref<Customer> }
            union Sent by by = "post" SentPost | "mail" SentMail
            type SentPost / SentPostInput { by: String = "post", office: Ref<Office> }
            type SentMail / SentMailInput { by: String = "mail", office: String }
            type Comment / CommentInput { author: Ref<Customer> | null, answers: [Comment] }
            type Order / OrderInput { id: Id, customer: Ref<Customer>, payer: Ref<Customer> | null, lines: [OrderLines], sent?: Sent, thread: [Comment], other: Id }
        "#]],
    );
}

#[test]
fn on_delete_written_wrongly() {
    check(
        r#"
        import { query } from "weir";
        export const a = query((): string => "");
        // file: collections.ts
        import { collection, type ID, type Ref } from "weir";
        export interface P { name: string }
        export interface T { p: Ref<P>; list: Ref<P>[]; maybe?: Ref<P>; in: { p: Ref<P> }; at: ID }
        const policies = { p: "cascade" };
        export const ps = collection<P>({ onDelete: { name: "cascade" } });
        export const c1 = collection<T>({ onDelete: { p: "delete" } });
        export const c2 = collection<T>({ onDelete: { q: "cascade" } });
        export const c3 = collection<T>({ onDelete: { at: "cascade" } });
        export const c4 = collection<T>({ onDelete: { id: "cascade" } });
        export const c5 = collection<T>({ onDelete: { p: "setNull" } });
        export const c6 = collection<T>({ onDelete: { list: "setNull" } });
        export const c7 = collection<T>({ onDelete: { maybe: "setNull", in: "setNull" } });
        export const c8 = collection<T>({ onDelete: { p: "cascade", p: "restrict" } });
        export const c9 = collection<T>({ onDelete: policies });
        export const d1 = collection<T>({ onDelete: { p: policies.p } });
        export const d2 = collection<T>({ onDelete: "cascade" });
        "#,
        expect![[r#"
            error: `name` is no reference
             --> collections.ts:5:47
              |
            5 | export const ps = collection<P>({ onDelete: { name: "cascade" } });
              |                                               ^^^^
            help: onDelete is for members of a type Ref<T>, of which `P` has none

            error: `"delete"` is no choice of onDelete
             --> collections.ts:6:50
              |
            6 | export const c1 = collection<T>({ onDelete: { p: "delete" } });
              |                                                  ^^^^^^^^
            help: write "restrict", "cascade" or "setNull"

            error: `T` has no member `q`
             --> collections.ts:7:47
              |
            7 | export const c2 = collection<T>({ onDelete: { q: "cascade" } });
              |                                               ^
            help: onDelete is for members of a type Ref<T>: p, list, maybe, in

            error: `at` is no reference
             --> collections.ts:8:47
              |
            8 | export const c3 = collection<T>({ onDelete: { at: "cascade" } });
              |                                               ^^
            help: onDelete is for members of a type Ref<T>: p, list, maybe, in

            error: `id` is no reference
             --> collections.ts:9:47
              |
            9 | export const c4 = collection<T>({ onDelete: { id: "cascade" } });
              |                                               ^^
            help: onDelete is for members of a type Ref<T>: p, list, maybe, in

            error: `p` cannot be set to null: its type does not allow it
              --> collections.ts:10:50
               |
            10 | export const c5 = collection<T>({ onDelete: { p: "setNull" } });
               |                                                  ^^^^^^^^^
            help: declare p: Ref<P> | null, or choose "restrict" or "cascade"

            error: an element of `list` cannot be set to null: its type does not allow it
              --> collections.ts:11:53
               |
            11 | export const c6 = collection<T>({ onDelete: { list: "setNull" } });
               |                                                     ^^^^^^^^^
            help: declare list: (Ref<P> | null)[], or choose "restrict" or "cascade"

            error: a Ref<P> in `in` cannot be set to null: its type does not allow it
              --> collections.ts:12:69
               |
            12 | export const c7 = collection<T>({ onDelete: { maybe: "setNull", in: "setNull" } });
               |                                                                     ^^^^^^^^^
            help: declare Ref<P> | null, or choose "restrict" or "cascade"

            error: `p` is twice in onDelete
              --> collections.ts:13:61
               |
            13 | export const c8 = collection<T>({ onDelete: { p: "cascade", p: "restrict" } });
               |                                                             ^
            help: leave one of them out

            error: the members in onDelete must be written out here, so that they are known before any code runs
              --> collections.ts:14:45
               |
            14 | export const c9 = collection<T>({ onDelete: policies });
               |                                             ^^^^^^^^
            help: write a literal in place of the variable or expression

            error: `policies.p` is no choice of onDelete
              --> collections.ts:15:50
               |
            15 | export const d1 = collection<T>({ onDelete: { p: policies.p } });
               |                                                  ^^^^^^^^^^
            help: write "restrict", "cascade" or "setNull"

            error: the members in onDelete must be written out here, so that they are known before any code runs
              --> collections.ts:16:45
               |
            16 | export const d2 = collection<T>({ onDelete: "cascade" });
               |                                             ^^^^^^^^^
            help: write a literal in place of the variable or expression
        "#]],
    );
}

#[test]
fn a_reference_leads_to_one_collection() {
    check(
        r#"
        import { query, type Ref } from "weir";
        import type { P, Q } from "../collections";
        export const a = query((args: { p: Ref<P>; q: Ref<Q> }): string => "");
        // file: collections.ts
        import { collection, type Ref } from "weir";
        export interface P { name: string }
        export interface Q { name: string }
        export interface T { name: string; nested: Nested[] }
        export interface Nested {
          p: Ref<P>;
        }
        export interface U { q: Ref<Q> }
        export const ps = collection<P>();
        export const drafts = collection<P>();
        export const ts = collection<T>();
        export const us = collection<U>();
        "#,
        expect![[r#"
            error: `nested` refers to `P`, which more than one collection holds: ps, drafts
             --> collections.ts:4:36
              |
            4 | export interface T { name: string; nested: Nested[] }
              |                                    ^^^^^^
            help: a reference leads to one collection: give each a type of its own, or write ID

            error: `Ref` takes the type of a collection, and `Q` is not one
             --> collections.ts:8:29
              |
            8 | export interface U { q: Ref<Q> }
              |                             ^
            help: declare a collection of it, or write what is meant: T & { id: ID }, ID

            error: `Ref` takes the type of a collection, and `Q` is not one
             --> functions/t.ts:3:51
              |
            3 | export const a = query((args: { p: Ref<P>; q: Ref<Q> }): string => "");
              |                                                   ^
            help: declare a collection of it, or write what is meant: T & { id: ID }, ID
        "#]],
    );
}
