//! Views that are computed eagerly, or now and then.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "test code"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use weir_engine::Engine;
use weir_engine::call::{Answer, CallError, Caller};
use weir_engine::release::Release;
use weir_sandbox::compile::{Sources, compile};
use weir_sandbox::pool::PoolOptions;
use weir_store::{Options, Store};

const COLLECTIONS: &str = r#"
import { collection, type Int } from "weir";
export interface Item { n: Int }
export const items = collection<Item>();
"#;

/// The interval of `seldom` stands for one that is not over while the test runs, that of `often` for one that is.
const FUNCTIONS: &str = r#"
import { caller, now, procedure, view, type ID, type Int } from "weir";
import { items } from "../collections";
const total = (): Int => items.all().reduce((sum, item) => sum + item.n, 0);
export const add = procedure((args: { n: Int }): ID => items.insert(args).id);
export const eager = view((): Int => { console.log("eager"); return total(); }, { keep: "eager" });
export const seldom = view((args: { plus: Int }): Int => total() + args.plus, { keep: { every: "1h" } });
export const often = view((): Int => total(), { keep: { every: "5ms" } });
export const stamped = view((): string => now(), { keep: { every: "1h" } });
export const greeting = view((): string => caller.kind, { keep: { every: "1h" } });
"#;

struct App {
    engine: Engine,
    release: Arc<Release>,
    _folder: tempfile::TempDir,
}

impl App {
    async fn open() -> Self {
        let manifest = "name = \"test\"\nversion = \"1.0.0\"\n[limits]\ncpu_ms = 20000\nwall_ms = 50000\n";
        let texts = [("app.toml", manifest), ("collections.ts", COLLECTIONS), ("functions/items.ts", FUNCTIONS)];
        let texts = texts.map(|(path, text)| (path.to_owned(), text.to_owned()));
        let app = compile(&Sources::from_texts(texts)).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("data"), Options::default()).unwrap();
        let engine = Engine::start(store, PoolOptions::default()).unwrap();
        let release = engine.activate(app).await.unwrap();
        Self { engine, release, _folder: folder }
    }

    async fn ask(&self, caller: &Caller, function: &str, arguments: Value) -> Result<Answer, CallError> {
        self.engine.call(&self.release, caller, function, arguments).await
    }

    async fn value(&self, function: &str, arguments: Value) -> Value {
        self.ask(&Caller::Developer, function, arguments).await.unwrap().value.take()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_is_as_of_its_last_run_until_its_interval_is_over() {
    let app = App::open().await;
    assert_eq!(app.value("seldom", json!({ "plus": 1 })).await, json!(1));
    app.value("add", json!({ "n": 5 })).await;
    let again = app.ask(&Caller::Developer, "seldom", json!({ "plus": 1 })).await.unwrap();
    assert_eq!(*again.value, json!(1));
    assert!(again.age.is_some_and(|age| age > Duration::ZERO));
    // Other arguments are another result.
    assert_eq!(app.value("seldom", json!({ "plus": 2 })).await, json!(7));
    let caught_up = async {
        while app.value("often", json!({})).await != json!(5) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), caught_up).await.expect("its interval is over");
    let mut watch = app.engine.watch(&app.release, &Caller::Developer, "often", json!({}), None);
    assert_eq!(*watch.next().await.unwrap().value, json!(5));
    app.value("add", json!({ "n": 3 })).await;
    let emission = watch.next().await.unwrap();
    assert_eq!(*emission.value, json!(8));
    assert!(emission.age.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_looks_at_the_time_is_kept_and_callers_are_told_apart() {
    let app = App::open().await;
    let stamp = app.value("stamped", json!({})).await;
    tokio::time::sleep(Duration::from_millis(3)).await;
    assert_eq!(app.value("stamped", json!({})).await, stamp);
    assert_eq!(*app.ask(&Caller::Anonymous, "stamped", json!({})).await.unwrap().value, stamp);
    assert_eq!(app.value("greeting", json!({})).await, json!("developer"));
    assert_eq!(*app.ask(&Caller::Anonymous, "greeting", json!({})).await.unwrap().value, json!("anonymous"));
}

/// Counts what functions write to the log.
struct Lines(Arc<AtomicUsize>);

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "weir::function"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eager_view_runs_though_nobody_asks_and_an_engine_with_one_closes() {
    let lines = Arc::<AtomicUsize>::default();
    tracing::subscriber::set_global_default(Lines(lines.clone())).unwrap();
    let app = App::open().await;
    let wait = async |runs: usize| {
        let ran = async {
            while lines.load(Ordering::SeqCst) < runs {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), ran).await.expect("it runs");
    };
    wait(1).await;
    app.value("add", json!({ "n": 1 })).await;
    wait(2).await;
    app.value("add", json!({ "n": 2 })).await;
    wait(3).await;
    assert_eq!(app.value("eager", json!({})).await, json!(3));
    app.engine.close().await;
}
