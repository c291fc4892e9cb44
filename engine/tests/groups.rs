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
export interface Line { product: string; quantity: Int }
export interface Order { day: string; total: Float; status: "open" | "paid"; lines?: Line[]; note?: string }
export const orders = collection<Order>({ index: ["status"] });
export interface Rate { factor: Float }
export const rates = collection<Rate>();
"#;

const FUNCTIONS: &str = r#"
import { avg, call, count, fail, max, min, now, procedure, query, sum, top, view, type Doc, type ID, type Int, type JSON } from "weir";
import { orders, rates, type Order } from "../collections";

export const byDay = view.groupBy(orders, (o) => o.day, {
  orders: count(), revenue: sum((o) => o.total), mean: avg((o) => o.total), least: min((o) => o.total), last: max((o) => o.note) });
export const paid = view.groupBy(orders.filter((o) => o.status === "paid"), (o) => o.note, { n: count(), best: top(2, (o) => o.total) });
export const sold = view.groupBy(orders.flatMap((o) => o.lines), (l) => l.product, { sold: sum((l) => l.quantity), most: max((l) => l.quantity) });
export const largest = view.groupBy(orders.flatMap((o) => o.lines), (l) => l.product, { lines: top(2, (l) => l.quantity) });
export const today = view.groupBy(orders, (o) => now().slice(0, 4) + o.day, { n: count() });
export const converted = view.groupBy(orders, (o) => o.day, { n: sum((o) => o.total * (rates.all()[0]?.factor ?? 1)) });
export const strict = view.groupBy(orders, (o) => { if (o.note === "bad") throw new Error("a bad note"); return o.day; }, { n: count() });

/** Computed from all documents, as it is for whoever may have written some of them. */
export const anew = procedure((args: { name: string }): JSON => {
  const views: Record<string, () => unknown> = { byDay: () => byDay(), paid: () => paid(), sold: () => sold(), largest: () => largest() };
  return views[args.name]() as any;
});
/** What a function gets that calls a view. */
export const called = query((): JSON => byDay() as any);
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

    async fn assert_exact(&self, random: &str) {
        for view in ["byDay", "paid", "sold", "largest"] {
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
        if self.below(3) > 0 {
            let line = |product, quantity| json!({ "product": product, "quantity": quantity });
            let lines: Vec<Value> =
                (0..self.below(4)).map(|_| line(["x", "y", "z"][self.below(3)], self.below(5))).collect();
            order["lines"] = json!(lines);
        }
        order
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
    }
    shop.call("remove", json!({ "ids": ids })).await.unwrap();
    assert_eq!(shop.rows("byDay").await, json!([]));
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
    let orders = vec![json!({ "day": "1", "total": 2, "status": "open" }); 300];
    for _ in 0..2 {
        shop.call("add", json!({ "orders": orders })).await.unwrap();
    }
    let rows = shop.rows("byDay").await;
    assert_eq!((&rows[0]["orders"], &rows[0]["revenue"]), (&json!(600), &json!(1200)));
    let lines = shop.engine.elements(&shop.release, &Caller::Developer, "byDay", json!({})).await.unwrap();
    assert!(matches!(lines, Elements::There(answer) if *answer.value == rows), "nor for rows by the line");
    let called = shop.call("called", json!({})).await.unwrap();
    assert_eq!(without_nulls(called), without_nulls(rows), "nor for a function that calls the view");
    let error = shop.call("anew", json!({ "name": "byDay" })).await.unwrap_err();
    assert_eq!(error.limit.map(|limit| limit.to_string()).as_deref(), Some("documents_read"));
}
