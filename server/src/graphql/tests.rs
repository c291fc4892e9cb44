//! Whole requests against a schema without an engine: document, variables and what the functions return in, response
//! out. Tables by the part that they are about.

use std::sync::Mutex;

use expect_test::{Expect, expect};
use serde_json::{Map, Value, json};
use weir_engine::call::{Answer, CallError, Caller};
use weir_schema::commit::Timestamp;
use weir_schema::error::ErrorCode;

use super::execute::{Invocation, execute};
use super::{DocumentLimits, Request, Response, Schema, fixture};

fn schema() -> Schema {
    Schema::build(&fixture::shop(), &DocumentLimits::default()).unwrap()
}

/// Runs a request. `functions` answers calls; what was called stands before the response, one call per line.
async fn run(
    schema: &Schema,
    query: &str,
    variables: &Value,
    functions: impl Fn(&str) -> Result<Value, CallError>,
) -> String {
    let request = Request::parse(json!({ "query": query, "variables": variables })).unwrap();
    let called = Mutex::new(String::new());
    let call = |invocation: Invocation| {
        let answer = match &invocation {
            Invocation::Function { name, arguments } => {
                called.lock().unwrap().push_str(&format!("{name} {arguments}\n"));
                functions(name)
            }
            Invocation::Batch { calls, atomic } => {
                called.lock().unwrap().push_str(&format!("batch {} atomic {atomic}\n", calls.len()));
                Ok(json!([]))
            }
        };
        async move { Ok(Answer { value: answer?, commit: Timestamp(7) }) }
    };
    let response = match schema.prepare(&request.query, None).await {
        Ok(operation) => execute(schema, &operation, request.variables, &Caller::Developer, call).await,
        Err(errors) => Response::refused(errors),
    };
    let mut out = called.into_inner().unwrap();
    let response: Value = serde_json::from_slice(&response.to_json()).unwrap();
    for error in response["errors"].as_array().into_iter().flatten() {
        let path = if error["path"].is_null() { String::new() } else { format!(" at {}", error["path"]) };
        let code = error["extensions"]["code"].as_str().unwrap();
        out.push_str(&format!("{code}{path}: {}\n", error["message"].as_str().unwrap()));
    }
    if let Some(data) = response.get("data") {
        out.push_str(&format!("{data}\n"));
    }
    out
}

/// Checks a request whose functions return these values.
async fn check(query: &str, variables: Value, returns: Value, expected: Expect) {
    let functions = |name: &str| Ok(returns.get(name).cloned().unwrap_or_default());
    expected.assert_eq(&run(&schema(), query, &variables, functions).await);
}

fn order(id: &str) -> Value {
    json!({ "id": id, "total": 2.5, "status": "fee-pool", "note": null, "lines": [{ "sku": "a", "quantity": 1 }] })
}

#[tokio::test]
async fn selections_are_merged_in_response_order() {
    let returns = json!({ "order": order("o1") });
    check(
        r#"query($id: ID!) {
            b: __typename
            order(id: $id) { lines { sku } ...Total }
            ... on Query { order(id: $id) { total id lines { q: quantity __typename } } }
        }
        fragment Total on Order { total status __typename }"#,
        json!({ "id": 5 }),
        returns,
        expect![[r#"
            order {"id":"5"}
            {"b":"Query","order":{"lines":[{"sku":"a","q":1,"__typename":"Line"}],"total":2.5,"status":"fee_pool","__typename":"Order","id":"o1"}}
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_key_runs_once_and_mutations_run_in_order() {
    let place = r#"placeOrder(order: { total: 1, status: paid, lines: { sku: "a", quantity: 1 } })"#;
    check(
        &format!("mutation {{ a: {place} {{ id }} transfer(from: 1, amount: 2) {{ __typename }} a: {place} {{ total }} b: {place} {{ id }} }}"),
        json!({}),
        json!({ "placeOrder": order("o1"), "transfer": { "kind": "done", "balance": 1 } }),
        expect![[r#"
            placeOrder {"order":{"total":1,"status":"paid","lines":[{"sku":"a","quantity":1}]}}
            transfer {"from":"1","amount":2}
            placeOrder {"order":{"total":1,"status":"paid","lines":[{"sku":"a","quantity":1}]}}
            {"a":{"id":"o1","total":2.5},"transfer":{"__typename":"Done"},"b":{"id":"o1"}}
        "#]],
    )
    .await;
}

#[tokio::test]
async fn skip_and_include_choose_the_plan() {
    let schema = schema();
    let query = r#"query($a: Boolean!, $b: Boolean = true) {
        order(id: "x") { id @skip(if: $a) total @include(if: $b) ... @include(if: $a) { note } }
        countOrders @skip(if: true)
    }"#;
    let mut out = String::new();
    for variables in [json!({ "a": true }), json!({ "a": false, "b": false }), json!({ "a": true, "b": null })] {
        out.push_str(&run(&schema, query, &variables, |_| Ok(order("o1"))).await);
    }
    expect![[r#"
        order {"id":"x"}
        {"order":{"total":2.5,"note":null}}
        order {"id":"x"}
        {"order":{"id":"o1"}}
        BAD_ARGUMENTS: $b: null was given where a value is needed
    "#]].assert_eq(&out);
}

#[tokio::test]
async fn a_union_is_told_by_its_discriminator() {
    let query = r#"{ lastTransfer {
        __typename
        ... on Refused { kind reason retry { balance } }
        ... on Done { kind balance }
        ... on TransferResult { again: __typename }
    } }"#;
    let refused = json!({ "kind": "refused", "reason": "poor", "retry": { "kind": "done", "balance": 1 } });
    check(query, json!({}), json!({ "lastTransfer": refused }), expect![[r#"
        lastTransfer {}
        {"lastTransfer":{"__typename":"Refused","kind":"refused","reason":"poor","retry":{"balance":1},"again":"Refused"}}
    "#]]).await;
    check(query, json!({}), json!({ "lastTransfer": { "kind": "done", "balance": 3 } }), expect![[r#"
        lastTransfer {}
        {"lastTransfer":{"__typename":"Done","kind":"done","balance":3,"again":"Done"}}
    "#]]).await;
    check(query, json!({}), json!({ "lastTransfer": { "kind": "else" } }), expect![[r#"
        lastTransfer {}
        INTERNAL at ["lastTransfer"]: the schema promises TransferResult, told by kind, but an object came up
        {"lastTransfer":null}
    "#]]).await;
}

#[tokio::test]
async fn null_goes_up_to_the_nearest_place_that_may_hold_it() {
    let broken = json!({ "id": "o2", "total": 1, "status": "open", "lines": [{ "sku": "a", "quantity": null }] });
    let query = "{ holes { id lines { sku quantity } } countOrders }";
    let returns = json!({ "holes": [order("o1"), broken, null], "countOrders": 3 });
    check(query, json!({}), returns, expect![[r#"
        holes {}
        countOrders {}
        INTERNAL at ["holes",1,"lines",0,"quantity"]: null came up where the schema promises a value
        {"holes":[{"id":"o1","lines":[{"sku":"a","quantity":1}]},null,null],"countOrders":3}
    "#]]).await;
    let returns = json!({ "ordersOf": [order("o1"), broken] });
    check(r#"{ x: ordersOf(customer: "c") { id lines { quantity } } }"#, json!({}), returns, expect![[r#"
        ordersOf {"customer":"c"}
        INTERNAL at ["x",1,"lines",0,"quantity"]: null came up where the schema promises a value
        {"x":null}
    "#]]).await;
    check("mutation { batch(calls: []) { value } }", json!({}), json!({}), expect![[r#"
        batch 0 atomic true
        {"batch":[]}
    "#]]).await;
}

#[tokio::test]
async fn values_of_the_wrong_shape_are_errors() {
    let wrong = json!([
        { "id": 1 }, { "total": "x" }, { "status": "lost" }, { "note": 3 }, { "lines": {} }, { "lines": [[]] }
    ]);
    for (index, key) in ["id", "total", "status", "note", "lines { sku }", "lines { sku }"].iter().enumerate() {
        let mut value = order("o1");
        for (member, bad) in wrong[index].as_object().unwrap() {
            value[member] = bad.clone();
        }
        let query = format!("{{ order(id: 1) {{ {key} }} }}");
        let out = run(&schema(), &query, &json!({}), |_| Ok(value.clone())).await;
        assert!(out.contains("INTERNAL at [\"order\","), "{key}: {out}");
    }
}

#[tokio::test]
async fn a_failed_call_leaves_its_siblings() {
    let functions = |name: &str| match name {
        "order" => Err(CallError {
            app_code: Some("GONE".into()),
            ..CallError::new(ErrorCode::FunctionFailed, "no such order")
        }),
        _ => Ok(json!(4)),
    };
    let out = run(&schema(), "{ x: order(id: 1) { id } countOrders }", &json!({}), functions).await;
    expect![[r#"
        order {"id":"1"}
        countOrders {}
        FUNCTION_FAILED at ["x"]: no such order
        {"x":null,"countOrders":4}
    "#]].assert_eq(&out);
}

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
    "#]].assert_eq(&out);
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
          GRAPHQL_VALIDATION_FAILED: Invalid value for argument "limit", expected type "Int"
        { ordersOf(customer: null) { id } }
          GRAPHQL_VALIDATION_FAILED: Invalid value for argument "customer", expected type "ID"
        { ordersOf(customer: "c", filter: { statuses: ["open"] }) { id } }
          GRAPHQL_VALIDATION_FAILED: Argument filter: statuses: expected OrderStatus (open | paid | fee_pool), got "open"
        { ordersOf(customer: "c", filter: { statuses: lost }) { id } }
          GRAPHQL_VALIDATION_FAILED: Invalid value for argument "filter.statuses", enumeration type "OrderStatus" does not contain the value "lost"
        { ordersOf(customer: "c", filter: { max: 1 }) { id } }
          GRAPHQL_VALIDATION_FAILED: Invalid value for argument "filter", unknown field "max" of type "OrderFilterInput"
        { ordersOf { id } }
          GRAPHQL_VALIDATION_FAILED: Field "ordersOf" argument "customer" of type "Query" is required but not provided
        query($l: String) { ordersOf(customer: "c", limit: $l) { id } }
          GRAPHQL_VALIDATION_FAILED: Argument limit: the variable $l has the type String, where Int is expected
        query($c: ID) { ordersOf(customer: $c) { id } }
          GRAPHQL_VALIDATION_FAILED: Argument customer: the variable $c has the type ID, where ID! is expected
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

#[tokio::test]
async fn invoke_reaches_the_functions_of_its_root() {
    check(
        r#"query($a: JSON) {
            a: invoke(function: "ordersOf", args: { status: "fee-pool", n: $a })
            b: invoke(function: "countOrders")
            c: invoke(function: "placeOrder")
            d: invoke(function: "invoke")
        }"#,
        json!({ "a": [1, { "b": null }] }),
        json!({ "ordersOf": [order("o1")], "countOrders": 3 }),
        expect![[r#"
            ordersOf {"status":"fee-pool","n":[1,{"b":null}]}
            countOrders null
            NOT_FOUND at ["c"]: Query has no function placeOrder
            NOT_FOUND at ["d"]: Query has no function invoke
            {"a":[{"id":"o1","total":2.5,"status":"fee-pool","note":null,"lines":[{"sku":"a","quantity":1}]}],"b":3,"c":null,"d":null}
        "#]],
    )
    .await;
}

#[tokio::test]
async fn introspection_stands_in_its_place() {
    check(
        r#"query($name: String!) {
            countOrders
            type: __type(name: $name) { kind ...Names }
            __schema { queryType { name } }
            __typename
        }
        fragment Names on __Type { enumValues { name } }"#,
        json!({ "name": "OrderStatus" }),
        json!({ "countOrders": 3 }),
        expect![[r#"
            countOrders {}
            {"countOrders":3,"type":{"kind":"ENUM","enumValues":[{"name":"open"},{"name":"paid"},{"name":"fee_pool"}]},"__schema":{"queryType":{"name":"Query"}},"__typename":"Query"}
        "#]],
    )
    .await;
}

#[tokio::test]
async fn invalid_documents_are_refused() {
    let deep = format!("{{ order(id: 1) {} }}", "{ lines ".repeat(60));
    let bomb: String =
        (0..30).map(|i| format!("fragment F{i} on Order {{ ...F{0} lines {{ sku }} ...F{0} }} ", i + 1)).collect();
    let bomb = format!("{{ order(id: 1) {{ ...F0 }} }} {bomb} fragment F30 on Order {{ id }}");
    let table = [
        "",
        "{",
        "{ countOrders } }",
        "fragment F on Query { countOrders }",
        "{ nope }",
        "{ order(id: 1) }",
        "{ countOrders { x } }",
        "{ order(id: 1) { id } order(id: 2) { total } }",
        "{ order(id: 1) { x: id } ...F } fragment F on Query { order(id: 1) { x: total } }",
        "{ lastTransfer { ... on Done { x: balance } ... on Refused { x: reason } } }",
        "{ lastTransfer { kind } }",
        "{ lastTransfer { ... on Order { id } } }",
        "{ ...F } fragment F on Query { ...G } fragment G on Query { ...F }",
        "{ ...Gone }",
        "query($x: Int) { countOrders }",
        "query($x: Nope) { countOrders }",
        "query($x: [Nope] = [1]) { countOrders }",
        "query($x: Order) { countOrders }",
        "query($x: Int = \"a\") { ordersOf(customer: 1, limit: $x) { id } }",
        "query { countOrders @skip }",
        "query($x: Int) { countOrders @skip(if: $x) }",
        "query { countOrders @nope }",
        "query A { countOrders } query B { countOrders }",
        "query A { countOrders } query A { countOrders }",
        "query A { countOrders } { countOrders }",
        "subscription { countOrders lastTransfer { __typename } }",
        "subscription { __typename }",
        "subscription($x: Boolean!) { countOrders @skip(if: $x) }",
        r#"{ order(id: "\uD800") { id } }"#,
        &deep,
        &bomb,
    ];
    let schema = schema();
    let mut out = String::new();
    for query in table {
        let short: String = query.chars().take(60).collect();
        out.push_str(&format!("{short}\n"));
        let ran = run(&schema, query, &json!({}), |_| Ok(json!(1))).await;
        out.extend(ran.lines().map(|line| format!("  {line}\n")));
    }
    expect![[r#"

          GRAPHQL_PARSE_FAILED: Syntax error: expected executable_definition
        {
          GRAPHQL_PARSE_FAILED: Syntax error: expected selection
        { countOrders } }
          GRAPHQL_PARSE_FAILED: Syntax error: expected EOI or executable_definition
        fragment F on Query { countOrders }
          GRAPHQL_PARSE_FAILED: document does not contain an operation
        { nope }
          GRAPHQL_VALIDATION_FAILED: Unknown field "nope" on type "Query".
        { order(id: 1) }
          GRAPHQL_VALIDATION_FAILED: Field "order" of type "Order" must have a selection of subfields
        { countOrders { x } }
          GRAPHQL_VALIDATION_FAILED: Field "countOrders" must not have a selection since type "Int" has no subfields
          GRAPHQL_VALIDATION_FAILED: Unknown field "x" on type "Int".
        { order(id: 1) { id } order(id: 2) { total } }
          GRAPHQL_VALIDATION_FAILED: Fields "id" conflict because they have differing arguments. Use different aliases on the fields to fetch both if this was intentional.
        { order(id: 1) { x: id } ...F } fragment F on Query { order(
          GRAPHQL_VALIDATION_FAILED: Fields "x" conflict because id and total are different fields. Use different aliases to fetch both.
        { lastTransfer { ... on Done { x: balance } ... on Refused {
          GRAPHQL_VALIDATION_FAILED: Fields "x" conflict because they return conflicting types. Use different aliases to fetch both.
        { lastTransfer { kind } }
          GRAPHQL_VALIDATION_FAILED: Unknown field "kind" on type "TransferResult".
        { lastTransfer { ... on Order { id } } }
          GRAPHQL_VALIDATION_FAILED: Fragment cannot be spread here as objects of type "TransferResult" can never be of type "Order"
        { ...F } fragment F on Query { ...G } fragment G on Query { 
          GRAPHQL_VALIDATION_FAILED: Cannot spread fragment "F" within itself.
        { ...Gone }
          GRAPHQL_VALIDATION_FAILED: Unknown fragment: "Gone"
        query($x: Int) { countOrders }
          GRAPHQL_VALIDATION_FAILED: Variable "$x" is not used
        query($x: Nope) { countOrders }
          GRAPHQL_VALIDATION_FAILED: Unknown type "Nope"
        query($x: [Nope] = [1]) { countOrders }
          GRAPHQL_VALIDATION_FAILED: Unknown type "Nope"
        query($x: Order) { countOrders }
          GRAPHQL_VALIDATION_FAILED: Order is not a type of arguments
        query($x: Int = "a") { ordersOf(customer: 1, limit: $x) { id
          GRAPHQL_VALIDATION_FAILED: The default of $x: expected Int, got "a"
        query { countOrders @skip }
          GRAPHQL_VALIDATION_FAILED: Directive "@skip" argument "if" of type "Boolean!" is required but not provided
        query($x: Int) { countOrders @skip(if: $x) }
          GRAPHQL_VALIDATION_FAILED: The variable $x must be declared as Boolean! to stand here.
        query { countOrders @nope }
          GRAPHQL_VALIDATION_FAILED: Unknown directive "nope"
        query A { countOrders } query B { countOrders }
          BAD_REQUEST: The document has several operations: send operationName too.
        query A { countOrders } query A { countOrders }
          GRAPHQL_VALIDATION_FAILED: operation A is defined twice
        query A { countOrders } { countOrders }
          GRAPHQL_VALIDATION_FAILED: document contains multiple operations
        subscription { countOrders lastTransfer { __typename } }
          GRAPHQL_VALIDATION_FAILED: A subscription must select exactly one root field.
        subscription { __typename }
          GRAPHQL_VALIDATION_FAILED: Unknown field "__typename" on type "Subscription".
          GRAPHQL_VALIDATION_FAILED: Unknown field "__typename" on type "Subscription".
        subscription($x: Boolean!) { countOrders @skip(if: $x) }
          GRAPHQL_VALIDATION_FAILED: @skip and @include cannot stand at the root of a subscription.
        { order(id: "\uD800") { id } }
          GRAPHQL_PARSE_FAILED: Syntax error: a string has half of a surrogate pair
        { order(id: 1) { lines { lines { lines { lines { lines { lin
          LIMIT_EXCEEDED: the document nests deeper than 48
        { order(id: 1) { ...F0 } } fragment F0 on Order { ...F1 line
          LIMIT_EXCEEDED: the document selects more than 10000 fields
    "#]].assert_eq(&out);
}

#[tokio::test]
async fn a_known_text_is_prepared_once() {
    let schema = schema();
    let first = schema.prepare("{ countOrders }", None).await.unwrap();
    let again = schema.prepare("{ countOrders }", None).await.unwrap();
    let other = schema.prepare("{ countOrders } ", None).await.unwrap();
    assert!(std::sync::Arc::ptr_eq(&first, &again));
    assert!(!std::sync::Arc::ptr_eq(&first, &other));
}

#[test]
fn a_request_has_a_query_and_objects() {
    let table = [
        (json!({ "query": "q", "operationName": null, "variables": null, "extensions": null }), Ok(())),
        (json!({ "query": "q", "extensions": { "other": 1, "weir": { "after": "c" } } }), Ok(())),
        (json!([{ "query": "q" }]), Err("a request is a JSON object with the member query")),
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
