//! Opening: what is kept, and which folders are refused.

use std::fs;
use std::path::Path;

use weir_schema::codec::key;
use weir_store::{OpenError, Scan, Store};

use crate::support::{change_raw, declare, find, id, open, options, put_all, scan, store};

fn refusal(folder: &Path) -> String {
    match Store::open(folder, options()) {
        Ok(_) => "opened".to_owned(),
        Err(error) => error.to_string().replace(&folder.display().to_string(), "DATA"),
    }
}

#[tokio::test]
async fn everything_is_there_after_closing_and_opening() {
    let (store, folder) = store(&["orders:customer; customer"]).await;
    put_all(&store, "orders", &[("a", r#"{"customer":"x"}"#), ("b", r#"{"customer":"y"}"#)]).await.unwrap();
    let head = store.head();
    store.close().await;
    store.close().await;
    assert!(store.is_ready().is_err());
    assert!(store.begin().is_err());

    let store = open(folder.path());
    assert_eq!(store.head(), head);
    let mut transaction = store.begin().unwrap();
    assert_eq!(find(&mut transaction, "orders", &scan(&[], "-customer")), "b a");
    let later = put_all(&store, "orders", &[("c", "{}")]).await.unwrap();
    assert!(later.timestamp > head.timestamp && later.sequence == head.sequence + 1);
}

#[tokio::test]
async fn a_folder_belongs_to_one_process() {
    let (store, folder) = store(&["orders:customer"]).await;
    let expected = "DATA is in use: stop the other `weir` or choose another folder with --data";
    assert_eq!(refusal(folder.path()), expected);
    store.close().await;
    open(folder.path()).close().await;
}

#[tokio::test]
async fn dropping_the_store_closes_it_in_the_background() {
    let (store, folder) = store(&["orders:customer"]).await;
    put_all(&store, "orders", &[("a", "{}")]).await.unwrap();
    drop(store);
    let store = loop {
        match Store::open(folder.path(), options()) {
            Ok(store) => break store,
            Err(error) => assert!(matches!(error, OpenError::InUse(_)), "{error}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    };
    assert!(store.begin().unwrap().get("orders", &id("a")).unwrap().is_some());
}

#[test]
fn other_folders_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("FORMAT"), r#"{"product":"weir","format":7}"#).unwrap();
    let expected = "DATA was made by a newer Weir (format 7, this one reads up to 4): use that version";
    assert_eq!(refusal(folder.path()), expected);

    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.txt"), "chapter 1").unwrap();
    let expected =
        "DATA is not a Weir data folder: it is not empty and has no valid FORMAT file; choose another one with --data";
    assert_eq!(refusal(folder.path()), expected);
}

#[test]
fn a_half_created_folder_is_completed() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("FORMAT"), r#"{"product":"weir","format":1}"#).unwrap();
    assert_eq!(refusal(folder.path()), "opened");
}

#[tokio::test]
async fn a_damaged_folder_is_refused() {
    let (store, folder) = store(&["orders:customer"]).await;
    put_all(&store, "orders", &[("a", "{}")]).await.unwrap();
    store.close().await;
    let manifests = folder.path().join("tree/manifest");
    for entry in fs::read_dir(manifests).unwrap() {
        fs::write(entry.unwrap().path(), "nonsense").unwrap();
    }
    let message = refusal(folder.path());
    assert!(message.starts_with("DATA cannot be opened: "), "{message}");
    assert!(message.ends_with("restore it from a backup or choose another folder with --data"), "{message}");
}

#[tokio::test]
async fn a_gap_in_the_journal_is_refused() {
    for (missing, message) in [(3, "from 2 to 4"), (1, "from 0 to 2"), (5, "from 4 to 5")] {
        let (store, folder) = store(&["orders:customer"]).await;
        while store.head().sequence < 5 {
            put_all(&store, "orders", &[("a", "{}")]).await.unwrap();
        }
        store.close().await;
        change_raw(folder.path(), &key::journal(missing), |_| None).await;
        let expected =
            format!("DATA: the journal jumps {message}: commits are missing, restore the folder from a backup");
        assert_eq!(refusal(folder.path()), expected);
        // Refusing leaves the folder free.
        assert_eq!(refusal(folder.path()), expected);
    }
}

#[tokio::test]
async fn the_catalog_is_kept() {
    let (store, folder) = store(&["a:x", "b:x; x"]).await;
    store.apply_collections(&declare(&["b:x; x"])).await.unwrap();
    put_all(&store, "b", &[("1", r#"{"x":"1"}"#)]).await.unwrap();
    store.close().await;
    let store = open(folder.path());
    let mut transaction = store.begin().unwrap();
    assert_eq!(find(&mut transaction, "b", &scan(&[], "x")), "1");
    assert!(transaction.scan("a", &Scan::default()).is_err());
}
