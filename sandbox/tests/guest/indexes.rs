//! Sorted views: their pages, and the entries of each document, which come to the same.

use expect_test::{Expect, expect};
use serde_json::{Value, json};
use weir_schema::declarations::FunctionKind;

use crate::harness::Guest;

/// A view of this source, keys and values over these documents, as `f`. Its keys have these parts.
fn view(arguments: &str, parts: Option<&[&str]>, documents: &[Value]) -> Guest {
    let code = format!("export const f = view.index({arguments});");
    let documents = Value::from(documents.to_vec()).to_string();
    Guest::of_index(parts, &code).unwrap().with_documents(documents.leak())
}

/// The entries of each document, and pages that are asked for.
fn check(arguments: &str, parts: Option<&[&str]>, documents: &[Value], pages: &[&str], expected: Expect) {
    let mut guest = view(arguments, parts, documents);
    let contributions = guest.call(&json!({ "documents": documents }).to_string());
    let mut lines = vec![contributions];
    lines.extend(pages.iter().map(|page| format!("{page}: {}", shown(&guest.call(page)))));
    expected.assert_eq(&lines.join("\n"));
}

/// Keys, documents and nodes of a page; what else it came to as it is.
fn shown(page: &str) -> String {
    let Ok(page) = serde_json::from_str::<Value>(page) else { return page.to_owned() };
    let edge = |edge: &Value| format!("{} {} {}", edge["key"], edge["document"].as_str().unwrap(), edge["node"]);
    let edges: Vec<String> = page["edges"].as_array().unwrap().iter().map(edge).collect();
    let more = if page["pageInfo"]["hasNextPage"] == true { ", …" } else { "" };
    format!("{}{more}", edges.join(", "))
}

#[test]
fn entries_and_pages() {
    let orders = [
        json!({ "id": "1", "total": 5, "tags": ["b", "a", "b"], "lines": [{ "p": "x", "n": 1 }, { "p": "y", "n": 2 }] }),
        json!({ "id": "2", "total": -0.0, "tags": [] }),
        json!({ "id": "3", "total": 5, "tags": ["ab", "\u{ffff}"], "lines": [{ "p": "x", "n": 3 }] }),
        json!({ "id": "4", "tags": ["\u{1f600}"], "lines": null }),
    ];
    check(
        "orders, (o) => o.total, (o) => o.tags.length",
        None,
        &orders,
        &[
            "{}",
            r#"{"order":"desc"}"#,
            r#"{"first":1}"#,
            r#"{"gt":0}"#,
            r#"{"gte":0,"lt":5}"#,
            r#"{"key":5}"#,
            r#"{"lte":-1,"key":null}"#,
        ],
        expect![[r#"
            [[[5,"3"]],[[0,"0"]],[[5,"2"]],[]]
            {}: 0 2 0, 5 1 3, 5 3 2
            {"order":"desc"}: 5 3 2, 5 1 3, 0 2 0
            {"first":1}: 0 2 0, …
            {"gt":0}: 5 1 3, 5 3 2
            {"gte":0,"lt":5}: 0 2 0
            {"key":5}: 5 1 3, 5 3 2
            {"lte":-1,"key":null}: "#]],
    );
    check(
        "orders.filter((o) => o.id !== '3'), (o) => o.tags, () => true",
        None,
        &orders,
        &["{}", r#"{"prefix":"a"}"#, r#"{"prefix":"","first":2}"#, r#"{"gt":"b"}"#],
        expect![[r#"
            [[["b","true"],["a","true"]],[],[],[["😀","true"]]]
            {}: "a" 1 true, "b" 1 true, "😀" 4 true
            {"prefix":"a"}: "a" 1 true
            {"prefix":"","first":2}: "a" 1 true, "b" 1 true, …
            {"gt":"b"}: "😀" 4 true"#]],
    );
    check(
        "orders.flatMap((o) => o.lines), (l) => ({ p: l.p, n: l.n })",
        Some(&["p", "n"]),
        &orders,
        &["{}", r#"{"prefix":{"p":"x"},"order":"desc"}"#, r#"{"gte":{"p":"x","n":3}}"#, r#"{"prefix":{"n":1}}"#],
        expect![[r#"
            [[["x",1,0],["y",2,1]],[],[["x",3,0]],[]]
            {}: {"p":"x","n":1} 1 {"p":"x","n":1}, {"p":"x","n":3} 3 {"p":"x","n":3}, {"p":"y","n":2} 1 {"p":"y","n":2}
            {"prefix":{"p":"x"},"order":"desc"}: {"p":"x","n":3} 3 {"p":"x","n":3}, {"p":"x","n":1} 1 {"p":"x","n":1}
            {"gte":{"p":"x","n":3}}: {"p":"x","n":3} 3 {"p":"x","n":3}, {"p":"y","n":2} 1 {"p":"y","n":2}
            {"prefix":{"n":1}}: failed: TypeError: prefix has n without p, which comes before it"#]],
    );
}

#[test]
fn cursors_lead_on_from_both_ends() {
    let documents: Vec<Value> = ["a", "\u{ffff}", "\u{1f600}"].iter().map(|id| json!({ "id": id })).collect();
    for order in ["asc", "desc"] {
        let mut guest = view("orders, () => ['k', 0.1, true]", None, &documents);
        let mut ask =
            |arguments: Value| -> Value { serde_json::from_str(&guest.call(&arguments.to_string())).unwrap() };
        let whole = ask(json!({ "order": order }));
        let whole = whole["edges"].as_array().unwrap();
        let (mut after, mut before) = (Value::Null, Value::Null);
        for (number, edge) in whole.iter().enumerate() {
            let page = ask(json!({ "order": order, "first": 1, "after": after }));
            assert_eq!(page["edges"], json!([edge]));
            let info = (&page["pageInfo"]["hasPreviousPage"], &page["pageInfo"]["hasNextPage"]);
            assert_eq!(info, (&json!(number > 0), &json!(number + 1 < whole.len())));
            after = edge["cursor"].clone();
        }
        for (number, edge) in whole.iter().rev().enumerate() {
            let page = ask(json!({ "order": order, "last": 1, "before": before }));
            assert_eq!(page["edges"], json!([edge]));
            let info = (&page["pageInfo"]["hasNextPage"], &page["pageInfo"]["hasPreviousPage"]);
            assert_eq!(info, (&json!(number > 0), &json!(number + 1 < whole.len())));
            before = edge["cursor"].clone();
        }
        let past = ask(json!({ "order": order, "after": after }));
        let info = json!({ "hasNextPage": false, "hasPreviousPage": true, "startCursor": null, "endCursor": null });
        assert_eq!((&past["edges"], &past["pageInfo"]), (&json!([]), &info));
        let between = ask(json!({ "order": order, "after": before, "before": after }));
        assert_eq!(between["edges"], json!(whole[1..whole.len() - 1]));
        // A cursor to end before asks for the last ones by itself.
        assert_eq!(ask(json!({ "order": order, "before": after }))["edges"], json!(whole[..whole.len() - 1]));
    }
}

#[test]
fn what_is_wrong() {
    let documents = [json!({ "id": "1", "n": 1 })];
    let load = |arguments: &str| match Guest::of_kind(
        FunctionKind::View,
        &format!("export const f = view.index({arguments});"),
    ) {
        Ok(_) => "loads".to_owned(),
        Err(error) => error.to_string(),
    };
    let lines = ["5, (o) => o.n", "orders", "orders, (o) => o.n, 5"]
        .map(|arguments| format!("{arguments}: {}", load(arguments)));
    let asked = [
        r#"{"first":1.5}"#,
        r#"{"last":-1}"#,
        r#"{"first":1,"last":1}"#,
        r#"{"before":"x"}"#,
        r#"{"first":1001}"#,
        r#"{"order":"up"}"#,
        r#"{"afterwards":1}"#,
        r#"{"after":5}"#,
        r#"{"after":"x"}"#,
        r#"{"after":"W10="}"#,
        r#"{"prefix":1}"#,
        r#"{"key":[1]}"#,
    ];
    let mut guest = view("orders, (o) => o.n", None, &documents);
    let asked = asked.map(|arguments| format!("{arguments}: {}", guest.call(arguments)));
    let given = ["{}", "[[1]]", "NaN", "() => 1", "1n"].map(|key| {
        let mut guest = view(&format!("orders, () => ({key})"), None, &documents);
        format!("{key}: {}", guest.call("{}"))
    });
    let mut several = view("orders, () => 5", Some(&["a"]), &documents);
    let several = format!("5 for an object: {}", several.call("{}"));
    let values = ["1n", "{ n: NaN }", "undefined", "() => 1"].map(|value| {
        let mut guest = view(&format!("orders, () => 1, () => ({value})"), None, &documents);
        format!("{value} as a value: {}", guest.call(&json!({ "documents": documents }).to_string()))
    });
    let all = lines.into_iter().chain(asked).chain(given).chain([several]).chain(values);
    expect![[r#"
        5, (o) => o.n: TypeError: view.index(5, ...): pass a collection, or filter(...) or flatMap(...) of one
        orders: TypeError: view.index(..., undefined): pass a function of a document
        orders, (o) => o.n, 5: TypeError: view.index(..., ..., 5): pass a function of a document
        {"first":1.5}: failed: TypeError: first is 1.5: a page of an index has from 0 to 1000 entries
        {"last":-1}: failed: TypeError: last is -1: a page of an index has from 0 to 1000 entries
        {"first":1,"last":1}: failed: TypeError: first and last stand together: say one of them
        {"before":"x"}: failed: TypeError: before: this is not a cursor
        {"first":1001}: failed: TypeError: first is 1001: a page of an index has from 0 to 1000 entries
        {"order":"up"}: failed: TypeError: order is "up": say "asc" or "desc"
        {"afterwards":1}: failed: TypeError: an index takes key, gt, gte, lt, lte, prefix, order, first, after, last, before, not afterwards
        {"after":5}: failed: TypeError: after is 5: pass the cursor of an edge, a string
        {"after":"x"}: failed: TypeError: after: this is not a cursor
        {"after":"W10="}: failed: TypeError: after: this is not a cursor
        {"prefix":1}: failed: TypeError: prefix is 1: pass a string
        {"key":[1]}: failed: TypeError: a key is an object: give a string, a finite number, a boolean or null
        {}: failed: TypeError: a key is an object: give a string, a finite number, a boolean or null
        [[1]]: failed: TypeError: a key is an object: give a string, a finite number, a boolean or null
        NaN: failed: TypeError: a key is NaN: give a string, a finite number, a boolean or null
        () => 1: failed: TypeError: a key is a function: give a string, a finite number, a boolean or null
        1n: failed: TypeError: a key is 1n: give a string, a finite number, a boolean or null
        5 for an object: failed: TypeError: a key is 5: give an object with a
        1n as a value: failed: TypeError: result is a bigint, which JSON cannot hold; use a number or a string
        { n: NaN } as a value: failed: TypeError: result.n is NaN, which JSON cannot hold
        undefined as a value: [[[1,"null"]]]
        () => 1 as a value: failed: TypeError: result is a function, which JSON cannot hold"#]].assert_eq(&all.collect::<Vec<_>>().join("\n"));
}
