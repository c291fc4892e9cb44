//! What calls give to metrics: counted when, and only when, what the function did counts.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use weir_sandbox::App;
use weir_sandbox::compile::{Sources, compile};
use weir_sandbox::pool::PoolOptions;
use weir_schema::error::ErrorCode;
use weir_schema::limits::Limit;
use weir_store::{Options, Store};

use super::observations::tests::design;
use super::*;
use crate::Engine;
use crate::call::{Call, CallError, Caller, Identity, TokenKind};
use crate::idempotency::IdempotencyKey;
use crate::jobs::{Clock, Scheduler};
use crate::release::Release;
use crate::rollouts::loaded::Writes;

const MANIFEST: &str = r#"
name = "shop"
version = "1.0.0"
[limits]
metrics_emitted = 20
[metrics.order_value]
kind = "mean"
[metrics.ordered]
kind = "conversion"
function = "placeOrder"
[metrics.seen]
kind = "conversion"
"#;

const FUNCTIONS: &str = r#"
import { action, attempt, call, collection, fail, metric, procedure, query, schedule, view, type Float, type ID, type Int, type JSON } from "weir";
export interface Order { total: Float }
export interface Counter { name: string; n: Int }
export const orders = collection<Order>();
export const counters = collection<Counter>({ unique: ["name"] });
export const placeOrder = procedure((args: { total: Float; thenFail?: boolean }): Float => {
  orders.insert({ total: args.total });
  metric("order_value", args.total);
  if (args.thenFail) fail("NO", "not after all");
  return args.total;
});
export const countUp = procedure((): Int => {
  const counter = counters.where("name", "all").first() ?? counters.insert({ name: "all", n: 0 });
  metric("seen", 1);
  return counters.patch(counter.id, { n: counter.n + 1 }).n;
});
export const tried = procedure((): boolean => {
  metric("order_value", 1);
  const kept = attempt(() => metric("order_value", 2));
  const taken = attempt(() => { metric("order_value", 4); attempt(() => metric("order_value", 8)); fail("NO"); });
  metric("order_value", 16);
  return kept.ok && !taken.ok;
});
export const act = action(async (args: { thenFail?: boolean }): Promise<Int> => {
  metric("order_value", 32);
  await call(placeOrder, { total: 64 });
  if (args.thenFail) throw new Error("the other side is down");
  return 1;
});
export const named = procedure((args: { name: string; value: JSON; times: Int }): Int => {
  for (let i = 0; i < args.times; i++) metric(args.name, args.value);
  return args.times;
});
export const inQuery = query((): Int => { metric("seen", 1); return 1; });
export const inView = view((): Int => { metric("seen", 1); return 1; });
export const viewsIt = procedure((): Int => inView());
export const later = procedure((args: { total: Float }): ID => schedule({ after: 0 }, placeOrder, { total: args.total }));
"#;

fn app() -> App {
    let texts = [("app.toml", MANIFEST), ("functions/f.ts", FUNCTIONS)];
    let sources = Sources::from_texts(texts.map(|(path, text)| (path.to_owned(), text.to_owned())));
    compile(&sources).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

struct Bench {
    engine: Engine,
    release: Arc<Release>,
    _folder: TempDir,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("data"), Options::default()).unwrap();
        let engine = Engine::start(store, PoolOptions::default()).unwrap();
        let release = engine.activate(app()).await.unwrap();
        Self { engine, release, _folder: folder }
    }

    async fn call(&self, function: &str, arguments: Value) -> Result<Value, CallError> {
        let answer = self.engine.call(&self.release, &Caller::Developer, function, arguments).await;
        answer.map(|answer| answer.value.take())
    }

    async fn good(&self, function: &str, arguments: Value) -> Value {
        self.call(function, arguments).await.unwrap_or_else(|error| panic!("{function}: {error}"))
    }

    /// How many values were given to each metric, and their sum.
    fn counted(&self) -> Vec<(u64, f64)> {
        self.release.counts().all().into_iter().map(|(_, counted)| (counted.values, counted.sum)).collect()
    }
}

const NOTHING: (u64, f64) = (0, 0.0);

fn token(subject: &str) -> Caller {
    let (issuer, subject) = ("https://id.example.com".to_owned(), subject.to_owned());
    let (roles, scopes, claims) = (Vec::new(), Vec::new(), serde_json::Map::new());
    Caller::Token(Arc::new(Identity { kind: TokenKind::User, issuer, subject, roles, scopes, claims }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_procedure_counts_when_it_commits() {
    let bench = Bench::new().await;
    bench.good("placeOrder", json!({ "total": 10 })).await;
    assert_eq!(bench.counted(), [(1, 10.0), (1, 1.0), NOTHING]);
    bench.call("placeOrder", json!({ "total": 10, "thenFail": true })).await.unwrap_err();
    assert_eq!(bench.counted(), [(1, 10.0), (1, 1.0), NOTHING], "it has failed");
    assert_eq!(bench.good("tried", json!({})).await, true);
    assert_eq!(bench.counted(), [(4, 29.0), (1, 1.0), NOTHING], "what an attempt has taken back gives nothing");
    let squares = bench.release.counts().all()[0].1.squares;
    assert_eq!(squares, 100.0 + 1.0 + 4.0 + 256.0);
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_runs_again_for_others_counts_once() {
    let bench = Arc::new(Bench::new().await);
    let calls = (0..40).map(|_| {
        let bench = bench.clone();
        tokio::spawn(async move { bench.good("countUp", json!({})).await })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    assert_eq!(bench.counted()[2], (40, 40.0));
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_with_a_key_and_a_batch_that_fails_count_nothing() {
    let bench = Bench::new().await;
    let key = IdempotencyKey::parse("once").unwrap();
    for _ in 0..3 {
        let scope = Some(key.scope(&Caller::Developer, "placeOrder"));
        let arguments = json!({ "total": 5 });
        bench.engine.call_once(&bench.release, &Caller::Developer, "placeOrder", arguments, scope).await.unwrap();
    }
    assert_eq!(bench.counted()[..2], [(1, 5.0), (1, 1.0)]);
    let call = |total: u32, fails: bool| Call {
        function: "placeOrder".to_owned(),
        args: json!({ "total": total, "thenFail": fails }),
    };
    let batch = async |calls: Vec<Call>, atomic: bool| {
        let outcomes = bench.engine.batch(&bench.release, &Caller::Developer, calls, atomic, |_| None).await.unwrap();
        outcomes.iter().filter(|outcome| outcome.is_ok()).count()
    };
    assert_eq!(batch(vec![call(1, false), call(2, true)], true).await, 0);
    assert_eq!(bench.counted()[..2], [(1, 5.0), (1, 1.0)]);
    assert_eq!(batch(vec![call(1, false), call(2, false)], true).await, 2);
    assert_eq!(bench.counted()[..2], [(3, 8.0), (3, 3.0)]);
    assert_eq!(batch(vec![call(4, false), call(8, true), call(16, false)], false).await, 2);
    assert_eq!(bench.counted()[..2], [(5, 28.0), (5, 5.0)]);
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_counts_when_it_ends_well_and_what_it_has_called_has_happened() {
    let bench = Bench::new().await;
    bench.good("act", json!({})).await;
    assert_eq!(bench.counted()[..2], [(2, 96.0), (1, 1.0)]);
    bench.call("act", json!({ "thenFail": true })).await.unwrap_err();
    assert_eq!(bench.counted()[..2], [(3, 160.0), (2, 2.0)]);
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_counts_as_a_call_does() {
    let bench = Bench::new().await;
    let scheduler = Scheduler::start(bench.engine.clone(), Clock::system());
    bench.good("later", json!({ "total": 7 })).await;
    for _ in 0..6_000 {
        if bench.counted()[1].0 > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(bench.counted()[..2], [(1, 7.0), (1, 1.0)]);
    scheduler.stop().await;
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_count_is_refused() {
    let bench = Bench::new().await;
    for (function, words) in [
        ("inQuery", "counts in procedures and actions only: what a query gives is kept and shared"),
        ("inView", "counts in procedures and actions only: what a view gives is kept and shared"),
        ("viewsIt", "counts in procedures and actions only: what a view gives is kept and shared"),
    ] {
        let error = bench.call(function, json!({})).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::FunctionFailed, "{function}");
        assert!(error.message.contains(words), "{function}: {error}");
    }
    let long = "a".repeat(65);
    for (name, value, words) in [
        ("orders", json!(1), "app.toml declares no metric \"orders\": add [metrics.orders]"),
        ("Order value", json!(1), "the name of a metric has 1 to 64 lower-case letters"),
        (long.as_str(), json!(1), "the name of a metric has 1 to 64 lower-case letters"),
        ("seen", json!("1"), "takes a string and a finite number"),
        ("seen", json!(2e15), "the value of a metric is a number between -1e15 and 1e15"),
    ] {
        let error = bench.call("named", json!({ "name": name, "value": value, "times": 1 })).await.unwrap_err();
        assert!(error.message.contains(words), "{name}: {error}");
    }
    let flood = bench.call("named", json!({ "name": "seen", "value": 1, "times": 21 })).await.unwrap_err();
    assert_eq!(flood.limit, Some(Limit::MetricsEmitted));
    assert_eq!(bench.counted(), [NOTHING; 3]);
    bench.good("named", json!({ "name": "seen", "value": -1e15, "times": 20 })).await;
    assert_eq!(bench.counted()[2], (20, -2e16));
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_of_an_experiment_count_for_the_variant_that_they_have_seen() {
    let mut bench = Bench::new().await;
    // As the release of B.
    bench.release = bench.engine.load(app(), Some(8), Writes::NotYet).await.unwrap();
    let observations = bench.engine.observations();
    observations.begin(bench.engine.store(), 5, design()).await.unwrap();
    for (name, variant) in [("ada", 1), ("bob", 0)] {
        observations.expose(5, variant, CallerDigest::of(&token(name)).unwrap()).unwrap();
    }
    for (caller, total) in
        [(token("ada"), 10), (token("ada"), 5), (token("bob"), 100), (token("eve"), 100), (Caller::Developer, 100)]
    {
        bench.engine.call(&bench.release, &caller, "placeOrder", json!({ "total": total })).await.unwrap();
    }
    let summary = observations.summary(5).unwrap();
    let of = |variant: usize, metric: &str| (summary[variant].callers, summary[variant].metrics[metric].sum);
    assert_eq!([of(1, "order_value"), of(1, "ordered")], [(1, 15.0), (1, 1.0)]);
    assert_eq!(
        [of(0, "order_value"), of(0, "ordered")],
        [(1, 0.0), (1, 0.0)],
        "the release is not that of bob's variant"
    );
    assert_eq!(bench.counted()[0], (5, 315.0), "the release counts whoever calls");
    bench.engine.close().await;
}
