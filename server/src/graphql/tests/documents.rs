//! Documents that are valid, and those that are not.

use std::sync::Arc;

use expect_test::expect;
use serde_json::json;

use super::{check, order, run, schema};

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
    "#]]
    .assert_eq(&out);
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

          GRAPHQL_PARSE_FAILED: Syntax error: expected an operation or a fragment, found the end of the document
        {
          GRAPHQL_PARSE_FAILED: Syntax error: expected a field, a fragment or `}`, found the end of the document
        { countOrders } }
          GRAPHQL_PARSE_FAILED: Syntax error: expected an operation or a fragment, found `}`
        fragment F on Query { countOrders }
          GRAPHQL_VALIDATION_FAILED: Fragment "F" is never used.
        { nope }
          GRAPHQL_VALIDATION_FAILED: Unknown field "nope" on type "Query".
        { order(id: 1) }
          GRAPHQL_VALIDATION_FAILED: Field "order" of type "Order" must have a selection of subfields.
        { countOrders { x } }
          GRAPHQL_VALIDATION_FAILED: Field "countOrders" must not have a selection since type "Int" has no subfields.
        { order(id: 1) { id } order(id: 2) { total } }
          GRAPHQL_VALIDATION_FAILED: Fields "order" conflict because they have differing arguments. Use different aliases to fetch both.
        { order(id: 1) { x: id } ...F } fragment F on Query { order(
          GRAPHQL_VALIDATION_FAILED: Fields "x" conflict because they return conflicting types ID! and Float!. Use different aliases to fetch both.
        { lastTransfer { ... on Done { x: balance } ... on Refused {
          GRAPHQL_VALIDATION_FAILED: Fields "x" conflict because they return conflicting types Float! and String!. Use different aliases to fetch both.
        { lastTransfer { kind } }
          GRAPHQL_VALIDATION_FAILED: Unknown field "kind" on type "TransferResult".
        { lastTransfer { ... on Order { id } } }
          GRAPHQL_VALIDATION_FAILED: This fragment cannot be spread here: no object of type "TransferResult" can be of type "Order".
        { ...F } fragment F on Query { ...G } fragment G on Query { 
          GRAPHQL_VALIDATION_FAILED: Cannot spread fragment "F" within itself.
        { ...Gone }
          GRAPHQL_VALIDATION_FAILED: Unknown fragment "Gone".
        query($x: Int) { countOrders }
          GRAPHQL_VALIDATION_FAILED: Variable "$x" is never used.
        query($x: Nope) { countOrders }
          GRAPHQL_VALIDATION_FAILED: Variable "$x" is never used.
          GRAPHQL_VALIDATION_FAILED: Unknown type "Nope"
        query($x: [Nope] = [1]) { countOrders }
          GRAPHQL_VALIDATION_FAILED: Variable "$x" is never used.
          GRAPHQL_VALIDATION_FAILED: Unknown type "Nope"
        query($x: Order) { countOrders }
          GRAPHQL_VALIDATION_FAILED: Variable "$x" is never used.
          GRAPHQL_VALIDATION_FAILED: Order is not a type of arguments.
        query($x: Int = "a") { ordersOf(customer: 1, limit: $x) { id
          GRAPHQL_VALIDATION_FAILED: The default of $x: expected Int, got "a"
        query { countOrders @skip }
          GRAPHQL_VALIDATION_FAILED: Directive "@skip" argument "if" of type "Boolean!" is required but not provided.
        query($x: Int) { countOrders @skip(if: $x) }
          GRAPHQL_VALIDATION_FAILED: the variable $x has the type Int, where Boolean! is expected
        query { countOrders @nope }
          GRAPHQL_VALIDATION_FAILED: Unknown directive "@nope".
        query A { countOrders } query B { countOrders }
          BAD_REQUEST: The document has several operations: send operationName too.
        query A { countOrders } query A { countOrders }
          GRAPHQL_VALIDATION_FAILED: There can be only one operation named "A".
        query A { countOrders } { countOrders }
          GRAPHQL_VALIDATION_FAILED: This anonymous operation must be the only defined operation.
        subscription { countOrders lastTransfer { __typename } }
          GRAPHQL_VALIDATION_FAILED: A subscription must select exactly one root field.
        subscription { __typename }
          GRAPHQL_VALIDATION_FAILED: A subscription must not select introspection at its root.
        subscription($x: Boolean!) { countOrders @skip(if: $x) }
          GRAPHQL_VALIDATION_FAILED: @skip and @include cannot stand at the root of a subscription.
        { order(id: "\uD800") { id } }
          GRAPHQL_PARSE_FAILED: Syntax error: a string has an escape that there is not, or half of a surrogate pair
        { order(id: 1) { lines { lines { lines { lines { lines { lin
          LIMIT_EXCEEDED: the document nests deeper than 48
        { order(id: 1) { ...F0 } } fragment F0 on Order { ...F1 line
          LIMIT_EXCEEDED: the document has more than 10000 fields with its fragments spread
    "#]].assert_eq(&out);
}

#[tokio::test]
async fn a_known_text_is_prepared_once() {
    let schema = schema();
    let first = schema.prepare("{ countOrders }", None).await.unwrap();
    let again = schema.prepare("{ countOrders }", None).await.unwrap();
    let other = schema.prepare("{ countOrders } ", None).await.unwrap();
    assert!(Arc::ptr_eq(&first, &again));
    assert!(!Arc::ptr_eq(&first, &other));
}
