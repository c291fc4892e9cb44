//! Fixed requests, answered as by the reference: what each rule of execution and validation comes to, one line each.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use expect_test::{Expect, expect};
use serde_json::{Map, Value, json};

use super::sides::{Sides, difference};
use crate::apps::root;
use crate::node;

const APP: &str = r#"
import { query, procedure, view, stream, type ID, type Int, type Float, type JSON, type Bytes } from "weir";
export type Status = "open" | "fee-pool" | "nullable";
export interface Line { sku: ID; count: Int; price: Float; status?: Status }
export interface Done { kind: "done"; id: ID; lines: (Line | null)[]; next: Outcome | null; grid: (Int | null)[][] }
export interface Refused { kind: "refused"; id: string; reason: string }
export type Outcome = Done | Refused;
export interface Filter { status?: Status; any?: Status[]; ids?: ID[]; min: Float; also?: Filter | null; data?: JSON }
export const find = query((args: { filter?: Filter; limit?: Int; id?: ID; ratio?: Float; any?: (Status | null)[] }): Outcome[] => null as never);
export const line = query((args: { sku: ID; on: boolean }): Line | null => null as never);
export const lines = query((): (Line | null)[] => null as never);
export const strict = query((): Line[] => null as never);
export const count = view((): Int => null as never);
export const raw = query((args: { data?: JSON }): JSON => null as never);
export const bytes = query((): Bytes => null as never);
export const place = procedure((args: { sku: ID; count?: Int }): Line => null as never);
export const remove = procedure((args: { sku: ID }): boolean => null as never);
export const events = stream(async function* (args: { from?: Int }): AsyncGenerator<Line> { yield null as never; });
"#;

fn line(sku: &str) -> Value {
    json!({ "sku": sku, "count": 1, "price": 2.5, "status": "fee-pool" })
}

/// Asks both sides each of the requests, and writes down what Weir says and what it has called.
#[track_caller]
fn check(test: &str, returns: &Value, requests: &[(&str, Value)], expected: &Expect) {
    let Some(packages) = node::packages(test) else { return };
    let mut sides = Sides::start(packages);
    sides.make(APP, &json!({ "Done": "done", "Refused": "refused" }), "kind");
    let mut shown = String::new();
    for (query, variables) in requests {
        let (weir, reference) = sides.ask(&json!({ "query": query, "variables": variables, "returns": returns }));
        let why = difference(&weir, &reference);
        assert!(why.is_none(), "{query}\n{}\nweir {weir}\nreference {reference}", why.unwrap_or_default());
        let given = if variables.as_object().is_some_and(|given| given.is_empty()) {
            String::new()
        } else {
            format!(" {variables}")
        };
        writeln!(shown, "{query}{given}").unwrap();
        for error in weir["response"]["errors"].as_array().into_iter().flatten() {
            let path = error.get("path").map(|path| format!(" at {path}")).unwrap_or_default();
            writeln!(
                shown,
                "  {}{path}: {}",
                error["extensions"]["code"].as_str().unwrap(),
                error["message"].as_str().unwrap()
            )
            .unwrap();
        }
        for call in weir["calls"].as_array().unwrap() {
            writeln!(shown, "  called {} {}", call[0].as_str().unwrap(), call[1]).unwrap();
        }
        if let Some(data) = weir["response"].get("data") {
            writeln!(shown, "  {data}").unwrap();
        }
    }
    expected.assert_eq(&shown);
}

#[test]
fn root_mutations_run_in_order_each_key_once() {
    let returns = json!({ "place": { "value": line("a") }, "remove": { "fail": "gone" } });
    let requests = [
        (r#"mutation { b: remove(sku: "1") a: place(sku: "2") { sku } place(sku: "3") { sku } }"#, json!({})),
        (
            r#"mutation { place(sku: "1") { sku } place(sku: "1") { count } ...F } fragment F on Mutation { place(sku: "1") { price } }"#,
            json!({}),
        ),
        (r#"mutation { place(sku: "1") { sku } place(sku: "2") { sku } }"#, json!({})),
        (r#"mutation { x: place(sku: 1, count: 2) { sku } y: place(count: 2, sku: "1") { sku } }"#, json!({})),
        (
            r#"mutation($a: Boolean!) { a: place(sku: "1") @skip(if: $a) { sku } b: place(sku: "2") @include(if: $a) { sku } }"#,
            json!({ "a": true }),
        ),
        (
            r#"mutation { batch(calls: [{ function: "place" }]) { value error { code } } place(sku: "1") { sku } }"#,
            json!({}),
        ),
        (r#"mutation($a: Boolean) { batch(calls: { function: "place" }, atomic: $a) { error { code } } }"#, json!({})),
        (
            r#"mutation($a: Boolean) { x: place(sku: "1") { sku } batch(calls: [], atomic: $a) { error { code } } y: place(sku: "2") { sku } }"#,
            json!({ "a": null }),
        ),
    ];
    check(
        "root_mutations_run_in_order_each_key_once",
        &returns,
        &requests,
        &expect![[r#"
        mutation { b: remove(sku: "1") a: place(sku: "2") { sku } place(sku: "3") { sku } }
          FUNCTION_FAILED at ["b"]: gone
          called remove {"sku":"1"}
          called place {"sku":"2"}
          called place {"sku":"3"}
          {"b":null,"a":{"sku":"a"},"place":{"sku":"a"}}
        mutation { place(sku: "1") { sku } place(sku: "1") { count } ...F } fragment F on Mutation { place(sku: "1") { price } }
          called place {"sku":"1"}
          {"place":{"sku":"a","count":1,"price":2.5}}
        mutation { place(sku: "1") { sku } place(sku: "2") { sku } }
          GRAPHQL_VALIDATION_FAILED: Fields "place" conflict because they have differing arguments. Use different aliases to fetch both.
        mutation { x: place(sku: 1, count: 2) { sku } y: place(count: 2, sku: "1") { sku } }
          called place {"sku":"1","count":2}
          called place {"sku":"1","count":2}
          {"x":{"sku":"a"},"y":{"sku":"a"}}
        mutation($a: Boolean!) { a: place(sku: "1") @skip(if: $a) { sku } b: place(sku: "2") @include(if: $a) { sku } } {"a":true}
          called place {"sku":"2"}
          {"b":{"sku":"a"}}
        mutation { batch(calls: [{ function: "place" }]) { value error { code } } place(sku: "1") { sku } }
          called batch {"calls":["place"],"atomic":true}
          called place {"sku":"1"}
          {"batch":[{"value":{"sku":"a","count":1,"price":2.5,"status":"fee-pool"},"error":null}],"place":{"sku":"a"}}
        mutation($a: Boolean) { batch(calls: { function: "place" }, atomic: $a) { error { code } } }
          called batch {"calls":["place"],"atomic":true}
          {"batch":[{"error":null}]}
        mutation($a: Boolean) { x: place(sku: "1") { sku } batch(calls: [], atomic: $a) { error { code } } y: place(sku: "2") { sku } } {"a":null}
          BAD_ARGUMENTS at ["batch"]: $a: null was given where a value is needed
          called place {"sku":"1"}
          null
    "#]],
    );
}

#[test]
fn null_and_errors_leave_what_they_can() {
    let done =
        |lines: Value| json!({ "kind": "done", "id": "d", "lines": lines, "next": null, "grid": [[1, null], []] });
    let refused = json!({ "kind": "refused", "id": 5, "reason": "x" });
    let wrong = json!({ "sku": "b", "count": null, "price": "2", "status": "lost" });
    let returns = json!({
        "find": { "value": [done(json!([line("a"), null, wrong])), refused] },
        "line": { "value": { "sku": "a", "count": 3_000_000_000_u64, "price": null, "status": "open" } },
        "lines": { "value": [null, line("a"), wrong, "text", line("b")] },
        "strict": { "value": [line("a"), null] },
        "count": { "fail": "on purpose" },
        "raw": { "value": { "any": [null, 1.5] } },
        "bytes": { "value": 7 },
    });
    let requests = [
        ("{ lines { sku count } }", json!({})),
        ("{ lines { sku price status } }", json!({})),
        ("{ lines { status } count raw bytes }", json!({})),
        ("{ strict { sku } lines { sku } }", json!({})),
        ("{ find { __typename ... on Done { lines { sku count } grid } ... on Refused { reason } } }", json!({})),
        ("{ find { ... on Done { id lines { price } } ... on Refused { reason } } a: count b: count }", json!({})),
        ("{ find { ... on Refused { id reason } } }", json!({})),
        (
            r#"{ a: line(sku: "1", on: true) { count } b: line(sku: "1", on: true) { status price } line(sku: "2", on: false) { sku } }"#,
            json!({}),
        ),
        ("{ lines { x: count ...F } } fragment F on Line { sku x: count }", json!({})),
    ];
    check(
        "null_and_errors_leave_what_they_can",
        &returns,
        &requests,
        &expect![[r#"
        { lines { sku count } }
          INTERNAL at ["lines",2,"count"]: null came up where the schema promises a value
          INTERNAL at ["lines",3]: the schema promises Line, but "text" came up
          called lines {}
          {"lines":[null,{"sku":"a","count":1},null,null,{"sku":"b","count":1}]}
        { lines { sku price status } }
          INTERNAL at ["lines",2,"price"]: the schema promises Float, but "2" came up
          INTERNAL at ["lines",3]: the schema promises Line, but "text" came up
          called lines {}
          {"lines":[null,{"sku":"a","price":2.5,"status":"fee_pool"},null,null,{"sku":"b","price":2.5,"status":"fee_pool"}]}
        { lines { status } count raw bytes }
          INTERNAL at ["lines",2,"status"]: the schema promises Status (open | fee_pool | nullable), but "lost" came up
          INTERNAL at ["lines",3]: the schema promises Line, but "text" came up
          FUNCTION_FAILED at ["count"]: on purpose
          INTERNAL at ["bytes"]: the schema promises Bytes, but 7 came up
          called lines {}
          called count {}
          called raw {}
          called bytes {}
          {"lines":[null,{"status":"fee_pool"},{"status":null},null,{"status":"fee_pool"}],"count":null,"raw":{"any":[null,1.5]},"bytes":null}
        { strict { sku } lines { sku } }
          INTERNAL at ["strict",1]: null came up where the schema promises a value
          INTERNAL at ["lines",3]: the schema promises Line, but "text" came up
          called strict {}
          called lines {}
          {"strict":null,"lines":[null,{"sku":"a"},{"sku":"b"},null,{"sku":"b"}]}
        { find { __typename ... on Done { lines { sku count } grid } ... on Refused { reason } } }
          INTERNAL at ["find",0,"lines",2,"count"]: null came up where the schema promises a value
          called find {}
          {"find":[{"__typename":"Done","lines":[{"sku":"a","count":1},null,null],"grid":[[1,null],[]]},{"__typename":"Refused","reason":"x"}]}
        { find { ... on Done { id lines { price } } ... on Refused { reason } } a: count b: count }
          INTERNAL at ["find",0,"lines",2,"price"]: the schema promises Float, but "2" came up
          FUNCTION_FAILED at ["a"]: on purpose
          FUNCTION_FAILED at ["b"]: on purpose
          called find {}
          called count {}
          called count {}
          {"find":[{"id":"d","lines":[{"price":2.5},null,null]},{"reason":"x"}],"a":null,"b":null}
        { find { ... on Refused { id reason } } }
          INTERNAL at ["find",1,"id"]: the schema promises String, but 5 came up
          called find {}
          {"find":null}
        { a: line(sku: "1", on: true) { count } b: line(sku: "1", on: true) { status price } line(sku: "2", on: false) { sku } }
          INTERNAL at ["a","count"]: the schema promises Int, but 3000000000 came up
          INTERNAL at ["b","price"]: null came up where the schema promises a value
          called line {"sku":"1","on":true}
          called line {"sku":"1","on":true}
          called line {"sku":"2","on":false}
          {"a":null,"b":null,"line":{"sku":"a"}}
        { lines { x: count ...F } } fragment F on Line { sku x: count }
          INTERNAL at ["lines",2,"x"]: null came up where the schema promises a value
          INTERNAL at ["lines",3]: the schema promises Line, but "text" came up
          called lines {}
          {"lines":[null,{"x":1,"sku":"a"},null,null,{"x":1,"sku":"b"}]}
    "#]],
    );
}

#[test]
fn inputs_are_coerced() {
    let returns = json!({ "find": { "value": [] }, "line": { "value": null }, "raw": { "value": null } });
    let find = "query($f: Filter, $l: Int, $i: ID, $r: Float, $a: [Status]) { find(filter: $f, limit: $l, id: $i, ratio: $r, any: $a) { __typename } }";
    let find = find.replace("Filter", "FilterInput");
    let find = find.as_str();
    let requests = [
        (find, json!({})),
        (find, json!({ "f": null, "l": null, "i": null, "r": null, "a": null })),
        (find, json!({ "l": 2_147_483_647, "i": 12, "r": 3, "a": "fee_pool" })),
        (find, json!({ "l": -2_147_483_648_i64, "i": -1, "r": 1e300, "a": ["nullable", null] })),
        (find, json!({ "l": 5.0, "i": "", "a": [] })),
        (find, json!({ "l": 2_147_483_648_i64 })),
        (find, json!({ "l": 1.5, "i": 1.5, "r": "1", "a": ["fee-pool"] })),
        (find, json!({ "l": "1", "i": true, "r": true, "a": [["open"]] })),
        (find, json!({ "f": { "min": 1, "ids": "a", "any": "open", "also": { "min": 2, "ids": [1, "b"] } } })),
        (find, json!({ "f": { "min": 1, "also": null, "status": null, "data": { "a": [1] } } })),
        (find, json!({ "f": { "status": "open" } })),
        (find, json!({ "f": { "min": 1, "also": { "min": null } } })),
        (find, json!({ "f": { "min": 1, "more": 1 } })),
        (find, json!({ "f": [] })),
        (find, json!({ "f": "x" })),
        ("query($s: ID!, $o: Boolean!) { line(sku: $s, on: $o) { sku } }", json!({ "s": "a", "o": false })),
        ("query($s: ID!, $o: Boolean!) { line(sku: $s, on: $o) { sku } }", json!({ "s": null })),
        ("query($s: ID = \"d\", $o: Boolean = true) { line(sku: $s, on: $o) { sku } }", json!({})),
        (
            "query($s: ID = \"d\", $o: Boolean = true) { line(sku: $s, on: $o) { sku } find { __typename } }",
            json!({ "s": null }),
        ),
        ("query($s: ID, $o: Boolean!) { line(sku: $s, on: $o) { sku } }", json!({ "s": "a", "o": false })),
        ("query($s: ID = null) { line(sku: $s, on: true) { sku } }", json!({ "s": "a" })),
        ("query($i: [ID!] = \"a\") { find(filter: { min: 1, ids: $i }) { __typename } }", json!({})),
        ("query($m: Float = 2) { find(filter: { min: $m }) { __typename } }", json!({})),
        ("query($m: Float = 2) { find(filter: { min: $m }) { __typename } }", json!({ "m": null })),
        ("query($a: Status) { find(any: [$a, open]) { __typename } }", json!({})),
        ("query($a: Status) { find(any: $a) { __typename } }", json!({ "a": "open" })),
        ("{ find(limit: 3.0) { __typename } }", json!({})),
        ("{ find(limit: 2147483648) { __typename } }", json!({})),
        ("{ find(id: 7, ratio: 3, any: nullable) { __typename } }", json!({})),
        ("{ find(id: 7.0) { __typename } }", json!({})),
        ("{ find(id: -0, limit: -0) { __typename } }", json!({})),
        ("{ find(limit: 0.0) { __typename } }", json!({})),
        ("{ find(any: \"open\") { __typename } }", json!({})),
        ("{ find(any: [fee_pool, null]) { __typename } }", json!({})),
        ("{ find(filter: { min: 1, min: 2 }) { __typename } }", json!({})),
        ("query($x: Int) { raw(data: { a: [1, 2.5, \"s\", true, null, $x], b: $x, c: { d: [] } }) }", json!({})),
        ("query($x: Bytes) { raw(data: { b: $x }) }", json!({ "x": "AA==" })),
        ("query($x: DateTime) { raw(data: { b: $x }) }", json!({})),
        ("{ raw(data: word) }", json!({})),
    ];
    check(
        "inputs_are_coerced",
        &returns,
        &requests,
        &expect![[r#"
            query($f: FilterInput, $l: Int, $i: ID, $r: Float, $a: [Status]) { find(filter: $f, limit: $l, id: $i, ratio: $r, any: $a) { __typename } }
              called find {}
              {"find":[]}
            query($f: FilterInput, $l: Int, $i: ID, $r: Float, $a: [Status]) { find(filter: $f, limit: $l, id: $i, ratio: $r, any: $a) { __typename } } {"f":null,"l":null,"i":null,"r":null,"a":null}
              called find {"filter":null,"limit":null,"id":null,"ratio":null,"any":null}
              {"find":[]}
            query($f: FilterInput, $l: Int, $i: ID, $r: Float, $a: [Status]) { find(filter: $f, limit: $l, id: $i, ratio: $r, any: $a) { __typename } } {"l":2147483647,"i":12,"r":3,"a":"fee_pool"}
              called find {"limit":2147483647,"id":"12","ratio":3,"any":["fee-pool"]}
              {"find":[]}
            query($f: FilterInput, $l: Int, $i: ID, $r: Float, $a: [Status]) { find(filter: $f, limit: $l, id: $i, ratio: $r, any: $a) { __typename } } {"l":-2147483648,"i":-1,"r":1e+300,"a":["nullable",null]}
              called find {"limit":-2147483648,"id":"-1","ratio":1e+300,"any":["nullable",null]}
              {"find":[]}
            query($f: FilterInput, $l: Int, $i: ID, $r: Float, $a: [Status]) { find(filter: $f, limit: $l, id: $i, ratio: $r, any: $a) { __typename } } {"l":5.0,"i":"","a":[]}
              called find {"limit":5,"id":"","any":[]}
              {"find":[]}
            query($f: FilterInput, $l: Int, $i: ID, $r: Float, $a: [Status]) { find(filter: $f, limit: $l, id: $i, ratio: $r, any: $a) { __typename } } {"l":2147483648}
              BAD_ARGUMENTS: $l: expected Int, got 2147483648
            query($f: FilterInput, $l: Int, $i: ID, $r: Float, $a: [Status]) { find(filter: $f, limit: $l, id: $i, ratio: $r, any: $a) { __typename } } {"l":1.5,"i":1.5,"r":"1","a":["fee-pool"]}
              BAD_ARGUMENTS: $l: expected Int, got 1.5
              BAD_ARGUMENTS: $i: expected ID, got 1.5
              BAD_ARGUMENTS: $r: expected Float, got "1"
              BAD_ARGUMENTS: $a[0]: expected Status (open | fee_pool | nullable), got "fee-pool"
            query($f: FilterInput, $l: Int, $i: ID, $r: Float, $a: [Status]) { find(filter: $f, limit: $l, id: $i, ratio: $r, any: $a) { __typename } } {"l":"1","i":true,"r":true,"a":[["open"]]}
              BAD_ARGUMENTS: $l: expected Int, got "1"
              BAD_ARGUMENTS: $i: expected ID, got true
              BAD_ARGUMENTS: $r: expected Float, got true
              BAD_ARGUMENTS: $a[0]: expected Status (open | fee_pool | nullable), got a list
            query($f: FilterInput, $l: Int, $i: ID, $r: Float, $a: [Status]) { find(filter: $f, limit: $l, id: $i, ratio: $r, any: $a) { __typename } } {"f":{"min":1,"ids":"a","any":"open","also":{"min":2,"ids":[1,"b"]}}}
              called find {"filter":{"any":["open"],"ids":["a"],"min":1,"also":{"ids":["1","b"],"min":2}}}
              {"find":[]}
            query($f: FilterInput, $l: Int, $i: ID, $r: Float, $a: [Status]) { find(filter: $f, limit: $l, id: $i, ratio: $r, any: $a) { __typename } } {"f":{"min":1,"also":null,"status":null,"data":{"a":[1]}}}
              called find {"filter":{"status":null,"min":1,"also":null,"data":{"a":[1]}}}
              {"find":[]}
            query($f: FilterInput, $l: Int, $i: ID, $r: Float, $a: [Status]) { find(filter: $f, limit: $l, id: $i, ratio: $r, any: $a) { __typename } } {"f":{"status":"open"}}
              BAD_ARGUMENTS: $f: FilterInput needs min: Float!
            query($f: FilterInput, $l: Int, $i: ID, $r: Float, $a: [Status]) { find(filter: $f, limit: $l, id: $i, ratio: $r, any: $a) { __typename } } {"f":{"min":1,"also":{"min":null}}}
              BAD_ARGUMENTS: $f.also.min: expected Float!, got null
            query($f: FilterInput, $l: Int, $i: ID, $r: Float, $a: [Status]) { find(filter: $f, limit: $l, id: $i, ratio: $r, any: $a) { __typename } } {"f":{"min":1,"more":1}}
              BAD_ARGUMENTS: $f: FilterInput has no field more; it has status, any, ids, min, also, data
            query($f: FilterInput, $l: Int, $i: ID, $r: Float, $a: [Status]) { find(filter: $f, limit: $l, id: $i, ratio: $r, any: $a) { __typename } } {"f":[]}
              BAD_ARGUMENTS: $f: expected FilterInput, an object, got a list
            query($f: FilterInput, $l: Int, $i: ID, $r: Float, $a: [Status]) { find(filter: $f, limit: $l, id: $i, ratio: $r, any: $a) { __typename } } {"f":"x"}
              BAD_ARGUMENTS: $f: expected FilterInput, an object, got "x"
            query($s: ID!, $o: Boolean!) { line(sku: $s, on: $o) { sku } } {"s":"a","o":false}
              called line {"sku":"a","on":false}
              {"line":null}
            query($s: ID!, $o: Boolean!) { line(sku: $s, on: $o) { sku } } {"s":null}
              BAD_ARGUMENTS: $s: expected ID!, got null
              BAD_ARGUMENTS: $o: no value given; expected Boolean!
            query($s: ID = "d", $o: Boolean = true) { line(sku: $s, on: $o) { sku } }
              called line {"sku":"d","on":true}
              {"line":null}
            query($s: ID = "d", $o: Boolean = true) { line(sku: $s, on: $o) { sku } find { __typename } } {"s":null}
              BAD_ARGUMENTS at ["line"]: $s: null was given where a value is needed
              called find {}
              {"line":null,"find":[]}
            query($s: ID, $o: Boolean!) { line(sku: $s, on: $o) { sku } } {"s":"a","o":false}
              GRAPHQL_VALIDATION_FAILED: the variable $s has the type ID, where ID! is expected
            query($s: ID = null) { line(sku: $s, on: true) { sku } } {"s":"a"}
              GRAPHQL_VALIDATION_FAILED: the variable $s has the type ID, where ID! is expected
            query($i: [ID!] = "a") { find(filter: { min: 1, ids: $i }) { __typename } }
              called find {"filter":{"ids":["a"],"min":1}}
              {"find":[]}
            query($m: Float = 2) { find(filter: { min: $m }) { __typename } }
              called find {"filter":{"min":2}}
              {"find":[]}
            query($m: Float = 2) { find(filter: { min: $m }) { __typename } } {"m":null}
              BAD_ARGUMENTS at ["find"]: $m: null was given where a value is needed
              {"find":null}
            query($a: Status) { find(any: [$a, open]) { __typename } }
              called find {"any":[null,"open"]}
              {"find":[]}
            query($a: Status) { find(any: $a) { __typename } } {"a":"open"}
              GRAPHQL_VALIDATION_FAILED: the variable $a has the type Status, where [Status] is expected
            { find(limit: 3.0) { __typename } }
              GRAPHQL_VALIDATION_FAILED: Argument limit: expected Int, got 3.0
            { find(limit: 2147483648) { __typename } }
              GRAPHQL_VALIDATION_FAILED: Argument limit: expected Int, got 2147483648
            { find(id: 7, ratio: 3, any: nullable) { __typename } }
              called find {"id":"7","ratio":3,"any":["nullable"]}
              {"find":[]}
            { find(id: 7.0) { __typename } }
              GRAPHQL_VALIDATION_FAILED: Argument id: expected ID, got 7.0
            { find(id: -0, limit: -0) { __typename } }
              called find {"limit":0,"id":"-0"}
              {"find":[]}
            { find(limit: 0.0) { __typename } }
              GRAPHQL_VALIDATION_FAILED: Argument limit: expected Int, got 0.0
            { find(any: "open") { __typename } }
              GRAPHQL_VALIDATION_FAILED: Argument any: expected Status (open | fee_pool | nullable), got "open"
            { find(any: [fee_pool, null]) { __typename } }
              called find {"any":["fee-pool",null]}
              {"find":[]}
            { find(filter: { min: 1, min: 2 }) { __typename } }
              GRAPHQL_VALIDATION_FAILED: There can be only one input field named "min".
            query($x: Int) { raw(data: { a: [1, 2.5, "s", true, null, $x], b: $x, c: { d: [] } }) }
              called raw {"data":{"a":[1,2.5,"s",true,null,null],"c":{"d":[]}}}
              {"raw":null}
            query($x: Bytes) { raw(data: { b: $x }) } {"x":"AA=="}
              called raw {"data":{"b":"AA=="}}
              {"raw":null}
            query($x: DateTime) { raw(data: { b: $x }) }
              GRAPHQL_VALIDATION_FAILED: Unknown type "DateTime"
            { raw(data: word) }
              GRAPHQL_VALIDATION_FAILED: Argument data: expected JSON, got word; write it as a string
        "#]],
    );
}

#[test]
fn subscriptions_have_one_root_field() {
    let returns =
        json!({ "events": { "value": line("e") }, "count": { "value": 3 }, "lines": { "value": [null, line("a")] } });
    let requests = [
        ("subscription { events { sku } }", json!({})),
        (
            "subscription S($f: Int) { x: events(from: $f) { ...L } } fragment L on Line { sku status }",
            json!({ "f": 2 }),
        ),
        ("subscription { ...F } fragment F on Subscription { ... on Subscription { count } }", json!({})),
        ("subscription { ...F ...F lines { sku } } fragment F on Subscription { lines { count } }", json!({})),
        (
            "subscription($a: Boolean!) { lines { sku @skip(if: $a) ... @include(if: $a) { count } } }",
            json!({ "a": true }),
        ),
        ("subscription { count lines { sku } }", json!({})),
        ("subscription { count ...F } fragment F on Subscription { c: count }", json!({})),
        ("subscription { __typename }", json!({})),
        ("subscription { count @skip(if: false) }", json!({})),
        (
            "subscription($a: Boolean!) { ...F @include(if: $a) } fragment F on Subscription { count }",
            json!({ "a": true }),
        ),
        ("subscription { ... @skip(if: true) { count } lines { sku } }", json!({})),
        (r#"subscription { invoke(function: "count") }"#, json!({})),
        (r#"subscription { invoke(function: "place") }"#, json!({})),
        ("subscription($f: Int!) { events(from: $f) { sku } }", json!({})),
    ];
    check(
        "subscriptions_have_one_root_field",
        &returns,
        &requests,
        &expect![[r#"
        subscription { events { sku } }
          called events {}
          {"events":{"sku":"e"}}
        subscription S($f: Int) { x: events(from: $f) { ...L } } fragment L on Line { sku status } {"f":2}
          called events {"from":2}
          {"x":{"sku":"e","status":"fee_pool"}}
        subscription { ...F } fragment F on Subscription { ... on Subscription { count } }
          called count {}
          {"count":3}
        subscription { ...F ...F lines { sku } } fragment F on Subscription { lines { count } }
          called lines {}
          {"lines":[null,{"count":1,"sku":"a"}]}
        subscription($a: Boolean!) { lines { sku @skip(if: $a) ... @include(if: $a) { count } } } {"a":true}
          called lines {}
          {"lines":[null,{"count":1}]}
        subscription { count lines { sku } }
          GRAPHQL_VALIDATION_FAILED: A subscription must select exactly one root field.
        subscription { count ...F } fragment F on Subscription { c: count }
          GRAPHQL_VALIDATION_FAILED: A subscription must select exactly one root field.
        subscription { __typename }
          GRAPHQL_VALIDATION_FAILED: A subscription must not select introspection at its root.
        subscription { count @skip(if: false) }
          GRAPHQL_VALIDATION_FAILED: @skip and @include cannot stand at the root of a subscription.
        subscription($a: Boolean!) { ...F @include(if: $a) } fragment F on Subscription { count } {"a":true}
          GRAPHQL_VALIDATION_FAILED: @skip and @include cannot stand at the root of a subscription.
        subscription { ... @skip(if: true) { count } lines { sku } }
          GRAPHQL_VALIDATION_FAILED: @skip and @include cannot stand at the root of a subscription.
          GRAPHQL_VALIDATION_FAILED: A subscription must select exactly one root field.
        subscription { invoke(function: "count") }
          called count null
          {"invoke":3}
        subscription { invoke(function: "place") }
          NOT_FOUND at ["invoke"]: Subscription has no function place
        subscription($f: Int!) { events(from: $f) { sku } }
          BAD_ARGUMENTS: $f: no value given; expected Int!
    "#]],
    );
}

/// Pages, groups, indexes and whatever else the compiler makes types of.
#[test]
fn whole_apps_introspect_as_their_sdl_says() {
    let Some(packages) = node::packages("whole_apps_introspect_as_their_sdl_says") else { return };
    let mut sides = Sides::start(packages);
    for app in ["examples/shop", "examples/atlas", "tests/fixtures/jobs", "tests/fixtures/observatory"] {
        let mut files = Map::new();
        read(&root().join(app), "", &mut files);
        sides.make_of(&files.into(), &json!({}), "kind");
    }
}

fn read(folder: &Path, prefix: &str, files: &mut Map<String, Value>) {
    for entry in fs::read_dir(folder).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name().into_string().unwrap())).unwrap();
        let name = format!("{prefix}{name}");
        if path.is_dir() {
            read(&path, &format!("{name}/"), files);
        } else if name == "app.toml" || name.ends_with(".ts") {
            files.insert(name, fs::read_to_string(path).unwrap().into());
        }
    }
}

#[test]
fn introspection_knows_the_schema() {
    let requests = [
        (r#"{ __type(name: "Bytes") { kind name specifiedByURL description isOneOf } }"#, json!({})),
        (r#"{ __type(name: "DateTime") { kind } a: __type(name: "Boolean") { kind specifiedByURL } }"#, json!({})),
        (
            r#"{ __type(name: "FilterInput") { isOneOf inputFields(includeDeprecated: true) { name defaultValue isDeprecated deprecationReason type { name ofType { name } } } } }"#,
            json!({}),
        ),
        (r#"{ __type(name: "Outcome") { kind possibleTypes { name } fields { name } } }"#, json!({})),
        (r#"{ __type(name: "Status") { enumValues { name isDeprecated deprecationReason } } }"#, json!({})),
        ("query($n: String!) { __type(name: $n) { name __typename } }", json!({ "n": "Nothing" })),
        ("query($n: String = \"Line\") { __type(name: $n) { name } count }", json!({ "n": null })),
        (
            "{ __schema { queryType { name } mutationType { name } subscriptionType { name } directives { name isRepeatable locations } } }",
            json!({}),
        ),
        ("query($d: Boolean) { __schema { directives(includeDeprecated: $d) { name } } }", json!({ "d": null })),
        ("{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }", json!({})),
        ("mutation { __schema { queryType { name } } }", json!({})),
        ("{ lines { __schema { queryType { name } } } }", json!({})),
    ];
    check(
        "introspection_knows_the_schema",
        &json!({}),
        &requests,
        &expect![[r#"
        { __type(name: "Bytes") { kind name specifiedByURL description isOneOf } }
          {"__type":{"kind":"SCALAR","name":"Bytes","specifiedByURL":"https://www.rfc-editor.org/rfc/rfc4648#section-4","description":"Bytes in padded base64.","isOneOf":null}}
        { __type(name: "DateTime") { kind } a: __type(name: "Boolean") { kind specifiedByURL } }
          {"__type":null,"a":{"kind":"SCALAR","specifiedByURL":null}}
        { __type(name: "FilterInput") { isOneOf inputFields(includeDeprecated: true) { name defaultValue isDeprecated deprecationReason type { name ofType { name } } } } }
          {"__type":{"isOneOf":false,"inputFields":[{"name":"status","defaultValue":null,"isDeprecated":false,"deprecationReason":null,"type":{"name":"Status","ofType":null}},{"name":"any","defaultValue":null,"isDeprecated":false,"deprecationReason":null,"type":{"name":null,"ofType":{"name":null}}},{"name":"ids","defaultValue":null,"isDeprecated":false,"deprecationReason":null,"type":{"name":null,"ofType":{"name":null}}},{"name":"min","defaultValue":null,"isDeprecated":false,"deprecationReason":null,"type":{"name":null,"ofType":{"name":"Float"}}},{"name":"also","defaultValue":null,"isDeprecated":false,"deprecationReason":null,"type":{"name":"FilterInput","ofType":null}},{"name":"data","defaultValue":null,"isDeprecated":false,"deprecationReason":null,"type":{"name":"JSON","ofType":null}}]}}
        { __type(name: "Outcome") { kind possibleTypes { name } fields { name } } }
          {"__type":{"kind":"UNION","possibleTypes":[{"name":"Done"},{"name":"Refused"}],"fields":null}}
        { __type(name: "Status") { enumValues { name isDeprecated deprecationReason } } }
          {"__type":{"enumValues":[{"name":"open","isDeprecated":false,"deprecationReason":null},{"name":"fee_pool","isDeprecated":false,"deprecationReason":null},{"name":"nullable","isDeprecated":false,"deprecationReason":null}]}}
        query($n: String!) { __type(name: $n) { name __typename } } {"n":"Nothing"}
          {"__type":null}
        query($n: String = "Line") { __type(name: $n) { name } count } {"n":null}
          BAD_ARGUMENTS at ["__type"]: $n: null was given where a value is needed
          called count {}
          {"__type":null,"count":null}
        { __schema { queryType { name } mutationType { name } subscriptionType { name } directives { name isRepeatable locations } } }
          {"__schema":{"queryType":{"name":"Query"},"mutationType":{"name":"Mutation"},"subscriptionType":{"name":"Subscription"},"directives":[{"name":"include","isRepeatable":false,"locations":["FIELD","FRAGMENT_SPREAD","INLINE_FRAGMENT"]},{"name":"skip","isRepeatable":false,"locations":["FIELD","FRAGMENT_SPREAD","INLINE_FRAGMENT"]},{"name":"deprecated","isRepeatable":false,"locations":["FIELD_DEFINITION","ARGUMENT_DEFINITION","INPUT_FIELD_DEFINITION","ENUM_VALUE","DIRECTIVE_DEFINITION"]},{"name":"specifiedBy","isRepeatable":false,"locations":["SCALAR"]},{"name":"oneOf","isRepeatable":false,"locations":["INPUT_OBJECT"]}]}}
        query($d: Boolean) { __schema { directives(includeDeprecated: $d) { name } } } {"d":null}
          BAD_ARGUMENTS at ["__schema","directives"]: $d: null was given where a value is needed
          null
        { __schema { types { fields { type { fields { type { fields { name } } } } } } } }
          GRAPHQL_VALIDATION_FAILED: Introspection nests too many lists of fields, types and arguments.
        mutation { __schema { queryType { name } } }
          GRAPHQL_VALIDATION_FAILED: Unknown field "__schema" on type "Mutation".
        { lines { __schema { queryType { name } } } }
          GRAPHQL_VALIDATION_FAILED: Unknown field "__schema" on type "Line".
    "#]],
    );
}
