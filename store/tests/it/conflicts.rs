//! Serializability: anomalies that snapshots alone would allow are refused.

use serde_json::json;
use weir_store::{CommitError, Options, Scan, Store};

use crate::support::{declare, doc, find, id, options, put_all, scan, store};

#[tokio::test]
async fn write_skew_is_refused() {
    let (store, _folder) = store(&["doctors:onCall"]).await;
    put_all(&store, "doctors", &[("a", r#"{"onCall":"yes"}"#), ("b", r#"{"onCall":"yes"}"#)]).await.unwrap();
    let (mut first, mut second) = (store.begin().unwrap(), store.begin().unwrap());
    for (transaction, own) in [(&mut first, "a"), (&mut second, "b")] {
        transaction.get("doctors", &id("a")).unwrap();
        transaction.get("doctors", &id("b")).unwrap();
        transaction.put("doctors", &id(own), doc(r#"{"onCall":"no"}"#)).unwrap();
    }
    assert!(store.commit(first).await.is_ok());
    assert_eq!(store.commit(second).await, Err(CommitError::Conflict));
}

#[tokio::test]
async fn phantoms_are_refused_in_one_group_too() {
    let (store, _folder) = store(&["orders:customer; customer"]).await;
    let insert_if_none = |name: &'static str| {
        let mut transaction = store.begin().unwrap();
        assert_eq!(find(&mut transaction, "orders", &scan(&[("customer", json!("c"))], "")), "");
        transaction.put("orders", &id(name), doc(r#"{"customer":"c"}"#)).unwrap();
        transaction
    };
    let (first, second) = (insert_if_none("a"), insert_if_none("b"));
    let (first, second) = tokio::join!(store.commit(first), store.commit(second));
    assert!(first.is_ok());
    assert_eq!(second, Err(CommitError::Conflict));
}

#[tokio::test]
async fn an_absence_that_was_read_is_validated() {
    let (store, _folder) = store(&["orders:customer"]).await;
    let mut transaction = store.begin().unwrap();
    assert_eq!(transaction.get("orders", &id("a")).unwrap(), None);
    transaction.put("orders", &id("b"), doc("{}")).unwrap();
    put_all(&store, "orders", &[("a", "{}")]).await.unwrap();
    assert_eq!(store.commit(transaction).await, Err(CommitError::Conflict));
}

#[tokio::test]
async fn blind_writes_of_one_document_do_not_lose_index_entries() {
    let (store, _folder) = store(&["orders:customer; customer"]).await;
    let (mut first, mut second) = (store.begin().unwrap(), store.begin().unwrap());
    first.put("orders", &id("a"), doc(r#"{"customer":"x"}"#)).unwrap();
    second.put("orders", &id("a"), doc(r#"{"customer":"y"}"#)).unwrap();
    assert!(store.commit(first).await.is_ok());
    assert_eq!(store.commit(second).await, Err(CommitError::Conflict));
    assert_eq!(find(&mut store.begin().unwrap(), "orders", &scan(&[], "customer")), "a");
}

#[tokio::test]
async fn what_does_not_overlap_goes_through() {
    let (store, _folder) = store(&["orders:customer; customer"]).await;
    let mut transaction = store.begin().unwrap();
    find(&mut transaction, "orders", &Scan { limit: Some(1), ..scan(&[("customer", json!("c"))], "") });
    transaction.put("orders", &id("a"), doc(r#"{"customer":"c"}"#)).unwrap();
    put_all(&store, "orders", &[("b", r#"{"customer":"d"}"#)]).await.unwrap();
    assert!(store.commit(transaction).await.is_ok());
}

#[tokio::test]
async fn reading_never_conflicts_and_sees_one_state() {
    let (store, _folder) = store(&["orders:customer"]).await;
    let before = put_all(&store, "orders", &[("a", "{}")]).await.unwrap();
    let mut transaction = store.begin().unwrap();
    put_all(&store, "orders", &[("b", "{}")]).await.unwrap();
    assert_eq!(find(&mut transaction, "orders", &Scan::default()), "a");
    assert_eq!(store.commit(transaction).await, Ok(before));
}

#[tokio::test]
async fn older_than_the_window_is_a_conflict() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { conflict_window_commits_max: 2, ..options() };
    let store = Store::open(folder.path(), options).unwrap();
    store.apply_collections(&declare(&["orders:customer"])).await.unwrap();
    let mut transaction = store.begin().unwrap();
    transaction.put("orders", &id("mine"), doc("{}")).unwrap();
    for name in ["a", "b", "c"] {
        put_all(&store, "orders", &[(name, "{}")]).await.unwrap();
    }
    assert_eq!(store.commit(transaction).await, Err(CommitError::Conflict));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_count_under_contention() {
    let (store, _folder) = store(&["counters:value"]).await;
    put_all(&store, "counters", &[("c", r#"{"value":0}"#)]).await.unwrap();
    let mut callers = Vec::new();
    for _ in 0..8 {
        let store = store.clone();
        callers.push(tokio::spawn(async move {
            for _ in 0..20 {
                loop {
                    let mut transaction = store.begin().unwrap();
                    let text = transaction.get("counters", &id("c")).unwrap().unwrap();
                    let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
                    let next = format!(r#"{{"value":{}}}"#, value["value"].as_u64().unwrap() + 1);
                    transaction.put("counters", &id("c"), doc(&next)).unwrap();
                    match store.commit(transaction).await {
                        Ok(_) => break,
                        Err(error) => assert_eq!(error, CommitError::Conflict),
                    }
                }
            }
        }));
    }
    for caller in callers {
        caller.await.unwrap();
    }
    let text = store.begin().unwrap().get("counters", &id("c")).unwrap().unwrap();
    assert_eq!(text, r#"{"id":"c","value":160}"#);
}

#[tokio::test]
async fn a_caller_that_goes_away_stops_nobody() {
    let (store, _folder) = store(&["orders:customer"]).await;
    let mut transaction = store.begin().unwrap();
    transaction.put("orders", &id("a"), doc("{}")).unwrap();
    {
        let commit = store.commit(transaction);
        tokio::pin!(commit);
        tokio::select! {
            biased;
            _ = &mut commit => {}
            () = std::future::ready(()) => {}
        }
    }
    put_all(&store, "orders", &[("b", "{}")]).await.unwrap();
    let found = find(&mut store.begin().unwrap(), "orders", &Scan::default());
    assert_eq!(found, "a b");
}
