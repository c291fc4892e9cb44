//! Durable commits and point reads, each beside bare surrealkv doing the same in the same run.
//!
//! `cargo bench --bench commit` prints the figures. One commit of ours writes a document, an index entry, a journal
//! entry, an audit record and the head; one of surrealkv's writes one key of the same size, as durably. Medians of three
//! runs.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a measurement that fails ends")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use surrealkv::{Durability, Mode, Tree};
use weir_schema::codec::audit::AuditNote;
use weir_schema::declarations::{Declarations, Index};
use weir_schema::id::DocumentId;
use weir_schema::shape::Shape;
use weir_store::{Options, Store};

use support::{Figures, bare, declarations, fsync_us, measure};

const RUNS: usize = 3;
const RUN: Duration = Duration::from_millis(1_500);
const DOCUMENTS: u64 = 100_000;
const READS: u64 = 50_000;

fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    println!("write and fdatasync of 512 bytes: {:>8.0} µs (median)", fsync_us(folder.path()));
    runtime.block_on(run(folder.path()));
}

async fn run(folder: &Path) {
    let store = Store::open(&folder.join("weir"), Options::default()).unwrap();
    store.apply_collections(&orders()).await.unwrap();
    let bare = Arc::new(bare(&folder.join("bare")));

    fill(&store, &bare).await;
    reads("in the cache", &store, &bare);
    for callers in [1, 16, 256] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            let (bare, store) = (bare.clone(), store.clone());
            theirs.push(measure(callers, RUN, move |number| commit_bare(bare.clone(), number)).await);
            ours.push(measure(callers, RUN, move |number| commit_ours(store.clone(), number)).await);
        }
        let (ours, theirs) = (Figures::median(ours), Figures::median(theirs));
        println!(
            "commits with {callers:>3} callers: {:>8.0}/s, p50 {:>6.0} µs, p99 {:>6.0} µs; bare {:>8.0}/s; ratio {:.2}",
            ours.per_second,
            ours.p50_us,
            ours.p99_us,
            theirs.per_second,
            ours.per_second / theirs.per_second
        );
    }
    reads("after the commits", &store, &bare);
    store.close().await;
    let start = Instant::now();
    let store = Store::open(&folder.join("weir"), Options::default()).unwrap();
    let opened = start.elapsed();
    println!("open with {} commits in the journal: {:.0} ms", store.head().sequence, opened.as_secs_f64() * 1e3);
    store.close().await;
    bare.close().await.unwrap();
}

async fn commit_bare(tree: Arc<Tree>, number: u64) {
    let mut transaction = tree.begin_with_mode(Mode::WriteOnly).unwrap().with_durability(Durability::Immediate);
    transaction.set(name(number).as_bytes(), Value::Object(document(number)).to_string().as_bytes()).unwrap();
    transaction.commit().await.unwrap();
}

async fn commit_ours(store: Store, number: u64) {
    let mut transaction = store.begin().unwrap();
    transaction.put("orders", &id(number), document(number)).unwrap();
    let (actor, action) = ("developer".to_owned(), "call".to_owned());
    transaction.record(AuditNote { actor, action, targets: vec!["placeOrder".to_owned()], ..AuditNote::default() });
    store.commit(transaction).await.unwrap();
}

fn name(number: u64) -> String {
    format!("order-{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn id(number: u64) -> DocumentId {
    DocumentId::parse(name(number)).unwrap()
}

fn document(number: u64) -> Map<String, Value> {
    let mut document = Map::new();
    document.insert("customer".to_owned(), format!("customer-{}", number % 1_000).into());
    document.insert("status".to_owned(), "open".into());
    document.insert("note".to_owned(), "the quick brown fox jumps over the lazy dog".into());
    document
}

fn orders() -> Declarations {
    let members = ["customer", "status", "note"].map(|name| (name, Shape::String));
    declarations("orders", &members, vec![Index { fields: vec!["customer".to_owned()], unique: false }])
}

/// The documents that are read: numbers from 2⁴⁰.
fn stored(number: u64) -> u64 {
    (1 << 40) + number % DOCUMENTS
}

async fn fill(store: &Store, bare: &Tree) {
    for start in (0..DOCUMENTS).step_by(1_000) {
        let mut ours = store.begin().unwrap();
        let mut theirs = bare.begin_with_mode(Mode::WriteOnly).unwrap();
        for number in (start..start + 1_000).map(stored) {
            ours.put("orders", &id(number), document(number)).unwrap();
            theirs.set(name(number).as_bytes(), Value::Object(document(number)).to_string().as_bytes()).unwrap();
        }
        store.commit(ours).await.unwrap();
        theirs.commit().await.unwrap();
    }
}

fn reads(when: &str, store: &Store, bare: &Tree) {
    let ids: Vec<DocumentId> = (0..READS).map(|number| id(stored(number * 7_919))).collect();
    let ours = median_us(&ids, |id| {
        let mut transaction = store.begin().unwrap();
        assert!(transaction.get("orders", id).unwrap().is_some());
    });
    let theirs = median_us(&ids, |id| {
        let transaction = bare.begin_with_mode(Mode::ReadOnly).unwrap();
        assert!(transaction.get(id.as_str().as_bytes()).unwrap().is_some());
    });
    println!("begin and read one, {when}: {ours:.2} µs; bare {theirs:.2} µs; ratio {:.2}", ours / theirs);
    let mut transaction = store.begin().unwrap();
    let ours = median_us(&ids, |id| assert!(transaction.get("orders", id).unwrap().is_some()));
    let open = bare.begin_with_mode(Mode::ReadOnly).unwrap();
    let theirs = median_us(&ids, |id| assert!(open.get(id.as_str().as_bytes()).unwrap().is_some()));
    println!("read one in a snapshot, {when}: {ours:.2} µs; bare {theirs:.2} µs; ratio {:.2}", ours / theirs);
}

/// Warms up with one round, then measures another.
fn median_us(ids: &[DocumentId], mut read: impl FnMut(&DocumentId)) -> f64 {
    ids.iter().for_each(&mut read);
    let mut times: Vec<f64> = ids
        .iter()
        .map(|id| {
            let start = Instant::now();
            read(id);
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
