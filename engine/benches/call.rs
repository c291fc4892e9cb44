//! A warm call, from `Engine::call` to its value, beside bare V8 doing the same script with a JSON string each way, and a call
//! whose result is kept.
//!
//! `cargo bench --bench call` prints medians and their ratio.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, reason = "a benchmark")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use deno_core::{JsRuntime, RuntimeOptions, v8};
use serde_json::{Value, json};
use weir_engine::Engine;
use weir_engine::call::Caller;
use weir_sandbox::compile::{Sources, compile};
use weir_sandbox::pool::PoolOptions;
use weir_store::{Options, Store};

const CALLS: usize = 20_000;

const FUNCTIONS: &str = r#"
import { query, type Float } from "weir";
interface Item { price: Float; quantity: Float }
interface Total { net: Float; tax: Float; gross: Float }
export const total = query((args: { items: Item[]; rate: Float }): Total => {
  const net = args.items.reduce((sum, item) => sum + item.price * item.quantity, 0);
  const tax = net * args.rate;
  return { net, tax, gross: net + tax };
});
"#;

/// No two calls of a number above 0 have the same.
fn arguments(call: usize) -> Value {
    let rate = 0.2 + call as f64 / 1e9;
    json!({ "items": [{ "price": 9.5, "quantity": 2 }, { "price": 3, "quantity": 7 }, { "price": 1.25, "quantity": 4 }], "rate": rate })
}

fn main() {
    weir_sandbox::isolate::prepare_v8();
    let bare = bare_v8();
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (alone, kept, eight) = runtime.block_on(async {
        let engine = start(folder.path()).await;
        let alone = one_caller(&engine, |call| call + 1).await;
        let kept = one_caller(&engine, |_| 0).await;
        let eight = callers(&engine, 8).await;
        engine.close().await;
        (alone, kept, eight)
    });
    println!("bare V8, JSON string each way     p50 {:>9.2?}  p99 {:>9.2?}", bare.p50, bare.p99);
    println!("Engine::call, one caller          p50 {:>9.2?}  p99 {:>9.2?}", alone.p50, alone.p99);
    println!("Engine::call, a result at hand    p50 {:>9.2?}  p99 {:>9.2?}", kept.p50, kept.p99);
    println!("Engine::call, 8 callers           {:>9.0} calls/s", eight);
    println!("ratio Engine::call / bare V8      {:.1}", alone.p50.as_secs_f64() / bare.p50.as_secs_f64());
    println!("ratio at hand / bare V8           {:.2}", kept.p50.as_secs_f64() / bare.p50.as_secs_f64());
}

struct Latency {
    p50: Duration,
    p99: Duration,
}

fn latency(mut samples: Vec<Duration>) -> Latency {
    samples.sort_unstable();
    Latency { p50: samples[samples.len() / 2], p99: samples[samples.len() * 99 / 100] }
}

async fn start(folder: &std::path::Path) -> Engine {
    let sources = Sources::from_texts([
        ("app.toml".to_owned(), "name = \"bench\"\nversion = \"1.0.0\"".to_owned()),
        ("functions/total.ts".to_owned(), FUNCTIONS.to_owned()),
    ]);
    let app = compile(&sources).expect("the benchmark's app compiles");
    let store = Store::open(&folder.join("data"), Options::default()).unwrap();
    let engine = Engine::start(store, PoolOptions::default()).unwrap();
    engine.activate(app).await.unwrap();
    engine
}

async fn one_caller(engine: &Engine, number: impl Fn(usize) -> usize) -> Latency {
    let release = engine.releases().borrow().clone().unwrap();
    let mut samples = Vec::with_capacity(CALLS);
    for call in 0..CALLS + 2_000 {
        let arguments = arguments(number(call));
        let started = Instant::now();
        let answer = engine.call(&release, &Caller::Developer, "total", arguments).await.unwrap();
        let took = started.elapsed();
        black_box(answer);
        if call >= 2_000 {
            samples.push(took);
        }
    }
    latency(samples)
}

async fn callers(engine: &Engine, count: usize) -> f64 {
    let release = engine.releases().borrow().clone().unwrap();
    let started = Instant::now();
    let tasks: Vec<_> = (0..count)
        .map(|caller| {
            let (engine, release) = (engine.clone(), release.clone());
            tokio::spawn(async move {
                for call in 0..CALLS / 4 {
                    let arguments = arguments((caller + 2) * CALLS + call);
                    black_box(engine.call(&release, &Caller::Developer, "total", arguments).await.unwrap());
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    (count * (CALLS / 4)) as f64 / started.elapsed().as_secs_f64()
}

/// The same function in an isolate of its own: parse, compute, stringify, and nothing else.
fn bare_v8() -> Latency {
    std::thread::spawn(|| {
        let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _inside = tokio.enter();
        let mut runtime = JsRuntime::new(RuntimeOptions::default());
        let script = "(text) => { const { items, rate } = JSON.parse(text); \
             const net = items.reduce((sum, item) => sum + item.price * item.quantity, 0); \
             const tax = net * rate; return JSON.stringify({ net, tax, gross: net + tax }); }";
        let function = runtime.execute_script("bench", script).unwrap();
        deno_core::scope!(scope, &mut runtime);
        let function = v8::Local::<v8::Function>::try_from(v8::Local::new(scope, function)).unwrap();
        let text = arguments(0).to_string();
        let mut samples = Vec::with_capacity(CALLS);
        for call in 0..CALLS + 2_000 {
            v8::scope!(let scope, scope);
            let started = Instant::now();
            let argument = v8::String::new(scope, &text).unwrap();
            let receiver = v8::undefined(scope).into();
            let result = function.call(scope, receiver, &[argument.into()]).unwrap();
            black_box(result.to_rust_string_lossy(scope));
            if call >= 2_000 {
                samples.push(started.elapsed());
            }
        }
        latency(samples)
    })
    .join()
    .unwrap()
}
