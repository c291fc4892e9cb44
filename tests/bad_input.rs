//! Every mistake is told with its file, line and column, and with what to do.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use expect_test::{Expect, expect};
use serde_json::json;

use crate::apps::App;
use crate::graphql::{Client, lines};
use crate::weir::{Dev, PATIENCE, eventually, run};

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
            help: it exports query, view, procedure, action, collection, sum, count, min, max, avg, now, fail, caller, call, metric, ID, Int, Float, DateTime, JSON, Bytes, Doc, Ref, Page, Edge, PageInfo

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
            error: unexpected end of input while parsing minor version number
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
            error: invalid value: integer `-1`, expected u64
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

/// Functions that go wrong when they run, and one that does not.
const FAULTS: &str = r#"
    import { action, call, fail, procedure, query, type ID, type Int } from "weir";
    import { things, type Thing } from "../collections";

    /** Throws in a function that is called. */
    function divide(a: number, b: number): number {
      if (b === 0) throw new RangeError("cannot divide by zero");
      return a / b;
    }

    interface Pair { left: string; right?: string }

    export const fine = query((): string => "fine");
    export const throws = query((): number => divide(1, 0));
    export const throwsText = query((): string => { throw "plain text"; });
    export const overflows = query((): number => overflow(1));
    const overflow = (n: number): number => overflow(n + 1) + 1;
    export const fails = query((): string => fail("TEA_ONLY", "this is a teapot"));
    export const wrongShape = query((): Pair[] => [{ left: "a" }, { left: 1 } as unknown as Pair]);
    export const wrongEnum = query((): "a" | "b" => "c" as "a");
    export const notANumber = query((): number => NaN);
    export const tooLarge = query((): Int => 3_000_000_000);
    export const nothing = query((): string => undefined as unknown as string);
    export const promises = query((): string => Promise.resolve("") as unknown as string);
    export const loops = query((): string => { for (;;) {} });
    export const devours = query((): string => { const all: string[] = []; for (;;) all.push("x".repeat(1000) + all.length); });
    export const unindexed = query((): Thing[] => things.where("size", 1));
    export const writesInQuery = query((): boolean => { things.insert({ name: "a", size: 1 }); return true; });
    export const fetches = action(async (): Promise<string> => { await fetch("http://example.com"); return ""; });
    export const awaitsForEver = action((): Promise<string> => new Promise<string>(() => {}));
    export const callsWrongly = action(async (): Promise<string> => (await call(add, { name: 1 } as any)).name);

    export const add = procedure((args: { name: string; size?: Int }): Thing => things.insert({ name: args.name, size: args.size ?? 1 }));
    export const addUnknown = procedure((): Thing => things.insert({ name: "a", size: 1, colour: "red" } as Thing));
    export const addWrong = procedure((): Thing => things.insert({ name: "a", size: "large" } as unknown as Thing));
    export const addPart = procedure((): Thing => things.insert({ name: "a" } as Thing));
    export const patchWrong = procedure((): Thing => {
      const { id } = things.insert({ name: "a", size: 1 });
      return things.patch(id, { size: null as unknown as Int });
    });
    export const patchMissing = procedure((args: { id: ID }): Thing => things.patch(args.id, { size: 2 }));
    export const addHalf = procedure((): Thing => {
      things.insert({ name: "half", size: 1 });
      throw new Error("after the insert");
    });
    export const countThings = query((): Int => things.count());
    // file: collections.ts
    import { collection, type Int } from "weir";
    export interface Thing { name: string; size: Int }
    export const things = collection<Thing>({ index: ["name"] });
    // file: app.toml
    name = "faults"
    version = "1.0.0"
    [limits]
    wall_ms = 300
    heap_bytes = 33554432
"#;

/// The first error in one line: code, message, and where the developer finds it.
fn told(client: &Client, query: &str) -> String {
    let answer = client.answer(query, json!({}));
    let error = &answer["errors"][0];
    assert!(error.is_object(), "{query}: {answer}");
    let extensions = &error["extensions"];
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let mut line = format!("{}: {}", text(&extensions["code"]), text(&error["message"]));
    for detail in ["appCode", "limit"] {
        if let Some(value) = extensions[detail].as_str() {
            line += &format!(" [{detail}: {value}]");
        }
    }
    if let Some(frame) = extensions["stack"][0].as_str() {
        line += &format!(" at {frame}");
    }
    line
}

#[test]
fn functions_that_go_wrong() {
    let app = App::of(FAULTS);
    let dev = Dev::start(&app);
    let client = dev.client();
    let calls = [
        "{ throws }",
        "{ throwsText }",
        "{ overflows }",
        "{ fails }",
        "{ wrongShape { left } }",
        "{ wrongEnum }",
        "{ notANumber }",
        "{ tooLarge }",
        "{ nothing }",
        "{ promises }",
        "{ unindexed { name } }",
        "{ writesInQuery }",
        "mutation { fetches }",
        "mutation { callsWrongly }",
        "mutation { addUnknown { name } }",
        "mutation { addWrong { name } }",
        "mutation { addPart { name } }",
        "mutation { patchWrong { name } }",
        "mutation { patchMissing(id: \"none\") { name } }",
        "mutation { addHalf { name } }",
        "{ loops }",
        "{ devours }",
        "mutation { awaitsForEver }",
    ];
    let table: String = calls.iter().map(|call| format!("{call}\n    {}\n", told(&client, call))).collect();
    expect![""].assert_eq(&app.neutral(&table));
    // None of it has written anything, and none has harmed the server.
    assert_eq!(client.data("{ fine countThings }"), json!({ "fine": "fine", "countThings": 0 }));
    assert_eq!(dev.stop(), Some(0));
}

#[test]
fn requests_that_do_not_fit() {
    let app = App::of(FAULTS);
    let dev = Dev::start(&app);
    let client = dev.client();
    let calls = [
        "mutation { add { name } }",
        "mutation { add(name: 1) { name } }",
        "mutation { add(name: null) { name } }",
        "mutation { add(name: \"a\", size: 1.5) { name } }",
        "mutation { add(name: \"a\", size: 3000000000) { name } }",
        "mutation { add(name: \"a\", colour: \"red\") { name } }",
        "mutation($name: String!) { add(name: $name) { name } }",
        "mutation { invoke(function: \"add\") }",
        "mutation { invoke(function: \"add\", args: { name: 1 }) }",
        "mutation { invoke(function: \"add\", args: { name: \"a\", colour: \"red\" }) }",
        "mutation { invoke(function: \"add\", args: [1]) }",
        "mutation { invoke(function: \"ad\", args: { name: \"a\" }) }",
        "{ invoke(function: \"add\", args: { name: \"a\" }) }",
        "{ fien }",
        "{ fine { name } }",
        "{ throws",
        "{ fine ...Missing }",
        "",
        "query A { fine } query B { fine }",
    ];
    let table: String = calls.iter().map(|call| format!("{call}\n    {}\n", told(&client, call))).collect();
    expect![[r#"
        mutation { add { name } }
            GRAPHQL_VALIDATION_FAILED: Field "add" argument "name" of type "Mutation" is required but not provided
        mutation { add(name: 1) { name } }
            GRAPHQL_VALIDATION_FAILED: Invalid value for argument "name", expected type "String"
        mutation { add(name: null) { name } }
            GRAPHQL_VALIDATION_FAILED: Invalid value for argument "name", expected type "String"
        mutation { add(name: "a", size: 1.5) { name } }
            GRAPHQL_VALIDATION_FAILED: Invalid value for argument "size", expected type "Int"
        mutation { add(name: "a", size: 3000000000) { name } }
            GRAPHQL_VALIDATION_FAILED: Argument size: expected Int, got 3000000000
        mutation { add(name: "a", colour: "red") { name } }
            GRAPHQL_VALIDATION_FAILED: Unknown argument "colour" on field "add" of type "Mutation".
        mutation($name: String!) { add(name: $name) { name } }
            BAD_ARGUMENTS: $name: no value given; expected String!
        mutation { invoke(function: "add") }
            BAD_ARGUMENTS: args.name: missing; declared as a string
        mutation { invoke(function: "add", args: { name: 1 }) }
            BAD_ARGUMENTS: args.name: expected a string, got 1
        mutation { invoke(function: "add", args: { name: "a", colour: "red" }) }
            BAD_ARGUMENTS: args: colour is not an argument here; declared: name, size
        mutation { invoke(function: "add", args: [1]) }
            BAD_ARGUMENTS: args: expected an object, got an array
        mutation { invoke(function: "ad", args: { name: "a" }) }
            NOT_FOUND: Mutation has no function ad
        { invoke(function: "add", args: { name: "a" }) }
            NOT_FOUND: Query has no function add
        { fien }
            GRAPHQL_VALIDATION_FAILED: Unknown field "fien" on type "Query".
        { fine { name } }
            GRAPHQL_VALIDATION_FAILED: Field "fine" must not have a selection since type "String" has no subfields
        { throws
            GRAPHQL_PARSE_FAILED: Syntax error: expected selection_set, selection, directive, or arguments
        { fine ...Missing }
            GRAPHQL_VALIDATION_FAILED: Unknown fragment: "Missing"

            GRAPHQL_PARSE_FAILED: Syntax error: expected executable_definition
        query A { fine } query B { fine }
            BAD_REQUEST: The document has several operations: send operationName too.
    "#]]
    .assert_eq(&table);
    assert_eq!(client.data("{ countThings }"), json!({ "countThings": 0 }));
}

#[test]
fn bodies_that_are_no_requests() {
    let app = App::of(FAULTS);
    let dev = Dev::start(&app);
    let client = dev.client();
    let bodies = ["", "{", "[]", "null", "7", "{}", r#"{"query":7}"#, r#"{"query":"{ fine }","variables":[1]}"#];
    let table: String = bodies
        .iter()
        .map(|body| {
            let (status, answer) = client.post(body);
            format!("{body:<45} {status} {answer}\n")
        })
        .collect();
    expect![[r#"
                                                      400 {"errors":[{"message":"the body is not JSON: EOF while parsing a value at line 1 column 0","extensions":{"code":"BAD_REQUEST"}}]}
        {                                             400 {"errors":[{"message":"the body is not JSON: EOF while parsing an object at line 1 column 1","extensions":{"code":"BAD_REQUEST"}}]}
        []                                            400 {"errors":[{"message":"a request is a JSON object with the member query","extensions":{"code":"BAD_REQUEST"}}]}
        null                                          400 {"errors":[{"message":"a request is a JSON object with the member query","extensions":{"code":"BAD_REQUEST"}}]}
        7                                             400 {"errors":[{"message":"a request is a JSON object with the member query","extensions":{"code":"BAD_REQUEST"}}]}
        {}                                            400 {"errors":[{"message":"the request has no query","extensions":{"code":"BAD_REQUEST"}}]}
        {"query":7}                                   400 {"errors":[{"message":"query must be a string","extensions":{"code":"BAD_REQUEST"}}]}
        {"query":"{ fine }","variables":[1]}          400 {"errors":[{"message":"variables must be an object","extensions":{"code":"BAD_REQUEST"}}]}
    "#]].assert_eq(&table);
    // Longer than any request may be: refused before it is sent.
    let announced = format!(
        "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        1_u64 << 40
    );
    let answer = raw(&dev, &announced);
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    // Deeper than any request may be.
    let (status, answer) = client.post(&format!("{{\"query\":\"{}\"}}", "{ a ".repeat(100_000)));
    assert!(status < 500 && answer.contains("\"errors\""), "{status} {answer}");
    let (status, answer) = client.post(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)));
    assert!(status < 500 && answer.contains("\"errors\""), "{status} {answer}");
    assert_eq!(client.data("{ fine }"), json!({ "fine": "fine" }));
}

/// What the server answers to bytes, up to the first pause of them.
fn raw(dev: &Dev, request: &str) -> String {
    let mut stream = TcpStream::connect(dev.url.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = vec![0; 4096];
    let length = stream.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

/// Loads a file into the collection `things`, or through `add`.
fn import(app: &App, text: &str, target: [&str; 2]) -> String {
    let file = app.beside("rows.json");
    fs::write(&file, text).unwrap();
    import_file(app, &file, target)
}

fn import_file(app: &App, file: &Path, [how, name]: [&str; 2]) -> String {
    let (path, data) = (app.path(), app.data());
    let (path, data) = (path.to_str().unwrap(), data.to_str().unwrap());
    let ended = run(&["import", file.to_str().unwrap(), how, name, "--app", path, "--data", data]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{}", ended.stderr);
    app.neutral(&ended.stderr)
}

#[test]
fn files_to_import() {
    let app = App::of(FAULTS);
    let into = ["--into", "things"];
    let with = ["--with", "add"];
    let good = r#"{"name":"a","size":1}"#;
    let table = [
        (into, format!("{good}\n{{\"name\":\"b\"}}\n")),
        (into, format!("{good}\n\n{{\"name\":\"b\",\"size\":\"large\"}}\n")),
        (into, format!("{good}\n{{\"name\":\"b\",\"size\":1,\"colour\":\"red\"}}\n")),
        (into, format!("{good}\n{{\"name\":\"b\",\n")),
        (into, format!("[{good},\n{good}\n{good}]")),
        (into, format!("[{good},\n7]")),
        (into, format!("[{good}\n")),
        (with, format!("{good}\n{{\"nome\":\"b\"}}\n")),
        (with, format!("{good}\n{{\"name\":\"b\",\"size\":2.5}}\n")),
        (["--into", "thing"], good.to_owned()),
        (["--with", "fine"], good.to_owned()),
    ];
    let mut told: String = table.iter().map(|(target, text)| import(&app, text, *target)).collect();
    told += &import_file(&app, &app.beside("missing.json"), into);
    expect![[r#"
        weir: TMP/rows.json: line 2: things.size: missing; declared as Int, a whole number of 32 bits; nothing was loaded
        weir: TMP/rows.json: line 3: things.size: expected Int, a whole number of 32 bits, got "large"; nothing was loaded
        weir: TMP/rows.json: line 2: things: colour is not a member here; declared: name, size; nothing was loaded
        weir: TMP/rows.json: line 3: not JSON: EOF while parsing a value at line 2 column 0; nothing was loaded
        weir: TMP/rows.json: line 3: expected a comma between two rows; nothing was loaded
        weir: TMP/rows.json: line 2: expected an object, got 7; nothing was loaded
        weir: TMP/rows.json: line 2: the array is not closed: the file ends too soon; nothing was loaded
        weir: TMP/rows.json: line 2: args.name: missing; declared as a string; nothing was loaded
        weir: TMP/rows.json: line 2: args.size: expected Int, a whole number of 32 bits, got 2.5; nothing was loaded
        weir: there is no collection thing; the app has: things
        weir: there is no procedure fine; the app has: add, addUnknown, addWrong, addPart, patchWrong, patchMissing, addHalf
        weir: TMP/missing.json: No such file or directory (os error 2)
    "#]].assert_eq(&told);
    let dev = Dev::start(&app);
    assert_eq!(dev.client().data("{ countThings }"), json!({ "countThings": 0 }));
}

#[test]
fn data_that_does_not_fit_a_new_index() {
    let app = App::of(FAULTS);
    let dev = Dev::start(&app);
    let client = dev.client();
    client.data("mutation { a: add(name: \"same\") { name } b: add(name: \"same\") { name } }");
    let from = dev.log.count();
    app.edit("collections.ts", "index: [\"name\"]", "unique: [\"name\"]");
    let (_, line) = dev.log.wait_for(from, |line| line.starts_with("weir: "));
    let shown = lines(&json!([line]));
    expect![[r#"
        "weir: a new unique index is violated: things ID and ID have the same name, which is unique; change one of them first"
    "#]].assert_eq(&shown);
    dev.log.wait_for(from, |line| line == "weir: the last good release goes on serving");
    assert_eq!(client.data("{ countThings }"), json!({ "countThings": 2 }));
    // Another index is no problem, and is filled before it is used.
    app.edit("collections.ts", "unique: [\"name\"]", "index: [\"name\", \"size\"]");
    eventually("the new index", || {
        client.answer("{ unindexed { name } }", json!({})).get("errors").is_none().then_some(())
    });
    assert_eq!(client.data("{ unindexed { name } }"), json!({ "unindexed": [{ "name": "same" }, { "name": "same" }] }));
}
