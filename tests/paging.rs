//! Pages of lists and of sorted views: from both ends, while the list changes, and as Apollo Client asks for them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::apps::App;
use crate::graphql::Client;
use crate::node;
use crate::weir::Dev;

/// A list, and the same as a sorted view.
const LIST: &str = r#"
import { procedure, query, view, type Doc, type Float, type ID, type Int, type Page } from "weir";
import { things, type Thing } from "../collections";

interface Asked { first?: Int; after?: string; last?: Int; before?: string }
export const listed = query((args: Asked): Page<Doc<Thing>> => things.orderBy("n").page(args));
export const byN = view.index(things, (t) => t.n);
export const add = procedure((args: { ns: Float[] }): ID[] => args.ns.map((n) => things.insert({ n }).id));
export const remove = procedure((args: { id: ID }): boolean => things.delete(args.id));

// file: collections.ts
import { collection, type Float } from "weir";
export interface Thing { n: Float }
export const things = collection<Thing>({ index: ["n"] });
"#;

/// Things that are there in the beginning.
const THINGS: usize = 40;

struct List {
    client: Client,
    /// By their numbers, which are all different: where they are in the list.
    things: BTreeMap<u64, String>,
}

impl List {
    fn add(&mut self, ns: &[u64]) {
        let query = "mutation($ns: [Float!]!) { add(ns: $ns) }";
        let ids = self.client.data_with(query, json!({ "ns": ns }))["add"].take();
        let ids = ids.as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned());
        self.things.extend(ns.iter().copied().zip(ids));
    }

    fn remove(&mut self, n: u64) {
        let id = self.things.remove(&n).unwrap();
        let removed = self.client.data_with("mutation($id: ID!) { remove(id: $id) }", json!({ "id": id }));
        assert_eq!(removed["remove"], true);
    }

    fn page(&self, field: &str, arguments: Value) -> (Vec<u64>, Value) {
        let query = format!(
            "query($first: Int, $after: String, $last: Int, $before: String) {{
                page: {field}(first: $first, after: $after, last: $last, before: $before) {{
                    edges {{ node {{ n }} cursor }}
                    pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }}
                }} }}"
        );
        let mut page = self.client.data_with(&query, arguments)["page"].take();
        let edges = page["edges"].as_array().unwrap();
        let ends = [edges.first(), edges.last()].map(|edge| edge.map_or(Value::Null, |edge| edge["cursor"].clone()));
        assert_eq!(ends, [page["pageInfo"]["startCursor"].clone(), page["pageInfo"]["endCursor"].clone()]);
        (edges.iter().map(|edge| edge["node"]["n"].as_f64().unwrap() as u64).collect(), page["pageInfo"].take())
    }
}

/// Numbers below `n`, the same at each run.
fn draws(mut state: u64) -> impl FnMut(u64) -> u64 {
    move |n| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    }
}

#[test]
fn pages_from_both_ends_make_the_whole_list_while_it_changes() {
    let dev = Dev::start(&App::of(LIST));
    let mut list = List { client: dev.client(), things: BTreeMap::new() };
    let mut draw = draws(5);
    let mut number = move |below: u64| draw(below);
    list.add(&(0..THINGS as u64).map(|i| i * 1000).collect::<Vec<_>>());
    for round in 0..4 {
        for field in ["listed", "byN"] {
            for (count, cursor, more, end) in
                [("first", "after", "hasNextPage", "endCursor"), ("last", "before", "hasPreviousPage", "startCursor")]
            {
                let told = format!("round {round}, {field}, {count}");
                let (there, mut gone): (Vec<u64>, Vec<u64>) = (list.things.keys().copied().collect(), Vec::new());
                let mut seen: Vec<u64> = Vec::new();
                let mut arguments = json!({ count: 1 + number(6) });
                loop {
                    let (page, info) = list.page(field, arguments.clone());
                    match count {
                        "first" => seen.extend(&page),
                        _ => drop(seen.splice(0..0, page.iter().copied())),
                    }
                    if info[more] == false {
                        break;
                    }
                    arguments = json!({ count: 1 + number(6), cursor: info[end] });
                    // What the cursor names may go, and others may come and go anywhere.
                    let named = if count == "first" { page.last() } else { page.first() };
                    if number(2) == 0 {
                        gone.push(*named.unwrap());
                        list.remove(*named.unwrap());
                    }
                    let new = number(THINGS as u64 * 1000);
                    if !list.things.contains_key(&new) && !gone.contains(&new) {
                        list.add(&[new]);
                    }
                }
                assert!(seen.is_sorted_by(|a, b| a < b), "{told}: {seen:?}");
                let missed: Vec<&u64> = there.iter().filter(|n| !gone.contains(n) && !seen.contains(n)).collect();
                assert!(missed.is_empty(), "{told}: {missed:?} not in {seen:?}");
            }
        }
    }
}

#[test]
fn page_info_is_by_the_specification_of_relay() {
    let dev = Dev::start(&App::of(LIST));
    let mut list = List { client: dev.client(), things: BTreeMap::new() };
    list.add(&[1, 2, 3, 4, 5]);
    for field in ["listed", "byN"] {
        let cursor = |n: usize| list.page(field, json!({ "first": n })).1["endCursor"].clone();
        let table = [
            (json!({}), vec![1, 2, 3, 4, 5], false, false),
            (json!({ "first": 2 }), vec![1, 2], true, false),
            (json!({ "first": 5 }), vec![1, 2, 3, 4, 5], false, false),
            (json!({ "first": 2, "after": cursor(2) }), vec![3, 4], true, true),
            (json!({ "first": 2, "after": cursor(5) }), vec![], false, true),
            (json!({ "first": 0 }), vec![], true, false),
            (json!({ "last": 2 }), vec![4, 5], false, true),
            (json!({ "last": 5 }), vec![1, 2, 3, 4, 5], false, false),
            (json!({ "last": 2, "before": cursor(4) }), vec![2, 3], true, true),
            (json!({ "last": 2, "before": cursor(1) }), vec![], true, false),
            (json!({ "before": cursor(4) }), vec![1, 2, 3], true, false),
            (json!({ "first": 2, "after": cursor(1), "before": cursor(4) }), vec![2, 3], false, true),
            (json!({ "last": 1, "after": cursor(1), "before": cursor(4) }), vec![3], true, true),
            (json!({ "first": 9, "after": cursor(4), "before": cursor(2) }), vec![], false, true),
        ];
        for (arguments, expected, next, previous) in table {
            let (page, info) = list.page(field, arguments.clone());
            let told = (page, info["hasNextPage"].as_bool().unwrap(), info["hasPreviousPage"].as_bool().unwrap());
            assert_eq!(told, (expected, next, previous), "{field} {arguments}");
        }
    }
    let errors = list
        .client
        .errors("{ listed(first: 1, last: 1) { edges { cursor } } byN(first: 1, last: 1) { edges { cursor } } }");
    assert_eq!(errors[0]["message"], "TypeError: first and last stand together: say one of them");
    assert_eq!(errors[1]["extensions"]["code"], "BAD_ARGUMENTS");
}

#[test]
fn apollo_client_reads_pages_from_both_ends() {
    let Some(packages) = node::packages("apollo_client_reads_pages_from_both_ends") else { return };
    let dev = Dev::start(&App::copy_of("examples/shop"));
    let client = dev.client();
    client.data("mutation { seed { orders } }");
    let all = client.data("{ ordersPage(first: 100) { edges { node { id } } } }");
    let edges = all["ordersPage"]["edges"].as_array().unwrap();
    let all: Value = edges.iter().map(|edge| edge["node"]["id"].clone()).collect();
    let ended = node::run(packages, "paging.mjs", &[&format!("{}/graphql", dev.url), "7"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let read: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, [all.clone(), all]);
}
