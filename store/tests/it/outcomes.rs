//! Kept outcomes, the audit log, and what bounds a transaction.

use std::future::ready;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use weir_schema::codec::audit::AuditNote;
use weir_schema::digest::Digest;
use weir_store::{CommitError, Options, ReadError, Run, Store, WriteError};

use crate::support::{declare, doc, id, open, options, put_all, scan, store};

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

fn key() -> Digest {
    Digest::of(b"some caller, some key")
}

/// Counts once per key; the value is what the counter came to.
async fn count_once(store: &Store, expires_ms: u64) -> Value {
    let run = |mut transaction: weir_store::Transaction| {
        if let Some(kept) = transaction.kept_outcome(&key(), now_ms()).unwrap() {
            return ready(Run::Abort(kept.outcome));
        }
        let text = transaction.get("counters", &id("a")).unwrap();
        let n = text.map_or(0, |text| serde_json::from_slice::<Value>(&text).unwrap()["n"].as_i64().unwrap()) + 1;
        transaction.put("counters", &id("a"), doc(&json!({ "n": n }).to_string())).unwrap();
        transaction.keep_outcome(key(), Digest::of(b"count"), expires_ms, json!(n));
        ready(Run::Commit(transaction, json!(n)))
    };
    store.transact(Duration::from_secs(10), run).await.unwrap().value
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_concurrent_repeats_one_runs_and_all_get_its_outcome() {
    let (store, folder) = store(&["counters:n"]).await;
    let later = now_ms() + 60_000;
    let repeats: Vec<_> = (0..16)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { count_once(&store, later).await })
        })
        .collect();
    for repeat in repeats {
        assert_eq!(repeat.await.unwrap(), json!(1));
    }
    store.close().await;
    let store = open(folder.path());
    assert_eq!(count_once(&store, later).await, json!(1));
    let kept = store.begin().unwrap().kept_outcome(&key(), now_ms()).unwrap().unwrap();
    assert_eq!((kept.request, kept.expires_ms), (Digest::of(b"count"), later));
    assert_eq!(kept.commit, store.head().timestamp);
}

#[tokio::test]
async fn a_failure_is_kept_without_its_writes() {
    let (store, _folder) = store(&["counters:n"]).await;
    let mut transaction = store.begin().unwrap();
    transaction.put("counters", &id("a"), doc("{}")).unwrap();
    transaction.undo();
    transaction.keep_outcome(key(), Digest::of(b"count"), now_ms() + 60_000, json!({ "failed": true }));
    store.commit(transaction).await.unwrap();
    let mut transaction = store.begin().unwrap();
    assert_eq!(transaction.get("counters", &id("a")).unwrap(), None);
    assert_eq!(transaction.kept_outcome(&key(), now_ms()).unwrap().unwrap().outcome, json!({ "failed": true }));
}

#[tokio::test]
async fn an_outcome_counts_among_the_bytes_of_its_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Options { transaction_bytes_max: 1_000, ..options() }).unwrap();
    store.apply_collections(&declare(&["counters:n"])).await.unwrap();
    let keep = |bytes: usize| {
        let mut transaction = store.begin().unwrap();
        transaction.put("counters", &id("a"), doc(&json!({ "text": "x".repeat(400) }).to_string())).unwrap();
        transaction.keep_outcome(key(), Digest::of(b"count"), now_ms() + 60_000, json!("y".repeat(bytes)));
        transaction
    };
    let refused = Err(CommitError::TooLarge { max: 1_000 });
    assert_eq!(store.commit(keep(600)).await.map(drop), refused);
    let transacted = store.transact(Duration::from_secs(10), |_| ready(Run::Commit(keep(600), ()))).await;
    assert_eq!(transacted.map(drop), refused);
    assert_eq!(store.begin().unwrap().get("counters", &id("a")).unwrap(), None);
    assert_eq!(store.commit(keep(400)).await.map(drop), Ok(()));
}

#[tokio::test]
async fn an_outcome_is_forgotten_when_it_expires_and_its_key_can_be_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { upkeep_interval: Duration::from_millis(2), ..options() };
    let store = Store::open(folder.path(), options).unwrap();
    store.apply_collections(&declare(&["counters:n"])).await.unwrap();
    assert_eq!(count_once(&store, now_ms() + 1).await, json!(1));
    tokio::time::sleep(Duration::from_millis(5)).await;
    // Again at once, before or after the record itself is erased; the new one outlives the old one's expiry.
    assert_eq!(count_once(&store, now_ms() + 60_000).await, json!(2));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(count_once(&store, now_ms() + 60_000).await, json!(2));
    assert!(store.begin().unwrap().kept_outcome(&key(), now_ms() + 120_000).unwrap().is_none());
    store.close().await;
}

#[tokio::test]
async fn expired_outcomes_leave_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { upkeep_interval: Duration::from_millis(2), ..options() };
    let store = Store::open(folder.path(), options).unwrap();
    store.apply_collections(&declare(&["counters:n"])).await.unwrap();
    count_once(&store, now_ms() + 1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    store.close().await;
    let tree = crate::support::raw(folder.path());
    let transaction = tree.begin().unwrap();
    for prefix in [b"K", b"E"] {
        let mut end = prefix.to_vec();
        end[0] += 1;
        let mut entries = transaction.range(&prefix[..], &end[..]).unwrap();
        assert!(!surrealkv::LSMIterator::seek_first(&mut entries).unwrap(), "{prefix:?}");
    }
}

#[tokio::test]
async fn audit_records_are_in_the_commit_and_follow_each_other_across_a_restart() {
    let (store, folder) = store(&["counters:n"]).await;
    for round in 0..3 {
        let mut transaction = store.begin().unwrap();
        transaction.put("counters", &id("a"), doc("{}")).unwrap();
        let note = AuditNote {
            actor: "ada".into(),
            action: "call".into(),
            targets: vec![format!("f{round}")],
            ..AuditNote::default()
        };
        transaction.record(note);
        store.commit(transaction).await.unwrap();
    }
    let head = store.head();
    store.close().await;
    let store = open(folder.path());
    let mut transaction = store.begin().unwrap();
    transaction.put("counters", &id("a"), doc("{}")).unwrap();
    transaction.record(AuditNote {
        actor: "bob".into(),
        action: "call".into(),
        targets: vec!["g".into()],
        ..AuditNote::default()
    });
    store.commit(transaction).await.unwrap();
    let records = store.audit(0, 10).unwrap();
    let told: Vec<_> = records.iter().map(|record| (record.number, &*record.actor, &*record.targets[0])).collect();
    assert_eq!(told, [(1, "ada", "f0"), (2, "ada", "f1"), (3, "ada", "f2"), (4, "bob", "g")]);
    assert_eq!((records[2].commit, records[2].timestamp), (head.sequence, head.timestamp));
    assert_eq!(store.audit(2, 1).unwrap()[0].number, 3);
}

#[tokio::test]
async fn a_transaction_that_is_open_for_too_long_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let age_max = Duration::from_millis(50);
    let interval = Duration::from_millis(5);
    let options = Options { transaction_age_max: age_max, upkeep_interval: interval, ..options() };
    let store = Store::open(folder.path(), options).unwrap();
    store.apply_collections(&declare(&["counters:n"])).await.unwrap();
    put_all(&store, "counters", &[("a", "{}")]).await.unwrap();
    let mut old = store.begin().unwrap();
    assert!(old.get("counters", &id("a")).unwrap().is_some());
    while old.get("counters", &id("a")).is_ok() {
        tokio::time::sleep(interval).await;
    }
    assert!(matches!(old.get("counters", &id("a")), Err(ReadError::Cut(_))));
    assert!(old.scan("counters", &scan(&[], "")).is_err());
    assert!(matches!(old.put("counters", &id("b"), doc("{}")), Err(WriteError::Read(ReadError::Cut(_)))));
    assert!(store.begin().unwrap().get("counters", &id("a")).unwrap().is_some());
}

#[tokio::test]
async fn a_transaction_reads_and_writes_so_many_documents() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { transaction_documents_read_max: 5, transaction_documents_written_max: 3, ..options() };
    let store = Store::open(folder.path(), options).unwrap();
    store.apply_collections(&declare(&["counters:n"])).await.unwrap();
    put_all(&store, "counters", &[("a", "{}"), ("b", "{}"), ("c", "{}")]).await.unwrap();
    let refused = store.begin().map(|mut transaction| {
        for name in ["a", "b", "c"] {
            transaction.put("counters", &id(name), doc("{}")).unwrap();
        }
        // One that is written already is no further one.
        transaction.put("counters", &id("c"), doc(r#"{"n":1}"#)).unwrap();
        transaction.put("counters", &id("d"), doc("{}")).unwrap_err()
    });
    assert_eq!(refused.unwrap(), WriteError::TooManyWritten { max: 3 });
    let mut transaction = store.begin().unwrap();
    transaction.scan("counters", &scan(&[], "")).unwrap();
    assert!(transaction.get("counters", &id("a")).is_ok());
    let refused = transaction.scan("counters", &scan(&[], "")).unwrap_err();
    assert_eq!(refused, ReadError::TooManyRead { max: 5 }.into());
    assert_eq!(store.commit(transaction).await.map(drop), Ok::<_, CommitError>(()));
}
