//! Calls, merged selections, projection, null propagation.

use expect_test::expect;
use serde_json::json;
use weir_engine::call::CallError;
use weir_schema::error::ErrorCode;

use super::{ROOM, check, order, run, schema};

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
async fn nothing_is_called_once_the_response_is_full() {
    let place = r#"placeOrder(order: { total: 1, status: paid, lines: { sku: "a", quantity: 1 } })"#;
    let large = json!({ "id": "x".repeat(ROOM / 2), "total": 2.5, "status": "paid", "note": null, "lines": [] });
    let fields: String = (0..5).map(|n| format!("f{n}: {place} {{ id }} ")).collect();
    let functions = |_: &str| Ok(large.clone());
    let shown = run(&schema(), &format!("mutation {{ {fields} }}"), &json!({}), functions).await;
    assert_eq!(shown.matches("placeOrder {").count(), 2, "{shown}");
    for n in 2..5 {
        assert!(shown.contains(&format!("LIMIT_EXCEEDED at [\"f{n}\"]: past the limit response_bytes")), "{shown}");
        assert!(shown.contains(&format!("\"f{n}\":null")), "{shown}");
    }
}

#[tokio::test]
async fn one_result_comes_to_no_more_than_a_few_times_what_it_has() {
    let large = json!({ "id": "x".repeat(2 << 20), "total": 2.5, "status": "paid", "note": null, "lines": [] });
    for (names, is_told) in [(1, true), (4, true), (9, false)] {
        let ids: String = (0..names).map(|n| format!("i{n}: id ")).collect();
        let shown = run(&schema(), &format!("{{ order(id: 1) {{ {ids} }} }}"), &json!({}), |_| Ok(large.clone())).await;
        assert_eq!(shown.contains("LIMIT_EXCEEDED at [\"order\"]"), !is_told, "{names}");
        assert_eq!(shown.contains("\"order\":null"), !is_told, "{names}");
    }
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
    check(
        query,
        json!({}),
        json!({ "lastTransfer": { "kind": "done", "balance": 3 } }),
        expect![[r#"
        lastTransfer {}
        {"lastTransfer":{"__typename":"Done","kind":"done","balance":3,"again":"Done"}}
    "#]],
    )
    .await;
    check(
        query,
        json!({}),
        json!({ "lastTransfer": { "kind": "else" } }),
        expect![[r#"
        lastTransfer {}
        INTERNAL at ["lastTransfer"]: the schema promises TransferResult, told by kind, but an object came up
        {"lastTransfer":null}
    "#]],
    )
    .await;
}

#[tokio::test]
async fn null_goes_up_to_the_nearest_place_that_may_hold_it() {
    let broken = json!({ "id": "o2", "total": 1, "status": "open", "lines": [{ "sku": "a", "quantity": null }] });
    let query = "{ holes { id lines { sku quantity } } countOrders }";
    let returns = json!({ "holes": [order("o1"), broken, null], "countOrders": 3 });
    check(
        query,
        json!({}),
        returns,
        expect![[r#"
        holes {}
        countOrders {}
        INTERNAL at ["holes",1,"lines",0,"quantity"]: null came up where the schema promises a value
        {"holes":[{"id":"o1","lines":[{"sku":"a","quantity":1}]},null,null],"countOrders":3}
    "#]],
    )
    .await;
    let returns = json!({ "ordersOf": [order("o1"), broken] });
    check(
        r#"{ x: ordersOf(customer: "c") { id lines { quantity } } }"#,
        json!({}),
        returns,
        expect![[r#"
        ordersOf {"customer":"c"}
        INTERNAL at ["x",1,"lines",0,"quantity"]: null came up where the schema promises a value
        {"x":null}
    "#]],
    )
    .await;
    check(
        "mutation { batch(calls: []) { value } }",
        json!({}),
        json!({}),
        expect![[r#"
        batch 0 atomic true
        {"batch":[]}
    "#]],
    )
    .await;
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
    "#]]
    .assert_eq(&out);
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
