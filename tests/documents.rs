//! Documents that clients name instead of sending them: what Apollo's and urql's links register, and what an app trusts.

use expect_test::expect;
use serde_json::{Value, json};

use crate::apps::App;
use crate::graphql::Client;
use crate::node;
use crate::weir::{Dev, Ended, run};

const APP: &str = r#"
    import { procedure, query, type Int } from "weir";
    import { things } from "../collections";
    export const count = query((): Int => things.count());
    export const add = procedure((args: { name: string }): Int => { things.insert({ name: args.name }); return things.count(); });
    // file: collections.ts
    import { collection } from "weir";
    export interface Thing { name: string }
    export const things = collection<Thing>();
    // file: app.toml
    name = "documents"
    version = "1.0.0"
"#;

/// `{ count }` and its SHA-256.
const COUNT: &str = "{ count }";
const COUNT_ID: &str = "sha256:083a576f8f3f8836b17447b0f690abd8a7e340f71c16878ffd558fc55de8dae4";

/// What an answer says: the value of `count`, or the code of the first error.
fn said(client: &Client, request: Value) -> Value {
    let (_, body) = client.post(&request.to_string());
    let mut answer: Value = serde_json::from_str(&body).unwrap();
    match answer.get("errors") {
        Some(errors) => errors[0]["extensions"]["code"].clone(),
        None => answer["data"]["count"].take(),
    }
}

/// `weir documents`, on the data folder of an app.
fn documents(app: &App, arguments: &[&str]) -> Ended {
    let (folder, data) = (app.path().to_str().unwrap().to_owned(), app.data().to_str().unwrap().to_owned());
    run(&[&["documents"], arguments, &["--app", &folder, "--data", &data]].concat())
}

#[test]
fn clients_send_a_document_once() {
    let Some(packages) = node::packages("clients_send_a_document_once") else { return };
    let app = App::of(APP);
    let dev = Dev::start(&app);
    let ended = node::run(packages, "persisted.mjs", &[&format!("{}/graphql", dev.url)]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    expect![[r#"
        {"client":"Apollo Client","sent":["POST hash","POST text"],"answer":0}
        {"client":"Apollo Client again","sent":["POST hash"],"answer":0}
        {"client":"Apollo Client with GET","sent":["GET hash"],"answer":0}
        {"client":"urql","sent":["GET hash","GET text"],"answer":0}
        {"client":"urql again","sent":["GET hash"],"answer":0}
    "#]]
    .assert_eq(&ended.stdout);
}

#[test]
fn a_digest_is_that_of_its_document() {
    let app = App::of(APP);
    let dev = Dev::start(&app);
    let client = dev.client();
    let hash = |hash: &str| json!({ "persistedQuery": { "version": 1, "sha256Hash": hash } });
    let (good, other) = (COUNT_ID.trim_start_matches("sha256:"), "0".repeat(64));
    let table = [
        (json!({ "extensions": hash(good) }), json!("PERSISTED_QUERY_NOT_FOUND")),
        (json!({ "query": COUNT, "extensions": hash(&other) }), json!("BAD_REQUEST")),
        (json!({ "query": "{ cont }", "extensions": hash(&other) }), json!("BAD_REQUEST")),
        (json!({ "query": COUNT, "extensions": hash("short") }), json!("BAD_REQUEST")),
        (
            json!({ "query": COUNT, "extensions": { "persistedQuery": { "version": 2, "sha256Hash": good } } }),
            json!("BAD_REQUEST"),
        ),
        (json!({ "query": COUNT, "extensions": { "persistedQuery": 1 } }), json!("BAD_REQUEST")),
        (json!({ "query": COUNT, "documentId": COUNT_ID }), json!("BAD_REQUEST")),
        (json!({ "documentId": 1 }), json!("BAD_REQUEST")),
        (json!({ "documentId": COUNT_ID }), json!("NOT_FOUND")),
        (json!({ "query": COUNT, "extensions": hash(good) }), json!(0)),
        (json!({ "extensions": hash(good) }), json!(0)),
        // It was registered, and is no trusted document for that.
        (json!({ "documentId": COUNT_ID }), json!("NOT_FOUND")),
    ];
    for (request, expected) in table {
        assert_eq!(said(&client, request.clone()), expected, "{request}");
    }
    let (_, body) = client.post(&json!({ "extensions": hash(&other) }).to_string());
    assert!(body.contains("\"message\":\"PersistedQueryNotFound\""), "{body}");
}

#[test]
fn only_what_was_pushed_runs() {
    let app = App::of(APP);
    let dev = Dev::starting_with(&app, &["--trusted-documents"]).ready();
    let client = dev.client();
    let asks = |request: &Value| said(&client, request.clone());
    let (count, add) = (json!({ "query": COUNT }), json!({ "query": "mutation { count: add(name: \"x\") }" }));
    let by_id = json!({ "documentId": COUNT_ID });
    assert_eq!((asks(&count), asks(&add), asks(&by_id)), (json!("FORBIDDEN"), json!("FORBIDDEN"), json!("NOT_FOUND")));

    let manifest = json!({ COUNT_ID.trim_start_matches("sha256:"): COUNT, "relay-1": "query R { count }" });
    app.write("persisted.json", &manifest.to_string());
    app.write("bad/typo.graphql", "{ cont }");
    let path = |name: &str| app.path().join(name).to_str().unwrap().to_owned();
    let ended = documents(&app, &["push", &path("persisted.json"), &path("bad")]);
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert!(ended.stderr.contains("Did you mean \"count\"?"), "{}", ended.stderr);
    assert!(ended.stderr.contains("1 of 3 documents do not fit the schema, so none was pushed"), "{}", ended.stderr);
    assert_eq!(documents(&app, &["list"]).stdout, "");

    let ended = documents(&app, &["push", &path("persisted.json")]);
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), "pushed 2 documents, 2 of them new\n"),
        "{}",
        ended.stderr
    );
    assert_eq!(
        documents(&app, &["push", &path("persisted.json"), "--json"]).stdout,
        "{\"documents\":2,\"new\":0,\"misfits\":0}\n"
    );
    expect![[r#"
        relay-1  query R { count }
        sha256:083a576f8f3f8836b17447b0f690abd8a7e340f71c16878ffd558fc55de8dae4  { count }
    "#]]
    .assert_eq(&documents(&app, &["list"]).stdout);
    let relay = json!({ "documentId": "relay-1" });
    assert_eq!(
        (asks(&count), asks(&by_id), asks(&relay), asks(&add)),
        (json!(0), json!(0), json!(0), json!("FORBIDDEN"))
    );
    let hash = json!({ "persistedQuery": { "version": 1, "sha256Hash": "1".repeat(64) } });
    assert_eq!(asks(&json!({ "query": "query X { count }", "extensions": hash })), json!("FORBIDDEN"));
    assert_eq!(client.data("{ __schema { queryType { name } } }")["__schema"]["queryType"]["name"], "Query");
    let lines = minreq::post(format!("{}/graphql", dev.url)).with_header("content-type", "application/jsonl");
    let answer = lines.with_body("{\"function\":\"add\",\"args\":{\"name\":\"x\"}}\n").send().unwrap();
    assert!(answer.status_code == 403 && answer.as_str().unwrap().contains("FORBIDDEN"), "calls are no documents");
    if let Some(packages) = node::packages("only_what_was_pushed_runs") {
        let ended = node::run(packages, "persisted.mjs", &[&format!("{}/graphql", dev.url), COUNT_ID]);
        expect![[r#"
            {"client":"POST","answer":0}
            {"client":"GET","answer":0}
            {"client":"persistedQuery","answer":0}
            {"client":"graphql-ws","answer":0}
            {"client":"graphql-ws","answer":0}
        "#]]
        .assert_eq(&ended.stdout);
    }

    // They are there after a restart, and where the app itself says that nothing else runs.
    dev.stop();
    assert_eq!(documents(&app, &["list", "--json"]).stdout.lines().count(), 2);
    app.write(
        "app.toml",
        "name = \"documents\"\nversion = \"1.0.0\"\n[graphql]\ndocuments = \"trusted\"\nintrospection = false\n",
    );
    let dev = Dev::start(&app);
    let client = dev.client();
    let asks = |request: &Value| said(&client, request.clone());
    assert_eq!((asks(&by_id), asks(&add)), (json!(0), json!("FORBIDDEN")));
    assert_eq!(said(&client, json!({ "query": "{ __schema { queryType { name } } }" })), json!("FORBIDDEN"));
    assert_eq!(documents(&app, &["remove", COUNT_ID]).stdout, "removed 1 document\n");
    assert_eq!((asks(&by_id), asks(&relay)), (json!("NOT_FOUND"), json!(0)));
    let ended = documents(&app, &["remove", COUNT_ID]);
    assert!(ended.code == Some(1) && ended.stderr.contains("there is no document"), "{}", ended.stderr);
}
