//! Calls, requests and files that do not fit: each is told what is wrong, and none harms what is there.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use expect_test::expect;
use serde_json::{Value, json};

use crate::apps::App;
use crate::graphql::{Client, lines};
use crate::weir::{Dev, PATIENCE, eventually, run};

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
    export const devours = query((): string => { const all: string[] = []; for (;;) all.push(...new Array(10_000).fill("x")); });
    export const unindexed = query((): Thing[] => things.where("size", 1));
    export const writesInQuery = query((): boolean => { things.insert({ name: "a", size: 1 }); return true; });
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
    cpu_ms = 3000
    wall_ms = 50000
    heap_bytes = 33554432
"#;

/// The first error in one line: code, message, and where the developer finds it.
fn told(client: &Client, query: &str) -> String {
    let answer = client.answer(query, json!({}));
    let error = &answer["errors"][0];
    assert!(error.is_object(), "{query}: {answer}");
    let extensions = &error["extensions"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut line = format!("{}: {}", text(&extensions["code"]), text(&error["message"]));
    for detail in ["appCode", "limit", "hostCall"] {
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
        "{ fails }",
        "{ wrongShape { left } }",
        "{ wrongEnum }",
        "{ notANumber }",
        "{ tooLarge }",
        "{ nothing }",
        "{ promises }",
        "{ unindexed { name } }",
        "{ writesInQuery }",
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
    expect![[r#"
        { throws }
            FUNCTION_FAILED: RangeError: cannot divide by zero at functions/t.ts:6:22 in divide
        { throwsText }
            FUNCTION_FAILED: plain text at functions/t.ts:14:1 in throwsText
        { fails }
            FUNCTION_FAILED: this is a teapot [appCode: TEA_ONLY] at functions/t.ts:17:42
        { wrongShape { left } }
            FUNCTION_FAILED: wrongShape returned the wrong shape: result[1].left: expected a string, got 1 at functions/t.ts:18:1 in wrongShape
        { wrongEnum }
            FUNCTION_FAILED: wrongEnum returned the wrong shape: result: expected WrongEnumResult ("a" | "b"), got "c" at functions/t.ts:19:1 in wrongEnum
        { notANumber }
            FUNCTION_FAILED: notANumber returned the wrong shape: result: expected a finite number, got null (NaN and Infinity are null in JSON) at functions/t.ts:20:1 in notANumber
        { tooLarge }
            FUNCTION_FAILED: tooLarge returned the wrong shape: result: expected Int, a whole number of 32 bits, got 3000000000 at functions/t.ts:21:1 in tooLarge
        { nothing }
            FUNCTION_FAILED: nothing returned undefined where a value is declared at functions/t.ts:22:1 in nothing
        { promises }
            FUNCTION_FAILED: TypeError: promises returned a promise: only actions are asynchronous, database calls need no await at functions/t.ts:23:1 in promises
        { unindexed { name } }
            FUNCTION_FAILED: things has no index for where("size"): declare index: ["size"] in its collection [hostCall: things.all] at functions/t.ts:26:1 in unindexed
        { writesInQuery }
            FUNCTION_FAILED: insert writes, which only a procedure may; this is a query at functions/t.ts:27:60
        mutation { callsWrongly }
            FUNCTION_FAILED: add: args.name: expected a string, got 1 [hostCall: call(add)] at functions/t.ts:29:72
        mutation { addUnknown { name } }
            FUNCTION_FAILED: things: colour is not a member here; declared: name, size [hostCall: things.insert] at functions/t.ts:32:57
        mutation { addWrong { name } }
            FUNCTION_FAILED: things.size: expected Int, a whole number of 32 bits, got "large" [hostCall: things.insert] at functions/t.ts:33:55
        mutation { addPart { name } }
            FUNCTION_FAILED: things.size: missing; declared as Int, a whole number of 32 bits [hostCall: things.insert] at functions/t.ts:34:54
        mutation { patchWrong { name } }
            FUNCTION_FAILED: things.size: expected Int, a whole number of 32 bits, got null [hostCall: things.patch] at functions/t.ts:37:17
        mutation { patchMissing(id: "none") { name } }
            FUNCTION_FAILED: things has no document none; insert makes new ones [hostCall: things.patch] at functions/t.ts:39:75
        mutation { addHalf { name } }
            FUNCTION_FAILED: after the insert at functions/t.ts:42:9
        { loops }
            LIMIT_EXCEEDED: past the limit cpu_ms = 3000; app.toml can raise it under [limits] [limit: cpu_ms] at functions/t.ts:24:1 in loops
        { devours }
            LIMIT_EXCEEDED: past the limit heap_bytes = 33554432; app.toml can raise it under [limits] [limit: heap_bytes] at functions/t.ts:25:1 in devours
        mutation { awaitsForEver }
            FUNCTION_FAILED: awaitsForEver waits for a promise that nothing can settle at functions/t.ts:28:1 in awaitsForEver
    "#]].assert_eq(&app.neutral(&table));
    // At which of its frames a stack overflows is V8's to say.
    let overflow = told(&client, "{ overflows }");
    assert!(
        overflow.starts_with("FUNCTION_FAILED: RangeError: Maximum call stack size exceeded at functions/t.ts:16:")
    );
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
            GRAPHQL_VALIDATION_FAILED: Field "add" argument "name" of type "String!" is required but not provided.
        mutation { add(name: 1) { name } }
            GRAPHQL_VALIDATION_FAILED: Argument name: expected String!, got 1
        mutation { add(name: null) { name } }
            GRAPHQL_VALIDATION_FAILED: Argument name: expected String!, got null
        mutation { add(name: "a", size: 1.5) { name } }
            GRAPHQL_VALIDATION_FAILED: Argument size: expected Int, got 1.5
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
            GRAPHQL_VALIDATION_FAILED: Unknown field "fien" on type "Query". Did you mean "fine"?
        { fine { name } }
            GRAPHQL_VALIDATION_FAILED: Field "fine" must not have a selection since type "String" has no subfields.
        { throws
            GRAPHQL_PARSE_FAILED: Syntax error: expected a field, a fragment or `}`, found the end of the document
        { fine ...Missing }
            GRAPHQL_VALIDATION_FAILED: Unknown fragment "Missing".

            GRAPHQL_PARSE_FAILED: Syntax error: expected an operation or a fragment, found the end of the document
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
        []                                            400 {"errors":[{"message":"send one request, not an array of them: one document may have several root fields, and many calls go into the root field batch of mutations or into lines of application/jsonl","extensions":{"code":"BAD_REQUEST"}}]}
        null                                          400 {"errors":[{"message":"a request is a JSON object with the member query","extensions":{"code":"BAD_REQUEST"}}]}
        7                                             400 {"errors":[{"message":"a request is a JSON object with the member query","extensions":{"code":"BAD_REQUEST"}}]}
        {}                                            400 {"errors":[{"message":"the request has no query","extensions":{"code":"BAD_REQUEST"}}]}
        {"query":7}                                   400 {"errors":[{"message":"query must be a string","extensions":{"code":"BAD_REQUEST"}}]}
        {"query":"{ fine }","variables":[1]}          400 {"errors":[{"message":"variables must be an object","extensions":{"code":"BAD_REQUEST"}}]}
    "#]].assert_eq(&table);
    // Longer than any request may be: refused before it is sent.
    let announced = format!(
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
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
        weir: TMP/rows.json: line 3: not JSON: EOF while parsing a value; nothing was loaded
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
