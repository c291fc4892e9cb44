//! Object types and their names.

use expect_test::expect;

use super::check;

#[test]
fn scalars_and_lists() {
    check(
        r#"
        import { query, type Bytes, type DateTime, type Float, type ID, type Int, type JSON } from "weir";
        interface All {
          id: ID; int: Int; float: Float; at: DateTime; json: JSON; bytes: Bytes; text: string; yes: boolean; n: number;
          a: string[]; b: Array<string | null>; c: readonly Int[]; d: ReadonlyArray<(Int[])>; e?: (string | undefined)[];
        }
        export const f = query((): All => x);
        "#,
        expect![[r#"
            query f(): All
            type All / AllInput { id: Id, int: Int, float: Float, at: DateTime, json: Json, bytes: Bytes, text: String, yes: Boolean, n: Float, a: [String], b: [String | null], c: [Int], d: [[Int]], e?: [String | null] }
        "#]],
    );
}

#[test]
fn null_and_absent() {
    check(
        r#"
        import { query, type Int } from "weir";
        interface T { a?: Int; b: Int | null; c?: Int | null; d: Int | undefined; e: null | undefined | Int }
        export const f = query((args: { t: T; x?: Int; y: Int | null }): T | undefined => null);
        export const g = query((): (T | null)[] | null => null);
        "#,
        expect![[r#"
            query f(t: T, x?: Int, y: Int | null): T | null
            query g(): [T | null] | null
            type T / TInput { a?: Int, b: Int | null, c?: Int | null, d?: Int, e?: Int | null }
        "#]],
    );
}

#[test]
fn anonymous_types_are_named_by_owner_and_member() {
    check(
        r#"
        import { procedure, type Int } from "weir";
        export const transfer = procedure((args: { from: { account: string }; steps: { kind: "in" | "out" }[]; mode: "a" | "b" }):
          { moved: Int; legs: { to: { name: string } }[] }[] => []);
        "#,
        expect![[r#"
            procedure transfer(from: TransferFrom, steps: [TransferSteps], mode: TransferMode): [TransferResult]
            type TransferFrom / TransferFromInput { account: String }
            type TransferSteps / TransferStepsInput { kind: TransferStepsKind }
            enum TransferStepsKind { in, out }
            enum TransferMode { a, b }
            type TransferResult / TransferResultInput { moved: Int, legs: [TransferResultLegs] }
            type TransferResultLegs / TransferResultLegsInput { to: TransferResultLegsTo }
            type TransferResultLegsTo / TransferResultLegsToInput { name: String }
        "#]],
    );
}

#[test]
fn extends_and_intersections() {
    check(
        r#"
        import { query } from "weir";
        /** What all have. */
        interface Base { /** Its name. */ name: string; state: "on" | "off" }
        interface Tagged { tags: string[] }
        interface Thing extends Base, Tagged { size: number; name: "fixed" }
        type Both = Base & Tagged & { extra: { deep: string } };
        export const a = query((): Thing => x);
        export const b = query((): Both => x);
        export const c = query((): Base & { more: string } => x);
        "#,
        expect![[r#"
            query a(): Thing
            query b(): Both
            query c(): CResult
            type Thing / ThingInput { name: String = "fixed", state: BaseState, tags: [String], size: Float }
            enum BaseState { on, off }
            type Both / BothInput { name: String "Its name.", state: BaseState, tags: [String], extra: BothExtra }
            type BothExtra / BothExtraInput { deep: String }
            type CResult / CResultInput { name: String "Its name.", state: BaseState, more: String }
        "#]],
    );
}

#[test]
fn utility_types() {
    check(
        r#"
        import { query, procedure, type Doc } from "weir";
        import { type Order } from "../collections";
        type Keys = "a" | "status";
        export const a = query((): Pick<Order, "a"> => x);
        export const b = query((): Omit<Doc<Order>, "b" | "c"> => x);
        export const c = procedure((args: { patch: Partial<Order> }): Readonly<Order> => x);
        export const d = procedure((args: Required<Pick<Order, Keys | "c">>): Order["status"] => x);
        type Card = Omit<Order, "status"> & { size: Order["b"] };
        export const e = query((): Card => x);
        export const f = query((): { all: Order["list"][number]; one: Doc<Order>["id"]; c: Order["c"] } => x);
        // file: collections.ts
        import { collection } from "weir";
        export interface Order { a: string; b: number; c?: string; status: "open" | "paid"; list: string[] }
        export const orders = collection<Order>();
        "#,
        expect![[r#"
            collection orders: Order OrderValue
            query a(): AResult
            query b(): BResult
            procedure c(patch: CPatch): OrderValue
            procedure d(a: String, c: String, status: OrderStatus): OrderStatus
            query e(): Card
            query f(): FResult
            type OrderValue / OrderInput { a: String, b: Float, c?: String, status: OrderStatus, list: [String] }
            enum OrderStatus { open, paid }
            type Order / OrderInput { id: Id, a: String, b: Float, c?: String, status: OrderStatus, list: [String] }
            type AResult / AResultInput { a: String }
            type BResult / BResultInput { id: Id, a: String, status: OrderStatus, list: [String] }
            type CPatch / CPatchInput { a?: String, b?: Float, c?: String, status?: OrderStatus, list?: [String] }
            type Card / CardInput { a: String, b: Float, c?: String, list: [String], size: Float }
            type FResult / FResultInput { all: String, one: Id, c?: String }
        "#]],
    );
}

#[test]
fn aliases_across_files() {
    check(
        r#"
        import { query } from "weir";
        import type { Money as Cash } from "../lib/money";
        import { type Names, type Tier, Box } from "../lib";
        import * as lib from "../lib";
        export const a = query((args: { tier: Tier; names: Names }): { price: Cash; box?: Box; other: lib.Box } => x);
        // file: lib/index.ts
        export type { Tier } from "./tier";
        export * from "./box";
        export type Names = string[];
        // file: lib/tier.ts
        /** What a customer pays for. */
        export type Tier = "free" | "pro";
        // file: lib/box.ts
        export interface Box { size: number }
        // file: lib/money.ts
        export interface Money { amount: number; currency: Currency }
        type Currency = "EUR" | "USD";
        "#,
        expect![[r#"
            query a(tier: Tier, names: [String]): AResult
            enum Tier { free, pro } "What a customer pays for."
            type AResult / AResultInput { price: Money, box?: Box, other: Box }
            type Money / MoneyInput { amount: Float, currency: Currency }
            enum Currency { EUR, USD }
            type Box / BoxInput { size: Float }
        "#]],
    );
}

#[test]
fn recursion() {
    check(
        r#"
        import { query } from "weir";
        interface Tree { name: string; children: Tree[]; parent?: Tree }
        type List = { head: string; tail: List | null };
        export const a = query((args: { tree: Tree }): List => x);
        "#,
        expect![[r#"
            query a(tree: Tree): List
            type Tree / TreeInput { name: String, children: [Tree], parent?: Tree }
            type List / ListInput { head: String, tail: List | null }
        "#]],
    );
}

#[test]
fn recursion_without_end() {
    check(
        r#"
        import { query } from "weir";
        interface Endless { next: Endless }
        type Self = Self[];
        interface Extends extends Extends { a: string }
        export const a = query((): Endless => x);
        export const b = query((): Self => x);
        export const c = query((): Extends => x);
        "#,
        expect![[r#"
            error: a value of `Endless` could never end: its `next` holds the next
             --> functions/t.ts:2:11
              |
            2 | interface Endless { next: Endless }
              |           ^^^^^^^
            help: make it optional: next?: …

            error: the type `Self` consists of itself
             --> functions/t.ts:3:13
              |
            3 | type Self = Self[];
              |             ^^^^
            help: a type may contain itself only as a member of an object

            error: the type `Extends` consists of itself
             --> functions/t.ts:4:27
              |
            4 | interface Extends extends Extends { a: string }
              |                           ^^^^^^^
            help: a type may contain itself only as a member of an object
        "#]],
    );
}

#[test]
fn descriptions() {
    check(
        r#"
        import { query } from "weir";
        /**
         * A thing.
         *   Indented.
         */
        interface Thing {
          /** Its name. */
          name: string;
          // no doc comment
          size: number;
        }
        /** How it is. */
        type State = "on" | "off";
        /** Finds things. */
        export const find = query((args: {
          /** What to look for. */
          text: string; state: State }): Thing[] => []);
        "#,
        expect![[r#"
            query find(text: String, state: State): [Thing] "Finds things."
            enum State { on, off } "How it is."
            type Thing / ThingInput { name: String "Its name.", size: Float } "A thing.\n  Indented."
        "#]],
    );
}

#[test]
fn members_that_cannot_be_expressed() {
    check(
        r#"
        import { query } from "weir";
        const key = "x";
        export const a = query((): {
          "content-type": string;
          __a: string;
          [key]: string;
          method(): string;
          (): string;
          [name: string]: string;
          untyped;
          twice: string;
          twice: string;
          fn: () => void;
        } => x);
        export const b = query((): {} => ({}));
        "#,
        expect![[r#"
            error: `content-type` is not a name that GraphQL allows
             --> functions/t.ts:4:3
              |
            4 |   "content-type": string;
              |   ^^^^^^^^^^^^^^
            help: use letters, digits and `_`, not starting with a digit or with `__`

            error: `__a` is not a name that GraphQL allows
             --> functions/t.ts:5:3
              |
            5 |   __a: string;
              |   ^^^
            help: use letters, digits and `_`, not starting with a digit or with `__`

            error: the name of a member must be written out
             --> functions/t.ts:6:4
              |
            6 |   [key]: string;
              |    ^^^

            error: a method has no counterpart in GraphQL
             --> functions/t.ts:7:3
              |
            7 |   method(): string;
              |   ^^^^^^^^^^^^^^^^^
            help: leave it out: results are plain data

            error: a call signature has no counterpart in GraphQL
             --> functions/t.ts:8:3
              |
            8 |   (): string;
              |   ^^^^^^^^^^^
            help: leave it out: results are plain data

            error: an index signature has no counterpart in GraphQL
             --> functions/t.ts:9:3
              |
            9 |   [name: string]: string;
              |   ^^^^^^^^^^^^^^^^^^^^^^^
            help: write out the members, or JSON (from "weir"), or a list of { key, value }

            error: the member `untyped` has no type
              --> functions/t.ts:10:3
               |
            10 |   untyped;
               |   ^^^^^^^^
            help: write untyped: string, or what else it is

            error: the member `twice` is declared twice
              --> functions/t.ts:12:3
               |
            12 |   twice: string;
               |   ^^^^^^^^^^^^^^

            error: an object type without members has no counterpart in GraphQL
              --> functions/t.ts:15:28
               |
            15 | export const b = query((): {} => ({}));
               |                            ^^
            help: add a member, or write JSON
        "#]],
    );
}

#[test]
fn two_types_of_one_name() {
    check(
        r#"
        import { query } from "weir";
        import { other } from "./other";
        interface Thing { a: string }
        interface CustomerTier { a: string }
        interface Customer { tier: "a" | "b" }
        export const a = query((): { thing: Thing; tier: CustomerTier; customer: Customer } => x);
        // file: functions/other.ts
        import { query } from "weir";
        interface Thing { b: string }
        export const other = query((): Thing => x);
        "#,
        expect![[r#"
            error: two different types are named `Thing`
             --> functions/t.ts:3:11
              |
            3 | interface Thing { a: string }
              |           ^^^^^
            help: the other is at functions/other.ts:2; rename one of them

            error: two different types are named `CustomerTier`
             --> functions/t.ts:5:28
              |
            5 | interface Customer { tier: "a" | "b" }
              |                            ^^^^^^^^^
            help: the other is at functions/t.ts:4; rename one of them
        "#]],
    );
}

#[test]
fn two_equal_types_of_one_name() {
    check(
        r#"
        import { query } from "weir";
        import { other } from "./other";
        interface Thing { a: string; more: Thing[] }
        export const a = query((): Thing => x);
        // file: functions/other.ts
        import { query } from "weir";
        /** The same. */
        interface Thing { a: string; more: Thing[] }
        export const other = query((): Thing => x);
        "#,
        expect![[r#"
            query other(): Thing
            query a(): Thing
            type Thing / ThingInput { a: String, more: [Thing] } "The same."
        "#]],
    );
}

#[test]
fn names_of_types() {
    check(
        r#"
        import { query, procedure, type Doc } from "weir";
        import type { Order } from "../collections";
        interface Query { a: string }
        interface Größe { a: string }
        interface ThingInput { a: string }
        interface Thing { b: string }
        interface Call { a: string }
        export const a = query((args: { thing: Thing; call: Call }): { q: Query; g: Größe; t: ThingInput } => x);
        export const b = procedure((args: { a: Order; b: Doc<Order> }): string => "");
        // file: collections.ts
        import { collection } from "weir";
        export interface Order { a: string }
        export const orders = collection<Order>();
        "#,
        expect![[r#"
            error: as an argument `OrderValue` would be `OrderInput`, and so would `Order`
             --> collections.ts:2:18
              |
            2 | export interface Order { a: string }
              |                  ^^^^^
            help: take the id as an argument of its own, beside the value

            error: `Query` is a type that GraphQL or Weir itself defines
             --> functions/t.ts:3:11
              |
            3 | interface Query { a: string }
              |           ^^^^^
            help: rename the type

            error: `Größe` is not a name that GraphQL allows
             --> functions/t.ts:4:11
              |
            4 | interface Größe { a: string }
              |           ^^^^^
            help: use letters, digits and `_`, not starting with a digit or with `__`

            error: as an argument `Thing` would be `ThingInput`, and so would `ThingInput`
             --> functions/t.ts:6:11
              |
            6 | interface Thing { b: string }
              |           ^^^^^
            help: rename one of them

            error: as an argument `Call` would be `CallInput`, which Weir itself defines
             --> functions/t.ts:7:11
              |
            7 | interface Call { a: string }
              |           ^^^^
            help: rename the type
        "#]],
    );
}
