//! Requests, variables and literals.

use expect_test::expect;
use serde_json::{Map, json};

use super::super::Request;
use super::{check, run, schema};

#[tokio::test]
async fn variables_are_coerced() {
    let query = "query($customer: ID!, $limit: Int, $filter: OrderFilterInput) {
        ordersOf(customer: $customer, limit: $limit, filter: $filter) { id }
    }";
    let table = [
        json!({ "customer": "c" }),
        json!({ "customer": 12, "limit": 3.0, "filter": null, "unknown": 1 }),
        json!({ "customer": "c", "filter": { "statuses": "fee_pool", "or": { "statuses": ["open", "fee_pool"], "min": 1 } } }),
        json!({}),
        json!({ "customer": null }),
        json!({ "customer": 1.5, "limit": 2147483648_i64 }),
        json!({ "customer": "c", "limit": "3" }),
        json!({ "customer": "c", "filter": { "statuses": ["open", "fee-pool"] } }),
        json!({ "customer": "c", "filter": { "or": [{ "statuses": [null] }] } }),
        json!({ "customer": "c", "filter": { "max": 1 } }),
        json!({ "customer": "c", "filter": [] }),
    ];
    let schema = schema();
    let mut out = String::new();
    for variables in table {
        out.push_str(&format!("{variables}\n"));
        let ran = run(&schema, query, &variables, |_| Ok(json!([]))).await;
        out.extend(ran.lines().filter(|line| !line.starts_with('{')).map(|line| format!("  {line}\n")));
    }
    expect![[r#"
        {"customer":"c"}
          ordersOf {"customer":"c"}
        {"customer":12,"limit":3.0,"filter":null,"unknown":1}
          ordersOf {"customer":"12","limit":3,"filter":null}
        {"customer":"c","filter":{"statuses":"fee_pool","or":{"statuses":["open","fee_pool"],"min":1}}}
          ordersOf {"customer":"c","filter":{"statuses":["fee-pool"],"or":[{"statuses":["open","fee-pool"],"min":1}]}}
        {}
          BAD_ARGUMENTS: $customer: no value given; expected ID!
        {"customer":null}
          BAD_ARGUMENTS: $customer: expected ID!, got null
        {"customer":1.5,"limit":2147483648}
          BAD_ARGUMENTS: $customer: expected ID, got 1.5
          BAD_ARGUMENTS: $limit: expected Int, got 2147483648
        {"customer":"c","limit":"3"}
          BAD_ARGUMENTS: $limit: expected Int, got "3"
        {"customer":"c","filter":{"statuses":["open","fee-pool"]}}
          BAD_ARGUMENTS: $filter.statuses[1]: expected OrderStatus (open | paid | fee_pool), got "fee-pool"
        {"customer":"c","filter":{"or":[{"statuses":[null]}]}}
          BAD_ARGUMENTS: $filter.or[0].statuses[0]: expected OrderStatus!, got null
        {"customer":"c","filter":{"max":1}}
          BAD_ARGUMENTS: $filter: OrderFilterInput has no field max; it has statuses, min, or
        {"customer":"c","filter":[]}
          BAD_ARGUMENTS: $filter: expected OrderFilterInput, an object, got a list
    "#]]
    .assert_eq(&out);
}

#[tokio::test]
async fn literals_are_coerced() {
    let table = [
        r#"{ ordersOf(customer: 7, limit: 3) { id } }"#,
        r#"{ ordersOf(customer: "c", filter: { statuses: fee_pool, or: { min: 1 } }) { id } }"#,
        r#"query($s: OrderStatus!, $m: Float) { ordersOf(customer: "c", filter: { statuses: [open, $s], min: $m }) { id } }"#,
        r#"query($s: [OrderStatus!]!) { ordersOf(customer: "c", filter: { statuses: $s }) { id } }"#,
        r#"query($x: Float) { settings(key: { a: [1, "x", null, $x], b: $x }) }"#,
        r#"mutation($a: Boolean) { batch(calls: [{ function: "f" }], atomic: $a) { value } }"#,
        r#"{ ordersOf(customer: "c", limit: 2147483648) { id } }"#,
        r#"{ ordersOf(customer: "c", limit: "3") { id } }"#,
        r#"{ ordersOf(customer: null) { id } }"#,
        r#"{ ordersOf(customer: "c", filter: { statuses: ["open"] }) { id } }"#,
        r#"{ ordersOf(customer: "c", filter: { statuses: lost }) { id } }"#,
        r#"{ ordersOf(customer: "c", filter: { max: 1 }) { id } }"#,
        r#"{ ordersOf { id } }"#,
        r#"query($l: String) { ordersOf(customer: "c", limit: $l) { id } }"#,
        r#"query($c: ID) { ordersOf(customer: $c) { id } }"#,
        r#"query($c: ID = 3) { ordersOf(customer: $c) { id } }"#,
        r#"{ settings(key: bare) }"#,
    ];
    let schema = schema();
    let variables = json!({ "s": "fee_pool" });
    let mut out = String::new();
    for query in table {
        out.push_str(&format!("{query}\n"));
        let ran = run(&schema, query, &variables, |_| Ok(json!([]))).await;
        out.extend(ran.lines().filter(|line| !line.starts_with('{')).map(|line| format!("  {line}\n")));
    }
    expect![[r#"
        { ordersOf(customer: 7, limit: 3) { id } }
          ordersOf {"customer":"7","limit":3}
        { ordersOf(customer: "c", filter: { statuses: fee_pool, or: { min: 1 } }) { id } }
          ordersOf {"customer":"c","filter":{"statuses":["fee-pool"],"or":[{"min":1}]}}
        query($s: OrderStatus!, $m: Float) { ordersOf(customer: "c", filter: { statuses: [open, $s], min: $m }) { id } }
          ordersOf {"customer":"c","filter":{"statuses":["open","fee-pool"]}}
        query($s: [OrderStatus!]!) { ordersOf(customer: "c", filter: { statuses: $s }) { id } }
          ordersOf {"customer":"c","filter":{"statuses":["fee-pool"]}}
        query($x: Float) { settings(key: { a: [1, "x", null, $x], b: $x }) }
          settings {"key":{"a":[1,"x",null,null]}}
        mutation($a: Boolean) { batch(calls: [{ function: "f" }], atomic: $a) { value } }
          batch 1 atomic true
        { ordersOf(customer: "c", limit: 2147483648) { id } }
          GRAPHQL_VALIDATION_FAILED: Argument limit: expected Int, got 2147483648
        { ordersOf(customer: "c", limit: "3") { id } }
          GRAPHQL_VALIDATION_FAILED: Argument limit: expected Int, got "3"
        { ordersOf(customer: null) { id } }
          GRAPHQL_VALIDATION_FAILED: Argument customer: expected ID!, got null
        { ordersOf(customer: "c", filter: { statuses: ["open"] }) { id } }
          GRAPHQL_VALIDATION_FAILED: Argument filter: statuses: expected OrderStatus (open | paid | fee_pool), got "open"
        { ordersOf(customer: "c", filter: { statuses: lost }) { id } }
          GRAPHQL_VALIDATION_FAILED: Argument filter: statuses: expected OrderStatus (open | paid | fee_pool), got lost
        { ordersOf(customer: "c", filter: { max: 1 }) { id } }
          GRAPHQL_VALIDATION_FAILED: Argument filter: OrderFilterInput has no field max; it has statuses, min, or
        { ordersOf { id } }
          GRAPHQL_VALIDATION_FAILED: Field "ordersOf" argument "customer" of type "ID!" is required but not provided.
        query($l: String) { ordersOf(customer: "c", limit: $l) { id } }
          GRAPHQL_VALIDATION_FAILED: the variable $l has the type String, where Int is expected
        query($c: ID) { ordersOf(customer: $c) { id } }
          GRAPHQL_VALIDATION_FAILED: the variable $c has the type ID, where ID! is expected
        query($c: ID = 3) { ordersOf(customer: $c) { id } }
          ordersOf {"customer":"3"}
        { settings(key: bare) }
          GRAPHQL_VALIDATION_FAILED: Argument key: expected JSON, got bare; write it as a string
    "#]].assert_eq(&out);
}

#[tokio::test]
async fn a_null_for_a_variable_with_a_default_fails_its_field() {
    check(
        r#"query($c: ID = "d") { ordersOf(customer: $c) { id } countOrders }"#,
        json!({ "c": null }),
        json!({ "countOrders": 1 }),
        expect![[r#"
            countOrders {}
            BAD_ARGUMENTS at ["ordersOf"]: $c: null was given where a value is needed
            {"ordersOf":null,"countOrders":1}
        "#]],
    )
    .await;
}

#[test]
fn a_request_has_a_query_and_objects() {
    let table = [
        (json!({ "query": "q", "operationName": null, "variables": null, "extensions": null }), Ok(())),
        (json!({ "query": "q", "extensions": { "other": 1, "weir": { "after": "c" } } }), Ok(())),
        (json!([{ "query": "q" }]), Err(super::super::request::SEVERAL)),
        (json!("q"), Err("a request is a JSON object with the member query")),
        (json!({}), Err("the request has no query")),
        (json!({ "query": 1 }), Err("query must be a string")),
        (json!({ "query": "q", "operationName": 1 }), Err("operationName must be a string")),
        (json!({ "query": "q", "variables": [] }), Err("variables must be an object")),
        (json!({ "query": "q", "extensions": { "weir": 1 } }), Err("extensions.weir must be an object")),
    ];
    for (given, expected) in table {
        let parsed = Request::parse(given.clone()).map(|_: Request| ()).map_err(|error| error.message);
        assert_eq!(parsed, expected.map_err(str::to_owned), "{given}");
    }
    assert_eq!(Request::parse(json!({ "query": "q" })).unwrap().variables, Map::new());
}
