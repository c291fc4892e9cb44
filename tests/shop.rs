//! `examples/shop`: what a frontend sees of it.

use std::fs;

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use crate::apps::{App, root};
use crate::graphql::{Client, lines, strip};
use crate::node;
use crate::weir::{Dev, run};

/// The shop with its customers and orders.
fn seeded() -> (App, Dev, Client) {
    let app = App::copy_of("examples/shop");
    let dev = Dev::start(&app);
    let client = dev.client();
    let counts = client.data("mutation { seed { customers orders } }");
    assert_eq!(counts, json!({ "seed": { "customers": 4, "orders": 20 } }));
    (app, dev, client)
}

/// The id of the seeded customer.
fn customer(client: &Client, name: &str) -> String {
    let email = format!("{name}@example.com");
    let found =
        client.data_with("query($email: String!) { customerByEmail(email: $email) { id } }", json!({ "email": email }));
    found["customerByEmail"]["id"].as_str().unwrap().to_owned()
}

#[track_caller]
fn check(found: &Value, expected: Expect) {
    expected.assert_eq(&lines(found));
}

#[test]
fn its_schema_is_one_that_clients_can_build() {
    let Some(packages) = node::packages("its_schema_is_one_that_clients_can_build") else { return };
    let app = root().join("examples/shop");
    let printed = run(&["check", app.to_str().unwrap(), "--schema"]);
    assert_eq!((printed.code, printed.stderr.as_str()), (Some(0), ""));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("schema.graphql");
    fs::write(&file, &printed.stdout).unwrap();
    let built = node::run(packages, "build-schema.mjs", &[file.to_str().unwrap()]);
    assert_eq!(built.stderr, "");
    expect![[r#"
        Query: customerByEmail, ordersOf, ordersPage, revenueByDay, invoke
        Mutation: addCustomer, removeCustomer, seed, placeOrder, payOrder, invoke, batch
        Subscription: customerByEmail, ordersOf, ordersPage, revenueByDay, invoke
    "#]]
    .assert_eq(&built.stdout);
}

#[test]
fn it_serves_the_schema_that_check_prints() {
    let app = App::copy_of("examples/shop");
    let printed = run(&["check", app.path().to_str().unwrap(), "--schema"]);
    let (status, served) = Dev::start(&app).client().get("/schema.graphql");
    assert_eq!((status, served), (200, printed.stdout));
}

#[test]
fn queries_and_views_answer_with_declared_types() {
    let (_app, dev, client) = seeded();
    let ada = customer(&client, "ada");
    let query = "query($customer: ID!) {
        customerByEmail(email: \"ada@example.com\") { __typename name email tier }
        nobody: customerByEmail(email: \"nobody@example.com\") { name }
        newest: ordersOf(customer: $customer, limit: 2) { total status at }
        ordersOf(customer: $customer, limit: null) { total }
        revenueByDay { key revenue orders }
    }";
    check(
        &client.data_with(query, json!({ "customer": ada })),
        expect![[r#"
        customerByEmail: {"__typename":"Customer","name":"Ada","email":"ada@example.com","tier":"pro"}
        nobody: null
        newest:
          {"total":20,"status":"open","at":"2026-01-13T12:00:00.000Z"}
          {"total":17.5,"status":"open","at":"2026-01-10T12:00:00.000Z"}
        ordersOf:
          {"total":20}
          {"total":17.5}
          {"total":15}
          {"total":12.5}
          {"total":10}
        revenueByDay:
          {"key":"2026-01-01","revenue":10,"orders":1}
          {"key":"2026-01-02","revenue":20,"orders":1}
          {"key":"2026-01-03","revenue":30,"orders":1}
          {"key":"2026-01-04","revenue":52.5,"orders":2}
          {"key":"2026-01-05","revenue":22.5,"orders":1}
          {"key":"2026-01-06","revenue":32.5,"orders":1}
          {"key":"2026-01-07","revenue":57.5,"orders":2}
          {"key":"2026-01-08","revenue":25,"orders":1}
          {"key":"2026-01-09","revenue":35,"orders":1}
          {"key":"2026-01-10","revenue":62.5,"orders":2}
          {"key":"2026-01-11","revenue":27.5,"orders":1}
          {"key":"2026-01-12","revenue":37.5,"orders":1}
          {"key":"2026-01-13","revenue":67.5,"orders":2}
          {"key":"2026-01-14","revenue":30,"orders":1}
          {"key":"2026-01-15","revenue":40,"orders":1}
          {"key":"2026-01-16","revenue":50,"orders":1}
    "#]],
    );
    let invoked = client.data_with(
        "query($args: JSON) { invoke(function: \"ordersOf\", args: $args) }",
        json!({ "args": { "customer": ada, "limit": 1 } }),
    );
    check(
        &invoked,
        expect![[r#"
        invoke:
          {"id":"ID","customer":"ID","total":20,"status":"open","at":"2026-01-13T12:00:00.000Z"}
    "#]],
    );
    assert_eq!(dev.stop(), Some(0));
}

#[test]
fn procedures_write_and_return_what_they_wrote() {
    let (_app, _dev, client) = seeded();
    let ada = customer(&client, "ada");
    let placed = client.data_with(
        "mutation($customer: ID!) { placeOrder(customer: $customer, total: 7) { id total status } }",
        json!({ "customer": ada }),
    );
    let order = &placed["placeOrder"];
    assert_eq!((&order["total"], &order["status"]), (&json!(7), &json!("open")));
    let paid = client
        .data_with("mutation($id: ID!) { payOrder(id: $id) { id status customer } }", json!({ "id": order["id"] }));
    assert_eq!(paid["payOrder"], json!({ "id": order["id"], "status": "paid", "customer": ada }));
    let newest = client.data_with(
        "query($customer: ID!) { ordersOf(customer: $customer, limit: 1) { id status } }",
        json!({ "customer": ada }),
    );
    assert_eq!(newest["ordersOf"], json!([{ "id": order["id"], "status": "paid" }]));
}

#[test]
fn a_customer_goes_with_all_orders() {
    let (_app, _dev, client) = seeded();
    let ada = customer(&client, "ada");
    let counted = |query: &str| client.data(query)["ordersPage"]["edges"].as_array().unwrap().len();
    assert_eq!(counted("{ ordersPage(first: 100) { edges { cursor } } }"), 20);
    let remove = "mutation($id: ID!) { removeCustomer(id: $id) }";
    assert_eq!(client.data_with(remove, json!({ "id": ada })), json!({ "removeCustomer": true }));
    assert_eq!(client.data_with(remove, json!({ "id": ada })), json!({ "removeCustomer": false }));
    assert_eq!(counted("{ ordersPage(first: 100) { edges { cursor } } }"), 15);
    let left = client.data_with("query($id: ID!) { ordersOf(customer: $id) { id } }", json!({ "id": ada }));
    assert_eq!(left, json!({ "ordersOf": [] }));
}

#[test]
fn failures_have_codes_and_paths_and_leave_their_siblings() {
    let (_app, _dev, client) = seeded();
    let answer = client.answer(
        "mutation {
            nobody: placeOrder(customer: \"nobody\", total: 1) { id }
            addCustomer(name: \"Alan\", email: \"alan@example.com\") { name tier }
            twice: addCustomer(name: \"Ada\", email: \"ada@example.com\") { name }
            odd: addCustomer(name: \"Odd\", email: \"odd\") { name }
            seed { orders }
        }",
        json!({}),
    );
    check(
        &answer["data"],
        expect![[r#"
        nobody: null
        addCustomer: {"name":"Alan","tier":"free"}
        twice: null
        odd: null
        seed: null
    "#]],
    );
    let mut errors = answer["errors"].clone();
    strip(&mut errors);
    check(
        &errors,
        expect![[r#"
            {"message":"no such customer","path":["nobody"],"extensions":{"code":"FUNCTION_FAILED","appCode":"NOT_FOUND"}}
            {"message":"customers has a document with the same email already","path":["twice"],"extensions":{"code":"CONFLICT"}}
            {"message":"an e-mail address has an @","path":["odd"],"extensions":{"code":"FUNCTION_FAILED","appCode":"BAD_EMAIL"}}
            {"message":"the shop has customers already","path":["seed"],"extensions":{"code":"FUNCTION_FAILED","appCode":"NOT_EMPTY"}}
        "#]],
    );
}

#[test]
fn a_failed_call_writes_nothing() {
    let (_app, _dev, client) = seeded();
    let before = client.data("{ revenueByDay { orders } ordersPage(first: 100) { edges { node { id } } } }");
    client.errors("mutation { seed { orders } }");
    client.errors("mutation { addCustomer(name: \"Ada\", email: \"ada@example.com\") { name } }");
    let after = client.data("{ revenueByDay { orders } ordersPage(first: 100) { edges { node { id } } } }");
    assert_eq!(before, after);
}

const BATCH: &str = "mutation($calls: [CallInput!]!, $atomic: Boolean!) {
    batch(calls: $calls, atomic: $atomic) { value error { code message appCode } }
}";

/// A call that works, one that fails, and one that works.
fn three_calls(email: &str) -> Value {
    let add = |name: &str, email: &str| json!({ "function": "addCustomer", "args": { "name": name, "email": email } });
    json!([
        add("First", &format!("first@{email}")),
        add("Again", "ada@example.com"),
        add("Last", &format!("last@{email}"))
    ])
}

fn exists(client: &Client, email: &str) -> bool {
    let found =
        client.data_with("query($email: String!) { customerByEmail(email: $email) { id } }", json!({ "email": email }));
    !found["customerByEmail"].is_null()
}

#[test]
fn an_atomic_batch_is_all_or_nothing() {
    let (_app, _dev, client) = seeded();
    let answer = client.data_with(BATCH, json!({ "calls": three_calls("atomic.com"), "atomic": true }));
    check(
        &answer["batch"],
        expect![[r#"
            {"value":null,"error":{"code":"ROLLED_BACK","message":"nothing of the batch is kept, because call 2 of 3 failed","appCode":null}}
            {"value":null,"error":{"code":"CONFLICT","message":"customers has a document with the same email already","appCode":null}}
            {"value":null,"error":{"code":"ROLLED_BACK","message":"nothing of the batch is kept, because call 2 of 3 failed","appCode":null}}
        "#]],
    );
    assert!(!exists(&client, "first@atomic.com"));
    assert!(!exists(&client, "last@atomic.com"));

    let calls = json!([
        { "function": "addCustomer", "args": { "name": "A", "email": "a@both.com" } },
        { "function": "addCustomer", "args": { "name": "B", "email": "b@both.com" } },
    ]);
    let answer = client.data_with(BATCH, json!({ "calls": calls, "atomic": true }));
    assert_eq!(answer["batch"][0]["value"]["name"], "A");
    assert_eq!(answer["batch"][1]["error"], Value::Null);
    assert!(exists(&client, "a@both.com") && exists(&client, "b@both.com"));
}

#[test]
fn the_calls_of_another_batch_stand_by_themselves() {
    let (_app, _dev, client) = seeded();
    let answer = client.data_with(BATCH, json!({ "calls": three_calls("each.com"), "atomic": false }));
    check(
        &answer["batch"],
        expect![[r#"
            {"value":{"id":"ID","name":"First","email":"first@each.com","tier":"free"},"error":null}
            {"value":null,"error":{"code":"CONFLICT","message":"customers has a document with the same email already","appCode":null}}
            {"value":{"id":"ID","name":"Last","email":"last@each.com","tier":"free"},"error":null}
        "#]],
    );
    assert!(exists(&client, "first@each.com"));
    assert!(exists(&client, "last@each.com"));
}

#[test]
fn pages_follow_each_other_to_the_end() {
    let (_app, _dev, client) = seeded();
    let query = "query($after: String) {
        ordersPage(first: 7, after: $after) {
            edges { cursor node { id at } }
            pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
        }
    }";
    let (mut seen, mut sizes, mut after) = (Vec::new(), Vec::new(), Value::Null);
    loop {
        let page = client.data_with(query, json!({ "after": after }))["ordersPage"].take();
        let edges = page["edges"].as_array().unwrap();
        let info = &page["pageInfo"];
        assert_eq!(info["startCursor"], edges[0]["cursor"]);
        assert_eq!(info["endCursor"], edges.last().unwrap()["cursor"]);
        assert_eq!(info["hasPreviousPage"], !after.is_null());
        seen.extend(edges.iter().map(|edge| edge["node"].clone()));
        sizes.push(edges.len());
        after = info["endCursor"].clone();
        if info["hasNextPage"] == false {
            break;
        }
        assert!(sizes.len() < 10, "the pages have no end");
    }
    assert_eq!(sizes, [7, 7, 6]);
    let all = client.data("{ ordersPage(first: 100) { edges { node { id at } } } }");
    let all: Vec<Value> =
        all["ordersPage"]["edges"].as_array().unwrap().iter().map(|edge| edge["node"].clone()).collect();
    assert_eq!(seen, all);
    assert!(all.is_sorted_by(|a, b| a["at"].as_str() >= b["at"].as_str()));
}

#[test]
fn the_data_outlives_the_server() {
    let (app, dev, client) = seeded();
    let before = client.data("{ ordersPage(first: 100) { edges { node { id total at } } } }");
    assert_eq!(dev.stop(), Some(0));
    let dev = Dev::start(&app);
    assert_eq!(dev.client().data("{ ordersPage(first: 100) { edges { node { id total at } } } }"), before);
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let (app, mut dev, client) = seeded();
    let ada = customer(&client, "ada");
    let mut placed = Vec::new();
    for total in 1..=20 {
        let query =
            "mutation($customer: ID!, $total: Float!) { placeOrder(customer: $customer, total: $total) { id total } }";
        let answer = client.data_with(query, json!({ "customer": ada, "total": total }));
        placed.push(answer["placeOrder"].clone());
    }
    dev.process.kill();
    let dev = Dev::start(&app);
    let query = "query($customer: ID!) { ordersOf(customer: $customer, limit: 20) { id total } }";
    let mut found = dev.client().data_with(query, json!({ "customer": ada }))["ordersOf"].take();
    // Orders of one millisecond have no order in time.
    found.as_array_mut().unwrap().sort_by_key(|order| order["total"].as_u64());
    assert_eq!(found, json!(placed));
}

#[test]
fn graphiql_comes_from_the_binary() {
    let app = App::copy_of("examples/shop");
    let dev = Dev::start(&app);
    let (status, page) = dev.client().get("/graphiql");
    assert_eq!(status, 200);
    let sources = page.split(['"', '\'']).filter(|word| word.ends_with(".js") || word.ends_with(".css"));
    let sources: Vec<&str> = sources.collect();
    assert!(!sources.is_empty(), "{page}");
    for source in sources {
        assert!(!source.contains("://"), "{source} is not in the binary");
        let path =
            if source.starts_with('/') { source.to_owned() } else { format!("/{}", source.trim_start_matches("./")) };
        let (status, text) = dev.client().get(&path);
        assert!(status == 200 && !text.is_empty(), "{path}: {status}");
    }
}
