//! Imports, exports and the JavaScript of modules.

use expect_test::expect;

use super::{check, check_javascript};

#[test]
fn javascript_keeps_values_and_drops_types() {
    check_javascript(
        r#"
        import { query, type Doc, ID } from "weir";
        import { orders, Order } from "../collections";
        import type { Only } from "../lib/types";
        import { helper } from "../lib/helper.js";
        // a comment
        export const one = query((args: { id: ID }): Doc<Order> | null => orders.get(args.id)!);
        export const two = query((): Only => helper(1 as number) satisfies unknown as Only);
        // file: collections.ts
        import { collection } from "weir";
        export interface Order { a: string }
        export const orders = collection<Order>();
        // file: lib/types.ts
        export interface Only { a: string }
        // file: lib/helper.ts
        import { orders, type Order } from "../collections";
        class Counter { constructor(private readonly n: number) {} }
        export function helper<T>(x: T): { a: string } { return { a: String(x) }; }
        // file: lib/unused.ts
        import "left-pad";
        "#,
        expect![[r#"
            // collections.ts [("weir", "weir")]
            import { collection } from "weir";
            export const orders = collection();

            // lib/helper.ts []
            class Counter {
            	n;
            	constructor(n) {
            		this.n = n;
            	}
            }
            export function helper(x) {
            	return { a: String(x) };
            }
            import { keep as weirKeep } from "weir:keep";
            weirKeep("lib/helper.ts", { Counter });

            // functions/t.ts [("weir", "weir"), ("../collections", "collections.ts"), ("../lib/helper.js", "lib/helper.ts")]
            import { query } from "weir";
            import { orders } from "../collections";
            import { helper } from "../lib/helper.js";
            export const one = query((args) => orders.get(args.id));
            export const two = query(() => helper(1));
        "#]],
    );
}

#[test]
fn imports_that_lead_nowhere() {
    check(
        r#"
        import { query, nothing } from "weir";
        import _ from "lodash";
        import { readFile } from "node:fs";
        import x from "https://esm.sh/x";
        import { missing } from "./missing";
        import { outside } from "../../shop/collections";
        import { orders, nope } from "../collections";
        import dflt from "../collections";
        export { gone } from "../collections";
        export const a = query((): string => "");
        // file: collections.ts
        import { collection } from "weir";
        export interface Order { a: string }
        export const orders = collection<Order>();
        "#,
        expect![[r#"
            error: "weir" exports no `nothing`
             --> functions/t.ts:1:17
              |
            1 | import { query, nothing } from "weir";
              |                 ^^^^^^^
            help: it exports query, view, procedure, action, stream, collection, sum, count, min, max, avg, top, now, fail, attempt, caller, call, metric, schedule, cancelJob, secret, hmac, timingSafeEqual, http, ID, Int, Float, DateTime, JSON, Bytes, Doc, Ref, Page, Edge, PageInfo

            error: cannot import "lodash": Weir apps have no packages
             --> functions/t.ts:2:15
              |
            2 | import _ from "lodash";
              |               ^^^^^^^^
            help: import only "weir" and files of the app by relative paths, such as "../collections"

            error: cannot import "node:fs": Weir apps have no packages
             --> functions/t.ts:3:26
              |
            3 | import { readFile } from "node:fs";
              |                          ^^^^^^^^^
            help: import only "weir" and files of the app by relative paths, such as "../collections"

            error: cannot import "https://esm.sh/x": Weir apps have no packages
             --> functions/t.ts:4:15
              |
            4 | import x from "https://esm.sh/x";
              |               ^^^^^^^^^^^^^^^^^^
            help: import only "weir" and files of the app by relative paths, such as "../collections"

            error: cannot find the file behind "./missing"
             --> functions/t.ts:5:25
              |
            5 | import { missing } from "./missing";
              |                         ^^^^^^^^^^^
            help: tried functions/missing.ts and functions/missing/index.ts

            error: cannot import "../../shop/collections": it is outside the app folder
             --> functions/t.ts:6:25
              |
            6 | import { outside } from "../../shop/collections";
              |                         ^^^^^^^^^^^^^^^^^^^^^^^^
            help: move the file into the app folder

            error: collections.ts exports no `nope`
             --> functions/t.ts:7:18
              |
            7 | import { orders, nope } from "../collections";
              |                  ^^^^
            help: collections.ts exports Order, orders

            error: collections.ts has no default export; Weir apps export by name
             --> functions/t.ts:8:8
              |
            8 | import dflt from "../collections";
              |        ^^^^
            help: collections.ts exports Order, orders

            error: collections.ts exports no `gone`
             --> functions/t.ts:9:10
              |
            9 | export { gone } from "../collections";
              |          ^^^^
            help: collections.ts exports Order, orders
        "#]],
    );
}

#[test]
fn imports_in_a_circle() {
    check(
        r#"
        import { query } from "weir";
        import { b } from "../lib/b";
        export const a = query((): string => b());
        // file: lib/b.ts
        import { c } from "./c";
        export const b = () => c();
        // file: lib/c.ts
        import { b } from "./b";
        export const c = () => b();
        "#,
        expect![[r#"
            error: imports go in a circle: lib/b.ts → lib/c.ts → lib/b.ts
             --> lib/c.ts:1:19
              |
            1 | import { b } from "./b";
              |                   ^^^^^
            help: move what both files need into a third one, or use `import type` where only types are needed
        "#]],
    );
}

#[test]
fn types_may_go_in_a_circle() {
    check(
        r#"
        import { query } from "weir";
        import { b, type B } from "../lib/b";
        export interface A { b?: B }
        export const a = query((): A => b());
        // file: lib/b.ts
        import { A } from "../functions/t";
        export interface B { a?: A }
        export const b = (): A => ({});
        "#,
        expect![[r#"
            query a(): A
            type A / AInput { b?: B }
            type B / BInput { a?: A }
        "#]],
    );
}

#[test]
fn types_used_as_values() {
    check(
        r#"
        import { query, ID } from "weir";
        import { Order, orders } from "../collections";
        export { Order } from "../collections";
        export const a = query((): string => { console.log(Order, ID); return ""; });
        // file: collections.ts
        import { collection } from "weir";
        export interface Order { a: string }
        export const orders = collection<Order>();
        "#,
        expect![[r#"
            error: `ID` is a type, and JavaScript asks for it as a value
             --> functions/t.ts:1:17
              |
            1 | import { query, ID } from "weir";
              |                 ^^
            help: write `type ID` to use it as a type

            error: `Order` is a type, and JavaScript asks for it as a value
             --> functions/t.ts:2:10
              |
            2 | import { Order, orders } from "../collections";
              |          ^^^^^
            help: write `type Order` to use it as a type

            error: `Order` is a type, and JavaScript asks for it as a value
             --> functions/t.ts:3:10
              |
            3 | export { Order } from "../collections";
              |          ^^^^^
            help: write `type Order` to use it as a type
        "#]],
    );
}

#[test]
fn the_type_json_and_the_value_json() {
    check(
        r#"
        import { query, JSON } from "weir";
        export const a = query((args: { x: JSON }): string => JSON.stringify(args.x));
        // file: functions/fine.ts
        import { query, type JSON as Json } from "weir";
        export const b = query((args: { x: Json }): string => JSON.stringify(args.x));
        "#,
        expect![[r#"
            error: `JSON` is a type, and JavaScript asks for it as a value
             --> functions/t.ts:1:17
              |
            1 | import { query, JSON } from "weir";
              |                 ^^^^
            help: write `type JSON as Json`, so that `JSON` is JavaScript's own
        "#]],
    );
}

#[test]
fn default_exports() {
    check(
        r#"
        import { query } from "weir";
        export default query((): string => "");
        export const a = query((): string => "");
        "#,
        expect![[r#"
            error: a default export has no name, so that nobody can ask for it
             --> functions/t.ts:2:1
              |
            2 | export default query((): string => "");
              | ^^^^^^^^^^^^^^
            help: export it by a name: export const name = …
        "#]],
    );
}

#[test]
fn a_broken_file_is_told_once() {
    check(
        r#"
        import { query } from "weir";
        import { x, type X } from "../lib/broken";
        export const a = query((): X => x);
        // file: lib/broken.ts
        export const x = {;
        "#,
        expect![[r#"
            error: syntax error: Unexpected token
             --> lib/broken.ts:1:19
              |
            1 | export const x = {;
              |                   ^
        "#]],
    );
}

#[test]
fn a_type_declared_twice() {
    check(
        r#"
        import { query } from "weir";
        interface T { a: string }
        interface T { b: string }
        export const a = query((): T => x);
        "#,
        expect![[r#"
            error: the type `T` is declared twice in this file
             --> functions/t.ts:3:11
              |
            3 | interface T { b: string }
              |           ^
            help: write all its members in one declaration
        "#]],
    );
}
