//! Unions: enums and objects told apart.

use expect_test::expect;

use super::check;

#[test]
fn enums() {
    check(
        r#"
        import { query } from "weir";
        /** Where it goes. */
        type Pool = "fee-pool" | "reserve" | "2xl" | "São";
        type More = Pool | "extra" | null;
        interface T { pool: Pool | null; more?: More; lone: "one"; inline: "a" | "b" | undefined; twice: ("x" | "x" | "y")[] }
        export const f = query((args: { pool: Pool }): T => x);
        "#,
        expect![[r#"
            query f(pool: Pool): T
            enum Pool { fee_pool = "fee-pool", reserve, _2xl = "2xl", S_o = "São" } "Where it goes."
            type T / TInput { pool: Pool | null, more?: More | null, lone: String = "one", inline?: TInline, twice: [TTwice] }
            enum More { fee_pool = "fee-pool", reserve, _2xl = "2xl", S_o = "São", extra }
            enum TInline { a, b }
            enum TTwice { x, y }
        "#]],
    );
}

#[test]
fn enum_values_that_collide() {
    check(
        r#"
        import { query } from "weir";
        export const a = query((): "fee-pool" | "fee_pool" => x);
        export const b = query((): "" | "x" => x);
        export const c = query((): "true" | "false" => x);
        "#,
        expect![[r#"
            error: "fee-pool" and "fee_pool" are both `fee_pool` in GraphQL
             --> functions/t.ts:2:28
              |
            2 | export const a = query((): "fee-pool" | "fee_pool" => x);
              |                            ^^^^^^^^^^^^^^^^^^^^^^^
            help: spell one of them differently, or write string

            error: "" has no spelling as a value of a GraphQL enum
             --> functions/t.ts:3:28
              |
            3 | export const b = query((): "" | "x" => x);
              |                            ^^^^^^^^
            help: use letters, digits, `_` and `-`, or write string

            error: "true" has no spelling as a value of a GraphQL enum
             --> functions/t.ts:4:28
              |
            4 | export const c = query((): "true" | "false" => x);
              |                            ^^^^^^^^^^^^^^^^
            help: use letters, digits, `_` and `-`, or write string
        "#]],
    );
}

#[test]
fn objects_told_apart() {
    check(
        r#"
        import { query, type Doc } from "weir";
        import type { Order } from "../collections";
        interface Card { kind: "card"; number: string }
        interface Cash { kind: "cash"; currency: string; place: "shop" }
        /** How it was paid. */
        type Payment = Card | Cash | null;
        type Shape = { type: "round"; r: number } | { type: "square-ish"; a: { b: string } };
        export const a = query((): Payment => x);
        export const b = query((): Shape[] => x);
        export const c = query((): { event: { on: "a"; x: string } | { on: "b"; y: string } } => x);
        export const d = query((): Payment | { kind: "none"; why: string } => x);
        // file: collections.ts
        import { collection } from "weir";
        export interface Order { kind: "order" }
        export const orders = collection<Order>();
        "#,
        expect![[r#"
            collection orders: Order OrderValue
            query a(): Payment | null
            query b(): [Shape]
            query c(): CResult
            query d(): DResult | null
            type OrderValue / OrderInput { kind: String = "order" }
            type Order / OrderInput { id: Id, kind: String = "order" }
            union Payment by kind = "card" Card | "cash" Cash "How it was paid."
            type Card / CardInput { kind: String = "card", number: String }
            type Cash / CashInput { kind: String = "cash", currency: String, place: String = "shop" }
            union Shape by type = "round" ShapeRound | "square-ish" ShapeSquareIsh
            type ShapeRound / ShapeRoundInput { type: String = "round", r: Float }
            type ShapeSquareIsh / ShapeSquareIshInput { type: String = "square-ish", a: ShapeSquareIshA }
            type ShapeSquareIshA / ShapeSquareIshAInput { b: String }
            type CResult / CResultInput { event: CResultEvent }
            union CResultEvent by on = "a" CResultEventA | "b" CResultEventB
            type CResultEventA / CResultEventAInput { on: String = "a", x: String }
            type CResultEventB / CResultEventBInput { on: String = "b", y: String }
            union DResult by kind = "card" Card | "cash" Cash | "none" DResultNone
            type DResultNone / DResultNoneInput { kind: String = "none", why: String }
        "#]],
    );
}

#[test]
fn objects_that_nothing_tells_apart() {
    check(
        r#"
        import { query } from "weir";
        interface A { kind: "a"; x: string }
        interface B { kind: "a"; y: string }
        interface C { kind?: "c" }
        interface D { z: string }
        export const a = query((): A | B => x);
        export const b = query((): A | C => x);
        export const c = query((): A | D => x);
        "#,
        expect![[r#"
            error: nothing tells the objects of this union apart
             --> functions/t.ts:6:28
              |
            6 | export const a = query((): A | B => x);
              |                            ^^^^^
            help: give each a member with a literal of its own, such as kind: "card" and kind: "cash"

            error: nothing tells the objects of this union apart
             --> functions/t.ts:7:28
              |
            7 | export const b = query((): A | C => x);
              |                            ^^^^^
            help: give each a member with a literal of its own, such as kind: "card" and kind: "cash"

            error: nothing tells the objects of this union apart
             --> functions/t.ts:8:28
              |
            8 | export const c = query((): A | D => x);
              |                            ^^^^^
            help: give each a member with a literal of its own, such as kind: "card" and kind: "cash"
        "#]],
    );
}

#[test]
fn mixed_unions() {
    check(
        r#"
        import { query, type Int } from "weir";
        interface A { kind: "a" }
        export const a = query((): string | number => x);
        export const b = query((): "a" | string => x);
        export const c = query((): A | string => x);
        export const d = query((): true | false => x);
        export const e = query((): 1 | 2 => x);
        export const f = query((): null => x);
        export const g = query((): A[] | A => x);
        "#,
        expect![[r#"
            error: a union of different kinds of types has no counterpart in GraphQL
             --> functions/t.ts:3:28
              |
            3 | export const a = query((): string | number => x);
              |                            ^^^^^^^^^^^^^^^
            help: write one type, a union of strings, a union of objects, or JSON

            error: a union of different kinds of types has no counterpart in GraphQL
             --> functions/t.ts:4:28
              |
            4 | export const b = query((): "a" | string => x);
              |                            ^^^^^^^^^^^^
            help: write string

            error: a union of different kinds of types has no counterpart in GraphQL
             --> functions/t.ts:5:28
              |
            5 | export const c = query((): A | string => x);
              |                            ^^^^^^^^^^
            help: write one type, a union of strings, a union of objects, or JSON

            error: a union of different kinds of types has no counterpart in GraphQL
             --> functions/t.ts:6:28
              |
            6 | export const d = query((): true | false => x);
              |                            ^^^^^^^^^^^^
            help: write one type, a union of strings, a union of objects, or JSON

            error: a union of different kinds of types has no counterpart in GraphQL
             --> functions/t.ts:7:28
              |
            7 | export const e = query((): 1 | 2 => x);
              |                            ^^^^^
            help: write one type, a union of strings, a union of objects, or JSON

            error: `null` alone has no counterpart in GraphQL
             --> functions/t.ts:8:28
              |
            8 | export const f = query((): null => x);
              |                            ^^^^
            help: write the type that it may have: T | null

            error: a union of different kinds of types has no counterpart in GraphQL
             --> functions/t.ts:9:28
              |
            9 | export const g = query((): A[] | A => x);
              |                            ^^^^^^^
            help: write one type, a union of strings, a union of objects, or JSON
        "#]],
    );
}

#[test]
fn unions_in_arguments() {
    check(
        r#"
        import { procedure } from "weir";
        interface A { kind: "a" }
        interface B { kind: "b" }
        interface Deep { list: (A | B)[] }
        export const a = procedure((args: { x: A | B }): string => "");
        export const b = procedure((args: { deep: Deep }): A | B => x);
        "#,
        expect![[r#"
            error: the argument `x` of `a` holds `AX`, a union of objects, which GraphQL does not allow in arguments
             --> functions/t.ts:5:14
              |
            5 | export const a = procedure((args: { x: A | B }): string => "");
              |              ^
            help: write one object with optional members, or JSON (from "weir")

            error: the argument `deep` of `b` holds `DeepList`, a union of objects, which GraphQL does not allow in arguments
             --> functions/t.ts:6:14
              |
            6 | export const b = procedure((args: { deep: Deep }): A | B => x);
              |              ^
            help: write one object with optional members, or JSON (from "weir")
        "#]],
    );
}

#[test]
fn a_union_within_its_own_objects() {
    check(
        r#"
        import { query } from "weir";
        interface Leaf { kind: "leaf" }
        interface Fork { kind: "fork"; left: Tree; right: Tree | null; all: Tree[] }
        type Tree = Leaf | Fork;
        export const f = query((): Tree => x);
        "#,
        expect![[r#"
            query f(): Tree
            union Tree by kind = "leaf" Leaf | "fork" Fork
            type Leaf / LeafInput { kind: String = "leaf" }
            type Fork / ForkInput { kind: String = "fork", left: Tree, right: Tree | null, all: [Tree] }
        "#]],
    );
}
