//! Indexes that come and go while documents are there and being written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use weir_schema::codec::component::TextOrder;
use weir_schema::codec::key::{self, CollectionNumber, IndexField, IndexNumber};
use weir_store::{CatalogError, CommitError, Options, Scan, ScanError, Store};

use crate::support::{change_raw, declare, doc, find, id, open, put_all, scan, store};

async fn fill(store: &Store, count: usize) {
    let documents: Vec<(String, String)> =
        (0..count).map(|n| (format!("o{n:03}"), format!(r#"{{"customer":"c{}","code":"{n}"}}"#, n % 3))).collect();
    let documents: Vec<(&str, &str)> = documents.iter().map(|(id, text)| (id.as_str(), text.as_str())).collect();
    put_all(store, "orders", &documents).await.unwrap();
}

#[tokio::test]
async fn a_new_index_finds_the_documents_that_are_there() {
    let (store, _folder) = store(&["orders:customer code"]).await;
    fill(&store, 30).await;
    let by_customer = scan(&[("customer", json!("c1"))], "");
    let refused = store.begin().unwrap().scan("orders", &by_customer);
    assert!(matches!(refused, Err(ScanError::NoIndex { .. })));
    store.apply_collections(&declare(&["orders:customer code; customer !code"])).await.unwrap();
    let mut transaction = store.begin().unwrap();
    assert_eq!(find(&mut transaction, "orders", &by_customer), "o001 o004 o007 o010 o013 o016 o019 o022 o025 o028");
    assert_eq!(find(&mut transaction, "orders", &scan(&[("code", json!("7"))], "")), "o007");
}

#[tokio::test]
async fn what_is_declared_already_changes_nothing() {
    let (store, _folder) = store(&["orders:customer; customer"]).await;
    let head = store.head();
    store.apply_collections(&declare(&["orders:customer; customer"])).await.unwrap();
    assert_eq!(store.head(), head);
}

#[tokio::test]
async fn existing_duplicates_refuse_a_unique_index_and_nothing_changes() {
    let (store, folder) = store(&["orders:customer code; customer"]).await;
    fill(&store, 20).await;
    put_all(&store, "orders", &[("twin", r#"{"code":"3"}"#)]).await.unwrap();
    let refused = store.apply_collections(&declare(&["orders:customer code; !code", "more:x"])).await;
    let Err(CatalogError::Unique(violation)) = refused else { panic!("{refused:?}") };
    assert_eq!((violation.collection.as_str(), violation.fields), ("orders", vec!["code".to_owned()]));
    assert_eq!((violation.id, violation.other), (id("twin"), id("o003")));

    for store in [store.clone(), {
        store.close().await;
        open(folder.path())
    }] {
        if store.is_ready().is_err() {
            continue;
        }
        let mut transaction = store.begin().unwrap();
        assert_eq!(find(&mut transaction, "orders", &scan(&[("customer", json!("c0"))], "-customer")).len(), 34);
        assert!(transaction.get("more", &id("a")).is_err());
        // The index that failed is really gone: duplicates are allowed.
        put_all(&store, "orders", &[("triplet", r#"{"code":"3"}"#)]).await.unwrap();
    }
}

#[tokio::test]
async fn a_document_that_does_not_fit_refuses_an_index() {
    let (store, _folder) = store(&["orders:at"]).await;
    put_all(&store, "orders", &[("a", r#"{"at":"2026-01-01T00:00:00.000Z"}"#), ("b", r#"{"at":"soon"}"#)])
        .await
        .unwrap();
    let refused = store.apply_collections(&declare(&["orders:at:date; at"])).await;
    let message = refused.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(message.starts_with("cannot index orders by at: document b: at: not a date and time"), "{message}");
    // The document can still be replaced: nothing of the index is left.
    put_all(&store, "orders", &[("b", r#"{"at":"later"}"#)]).await.unwrap();
}

#[tokio::test]
async fn fields_without_an_order_are_not_indexed() {
    let (store, _folder) = store(&[]).await;
    let table = [
        ("orders:lines:list; lines", "orders cannot have an index on \"lines\": its type has no order"),
        ("orders:customer; at", "orders cannot have an index on \"at\": there is no such field"),
    ];
    for (declaration, message) in table {
        let refused = store.apply_collections(&declare(&[declaration])).await;
        assert_eq!(refused.err().map(|error| error.to_string()).as_deref(), Some(message));
    }
}

#[tokio::test]
async fn dropped_indexes_and_collections_come_back_whole() {
    let (store, _folder) = store(&["orders:customer; customer"]).await;
    fill(&store, 10).await;
    store.apply_collections(&declare(&[])).await.unwrap();
    store.apply_collections(&declare(&["orders:customer"])).await.unwrap();
    put_all(&store, "orders", &[("o000", r#"{"customer":"moved"}"#)]).await.unwrap();
    store.apply_collections(&declare(&["orders:customer; customer"])).await.unwrap();
    let mut transaction = store.begin().unwrap();
    assert_eq!(find(&mut transaction, "orders", &scan(&[("customer", json!("c0"))], "")), "o003 o006 o009");
    assert_eq!(find(&mut transaction, "orders", &scan(&[("customer", json!("moved"))], "")), "o000");
}

#[tokio::test]
async fn a_change_of_the_catalog_is_a_conflict_for_those_under_way() {
    let (store, _folder) = store(&["orders:customer"]).await;
    let mut transaction = store.begin().unwrap();
    transaction.put("orders", &id("a"), doc(r#"{"customer":"c"}"#)).unwrap();
    let mut notices = store.notices();
    let mut reader = store.begin().unwrap();
    find(&mut reader, "orders", &Scan::default());
    store.apply_collections(&declare(&["orders:customer; customer"])).await.unwrap();
    assert_eq!(store.commit(transaction).await, Err(CommitError::Conflict));
    assert!(reader.read_set().touches(&notices.recv().await.unwrap()));
    // The old snapshot goes on with the old catalog.
    assert!(reader.scan("orders", &scan(&[("customer", json!("c"))], "")).is_err());
}

#[tokio::test]
async fn a_build_or_drop_that_was_cut_off_is_finished_by_the_next_start() {
    let declared = declare(&["orders:customer; customer"]);
    for state in ["building", "dropping"] {
        let (store, folder) = store(&["orders:customer; customer"]).await;
        fill(&store, 5).await;
        store.close().await;
        let lost = key::index_entry(
            &key::index(CollectionNumber(1), IndexNumber(1)),
            &[IndexField { name: "customer".to_owned(), order: TextOrder::CodePoint }],
            false,
            &id("o003"),
            &doc(r#"{"customer":"c0"}"#),
        );
        change_raw(folder.path(), &lost.unwrap().key, |_| None).await;
        change_raw(folder.path(), key::CATALOG, |text| Some(text.replace("ready", state))).await;

        let store = open(folder.path());
        let by_customer = scan(&[("customer", json!("c0"))], "");
        assert!(store.begin().unwrap().scan("orders", &by_customer).is_err(), "{state}");
        store.apply_collections(&declared).await.unwrap();
        assert_eq!(find(&mut store.begin().unwrap(), "orders", &by_customer), "o000 o003", "{state}");
        store.close().await;
        change_raw(folder.path(), key::CATALOG, |catalog| {
            assert_eq!(catalog.matches("ready").count(), 1, "{catalog}");
            assert_eq!(catalog.matches(state).count(), 0, "{catalog}");
            None
        })
        .await;
    }
}

/// Commits that adding so many documents to an index takes, and those that announce it and declare it ready.
fn commits_of(documents: u64) -> u64 {
    documents.div_ceil(BATCH) + 2
}

/// The documents of a batch in these tests: `Options::index_batch_max`.
const BATCH: u64 = 7;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_commit_of_a_build_is_larger_than_a_batch() {
    // Whoever writes waits for one such commit at most.
    assert!(Options::default().index_batch_max <= 1_000);
    let (store, _folder) = store(&["orders:customer code"]).await;
    fill(&store, 50).await;
    let before = store.head().sequence;
    store.apply_collections(&declare(&["orders:customer code; customer"])).await.unwrap();
    assert_eq!(store.head().sequence - before, commits_of(50), "each commit adds one batch");

    // Beside writers there are smaller ones, and never larger ones; and what they write is committed in between.
    let before = store.head().sequence;
    let (writer, begun) = (store.clone(), Arc::new(tokio::sync::Notify::new()));
    let has_begun = begun.clone();
    let writing = tokio::spawn(async move {
        let mut written = 0;
        while written < 30 {
            let mut transaction = writer.begin().unwrap();
            transaction.put("orders", &id(&format!("o{written:03}")), doc(r#"{"customer":"w","code":"w"}"#)).unwrap();
            match writer.commit(transaction).await {
                Ok(_) => written += 1,
                Err(error) => assert_eq!(error, CommitError::Conflict),
            }
            has_begun.notify_one();
        }
        written
    });
    begun.notified().await;
    store.apply_collections(&declare(&["orders:customer code; customer code"])).await.unwrap();
    let written = writing.await.unwrap();
    let commits = store.head().sequence - before - written;
    assert!(commits >= commits_of(50), "{commits} commits for 50 documents");
    let indexed = scan(&[("code", json!("w"))], "");
    assert_eq!(find(&mut store.begin().unwrap(), "orders", &indexed).split(' ').count(), 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_built_under_writes_misses_nothing() {
    let (store, _folder) = store(&["orders:customer code"]).await;
    fill(&store, 300).await;
    let done = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (store, done) = (store.clone(), done.clone());
        async move {
            let mut written = 0u64;
            while !done.load(Ordering::Relaxed) {
                let name = format!("o{:03}", written * 7 % 400);
                let mut transaction = store.begin().unwrap();
                if written.is_multiple_of(5) {
                    transaction.delete("orders", &id(&name)).unwrap();
                } else {
                    let text = format!(r#"{{"customer":"c{}","code":"w{written}"}}"#, written % 4);
                    transaction.put("orders", &id(&name), doc(&text)).unwrap();
                }
                match store.commit(transaction).await {
                    Ok(_) => written += 1,
                    Err(error) => assert_eq!(error, CommitError::Conflict),
                }
            }
        }
    });
    for _ in 0..3 {
        store.apply_collections(&declare(&["orders:customer code; customer+code"])).await.unwrap();
        let mut transaction = store.begin().unwrap();
        let mut along_index: Vec<_> = transaction
            .scan("orders", &scan(&[], "customer"))
            .unwrap()
            .rows
            .into_iter()
            .map(|row| row.document)
            .collect();
        let mut along_ids: Vec<_> =
            transaction.scan("orders", &Scan::default()).unwrap().rows.into_iter().map(|row| row.document).collect();
        along_index.sort();
        along_ids.sort();
        assert_eq!(along_index, along_ids);
        store.apply_collections(&declare(&["orders:customer code"])).await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    writer.await.unwrap();
}
