//! Data folders of older formats. `tests/fixtures/format-1` is what the shop's `seed` left with the last binary that
//! wrote format 1: 4 customers, 20 orders.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use weir_schema::commit::Timestamp;
use weir_store::{HistoryError, Options, Scan, Store};

use crate::disk::copy;
use crate::support::{id, options, put_all, scan};

/// Keeps all of the history: the folder was written long ago.
fn open(folder: &Path) -> Store {
    let history = Duration::from_secs(100 * 365 * 24 * 3_600);
    Store::open(folder, Options { history, ..options() }).unwrap()
}

async fn check(store: &Store) {
    let mut transaction = store.begin().unwrap();
    let customers = transaction.scan("customers", &Scan::default()).unwrap().rows;
    let ada = scan(&[("email", json!("ada@example.com"))], "");
    let found = transaction.scan("customers", &ada).unwrap().rows;
    let ada: Value = serde_json::from_slice(&found[0].document).unwrap();
    assert_eq!((customers.len(), found.len(), &ada["name"]), (4, 1, &json!("Ada")));
    assert_eq!(transaction.scan("orders", &scan(&[], "at")).unwrap().rows.len(), 20);
    let of_ada = scan(&[("customer", ada["id"].clone())], "-at");
    assert!(!transaction.scan("orders", &of_ada).unwrap().rows.is_empty());
}

#[tokio::test]
async fn a_folder_of_format_1_is_brought_up_to_date_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-1"), folder.path());
    let marker = || fs::read_to_string(folder.path().join("FORMAT")).unwrap();
    assert_eq!(marker().trim(), r#"{"product":"weir","format":1}"#);
    let store = open(folder.path());
    assert_eq!(marker().trim(), r#"{"product":"weir","format":4}"#);
    check(&store).await;

    let head = store.head();
    let mut tail = store.tail(1);
    let mut offset = 0;
    for sequence in 1..=head.sequence {
        let entry = tail.next().await.unwrap();
        assert_eq!(entry.sequence, sequence);
        assert!(entry.offset > offset || sequence == 1);
        offset = entry.offset;
    }
    // What was there is the past from now on; before it nothing was kept.
    assert!(matches!(store.at(Timestamp(head.timestamp.0 - 1)), Err(HistoryError::Forgotten { .. })));
    put_all(&store, "orders", &[("new", r#"{"customer":"x"}"#)]).await.unwrap();
    let mut past = store.at(head.timestamp).unwrap();
    assert_eq!(past.scan("orders", &scan(&[], "at")).unwrap().rows.len(), 20);
    assert_eq!(past.get("orders", &id("new")).unwrap(), None);
    let mut undo = store.begin().unwrap();
    undo.delete("orders", &id("new")).unwrap();
    store.commit(undo).await.unwrap();
    let report = store.verify(Arc::new(|_| ControlFlow::Continue(()))).await.unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    store.close().await;

    let store = open(folder.path());
    check(&store).await;
    store.close().await;
}
