//! Values in which their caller may not view everything.

use expect_test::{Expect, expect};
use serde_json::json;
use weir_engine::content::Given;
use weir_schema::validate::PlaceStep;

use super::{order, run_giving, schema};

/// Orders of which these places are hidden, each written as JSON.
async fn check(query: &str, hidden: &[serde_json::Value], expected: Expect) {
    let mut places: Vec<Vec<PlaceStep>> =
        hidden.iter().map(|place| serde_json::from_value(place.clone()).unwrap()).collect();
    places.sort_unstable();
    let mut orders = json!([order("a"), order("b")]);
    for place in hidden {
        let pointer: String =
            place.as_array().unwrap().iter().map(|step| format!("/{step}").replace('"', "")).collect();
        *orders.pointer_mut(&pointer).unwrap() = json!(null);
    }
    let given = |_: &str| Ok(Given { value: orders.clone(), hidden: places.clone().into() });
    expected.assert_eq(&run_giving(&schema(), query, &json!({}), given).await);
}

#[tokio::test]
async fn null_may_stand_and_is_told() {
    let hidden = [json!([1, "note"])];
    check(
        "{ ordersOf(customer: \"c\") { id note } }",
        &hidden,
        expect![[r#"
        ordersOf {"customer":"c"}
        FORBIDDEN at ["ordersOf",1,"note"]: the caller may not view this
        {"ordersOf":[{"id":"a","note":null},{"id":"b","note":null}]}
    "#]],
    )
    .await;
    check(
        "{ a: ordersOf(customer: \"c\") { why: note } }",
        &hidden,
        expect![[r#"
        ordersOf {"customer":"c"}
        FORBIDDEN at ["a",1,"why"]: the caller may not view this
        {"a":[{"why":null},{"why":null}]}
    "#]],
    )
    .await;
    check(
        "{ ordersOf(customer: \"c\") { id } }",
        &hidden,
        expect![[r#"
        ordersOf {"customer":"c"}
        {"ordersOf":[{"id":"a"},{"id":"b"}]}
    "#]],
    )
    .await;
}

#[tokio::test]
async fn null_goes_up_where_it_may_not_stand() {
    check(
        "{ ordersOf(customer: \"c\") { id total note } }",
        &[json!([0, "total"])],
        expect![[r#"
        ordersOf {"customer":"c"}
        FORBIDDEN at ["ordersOf",0,"total"]: the caller may not view this
        {"ordersOf":null}
    "#]],
    )
    .await;
    check(
        "{ ordersOf(customer: \"c\") { id lines { sku } } }",
        &[json!([1, "lines", 0, "sku"])],
        expect![[r#"
        ordersOf {"customer":"c"}
        FORBIDDEN at ["ordersOf",1,"lines",0,"sku"]: the caller may not view this
        {"ordersOf":null}
    "#]],
    )
    .await;
}
