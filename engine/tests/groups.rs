//! Views of groups that are kept up with the commits, against the same views computed from all documents.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs,
    reason = "test code"
)]

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use weir_engine::Engine;
use weir_engine::call::{CallError, Caller};
use weir_engine::lines::Elements;
use weir_engine::release::Release;
use weir_sandbox::compile::{Sources, compile};
use weir_sandbox::pool::PoolOptions;
use weir_store::{Options, Store};

const MANIFEST: &str =
    "name = \"test\"\nversion = \"1.0.0\"\n[limits]\ncpu_ms = 20000\nwall_ms = 50000\ndocuments_read = 400\n";

const COLLECTIONS: &str = r#"
import { collection, type Float, type Int } from "weir";
export interface Mark { by: string; points: Int }
export interface Line { product: string; quantity: Int; marks?: Mark[] }
export interface Order { day: string; total: Float; status: "open" | "paid"; lines?: Line[]; note?: string; tags?: string[] }
export const orders = collection<Order>({ index: ["status"] });
export interface Rate { factor: Float }
export const rates = collection<Rate>();
"#;

const FUNCTIONS: &str = r#"
import { avg, call, count, fail, max, min, now, procedure, query, sum, top, view, type Doc, type Float, type ID, type Int, type JSON } from "weir";
import { orders, rates, type Order } from "../collections";

export const byDay = view.groupBy(orders, (o) => o.day, {
  orders: count(), revenue: sum((o) => o.total), mean: avg((o) => o.total), least: min((o) => o.total), last: max((o) => o.note) });
export const paid = view.groupBy(orders.filter((o) => o.status === "paid"), (o) => o.note, { n: count(), best: top(2, (o) => o.total) });
export const sold = view.groupBy(orders.flatMap((o) => o.lines), (l) => l.product, { sold: sum((l) => l.quantity), most: max((l) => l.quantity) });
export const largest = view.groupBy(orders.flatMap((o) => o.lines), (l) => l.product, { lines: top(2, (l) => l.quantity) });
export const deepest = view.groupBy(orders.filter((o) => o.total < 4).flatMap((o) => o.lines).filter((l) => l.quantity > 1).flatMap((l) => l.marks), (m) => m.by,
  { n: count(), best: top(3, (m) => m.points), last: top(1, (m) => m.by) });
export const today = view.groupBy(orders, (o) => now().slice(0, 4) + o.day, { n: count() });
export const converted = view.groupBy(orders, (o) => o.day, { n: sum((o) => o.total * (rates.all()[0]?.factor ?? 1)) });
export const strict = view.groupBy(orders, (o) => { if (o.note === "bad") throw new Error("a bad note"); return o.day; }, { n: count() });

export const byTotal = view.index(orders, (o) => o.total);
export const byNote = view.index(orders.filter((o) => o.status === "paid"), (o) => o.note, (o) => ({ day: o.day, total: o.total }));
export const byTag = view.index(orders, (o) => o.tags, (o): { words: string[]; total: Float } => ({ words: (o.note ?? "").split(" "), total: o.total }));
export const byDayAndNote = view.index(orders, (o) => ({ day: o.day, note: o.note, open: o.status }));
export const byProduct = view.index(orders.flatMap((o) => o.lines).filter((l) => l.quantity > 0), (l): { product: string; quantity: Int }[] =>
  [{ product: l.product, quantity: l.quantity }, { product: l.product, quantity: -l.quantity }, { product: l.product, quantity: l.quantity }]);
export const byMark = view.index(orders.flatMap((o) => o.lines).flatMap((l) => l.marks), (m) => m.by, (m) => m.points);
export const byRate = view.index(orders, (o): Float => o.total * (rates.all()[0]?.factor ?? 1));

export const heavy = view.index(orders, (o) => o.total, (o): string => "x".repeat(100_000));
export const deep = view.index(orders, (o) => o.total, (o): JSON => {
  let deep: any = 1;
  for (let i = 0; i < 110; i++) deep = [deep];
  return deep;
});
/** A page, in the same way. */
export const pageAnew = procedure((args: { name: string; with: JSON }): JSON => {
  const views: Record<string, (args: any) => unknown> = { byTotal, byNote, byTag, byDayAndNote, byProduct, byMark };
  return views[args.name](args.with) as any;
});

/** Computed from all documents, as it is for whoever may have written some of them. */
export const anew = procedure((args: { name: string }): JSON => {
  const views: Record<string, () => unknown> = { byDay: () => byDay(), paid: () => paid(), sold: () => sold(), largest: () => largest(), deepest: () => deepest() };
  return views[args.name]() as any;
});
/** What a function gets that calls a view. */
export const called = query((): JSON => byDay() as any);
export const greatest = query((args: { below: Float }): Float[] => byTotal({ lt: args.below, order: "desc", first: 2 }).edges.map((edge) => edge.key));
export const add = procedure((args: { orders: Order[] }): ID[] => args.orders.map((order) => orders.insert(order).id));
export const change = procedure((args: { id: ID; order: Order }): ID => orders.replace(args.id, args.order).id);
export const remove = procedure((args: { ids: ID[] }): Int => args.ids.filter((id) => orders.delete(id)).length);
export const rate = procedure((args: { factor: Int }): ID => rates.insert({ factor: args.factor }).id);
"#;

struct Shop {
    engine: Engine,
    release: Arc<Release>,
    folder: tempfile::TempDir,
}

impl Shop {
    async fn open() -> Self {
        Self::open_in(tempfile::tempdir().unwrap()).await
    }

    async fn open_in(folder: tempfile::TempDir) -> Self {
        let store = Store::open(&folder.path().join("data"), Options::default()).unwrap();
        let engine = Engine::start(store, PoolOptions::default()).unwrap();
        let release = engine.activate(app()).await.unwrap();
        Self { engine, release, folder }
    }

    async fn reopened(self) -> Self {
        let Self { engine, release, folder } = self;
        engine.close().await;
        drop((engine, release));
        Self::open_in(folder).await
    }

    async fn call(&self, function: &str, arguments: Value) -> Result<Value, CallError> {
        self.engine.call(&self.release, &Caller::Developer, function, arguments).await.map(|answer| answer.value.take())
    }

    async fn rows(&self, view: &str) -> Value {
        self.call(view, json!({})).await.unwrap()
    }

    /// Compares pages of sorted views with the same computed from all documents.
    async fn assert_exact_pages(&self, random: &mut Random, batch: usize) {
        for _ in 0..8 {
            let name = ["byTotal", "byNote", "byTag", "byDayAndNote", "byProduct", "byMark"][random.below(6)];
            let mut arguments = random.arguments(name);
            for page in 0..3 {
                let anew = json!({ "name": name, "with": arguments });
                let (kept, anew) = (self.call(name, arguments.clone()).await, self.call("pageAnew", anew).await);
                let (kept, anew) = (kept.unwrap(), anew.unwrap());
                let told = format!("{name}({arguments}), page {page}, batch {batch}");
                assert_eq!(without_nulls(kept.clone()), without_nulls(anew), "{told}");
                if kept["pageInfo"]["hasNextPage"] == false {
                    break;
                }
                arguments["after"] = kept["pageInfo"]["endCursor"].clone();
                // A page without an entry goes on nowhere.
                arguments["after"].is_null().then(|| arguments["first"] = json!(3));
            }
        }
    }

    async fn assert_exact(&self, random: &str) {
        for view in ["byDay", "paid", "sold", "largest", "deepest"] {
            let anew = self.call("anew", json!({ "name": view })).await.unwrap();
            assert_eq!(without_nulls(self.rows(view).await), without_nulls(anew), "{view}, {random}");
        }
    }
}

/// A result that is declared as JSON keeps absent members absent.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Array(values) => values.into_iter().map(without_nulls).collect(),
        Value::Object(members) => {
            let there = members.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(there.map(|(name, value)| (name, without_nulls(value))).collect())
        }
        other => other,
    }
}

fn app() -> weir_sandbox::App {
    let texts = [("app.toml", MANIFEST), ("collections.ts", COLLECTIONS), ("functions/shop.ts", FUNCTIONS)];
    let texts = texts.map(|(path, text)| (path.to_owned(), text.to_owned()));
    compile(&Sources::from_texts(texts)).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    fn order(&mut self) -> Value {
        let total = [0.1, 0.2, 0.3, 1e17, -1e17, 3.0, 1.0 / 3.0][self.below(7)];
        let (day, status) = (format!("day {}", self.below(4)), ["open", "paid"][self.below(2)]);
        let mut order = json!({ "day": day, "total": total, "status": status });
        if self.below(3) > 0 {
            let notes = ["a", "b", "\u{ff5e}", "\u{1f600}"];
            order["note"] = json!(notes[self.below(4)]);
        }
        if self.below(2) > 0 {
            let tags = ["a", "x y", "\u{ff5e}", "\u{1f600}"];
            order["tags"] = (0..self.below(4)).map(|_| json!(tags[self.below(4)])).collect();
        }
        if self.below(3) > 0 {
            order["lines"] = (0..self.below(4)).map(|_| self.line()).collect();
        }
        order
    }

    fn arguments(&mut self, view: &str) -> Value {
        let mut arguments = json!({ "first": self.below(5), "order": (["asc", "desc"][self.below(2)]) });
        for bound in ["key", "gt", "gte", "lt", "lte"] {
            if self.below(5) == 0 {
                arguments[bound] = self.key(view);
            }
        }
        match (view, self.below(2)) {
            ("byNote" | "byTag" | "byMark", 0) => {
                arguments["prefix"] = json!(["", "a", "x", "\u{ff5e}"][self.below(4)])
            }
            ("byDayAndNote", 0) => arguments["prefix"] = json!({ "day": "day 1" }),
            ("byProduct", 0) => arguments["prefix"] = json!({ "product": "x" }),
            _ => {}
        }
        arguments
    }

    fn key(&mut self, view: &str) -> Value {
        match view {
            "byTotal" => json!([0.1, 0.2, 1e17, -1e17, 1.0 / 3.0][self.below(5)]),
            "byDayAndNote" => {
                let (day, open) = (format!("day {}", self.below(4)), ["open", "paid"][self.below(2)]);
                let note = [Value::Null, json!("a"), json!("\u{1f600}")][self.below(3)].clone();
                json!({ "day": day, "note": note, "open": open })
            }
            "byProduct" => json!({ "product": (["x", "y"][self.below(2)]), "quantity": self.below(4) }),
            _ => json!(["a", "x y", "\u{ff5e}", "\u{1f600}", "ann", "bob"][self.below(6)]),
        }
    }

    fn line(&mut self) -> Value {
        let (product, quantity) = (["x", "y", "z"][self.below(3)], self.below(5));
        let mut line = json!({ "product": product, "quantity": quantity });
        if self.below(2) > 0 {
            let mark = |by: usize, points: usize| json!({ "by": (["ann", "bob"][by]), "points": points });
            line["marks"] = (0..=self.below(3)).map(|_| mark(self.below(2), self.below(4))).collect();
        }
        line
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_those_of_all_documents_after_every_batch() {
    let mut shop = Shop::open().await;
    let mut ids: Vec<Value> = Vec::new();
    let random = &mut Random(7);
    for batch in 0..60 {
        match random.below(10) {
            0..5 => {
                let orders: Vec<Value> = (0..=random.below(12)).map(|_| random.order()).collect();
                let added = shop.call("add", json!({ "orders": orders })).await.unwrap();
                ids.extend(added.as_array().unwrap().iter().cloned());
            }
            5..7 if !ids.is_empty() => {
                let id = &ids[random.below(ids.len())];
                shop.call("change", json!({ "id": id, "order": random.order() })).await.unwrap();
            }
            7..9 if !ids.is_empty() => {
                let gone: Vec<Value> = ids.drain(..random.below(ids.len().min(8) + 1)).collect();
                shop.call("remove", json!({ "ids": gone })).await.unwrap();
            }
            _ if batch % 3 == 0 => shop = shop.reopened().await,
            _ => {}
        }
        shop.assert_exact(&format!("batch {batch}")).await;
        shop.assert_exact_pages(random, batch).await;
    }
    shop.call("remove", json!({ "ids": ids })).await.unwrap();
    assert_eq!(shop.rows("byDay").await, json!([]));
    assert_eq!(shop.rows("byTotal").await["edges"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_gets_each_group_as_it_changes() {
    let shop = Shop::open().await;
    let mut watch = shop.engine.watch(&shop.release, &Caller::Developer, "sold", json!({}), None);
    assert_eq!(*watch.next().await.unwrap().value, json!([]));
    let order = json!({ "day": "1", "total": 1, "status": "open", "lines": [{ "product": "x", "quantity": 2 }] });
    let ids = shop.call("add", json!({ "orders": [order] })).await.unwrap();
    let emission = watch.next().await.unwrap();
    assert_eq!(*emission.value, json!([{ "key": "x", "sold": 2, "most": 2 }]));
    // Touched, and the same.
    let order = json!({ "day": "2", "total": 2, "status": "paid", "lines": [{ "product": "x", "quantity": 2 }] });
    shop.call("change", json!({ "id": ids[0], "order": order })).await.unwrap();
    shop.call("remove", json!({ "ids": ids })).await.unwrap();
    let last = watch.next().await.unwrap();
    assert_eq!(*last.value, json!([]));
    assert!(last.commit > emission.commit);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_depends_on_more_than_its_documents_is_computed_from_all_of_them() {
    let shop = Shop::open().await;
    let order = json!({ "day": "1", "total": 2, "status": "open" });
    shop.call("add", json!({ "orders": [order] })).await.unwrap();
    assert_eq!(shop.rows("converted").await, json!([{ "key": "1", "n": 2 }]));
    shop.call("rate", json!({ "factor": 3 })).await.unwrap();
    assert_eq!(shop.rows("converted").await, json!([{ "key": "1", "n": 6 }]));
    assert_eq!(shop.rows("today").await[0]["n"], json!(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_fails_fails_the_view_for_as_long_as_it_is_there() {
    let shop = Shop::open().await;
    let order = |note: &str| json!({ "day": "1", "total": 2, "status": "open", "note": note });
    let ids = shop.call("add", json!({ "orders": [order("good"), order("bad"), order("fine")] })).await.unwrap();
    let error = shop.call("strict", json!({})).await.unwrap_err();
    assert!(error.message.contains("a bad note") && error.stack[0].file == "functions/shop.ts", "{error:?}");
    shop.call("change", json!({ "id": ids[1], "order": order("better") })).await.unwrap();
    assert_eq!(shop.rows("strict").await, json!([{ "key": "1", "n": 3 }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_reads_all_documents() {
    let shop = Shop::open().await;
    let line = json!({ "product": "x", "quantity": 2 });
    let orders = vec![json!({ "day": "1", "total": 2, "status": "open", "lines": [line] }); 300];
    for _ in 0..2 {
        shop.call("add", json!({ "orders": orders })).await.unwrap();
    }
    let rows = shop.rows("byDay").await;
    assert_eq!((&rows[0]["orders"], &rows[0]["revenue"]), (&json!(600), &json!(1200)));
    assert_eq!(shop.rows("largest").await[0]["lines"].as_array().map(Vec::len), Some(2), "nor for elements of lists");
    let lines = shop.engine.elements(&shop.release, &Caller::Developer, "byDay", json!({})).await.unwrap();
    assert!(matches!(lines, Elements::There(answer) if *answer.value == rows), "nor for rows by the line");
    let called = shop.call("called", json!({})).await.unwrap();
    assert_eq!(without_nulls(called), without_nulls(rows), "nor for a function that calls the view");
    let error = shop.call("anew", json!({ "name": "byDay" })).await.unwrap_err();
    assert_eq!(error.limit.map(|limit| limit.to_string()).as_deref(), Some("documents_read"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_sorted_view_is_a_connection_with_keys() {
    let shop = Shop::open().await;
    let order = |total: f64, note: &str| json!({ "day": "1", "total": total, "status": "paid", "note": note });
    let ids = shop.call("add", json!({ "orders": [order(2.0, "b"), order(1.0, "a"), order(3.0, "b")] })).await.unwrap();
    let page = shop.call("byNote", json!({ "key": "b", "first": 1 })).await.unwrap();
    let cursor = &page["pageInfo"]["endCursor"];
    assert_eq!(
        page["edges"],
        json!([{ "key": "b", "document": ids[0], "node": { "day": "1", "total": 2 }, "cursor": cursor }])
    );
    assert_eq!(
        page["pageInfo"],
        json!({ "hasNextPage": true, "hasPreviousPage": false, "startCursor": cursor, "endCursor": cursor })
    );
    // The entry that the cursor names may be gone.
    shop.call("remove", json!({ "ids": [ids[0]] })).await.unwrap();
    let page = shop.call("byNote", json!({ "after": cursor })).await.unwrap();
    assert_eq!((&page["edges"][0]["document"], &page["pageInfo"]["hasPreviousPage"]), (&ids[2], &json!(true)));
    let document = &shop.call("byTotal", json!({ "order": "desc", "first": 1 })).await.unwrap()["edges"][0]["node"];
    assert_eq!((&document["id"], &document["note"]), (&ids[2], &json!("b")));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_a_range_hears_only_of_that() {
    let shop = Shop::open().await;
    let order = |total: f64| json!({ "day": "1", "total": total, "status": "open" });
    let asked = json!({ "gte": 10, "first": 2 });
    let mut watch = shop.engine.watch(&shop.release, &Caller::Developer, "byTotal", asked, None);
    assert_eq!(watch.next().await.unwrap().value["edges"], json!([]));
    // Before the range, then behind the page: none of these is sent.
    for total in [1.0, 10.0, 11.0, 12.0, 2.0, 13.0] {
        shop.call("add", json!({ "orders": [order(total)] })).await.unwrap();
    }
    let keys = |value: &Value| {
        let edges = value["edges"].as_array().unwrap().iter();
        edges.map(|edge| edge["key"].as_f64().unwrap()).collect::<Vec<f64>>()
    };
    // What comes at once may be sent at once, but no page is sent twice.
    let mut seen = vec![keys(&watch.next().await.unwrap().value)];
    let settled = shop.call("add", json!({ "orders": [order(9.0), order(10.5)] })).await.unwrap();
    while seen.last() != Some(&vec![10.0, 10.5]) {
        let next = watch.next().await.unwrap();
        seen.push(keys(&next.value));
    }
    assert!(seen.len() <= 4, "{seen:?}");
    shop.call("remove", json!({ "ids": settled })).await.unwrap();
    assert_eq!(keys(&watch.next().await.unwrap().value), [10.0, 11.0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_given_of_a_sorted_view_is_told() {
    let shop = Shop::open().await;
    let told = async |name: &str, arguments: Value| {
        let error = shop.call(name, arguments).await.unwrap_err();
        format!("{:?} {}", error.code, error.message)
    };
    assert_eq!(
        told("byTotal", json!({ "first": 1001 })).await,
        "BadArguments args.first: a page of an index has from 0 to 1000 entries; ask for more with `after` or `before`"
    );
    assert_eq!(told("byTotal", json!({ "after": "x" })).await, "BadArguments args.after: this is not a cursor");
    let inside = told("pageAnew", json!({ "name": "byTotal", "with": { "first": 1001 } })).await;
    assert_eq!(
        inside,
        "FunctionFailed args.first: a page of an index has from 0 to 1000 entries; ask for more with `after` or `before`"
    );
    let inside = told("pageAnew", json!({ "name": "byTotal", "with": { "after": "x" } })).await;
    assert_eq!(inside, "FunctionFailed args.after: this is not a cursor");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_reads_all_documents_unless_it_depends_on_others() {
    let shop = Shop::open().await;
    let orders = |from: usize| -> Vec<Value> {
        (from..from + 150).map(|n| json!({ "day": "1", "total": n, "status": "open" })).collect()
    };
    shop.call("add", json!({ "orders": orders(0) })).await.unwrap();
    shop.call("rate", json!({ "factor": -1 })).await.unwrap();
    assert_eq!(shop.call("byRate", json!({ "first": 1 })).await.unwrap()["edges"][0]["key"], json!(-149));
    for from in [150, 300, 450] {
        shop.call("add", json!({ "orders": orders(from) })).await.unwrap();
    }
    assert_eq!(shop.call("byTotal", json!({ "gt": 597 })).await.unwrap()["edges"].as_array().unwrap().len(), 2);
    assert_eq!(shop.call("greatest", json!({ "below": 300 })).await.unwrap(), json!([299, 298]), "nor for a function");
    let error = shop.call("byRate", json!({ "first": 1 })).await.unwrap_err();
    assert_eq!(error.limit.map(|limit| limit.to_string()).as_deref(), Some("documents_read"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_within_the_limits_of_results() {
    let shop = Shop::open().await;
    let orders: Vec<Value> = (0..100).map(|n| json!({ "day": "1", "total": n, "status": "open" })).collect();
    shop.call("add", json!({ "orders": orders })).await.unwrap();
    let page = shop.call("heavy", json!({ "first": 50 })).await.unwrap();
    assert_eq!(page["edges"].as_array().unwrap().len(), 50);
    for (view, first, limit) in [("heavy", 100, "result_bytes"), ("deep", 1, "result_depth")] {
        let error = shop.call(view, json!({ "first": first })).await.unwrap_err();
        assert_eq!(error.limit.map(|limit| limit.to_string()).as_deref(), Some(limit), "{view}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_calls_a_view_gets_its_rows_of_every_commit_that_it_sees_also_while_many_come() {
    let shop = Shop::open().await;
    let orders = vec![json!({ "day": "1", "total": 2, "status": "open" }); 300];
    for _ in 0..2 {
        shop.call("add", json!({ "orders": orders })).await.unwrap();
    }
    let mut watch = shop.engine.watch(&shop.release, &Caller::Developer, "called", json!({}), None);
    watch.next().await.unwrap();
    let commits = 60;
    let writing = async {
        for _ in 0..commits {
            shop.call("add", json!({ "orders": [{ "day": "1", "total": 2, "status": "open" }] })).await.unwrap();
        }
    };
    let reading = async {
        loop {
            // To read all documents would be past a limit.
            let rows = watch.next().await.unwrap();
            let row = &rows.value.value()[0];
            let orders = row["orders"].as_u64().unwrap();
            assert_eq!(row["revenue"], json!(2 * orders));
            if orders == 600 + commits {
                return;
            }
        }
    };
    let both = futures_util::future::join(writing, reading);
    tokio::time::timeout(Duration::from_secs(120), both).await.expect("the last commit is seen");
}
