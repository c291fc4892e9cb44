//! Transfers between accounts, beside PostgreSQL doing the same on the same disk.
//!
//! `cargo bench --bench transfer` prints the figures. A transfer reads two of 100,000 accounts and writes both; 64
//! callers do it at once, each waiting until its own is durable. Ours is a serializable transaction through the store's
//! own API; PostgreSQL runs a plpgsql function with row locks, driven by pgbench. Accounts are drawn uniformly, then by
//! Zipf's law. Medians of three runs in turn. At the end no money may be missing.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a measurement that fails ends")]

mod postgres;
#[path = "../support/mod.rs"]
mod support;
mod workload;

use std::future::ready;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Map, Value};
use surrealkv::{Durability, Mode, Tree};
use weir_schema::codec::audit::AuditNote;
use weir_schema::id::DocumentId;
use weir_schema::shape::Shape;
use weir_store::{Options, Run, Scan, Store, Transaction};

use postgres::{Isolation, Postgres};
use support::{Figures, bare, declarations, fsync_us, measure};
use workload::{ACCOUNTS, BALANCE, Draw, Transfer};

const RUNS: usize = 3;
const RUN: Duration = Duration::from_secs(5);
const CALLERS: usize = 64;
const TURN_MAX: Duration = Duration::from_secs(10);
const TOTAL: i64 = ACCOUNTS as i64 * BALANCE;

fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    println!("write and fdatasync of 512 bytes: {:>8.0} µs (median)", fsync_us(folder.path()));
    let postgres = match Postgres::start(Path::new(env!("CARGO_TARGET_TMPDIR"))) {
        Ok(postgres) => {
            println!("beside {} in {}", postgres.version(), postgres.folder().display());
            Some(postgres)
        }
        Err(missing) => {
            println!("ours alone: {missing}");
            None
        }
    };
    runtime.block_on(run(folder.path(), postgres.as_ref()));
}

async fn run(folder: &Path, postgres: Option<&Postgres>) {
    let store = Store::open(&folder.join("weir"), Options::default()).unwrap();
    let members = [("owner", Shape::String), ("balance", Shape::Int)];
    store.apply_collections(&declarations("accounts", &members, Vec::new())).await.unwrap();
    fill(&store).await;

    let uniform = compare("uniform", &store, &Arc::new(Draw::Uniform), postgres).await;
    let skewed = compare("skewed", &store, &Arc::new(Draw::zipf()), postgres).await;
    println!("ours skewed / ours uniform: {:.2}", skewed.per_second / uniform.per_second);
    assert_eq!(total(&store), TOTAL, "money is missing");
    store.close().await;

    let floor = two_sets(&folder.join("bare")).await;
    println!(
        "bare surrealkv, two sets: {:>8.0}/s; ours uniform / bare: {:.2}",
        floor.per_second,
        uniform.per_second / floor.per_second
    );
}

/// Measures both in turn, then PostgreSQL once with the isolation that ours has. Returns ours.
async fn compare(name: &str, store: &Store, draw: &Arc<Draw>, postgres: Option<&Postgres>) -> Figures {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let aborted = Arc::new(AtomicU64::new(0));
    let done = Arc::new(AtomicU64::new(0));
    for _ in 0..RUNS {
        theirs.extend(postgres.map(|postgres| postgres.measure(name, Isolation::ReadCommitted, CALLERS, RUN)));
        let (store, draw, aborted, done) = (store.clone(), draw.clone(), aborted.clone(), done.clone());
        let figures = measure(CALLERS, RUN, move |number| {
            let (store, draw, aborted, done) = (store.clone(), draw.clone(), aborted.clone(), done.clone());
            async move {
                let attempts = transfer_once(&store, draw.transfer(number)).await;
                aborted.fetch_add(attempts - 1, Ordering::Relaxed);
                done.fetch_add(1, Ordering::Relaxed);
            }
        });
        ours.push(figures.await);
    }
    let ours = Figures::median(ours);
    let aborted = aborted.load(Ordering::Relaxed) as f64 / done.load(Ordering::Relaxed) as f64;
    print(name, "ours", ours);
    println!("{name:>8}, aborted attempts for each of ours: {aborted:.2}");
    if let Some(postgres) = postgres {
        let theirs = Figures::median(theirs);
        print(name, "PostgreSQL, row locks", theirs);
        print(name, "PostgreSQL, serializable", postgres.measure(name, Isolation::Serializable, CALLERS, RUN));
        println!("{name:>8}, ours / PostgreSQL with row locks: {:.2}", ours.per_second / theirs.per_second);
        assert_eq!(postgres.total(), TOTAL, "PostgreSQL: money is missing");
    }
    ours
}

fn print(name: &str, whose: &str, figures: Figures) {
    let Figures { per_second, p50_us, p99_us } = figures;
    println!("{name:>8}, {whose:<24}: {per_second:>8.0}/s, p50 {p50_us:>7.0} µs, p99 {p99_us:>7.0} µs");
}

/// Makes one transfer durable, audited as a call of a procedure is. Returns how often it had to be tried.
async fn transfer_once(store: &Store, transfer: Transfer) -> u64 {
    let mut attempts = 0;
    let transacted = store.transact(TURN_MAX, |mut transaction| {
        attempts += 1;
        move_money(&mut transaction, transfer);
        let (actor, action) = ("developer".to_owned(), "call".to_owned());
        transaction.record(AuditNote { actor, action, targets: vec!["transfer".to_owned()], ..AuditNote::default() });
        ready(Run::Commit(transaction, ()))
    });
    transacted.await.unwrap();
    attempts
}

/// Reads two accounts and writes both.
fn move_money(transaction: &mut Transaction, Transfer { source, target, amount }: Transfer) {
    let (source, target) = (id(source), id(target));
    let mut paying = account(transaction, &source);
    let mut paid = account(transaction, &target);
    add(&mut paying, -amount);
    add(&mut paid, amount);
    transaction.put("accounts", &source, paying).unwrap();
    transaction.put("accounts", &target, paid).unwrap();
}

fn account(transaction: &mut Transaction, id: &DocumentId) -> Map<String, Value> {
    let text = transaction.get("accounts", id).unwrap().unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn add(account: &mut Map<String, Value>, amount: i64) {
    let balance = &mut account["balance"];
    *balance = (balance.as_i64().unwrap() + amount).into();
}

fn id(number: u64) -> DocumentId {
    DocumentId::parse(number.to_string()).unwrap()
}

async fn fill(store: &Store) {
    for start in (1..=ACCOUNTS).step_by(1_000) {
        let mut transaction = store.begin().unwrap();
        for number in start..start + 1_000 {
            let mut account = Map::new();
            account.insert("owner".to_owned(), format!("owner-{number}").into());
            account.insert("balance".to_owned(), BALANCE.into());
            transaction.put("accounts", &id(number), account).unwrap();
        }
        store.commit(transaction).await.unwrap();
    }
}

/// What all accounts hold together.
fn total(store: &Store) -> i64 {
    let rows = store.begin().unwrap().scan("accounts", &Scan::default()).unwrap().rows;
    assert_eq!(rows.len() as u64, ACCOUNTS);
    let balance = |text: &[u8]| serde_json::from_slice::<Value>(text).unwrap()["balance"].as_i64().unwrap();
    rows.iter().map(|row| balance(&row.document)).sum()
}

/// What the writes alone cost: two sets of the same size in a durable commit, with nothing read or checked. Neighbouring
/// numbers have accounts of their own, so that none is refused.
async fn two_sets(folder: &Path) -> Figures {
    let tree = Arc::new(bare(folder));
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        let tree = tree.clone();
        runs.push(measure(CALLERS, RUN, move |number| commit_bare(tree.clone(), number)).await);
    }
    tree.close().await.unwrap();
    Figures::median(runs)
}

async fn commit_bare(tree: Arc<Tree>, number: u64) {
    let mut transaction = tree.begin_with_mode(Mode::WriteOnly).unwrap().with_durability(Durability::Immediate);
    for account in [number * 2 % ACCOUNTS, (number * 2 + 1) % ACCOUNTS] {
        let (key, value) =
            (format!("D0000{account}"), format!(r#"{{"id":"{account}","owner":"owner-{account}","balance":1000}}"#));
        transaction.set(key.as_bytes(), value.as_bytes()).unwrap();
    }
    transaction.commit().await.unwrap();
}
