//! Many clients at once: what they were answered has a serial order, and the checker that says so can say no.
//!
//! Random transactions run on a real store, each attempt is recorded as its client saw it, and `weir-checker` looks for
//! anomalies. To prove that it would find them, the same clients run on a store that validates only what was written,
//! as snapshot isolation does; there it has to find write skew and phantoms, and nothing that such a store rules out.
//!
//! [`clients`] draws transactions at random and drives them; [`session`] makes their operations and notes the answers.

mod clients;
mod session;

use std::collections::BTreeSet;
use std::time::Instant;

use expect_test::{Expect, expect};
use tempfile::TempDir;
use weir_checker::{Dependency, Outcome, Phenomenon, Verdict, check};
use weir_store::{Options, Store, Validation};

use crate::support::{declare, options};
use clients::Clients;
use session::{Recorder, Session, Step};

const DECLARED: [&str; 3] = ["lists:values", "registers:value", "rows:value at; at"];

/// Attempts before the store is closed under its clients, so that a history is long enough to show something.
const ATTEMPTS_BEFORE_CLOSE: usize = 600;
/// What a history has to have of each dependency, and of conflicts.
const SHOWN_MIN: usize = 20;

fn open(folder: &TempDir, validation: Validation) -> Store {
    let options = Options { validation, ..options() };
    Store::open(folder.path(), options).unwrap_or_else(|error| panic!("{error}"))
}

/// Clients run, the store is closed under them and opened again, they run on, and one reads all that there is.
async fn run(seed: u64, validation: Validation) -> Verdict {
    let started = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, validation);
    store.apply_collections(&declare(&DECLARED)).await.unwrap();
    let clients = Clients::new(seed);
    clients.run_until_closed(&store, ATTEMPTS_BEFORE_CLOSE).await;
    let store = open(&folder, validation);
    clients.run(&store).await;
    clients.read_all(&store);
    store.close().await;
    let (turns, ran) = (clients.turns(), started.elapsed());
    let verdict = check(&clients.into_history()).unwrap();
    let checked = started.elapsed() - ran;
    println!("seed {seed}: run {ran:.1?}, check {checked:.1?}, {turns} turns, {:?}", verdict.outcomes);
    println!("seed {seed}: {:?}, {:?}", verdict.dependencies, verdict.found);
    assert!(turns > 0, "no transaction ran in turn");
    verdict
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_transactions_are_strictly_serializable() {
    for seed in 1..=3 {
        let verdict = run(seed, Validation::Serializable).await;
        assert!(verdict.is_strictly_serializable(), "{verdict}");
        // The clients were in each other's way, in every manner there is.
        let has_shown = |count: Option<&usize>| count.is_some_and(|count| *count >= SHOWN_MIN);
        use Dependency::{RangeRw, RangeWr, RealTime, Rw, Wr, Ww};
        for dependency in [Ww, Wr, Rw, RangeWr, RangeRw, RealTime] {
            assert!(has_shown(verdict.dependencies.get(&dependency)), "{dependency}");
        }
        assert!(has_shown(verdict.outcomes.get(&Outcome::Aborted)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_checker_finds_what_snapshots_alone_allow() {
    let verdict = run(4, Validation::SnapshotForProof).await;
    let found: BTreeSet<Phenomenon> = verdict.found.keys().copied().collect();
    assert_eq!(found, BTreeSet::from([Phenomenon::G2Item, Phenomenon::G2]), "{verdict}");
}

/// Runs one transaction, then two side by side, which are committed in their order.
async fn interleave(validation: Validation, before: &[Step], both: [&[Step]; 2], expected: Expect) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, validation);
    store.apply_collections(&declare(&DECLARED)).await.unwrap();
    let recorder = Recorder::default();
    let mut first = Session::begin(&store, &recorder, 0).unwrap();
    before.iter().for_each(|step| first.take(step).unwrap());
    first.commit(&store).await;
    let mut sessions = [1, 2].map(|client| Session::begin(&store, &recorder, client).unwrap());
    for (session, steps) in sessions.iter_mut().zip(both) {
        steps.iter().for_each(|step| session.take(step).unwrap());
    }
    for session in sessions {
        session.commit(&store).await;
    }
    store.close().await;
    let history = recorder.into_history();
    let outcomes: Vec<&str> = history
        .iter()
        .map(|transaction| match transaction.outcome {
            Outcome::Committed => "committed",
            Outcome::Aborted => "refused",
            Outcome::Unknown => "unknown",
        })
        .collect();
    expected.assert_eq(&format!("{}\n{}", outcomes.join(", "), check(&history).unwrap()));
}

/// Each reads both registers and writes one.
async fn skew(validation: Validation, expected: Expect) {
    let [x, y] = ["x", "y"];
    let first = [Step::Read(x), Step::Read(y), Step::Write(x)];
    let second = [Step::Read(x), Step::Read(y), Step::Write(y)];
    interleave(validation, &[Step::Write(x), Step::Write(y)], [&first, &second], expected).await;
}

/// Each inserts a row where it has found none.
async fn phantom(validation: Validation, expected: Expect) {
    let steps = [Step::InsertIfNone { from: 0, to: 10 }];
    interleave(validation, &[Step::Insert { at: 15 }], [&steps, &steps], expected).await;
}

#[tokio::test]
async fn write_skew_is_found_where_the_store_lets_it_through() {
    skew(
        Validation::SnapshotForProof,
        expect![[r#"
        committed, committed, committed
        G2-item (write skew): T2 -rw y-> T3 -rw x-> T2
          T2 client 1 2-4 ok: read x 0; read y 1; read x 0; write x 2 over 0
          T3 client 2 3-5 ok: read x 0; read y 1; read y 1; write y 3 over 1"#]],
    )
    .await;
    skew(
        Validation::Serializable,
        expect![[r#"
        committed, committed, refused
        strictly serializable"#]],
    )
    .await;
}

#[tokio::test]
async fn a_phantom_is_found_where_the_store_lets_it_through() {
    phantom(
        Validation::SnapshotForProof,
        expect![[r#"
        committed, committed, committed
        G2 (phantom): T2 -range rw r4-> T3 -range rw r2-> T2
          T2 client 1 2-4 ok: range 0..10 []; write r2 3 at 0
          T3 client 2 3-5 ok: range 0..10 []; write r4 5 at 0"#]],
    )
    .await;
    phantom(
        Validation::Serializable,
        expect![[r#"
        committed, committed, refused
        strictly serializable"#]],
    )
    .await;
}
