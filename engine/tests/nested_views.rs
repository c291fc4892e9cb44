//! Views that other functions call: results of their own, which others share and which stand between a commit and what was
//! computed from them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "test code"
)]

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use weir_engine::Engine;
use weir_engine::call::{Call, CallError, Caller};
use weir_engine::live::Watch;
use weir_engine::release::Release;
use weir_sandbox::compile::{Sources, compile};
use weir_sandbox::pool::PoolOptions;
use weir_schema::error::ErrorCode;
use weir_store::{Options, Store};

const COLLECTIONS: &str = r#"
import { collection, type Int } from "weir";
export interface Order { city: string; total: Int }
export const orders = collection<Order>({ index: ["city"] });
"#;

/// Each says in the log that it runs; TAG stands for the test.
const FUNCTIONS: &str = r#"
import { caller, count, fail, procedure, query, sum, view, type Doc, type ID, type Int, type JSON as Json } from "weir";
import { orders, type Order } from "../collections";
const ran = (name: string): void => console.log(`TAG ${name}`);
export const add = procedure((args: { city: string; total: Int }): ID => orders.insert(args).id);
export const revenue = view((args: { city: string }): Int => {
  ran(`revenue ${args.city}`);
  return orders.where("city", args.city).reduce((sum, order) => sum + order.total, 0);
});
export const level = view((args: { city: string }): string => {
  ran(`level ${args.city}`);
  return revenue(args) > 100 ? "high" : "low";
});
export const banner = query((args: { city: string; name: string }): string => {
  ran(`banner ${args.name}`);
  return `${args.name}: ${level({ city: args.city })}, ${level({ city: args.city })}`;
});
export const mine = view((): string => { ran("mine"); return `${caller.kind} ${caller.subject}`; });
export const greeting = query((): string => { ran("greeting"); return `hello ${mine()}`; });
export const picky = view((args: { city: string }): Int => {
  ran("picky");
  const total = orders.where("city", args.city).reduce((sum, order) => sum + order.total, 0);
  if (total > 100) fail("too_much", "too much");
  return total;
});
export const careful = query((args: { city: string }): Int => {
  try { return picky(args); } catch { return -1; }
});
export interface Shape { a: Int; b: string | null }
export const loose = view((): Shape => ({ a: 1, b: undefined, c: new Date(0), d: () => 1, toJSON: undefined }) as any);
export const shapes = query((): Json => {
  const [one, two] = [loose(), loose()];
  one.a = 5;
  return { one: { ...one }, two: { ...two }, same: one === two, keys: Object.keys(two).join() };
});
export const wrong = view((): Int => "text" as any);
export const asksWrongly = query((): Int => wrong());
export const passesWrongly = query((): Int => revenue({ town: "Oslo" } as any));
export const writesAndReads = procedure((args: { city: string }): Int => {
  const before = revenue(args);
  orders.insert({ city: args.city, total: 7 });
  return revenue(args) - before;
});
export const byCity = view.groupBy(orders, (o) => o.city, { orders: count(), total: sum((o) => o.total) });
export const largest = query((): Json => byCity().filter((row) => row.total > 10));
export const rows = view((args: { city: string }): Doc<Order>[] => orders.where("city", args.city));
export const names = query((args: { city: string }): Int[] => rows(args).map((order) => order.total));
export const first = view((): Int => { ran("first"); return orders.count(); });
export const second = view((): Int => { ran("second"); return first() + 1; });
export const third = view((): Int => { ran("third"); return second() + first(); });
export const fourth = view((): Int => { ran("fourth"); return third() + second(); });
export const price = view((args: { id: ID }): Int => orders.get(args.id)!.total);
export const invoice = query((args: { id: ID }): string => (orders.get(args.id) === null ? "none" : `to pay: ${price(args)}`));
export const large = view((args: { id: ID }): boolean => orders.get(args.id)!.total > 100);
export const both = query((args: { id: ID }): string => `${large(args)} ${orders.get(args.id)!.total}`);
export const change = procedure((args: { id: ID; total: Int }): Int => orders.patch(args.id, { total: args.total }).total);
export const grow = procedure((args: { id: ID }): Int => change({ id: args.id, total: orders.get(args.id)!.total + 1 }));
export const long = view((args: { city: string; times: Int }): Int => {
  for (let i = 0; i < args.times; i += 1) orders.where("city", args.city).count();
  return args.times;
});
export const longAs = query((args: { id: ID }): Int => long({ city: "Oslo", times: orders.get(args.id)!.total }));
export const bottom = view((): string => "reached");
export const fallback = view((): string => { try { return bottom(); } catch { return "too deep"; } });
export const dive = query((args: { depth: Int }): string => (args.depth === 0 ? fallback() : dive({ depth: args.depth - 1 })));
export const writing = view((): Json => ({ toJSON: () => orders.insert({ city: "Oslo", total: 1 }) }) as any);
export const writes = procedure((): Json => writing());
export const overfull = query((): string => {
  const sink = (): number => { try { return sink() + 1; } catch { return 0; } };
  const over = (): string => { try { return over(); } catch { return fallback(); } };
  sink();
  return over();
});
export const byLevel = view.groupBy(orders, (o) => o.city, { n: sum((o) => o.total * factor()) });
export const factor = view((): Int => 1 + orders.where("city", "factor").count());
export const heavy = view((args: { n: Int }): string[] => Array.from({ length: args.n }, () => "x".repeat(1_000)));
export const weighs = query((args: { n: Int }): Int => heavy(args).length);
"#;

/// What functions write to the log.
static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Lines;

impl Visit for Lines {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            LINES.lock().push(format!("{value:?}"));
        }
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "weir::function"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Self);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct App {
    engine: Engine,
    release: Arc<Release>,
    tag: &'static str,
    _folder: tempfile::TempDir,
}

impl App {
    async fn open(tag: &'static str) -> Self {
        // Set by whichever test is first.
        let _ = tracing::subscriber::set_global_default(Lines);
        let limits = "cpu_ms = 20000\nwall_ms = 50000\nresult_bytes = 200000\nhost_calls = 500\ncall_depth = 16\n";
        let manifest = format!("name = \"test\"\nversion = \"1.0.0\"\n[limits]\n{limits}");
        let functions = FUNCTIONS.replace("TAG", tag);
        let texts = [("app.toml", &*manifest), ("collections.ts", COLLECTIONS), ("functions/orders.ts", &functions)];
        let texts = texts.map(|(path, text)| (path.to_owned(), text.to_owned()));
        let app = compile(&Sources::from_texts(texts)).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("data"), Options::default()).unwrap();
        let engine = Engine::start(store, PoolOptions::default()).unwrap();
        let release = engine.activate(app).await.unwrap();
        Self { engine, release, tag, _folder: folder }
    }

    async fn ask(&self, caller: &Caller, function: &str, arguments: Value) -> Result<Value, CallError> {
        Ok(self.engine.call(&self.release, caller, function, arguments).await?.value.take())
    }

    async fn value(&self, function: &str, arguments: Value) -> Value {
        self.ask(&Caller::Developer, function, arguments).await.unwrap()
    }

    async fn add(&self, city: &str, total: u32) {
        self.value("add", json!({ "city": city, "total": total })).await;
    }

    fn watch(&self, function: &str, arguments: Value) -> Watch {
        self.engine.watch(&self.release, &Caller::Developer, function, arguments, None)
    }

    /// Waits until something has run.
    async fn wait_for(&self, name: &str) {
        let line = format!("{} {name}", self.tag);
        let ran = async {
            while !LINES.lock().contains(&line) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), ran).await.expect("it runs");
    }

    /// What has run since this was last asked.
    fn ran(&self) -> Vec<String> {
        let mut lines = LINES.lock();
        let (mine, others) = lines.drain(..).partition(|line| line.starts_with(self.tag));
        *lines = others;
        let mine: Vec<String> = mine;
        mine.into_iter().map(|line| line[self.tag.len() + 1..].to_owned()).collect()
    }
}

/// What a watch gives next.
async fn next(watch: &mut Watch) -> Value {
    let next = tokio::time::timeout(Duration::from_secs(60), watch.next()).await.expect("an emission");
    next.unwrap().value.value().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_is_computed_once_for_all_who_call_it() {
    let app = App::open("once").await;
    let banner = async |name| app.value("banner", json!({ "city": "Oslo", "name": name })).await;
    assert_eq!(banner("ada").await, "ada: low, low");
    assert_eq!(app.ran(), ["banner ada", "level Oslo", "revenue Oslo"]);
    assert_eq!(banner("bob").await, "bob: low, low");
    assert_eq!(app.ran(), ["banner bob"], "the view is known");
    assert_eq!(app.value("revenue", json!({ "city": "Oslo" })).await, 0);
    assert_eq!(app.ran(), [] as [&str; 0], "also to those who ask for it by itself");
    app.add("Paris", 500).await;
    assert_eq!(banner("ada").await, "ada: low, low");
    assert_eq!(app.ran(), [] as [&str; 0], "the commit was elsewhere");
    app.add("Oslo", 500).await;
    assert_eq!(banner("ada").await, "ada: high, high");
    assert_eq!(app.ran(), ["banner ada", "level Oslo", "revenue Oslo"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_the_same_stops_a_commit() {
    let app = App::open("stops").await;
    let mut banners = ["ada", "bob"].map(|name| app.watch("banner", json!({ "city": "Oslo", "name": name })));
    let mut revenue = app.watch("revenue", json!({ "city": "Oslo" }));
    for banner in &mut banners {
        assert!(next(banner).await.as_str().unwrap().ends_with("low, low"));
    }
    assert_eq!(next(&mut revenue).await, 0);
    app.ran();
    app.add("Oslo", 60).await;
    assert_eq!(next(&mut revenue).await, 60);
    app.wait_for("level Oslo").await;
    app.add("Oslo", 60).await;
    assert_eq!(next(&mut revenue).await, 120);
    for banner in &mut banners {
        assert!(next(banner).await.as_str().unwrap().ends_with("high, high"));
    }
    let mut ran = app.ran();
    // The two who watch may come in any order, after the views.
    ran[4..].sort();
    let views = ["revenue Oslo", "level Oslo", "revenue Oslo", "level Oslo"];
    assert_eq!(ran[..4], views, "each once for a commit, and nothing else for the first");
    assert_eq!(ran[4..], ["banner ada", "banner bob"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_view_has_looked_at_of_its_caller_counts_for_who_calls_it() {
    let app = App::open("callers").await;
    let hello = async |caller: &Caller| app.ask(caller, "greeting", json!({})).await.unwrap();
    assert_eq!(hello(&Caller::Developer).await, "hello developer null");
    assert_eq!(hello(&Caller::Anonymous).await, "hello anonymous null");
    assert_eq!(hello(&Caller::Developer).await, "hello developer null");
    assert_eq!(app.ran(), ["greeting", "mine", "greeting", "mine"], "each once, and for nobody else");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_fails_is_not_kept_and_what_it_has_read_counts() {
    let app = App::open("fails").await;
    app.add("Oslo", 101).await;
    let mut careful = app.watch("careful", json!({ "city": "Oslo" }));
    assert_eq!(next(&mut careful).await, -1);
    app.value("picky", json!({ "city": "Bergen" })).await;
    let mut other = app.watch("careful", json!({ "city": "Bergen" }));
    assert_eq!(next(&mut other).await, 0);
    app.add("Bergen", 5).await;
    assert_eq!(next(&mut other).await, 5);
    app.add("Bergen", 200).await;
    assert_eq!(next(&mut other).await, -1, "it begins to fail");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_gets_plain_data_of_the_declared_type_of_its_own() {
    let app = App::open("shapes").await;
    let expected = json!({ "one": { "a": 5, "b": null }, "two": { "a": 1, "b": null }, "same": false, "keys": "a,b" });
    assert_eq!(app.value("shapes", json!({})).await, expected);
    app.value("loose", json!({})).await;
    assert_eq!(app.value("shapes", json!({})).await, expected, "whoever has computed it");
    app.add("Oslo", 3).await;
    assert_eq!(app.value("names", json!({ "city": "Oslo" })).await, json!([3]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_call_is_told_to_the_caller() {
    let app = App::open("wrong").await;
    for (function, words) in [("asksWrongly", "wrong returned the wrong shape"), ("passesWrongly", "city")] {
        let error = app.ask(&Caller::Developer, function, json!({})).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::FunctionFailed);
        assert!(error.message.contains(words), "{error:?}");
    }
    assert_eq!(app.value("weighs", json!({ "n": 100 })).await, 100);
    let error = app.ask(&Caller::Developer, "weighs", json!({ "n": 300 })).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::LimitExceeded, "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_view_and_its_caller_both_read_wakes_both() {
    let app = App::open("both").await;
    let id = app.value("add", json!({ "city": "Oslo", "total": 5 })).await;
    let (mut invoice, mut both) = (app.watch("invoice", json!({ "id": id })), app.watch("both", json!({ "id": id })));
    assert_eq!(next(&mut invoice).await, "to pay: 5");
    assert_eq!(next(&mut both).await, "false 5");
    app.value("change", json!({ "id": id, "total": 6 })).await;
    assert_eq!(next(&mut invoice).await, "to pay: 6", "the caller has read the document before the view");
    assert_eq!(next(&mut both).await, "false 6", "the view has read it before the caller");
    assert_eq!(app.value("price", json!({ "id": id })).await, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_an_atomic_batch_a_view_sees_what_was_written_and_counts_as_read() {
    let app = App::open("batch").await;
    let id = app.value("add", json!({ "city": "Oslo", "total": 5 })).await;
    let to = |function: &str, args: Value| Call { function: function.to_owned(), args };
    app.value("invoice", json!({ "id": id })).await;
    let calls = vec![
        to("change", json!({ "id": id, "total": 7 })),
        to("invoice", json!({ "id": id })),
        to("revenue", json!({ "city": "Oslo" })),
    ];
    let results = app.engine.batch(&app.release, &Caller::Developer, calls, true, |_| None).await.unwrap();
    let results: Vec<Value> = results.into_iter().map(|answer| answer.unwrap().value.take()).collect();
    assert_eq!(results, [json!(7), json!("to pay: 7"), json!(7)]);
    // What the query has read by a view alone may not change before the procedure writes.
    let grown = (0..20).map(|_| {
        let calls = vec![to("invoice", json!({ "id": id })), to("grow", json!({ "id": id }))];
        app.engine.batch(&app.release, &Caller::Developer, calls, true, |_| None)
    });
    for batch in futures_util::future::join_all(grown).await {
        let answers: Vec<Value> = batch.unwrap().into_iter().map(|answer| answer.unwrap().value.take()).collect();
        let before: i64 = answers[0].as_str().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
        assert_eq!(answers[1], before + 1, "both are of one state");
    }
    assert_eq!(app.value("price", json!({ "id": id })).await, 27);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_of_groups_that_calls_a_view_is_computed_anew_when_that_changes() {
    let app = App::open("impure").await;
    app.add("Oslo", 5).await;
    assert_eq!(app.value("byLevel", json!({})).await, json!([{ "key": "Oslo", "n": 5 }]));
    app.add("factor", 0).await;
    let rows = app.value("byLevel", json!({})).await;
    assert_eq!(rows, json!([{ "key": "Oslo", "n": 10 }, { "key": "factor", "n": 0 }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_inside_of_a_view_leaves_known_what_its_caller_has_read() {
    let app = App::open("limit").await;
    let id = app.value("add", json!({ "city": "Oslo", "total": 600 })).await;
    let mut watch = app.watch("longAs", json!({ "id": id }));
    let error = tokio::time::timeout(Duration::from_secs(60), watch.next()).await.expect("an emission").unwrap_err();
    assert_eq!(error.code, ErrorCode::LimitExceeded);
    app.value("change", json!({ "id": id, "total": 3 })).await;
    assert_eq!(next(&mut watch).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_depends_on_how_deep_calls_nest_is_nobody_elses() {
    let app = App::open("deep").await;
    assert_eq!(app.value("dive", json!({ "depth": 15 })).await, "too deep");
    assert_eq!(app.value("fallback", json!({})).await, "reached");
    assert_eq!(app.value("dive", json!({ "depth": 3 })).await, "reached");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_that_is_full_in_the_middle_of_a_view_does_no_harm() {
    let app = App::open("full").await;
    let _ = app.ask(&Caller::Developer, "overfull", json!({})).await;
    assert_eq!(app.value("fallback", json!({})).await, "reached");
    assert_eq!(app.value("bottom", json!({})).await, "reached");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_does_not_write_by_way_of_its_result() {
    let app = App::open("writing").await;
    let error = app.ask(&Caller::Developer, "writes", json!({})).await.unwrap_err();
    assert!(error.message.contains("only a procedure may"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_procedure_sees_in_a_view_what_it_has_written() {
    let app = App::open("writes").await;
    app.value("revenue", json!({ "city": "Oslo" })).await;
    assert_eq!(app.value("writesAndReads", json!({ "city": "Oslo" })).await, 7);
    assert_eq!(app.value("revenue", json!({ "city": "Oslo" })).await, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn views_of_groups_can_be_called() {
    let app = App::open("groups").await;
    let mut largest = app.watch("largest", json!({}));
    assert_eq!(next(&mut largest).await, json!([]));
    for total in [4, 5, 6] {
        app.add("Oslo", total).await;
        app.add("Bergen", 1).await;
    }
    while next(&mut largest).await != json!([{ "key": "Oslo", "orders": 3, "total": 15 }]) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_views_is_computed_from_its_end() {
    let app = App::open("chain").await;
    let mut fourth = app.watch("fourth", json!({}));
    assert_eq!(next(&mut fourth).await, 2);
    assert_eq!(app.ran(), ["fourth", "third", "second", "first"]);
    app.add("Oslo", 1).await;
    assert_eq!(next(&mut fourth).await, 5);
    assert_eq!(
        app.ran(),
        ["first", "second", "third", "fourth"],
        "the last that was called is the first that has changed"
    );
}
