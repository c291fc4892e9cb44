//! Collections, their documents, indexes and pages.

use expect_test::expect;

use super::check;

#[test]
fn documents_and_values() {
    check(
        r#"
        import { query, procedure, type Doc, type ID } from "weir";
        import { customers, orders, type Customer, type Order } from "../collections";
        export const all = query((): Doc<Order>[] => orders.all());
        export const add = procedure((args: { order: Order; note: string }): Order => args.order);
        export const one = query((args: { id: ID }): Doc<Customer> | null => customers.get(args.id));
        // file: collections.ts
        import { collection, type DateTime, type Float, type Ref } from "weir";
        /** Who buys. */
        export interface Customer { name: string; /** Unique. */ email: string; tier: "free" | "pro" }
        export interface Order { customer: Ref<Customer>; total: Float; status: "open" | "paid"; at: DateTime; lines: { sku: string }[] }
        export const customers = collection<Customer>({ unique: ["email"] });
        export const orders = collection<Order>({ index: [["customer", "at"], ["status"]], unique: [["at", "total"]] });
        "#,
        expect![[r#"
            collection customers: Customer CustomerValue unique(email)
            collection orders: Order OrderValue unique(at, total) index(customer, at) index(status) customer->customers(restrict)
            query all(): [Order]
            procedure add(order: OrderValue, note: String): OrderValue
            query one(id: Id): Customer | null
            type CustomerValue / CustomerInput { name: String, email: String "Unique.", tier: CustomerTier } "Who buys."
            enum CustomerTier { free, pro }
            type Customer / CustomerInput { id: Id, name: String, email: String "Unique.", tier: CustomerTier } "Who buys."
            type OrderValue / OrderInput { customer: Ref<Customer>, total: Float, status: OrderStatus, at: DateTime, lines: [OrderLines] }
            enum OrderStatus { open, paid }
            type OrderLines / OrderLinesInput { sku: String }
            type Order / OrderInput { id: Id, customer: Ref<Customer>, total: Float, status: OrderStatus, at: DateTime, lines: [OrderLines] }
        "#]],
    );
}

#[test]
fn documents_by_alias_and_in_any_module() {
    check(
        r#"
        import { query, type Doc } from "weir";
        import { things, type Thing } from "../lib/things";
        export const all = query((): Doc<Thing>[] => things.all());
        export const values = query((): Thing[] => []);
        // file: lib/things.ts
        import { collection } from "weir";
        export type Thing = Base & { b: { c: string } };
        type Base = { a: string };
        type Same = Thing;
        export const things = collection<Same>();
        export const drafts = collection<Thing>();
        "#,
        expect![[r#"
            collection things: Thing ThingValue
            collection drafts: Thing ThingValue
            query all(): [Thing]
            query values(): [ThingValue]
            type ThingValue / ThingInput { a: String, b: ThingB }
            type ThingB / ThingBInput { c: String }
            type Thing / ThingInput { id: Id, a: String, b: ThingB }
        "#]],
    );
}

#[test]
fn pages() {
    check(
        r#"
        import { query, type Doc, type Edge, type Page, type PageInfo } from "weir";
        import { orders, type Order } from "../collections";
        interface Summary { text: string }
        export const a = query((args: { after?: string }): Page<Doc<Order>> => orders.page({}));
        export const b = query((): Page<Order> => orders.page({}));
        export const c = query((): Page<Summary> | null => null);
        export const d = query((): Page<{ x: string }> => x);
        export const e = query((): { edge: Edge<Order>; info: PageInfo } => x);
        export const f = query((): Page<string> => x);
        // file: collections.ts
        import { collection } from "weir";
        export interface Order { a: string }
        export const orders = collection<Order>();
        "#,
        expect![[r#"
            error: `Page` holds objects
             --> functions/t.ts:9:33
              |
            9 | export const f = query((): Page<string> => x);
              |                                 ^^^^^^
            help: write Page<Doc<T>>
        "#]],
    );
}

#[test]
fn pages_of_objects() {
    check(
        r#"
        import { query, type Doc, type Edge, type Page, type PageInfo } from "weir";
        import { orders, type Order } from "../collections";
        interface Summary { text: string }
        export const a = query((args: { after?: string }): Page<Doc<Order>> => orders.page({}));
        export const b = query((): Page<Order> => orders.page({}));
        export const c = query((): Page<Summary> | null => null);
        export const d = query((): Page<{ x: string }> => x);
        export const e = query((): { edge: Edge<Order>; info: PageInfo } => x);
        // file: collections.ts
        import { collection } from "weir";
        export interface Order { a: string }
        export const orders = collection<Order>();
        "#,
        expect![[r#"
            collection orders: Order OrderValue
            query a(after?: String): OrderConnection
            query b(): OrderConnection
            query c(): SummaryConnection | null
            query d(): DResultConnection
            query e(): EResult
            type OrderValue / OrderInput { a: String }
            type Order / OrderInput { id: Id, a: String }
            type OrderEdge / OrderEdgeInput { node: Order, cursor: String }
            type PageInfo / PageInfoInput { hasNextPage: Boolean, hasPreviousPage: Boolean, startCursor: String | null, endCursor: String | null }
            type OrderConnection / OrderConnectionInput { edges: [OrderEdge], pageInfo: PageInfo }
            type Summary / SummaryInput { text: String }
            type SummaryEdge / SummaryEdgeInput { node: Summary, cursor: String }
            type SummaryConnection / SummaryConnectionInput { edges: [SummaryEdge], pageInfo: PageInfo }
            type DResult / DResultInput { x: String }
            type DResultEdge / DResultEdgeInput { node: DResult, cursor: String }
            type DResultConnection / DResultConnectionInput { edges: [DResultEdge], pageInfo: PageInfo }
            type EResult / EResultInput { edge: OrderEdge, info: PageInfo }
        "#]],
    );
}

#[test]
fn every_scalar_that_can_be_indexed() {
    check(
        r#"
        import { query } from "weir";
        export const a = query((): string => "");
        // file: collections.ts
        import { collection, type Bytes, type DateTime, type Float, type ID, type Int, type JSON, type Ref } from "weir";
        export interface T { s: string; n?: number | null; b: boolean; i: Int; f: Float; id2: ID; r: Ref<R>; d: DateTime; e: "x" | "y"; l: "one"; json: JSON; bytes: Bytes; list: string[]; o: { x: string } }
        export interface R { s: string }
        export const rs = collection<R>();
        export const ts = collection<T>({ index: ["s", "n", "b", "i", "f", "id2", "r", "d", "e", "l"] });
        export const us = collection<T>({ index: ["json", "s"] });
        export const vs = collection<T>({ index: ["bytes"] });
        export const ws = collection<T>({ index: ["list"] });
        export const xs = collection<T>({ index: [["s", "o"]] });
        "#,
        expect![[r#"
            error: `json` cannot be indexed: its values have no order
             --> collections.ts:6:43
              |
            6 | export const us = collection<T>({ index: ["json", "s"] });
              |                                           ^^^^^^
            help: index a string, a number, a boolean, an enum, an ID, a Ref or a DateTime

            error: `bytes` cannot be indexed: its values have no order
             --> collections.ts:7:43
              |
            7 | export const vs = collection<T>({ index: ["bytes"] });
              |                                           ^^^^^^^
            help: index a string, a number, a boolean, an enum, an ID, a Ref or a DateTime

            error: `list` cannot be indexed: its values have no order
             --> collections.ts:8:43
              |
            8 | export const ws = collection<T>({ index: ["list"] });
              |                                           ^^^^^^
            help: index a string, a number, a boolean, an enum, an ID, a Ref or a DateTime

            error: `o` cannot be indexed: its values have no order
             --> collections.ts:9:49
              |
            9 | export const xs = collection<T>({ index: [["s", "o"]] });
              |                                                 ^^^
            help: index a string, a number, a boolean, an enum, an ID, a Ref or a DateTime
        "#]],
    );
}

#[test]
fn indexes_written_wrongly() {
    check(
        r#"
        import { query } from "weir";
        export const a = query((): string => "");
        // file: collections.ts
        import { collection } from "weir";
        export interface T { a: string; b: string; c: string; d: string; e: string; f: string; g: string; h: string; i: string }
        const fields = ["a"];
        export const c1 = collection<T>({ index: ["x"] });
        export const c2 = collection<T>({ index: ["a", ["a"]] });
        export const c3 = collection<T>({ unique: ["a"], index: ["a"] });
        export const c4 = collection<T>({ index: [["a", "a"]] });
        export const c5 = collection<T>({ index: [fields] });
        export const c6 = collection<T>({ index: ["id"] });
        export const c7 = collection<T>({ index: [["a", "b", "c", "d", "e", "f", "g", "h", "i"]] });
        export const c8 = collection<T>({ indexes: ["a"] });
        export const c9 = collection<T>({ index: [1] });
        export const d1 = collection<T>({ index: [[]] });
        export const d2 = collection<T>(fields);
        export const d3 = collection<T>({ ...fields });
        export const d4 = collection<T>({ index: ["a"] }, {});
        "#,
        expect![[r#"
            error: `T` has no member `x`
             --> collections.ts:4:43
              |
            4 | export const c1 = collection<T>({ index: ["x"] });
              |                                           ^^^
            help: it has a, b, c, d, e, f, g, h, i

            error: there is already an index on a
             --> collections.ts:5:48
              |
            5 | export const c2 = collection<T>({ index: ["a", ["a"]] });
              |                                                ^^^^^
            help: leave one of them out

            error: there is already an index on a
             --> collections.ts:6:58
              |
            6 | export const c3 = collection<T>({ unique: ["a"], index: ["a"] });
              |                                                          ^^^
            help: leave one of them out

            error: the field `a` is twice in one index
             --> collections.ts:7:49
              |
            7 | export const c4 = collection<T>({ index: [["a", "a"]] });
              |                                                 ^^^

            error: the fields of an index must be written out here, so that they are known before any code runs
             --> collections.ts:8:43
              |
            8 | export const c5 = collection<T>({ index: [fields] });
              |                                           ^^^^^^
            help: write a literal in place of the variable or expression

            error: `id` needs no index
             --> collections.ts:9:43
              |
            9 | export const c6 = collection<T>({ index: ["id"] });
              |                                           ^^^^
            help: leave it out: documents are always found by their id, and equal rows are in its order

            error: an index has 1 to 8 fields
              --> collections.ts:10:43
               |
            10 | export const c7 = collection<T>({ index: [["a", "b", "c", "d", "e", "f", "g", "h", "i"]] });
               |                                           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

            error: a collection has no option `indexes`
              --> collections.ts:11:35
               |
            11 | export const c8 = collection<T>({ indexes: ["a"] });
               |                                   ^^^^^^^
            help: its options are unique, index and onDelete

            error: the fields of an index must be written out here, so that they are known before any code runs
              --> collections.ts:12:43
               |
            12 | export const c9 = collection<T>({ index: [1] });
               |                                           ^
            help: write a literal in place of the variable or expression

            error: an index has 1 to 8 fields
              --> collections.ts:13:43
               |
            13 | export const d1 = collection<T>({ index: [[]] });
               |                                           ^^

            error: the options of a collection must be written out here, so that they are known before any code runs
              --> collections.ts:14:33
               |
            14 | export const d2 = collection<T>(fields);
               |                                 ^^^^^^
            help: write a literal in place of the variable or expression

            error: the options of a collection must be written out here, so that they are known before any code runs
              --> collections.ts:15:35
               |
            15 | export const d3 = collection<T>({ ...fields });
               |                                   ^^^^^^^^^
            help: write a literal in place of the variable or expression

            error: a collection takes one object of options
              --> collections.ts:16:51
               |
            16 | export const d4 = collection<T>({ index: ["a"] }, {});
               |                                                   ^^
        "#]],
    );
}

#[test]
fn collections_without_a_proper_type() {
    check(
        r#"
        import { query, type Doc, type Ref } from "weir";
        export interface NotHeld { a: string }
        export const a = query((): Doc<NotHeld> | null => null);
        export const b = query((args: { x: Ref<NotHeld> }): string => "");
        // file: collections.ts
        import { collection } from "weir";
        export interface WithId { id: string; a: string }
        export interface Generic<T> { a: T }
        export const c1 = collection({ unique: ["a"] });
        export const c2 = collection<{ a: string }>();
        export const c3 = collection<WithId>();
        export const c4 = collection<Generic<string>>();
        export const c5 = collection<string>();
        const c6 = collection<WithId>();
        "#,
        expect![[r#"
            error: `WithId` is held by a collection and declares `id`, which Weir adds
             --> collections.ts:2:27
              |
            2 | export interface WithId { id: string; a: string }
              |                           ^^
            help: leave it out; Doc<T> has it

            error: the collection `c1` does not say what it holds
             --> collections.ts:4:19
              |
            4 | export const c1 = collection({ unique: ["a"] });
              |                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
            help: write collection<C1>(…) with an interface C1

            error: the type of a collection needs a name
             --> collections.ts:5:30
              |
            5 | export const c2 = collection<{ a: string }>();
              |                              ^^^^^^^^^^^^^
            help: declare it as an interface and name that: collection<Order>()

            error: `Generic` is generic, which GraphQL has no counterpart for
             --> collections.ts:7:30
              |
            7 | export const c4 = collection<Generic<string>>();
              |                              ^^^^^^^^^^^^^^^
            help: declare an interface for each use

            error: the type of a collection needs a name
             --> collections.ts:8:30
              |
            8 | export const c5 = collection<string>();
              |                              ^^^^^^
            help: declare it as an interface and name that: collection<Order>()

            error: the collection `c6` is not exported, so that it has no name
             --> collections.ts:9:7
              |
            9 | const c6 = collection<WithId>();
              |       ^^
            help: write `export const`

            error: `Doc` takes the type of a collection, and `NotHeld` is not one
             --> functions/t.ts:3:32
              |
            3 | export const a = query((): Doc<NotHeld> | null => null);
              |                                ^^^^^^^
            help: declare a collection of it, or write what is meant: T & { id: ID }, ID

            error: `Ref` takes the type of a collection, and `NotHeld` is not one
             --> functions/t.ts:4:40
              |
            4 | export const b = query((args: { x: Ref<NotHeld> }): string => "");
              |                                        ^^^^^^^
            help: declare a collection of it, or write what is meant: T & { id: ID }, ID
        "#]],
    );
}

#[test]
fn two_collections_of_one_name() {
    check(
        r#"
        import { query, collection } from "weir";
        export interface T { a: string }
        export const ts = collection<T>();
        export const a = query((): string => "");
        // file: collections.ts
        import { collection } from "weir";
        export interface U { a: string }
        export const ts = collection<U>();
        "#,
        expect![[r#"
            error: a second collection is named `ts`
             --> collections.ts:3:14
              |
            3 | export const ts = collection<U>();
              |              ^^
            help: the first is at functions/t.ts:3; rename one of them
        "#]],
    );
}
