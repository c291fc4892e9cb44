//! What kept results save: how many calls of a skewed workload run nothing, what a change of a view of groups costs beside
//! computing it from all documents, what a view between a commit and many queries saves these, and what a page of a sorted view
//! costs.
//!
//! `cargo bench --bench results` prints shares, medians and ratios. `-- calls`, `-- groups`, `-- views` or `-- index` runs one of
//! them; `WEIR_BENCH_DOCUMENTS` says how many documents the views are over (1,000,000 without).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, reason = "a benchmark")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weir_engine::call::Caller;
use weir_engine::import::import;
use weir_engine::release::Release;
use weir_engine::{Engine, ResultCounts};
use weir_sandbox::compile::{Sources, compile};
use weir_sandbox::pool::PoolOptions;
use weir_store::{Options, Store};

const ITEMS: usize = 10_000;
const CALLS: usize = 100_000;
const WRITES_PERCENT: u64 = 5;
const UPDATES: usize = 300;
const BATCH: usize = 5_000;
const WATCHERS: usize = 500;
const ROUNDS: usize = 20;

const COLLECTIONS: &str = r#"
import { collection, type Float, type Int } from "weir";
export interface Item { number: Int; price: Float }
export const items = collection<Item>({ unique: ["number"] });
export interface Order { day: string; total: Float }
export const orders = collection<Order>();
"#;

const FUNCTIONS: &str = r#"
import { count, max, procedure, query, sum, view, type Float, type ID, type Int, type JSON } from "weir";
import { items, orders } from "../collections";
export const price = query((args: { number: Int }): Float => items.where("number", args.number).first()!.price);
export const reprice = procedure((args: { number: Int; price: Float }): Float =>
  items.patch(items.where("number", args.number).first()!.id, { price: args.price }).price);
export const byDay = view.groupBy(orders, (o) => o.day, { orders: count(), revenue: sum((o) => o.total), most: max((o) => o.total) });
export const byTotal = view.index(orders, (o) => o.total);
export const days = view.index(orders, (o) => o.total, (o) => o.day);
export const order = procedure((args: { day: string; total: Float }): ID => orders.insert(args).id);
const total = (): Float => items.all().reduce((sum, item) => sum + item.price, 0);
export const revenue = view((): Float => total());
export const byView = query((args: { name: Int }): string => `${args.name}: ${revenue()}`);
export const byItself = query((args: { name: Int }): string => `${args.name}: ${total()}`);
export const anew = procedure((): JSON => byDay() as any);
"#;

const MANIFEST: &str = "name = \"bench\"\nversion = \"1.0.0\"\n[limits]\ncpu_ms = 59000\nwall_ms = 59000\n\
    documents_read = 4000000\nread_bytes = 4000000000\nheap_bytes = 1000000000\n";

struct Bench {
    engine: Engine,
    release: Arc<Release>,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn start() -> Self {
        let texts = [("app.toml", MANIFEST), ("collections.ts", COLLECTIONS), ("functions/bench.ts", FUNCTIONS)];
        let sources = Sources::from_texts(texts.map(|(path, text)| (path.to_owned(), text.to_owned())));
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("data"), Options::default()).unwrap();
        let engine = Engine::start(store, PoolOptions::default()).unwrap();
        let release = engine.activate(compile(&sources).expect("the benchmark's app compiles")).await.unwrap();
        Self { engine, release, _folder: folder }
    }

    async fn call(&self, function: &str, arguments: Value) -> Value {
        self.engine.call(&self.release, &Caller::Developer, function, arguments).await.unwrap().value.take()
    }

    async fn fill(&self, collection: &str, documents: usize, document: impl Fn(usize) -> Value) {
        for from in (0..documents).step_by(BATCH) {
            let batch: Vec<Value> = (from..documents.min(from + BATCH)).map(&document).collect();
            import(&self.engine, &self.release, collection, &batch).await.unwrap();
        }
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to and without 1.
    fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Numbers by Zipf's law with exponent 1: of rank `r` one in proportion to `1 / r`.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(count: usize) -> Self {
        let mut sum = 0.0;
        Self(
            (1..=count)
                .map(|rank| {
                    sum += 1.0 / rank as f64;
                    sum
                })
                .collect(),
        )
    }

    fn draw(&self, random: &mut Random) -> usize {
        let at = random.fraction() * self.0.last().unwrap();
        self.0.partition_point(|sum| *sum < at)
    }
}

async fn calls() {
    let bench = Bench::start().await;
    bench.fill("items", ITEMS, |number| json!({ "number": number, "price": 1 })).await;
    let (zipf, random) = (Zipf::new(ITEMS), &mut Random(1));
    let (mut reads, mut writes) = (Vec::new(), 0);
    let mut before = bench.engine.result_counts();
    for call in 0..2 * CALLS {
        // The first half fills what is kept.
        if call == CALLS {
            (before, writes) = (bench.engine.result_counts(), 0);
            reads.clear();
        }
        let number = zipf.draw(random);
        if random.next() % 100 < WRITES_PERCENT {
            bench.call("reprice", json!({ "number": number, "price": random.fraction() })).await;
            writes += 1;
        } else {
            let started = Instant::now();
            bench.call("price", json!({ "number": number })).await;
            reads.push(started.elapsed());
        }
    }
    let after = bench.engine.result_counts();
    let ResultCounts { kept, run, .. } =
        ResultCounts { kept: after.kept - before.kept, joined: 0, run: after.run - before.run };
    println!("{ITEMS} results, Zipf's law, {writes} writes beside {} reads", reads.len());
    println!("  answered by a kept result        {:>8.2} %", 100.0 * kept as f64 / (kept + run) as f64);
    let Times { p50, p99 } = times(reads);
    println!("  read                             p50 {p50:>9.2?}  p99 {p99:>9.2?}");
    bench.engine.close().await;
}

fn documents() -> usize {
    std::env::var("WEIR_BENCH_DOCUMENTS").map_or(1_000_000, |count| count.parse().unwrap())
}

async fn index() {
    let (documents, bench) = (documents(), Bench::start().await);
    bench.fill("orders", documents, |number| json!({ "day": "2026-01-01", "total": number })).await;
    println!("{documents} entries of a sorted view, pages of 20 at random places");
    for (view, what) in [("byTotal", "with documents, read from disk"), ("days", "with values of its own")] {
        bench.call(view, json!({ "first": 0 })).await;
        let (random, mut read) = (&mut Random(1), Vec::new());
        for _ in 0..UPDATES {
            let from = random.next() % documents as u64;
            let started = Instant::now();
            bench.call(view, json!({ "gte": from, "first": 20 })).await;
            read.push(started.elapsed());
        }
        let Times { p50, p99 } = times(read);
        println!("  {what:<32} p50 {p50:>9.2?}  p99 {p99:>9.2?}");
    }
    bench.engine.close().await;
}

async fn groups() {
    let documents = documents();
    let bench = Bench::start().await;
    let started = Instant::now();
    let day = |number: usize| format!("2026-{:02}-{:02}", 1 + number % 12, 1 + number / 12 % 28);
    bench.fill("orders", documents, |number| json!({ "day": day(number), "total": number as f64 / 7.0 })).await;
    println!("{documents} documents in 336 groups, filled in {:.1?}", started.elapsed());
    let mut watch = bench.engine.watch(&bench.release, &Caller::Developer, "byDay", json!({}), None);
    watch.next().await.unwrap();
    let (mut called, mut visible) = (Vec::new(), Vec::new());
    for number in 0..UPDATES {
        let order = json!({ "day": day(number), "total": number as f64 / 3.0 });
        let started = Instant::now();
        bench.call("order", order).await;
        called.push(started.elapsed());
        let committed = Instant::now();
        watch.next().await.unwrap();
        visible.push(committed.elapsed());
    }
    let mut anew = Vec::new();
    for _ in 0..3 {
        bench.call("order", json!({ "day": "2026-01-01", "total": 1 })).await;
        let started = Instant::now();
        bench.call("anew", json!({})).await;
        anew.push(started.elapsed());
    }
    let (called, visible, anew) = (times(called), times(visible), times(anew));
    println!("  the update, until it is durable  p50 {:>9.2?}  p99 {:>9.2?}", called.p50, called.p99);
    println!("  from there until it is visible   p50 {:>9.2?}  p99 {:>9.2?}", visible.p50, visible.p99);
    println!("  computed from all documents      p50 {:>9.2?}", anew.p50);
    println!("ratio visible / computed           {:.6}", visible.p50.as_secs_f64() / anew.p50.as_secs_f64());
    bench.engine.close().await;
}

async fn views() {
    let bench = Bench::start().await;
    let documents = 1_000;
    bench.fill("items", documents, |number| json!({ "number": number, "price": 1 })).await;
    println!("{WATCHERS} queries of a sum over {documents} documents, until the last of them knows of a change");
    let mut medians = Vec::new();
    for function in ["byView", "byItself"] {
        let watch =
            |name| bench.engine.watch(&bench.release, &Caller::Developer, function, json!({ "name": name }), None);
        let mut watches: Vec<_> = (0..WATCHERS).map(watch).collect();
        for watch in &mut watches {
            watch.next().await.unwrap();
        }
        let mut all = Vec::new();
        for round in 0..ROUNDS {
            bench.call("reprice", json!({ "number": round, "price": 2 + medians.len() })).await;
            let committed = Instant::now();
            for watch in &mut watches {
                watch.next().await.unwrap();
            }
            all.push(committed.elapsed());
        }
        let Times { p50, p99 } = times(all);
        println!("  {function:<32} p50 {p50:>9.2?}  p99 {p99:>9.2?}");
        medians.push(p50.as_secs_f64());
    }
    println!("ratio by a view / each by itself   {:.3}", medians[0] / medians[1]);
    bench.engine.close().await;
}

struct Times {
    p50: Duration,
    p99: Duration,
}

fn times(mut samples: Vec<Duration>) -> Times {
    samples.sort_unstable();
    Times { p50: samples[samples.len() / 2], p99: samples[samples.len() * 99 / 100] }
}

fn main() {
    weir_sandbox::isolate::prepare_v8();
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let runs = |part: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == part);
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        if runs("calls") {
            calls().await;
        }
        if runs("index") {
            index().await;
        }
        if runs("groups") {
            groups().await;
        }
        if runs("views") {
            views().await;
        }
    });
}
