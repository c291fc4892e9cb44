//! States of the past.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use weir_schema::commit::Timestamp;
use weir_store::{Direction, HistoryError, Options, Past, ReadError, Scan, ScanError, Store};

use crate::support::{declare, doc, id, ids, open, options, put_all, scan, store};

fn found(past: &mut Past, scan: &Scan) -> String {
    ids(&past.scan("orders", scan).unwrap_or_else(|error| panic!("{error}")))
}

async fn delete(store: &Store, name: &str) -> Timestamp {
    let mut transaction = store.begin().unwrap();
    transaction.delete("orders", &id(name)).unwrap();
    store.commit(transaction).await.unwrap().timestamp
}

#[tokio::test]
async fn documents_and_ranges_are_what_they_were() {
    let (store, folder) = store(&["orders:customer total; customer !total"]).await;
    let empty = store.head().timestamp;
    let one = put_all(&store, "orders", &[("a", r#"{"customer":"x","total":"1"}"#)]).await.unwrap().timestamp;
    let two = put_all(
        &store,
        "orders",
        &[("a", r#"{"customer":"y","total":"2"}"#), ("b", r#"{"customer":"x","total":"1"}"#)],
    )
    .await
    .unwrap()
    .timestamp;
    let three = delete(&store, "a").await;
    store.close().await;
    let store = open(folder.path());

    let x = scan(&[("customer", json!("x"))], "");
    let all_down = scan(&[], "-customer");
    let unique = scan(&[("total", json!("1"))], "");
    let table = [
        (empty, None, "", "", ""),
        (one, Some("x"), "a", "a", "a"),
        (Timestamp(two.0 - 1), Some("x"), "a", "a", "a"),
        (two, Some("y"), "b", "a b", "b"),
        (three, None, "b", "b", "b"),
    ];
    for (at, customer, of_x, down, one_unit) in table {
        let mut past = store.at(at).unwrap();
        let document = past.get("orders", &id("a")).unwrap();
        let document: Option<Value> = document.map(|text| serde_json::from_slice(&text).unwrap());
        assert_eq!(document.as_ref().map(|document| document["customer"].as_str().unwrap()), customer, "{at}");
        assert_eq!(found(&mut past, &x), of_x, "{at}");
        assert_eq!(past.count("orders", &x).unwrap(), of_x.split_whitespace().count() as u64, "{at}");
        assert_eq!(found(&mut past, &all_down), down, "{at}");
        assert_eq!(found(&mut past, &unique), one_unit, "{at}");
    }

    let versions = store.at(three).unwrap().versions("orders", &id("a"), 10).unwrap();
    let told: Vec<(Timestamp, Option<String>)> = versions
        .into_iter()
        .map(|version| (version.timestamp, version.document.map(|text| String::from_utf8(text.to_vec()).unwrap())))
        .collect();
    let expected = [
        (three, None),
        (two, Some(r#"{"id":"a","customer":"y","total":"2"}"#.to_owned())),
        (one, Some(r#"{"id":"a","customer":"x","total":"1"}"#.to_owned())),
    ];
    assert_eq!(told, expected);
    assert_eq!(store.at(two).unwrap().versions("orders", &id("a"), 1).unwrap()[0].timestamp, two);
}

#[tokio::test]
async fn the_indexes_are_those_of_then() {
    let (store, _folder) = store(&["orders:customer total; customer"]).await;
    let before = put_all(&store, "orders", &[("a", r#"{"customer":"x","total":"1"}"#)]).await.unwrap().timestamp;
    store.apply_collections(&declare(&["orders:customer total; total"])).await.unwrap();
    let after = put_all(&store, "orders", &[("b", r#"{"customer":"x","total":"2"}"#)]).await.unwrap().timestamp;

    let (by_customer, by_total) = (scan(&[("customer", json!("x"))], ""), scan(&[], "total"));
    let mut past = store.at(before).unwrap();
    assert_eq!(found(&mut past, &by_customer), "a");
    assert!(matches!(past.scan("orders", &by_total), Err(ScanError::NoIndex { .. })));
    let mut past = store.at(after).unwrap();
    assert_eq!(found(&mut past, &by_total), "a b");
    assert!(matches!(past.scan("orders", &by_customer), Err(ScanError::NoIndex { .. })));
    assert_eq!(past.collections(), ["orders"]);
}

#[tokio::test]
async fn what_is_not_kept_or_has_not_been_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { history: Duration::from_millis(50), ..options() };
    let store = Store::open(folder.path(), options).unwrap();
    store.apply_collections(&declare(&["orders:customer"])).await.unwrap();
    let old = put_all(&store, "orders", &[("a", "{}")]).await.unwrap().timestamp;
    assert!(store.at(old).is_ok());
    tokio::time::sleep(Duration::from_millis(60)).await;
    // The last commit is what is there now, however old.
    assert!(store.at(old).is_ok());
    let last = put_all(&store, "orders", &[("b", "{}")]).await.unwrap().timestamp;
    let oldest = store.history_since();
    assert!(old < oldest && oldest <= last);
    assert!(matches!(store.at(old), Err(HistoryError::Forgotten { asked, .. }) if asked == old));
    let later = Timestamp(last.0 + 1);
    assert_eq!(store.at(later).err(), Some(HistoryError::NotYet { asked: later, last }));
}

#[tokio::test]
async fn a_longer_history_begins_where_the_shorter_one_ended() {
    let folder = tempfile::tempdir().unwrap();
    let with = |history| Store::open(folder.path(), Options { history, ..options() }).unwrap();
    let store = with(Duration::from_millis(20));
    store.apply_collections(&declare(&["orders:customer"])).await.unwrap();
    let old = put_all(&store, "orders", &[("a", "{}")]).await.unwrap().timestamp;
    tokio::time::sleep(Duration::from_millis(30)).await;
    put_all(&store, "orders", &[("a", r#"{"customer":"x"}"#)]).await.unwrap();
    store.close().await;
    let store = with(Duration::from_secs(3_600));
    assert!(matches!(store.at(old), Err(HistoryError::Forgotten { .. })));
}

/// Random commits; at each of them, later, every kind of read gives what it gave then.
async fn run(commits: Vec<Vec<(u8, Option<u8>)>>, history: Vec<usize>) {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { memtable_bytes: 64 << 10, ..options() };
    let mut store = Store::open(folder.path(), options.clone()).unwrap();
    store.apply_collections(&declare(&["orders:customer; customer"])).await.unwrap();
    let mut states: Vec<(Timestamp, BTreeMap<u8, u8>)> = vec![(store.head().timestamp, BTreeMap::new())];
    for (number, writes) in commits.into_iter().enumerate() {
        if history.contains(&number) {
            store.close().await;
            store = Store::open(folder.path(), options.clone()).unwrap();
        }
        let mut state = states.last().unwrap().1.clone();
        let mut transaction = store.begin().unwrap();
        for (name, customer) in writes {
            match customer {
                Some(customer) => {
                    let document = doc(&json!({ "customer": format!("{customer}") }).to_string());
                    transaction.put("orders", &id(&format!("{name}")), document).unwrap();
                    state.insert(name, customer);
                }
                None => {
                    transaction.delete("orders", &id(&format!("{name}"))).unwrap();
                    state.remove(&name);
                }
            }
        }
        states.push((store.commit(transaction).await.unwrap().timestamp, state));
    }
    for (at, state) in states {
        let mut past = store.at(at).unwrap();
        let mut sorted: Vec<(u8, u8)> = state.iter().map(|(name, customer)| (*customer, *name)).collect();
        sorted.sort_unstable();
        let names = |rows: &[(u8, u8)]| rows.iter().map(|(_, name)| name.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(found(&mut past, &scan(&[], "customer")), names(&sorted));
        sorted.reverse();
        let down = Scan { order: Some(("customer".into(), Direction::Desc)), limit: Some(2), ..Scan::default() };
        assert_eq!(found(&mut past, &down), names(&sorted[..sorted.len().min(2)]));
        for name in 0..6 {
            let expected = state.get(&name).map(|customer| format!(r#"{{"id":"{name}","customer":"{customer}"}}"#));
            assert_eq!(past.get("orders", &id(&format!("{name}"))).unwrap(), expected.map(Into::into));
        }
    }
    store.close().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn every_past_state_stays_what_it_was(
        commits in proptest::collection::vec(
            proptest::collection::vec((0u8..6, proptest::option::weighted(0.7, 0u8..4)), 1..4), 1..24),
        reopened in proptest::collection::vec(0usize..24, 0..3),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(commits, reopened));
    }
}

#[tokio::test]
async fn what_is_pinned_outlives_its_snapshot_and_ends_with_the_history() {
    let short = Options {
        transaction_age_max: Duration::from_millis(60),
        upkeep_interval: Duration::from_millis(10),
        ..options()
    };
    for (history, is_kept) in [(Duration::from_secs(60), true), (Duration::ZERO, false)] {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options { history, ..short.clone() }).unwrap();
        store.apply_collections(&declare(&["orders:customer; customer"])).await.unwrap();
        put_all(&store, "orders", &[("a", r#"{"customer":"x"}"#), ("b", r#"{"customer":"y"}"#)]).await.unwrap();
        let mut pinned = store.pin().unwrap();
        assert_eq!(pinned.commit(), store.head().timestamp);
        let down = scan(&[], "-customer");
        // Longer than the snapshot may be open, without a commit and after one.
        for round in 0..2 {
            tokio::time::sleep(Duration::from_millis(120)).await;
            let found = pinned.scan("orders", &down).map(|rows| ids(&rows));
            if round == 0 || is_kept {
                assert_eq!(found.unwrap(), "b a", "{round}");
                assert_eq!(pinned.count("orders", &scan(&[("customer", json!("x"))], "")).unwrap(), 1);
                assert!(pinned.get("orders", &id("a")).unwrap().unwrap().ends_with(br#""customer":"x"}"#));
            } else {
                let outlived = ScanError::Read(ReadError::Outlived { commit: pinned.commit() });
                assert_eq!(found.unwrap_err(), outlived);
            }
            if round == 0 {
                put_all(&store, "orders", &[("a", r#"{"customer":"z"}"#), ("c", r#"{"customer":"x"}"#)]).await.unwrap();
                delete(&store, "b").await;
            }
        }
        store.close().await;
    }
}
