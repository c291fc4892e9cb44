//! Three times as many calls as can be answered, by one who does not wait for answers, and one who asks little beside it.
//!
//! `cargo bench --bench overload` measures how many calls a second are answered when they are asked for one after the other, and
//! then offers three times as many: with the usual bound of how long a call waits, and without one. It prints what was
//! answered in a second, and how many of these within the time that a client waits, each beside the capacity; and how long
//! those that were answered took.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, reason = "a benchmark")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;
use weir_engine::Engine;
use weir_engine::call::Caller;
use weir_engine::origin::Connection;
use weir_engine::release::Release;
use weir_sandbox::compile::{Sources, compile};
use weir_sandbox::pool::PoolOptions;
use weir_store::{Options, Store};

/// How long the load lasts.
const LOAD: Duration = Duration::from_secs(8);
/// What comes later is of no use to a client.
const CLIENT_WAITS: Duration = Duration::from_millis(1_000);
/// How long calls wait where that is bounded.
const WAIT: Duration = Duration::from_millis(500);

/// Some milliseconds each, whatever the machine. A procedure, since equal queries share a run.
const FUNCTIONS: &str = r#"
import { procedure, type Int } from "weir";
export const work = procedure((args: { call: Int }): Int => {
  let x = 1 + args.call % 7;
  for (let i = 0; i < 200_000; i++) x = (x * 16807) % 2147483647;
  return x % 1;
});
"#;

fn main() {
    weir_sandbox::isolate::prepare_v8();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let bounded = Loaded::start(WAIT).await;
        let capacity = bounded.capacity().await;
        println!("capacity, one after the other      {capacity:>7.0} calls/s");
        bounded.overload(capacity, "calls wait up to 500 ms").await;
        bounded.engine.close().await;
        let unbounded = Loaded::start(Duration::from_secs(3_600)).await;
        unbounded.overload(capacity, "calls wait without end").await;
        unbounded.engine.close().await;
    });
}

struct Loaded {
    engine: Engine,
    release: Arc<Release>,
    _folder: tempfile::TempDir,
}

/// What came of the calls of one caller.
#[derive(Default)]
struct Came {
    offered: usize,
    refused: usize,
    took: Vec<Duration>,
}

impl Loaded {
    async fn start(wait_max: Duration) -> Self {
        let texts = [("app.toml", "name = \"load\"\nversion = \"1.0.0\"\n"), ("functions/load.ts", FUNCTIONS)];
        let texts = texts.map(|(path, text)| (path.to_owned(), text.to_owned()));
        let app = compile(&Sources::from_texts(texts)).expect("the benchmark's app compiles");
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("data"), Options::default()).unwrap();
        let pool = PoolOptions { wait_max, queue_max: 100_000, queue_share_max: 100_000, ..PoolOptions::default() };
        let engine = Engine::start(store, pool).unwrap();
        let release = engine.activate(app).await.unwrap();
        Self { engine, release, _folder: folder }
    }

    async fn call(&self, caller: u64, call: usize) -> bool {
        let engine = self.engine.on(Connection(caller));
        engine.call(&self.release, &Caller::Anonymous, "work", json!({ "call": call })).await.is_ok()
    }

    /// Calls a second, of as many callers as there are isolates.
    async fn capacity(&self) -> f64 {
        let callers = PoolOptions::default().isolates;
        let started = Instant::now();
        let mut running = JoinSet::new();
        let answered = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        for caller in 0..callers {
            let (engine, release, answered) =
                (self.engine.on(Connection(caller as u64)), self.release.clone(), answered.clone());
            running.spawn(async move {
                let mut call = 0;
                while started.elapsed() < LOAD / 2 {
                    call += 1;
                    let arguments = json!({ "call": call });
                    engine.call(&release, &Caller::Anonymous, "work", arguments).await.expect("an answer");
                    answered.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                }
            });
        }
        while running.join_next().await.is_some() {}
        answered.load(std::sync::atomic::Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64()
    }

    /// Offers three times the capacity: all but a twentieth of it by one caller.
    async fn overload(&self, capacity: f64, name: &str) {
        let shared = Arc::new((self.engine.clone(), self.release.clone()));
        let (started, mut running, mut offered) = (Instant::now(), JoinSet::new(), 0_usize);
        while started.elapsed() < LOAD {
            let due = (started.elapsed().as_secs_f64() * capacity * 3.0) as usize;
            while offered < due {
                offered += 1;
                let (shared, call) = (shared.clone(), offered);
                let caller = u64::from(call.is_multiple_of(20));
                running.spawn(async move {
                    let asked = Instant::now();
                    let (engine, release) = &*shared;
                    let arguments = json!({ "call": call });
                    let answer =
                        engine.on(Connection(caller)).call(release, &Caller::Anonymous, "work", arguments).await;
                    (caller, answer.is_ok().then(|| asked.elapsed()))
                });
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut came = [Came::default(), Came::default()];
        while let Some(ended) = running.join_next().await {
            let (caller, took) = ended.unwrap();
            let came = &mut came[caller as usize];
            came.offered += 1;
            match took {
                Some(took) => came.took.push(took),
                None => came.refused += 1,
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        let answered: usize = came.iter().map(|came| came.took.len()).sum();
        let in_time = came.iter().flat_map(|came| &came.took).filter(|took| **took <= CLIENT_WAITS).count();
        println!(
            "{name}: {offered} calls offered, {:.1} times the capacity",
            offered as f64 / LOAD.as_secs_f64() / capacity
        );
        println!(
            "  answered                         {:>7.0} calls/s, {:.2} of the capacity",
            answered as f64 / seconds,
            answered as f64 / seconds / capacity
        );
        println!(
            "  answered within {CLIENT_WAITS:?}               {:>7.0} calls/s, {:.2} of the capacity",
            in_time as f64 / LOAD.as_secs_f64(),
            in_time as f64 / LOAD.as_secs_f64() / capacity
        );
        for (who, came) in ["who asks most", "who asks little"].iter().zip(&mut came) {
            came.took.sort_unstable();
            let at = |share: usize| came.took.get(came.took.len() * share / 100).copied().unwrap_or_default();
            println!(
                "  {who:<16} {:>6} offered {:>6} refused   p50 {:>8.1?}  p99 {:>8.1?}",
                came.offered,
                came.refused,
                at(50),
                at(99)
            );
        }
        assert!(self.call(7, 0).await, "it answers when the load is over");
    }
}
