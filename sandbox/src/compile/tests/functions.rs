//! Functions: how they are found, their arguments and results.

use expect_test::expect;

use super::check;

#[test]
fn the_kinds() {
    check(
        r#"
        import { query, view, procedure, action, type Int } from "weir";
        /** Reads. */
        export const a = query((): string => "");
        export const b = view((args: { x?: Int }): Int => args.x ?? 0, { keep: "eager" });
        /**
         * Writes.
         *
         * At length.
         * @param args nothing
         */
        export const c = procedure((args: { x?: Int | null }): boolean => true);
        export const d = action(async (args: {}): Promise<number> => 1);
        "#,
        expect![[r#"
            query a(): String "Reads."
            view b(x?: Int): Int Eager
            procedure c(x?: Int | null): Boolean "Writes.\n\nAt length."
            action d(): Float
        "#]],
    );
}

#[test]
fn renamed_imports_and_whole_modules() {
    check(
        r#"
        import { query as read } from "weir";
        import * as weir from "weir";
        export const a = read((): string => "");
        export const b = weir.procedure((): weir.ID => "x");
        export const c = weir.view.groupBy(things, (t) => t.kind, { n: weir.count() });
        import { things } from "../collections";
        // file: collections.ts
        import * as w from "weir";
        export interface Thing { kind: "a" | "b" }
        export const things = w.collection<Thing>();
        "#,
        expect![[r#"
            collection things: Thing ThingValue
            query a(): String
            procedure b(): Id
            view c(): [CRow]
              over things n=Count
            type ThingValue / ThingInput { kind: ThingKind }
            enum ThingKind { a, b }
            type Thing / ThingInput { id: Id, kind: ThingKind }
            type CRow / CRowInput { key: ThingKind, n: Int }
        "#]],
    );
}

#[test]
fn export_lists_and_re_exports() {
    check(
        r#"
        import { query } from "weir";
        /** Described where it is declared. */
        const a = query((): string => "");
        const inner = query((): string => "");
        const unused = query((): string => "");
        export { a, inner as b };
        export * from "../lib/more";
        export { d } from "../lib/more";
        // file: functions/index.ts
        export { a } from "./t";
        // file: lib/more.ts
        import { query } from "weir";
        export const c = query((): string => "");
        export const d = query((): string => "");
        "#,
        expect![[r#"
            query a(): String "Described where it is declared."
            query b(): String
            query c(): String
            query d(): String
        "#]],
    );
}

#[test]
fn a_function_declared_elsewhere() {
    check(
        r#"
        import { procedure, query } from "weir";
        import { rename } from "../lib/rename";
        function shout(args: { text: string }): string { return args.text.toUpperCase(); }
        export const loud = query(shout);
        export const renamed = procedure(rename);
        export const old = query(function (args: { n: number }): number { return args.n; });
        // file: lib/rename.ts
        import type { ID } from "weir";
        interface Renamed { id: ID }
        export const rename = (args: { id: ID }): Renamed => ({ id: args.id });
        "#,
        expect![[r#"
            query loud(text: String): String
            procedure renamed(id: Id): Renamed
            query old(n: Float): Float
            type Renamed / RenamedInput { id: Id }
        "#]],
    );
}

#[test]
fn destructured_arguments() {
    check(
        r#"
        import { query, type Int } from "weir";
        interface Args { a: Int; b?: string }
        export const f = query(({ a, b = "" }: Args): string => a + b);
        export const g = query((args: Args = { a: 1 }): string => "");
        "#,
        expect![[r#"
            query f(a: Int, b?: String): String
            query g(a: Int, b?: String): String
        "#]],
    );
}

#[test]
fn views_are_kept() {
    check(
        r#"
        import { view } from "weir";
        export const a = view((): string => "", { keep: "onDemand" });
        export const b = view((): string => "", { keep: { every: "5m" } });
        export const c = view((): string => "", { keep: "eager" as const });
        export const d = view((args: { a?: string }): string => "", { keep: { cron: "0 3 * * mon" } });
        "#,
        expect![[r#"
            view a(): String
            view b(): String EveryMs(300000)
            view c(): String Eager
            view d(a?: String): String Cron(0 3 * * mon)
        "#]],
    );
}

#[test]
fn a_view_kept_wrongly() {
    check(
        r#"
        import { view } from "weir";
        const options = { keep: "eager" };
        export const a = view((): string => "", { keep: "always" });
        export const b = view((): string => "", { keep: { every: "5 minutes" } });
        export const c = view((): string => "", options);
        export const d = view((): string => "", { refresh: "eager" });
        export const e = view((args: { a?: string; b: string | null; c: string }): string => "", { keep: "eager" });
        export const f = view((): string => "", { keep: { cron: "every night" } });
        export const g = view((): string => "", { keep: { cron: 5 } });
        export const h = view((args: { c: string }): string => "", { keep: { cron: "0 3 * * *" } });
        export const i = view((): string => "", { keep: { every: "5m", cron: "0 3 * * *" } });
        "#,
        expect![[r#"
            error: this is not a way to keep a view
             --> functions/t.ts:3:49
              |
            3 | export const a = view((): string => "", { keep: "always" });
              |                                                 ^^^^^^^^
            help: write "eager", "onDemand", { every: "5m" } or { cron: "0 3 * * *" }

            error: this is not an interval
             --> functions/t.ts:4:58
              |
            4 | export const b = view((): string => "", { keep: { every: "5 minutes" } });
              |                                                          ^^^^^^^^^^^
            help: write a whole number and ms, s, m, h or d, such as "5m"; at most 366d

            error: the options of a view must be written out here, so that they are known before any code runs
             --> functions/t.ts:5:41
              |
            5 | export const c = view((): string => "", options);
              |                                         ^^^^^^^
            help: write a literal in place of the variable or expression

            error: a view has no option `refresh`
             --> functions/t.ts:6:43
              |
            6 | export const d = view((): string => "", { refresh: "eager" });
              |                                           ^^^^^^^
            help: its option is keep

            error: an eager view is computed without a caller, but needs the argument `c`
             --> functions/t.ts:7:90
              |
            7 | export const e = view((args: { a?: string; b: string | null; c: string }): string => "", { keep: "eager" });
              |                                                                                          ^^^^^^^^^^^^^^^^^
            help: make the argument optional, or keep the view "onDemand"

            error: a schedule has five fields, minute hour day month weekday, such as "0 3 * * *"; this one has 2
             --> functions/t.ts:8:57
              |
            8 | export const f = view((): string => "", { keep: { cron: "every night" } });
              |                                                         ^^^^^^^^^^^^^

            error: this is not a schedule
             --> functions/t.ts:9:57
              |
            9 | export const g = view((): string => "", { keep: { cron: 5 } });
              |                                                         ^
            help: write minute, hour, day of the month, month and day of the week, such as "0 3 * * *"

            error: a view with a schedule is computed without a caller, but needs the argument `c`
              --> functions/t.ts:10:60
               |
            10 | export const h = view((args: { c: string }): string => "", { keep: { cron: "0 3 * * *" } });
               |                                                            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
            help: make the argument optional, or keep the view "onDemand"

            error: this is not a way to keep a view
              --> functions/t.ts:11:49
               |
            11 | export const i = view((): string => "", { keep: { every: "5m", cron: "0 3 * * *" } });
               |                                                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
            help: write "eager", "onDemand", { every: "5m" } or { cron: "0 3 * * *" }
        "#]],
    );
}

#[test]
fn missing_annotations() {
    check(
        r#"
        import { action, query } from "weir";
        export const a = query((args): string => "");
        export const b = query((args: { x: string }) => "");
        export const c = action(async () => 1);
        export const d = query();
        export const e = query("no function");
        "#,
        expect![[r#"
            error: the arguments of `a` have no type
             --> functions/t.ts:2:25
              |
            2 | export const a = query((args): string => "");
              |                         ^^^^
            help: write (args: { customer: ID })

            error: `b` does not say what it returns
             --> functions/t.ts:3:44
              |
            3 | export const b = query((args: { x: string }) => "");
              |                                            ^
            help: write the type after the parameters: (args: { … }): Result => …

            error: `c` does not say what it returns
             --> functions/t.ts:4:32
              |
            4 | export const c = action(async () => 1);
              |                                ^
            help: write the type after the parameters: (args: { … }): Promise<Result> => …

            error: `d` is not given a function
             --> functions/t.ts:5:18
              |
            5 | export const d = query();
              |                  ^^^^^^^
            help: write (args: { … }): Result => …

            error: `e` is not given a function
             --> functions/t.ts:6:24
              |
            6 | export const e = query("no function");
              |                        ^^^^^^^^^^^^^
            help: write (args: { … }): Result => …
        "#]],
    );
}

#[test]
fn forms_that_cannot_be_called() {
    check(
        r#"
        import { query, procedure, type ID } from "weir";
        export const a = query(async (): Promise<string> => "");
        export const b = query((): Promise<string> => Promise.resolve(""));
        export const c = query(function* (): string {});
        export const d = query(<T>(args: { x: T }): string => "");
        export const e = query((a: ID, b: ID): string => "");
        export const f = query((...args: string[]): string => "");
        export const g = procedure((args: { x: ID }): string => "", { retry: true });
        export const h = query((args: string): string => "");
        "#,
        expect![[r#"
            error: `a` is async, but a query has nothing to wait for
             --> functions/t.ts:2:24
              |
            2 | export const a = query(async (): Promise<string> => "");
              |                        ^^^^^^^^
            help: remove async and await: database calls are synchronous; only an action may fetch

            error: `Promise` is only for the results of actions: database calls have nothing to wait for
             --> functions/t.ts:3:28
              |
            3 | export const b = query((): Promise<string> => Promise.resolve(""));
              |                            ^^^^^^^^^^^^^^^
            help: write the type that it resolves to, without async

            error: `c` is a generator
             --> functions/t.ts:4:24
              |
            4 | export const c = query(function* (): string {});
              |                        ^^^^^^^^^^^^
            help: return a list, or make a stream of it

            error: `d` is generic, which GraphQL has no counterpart for
             --> functions/t.ts:5:24
              |
            5 | export const d = query(<T>(args: { x: T }): string => "");
              |                        ^^^^^^^^^^^^^^^^^^^
            help: write the types out

            error: `e` takes more than one parameter
             --> functions/t.ts:6:32
              |
            6 | export const e = query((a: ID, b: ID): string => "");
              |                                ^^^^^
            help: a function takes one object: (args: { customer: ID; limit?: Int })

            error: `f` takes a list of arguments
             --> functions/t.ts:7:25
              |
            7 | export const f = query((...args: string[]): string => "");
              |                         ^^^^^^^^^^^^^^^^^
            help: a function takes one object: (args: { customer: ID; limit?: Int })

            error: procedure takes 1 argument
             --> functions/t.ts:8:61
              |
            8 | export const g = procedure((args: { x: ID }): string => "", { retry: true });
              |                                                             ^^^^^^^^^^^^^^^

            error: an object type is needed here
             --> functions/t.ts:9:31
              |
            9 | export const h = query((args: string): string => "");
              |                               ^^^^^^
            help: write an interface or { member: type }
        "#]],
    );
}

#[test]
fn a_second_function_of_one_name() {
    check(
        r#"
        import { query } from "weir";
        export const a = query((): string => "");
        // file: functions/other.ts
        import { query } from "weir";
        export const a = query((): string => "");
        "#,
        expect![[r#"
            error: a second function is named `a`
             --> functions/t.ts:2:14
              |
            2 | export const a = query((): string => "");
              |              ^
            help: the first is at functions/other.ts:2; rename one of them
        "#]],
    );
}

#[test]
fn one_function_under_two_names() {
    check(
        r#"
        import { query } from "weir";
        export const a = query((): string => "");
        export { a as b };
        // file: functions/other.ts
        export { a as c } from "./t";
        "#,
        expect![[r#"
            error: `a` is exported a second time, as `c`
             --> functions/other.ts:1:15
              |
            1 | export { a as c } from "./t";
              |               ^
            help: export it under one name

            error: `a` is exported a second time, as `b`
             --> functions/t.ts:3:15
              |
            3 | export { a as b };
              |               ^
            help: export it under one name
        "#]],
    );
}

#[test]
fn names_that_are_taken_or_not_allowed() {
    check(
        r#"
        import { query } from "weir";
        export const invoke = query((): string => "");
        export const batch = query((): string => "");
        export const __a = query((): string => "");
        export const größe = query((): string => "");
        export const $ = query((): string => "");
        "#,
        expect![[r#"
            error: `invoke` is a field that Weir itself adds to every API
             --> functions/t.ts:2:14
              |
            2 | export const invoke = query((): string => "");
              |              ^^^^^^
            help: choose another name

            error: `batch` is a field that Weir itself adds to every API
             --> functions/t.ts:3:14
              |
            3 | export const batch = query((): string => "");
              |              ^^^^^
            help: choose another name

            error: `__a` is not a name that GraphQL allows
             --> functions/t.ts:4:14
              |
            4 | export const __a = query((): string => "");
              |              ^^^
            help: use letters, digits and `_`, not starting with a digit or with `__`

            error: `größe` is not a name that GraphQL allows
             --> functions/t.ts:5:14
              |
            5 | export const größe = query((): string => "");
              |              ^^^^^
            help: use letters, digits and `_`, not starting with a digit or with `__`

            error: `$` is not a name that GraphQL allows
             --> functions/t.ts:6:14
              |
            6 | export const $ = query((): string => "");
              |              ^
            help: use letters, digits and `_`, not starting with a digit or with `__`
        "#]],
    );
}

#[test]
fn functions_outside_of_their_folder() {
    check(
        r#"
        import { query } from "weir";
        import { helper } from "../lib/helper";
        export const a = query((): string => helper());
        // file: lib/helper.ts
        import { query } from "weir";
        export const helper = query((): string => "");
        "#,
        expect![[r#"
            error: `helper` is outside functions/, where nobody can call it
             --> lib/helper.ts:2:14
              |
            2 | export const helper = query((): string => "");
              |              ^^^^^^
            help: move it to a file in functions/, or export it from one: export { helper } from …
        "#]],
    );
}

#[test]
fn makers_elsewhere_than_in_constants() {
    check(
        r#"
        import { collection, query } from "weir";
        const make = (text: string) => query((): string => text);
        export const a = make("x");
        export const list = [query((): string => "")];
        const renamed = query;
        export const d = renamed((): string => "");
        export const e = [(): string => ""].map(query);
        export const b = query((): string => "");
        export const shadowed = (query: (f: () => string) => string) => query(() => "");
        const hidden = collection<{ a: string }>();
        "#,
        expect![[r#"
            error: a function must be the value of an exported constant
             --> functions/t.ts:2:32
              |
            2 | const make = (text: string) => query((): string => text);
              |                                ^^^^^
            help: write export const name = … at the top of a file

            error: a function must be the value of an exported constant
             --> functions/t.ts:4:22
              |
            4 | export const list = [query((): string => "")];
              |                      ^^^^^
            help: write export const name = … at the top of a file

            error: a function must be the value of an exported constant
             --> functions/t.ts:5:17
              |
            5 | const renamed = query;
              |                 ^^^^^
            help: write export const name = … at the top of a file

            error: a function must be the value of an exported constant
             --> functions/t.ts:7:41
              |
            7 | export const e = [(): string => ""].map(query);
              |                                         ^^^^^
            help: write export const name = … at the top of a file

            error: the collection `hidden` is not exported, so that it has no name
              --> functions/t.ts:10:7
               |
            10 | const hidden = collection<{ a: string }>();
               |       ^^^^^^
            help: write `export const`
        "#]],
    );
}

#[test]
fn streams_yield_what_their_type_says() {
    check(
        r#"
        import { stream, type Int } from "weir";
        import { counting } from "../lib/counting";
        /** Counts. */
        export const a = stream(async function* (args: { to: Int }): AsyncGenerator<Int> { yield args.to; });
        export const b = stream(async function* named(): AsyncIterable<{ n: Int } | null> {});
        export const c = stream(counting);
        async function* here(): AsyncGenerator<string[], void, undefined> { yield []; }
        export const d = stream(here);
        // file: lib/counting.ts
        export async function* counting(args: { from?: number }): AsyncIterableIterator<"up" | "down"> { yield "up"; }
        "#,
        expect![[r#"
            stream a(to: Int): Int "Counts."
            stream b(): BResult | null
            stream c(from?: Float): CResult
            stream d(): [String]
            type BResult / BResultInput { n: Int }
            enum CResult { up, down }
        "#]],
    );
}

#[test]
fn streams_are_async_generators_of_a_type() {
    check(
        r#"
        import { query, stream, type Int } from "weir";
        export const a = stream(async (): Promise<Int> => 1);
        export const b = stream(function* (): Generator<Int> { yield 1; });
        export const c = stream(async function* () { yield 1; });
        export const d = stream(async function* (): AsyncGenerator { yield 1; });
        export const e = stream(async function* (): Promise<Int> { yield 1; });
        export const f = query(async function* (): AsyncGenerator<Int> { yield 1; });
        export const g = query((): AsyncGenerator<Int> => h());
        async function* h(): AsyncGenerator<Int> { yield 1; }
        export const i = stream(async function* <T>(): AsyncGenerator<T> {});
        export const j = stream(async function* (): AsyncGenerator<Map<string, Int>> {});
        "#,
        expect![[r#"
            error: `a` is a stream, but no async generator
             --> functions/t.ts:2:25
              |
            2 | export const a = stream(async (): Promise<Int> => 1);
              |                         ^^^^^^^^
            help: write stream(async function* (args: { … }): AsyncGenerator<Event> { … yield event; … })

            error: `b` is a stream, but no async generator
             --> functions/t.ts:3:25
              |
            3 | export const b = stream(function* (): Generator<Int> { yield 1; });
              |                         ^^^^^^^^^^^^
            help: write stream(async function* (args: { … }): AsyncGenerator<Event> { … yield event; … })

            error: `c` does not say what it returns
             --> functions/t.ts:4:42
              |
            4 | export const c = stream(async function* () { yield 1; });
              |                                          ^
            help: write the type after the parameters: (args: { … }): AsyncGenerator<Event> { … }

            error: a stream gives its events one after the other, and this type does not say of what type they are
             --> functions/t.ts:5:45
              |
            5 | export const d = stream(async function* (): AsyncGenerator { yield 1; });
              |                                             ^^^^^^^^^^^^^^
            help: write AsyncGenerator<Event>

            error: a stream gives its events one after the other, and this type does not say of what type they are
             --> functions/t.ts:6:45
              |
            6 | export const e = stream(async function* (): Promise<Int> { yield 1; });
              |                                             ^^^^^^^^^^^^
            help: write AsyncGenerator<Event>

            error: `f` is a generator
             --> functions/t.ts:7:24
              |
            7 | export const f = query(async function* (): AsyncGenerator<Int> { yield 1; });
              |                        ^^^^^^^^^^^^^^^^^^
            help: return a list, or make a stream of it

            error: `AsyncGenerator` is only for the events of streams
             --> functions/t.ts:8:28
              |
            8 | export const g = query((): AsyncGenerator<Int> => h());
              |                            ^^^^^^^^^^^^^^^^^^^
            help: write a list: T[]

            error: `i` is generic, which GraphQL has no counterpart for
              --> functions/t.ts:10:25
               |
            10 | export const i = stream(async function* <T>(): AsyncGenerator<T> {});
               |                         ^^^^^^^^^^^^^^^^^^^^^
            help: write the types out

            error: `Map` has no counterpart in GraphQL
              --> functions/t.ts:11:60
               |
            11 | export const j = stream(async function* (): AsyncGenerator<Map<string, Int>> {});
               |                                                            ^^^^^^^^^^^^^^^^
            help: write an interface, or JSON (from "weir"), or a list of { key, value }
        "#]],
    );
}

#[test]
fn group_by() {
    check(
        r#"
        import { view, sum, count, min, max, avg } from "weir";
        import { orders } from "../collections";
        /** By kind. */
        export const byKind = view.groupBy(orders, (o) => o.kind, {
          n: count(), total: sum((o) => o.total), mean: avg((o) => o.total * 2),
          first: min((o) => o.at), last: max((o) => { return o.at; }), most: max((o) => o.total / 2), note: min((o) => o.note),
        });
        export const byDay = view.groupBy(orders, (o) => o.at.slice(0, 10), {});
        export const byNote = view.groupBy(orders, function (o) { return o.note; }, { n: count() });
        export const byOptional = view.groupBy(orders, (order) => order.note, { n: count() });
        // file: collections.ts
        import { collection, type DateTime, type Int } from "weir";
        export interface Order { kind: "a" | "b"; total: Int; at: DateTime; note?: string; tags: string[] }
        export const orders = collection<Order>();
        "#,
        expect![[r#"
            collection orders: Order OrderValue
            view byKind(): [ByKindRow] "By kind."
              over orders n=Count total=Sum mean=Avg first=Min last=Max most=Max note=Min
            view byDay(): [ByDayRow]
              over orders
            view byNote(): [ByNoteRow]
              over orders n=Count
            view byOptional(): [ByOptionalRow]
              over orders n=Count
            type OrderValue / OrderInput { kind: OrderKind, total: Int, at: DateTime, note?: String, tags: [String] }
            enum OrderKind { a, b }
            type Order / OrderInput { id: Id, kind: OrderKind, total: Int, at: DateTime, note?: String, tags: [String] }
            type ByKindRow / ByKindRowInput { key: OrderKind, n: Int, total: Float, mean: Float, first: DateTime, last: DateTime, most: Float, note: String | null }
            type ByDayRow / ByDayRowInput { key: String }
            type ByNoteRow / ByNoteRowInput { key: String, n: Int }
            type ByOptionalRow / ByOptionalRowInput { key: String | null, n: Int }
        "#]],
    );
}

#[test]
fn group_by_wrongly() {
    check(
        r#"
        import { view, sum, count, max, query } from "weir";
        import { orders } from "../collections";
        const aggregates = { n: count() };
        export const q = query((): string[] => []);
        export const a = view.groupBy(orders, (o) => o.kinds, { n: count() });
        export const b = view.groupBy(orders, (o) => o.tags, { n: count() });
        export const c = view.groupBy(q, (o) => o.kind, { n: count() });
        export const d = view.groupBy(orders, (o) => o.kind, aggregates);
        export const e = view.groupBy(orders, (o) => o.kind, { key: count() });
        export const f = view.groupBy(orders, (o) => o.kind, { n: orders.count() });
        export const g = view.groupBy(orders, (o) => o.kind, { n: sum() });
        export const h = view.groupBy(orders, (o) => o.kind);
        export const i = view.groupBy(orders, (o) => o.kind, { n: max((o) => o.tags) });
        export const j = view.groupBy(orders, (o) => o.kind, { n: count((o) => o.kind) });
        // file: collections.ts
        import { collection } from "weir";
        export interface Order { kind: "a" | "b"; tags: string[] }
        export const orders = collection<Order>();
        "#,
        expect![[r#"
            error: `Order` has no member `kinds`
             --> functions/t.ts:5:48
              |
            5 | export const a = view.groupBy(orders, (o) => o.kinds, { n: count() });
              |                                                ^^^^^
            help: it has id, kind, tags

            error: `tags` cannot be a key: its values have no order
             --> functions/t.ts:6:39
              |
            6 | export const b = view.groupBy(orders, (o) => o.tags, { n: count() });
              |                                       ^^^^^^^^^^^^^
            help: take a string, a number, a boolean, an enum, an ID, a Ref or a DateTime

            error: view.groupBy reads a collection, and this is none
             --> functions/t.ts:7:31
              |
            7 | export const c = view.groupBy(q, (o) => o.kind, { n: count() });
              |                               ^
            help: name an exported collection, or filter(…) or flatMap(…) of one

            error: the aggregates must be written out here, so that they are known before any code runs
             --> functions/t.ts:8:54
              |
            8 | export const d = view.groupBy(orders, (o) => o.kind, aggregates);
              |                                                      ^^^^^^^^^^
            help: write a literal in place of the variable or expression

            error: an aggregate cannot be named `key` here
             --> functions/t.ts:9:56
              |
            9 | export const e = view.groupBy(orders, (o) => o.kind, { key: count() });
              |                                                        ^^^
            help: choose a name of letters and digits that is not taken; `key` is the key of the row

            error: this is not an aggregate
              --> functions/t.ts:10:59
               |
            10 | export const f = view.groupBy(orders, (o) => o.kind, { n: orders.count() });
               |                                                           ^^^^^^^^^^^^^^
            help: write count(), sum((o) => o.total), avg(…), min(…), max(…) or top(3, (o) => o.total), imported from "weir"

            error: this is not an aggregate
              --> functions/t.ts:11:59
               |
            11 | export const g = view.groupBy(orders, (o) => o.kind, { n: sum() });
               |                                                           ^^^^^
            help: write count(), sum((o) => o.total), avg(…), min(…), max(…) or top(3, (o) => o.total), imported from "weir"

            error: view.groupBy takes a collection, the key of a document, and aggregates
              --> functions/t.ts:12:18
               |
            12 | export const h = view.groupBy(orders, (o) => o.kind);
               |                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
            help: write view.groupBy(orders, (o) => o.status, { orders: count() })

            error: `tags` has no least or greatest value
              --> functions/t.ts:13:63
               |
            13 | export const i = view.groupBy(orders, (o) => o.kind, { n: max((o) => o.tags) });
               |                                                               ^^^^^^^^^^^^^
            help: take a string, a number, a boolean, an enum, an ID, a Ref or a DateTime

            error: count takes no argument: it counts every document
              --> functions/t.ts:14:65
               |
            14 | export const j = view.groupBy(orders, (o) => o.kind, { n: count((o) => o.kind) });
               |                                                                 ^^^^^^^^^^^^^
        "#]],
    );
}

#[test]
fn groups_of_what_is_left_and_of_what_lists_hold() {
    check(
        r#"
        import { view, sum, count, max, top } from "weir";
        import { orders } from "../collections";
        export const paid = view.groupBy(orders.filter((o) => o.paid), (o) => o.note, { best: top(3, (o) => o.total) });
        export const lines = view.groupBy(orders.flatMap((o) => o.lines), (l) => l.product, {
          sold: sum((l) => l.quantity), most: max((l) => l.quantity), best: top(1_000, (l) => l.quantity * 2),
        });
        export const both = view.groupBy(
          orders.filter(function (o) { return o.paid; }).flatMap((o) => { return o.extras; }).filter((e) => e.quantity > 1),
          (e) => e.product,
          { n: count() },
        );
        export const marks = view.groupBy(orders.flatMap((o) => o.lines).flatMap((l) => l.marks), (m) => m.by, { n: count() });
        // file: collections.ts
        import { collection, type Int } from "weir";
        export interface Line { product: string; quantity: Int; marks: { by: string }[] }
        export interface Order { paid: boolean; total: Int; note?: string; lines: Line[]; extras?: Line[] | null }
        export const orders = collection<Order>();
        "#,
        expect![[r#"
            collection orders: Order OrderValue
            view paid(): [PaidRow]
              over orders best=Top { n: 3 }
            view lines(): [LinesRow]
              over orders.lines sold=Sum most=Max best=Top { n: 1000 }
            view both(): [BothRow]
              over orders.extras n=Count
            view marks(): [MarksRow]
              over orders.lines.marks n=Count
            type OrderValue / OrderInput { paid: Boolean, total: Int, note?: String, lines: [Line], extras?: [Line] | null }
            type Line / LineInput { product: String, quantity: Int, marks: [LineMarks] }
            type LineMarks / LineMarksInput { by: String }
            type Order / OrderInput { id: Id, paid: Boolean, total: Int, note?: String, lines: [Line], extras?: [Line] | null }
            type PaidRow / PaidRowInput { key: String | null, best: [Order] }
            type LinesRow / LinesRowInput { key: String, sold: Float, most: Int, best: [Line] }
            type BothRow / BothRowInput { key: String, n: Int }
            type MarksRow / MarksRowInput { key: String, n: Int }
        "#]],
    );
}

#[test]
fn groups_of_what_has_no_type() {
    check(
        r#"
        import { view, count, query } from "weir";
        import { orders, notes } from "../collections";
        export const q = query((): string[] => []);
        const isPaid = (o: { paid: boolean }): boolean => o.paid;
        export const a = view.groupBy(orders.flatMap((o) => o.lines.slice(1)), (l) => l.product, { n: count() });
        export const b = view.groupBy(orders.flatMap((o) => o.tags), (t) => t, { n: count() });
        export const c = view.groupBy(orders.flatMap((o) => o.blank), (l) => l.product, { n: count() });
        export const d = view.groupBy(orders.flatMap((o) => o.note), (l) => l.product, { n: count() });
        export const e = view.groupBy(orders.flatMap((o) => o.liens), (l) => l.product, { n: count() });
        export const f = view.groupBy(orders.flatMap((o) => o.lines), (l) => l.total, { n: count() });
        export const g = view.groupBy(orders.filter(isPaid), (o) => o.note, { n: count() });
        export const h = view.groupBy(orders.filter(), (o) => o.note, { n: count() });
        export const i = view.groupBy(q.filter((o) => o.paid), (o) => o.note, { n: count() });
        export const j = view.groupBy(orders.where("note", "x").filter((o) => o.paid), (o) => o.note, { n: count() });
        export const k = view.groupBy(notes.flatMap((n) => n.text), (n) => n.text, { n: count() });
        // file: collections.ts
        import { collection, type Int } from "weir";
        export interface Line { product: string; quantity: Int }
        export interface Order { paid: boolean; note: string; tags: string[]; blank: (Line | null)[]; lines: Line[] }
        export const orders = collection<Order>({ index: ["note"] });
        export interface Note { text: string }
        export const notes = collection<Note>();
        "#,
        expect![[r#"
            error: this does not say of what type the elements are: it must be one member that is a list
             --> functions/t.ts:5:46
              |
            5 | export const a = view.groupBy(orders.flatMap((o) => o.lines.slice(1)), (l) => l.product, { n: count() });
              |                                              ^^^^^^^^^^^^^^^^^^^^^^^
            help: write (o) => o.lines; lists of objects are lines

            error: `tags` is no list of objects
             --> functions/t.ts:6:46
              |
            6 | export const b = view.groupBy(orders.flatMap((o) => o.tags), (t) => t, { n: count() });
              |                                              ^^^^^^^^^^^^^
            help: write (o) => o.lines; lists of objects are lines

            error: elements of `blank` may be null, which have no members
             --> functions/t.ts:7:46
              |
            7 | export const c = view.groupBy(orders.flatMap((o) => o.blank), (l) => l.product, { n: count() });
              |                                              ^^^^^^^^^^^^^^
            help: write (o) => o.lines; lists of objects are lines

            error: `note` is no list of objects
             --> functions/t.ts:8:46
              |
            8 | export const d = view.groupBy(orders.flatMap((o) => o.note), (l) => l.product, { n: count() });
              |                                              ^^^^^^^^^^^^^
            help: write (o) => o.lines; lists of objects are lines

            error: `Order` has no member `liens`
             --> functions/t.ts:9:55
              |
            9 | export const e = view.groupBy(orders.flatMap((o) => o.liens), (l) => l.product, { n: count() });
              |                                                       ^^^^^
            help: it has id, paid, note, tags, blank, lines

            error: `Line` has no member `total`
              --> functions/t.ts:10:72
               |
            10 | export const f = view.groupBy(orders.flatMap((o) => o.lines), (l) => l.total, { n: count() });
               |                                                                        ^^^^^
            help: it has product, quantity

            error: a function must be written here
              --> functions/t.ts:11:45
               |
            11 | export const g = view.groupBy(orders.filter(isPaid), (o) => o.note, { n: count() });
               |                                             ^^^^^^
            help: write (o) => o.member, or an expression of o

            error: filter takes one function
              --> functions/t.ts:12:31
               |
            12 | export const h = view.groupBy(orders.filter(), (o) => o.note, { n: count() });
               |                               ^^^^^^^^^^^^^^^
            help: write filter((o) => o.status === "paid") or flatMap((o) => o.lines)

            error: view.groupBy reads a collection, and this is none
              --> functions/t.ts:13:31
               |
            13 | export const i = view.groupBy(q.filter((o) => o.paid), (o) => o.note, { n: count() });
               |                               ^
            help: name an exported collection, or filter(…) or flatMap(…) of one

            error: view.groupBy reads a collection, and this is none
              --> functions/t.ts:14:31
               |
            14 | export const j = view.groupBy(orders.where("note", "x").filter((o) => o.paid), (o) => o.note, { n: count() });
               |                               ^^^^^^^^^^^^^^^^^^^^^^^^^
            help: name an exported collection, or filter(…) or flatMap(…) of one

            error: `text` is no list of objects
              --> functions/t.ts:15:45
               |
            15 | export const k = view.groupBy(notes.flatMap((n) => n.text), (n) => n.text, { n: count() });
               |                                             ^^^^^^^^^^^^^
            help: `Note` has no member that is a list of objects
        "#]],
    );
}

#[test]
fn collections_filtered_for_no_view() {
    check(
        r#"
        import { view, count, query, type Int } from "weir";
        import { orders } from "../collections";
        const paid = orders.filter((o) => o.paid);
        const seen: string[] = [];
        export const a = view.groupBy(paid, (o) => o.note, { n: count() });
        export const b = query((): Int => orders.flatMap((o) => o.lines).filter((l) => l.quantity > 1).length);
        export const c = query((): Int => { const orders = [1]; return orders.filter((n) => n > 1).length; });
        export const d = query((): Int => orders.all().filter((o) => o.paid).length);
        export const e = view.groupBy(orders.filter((o) => seen.push(o.id) > 0), (o) => o.note, { n: count() });
        // file: collections.ts
        import { collection, type Int } from "weir";
        export interface Order { paid: boolean; note: string; lines: { quantity: Int }[] }
        export const orders = collection<Order>();
        "#,
        expect![[r#"
            error: `filter` of a collection stands only in view.groupBy(orders.filter(…), …) and view.index
             --> functions/t.ts:3:21
              |
            3 | const paid = orders.filter((o) => o.paid);
              |                     ^^^^^^
            help: write orders.all().filter(…), or narrow it with orders.where(…)

            error: view.groupBy reads a collection, and this is none
             --> functions/t.ts:5:31
              |
            5 | export const a = view.groupBy(paid, (o) => o.note, { n: count() });
              |                               ^^^^
            help: name an exported collection, or filter(…) or flatMap(…) of one

            error: `filter` of a collection stands only in view.groupBy(orders.filter(…), …) and view.index
             --> functions/t.ts:6:66
              |
            6 | export const b = query((): Int => orders.flatMap((o) => o.lines).filter((l) => l.quantity > 1).length);
              |                                                                  ^^^^^^
            help: write orders.all().filter(…), or narrow it with orders.where(…)

            error: this changes `seen`, which would outlive the call
             --> functions/t.ts:9:52
              |
            9 | export const e = view.groupBy(orders.filter((o) => seen.push(o.id) > 0), (o) => o.note, { n: count() });
              |                                                    ^^^^^^^^^^^^^^^
            help: change a copy: [...list], or toSorted(), toReversed(), with()
        "#]],
    );
}

#[test]
fn the_greatest_wrongly() {
    check(
        r#"
        import { view, top } from "weir";
        import { orders } from "../collections";
        const three = 3;
        export const a = view.groupBy(orders, (o) => o.kind, { n: top(0, (o) => o.kind) });
        export const b = view.groupBy(orders, (o) => o.kind, { n: top(1001, (o) => o.kind) });
        export const c = view.groupBy(orders, (o) => o.kind, { n: top(2.5, (o) => o.kind) });
        export const d = view.groupBy(orders, (o) => o.kind, { n: top(three, (o) => o.kind) });
        export const e = view.groupBy(orders, (o) => o.kind, { n: top((o) => o.kind) });
        export const f = view.groupBy(orders, (o) => o.kind, { n: top(3, (o) => o.tags) });
        export const g = view.groupBy(orders, (o) => o.kind, { n: top(3, (o) => o.total) });
        export const h = view.groupBy(orders, (o) => o.kind, { n: top(3, "kind") });
        // file: collections.ts
        import { collection } from "weir";
        export interface Order { kind: "a" | "b"; tags: string[] }
        export const orders = collection<Order>();
        "#,
        expect![[r#"
            error: top takes a whole number from 1 to 1000 that is written out here
             --> functions/t.ts:4:63
              |
            4 | export const a = view.groupBy(orders, (o) => o.kind, { n: top(0, (o) => o.kind) });
              |                                                               ^
            help: write top(3, (o) => o.total)

            error: top takes a whole number from 1 to 1000 that is written out here
             --> functions/t.ts:5:63
              |
            5 | export const b = view.groupBy(orders, (o) => o.kind, { n: top(1001, (o) => o.kind) });
              |                                                               ^^^^
            help: write top(3, (o) => o.total)

            error: top takes a whole number from 1 to 1000 that is written out here
             --> functions/t.ts:6:63
              |
            6 | export const c = view.groupBy(orders, (o) => o.kind, { n: top(2.5, (o) => o.kind) });
              |                                                               ^^^
            help: write top(3, (o) => o.total)

            error: top takes a whole number from 1 to 1000 that is written out here
             --> functions/t.ts:7:63
              |
            7 | export const d = view.groupBy(orders, (o) => o.kind, { n: top(three, (o) => o.kind) });
              |                                                               ^^^^^
            help: write top(3, (o) => o.total)

            error: top takes how many, and a function of a document
             --> functions/t.ts:8:59
              |
            8 | export const e = view.groupBy(orders, (o) => o.kind, { n: top((o) => o.kind) });
              |                                                           ^^^^^^^^^^^^^^^^^^
            help: write top(3, (o) => o.total)

            error: `tags` has no least or greatest value
             --> functions/t.ts:9:66
              |
            9 | export const f = view.groupBy(orders, (o) => o.kind, { n: top(3, (o) => o.tags) });
              |                                                                  ^^^^^^^^^^^^^
            help: take a string, a number, a boolean, an enum, an ID, a Ref or a DateTime

            error: `Order` has no member `total`
              --> functions/t.ts:10:75
               |
            10 | export const g = view.groupBy(orders, (o) => o.kind, { n: top(3, (o) => o.total) });
               |                                                                           ^^^^^
            help: it has id, kind, tags

            error: a function must be written here
              --> functions/t.ts:11:66
               |
            11 | export const h = view.groupBy(orders, (o) => o.kind, { n: top(3, "kind") });
               |                                                                  ^^^^^^
            help: write (o) => o.member, or an expression of o
        "#]],
    );
}
