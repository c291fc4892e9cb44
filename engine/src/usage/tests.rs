//! What is counted, and what of it is kept.

use std::collections::BTreeMap;

use tempfile::TempDir;
use weir_schema::codec::usage::Used;
use weir_store::Options;
use weir_store::Store;

use super::*;

const DAY_MS: u64 = 86_400_000;

fn counts(usage: &Usage) -> BTreeMap<String, (u64, bool)> {
    usage.take().into_iter().map(|counted| (counted.name.into(), (counted.count, counted.is_held))).collect()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn an_operation_counts_for_all_that_it_asks_for_also_when_it_is_forgotten() {
    let usage = Usage::default();
    let (one, two) = (usage.tally(names(&["A.a", "A.b"])), usage.tally(names(&["A.b"])));
    one.add();
    one.add();
    two.add();
    drop(two);
    assert_eq!(counts(&usage), BTreeMap::from([("A.a".to_owned(), (2, false)), ("A.b".to_owned(), (3, false))]));
    assert_eq!(counts(&usage), BTreeMap::new(), "each is told once");
    let held = one.hold();
    assert_eq!(counts(&usage)["A.a"], (1, true));
    assert_eq!(counts(&usage)["A.a"], (0, true));
    drop(held);
    assert_eq!(counts(&usage), BTreeMap::new());
    // However many come and go, as many are known as there are at once.
    for _ in 0..1_000 {
        usage.tally(names(&["A.a"])).add();
    }
    assert!(usage.tallies.lock().len() < 16);
    assert_eq!(counts(&usage)["A.a"], (1_000, false));
}

#[test]
fn no_more_is_counted_than_has_room() {
    let usage = Usage::default();
    let many = (0..USAGE_COORDINATES_MAX + 10).map(|number| format!("A.a{number}"));
    usage.tally(many).add();
    assert_eq!(counts(&usage).len(), USAGE_COORDINATES_MAX);
}

fn open(folder: &TempDir) -> Store {
    Store::open(&folder.path().join("data"), Options::default()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_counted_is_there_after_a_restart_for_as_many_days() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let (usages, usage) = (Usages::default(), Arc::new(Usage::default()));
    usage.sequence.set(7).unwrap();
    usages.add(usage.clone());
    let tally = usage.tally(names(&["A.a"]));
    let first = 100 * DAY_MS;
    for (count, now_ms) in [(2, first), (1, first + 5), (4, first + DAY_MS)] {
        (0..count).for_each(|_| tally.add());
        usages.write(&store, now_ms).await.unwrap();
    }
    // A release that has ended is written one more time, and then forgotten.
    tally.add();
    drop((tally, usage));
    usages.write(&store, first + DAY_MS + 9).await.unwrap();
    assert_eq!(usages.known(), 0);
    store.close().await;

    let store = open(&folder);
    let told = |release, now_ms| read(&store, release, now_ms).unwrap().iter().map(|(_, used)| used).next();
    let day = |days: u64| first + days * DAY_MS;
    assert_eq!(told(None, day(1)), Some(Used { count: 8, last_ms: first + DAY_MS + 9 }));
    assert_eq!(told(Some(7), day(29)).map(|used| used.count), Some(8));
    assert_eq!(told(Some(7), day(30)).map(|used| used.count), Some(5), "the first day is too long ago");
    assert_eq!((told(Some(8), day(1)), told(None, day(31))), (None, None));
    // What is too old goes with the next write.
    Usages::default().write(&store, day(30)).await.unwrap();
    assert_eq!(told(None, day(1)).map(|used| used.count), Some(5));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_is_in_use_without_being_written_all_the_time() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let (usages, usage) = (Usages::default(), Arc::new(Usage::default()));
    usage.sequence.set(7).unwrap();
    usages.add(usage.clone());
    let _held = usage.tally(names(&["A.a"])).hold();
    for (now_ms, last_ms) in [(1_000, 1_000), (2_000, 1_000), (601_000, 601_000)] {
        usages.write(&store, now_ms).await.unwrap();
        let used = read(&store, None, now_ms).unwrap().iter().map(|(_, used)| used).next();
        assert_eq!(used, Some(Used { count: 1, last_ms }), "at {now_ms}");
    }
    store.close().await;
}
