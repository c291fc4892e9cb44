//! Names: what GraphQL does not allow or has already, and what would be there twice, is told where it is written.

use expect_test::expect;

use super::check;

#[test]
fn names_that_graphql_does_not_allow() {
    check(
        r#"
        import { query, view, collection, count, type Int } from "weir";
        interface __Type { a: Int }
        interface $Money { a: Int }
        interface Straße { a: Int }
        interface T { __typename: string; "a-b": Int; 2: Int; ok: Int }
        export interface Doc1 { __id: string }
        export const docs = collection<Doc1>({});
        export const a = query((): __Type => x);
        export const b = query((): $Money => x);
        export const c = query((): Straße => x);
        export const d = query((): T => x);
        export const e = query((args: { __x: Int; $y: Int }): Int => x);
        export const __f = query((): Int => x);
        export const $g = query((): Int => x);
        export const größe = query((): Int => x);
        const h = query((): Int => x);
        export { h as "h-h" };
        export const i = query((): "__a" | "b" => x);
        interface _ { _a: { b: Int } }
        export const j = query((): _ => x);
        "#,
        expect![[r#"
            error: `__Type` is not a name that GraphQL allows
             --> functions/t.ts:2:11
              |
            2 | interface __Type { a: Int }
              |           ^^^^^^
            help: use letters, digits and `_`, not starting with a digit or with `__`

            error: `$Money` is not a name that GraphQL allows
             --> functions/t.ts:3:11
              |
            3 | interface $Money { a: Int }
              |           ^^^^^^
            help: use letters, digits and `_`, not starting with a digit or with `__`

            error: `Straße` is not a name that GraphQL allows
             --> functions/t.ts:4:11
              |
            4 | interface Straße { a: Int }
              |           ^^^^^^
            help: use letters, digits and `_`, not starting with a digit or with `__`

            error: `__typename` is not a name that GraphQL allows
             --> functions/t.ts:5:15
              |
            5 | interface T { __typename: string; "a-b": Int; 2: Int; ok: Int }
              |               ^^^^^^^^^^
            help: use letters, digits and `_`, not starting with a digit or with `__`

            error: `a-b` is not a name that GraphQL allows
             --> functions/t.ts:5:35
              |
            5 | interface T { __typename: string; "a-b": Int; 2: Int; ok: Int }
              |                                   ^^^^^
            help: use letters, digits and `_`, not starting with a digit or with `__`

            error: the name of a member must be written out
             --> functions/t.ts:5:47
              |
            5 | interface T { __typename: string; "a-b": Int; 2: Int; ok: Int }
              |                                               ^

            error: `__id` is not a name that GraphQL allows
             --> functions/t.ts:6:25
              |
            6 | export interface Doc1 { __id: string }
              |                         ^^^^
            help: use letters, digits and `_`, not starting with a digit or with `__`

            error: `__x` is not a name that GraphQL allows
              --> functions/t.ts:12:33
               |
            12 | export const e = query((args: { __x: Int; $y: Int }): Int => x);
               |                                 ^^^
            help: use letters, digits and `_`, not starting with a digit or with `__`

            error: `$y` is not a name that GraphQL allows
              --> functions/t.ts:12:43
               |
            12 | export const e = query((args: { __x: Int; $y: Int }): Int => x);
               |                                           ^^
            help: use letters, digits and `_`, not starting with a digit or with `__`

            error: `__f` is not a name that GraphQL allows
              --> functions/t.ts:13:14
               |
            13 | export const __f = query((): Int => x);
               |              ^^^
            help: use letters, digits and `_`, not starting with a digit or with `__`

            error: `$g` is not a name that GraphQL allows
              --> functions/t.ts:14:14
               |
            14 | export const $g = query((): Int => x);
               |              ^^
            help: use letters, digits and `_`, not starting with a digit or with `__`

            error: `größe` is not a name that GraphQL allows
              --> functions/t.ts:15:14
               |
            15 | export const größe = query((): Int => x);
               |              ^^^^^
            help: use letters, digits and `_`, not starting with a digit or with `__`

            error: `h-h` is not a name that GraphQL allows
              --> functions/t.ts:17:15
               |
            17 | export { h as "h-h" };
               |               ^^^^^
            help: use letters, digits and `_`, not starting with a digit or with `__`

            error: "__a" has no spelling as a value of a GraphQL enum
              --> functions/t.ts:18:28
               |
            18 | export const i = query((): "__a" | "b" => x);
               |                            ^^^^^^^^^^^
            help: use letters, digits, `_` and `-`, or write string

            error: `__a` is not a name that GraphQL allows
              --> functions/t.ts:19:19
               |
            19 | interface _ { _a: { b: Int } }
               |                   ^^^^^^^^^^
            help: use letters, digits and `_`, not starting with a digit or with `__`
        "#]],
    );
}

#[test]
fn names_that_are_taken() {
    check(
        r#"
        import { query, procedure, stream, type Int } from "weir";
        interface Query { a: Int }
        interface Subscription { a: Int }
        interface ID { a: Int }
        interface JSON { a: Int }
        interface String { a: Int }
        interface CallError { a: Int }
        interface Call { a: Int }
        type Mutation = "a" | "b";
        type Boolean = "a" | "b";
        export const a = query((): Query => x);
        export const b = query((): Subscription => x);
        export const c = query((): ID => x);
        export const d = query((): JSON => x);
        export const e = query((): String => x);
        export const f = query((): CallError => x);
        export const g = query((args: { call: Call }): Int => x);
        export const h = query((): Mutation => x);
        export const i = query((): Boolean => x);
        export const invoke = query((): Int => x);
        export const batch = procedure((): Int => x);
        "#,
        expect![[r#"
            error: `Query` is a type that GraphQL or Weir itself defines
             --> functions/t.ts:2:11
              |
            2 | interface Query { a: Int }
              |           ^^^^^
            help: rename the type

            error: `Subscription` is a type that GraphQL or Weir itself defines
             --> functions/t.ts:3:11
              |
            3 | interface Subscription { a: Int }
              |           ^^^^^^^^^^^^
            help: rename the type

            error: `ID` is a type that GraphQL or Weir itself defines
             --> functions/t.ts:4:11
              |
            4 | interface ID { a: Int }
              |           ^^
            help: rename the type

            error: `JSON` is a type that GraphQL or Weir itself defines
             --> functions/t.ts:5:11
              |
            5 | interface JSON { a: Int }
              |           ^^^^
            help: rename the type

            error: `String` is a type that GraphQL or Weir itself defines
             --> functions/t.ts:6:11
              |
            6 | interface String { a: Int }
              |           ^^^^^^
            help: rename the type

            error: `CallError` is a type that GraphQL or Weir itself defines
             --> functions/t.ts:7:11
              |
            7 | interface CallError { a: Int }
              |           ^^^^^^^^^
            help: rename the type

            error: as an argument `Call` would be `CallInput`, which Weir itself defines
             --> functions/t.ts:8:11
              |
            8 | interface Call { a: Int }
              |           ^^^^
            help: rename the type

            error: `Mutation` is a type that GraphQL or Weir itself defines
             --> functions/t.ts:9:17
              |
            9 | type Mutation = "a" | "b";
              |                 ^^^^^^^^^
            help: rename the type

            error: `Boolean` is a type that GraphQL or Weir itself defines
              --> functions/t.ts:10:16
               |
            10 | type Boolean = "a" | "b";
               |                ^^^^^^^^^
            help: rename the type

            error: `invoke` is a field that Weir itself adds to every API
              --> functions/t.ts:20:14
               |
            20 | export const invoke = query((): Int => x);
               |              ^^^^^^
            help: choose another name

            error: `batch` is a field that Weir itself adds to every API
              --> functions/t.ts:21:14
               |
            21 | export const batch = procedure((): Int => x);
               |              ^^^^^
            help: choose another name
        "#]],
    );
}

#[test]
fn two_types_of_one_name() {
    check(
        r#"
        import { query, collection, type Int, type Doc, type Page } from "weir";
        export interface Order { a: Int }
        export const orders = collection<Order>({});
        interface OrderValue { b: Int }
        interface OrderConnection { c: Int }
        interface OrderEdge { c: Int }
        interface PageInfo { c: Int }
        interface ThingKind { a: Int }
        interface Thing { kind: "a" | "b" }
        interface PInput { a: Int }
        interface P { b: Int }
        type QInput = "a" | "b";
        interface Q { b: Int; c: QInput }
        interface RArgs { a: Int }
        export const a = query((args: { order: Order }): OrderValue => x);
        export const b = query((): Page<Order> => x);
        export const c = query((): { a: OrderConnection; b: OrderEdge; c: PageInfo } => x);
        export const d = query((): { a: Thing; b: ThingKind } => x);
        export const e = query((args: { p: P }): PInput => x);
        export const f = query((args: { q: Q }): Int => x);
        "#,
        expect![[r#"
            error: two different types are named `OrderValue`
             --> functions/t.ts:4:11
              |
            4 | interface OrderValue { b: Int }
              |           ^^^^^^^^^^
            help: the other is at functions/t.ts:2; rename one of them

            error: two different types are named `OrderConnection`
             --> functions/t.ts:5:11
              |
            5 | interface OrderConnection { c: Int }
              |           ^^^^^^^^^^^^^^^
            help: the other is at functions/t.ts:16; rename one of them

            error: two different types are named `OrderEdge`
             --> functions/t.ts:6:11
              |
            6 | interface OrderEdge { c: Int }
              |           ^^^^^^^^^
            help: the other is at functions/t.ts:16; rename one of them

            error: two different types are named `PageInfo`
             --> functions/t.ts:7:11
              |
            7 | interface PageInfo { c: Int }
              |           ^^^^^^^^
            help: the other is at functions/t.ts:16; rename one of them

            error: two different types are named `ThingKind`
             --> functions/t.ts:8:11
              |
            8 | interface ThingKind { a: Int }
              |           ^^^^^^^^^
            help: the other is at functions/t.ts:9; rename one of them

            error: as an argument `P` would be `PInput`, and so would `PInput`
              --> functions/t.ts:11:11
               |
            11 | interface P { b: Int }
               |           ^
            help: rename one of them

            error: as an argument `Q` would be `QInput`, and so would `QInput`
              --> functions/t.ts:13:11
               |
            13 | interface Q { b: Int; c: QInput }
               |           ^
            help: rename one of them
        "#]],
    );
}

#[test]
fn an_input_and_an_enum_of_one_name() {
    check(
        r#"
        import { query, type Int } from "weir";
        type QInput = "a" | "b";
        interface Q { b: Int }
        export const f = query((args: { q: Q; e: QInput }): Int => x);
        "#,
        expect![[r#"
            error: as an argument `Q` would be `QInput`, and so would `QInput`
             --> functions/t.ts:3:11
              |
            3 | interface Q { b: Int }
              |           ^
            help: rename one of them
        "#]],
    );
    check(
        r#"
        import { query, type Int } from "weir";
        interface A { x: { y: Int } }
        interface AX { z: Int }
        interface AXInput { z: Int }
        export const f = query((args: { a: A; b: AXInput }): Int => x);
        export const g = query((args: { a: AX }): AXInput => x);
        "#,
        expect![[r#"
            error: as an argument `AX` would be `AXInput`, and so would `AXInput`
             --> functions/t.ts:2:18
              |
            2 | interface A { x: { y: Int } }
              |                  ^^^^^^^^^^
            help: rename one of them

            error: two different types are named `AX`
             --> functions/t.ts:3:11
              |
            3 | interface AX { z: Int }
              |           ^^
            help: the other is at functions/t.ts:2; rename one of them
        "#]],
    );
}

#[test]
fn members_of_rows_and_entries() {
    check(
        r#"
        import { view, collection, count, sum, type Int } from "weir";
        export interface Order { amount: Int; by: string }
        export const orders = collection<Order>({});
        export const a = view.groupBy(orders, (o) => o.by, { key: count() });
        export const a1 = view.groupBy(orders, (o) => o.by, { __n: count() });
        export const a2 = view.groupBy(orders, (o) => o.by, { "n-n": count() });
        export const b = view.groupBy(orders, (o) => o.by, { n: count(), n: sum((o) => o.amount) });
        export const c = view.index(orders, (o) => ({ __a: o.by, b: o.amount }));
        export const d = view.index(orders, (o) => o.by, (o) => ({ "a-b": o.by }));
        "#,
        expect![[r#"
            error: an aggregate cannot be named `key` here
             --> functions/t.ts:4:54
              |
            4 | export const a = view.groupBy(orders, (o) => o.by, { key: count() });
              |                                                      ^^^
            help: choose a name of letters and digits that is not taken; `key` is the key of the row

            error: an aggregate cannot be named `__n` here
             --> functions/t.ts:5:55
              |
            5 | export const a1 = view.groupBy(orders, (o) => o.by, { __n: count() });
              |                                                       ^^^
            help: choose a name of letters and digits that is not taken; `key` is the key of the row

            error: an aggregate cannot be named `n-n` here
             --> functions/t.ts:6:55
              |
            6 | export const a2 = view.groupBy(orders, (o) => o.by, { "n-n": count() });
              |                                                       ^^^^^
            help: choose a name of letters and digits that is not taken; `key` is the key of the row

            error: an aggregate cannot be named `n` here
             --> functions/t.ts:7:66
              |
            7 | export const b = view.groupBy(orders, (o) => o.by, { n: count(), n: sum((o) => o.amount) });
              |                                                                  ^
            help: choose a name of letters and digits that is not taken; `key` is the key of the row

            error: `__a` is not a name that GraphQL allows
             --> functions/t.ts:8:47
              |
            8 | export const c = view.index(orders, (o) => ({ __a: o.by, b: o.amount }));
              |                                               ^^^
            help: use letters, digits and `_`, not starting with a digit or with `__`

            error: `a-b` is not a name that GraphQL allows
             --> functions/t.ts:9:60
              |
            9 | export const d = view.index(orders, (o) => o.by, (o) => ({ "a-b": o.by }));
              |                                                            ^^^^^
            help: use letters, digits and `_`, not starting with a digit or with `__`
        "#]],
    );
}

#[test]
fn two_functions_of_one_name() {
    check(
        r#"
        // file: functions/a.ts
        import { query, type Int } from "weir";
        export const f = query((): Int => x);
        // file: functions/b.ts
        import { procedure, type Int } from "weir";
        export const f = procedure((): Int => x);
        "#,
        expect![[r#"
            error: a second function is named `f`
             --> functions/b.ts:2:14
              |
            2 | export const f = procedure((): Int => x);
              |              ^
            help: the first is at functions/a.ts:2; rename one of them
        "#]],
    );
}
