//! What is refused, and what is said about it.

use expect_test::expect;

use super::check;

#[test]
fn types_without_counterpart() {
    check(
        r#"
        import { query, type Rows } from "weir";
        class Klass { a = 1 }
        interface Generic<T> { a: T }
        type Cond<T> = T extends string ? 1 : 2;
        const value = { a: 1 };
        interface T {
          a: any; b: unknown; c: object; d: void; e: undefined; f: never; g: bigint; h: symbol;
          i: [string, number]; j: () => void; k: Record<string, number>; l: { [key: string]: string };
          m: Map<string, string>; n: Set<string>; o: Date; p: 1; q: true; r: `a${string}`; s: keyof Generic<string>;
          t: typeof value; u: Klass; v: Generic<string>; w: Missing; x: Promise<string>; y: { [K in "a"]: string };
          z: NonNullable<string>; aa: String; bb: Int; cc: Uint8Array; dd: Rows<string>; ee: import("./x").T; ff: Array; gg: this;
          hh: "a"["length"]; ii: Cond<string>; jj: -1; kk: value;
        }
        export const f = query((): T => x);
        "#,
        expect![[r#"
            error: `any` has no counterpart in GraphQL
             --> functions/t.ts:7:6
              |
            7 |   a: any; b: unknown; c: object; d: void; e: undefined; f: never; g: bigint; h: symbol;
              |      ^^^
            help: write the type, or JSON (from "weir") for any JSON value

            error: `unknown` has no counterpart in GraphQL
             --> functions/t.ts:7:14
              |
            7 |   a: any; b: unknown; c: object; d: void; e: undefined; f: never; g: bigint; h: symbol;
              |              ^^^^^^^
            help: write the type, or JSON (from "weir") for any JSON value

            error: `object` has no counterpart in GraphQL
             --> functions/t.ts:7:26
              |
            7 |   a: any; b: unknown; c: object; d: void; e: undefined; f: never; g: bigint; h: symbol;
              |                          ^^^^^^
            help: write an interface, or JSON (from "weir") for any JSON value

            error: `void` has no counterpart in GraphQL
             --> functions/t.ts:7:37
              |
            7 |   a: any; b: unknown; c: object; d: void; e: undefined; f: never; g: bigint; h: symbol;
              |                                     ^^^^
            help: return something, such as boolean

            error: `undefined` alone has no counterpart in GraphQL
             --> functions/t.ts:7:46
              |
            7 |   a: any; b: unknown; c: object; d: void; e: undefined; f: never; g: bigint; h: symbol;
              |                                              ^^^^^^^^^
            help: return something, such as boolean

            error: `never` has no counterpart in GraphQL
             --> functions/t.ts:7:60
              |
            7 |   a: any; b: unknown; c: object; d: void; e: undefined; f: never; g: bigint; h: symbol;
              |                                                            ^^^^^
            help: return something, such as boolean

            error: `bigint` has no counterpart in GraphQL
             --> functions/t.ts:7:70
              |
            7 |   a: any; b: unknown; c: object; d: void; e: undefined; f: never; g: bigint; h: symbol;
              |                                                                      ^^^^^^
            help: write string, or Float (from "weir")

            error: `symbol` has no counterpart in GraphQL
             --> functions/t.ts:7:81
              |
            7 |   a: any; b: unknown; c: object; d: void; e: undefined; f: never; g: bigint; h: symbol;
              |                                                                                 ^^^^^^
            help: write string

            error: a tuple has no counterpart in GraphQL
             --> functions/t.ts:8:6
              |
            8 |   i: [string, number]; j: () => void; k: Record<string, number>; l: { [key: string]: string };
              |      ^^^^^^^^^^^^^^^^
            help: write an object with named members, or a list

            error: a function has no counterpart in GraphQL
             --> functions/t.ts:8:27
              |
            8 |   i: [string, number]; j: () => void; k: Record<string, number>; l: { [key: string]: string };
              |                           ^^^^^^^^^^
            help: leave it out

            error: `Record` has no counterpart in GraphQL
             --> functions/t.ts:8:42
              |
            8 |   i: [string, number]; j: () => void; k: Record<string, number>; l: { [key: string]: string };
              |                                          ^^^^^^^^^^^^^^^^^^^^^^
            help: write an interface, or JSON (from "weir"), or a list of { key, value }

            error: an index signature has no counterpart in GraphQL
             --> functions/t.ts:8:71
              |
            8 |   i: [string, number]; j: () => void; k: Record<string, number>; l: { [key: string]: string };
              |                                                                       ^^^^^^^^^^^^^^^^^^^^^
            help: write out the members, or JSON (from "weir"), or a list of { key, value }

            error: `Map` has no counterpart in GraphQL
             --> functions/t.ts:9:6
              |
            9 |   m: Map<string, string>; n: Set<string>; o: Date; p: 1; q: true; r: `a${string}`; s: keyof Generic<string>;
              |      ^^^^^^^^^^^^^^^^^^^
            help: write an interface, or JSON (from "weir"), or a list of { key, value }

            error: `Set` has no counterpart in GraphQL
             --> functions/t.ts:9:30
              |
            9 |   m: Map<string, string>; n: Set<string>; o: Date; p: 1; q: true; r: `a${string}`; s: keyof Generic<string>;
              |                              ^^^^^^^^^^^
            help: write a list: T[]

            error: `Date` has no counterpart in GraphQL
             --> functions/t.ts:9:46
              |
            9 |   m: Map<string, string>; n: Set<string>; o: Date; p: 1; q: true; r: `a${string}`; s: keyof Generic<string>;
              |                                              ^^^^
            help: write DateTime (from "weir")

            error: a numeric literal type has no counterpart in GraphQL
             --> functions/t.ts:9:55
              |
            9 |   m: Map<string, string>; n: Set<string>; o: Date; p: 1; q: true; r: `a${string}`; s: keyof Generic<string>;
              |                                                       ^
            help: write Int or Float (from "weir"), or a union of strings

            error: a boolean literal type has no counterpart in GraphQL
             --> functions/t.ts:9:61
              |
            9 |   m: Map<string, string>; n: Set<string>; o: Date; p: 1; q: true; r: `a${string}`; s: keyof Generic<string>;
              |                                                             ^^^^
            help: write boolean

            error: a template literal type has no counterpart in GraphQL
             --> functions/t.ts:9:70
              |
            9 |   m: Map<string, string>; n: Set<string>; o: Date; p: 1; q: true; r: `a${string}`; s: keyof Generic<string>;
              |                                                                      ^^^^^^^^^^^^
            help: write string, or a union of strings

            error: `keyof` has no counterpart in GraphQL
             --> functions/t.ts:9:87
              |
            9 |   m: Map<string, string>; n: Set<string>; o: Date; p: 1; q: true; r: `a${string}`; s: keyof Generic<string>;
              |                                                                                       ^^^^^^^^^^^^^^^^^^^^^
            help: write the names out: "name" | "email"

            error: `typeof` in a declared type has no counterpart in GraphQL
              --> functions/t.ts:10:6
               |
            10 |   t: typeof value; u: Klass; v: Generic<string>; w: Missing; x: Promise<string>; y: { [K in "a"]: string };
               |      ^^^^^^^^^^^^
            help: write out the type

            error: `Klass` is a class or an enum, which GraphQL has no counterpart for
              --> functions/t.ts:10:23
               |
            10 |   t: typeof value; u: Klass; v: Generic<string>; w: Missing; x: Promise<string>; y: { [K in "a"]: string };
               |                       ^^^^^
            help: write an interface, or a union of strings such as "open" | "paid"

            error: `Generic` is generic, which GraphQL has no counterpart for
              --> functions/t.ts:10:33
               |
            10 |   t: typeof value; u: Klass; v: Generic<string>; w: Missing; x: Promise<string>; y: { [K in "a"]: string };
               |                                 ^^^^^^^^^^^^^^^
            help: declare an interface for each use

            error: there is no type `Missing`
              --> functions/t.ts:10:53
               |
            10 |   t: typeof value; u: Klass; v: Generic<string>; w: Missing; x: Promise<string>; y: { [K in "a"]: string };
               |                                                     ^^^^^^^
            help: declare it in this file, or import it: import type { T } from "…"

            error: `Promise` is only for the results of actions: database calls have nothing to wait for
              --> functions/t.ts:10:65
               |
            10 |   t: typeof value; u: Klass; v: Generic<string>; w: Missing; x: Promise<string>; y: { [K in "a"]: string };
               |                                                                 ^^^^^^^^^^^^^^^
            help: write the type that it resolves to, without async

            error: a mapped type has no counterpart in GraphQL
              --> functions/t.ts:10:85
               |
            10 |   t: typeof value; u: Klass; v: Generic<string>; w: Missing; x: Promise<string>; y: { [K in "a"]: string };
               |                                                                                     ^^^^^^^^^^^^^^^^^^^^^^
            help: write out the members, or JSON (from "weir"), or a list of { key, value }

            error: `NonNullable` has no counterpart in GraphQL
              --> functions/t.ts:11:6
               |
            11 |   z: NonNullable<string>; aa: String; bb: Int; cc: Uint8Array; dd: Rows<string>; ee: import("./x").T; ff: Array; gg: this;
               |      ^^^^^^^^^^^^^^^^^^^
            help: write the type out; Pick, Omit, Partial, Required and Readonly are understood

            error: `String` is an object in TypeScript
              --> functions/t.ts:11:31
               |
            11 |   z: NonNullable<string>; aa: String; bb: Int; cc: Uint8Array; dd: Rows<string>; ee: import("./x").T; ff: Array; gg: this;
               |                               ^^^^^^
            help: write string

            error: the type `Int` is not imported
              --> functions/t.ts:11:43
               |
            11 |   z: NonNullable<string>; aa: String; bb: Int; cc: Uint8Array; dd: Rows<string>; ee: import("./x").T; ff: Array; gg: this;
               |                                           ^^^
            help: write import { type Int } from "weir" at the top of the file

            error: `Uint8Array` has no counterpart in GraphQL
              --> functions/t.ts:11:52
               |
            11 |   z: NonNullable<string>; aa: String; bb: Int; cc: Uint8Array; dd: Rows<string>; ee: import("./x").T; ff: Array; gg: this;
               |                                                    ^^^^^^^^^^
            help: write Bytes (from "weir")

            error: `Rows` is for code and has no counterpart in GraphQL
              --> functions/t.ts:11:68
               |
            11 |   z: NonNullable<string>; aa: String; bb: Int; cc: Uint8Array; dd: Rows<string>; ee: import("./x").T; ff: Array; gg: this;
               |                                                                    ^^^^^^^^^^^^
            help: write Doc<T>[]: rows become a list when they are returned

            error: `import(…)` in a declared type has no counterpart in GraphQL
              --> functions/t.ts:11:86
               |
            11 |   z: NonNullable<string>; aa: String; bb: Int; cc: Uint8Array; dd: Rows<string>; ee: import("./x").T; ff: Array; gg: this;
               |                                                                                      ^^^^^^^^^^^^^^^
            help: import the type at the top of the file: import type { T } from "…"

            error: `Array` takes 1 type argument, not 0
              --> functions/t.ts:11:107
               |
            11 |   z: NonNullable<string>; aa: String; bb: Int; cc: Uint8Array; dd: Rows<string>; ee: import("./x").T; ff: Array; gg: this;
               |                                                                                                           ^^^^^

            error: `this` has no counterpart in GraphQL
              --> functions/t.ts:11:118
               |
            11 |   z: NonNullable<string>; aa: String; bb: Int; cc: Uint8Array; dd: Rows<string>; ee: import("./x").T; ff: Array; gg: this;
               |                                                                                                                      ^^^^
            help: write the name of the type

            error: an object type is needed here
              --> functions/t.ts:12:7
               |
            12 |   hh: "a"["length"]; ii: Cond<string>; jj: -1; kk: value;
               |       ^^^
            help: write an interface or { member: type }

            error: `Cond` is generic, which GraphQL has no counterpart for
              --> functions/t.ts:12:26
               |
            12 |   hh: "a"["length"]; ii: Cond<string>; jj: -1; kk: value;
               |                          ^^^^^^^^^^^^
            help: declare an interface for each use

            error: a numeric literal type has no counterpart in GraphQL
              --> functions/t.ts:12:44
               |
            12 |   hh: "a"["length"]; ii: Cond<string>; jj: -1; kk: value;
               |                                            ^^
            help: write Int or Float (from "weir"), or a union of strings

            error: `value` is a value, not a type
              --> functions/t.ts:12:52
               |
            12 |   hh: "a"["length"]; ii: Cond<string>; jj: -1; kk: value;
               |                                                    ^^^^^
            help: name an interface or a type alias
        "#]],
    );
}

#[test]
fn results_without_a_value() {
    check(
        r#"
        import { action, procedure } from "weir";
        export const a = procedure((): void => {});
        export const b = action(async (): Promise<void> => {});
        export const c = procedure((): never => { throw 1; });
        "#,
        expect![[r#"
            error: `void` has no counterpart in GraphQL
             --> functions/t.ts:2:32
              |
            2 | export const a = procedure((): void => {});
              |                                ^^^^
            help: return something, such as boolean

            error: `void` has no counterpart in GraphQL
             --> functions/t.ts:3:43
              |
            3 | export const b = action(async (): Promise<void> => {});
              |                                           ^^^^
            help: return something, such as boolean

            error: `never` has no counterpart in GraphQL
             --> functions/t.ts:4:32
              |
            4 | export const c = procedure((): never => { throw 1; });
              |                                ^^^^^
            help: return something, such as boolean
        "#]],
    );
}

#[test]
fn keys_of_utility_types() {
    check(
        r#"
        import { query } from "weir";
        interface T { a: string; b: string }
        export const a = query((): Pick<T, "c"> => x);
        export const b = query((): Omit<T, "c"> => x);
        export const c = query((): Pick<T, string> => x);
        export const d = query((): T["c"] => x);
        export const e = query((): T[string] => x);
        export const f = query((): Pick<T> => x);
        export const g = query((): Partial<string> => x);
        export const h = query((): T & string => x);
        export const i = query((): T & { a: number } => x);
        "#,
        expect![[r#"
            error: there is no member `c`
             --> functions/t.ts:3:36
              |
            3 | export const a = query((): Pick<T, "c"> => x);
              |                                    ^^^
            help: there are a, b

            error: there is no member `c`
             --> functions/t.ts:4:36
              |
            4 | export const b = query((): Omit<T, "c"> => x);
              |                                    ^^^
            help: there are a, b

            error: the names of members are needed here
             --> functions/t.ts:5:36
              |
            5 | export const c = query((): Pick<T, string> => x);
              |                                    ^^^^^^
            help: write them as "name" | "email"

            error: there is no member `c`
             --> functions/t.ts:6:30
              |
            6 | export const d = query((): T["c"] => x);
              |                              ^^^
            help: there are a, b

            error: only one named member can be taken from a type
             --> functions/t.ts:7:30
              |
            7 | export const e = query((): T[string] => x);
              |                              ^^^^^^
            help: write T["member"]

            error: `Pick` takes 2 type arguments, not 1
             --> functions/t.ts:8:28
              |
            8 | export const f = query((): Pick<T> => x);
              |                            ^^^^^^^

            error: an object type is needed here
             --> functions/t.ts:9:36
              |
            9 | export const g = query((): Partial<string> => x);
              |                                    ^^^^^^
            help: write an interface or { member: type }

            error: an object type is needed here
              --> functions/t.ts:10:32
               |
            10 | export const h = query((): T & string => x);
               |                                ^^^^^^
            help: write an interface or { member: type }

            error: the member `a` comes from two types
              --> functions/t.ts:11:34
               |
            11 | export const i = query((): T & { a: number } => x);
               |                                  ^
            help: the other is at functions/t.ts:2; leave one out with Omit
        "#]],
    );
}

#[test]
fn syntax_errors_are_told_with_all_else() {
    check(
        r#"
        import { query } from "weir";
        export const a = query((): string => ;
        // file: functions/other.ts
        import { query } from "weir";
        import { a } from "./t";
        export const b = query((): any => a);
        "#,
        expect![[r#"
            error: `any` has no counterpart in GraphQL
             --> functions/other.ts:3:28
              |
            3 | export const b = query((): any => a);
              |                            ^^^
            help: write the type, or JSON (from "weir") for any JSON value

            error: syntax error: Unexpected token
             --> functions/t.ts:2:38
              |
            2 | export const a = query((): string => ;
              |                                      ^
        "#]],
    );
}

#[test]
fn an_enum_and_a_namespace() {
    check(
        r#"
        import { query } from "weir";
        enum Status { Open, Paid }
        namespace Inner { export const x = 1; }
        declare enum Ambient { A }
        export const a = query((): Status => x);
        "#,
        expect![[r#"
            error: an `enum` is more than a type
             --> functions/t.ts:2:6
              |
            2 | enum Status { Open, Paid }
              |      ^^^^^^
            help: write a union of strings: type Status = "open" | "paid"

            error: a `namespace` is more than a type
             --> functions/t.ts:3:11
              |
            3 | namespace Inner { export const x = 1; }
              |           ^^^^^
            help: write a file of its own

            error: `Status` is a class or an enum, which GraphQL has no counterpart for
             --> functions/t.ts:5:28
              |
            5 | export const a = query((): Status => x);
              |                            ^^^^^^
            help: write an interface, or a union of strings such as "open" | "paid"
        "#]],
    );
}

#[test]
fn classes_that_need_more_than_erasing() {
    check(
        r#"
        import { query } from "weir";
        class Base { constructor(readonly a: number) {} }
        class Blocks extends Base { constructor(flag: boolean, readonly b: number) { if (flag) super(1); else super(2); } }
        class Never extends Base { constructor(private c = 1, d: number) {} }
        class Fine extends Base { constructor(flag: boolean, readonly b: number) { if (flag) b = 1; super(b); } }
        class Fields { accessor x = 1; static accessor #y = 2; }
        abstract class Erased { abstract accessor x: number; declare y: string }
        export const a = query((): string => "");
        "#,
        expect![[r#"
            error: a parameter property needs a `super(…)` that is a statement of the constructor itself
             --> functions/t.ts:3:56
              |
            3 | class Blocks extends Base { constructor(flag: boolean, readonly b: number) { if (flag) super(1); else super(2); } }
              |                                                        ^^^^^^^^^^^^^^^^^^
            help: call super outside of any block, or declare a field and set it

            error: a parameter property needs a `super(…)` that is a statement of the constructor itself
             --> functions/t.ts:4:40
              |
            4 | class Never extends Base { constructor(private c = 1, d: number) {} }
              |                                        ^^^^^^^^^^^^^
            help: call super outside of any block, or declare a field and set it

            error: `accessor` fields are not supported
             --> functions/t.ts:6:25
              |
            6 | class Fields { accessor x = 1; static accessor #y = 2; }
              |                         ^
            help: write a field, or get and set

            error: a static field would outlive the call that changes it
             --> functions/t.ts:6:32
              |
            6 | class Fields { accessor x = 1; static accessor #y = 2; }
              |                                ^^^^^^^^^^^^^^^^^^^^^^^
            help: write a constant beside the class, or a field of its instances

            error: `accessor` fields are not supported
             --> functions/t.ts:6:48
              |
            6 | class Fields { accessor x = 1; static accessor #y = 2; }
              |                                                ^^
            help: write a field, or get and set
        "#]],
    );
}

#[test]
fn decorators_await_and_dynamic_imports() {
    check(
        r#"
        import { query } from "weir";
        import fs = require("fs");
        import data from "./data.json" with { type: "json" };
        const sealed = (x: unknown) => x;
        @sealed class K {}
        await Promise.resolve();
        export const a = query((): string => import.meta.url);
        export const b = query((): string => { import("./t"); return ""; });
        "#,
        expect![[r#"
            error: `import … =` is not a module import
             --> functions/t.ts:2:1
              |
            2 | import fs = require("fs");
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^
            help: write import { … } from "./file"

            error: only TypeScript files can be imported
             --> functions/t.ts:3:1
              |
            3 | import data from "./data.json" with { type: "json" };
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
            help: write import { … } from "./file"

            error: cannot find the file behind "./data.json"
             --> functions/t.ts:3:18
              |
            3 | import data from "./data.json" with { type: "json" };
              |                  ^^^^^^^^^^^^^
            help: tried functions/data.json.ts and functions/data.json/index.ts

            error: decorators are not supported
             --> functions/t.ts:5:1
              |
            5 | @sealed class K {}
              | ^^^^^^^
            help: call the function instead

            error: `await` cannot stand at the top of a module
             --> functions/t.ts:6:1
              |
            6 | await Promise.resolve();
              | ^^^^^^^^^^^^^^^^^^^^^^^
            help: a module is only loaded, never waited for: move the await into an action

            error: `import.meta` has nothing to tell here
             --> functions/t.ts:7:38
              |
            7 | export const a = query((): string => import.meta.url);
              |                                      ^^^^^^^^^^^
            help: leave it out: an app does not know its files

            error: `import()` cannot load anything while code runs
             --> functions/t.ts:8:40
              |
            8 | export const b = query((): string => { import("./t"); return ""; });
              |                                        ^^^^^^^^^^^^^
            help: write import { … } from "…" at the top of the file
        "#]],
    );
}

#[test]
fn app_toml() {
    check(
        r#"
        import { query } from "weir";
        export const a = query((): string => "");
        // file: app.toml
        name = "Shop"
        version = "1.0.0"
        "#,
        expect![[r#"
            error: name "Shop" is not allowed: use 1 to 64 lower-case letters, digits and hyphens, starting with a letter
             --> app.toml:1:1
              |
            1 | name = "Shop"
              | ^
        "#]],
    );
}

#[test]
fn an_unknown_key_in_app_toml() {
    check(
        r#"
        import { query } from "weir";
        export const a = query((): string => "");
        // file: app.toml
        name = "shop"
        version = "1.0.0"

        [limits]
        wall = 5
        "#,
        expect![[r#"
            error: unknown field `wall`, expected one of `cpu_ms`, `wall_ms`, `heap_bytes`, `array_buffer_bytes`, `result_bytes`, `result_depth`, `result_values`, `arguments_bytes`, `host_calls`, `outstanding_promises`, `documents_read`, `documents_counted`, `documents_written`, `read_bytes`, `written_bytes`, `log_bytes`, `call_depth`, `idempotency_ms`, `jobs_scheduled`, `metrics_emitted`, `fetches`, `fetch_bytes`, `batch_calls`, `response_bytes`
             --> app.toml:5:1
              |
            5 | wall = 5
              | ^
        "#]],
    );
}

#[test]
fn no_functions() {
    check(
        r#"
        export const a = 1;
        "#,
        expect![[r#"
            error: the app exports no function, so it has no API
             --> functions/
            help: export one from a file in functions/: export const hello = query((): string => "hello")
        "#]],
    );
}

#[test]
fn code_without_end() {
    let deep = format!("const deep = {}1{};", "[".repeat(2_000), "]".repeat(2_000));
    let long = format!("const long = {}1;", "a = ".repeat(50_000));
    for text in [deep, long] {
        let diagnostics = super::compile_text(&text).err().unwrap_or_default();
        assert!(diagnostics.starts_with("error: this nests too deeply to be compiled\n"), "{diagnostics}");
    }
    let strings = format!("export const text = \"{}\"; // {}", "a".repeat(200_000), "[".repeat(2_000));
    let diagnostics = super::compile_text(&strings).err().unwrap_or_default();
    assert!(diagnostics.starts_with("error: the app exports no function"), "{diagnostics}");
}

#[test]
fn time_that_no_transaction_has() {
    check(
        r#"
        import { action, query } from "weir";
        export const slow = action(async (): Promise<string> => "");
        export const a = query((): string => "");
        // file: app.toml
        name = "shop"
        version = "1.0.0"

        [limits]
        cpu_ms = 60000
        wall_ms = 60000
        "#,
        expect![[r#"
            error: wall_ms = 60000 is too long for the query a: a transaction is open for 60000 ms at most
             --> app.toml:6:11
              |
            6 | wall_ms = 60000
              |           ^^^^^
            help: write 59999 or less
        "#]],
    );
    let actions = r#"
        import { action } from "weir";
        export const slow = action(async (): Promise<string> => "");
        // file: app.toml
        name = "shop"
        version = "1.0.0"

        [limits]
        wall_ms = 600000
        "#;
    assert!(super::compile_text(actions).is_ok());
}
