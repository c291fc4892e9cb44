//! What an app lets requests ask, by its `app.toml`: each limit refuses before anything runs, whatever brings the request.

use serde_json::{Value, json};

use crate::apps::App;
use crate::graphql::Client;
use crate::weir::{Dev, eventually};

const APP: &str = r#"
    import { procedure, query, type Int } from "weir";
    import { things, type Thing } from "../collections";
    export const list = query((args: { limit?: Int }): Thing[] => things.orderBy("name").take(args.limit ?? 5));
    export const dear = query((): Int => 1);
    export const count = query((): Int => things.count());
    export const add = procedure((args: { name: string }): Int => { things.insert({ name: args.name }); return things.count(); });
    // file: collections.ts
    import { collection } from "weir";
    export interface Thing { name: string }
    export const things = collection<Thing>({ index: ["name"] });
    // file: app.toml
    name = "limited"
    version = "1.0.0"
    [graphql]
    introspection = false
    cost = 100
    root_fields = 3
    document_depth = 4
    document_bytes = 400
    variables_bytes = 50
    [graphql.costs]
    dear = 101
"#;

/// What refuses a request: the limit, or the code.
fn refusal(client: &Client, query: &str, variables: Value) -> Option<String> {
    let answer = client.answer(query, variables);
    let error = answer.get("errors")?[0].clone();
    assert!(answer.get("data").is_none(), "{query}: {answer}");
    let extensions = &error["extensions"];
    Some(extensions["limit"].as_str().or(extensions["code"].as_str()).unwrap().to_owned())
}

#[test]
fn an_app_bounds_what_is_asked_of_it() {
    let app = App::of(APP);
    let dev = Dev::start(&app);
    let client = dev.client();
    let table = [
        ("{ list(limit: 48) { name } }", json!({}), None),
        ("{ list(limit: 50) { name } }", json!({}), Some("cost")),
        ("query($n: Int) { list(limit: $n) { name } }", json!({ "n": 50 }), Some("cost")),
        ("{ dear }", json!({}), Some("cost")),
        ("{ invoke(function: \"dear\") }", json!({}), Some("cost")),
        ("query($f: String!) { invoke(function: $f) }", json!({ "f": "dear" }), Some("cost")),
        ("{ a: count b: count c: count }", json!({}), None),
        ("{ a: count b: count c: count d: count }", json!({}), Some("root_fields")),
        (
            "mutation { a: add(name: \"x\") b: add(name: \"x\") c: add(name: \"x\") d: add(name: \"x\") }",
            json!({}),
            Some("root_fields"),
        ),
        (
            "query($x: JSON) { invoke(function: \"count\", args: $x) }",
            json!({ "x": [[[["x".repeat(60)]]]] }),
            Some("variables_bytes"),
        ),
        ("{ invoke(function: \"count\", args: { a: { a: { a: 1 } } }) }", json!({}), Some("document_depth")),
        (&format!("{{ count }} #{}", "x".repeat(400)), json!({}), Some("document_bytes")),
        ("{ __schema { queryType { name } } }", json!({}), Some("GRAPHQL_VALIDATION_FAILED")),
    ];
    for (query, variables, expected) in table {
        assert_eq!(refusal(&client, query, variables).as_deref(), expected, "{query}");
    }
    assert_eq!(client.data("{ count }")["count"], 0, "nothing of what was refused has run");

    let unknown = client.answer("{ cont }", json!({}))["errors"][0]["message"].take();
    assert!(!unknown.as_str().unwrap().contains("Did you mean"), "{unknown}");
    assert_eq!(client.get("/schema.graphql").0, 404);
    let (status, body) = client.post("[{\"query\":\"{ count }\"}]");
    assert!(status == 400 && body.contains("root field batch"), "{status} {body}");

    let manifest = "name = \"limited\"\nversion = \"1.0.0\"\n";
    app.write("app.toml", manifest);
    eventually("the schema", || (client.get("/schema.graphql").0 == 200).then_some(()));
    assert_eq!(refusal(&client, "{ dear list(limit: 50) { name } }", json!({})), None);
    let unknown = client.answer("{ cont }", json!({}))["errors"][0]["message"].take();
    assert!(unknown.as_str().unwrap().contains("Did you mean \"count\"?"), "{unknown}");
}

#[test]
fn an_app_says_how_often_its_functions_are_called() {
    let app = App::of(APP);
    app.edit("app.toml", "[graphql.costs]", "[rate.functions]\nadd = \"1/h burst 2\"\n[graphql.costs]");
    let dev = Dev::start(&app);
    let client = dev.client();
    let add = "mutation { add(name: \"x\") }";
    assert_eq!((client.data(add)["add"].clone(), client.data(add)["add"].clone()), (json!(1), json!(2)));
    let answer = minreq::post(format!("{}/graphql", dev.url))
        .with_header("content-type", "application/json")
        .with_body(json!({ "query": add }).to_string())
        .send()
        .unwrap();
    let body: Value = serde_json::from_str(answer.as_str().unwrap()).unwrap();
    let extensions = &body["errors"][0]["extensions"];
    assert_eq!((answer.status_code, &extensions["code"]), (429, &json!("RATE_LIMITED")), "{body}");
    let wait = extensions["retryAfterMs"].as_u64().unwrap();
    assert!((3_500_000..=3_600_000).contains(&wait), "{wait}");
    let retry_after = answer.headers.iter().find(|(name, _)| name == "retry-after").map(|(_, value)| value.clone());
    assert_eq!(retry_after, Some(wait.div_ceil(1_000).to_string()));
    assert_eq!(client.data("{ count }")["count"], 2);
}
