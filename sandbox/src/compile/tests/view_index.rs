use expect_test::expect;

use super::check;

#[test]
fn keys_and_values() {
    check(
        r#"
        import { view, type DateTime, type Float } from "weir";
        import { orders, type Line } from "../collections";
        /** By total. */
        export const byTotal = view.index(orders, (o) => o.total);
        export const byTag = view.index(orders.filter((o) => o.total > 1), (o) => o.tags, (o) => o.note);
        export const byDay = view.index(orders, (o) => o.at.slice(0, 10), (o) => ({ kind: o.kind, lines: o.lines }));
        export const byKind = view.index(orders, (o) => ({ kind: o.kind, note: o.note, day: o.at.slice(0, 10) }));
        export const byBoth = view.index(orders, (o) => [o.note, o.other]);
        export const byWord = view.index(orders, (o): string[] => o.tags.flatMap((t) => t.split(" ")), (o): Line[] | null => o.lines ?? null);
        export const byLine = view.index(orders.flatMap((o) => o.lines), (l): Line => l);
        export const byWhen = view.index(orders, function (o): { at: DateTime; total?: Float }[] { return [{ at: o.at }]; });
        // file: collections.ts
        import { collection, type DateTime, type Int } from "weir";
        export interface Line { product: string; quantity: Int }
        export interface Order { kind: "a" | "b"; total: Int; at: DateTime; note?: string; other?: string; tags: string[]; lines?: Line[] }
        export const orders = collection<Order>();
        "#,
        expect![[r#"
            collection orders: Order OrderValue
            view byTotal(key?: Int, gt?: Int, gte?: Int, lt?: Int, lte?: Int, order?: IndexOrder, first?: Int, after?: String, last?: Int, before?: String): ByTotalConnection "By total."
              over orders by key
            view byTag(key?: String, gt?: String, gte?: String, lt?: String, lte?: String, prefix?: String, order?: IndexOrder, first?: Int, after?: String, last?: Int, before?: String): ByTagConnection
              over orders by key with values
            view byDay(key?: String, gt?: String, gte?: String, lt?: String, lte?: String, prefix?: String, order?: IndexOrder, first?: Int, after?: String, last?: Int, before?: String): ByDayConnection
              over orders by key with values
            view byKind(key?: ByKindKey, gt?: ByKindKey, gte?: ByKindKey, lt?: ByKindKey, lte?: ByKindKey, prefix?: ByKindPrefix, order?: IndexOrder, first?: Int, after?: String, last?: Int, before?: String): ByKindConnection
              over orders by kind, note, day
            view byBoth(key?: String, gt?: String, gte?: String, lt?: String, lte?: String, prefix?: String, order?: IndexOrder, first?: Int, after?: String, last?: Int, before?: String): ByBothConnection
              over orders by key
            view byWord(key?: String, gt?: String, gte?: String, lt?: String, lte?: String, prefix?: String, order?: IndexOrder, first?: Int, after?: String, last?: Int, before?: String): ByWordConnection
              over orders by key with values
            view byLine(key?: Line, gt?: Line, gte?: Line, lt?: Line, lte?: Line, prefix?: ByLinePrefix, order?: IndexOrder, first?: Int, after?: String, last?: Int, before?: String): ByLineConnection
              over orders.lines by product, quantity
            view byWhen(key?: ByWhenKey, gt?: ByWhenKey, gte?: ByWhenKey, lt?: ByWhenKey, lte?: ByWhenKey, prefix?: ByWhenPrefix, order?: IndexOrder, first?: Int, after?: String, last?: Int, before?: String): ByWhenConnection
              over orders by at, total
            type OrderValue / OrderInput { kind: OrderKind, total: Int, at: DateTime, note?: String, other?: String, tags: [String], lines?: [Line] }
            enum OrderKind { a, b }
            type Line / LineInput { product: String, quantity: Int }
            type Order / OrderInput { id: Id, kind: OrderKind, total: Int, at: DateTime, note?: String, other?: String, tags: [String], lines?: [Line] }
            enum IndexOrder { asc, desc }
            type ByTotalEdge / ByTotalEdgeInput { key: Int, document: Id "The id of the document that the entry comes from.", node: Order, cursor: String }
            type PageInfo / PageInfoInput { hasNextPage: Boolean, hasPreviousPage: Boolean, startCursor: String | null, endCursor: String | null }
            type ByTotalConnection / ByTotalConnectionInput { edges: [ByTotalEdge], pageInfo: PageInfo }
            type ByTagEdge / ByTagEdgeInput { key: String, document: Id "The id of the document that the entry comes from.", node: String | null, cursor: String }
            type ByTagConnection / ByTagConnectionInput { edges: [ByTagEdge], pageInfo: PageInfo }
            type ByDayValue / ByDayValueInput { kind: OrderKind, lines: [Line] | null }
            type ByDayEdge / ByDayEdgeInput { key: String, document: Id "The id of the document that the entry comes from.", node: ByDayValue, cursor: String }
            type ByDayConnection / ByDayConnectionInput { edges: [ByDayEdge], pageInfo: PageInfo }
            type ByKindKey / ByKindKeyInput { kind: OrderKind, note: String | null, day: String }
            type ByKindPrefix / ByKindPrefixInput { kind?: OrderKind, note?: String | null, day?: String }
            type ByKindEdge / ByKindEdgeInput { key: ByKindKey, document: Id "The id of the document that the entry comes from.", node: Order, cursor: String }
            type ByKindConnection / ByKindConnectionInput { edges: [ByKindEdge], pageInfo: PageInfo }
            type ByBothEdge / ByBothEdgeInput { key: String, document: Id "The id of the document that the entry comes from.", node: Order, cursor: String }
            type ByBothConnection / ByBothConnectionInput { edges: [ByBothEdge], pageInfo: PageInfo }
            type ByWordEdge / ByWordEdgeInput { key: String, document: Id "The id of the document that the entry comes from.", node: [Line] | null, cursor: String }
            type ByWordConnection / ByWordConnectionInput { edges: [ByWordEdge], pageInfo: PageInfo }
            type ByLinePrefix / ByLinePrefixInput { product?: String, quantity?: Int }
            type ByLineEdge / ByLineEdgeInput { key: Line, document: Id "The id of the document that the entry comes from.", node: Line, cursor: String }
            type ByLineConnection / ByLineConnectionInput { edges: [ByLineEdge], pageInfo: PageInfo }
            type ByWhenKey / ByWhenKeyInput { at: DateTime, total?: Float }
            type ByWhenPrefix / ByWhenPrefixInput { at?: DateTime, total?: Float }
            type ByWhenEdge / ByWhenEdgeInput { key: ByWhenKey, document: Id "The id of the document that the entry comes from.", node: Order, cursor: String }
            type ByWhenConnection / ByWhenConnectionInput { edges: [ByWhenEdge], pageInfo: PageInfo }
        "#]],
    );
}

#[test]
fn mistakes() {
    check(
        r#"
        import { view, query, type JSON as Json } from "weir";
        import { orders } from "../collections";
        const key = (o: any) => o.kind;
        export const q = query((): string[] => []);
        export const a = view.index(orders);
        export const b = view.index(q, (o) => o.kind);
        export const c = view.index(orders, key);
        export const d = view.index(orders, (o) => o.kinds);
        export const e = view.index(orders, (o) => o.lines);
        export const f = view.index(orders, (o) => o.holes);
        export const g = view.index(orders, (o) => ({ kind: o.kind, lines: o.lines }));
        export const h = view.index(orders, (o) => [o.kind, o.total]);
        export const i = view.index(orders, (o) => ({}));
        export const j = view.index(orders, (o): Json => o.kind);
        export const k = view.index(orders, (o): { extra: Json } => ({ extra: 1 }));
        export const l = view.index(orders, (o) => o.kind, (o) => o.total * 2);
        export const m = view.index(orders, (o) => o.kind, (o) => ({ double: o.total * 2 }));
        export const n = view.index(orders, (o) => o.kind, (o) => o.totals);
        export const o = view.index(orders.flatMap((o) => o.lines), (l) => l.kind);
        export const p = view.index(orders, async (o) => o.kind);
        export const r = view.index(orders, (o) => o.kind, (o) => o.total, { unique: true });
        export const s = () => view.index(orders, (o) => o.kind);
        export const t = view.index(orders, (o) => ({ __kind: o.kind }));
        // file: collections.ts
        import { collection, type Int } from "weir";
        export interface Order { kind: "a" | "b"; total: Int; lines: { product: string }[]; holes: (string | null)[] }
        export const orders = collection<Order>();
        "#,
        expect![[r#"
            error: view.index takes a collection, the key of a document, and perhaps what is kept of it
             --> functions/t.ts:5:18
              |
            5 | export const a = view.index(orders);
              |                  ^^^^^^^^^^^^^^^^^^
            help: write view.index(cities, (c) => c.name)

            error: view.index reads a collection, and this is none
             --> functions/t.ts:6:29
              |
            6 | export const b = view.index(q, (o) => o.kind);
              |                             ^
            help: name an exported collection, or filter(…) or flatMap(…) of one

            error: a function must be written here
             --> functions/t.ts:7:37
              |
            7 | export const c = view.index(orders, key);
              |                                     ^^^
            help: write (o) => o.member, or an expression of o

            error: `Order` has no member `kinds`
             --> functions/t.ts:8:46
              |
            8 | export const d = view.index(orders, (o) => o.kinds);
              |                                              ^^^^^
            help: it has id, kind, total, lines, holes

            error: a list of keys holds no null
              --> functions/t.ts:10:44
               |
            10 | export const f = view.index(orders, (o) => o.holes);
               |                                            ^^^^^^^
            help: leave out what has no key

            error: `lines` cannot be part of a key: its values have no order
              --> functions/t.ts:11:61
               |
            11 | export const g = view.index(orders, (o) => ({ kind: o.kind, lines: o.lines }));
               |                                                             ^^^^^
            help: take a string, a number, a boolean, an enum, an ID, a Ref or a DateTime, an object of them, or a list

            error: these keys are of different types
              --> functions/t.ts:12:44
               |
            12 | export const h = view.index(orders, (o) => [o.kind, o.total]);
               |                                            ^^^^^^^^^^^^^^^^^
            help: a list holds several keys of one type; one key of several parts is an object: (o) => ({ a: o.a, b: o.b })

            error: the parts of a key are missing
              --> functions/t.ts:13:45
               |
            13 | export const i = view.index(orders, (o) => ({}));
               |                                             ^^
            help: write at least one: ({ name: o.name })

            error: this cannot be a key: its values have no order
              --> functions/t.ts:14:37
               |
            14 | export const j = view.index(orders, (o): Json => o.kind);
               |                                     ^^^^^^^^^^^^^^^^^^^
            help: take a string, a number, a boolean, an enum, an ID, a Ref or a DateTime, an object of them, or a list

            error: `extra` cannot be part of a key: its values have no order
              --> functions/t.ts:15:37
               |
            15 | export const k = view.index(orders, (o): { extra: Json } => ({ extra: 1 }));
               |                                     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
            help: take a string, a number, a boolean, an enum, an ID, a Ref or a DateTime, an object of them, or a list

            error: this does not say of what type the value is
              --> functions/t.ts:16:59
               |
            16 | export const l = view.index(orders, (o) => o.kind, (o) => o.total * 2);
               |                                                           ^^^^^^^^^^^
            help: write (o) => o.member, (o) => ({ member: o.member }), or the type: (o): Summary => …

            error: this does not say of what type the value is
              --> functions/t.ts:17:62
               |
            17 | export const m = view.index(orders, (o) => o.kind, (o) => ({ double: o.total * 2 }));
               |                                                              ^^^^^^
            help: write (o) => o.member, (o) => ({ member: o.member }), or the type: (o): Summary => …

            error: `Order` has no member `totals`
              --> functions/t.ts:18:61
               |
            18 | export const n = view.index(orders, (o) => o.kind, (o) => o.totals);
               |                                                             ^^^^^^
            help: it has id, kind, total, lines, holes

            error: `OrderLines` has no member `kind`
              --> functions/t.ts:19:70
               |
            19 | export const o = view.index(orders.flatMap((o) => o.lines), (l) => l.kind);
               |                                                                      ^^^^
            help: it has product

            error: a function must be written here
              --> functions/t.ts:20:37
               |
            20 | export const p = view.index(orders, async (o) => o.kind);
               |                                     ^^^^^^^^^^^^^^^^^^^
            help: write (o) => o.member, or an expression of o

            error: view.index takes a collection, the key of a document, and perhaps what is kept of it
              --> functions/t.ts:21:18
               |
            21 | export const r = view.index(orders, (o) => o.kind, (o) => o.total, { unique: true });
               |                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
            help: write view.index(cities, (c) => c.name)

            error: a function must be the value of an exported constant
              --> functions/t.ts:22:24
               |
            22 | export const s = () => view.index(orders, (o) => o.kind);
               |                        ^^^^^^^^^^
            help: write export const name = … at the top of a file

            error: a function must be the value of an exported constant
              --> functions/t.ts:22:24
               |
            22 | export const s = () => view.index(orders, (o) => o.kind);
               |                        ^^^^
            help: write export const name = … at the top of a file

            error: `__kind` is not a name that GraphQL allows
              --> functions/t.ts:23:47
               |
            23 | export const t = view.index(orders, (o) => ({ __kind: o.kind }));
               |                                               ^^^^^^
            help: use letters, digits and `_`, not starting with a digit or with `__`
        "#]],
    );
}

#[test]
fn names_that_are_taken() {
    check(
        r#"
        import { view, query } from "weir";
        import { orders } from "../collections";
        export interface ByKindEdge { a: string }
        export interface IndexOrder { a: string }
        export const q = query((): ByKindEdge[] => []);
        export const r = query((): IndexOrder[] => []);
        export const byKind = view.index(orders, (o) => o.kind);
        // file: collections.ts
        import { collection } from "weir";
        export interface Order { kind: string }
        export const orders = collection<Order>();
        "#,
        expect![[r#"
            error: two different types are named `IndexOrder`
             --> functions/t.ts:7:14
              |
            7 | export const byKind = view.index(orders, (o) => o.kind);
              |              ^^^^^^
            help: the other is at functions/t.ts:4; rename one of them

            error: two different types are named `ByKindEdge`
             --> functions/t.ts:7:14
              |
            7 | export const byKind = view.index(orders, (o) => o.kind);
              |              ^^^^^^
            help: the other is at functions/t.ts:3; rename one of them
        "#]],
    );
}
