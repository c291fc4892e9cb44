//! Apps that cannot be built: every mistake is told with its file, line and column, and with what to do.

use std::fs;

use expect_test::{Expect, expect};

use crate::apps::App;
use crate::weir::run;

/// Checks an app from text; see [`App::of`].
#[track_caller]
fn check(text: &str, expected: Expect) {
    let app = App::of(text);
    let ended = run(&["check", app.path().to_str().unwrap()]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{}", ended.stderr);
    expected.assert_eq(&app.neutral(&ended.stderr));
}

#[test]
fn syntax() {
    check(
        r#"
        import { query } from "weir";
        export const a = query((args: { n: string ): string => "");
        "#,
        expect![[r#"
            error: syntax error: Unexpected token
             --> functions/t.ts:2:43
              |
            2 | export const a = query((args: { n: string ): string => "");
              |                                           ^

            weir: 1 mistake found
        "#]],
    );
    check(
        "\tconst text = `never closed;\n",
        expect![[r#"
        error: syntax error: Unterminated string
         --> functions/t.ts:1:14
          |
        1 | const text = `never closed;
          |              ^^^^^^^^^^^^^^

        weir: 1 mistake found
    "#]],
    );
}

#[test]
fn annotations_that_are_missing() {
    check(
        r#"
        import { query, collection } from "weir";
        export const a = query((args) => "");
        export const b = query((args: { n }): string => "");
        export const things = collection({ index: ["name"] });
        "#,
        expect![[r#"
            error: the arguments of `a` have no type
             --> functions/t.ts:2:25
              |
            2 | export const a = query((args) => "");
              |                         ^^^^
            help: write (args: { customer: ID })

            error: `a` does not say what it returns
             --> functions/t.ts:2:29
              |
            2 | export const a = query((args) => "");
              |                             ^
            help: write the type after the parameters: (args: { … }): Result => …

            error: the member `n` has no type
             --> functions/t.ts:3:33
              |
            3 | export const b = query((args: { n }): string => "");
              |                                 ^
            help: write n: string, or what else it is

            error: the collection `things` does not say what it holds
             --> functions/t.ts:4:23
              |
            4 | export const things = collection({ index: ["name"] });
              |                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
            help: write collection<Thing>(…) with an interface Thing

            weir: 4 mistakes found
        "#]],
    );
}

#[test]
fn types_that_graphql_cannot_express() {
    check(
        r#"
        import { query, type ID } from "weir";
        interface Price { amount: bigint; history: Map<string, number> }
        type Shape = { side: number } | { radius: number };
        export const a = query((args: { id: ID }): Price | null => null);
        export const b = query((): Shape => ({ side: 1 }));
        export const c = query((): [string, number] => ["", 1]);
        "#,
        expect![[r#"
            error: `bigint` has no counterpart in GraphQL
             --> functions/t.ts:2:27
              |
            2 | interface Price { amount: bigint; history: Map<string, number> }
              |                           ^^^^^^
            help: write string, or Float (from "weir")

            error: `Map` has no counterpart in GraphQL
             --> functions/t.ts:2:44
              |
            2 | interface Price { amount: bigint; history: Map<string, number> }
              |                                            ^^^^^^^^^^^^^^^^^^^
            help: write an interface, or JSON (from "weir"), or a list of { key, value }

            error: nothing tells the objects of this union apart
             --> functions/t.ts:3:14
              |
            3 | type Shape = { side: number } | { radius: number };
              |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
            help: give each a member with a literal of its own, such as kind: "card" and kind: "cash"

            error: a tuple has no counterpart in GraphQL
             --> functions/t.ts:6:28
              |
            6 | export const c = query((): [string, number] => ["", 1]);
              |                            ^^^^^^^^^^^^^^^^
            help: write an object with named members, or a list

            weir: 4 mistakes found
        "#]],
    );
}

#[test]
fn two_exports_with_one_name() {
    check(
        r#"
        import { query } from "weir";
        export const same = query((): string => "");
        // file: functions/u.ts
        import { query } from "weir";
        export const same = query((): string => "");
        "#,
        expect![[r#"
            error: a second function is named `same`
             --> functions/u.ts:2:14
              |
            2 | export const same = query((): string => "");
              |              ^^^^
            help: the first is at functions/t.ts:2; rename one of them

            weir: 1 mistake found
        "#]],
    );
}

#[test]
fn names_that_are_taken_or_no_names() {
    check(
        r#"
        import { query, procedure } from "weir";
        interface DateTime { year: number }
        export const invoke = query((): string => "");
        export const batch = procedure((): string => "");
        export const __secret = query((): string => "");
        export const größe = query((): string => "");
        export const a = query((): DateTime => ({ year: 1 }));
        export const b = query((): { $ref: string } => ({ $ref: "" }));
        "#,
        expect![[r#"
            error: `DateTime` is a type that GraphQL or Weir itself defines
             --> functions/t.ts:2:11
              |
            2 | interface DateTime { year: number }
              |           ^^^^^^^^
            help: rename the type

            error: `invoke` is a field that Weir itself adds to every API
             --> functions/t.ts:3:14
              |
            3 | export const invoke = query((): string => "");
              |              ^^^^^^
            help: choose another name

            error: `batch` is a field that Weir itself adds to every API
             --> functions/t.ts:4:14
              |
            4 | export const batch = procedure((): string => "");
              |              ^^^^^
            help: choose another name

            error: `__secret` is not a name that GraphQL allows
             --> functions/t.ts:5:14
              |
            5 | export const __secret = query((): string => "");
              |              ^^^^^^^^
            help: use letters, digits and `_`, not starting with a digit or with `__`

            error: `größe` is not a name that GraphQL allows
             --> functions/t.ts:6:14
              |
            6 | export const größe = query((): string => "");
              |              ^^^^^
            help: use letters, digits and `_`, not starting with a digit or with `__`

            error: `$ref` is not a name that GraphQL allows
             --> functions/t.ts:8:30
              |
            8 | export const b = query((): { $ref: string } => ({ $ref: "" }));
              |                              ^^^^
            help: use letters, digits and `_`, not starting with a digit or with `__`

            weir: 6 mistakes found
        "#]],
    );
}

#[test]
fn imports_that_lead_nowhere() {
    check(
        r#"
        import { query, qeury } from "weir";
        import lodash from "lodash";
        import { readFileSync } from "node:fs";
        import { orders } from "../collectoins";
        import { secret } from "../../outside";
        export const a = query(async (): Promise<string> => (await import("./other")).text);
        "#,
        expect![[r#"
            error: "weir" exports no `qeury`
             --> functions/t.ts:1:17
              |
            1 | import { query, qeury } from "weir";
              |                 ^^^^^
            help: it exports query, view, procedure, action, stream, collection, sum, count, min, max, avg, top, now, fail, attempt, caller, call, metric, schedule, cancelJob, secret, hmac, timingSafeEqual, http, ID, Int, Float, DateTime, JSON, Bytes, Doc, Ref, Page, Edge, PageInfo

            error: cannot import "lodash": Weir apps have no packages
             --> functions/t.ts:2:20
              |
            2 | import lodash from "lodash";
              |                    ^^^^^^^^
            help: import only "weir" and files of the app by relative paths, such as "../collections"

            error: cannot import "node:fs": Weir apps have no packages
             --> functions/t.ts:3:30
              |
            3 | import { readFileSync } from "node:fs";
              |                              ^^^^^^^^^
            help: import only "weir" and files of the app by relative paths, such as "../collections"

            error: cannot find the file behind "../collectoins"
             --> functions/t.ts:4:24
              |
            4 | import { orders } from "../collectoins";
              |                        ^^^^^^^^^^^^^^^^
            help: tried collectoins.ts and collectoins/index.ts

            error: cannot import "../../outside": it is outside the app folder
             --> functions/t.ts:5:24
              |
            5 | import { secret } from "../../outside";
              |                        ^^^^^^^^^^^^^^^
            help: move the file into the app folder

            error: `a` is async, but a query has nothing to wait for
             --> functions/t.ts:6:24
              |
            6 | export const a = query(async (): Promise<string> => (await import("./other")).text);
              |                        ^^^^^^^^
            help: remove async and await: database calls are synchronous; only an action may fetch

            error: `import()` cannot load anything while code runs
             --> functions/t.ts:6:60
              |
            6 | export const a = query(async (): Promise<string> => (await import("./other")).text);
              |                                                            ^^^^^^^^^^^^^^^^^
            help: write import { … } from "…" at the top of the file

            weir: 7 mistakes found
        "#]],
    );
}

#[test]
fn imports_in_a_circle() {
    check(
        r#"
        import { query } from "weir";
        import { b } from "./u";
        export const a = query((): string => b);
        export const c = "";
        // file: functions/u.ts
        import { c } from "./t";
        export const b = c;
        "#,
        expect![[r#"
            error: imports go in a circle: functions/t.ts → functions/u.ts → functions/t.ts
             --> functions/u.ts:1:19
              |
            1 | import { c } from "./t";
              |                   ^^^^^
            help: move what both files need into a third one, or use `import type` where only types are needed

            weir: 1 mistake found
        "#]],
    );
}

#[test]
fn state_that_would_outlive_a_call() {
    check(
        r#"
        import { query } from "weir";
        let calls = 0;
        export const a = query((): number => ++calls);
        "#,
        expect![[r#"
            error: `calls` at the top of a module would outlive the call that changes it
             --> functions/t.ts:2:5
              |
            2 | let calls = 0;
              |     ^^^^^
            help: write const, or move it into the function; what must last belongs in a collection

            weir: 1 mistake found
        "#]],
    );
}

#[test]
fn what_is_called_again_and_again() {
    check(
        r#"
        import { query } from "weir";
        export const seen = query((): string => "");
        // file: app.toml
        name = "app"
        version = "1.0.0"

        [[cron]]
        name = "a"
        schedule = "@hourly"
        call = "seen"
        "#,
        expect![[r#"
            error: a schedule has five fields, minute hour day month weekday, such as "0 3 * * *"; this one has 1
             --> app.toml:6:12
              |
            6 | schedule = "@hourly"
              |            ^

            weir: 1 mistake found
        "#]],
    );
    check(
        r#"
        import { query, type Int } from "weir";
        export const seen = query((): Int => 1);
        // file: app.toml
        name = "app"
        version = "1.0.0"

        [rate.functions]
        seen = "10/s"
        sen = "10/s"
        "#,
        expect![[r#"
            error: the app has no function "sen"
             --> app.toml:6:7
              |
            6 | sen = "10/s"
              |       ^^^^^^
            help: write the exported name of a function under [rate.functions]

            weir: 1 mistake found
        "#]],
    );
    check(
        r#"
        import { query, type Int } from "weir";
        export const seen = query((): Int => 1);
        // file: app.toml
        name = "app"
        version = "1.0.0"

        [rate]
        requests = "10 a second"
        "#,
        expect![[r#"
            error: "10 a second" is no rate: write a number for each second, minute or hour, such as "10/s", "600/m burst 50" or "5/h"
             --> app.toml:5:12
              |
            5 | requests = "10 a second"
              |            ^

            weir: 1 mistake found
        "#]],
    );
    check(
        r#"
        import { procedure, query, type Int } from "weir";
        export const tidy = procedure((args: { days: Int; deep?: boolean }): Int => args.days);
        export const seen = query((): Int => 1);
        // file: app.toml
        name = "app"
        version = "1.0.0"

        [graphql.costs]
        seen = 2
        sen = 2

        [[cron]]
        name = "a"
        schedule = "0 3 * * *"
        call = "tidyUp"

        [[cron]]
        name = "b"
        schedule = "0 3 * * *"
        call = "seen"

        [[cron]]
        name = "c"
        schedule = "*/15 * * * mon-fri"
        call = "tidy"
        args = { days = "many" }

        [[cron]]
        name = "d"
        schedule = "*/15 * * * mon-fri"
        call = "tidy"
        "#,
        expect![[r#"
            error: the app has no function "sen"
             --> app.toml:6:7
              |
            6 | sen = 2
              |       ^
            help: write the exported name of a function under [graphql.costs]

            error: the app has no function "tidyUp"
              --> app.toml:11:8
               |
            11 | call = "tidyUp"
               |        ^^^^^^^^
            help: write the exported name of a procedure or action

            error: seen is a query, whose result nobody would see
              --> app.toml:16:8
               |
            16 | call = "seen"
               |        ^^^^^^
            help: call a procedure or an action

            error: tidy does not take these arguments: args.days: expected Int, a whole number of 32 bits, got "many"
              --> app.toml:22:8
               |
            22 | args = { days = "many" }
               |        ^^^^^^^^^^^^^^^^^
            help: write them as args = { name = value }

            error: tidy does not take these arguments: args.days: missing; declared as Int, a whole number of 32 bits
              --> app.toml:24:1
               |
            24 | [[cron]]
               | ^^^^^^^^
            help: write them as args = { name = value }

            weir: 5 mistakes found
        "#]],
    );
    check(
        r#"
        import { procedure, query, type Int, type JSON } from "weir";
        export const up = procedure((args: { documents: JSON[] }): JSON[] => args.documents);
        export const one = procedure((args: { document: JSON }): JSON => args.document);
        export const seen = query((args: { documents: JSON[] }): JSON[] => args.documents);
        // file: collections.ts
        import { collection } from "weir";
        export interface Thing { name: string }
        export const things = collection<Thing>();
        // file: app.toml
        name = "app"
        version = "1.0.0"

        [rollout]
        checks = ["gone", "one", "seen"]

        [migration.thing]
        up = "up"

        [migration.things]
        up = "one"
        down = "seen"
        "#,
        expect![[r#"
            error: the app has no function "gone"
             --> app.toml:5:11
              |
            5 | checks = ["gone", "one", "seen"]
              |           ^^^^^^
            help: write the exported name of a query or view that takes no arguments

            error: one is a procedure, and a check must change nothing
             --> app.toml:5:19
              |
            5 | checks = ["gone", "one", "seen"]
              |                   ^^^^^
            help: write the exported name of a query or view that takes no arguments

            error: seen cannot be called without arguments: args.documents: missing; declared as an array
             --> app.toml:5:26
              |
            5 | checks = ["gone", "one", "seen"]
              |                          ^^^^^^
            help: write the exported name of a query or view that takes no arguments

            error: the app has no collection "thing"; it has: things
             --> app.toml:7:1
              |
            7 | [migration.thing]
              | ^^^^^^^^^^^^^^^^^
            help: write [migration.COLLECTION] with the exported name of a collection

            error: one does not take documents and return documents
              --> app.toml:11:6
               |
            11 | up = "one"
               |      ^^^^^
            help: write it as procedure((args: { documents: JSON[] }): JSON[] => …)

            error: seen does not take documents and return documents
              --> app.toml:12:8
               |
            12 | down = "seen"
               |        ^^^^^^
            help: write it as procedure((args: { documents: JSON[] }): JSON[] => …)

            weir: 6 mistakes found
        "#]],
    );
}

#[test]
fn manifests() {
    let table = [
        (
            "name = \"Shop\"\nversion = \"1.0.0\"\n",
            expect![[r#"
            error: name "Shop" is not allowed: use 1 to 64 lower-case letters, digits and hyphens, starting with a letter
             --> app.toml:1:1
              |
            1 | name = "Shop"
              | ^

            weir: 1 mistake found
        "#]],
        ),
        (
            "name = \"shop\"\n",
            expect![[r#"
            error: missing field `version`
             --> app.toml:1:1
              |
            1 | name = "shop"
              | ^

            weir: 1 mistake found
        "#]],
        ),
        (
            "name = \"shop\"\nversion = \"1.0\"\n",
            expect![[r#"
                error: version "1.0" is not semantic: write three numbers, such as 1.0.0
                 --> app.toml:2:11
                  |
                2 | version = "1.0"
                  |           ^

                weir: 1 mistake found
            "#]],
        ),
        (
            "name = shop\n",
            expect![[r#"
            error: string values must be quoted, expected literal string
             --> app.toml:1:8
              |
            1 | name = shop
              |        ^

            weir: 1 mistake found
        "#]],
        ),
        (
            "name = \"shop\"\nversion = \"1.0.0\"\n[limits]\nwall_ms = -1\n",
            expect![[r#"
                error: invalid value: integer `-1`, expected a whole number, 0 or more
                 --> app.toml:4:11
                  |
                4 | wall_ms = -1
                  |           ^

                weir: 1 mistake found
            "#]],
        ),
    ];
    for (manifest, expected) in table {
        check(&format!("// file: app.toml\n{manifest}"), expected);
    }
}

#[test]
fn folders() {
    let app = App::of("// file: functions/t.ts\nexport {};\n");
    fs::remove_file(app.path().join("app.toml")).unwrap();
    let ended = run(&["check", app.path().to_str().unwrap()]);
    assert_eq!(ended.code, Some(1));
    expect![[r#"
        error: this folder has no app.toml, so it is no Weir app
         --> app.toml
        help: write one: name = "my-app" and version = "0.1.0"

        weir: 1 mistake found
    "#]]
    .assert_eq(&app.neutral(&ended.stderr));

    let app = App::of("export {};");
    fs::write(app.path().join("functions/t.ts"), b"export const a = \"\xff\";\n").unwrap();
    let ended = run(&["check", app.path().to_str().unwrap()]);
    assert_eq!(ended.code, Some(1));
    expect![[r#"
        weir: functions/t.ts is not UTF-8 text; save it as UTF-8
    "#]]
    .assert_eq(&app.neutral(&ended.stderr));
}
