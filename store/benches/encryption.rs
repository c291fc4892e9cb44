//! What encryption at rest costs, and what an exchange of keys does to commits meanwhile.
//!
//! `cargo bench --bench encryption` prints the figures, each beside its like in the same run: commits of a folder with
//! and without keys, and the latency of commits while all tables are written again beside that before.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a measurement that fails ends")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use weir_schema::declarations::{Collection, Declarations};
use weir_schema::id::DocumentId;
use weir_store::{KeyRing, Options, Store};

const RUNS: usize = 3;
const RUN: Duration = Duration::from_millis(1_500);
const CALLERS: usize = 64;
/// Documents of a kibibyte that are there when keys are exchanged.
const DOCUMENTS: u64 = 600_000;
/// Commits a second of the load beside the exchange.
const PACED_PER_SECOND: u32 = 1_000;

fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(run(folder.path()));
}

async fn run(folder: &Path) {
    let keys: Vec<String> = (1..=2).map(|id| format!("{id} {:064x}", 0x1234_5678_9abc_def1_u64 * id)).collect();
    let first = KeyRing::parse(&keys[0]).unwrap();
    let both = KeyRing::parse(&keys.join("\n")).unwrap();
    let second = KeyRing::parse(&keys[1]).unwrap();
    let plain = open(&folder.join("plain"), None).await;
    let encrypted = open(&folder.join("encrypted"), Some(first)).await;

    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        without.push(throughput(&plain).await);
        with.push(throughput(&encrypted).await);
    }
    let (with, without) = (median(with), median(without));
    println!("{CALLERS} callers: {with:.0} commits/s encrypted, {without:.0} not; ratio {:.2}", with / without);
    plain.close().await;

    for start in (0..DOCUMENTS).step_by(1_000) {
        let mut transaction = encrypted.begin().unwrap();
        for number in start..start + 1_000 {
            transaction.put("orders", &id(number), document()).unwrap();
        }
        encrypted.commit(transaction).await.unwrap();
    }
    println!("data folder: {} MB", size(&folder.join("encrypted")) >> 20);
    let before = paced(&encrypted, async { tokio::time::sleep(Duration::from_secs(10)).await }).await;
    print_latency("before", &before);
    let mut rotating = Duration::ZERO;
    let exchange = paced(&encrypted, async {
        let start = Instant::now();
        encrypted.rotate_keys(both).await.unwrap();
        rotating = start.elapsed();
    });
    print_latency("while keys are exchanged", &exchange.await);
    println!("keys exchanged in {:.0} ms", rotating.as_secs_f64() * 1e3);
    let mut done = None;
    let rewriting = paced(&encrypted, async {
        let start = Instant::now();
        done = Some((encrypted.reencrypt().await.unwrap(), start.elapsed()));
    });
    print_latency("while all is written again", &rewriting.await);
    let (done, took) = done.unwrap();
    println!("{} tables, {} MB written again in {:.1} s", done.files, done.bytes >> 20, took.as_secs_f64());
    encrypted.rotate_keys(second).await.unwrap();
    encrypted.close().await;
}

async fn open(folder: &Path, encryption: Option<KeyRing>) -> Store {
    let store = Store::open(folder, Options { encryption, ..Options::default() }).unwrap();
    let name = "orders".to_owned();
    let (document, value) = (name.clone(), name.clone());
    let (indexes, references) = (Vec::new(), Vec::new());
    let collection = Collection { name: name.clone(), document, value, module: String::new(), indexes, references };
    let mut declarations = Declarations::default();
    declarations.collections.insert(name, collection);
    store.apply_collections(&declarations).await.unwrap();
    store
}

static NUMBER: AtomicU64 = AtomicU64::new(1 << 40);

async fn commit(store: &Store) -> Duration {
    let mut transaction = store.begin().unwrap();
    transaction.put("orders", &id(NUMBER.fetch_add(1, Ordering::Relaxed)), document()).unwrap();
    let start = Instant::now();
    store.commit(transaction).await.unwrap();
    start.elapsed()
}

async fn throughput(store: &Store) -> f64 {
    let start = Instant::now();
    let tasks: Vec<_> = (0..CALLERS)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut count = 0_u32;
                while start.elapsed() < RUN {
                    commit(&store).await;
                    count += 1;
                }
                count
            })
        })
        .collect();
    let mut count = 0;
    for task in tasks {
        count += task.await.unwrap();
    }
    f64::from(count) / start.elapsed().as_secs_f64()
}

/// The latencies of commits at an even pace while something is done.
async fn paced(store: &Store, work: impl Future<Output = ()>) -> Vec<Duration> {
    let stop = Arc::new(AtomicBool::new(false));
    let (store, stopped) = (store.clone(), stop.clone());
    let load = tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_secs(1) / PACED_PER_SECOND);
        let mut commits = tokio::task::JoinSet::new();
        while !stopped.load(Ordering::Relaxed) {
            tick.tick().await;
            let store = store.clone();
            commits.spawn(async move { commit(&store).await });
        }
        commits.join_all().await
    });
    work.await;
    stop.store(true, Ordering::Relaxed);
    load.await.unwrap()
}

fn print_latency(when: &str, times: &[Duration]) {
    let mut times: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).or(times.last()).copied().unwrap_or(0.0);
    println!(
        "{PACED_PER_SECOND} commits/s, {when}: p50 {:.2} ms, p99 {:.1} ms, p99.9 {:.1} ms, longest {:.0} ms of {}",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0),
        times.len()
    );
}

fn median(mut runs: Vec<f64>) -> f64 {
    runs.sort_by(f64::total_cmp);
    runs[runs.len() / 2]
}

fn id(number: u64) -> DocumentId {
    DocumentId::parse(format!("order-{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))).unwrap()
}

fn document() -> Map<String, Value> {
    let mut document = Map::new();
    document.insert("note".to_owned(), "the quick brown fox ".repeat(50).into());
    document
}

fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { size(&path) } else { path.metadata().map_or(0, |file| file.len()) }).sum()
}
