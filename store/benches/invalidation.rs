//! Which of many live results a commit touches, asked of the index of what they read, beside asking each of them.
//!
//! `cargo bench --bench invalidation` prints the figures. Every result has read the orders of a customer of its own, half
//! of them in a range of totals only, and some share one customer in ranges that lie in one another. A commit writes one
//! new order: the document and three index entries. Read sets and notices are those of a store.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a measurement that fails ends")]

#[allow(dead_code, reason = "other benchmarks use the rest")]
mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value};
use weir_schema::declarations::Index;
use weir_schema::id::DocumentId;
use weir_schema::shape::Shape;
use weir_store::{Notice, Options, Range, ReadIndex, ReadSet, Scan, Store};

use support::declarations;

const RESULTS: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// Commits of each kind that are looked up, in turn.
const COMMITS: usize = 500;
const LOOKUPS: usize = 20_000;
/// Commits that every read set is asked about.
const SCANS: usize = 9;
/// Results that are about one customer, and all touched by the same commit.
const SHARED: usize = 100;
const SHARED_CUSTOMER: usize = usize::MAX;
/// In the middle of all ranges.
const TOTAL: usize = 500;

fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(run(folder.path()));
}

async fn run(folder: &Path) {
    let store = Store::open(folder, Options::default()).unwrap();
    store.apply_collections(&orders()).await.unwrap();
    let resident_before = resident_bytes();
    let reads: Vec<ReadSet> = (0..RESULTS[3]).map(|number| read(&store, number)).collect();

    let mut medians = Vec::new();
    for results in RESULTS {
        let reads = &reads[..results];
        let mut index = ReadIndex::default();
        let start = Instant::now();
        (0..).zip(reads).for_each(|(id, read)| index.insert(id, read));
        let inserted_us = start.elapsed().as_secs_f64() * 1e6 / results as f64;
        if let (Some(before), Some(after), true) = (resident_before, resident_bytes(), results == RESULTS[3]) {
            let estimate = reads.iter().map(ReadSet::bytes).sum::<usize>() / results;
            println!("memory for a result: {} bytes; ReadSet::bytes says {estimate}", (after - before) / results);
        }
        let one = commits(&store, |number| SHARED + number * 7_919 % (results - SHARED)).await;
        let shared = commits(&store, |_| SHARED_CUSTOMER).await;
        assert!(one.iter().all(|notice| index.touched(notice).len() == 1));
        assert!(shared.iter().all(|notice| index.touched(notice).len() == SHARED));
        let both = [("1", looked_up(&index, &one)), ("100", looked_up(&index, &shared))];
        for (touched, (p50_us, p99_us)) in both {
            println!("{results:>9} results, {touched:>3} touched: p50 {p50_us:>7.2} µs, p99 {p99_us:>7.2} µs");
        }
        let scanned_us = scanned(&index, reads, &one);
        println!(
            "{results:>9} results, each asked:  p50 {scanned_us:>7.0} µs; ratio {:.0}; registered in {inserted_us:.2} µs each",
            scanned_us / both[0].1.0
        );
        medians.push(both.map(|(_, (p50_us, _))| p50_us));
        let start = Instant::now();
        (0..).zip(reads).for_each(|(id, read)| index.remove(id, read));
        println!(
            "{results:>9} results, forgotten in {:.2} µs each",
            start.elapsed().as_secs_f64() * 1e6 / results as f64
        );
    }
    let (least, most) = (medians[0], medians[3]);
    println!("1,000,000 beside 1,000 results: {:.2} for 1, {:.2} for 100", most[0] / least[0], most[1] / least[1]);
    store.close().await;
}

/// Memory of this process, where the system tells it as Linux does, with pages of 4 KiB.
fn resident_bytes() -> Option<usize> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse::<usize>().ok()?;
    Some(pages * 4_096)
}

/// Median and 99th percentile of the time to find what a commit touches.
fn looked_up(index: &ReadIndex, commits: &[Arc<Notice>]) -> (f64, f64) {
    let mut times: Vec<f64> = (0..LOOKUPS)
        .map(|number| {
            let start = Instant::now();
            std::hint::black_box(index.touched(&commits[number % commits.len()]));
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

/// The median time to ask every read set; checks that the index says the same.
fn scanned(index: &ReadIndex, reads: &[ReadSet], commits: &[Arc<Notice>]) -> f64 {
    let mut times: Vec<f64> = commits[..SCANS]
        .iter()
        .map(|notice| {
            let start = Instant::now();
            let touched: Vec<u64> =
                (0..).zip(reads).filter(|(_, read)| read.touches(notice)).map(|(id, _)| id).collect();
            let time_us = start.elapsed().as_secs_f64() * 1e6;
            assert_eq!(index.touched(notice), touched);
            time_us
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// What a result reads: the first of them of the shared customer, in ranges that lie in one another.
fn read(store: &Store, number: usize) -> ReadSet {
    let range = |from: usize, to: usize| Range {
        field: "total".to_owned(),
        gte: Some(from.into()),
        lt: Some(to.into()),
        ..Range::default()
    };
    let (customer, range) = match number {
        0..SHARED => (SHARED_CUSTOMER, Some(range(TOTAL - number, TOTAL + 1 + number))),
        _ if number.is_multiple_of(2) => (number, None),
        _ => (number, Some(range(TOTAL - number % 400, TOTAL + 1 + number % 300))),
    };
    let mut transaction = store.begin().unwrap();
    let equal = vec![("customer".to_owned(), Value::from(name(customer)))];
    transaction.scan("orders", &Scan { equal, range, ..Scan::default() }).unwrap();
    transaction.into_read_set()
}

/// The notices of new orders, by the customer of each.
async fn commits(store: &Store, customer: impl Fn(usize) -> usize) -> Vec<Arc<Notice>> {
    let mut notices = store.notices();
    let mut commits = Vec::new();
    for number in 0..COMMITS {
        let mut transaction = store.begin().unwrap();
        let id = DocumentId::parse(format!("order-{}-{number}", store.head().sequence)).unwrap();
        transaction.put("orders", &id, order(customer(number), number)).unwrap();
        store.commit(transaction).await.unwrap();
        let notice = notices.recv().await.unwrap();
        assert_eq!(notice.touched.len(), 4);
        commits.push(notice);
    }
    commits
}

fn name(customer: usize) -> String {
    format!("customer-{:016x}", (customer as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn order(customer: usize, number: usize) -> Map<String, Value> {
    let mut order = Map::new();
    order.insert("customer".to_owned(), name(customer).into());
    order.insert("total".to_owned(), TOTAL.into());
    order.insert("status".to_owned(), "open".into());
    order.insert("region".to_owned(), format!("region-{}", number % 10).into());
    order
}

fn orders() -> weir_schema::declarations::Declarations {
    let members =
        [("customer", Shape::String), ("total", Shape::Float), ("status", Shape::String), ("region", Shape::String)];
    let indexes = [&["customer", "total"][..], &["status"], &["region"]]
        .map(|fields| Index { fields: fields.iter().map(|field| (*field).to_owned()).collect(), unique: false });
    declarations("orders", &members, indexes.to_vec())
}
