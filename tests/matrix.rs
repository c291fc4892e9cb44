//! The clients that people use, connected as the documentation says: each asks, changes, fails and subscribes.

use std::fs;

use serde_json::{Value, json};

use crate::apps::root;
use crate::clients::{ADAS, Shop};
use crate::node;

/// Each has a `tests/clients/connect-NAME.mjs`, which the documentation shows.
const CLIENTS: [&str; 7] =
    ["graphql-request", "apollo", "urql", "urql-graphql-sse", "relay", "graphql-sse", "graphql-ws"];

/// It has no subscriptions.
const WITHOUT_SUBSCRIPTIONS: &str = "graphql-request";

#[test]
fn every_client_asks_changes_fails_and_subscribes() {
    let Some(packages) = node::packages("every_client_asks_changes_fails_and_subscribes") else { return };
    let shop = Shop::start();
    let mut newest = ADAS[0];
    for (number, client) in CLIENTS.into_iter().enumerate() {
        let total = 100.0 + number as f64;
        let url = format!("{}/graphql", shop.dev.url);
        let ended = node::run(packages, "matrix.mjs", &[client, &url, &total.to_string()]);
        let came: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{client}: {}", ended.stderr));
        let live = if client == WITHOUT_SUBSCRIPTIONS { Value::Null } else { numbers(&[newest, total]) };
        let error = json!(["FUNCTION_FAILED", "NOT_FOUND"]);
        let expected = json!({ "name": "Ada", "placed": numbers(&[total])[0], "error": error, "live": live });
        assert_eq!(came, expected, "{client}");
        newest = total;
    }
}

/// As JavaScript writes them.
fn numbers(numbers: &[f64]) -> Value {
    let text: Vec<String> = numbers.iter().map(f64::to_string).collect();
    serde_json::from_str(&format!("[{}]", text.join(","))).unwrap()
}

#[test]
fn the_documentation_connects_clients_as_the_tests_do() {
    let page = fs::read_to_string(root().join("docs/graphql.md")).unwrap();
    for client in CLIENTS {
        let script = fs::read_to_string(root().join(format!("tests/clients/connect-{client}.mjs"))).unwrap();
        assert!(page.contains(&format!("```js\n{script}```")), "docs/graphql.md does not show how {client} connects");
    }
}
