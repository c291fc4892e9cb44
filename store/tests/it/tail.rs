//! The journal: dense, in order, live; kept as long as it says.

use std::time::Duration;

use weir_schema::codec::journal::ChangeKind;
use weir_store::{Options, Store, Tail, TailError};

use crate::support::{declare, id, open, options, put_all, store};

async fn sequences(tail: &mut Tail, count: usize) -> Vec<u64> {
    let mut found = Vec::new();
    while found.len() < count {
        found.push(tail.next().await.unwrap().sequence);
    }
    found
}

#[tokio::test]
async fn a_tail_gives_every_commit_once_in_order_and_then_those_to_come() {
    let (store, _folder) = store(&["orders:customer; customer"]).await;
    let first = store.head().sequence + 1;
    let written = put_all(&store, "orders", &[("a", "{}"), ("b", "{}")]).await.unwrap();
    let mut delete = store.begin().unwrap();
    delete.delete("orders", &id("a")).unwrap();
    store.commit(delete).await.unwrap();

    let mut tail = store.tail(first);
    let entry = tail.next().await.unwrap();
    assert_eq!((entry.sequence, entry.timestamp), (written.sequence, written.timestamp));
    let changed: Vec<_> = entry.changes.iter().map(|change| (change.id.as_str(), change.kind)).collect();
    assert_eq!(changed, [("a", ChangeKind::Put), ("b", ChangeKind::Put)]);
    let entry = tail.next().await.unwrap();
    assert_eq!((entry.sequence, entry.changes[0].kind), (first + 1, ChangeKind::Delete));

    let mut waiting = Box::pin(tail.next());
    assert!(futures_util::poll!(&mut waiting).is_pending());
    put_all(&store, "orders", &[("c", "{}")]).await.unwrap();
    assert_eq!(waiting.await.unwrap().sequence, first + 2);
    store.close().await;
    assert!(matches!(tail.next().await, Err(TailError::Ended(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_tail_beside_writers_misses_nothing() {
    let (store, _folder) = store(&["orders:customer"]).await;
    let first = store.head().sequence + 1;
    let mut tail = store.tail(first);
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for round in 0..100 {
                    put_all(&store, "orders", &[(&format!("{writer}-{round}"), "{}")]).await.unwrap();
                }
            })
        })
        .collect();
    assert_eq!(sequences(&mut tail, 800).await, (first..first + 800).collect::<Vec<_>>());
    for writer in writers {
        writer.await.unwrap();
    }
}

#[tokio::test]
async fn a_tail_ends_when_the_store_does() {
    let (store, _folder) = store(&["orders:customer"]).await;
    let mut tail = store.tail(store.head().sequence + 1);
    let waiting = tokio::spawn(async move { tail.next().await });
    tokio::task::yield_now().await;
    store.close().await;
    assert!(matches!(waiting.await.unwrap(), Err(TailError::Ended(_))));
}

/// A store that keeps little of its journal, and looks after it all the time.
fn forgetful(folder: &std::path::Path, bytes_max: u64, age_max: Duration) -> Store {
    let upkeep_interval = Duration::from_millis(2);
    let options = Options { journal_bytes_max: bytes_max, journal_age_max: age_max, upkeep_interval, ..options() };
    Store::open(folder, options).unwrap()
}

async fn resync(store: &Store, from: u64) -> u64 {
    loop {
        match store.tail(from).next().await {
            Err(TailError::Resync { next, first }) => {
                assert_eq!(next, from);
                return first;
            }
            Err(error) => panic!("{error}"),
            Ok(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

#[tokio::test]
async fn the_journal_is_kept_by_size_and_who_falls_behind_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let store = forgetful(folder.path(), 10_000, Duration::from_secs(3_600));
    store.apply_collections(&declare(&["orders:customer"])).await.unwrap();
    for number in 0..300 {
        put_all(&store, "orders", &[(&format!("{number:03}"), "{}")]).await.unwrap();
    }
    let mut first = resync(&store, 1).await;
    let last = store.head().sequence;
    // It takes several steps; in the end what is kept is about as much as was asked for: an entry has some hundred bytes.
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        match store.tail(first).next().await {
            Ok(_) if last - first <= 150 => break,
            Ok(_) => {}
            Err(TailError::Resync { first: later, .. }) => first = later,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(last - first > 30, "{first} to {last}");
    assert_eq!(
        sequences(&mut store.tail(first), (last - first + 1) as usize).await,
        (first..=last).collect::<Vec<_>>()
    );
    store.close().await;

    // What is gone is not a gap.
    let store = open(folder.path());
    assert_eq!(store.head().sequence, last);
    assert!(matches!(store.tail(first - 1).next().await, Err(TailError::Resync { .. })));
    assert_eq!(store.tail(first).next().await.unwrap().sequence, first);
}

#[tokio::test]
async fn the_journal_is_kept_by_age() {
    let folder = tempfile::tempdir().unwrap();
    let store = forgetful(folder.path(), u64::MAX, Duration::from_millis(30));
    store.apply_collections(&declare(&["orders:customer"])).await.unwrap();
    put_all(&store, "orders", &[("a", "{}")]).await.unwrap();
    let last = store.head().sequence;
    let mut first = resync(&store, 1).await;
    while first <= last {
        first = resync(&store, first).await;
    }
    // All of it is gone: the next commit is the first that is kept.
    let mut tail = store.tail(last + 1);
    put_all(&store, "orders", &[("b", "{}")]).await.unwrap();
    assert_eq!(tail.next().await.unwrap().sequence, last + 1);
    store.close().await;
    assert_eq!(open(folder.path()).head().sequence, last + 1);
}
