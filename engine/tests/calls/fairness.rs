//! Callers beside each other: one floods, others are answered; who finds no room is told when to come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use weir_engine::Engine;
use weir_engine::call::{CallError, Caller};
use weir_engine::origin::Connection;
use weir_engine::release::Release;
use weir_sandbox::compile::{Sources, compile};
use weir_sandbox::pool::PoolOptions;
use weir_schema::error::ErrorCode;
use weir_store::{Options, Store};

/// `burn(1)` computes for some tens of milliseconds, wherever it runs. A procedure, since equal queries share a run.
const FUNCTIONS: &str = r#"
import { action, call, procedure, query, type Int } from "weir";
export const burn = procedure((args: { times: Int }): Int => {
  let x = 1;
  for (let i = 0; i < args.times * 2_000_000; i++) x = (x * 16807) % 2147483647;
  return x % 1;
});
export const quick = query((): Int => 7);
export const inner = action(async (args: { times: Int }): Promise<Int> => await call(burn, args));
export const outer = action(async (args: { times: Int }): Promise<Int> => await call(inner, args));
"#;

struct Busy {
    engine: Engine,
    release: Arc<Release>,
    _folder: tempfile::TempDir,
}

impl Busy {
    async fn start(pool: PoolOptions) -> Self {
        let manifest = "name = \"busy\"\nversion = \"1.0.0\"\n[limits]\ncpu_ms = 20000\nwall_ms = 50000\n";
        let texts = [("app.toml", manifest), ("functions/busy.ts", FUNCTIONS)];
        let texts = texts.map(|(path, text)| (path.to_owned(), text.to_owned()));
        let app = compile(&Sources::from_texts(texts)).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("data"), Options::default()).unwrap();
        let engine = Engine::start(store, pool).unwrap();
        let release = engine.activate(app).await.unwrap();
        Self { engine, release, _folder: folder }
    }

    fn call(
        &self,
        connection: u64,
        function: &'static str,
        arguments: Value,
    ) -> impl Future<Output = Result<Value, CallError>> + Send + use<> {
        let (engine, release) = (self.engine.on(Connection(connection)), self.release.clone());
        async move {
            let answer = engine.call(&release, &Caller::Developer, function, arguments).await;
            answer.map(|answer| answer.value.take())
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quick_call_is_answered_long_before_the_flood_of_another_ends() {
    let busy = Busy::start(PoolOptions { isolates: 2, ..PoolOptions::default() }).await;
    let finished = Arc::new(AtomicUsize::new(0));
    let flood: Vec<_> = (0..100)
        .map(|_| {
            let (burning, finished) = (busy.call(1, "burn", json!({ "times": 1 })), finished.clone());
            tokio::spawn(async move {
                burning.await.unwrap();
                finished.fetch_add(1, Ordering::SeqCst);
            })
        })
        .collect();
    // The flood has arrived when its first calls are through.
    while finished.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    for _ in 0..5 {
        assert_eq!(busy.call(2, "quick", json!({})).await, Ok(json!(7)));
    }
    assert!(finished.load(Ordering::SeqCst) < 100, "the flood was over before the others were done");
    for burnt in flood {
        burnt.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_finds_no_room_is_told_when_to_come_back_and_others_find_some() {
    let busy = Busy::start(PoolOptions { isolates: 1, queue_share_max: 2, ..PoolOptions::default() }).await;
    let flood = (0..12).map(|_| busy.call(1, "burn", json!({ "times": 3 })));
    let flood = tokio::spawn(futures_util::future::join_all(flood));
    assert_eq!(busy.call(2, "quick", json!({})).await, Ok(json!(7)));
    let outcomes = flood.await.unwrap();
    let refused: Vec<&CallError> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    assert!((1..=10).contains(&refused.len()), "{outcomes:?}");
    for error in refused {
        assert_eq!(error.code, ErrorCode::Unavailable);
        assert!(error.retry_after.is_some_and(|retry| retry.as_millis() >= 10), "{error:?}");
    }
    assert_eq!(busy.call(1, "quick", json!({})).await, Ok(json!(7)));
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_whose_caller_went_away_make_room() {
    let busy = Busy::start(PoolOptions { isolates: 1, queue_share_max: 2, ..PoolOptions::default() }).await;
    let long = tokio::spawn(busy.call(1, "burn", json!({ "times": 8 })));
    let mut waiting = Vec::new();
    // Those that find room wait behind the long one.
    for _ in 0..8 {
        let call = tokio::spawn(busy.call(1, "burn", json!({ "times": 8 })));
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        waiting.push(call);
    }
    for call in waiting {
        call.abort();
        let _ = call.await;
    }
    // The queue does not look through itself more often than that.
    tokio::time::sleep(std::time::Duration::from_millis(60)).await;
    assert_eq!(busy.call(1, "quick", json!({})).await, Ok(json!(7)));
    // Where others were faster there was no room for it, and it was one of them that was waited for.
    match long.await.unwrap() {
        Ok(value) => assert_eq!(value, json!(0)),
        Err(error) => assert_eq!(error.code, ErrorCode::Unavailable, "{error:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_that_call_actions_do_not_wait_for_each_other() {
    let busy = Busy::start(PoolOptions { action_isolates: 1, ..PoolOptions::default() }).await;
    assert_eq!(busy.call(1, "outer", json!({ "times": 0 })).await, Ok(json!(0)));
    // Two hold both isolates, and each calls a third.
    let calls = (0..8).map(|connection| busy.call(connection, "outer", json!({ "times": 1 })));
    let outcomes = futures_util::future::join_all(calls).await;
    assert!(outcomes.iter().any(Result::is_ok), "{outcomes:?}");
    for outcome in outcomes {
        match outcome {
            Ok(value) => assert_eq!(value, json!(0)),
            Err(error) => assert_eq!(error.code, ErrorCode::Unavailable, "{error:?}"),
        }
    }
}
