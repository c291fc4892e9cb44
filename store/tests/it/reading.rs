//! What reads answer, and what they note as read.

use serde_json::json;
use weir_store::{Position, Range, ReadError, Scan, ScanError, Transaction, WriteError};

use crate::support::{declare, doc, find, id, ids, put_all, scan, store};

#[tokio::test]
async fn documents_come_back_with_their_id_first() {
    let (store, _folder) = store(&["orders:customer"]).await;
    let mut transaction = store.begin().unwrap();
    let stored = transaction.put("orders", &id("o1"), doc(r#"{"customer":"c","id":"other"}"#)).unwrap();
    assert_eq!(stored, r#"{"id":"o1","customer":"c"}"#);
    assert_eq!(transaction.get("orders", &id("o1")).unwrap(), Some(stored.clone()));
    let committed = store.commit(transaction).await.unwrap();

    let mut transaction = store.begin().unwrap();
    assert_eq!(transaction.timestamp(), committed.timestamp);
    assert_eq!(transaction.get("orders", &id("o1")).unwrap(), Some(stored));
    assert_eq!(transaction.get("orders", &id("o2")).unwrap(), None);
    assert!(transaction.delete("orders", &id("o1")).unwrap().existed);
    assert!(!transaction.delete("orders", &id("o1")).unwrap().existed);
    assert_eq!(transaction.get("orders", &id("o1")).unwrap(), None);
    store.commit(transaction).await.unwrap();
    assert_eq!(store.begin().unwrap().get("orders", &id("o1")).unwrap(), None);
}

#[tokio::test]
async fn pages_go_on_after_a_cursor_in_both_directions() {
    let (store, _folder) = store(&["orders:customer at:date; customer+at"]).await;
    let documents: Vec<(String, String)> = (0..9)
        .map(|n| (format!("o{n}"), format!(r#"{{"customer":"c","at":"2026-01-0{}T00:00:00.000Z"}}"#, 9 - n / 2)))
        .collect();
    let documents: Vec<(&str, &str)> = documents.iter().map(|(id, text)| (id.as_str(), text.as_str())).collect();
    put_all(&store, "orders", &documents).await.unwrap();
    for (order, whole) in [("at", "o8 o6 o7 o4 o5 o2 o3 o0 o1"), ("-at", "o1 o0 o3 o2 o5 o4 o7 o6 o8")] {
        let mut transaction = store.begin().unwrap();
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let page = Scan { limit: Some(2), after, ..scan(&[("customer", json!("c"))], order) };
            let rows = transaction.scan("orders", &page).unwrap();
            found.push(ids(&rows));
            if !rows.more {
                break;
            }
            let cursor = rows.rows.last().unwrap().position.to_cursor();
            after = Some(Position::parse(&cursor).unwrap());
        }
        assert_eq!(found.join(" "), whole);
    }
}

#[tokio::test]
async fn null_finds_absent_and_null_and_ranges_find_neither() {
    let (store, _folder) = store(&["orders:customer; customer"]).await;
    let documents = [("a", r#"{"customer":null}"#), ("b", "{}"), ("c", r#"{"customer":"x"}"#)];
    put_all(&store, "orders", &documents).await.unwrap();
    let mut transaction = store.begin().unwrap();
    assert_eq!(find(&mut transaction, "orders", &scan(&[("customer", json!(null))], "")), "a b");
    let range = Range { field: "customer".to_owned(), lte: Some(json!("zzz")), ..Range::default() };
    let below = Scan { range: Some(range), ..Scan::default() };
    assert_eq!(find(&mut transaction, "orders", &below), "c");
    assert_eq!(transaction.count("orders", &scan(&[], "-customer")).unwrap(), 3);
    assert_eq!(transaction.count("orders", &Scan { limit: Some(2), ..Scan::default() }).unwrap(), 2);
}

#[tokio::test]
async fn a_notice_touches_those_who_read_what_it_changed_and_nobody_else() {
    let (store, _folder) = store(&["orders:customer status; customer", "customers:name"]).await;
    let documents = [("o1", r#"{"customer":"a"}"#), ("o2", r#"{"customer":"a"}"#), ("o3", r#"{"customer":"b"}"#)];
    put_all(&store, "orders", &documents).await.unwrap();
    let read = |scan: &Scan| {
        let mut transaction = store.begin().unwrap();
        transaction.scan("orders", scan).unwrap();
        transaction.into_read_set()
    };
    let of_a = read(&scan(&[("customer", json!("a"))], ""));
    let first_of_a = read(&Scan { limit: Some(1), ..scan(&[("customer", json!("a"))], "") });
    let of_b = read(&scan(&[("customer", json!("b"))], ""));
    let of_nobody = read(&scan(&[("customer", json!("z"))], ""));
    let mut notices = store.notices();

    // A change that keeps the index key is a change of what the scan led to.
    put_all(&store, "orders", &[("o2", r#"{"customer":"a","status":"paid"}"#)]).await.unwrap();
    let notice = notices.recv().await.unwrap();
    let touched = [&of_a, &first_of_a, &of_b, &of_nobody].map(|set| set.touches(&notice));
    // o2 is how the first knew that there are more.
    assert_eq!(touched, [true, true, false, false]);

    put_all(&store, "orders", &[("o9", r#"{"customer":"a"}"#)]).await.unwrap();
    let notice = notices.recv().await.unwrap();
    assert_eq!([&of_a, &first_of_a, &of_b, &of_nobody].map(|set| set.touches(&notice)), [true, false, false, false]);

    put_all(&store, "orders", &[("o3", r#"{"customer":"z"}"#)]).await.unwrap();
    let notice = notices.recv().await.unwrap();
    assert_eq!([&of_a, &first_of_a, &of_b, &of_nobody].map(|set| set.touches(&notice)), [false, false, true, true]);
    assert_eq!((notice.sequence, notice.timestamp), (store.head().sequence, store.head().timestamp));
}

#[tokio::test]
async fn what_cannot_be_read_or_written_is_explained() {
    let (store, _folder) = store(&["orders:customer; customer"]).await;
    let mut transaction = store.begin().unwrap();
    assert_eq!(transaction.get("none", &id("a")), Err(ReadError::UnknownCollection("none".to_owned())));
    assert!(matches!(transaction.scan("none", &Scan::default()), Err(ScanError::Read(_))));

    let long = doc(&format!(r#"{{"customer":"{}"}}"#, "x".repeat(5_000)));
    let error = transaction.put("orders", &id("a"), long).unwrap_err();
    assert_eq!(error.to_string(), "orders a cannot be indexed: an index key has at most 4096 bytes, this one has 5013");
    let large = doc(&format!(r#"{{"other":"{}"}}"#, "x".repeat(1 << 20)));
    let error = transaction.put("orders", &id("a"), large).unwrap_err();
    assert_eq!(error.to_string(), "a document has at most 1048576 bytes as JSON, orders a has 1048597");
    let list = transaction.put("orders", &id("a"), doc(r#"{"customer":["x"]}"#));
    assert!(matches!(list, Err(WriteError::NotIndexable { .. })));
    assert!(!transaction.has_writes());

    store.apply_collections(&declare(&[])).await.unwrap();
    let gone = store.begin().unwrap().get("orders", &id("a"));
    assert_eq!(gone, Err(ReadError::UnknownCollection("orders".to_owned())));
}

#[tokio::test]
async fn a_transaction_has_a_size() {
    let (store, _folder) = store(&["orders:text"]).await;
    let mut transaction = store.begin().unwrap();
    let megabyte = format!(r#"{{"text":"{}"}}"#, "x".repeat(1_000_000));
    let refused = (0..100).find_map(|n| transaction.put("orders", &id(&n.to_string()), doc(&megabyte)).err());
    assert_eq!(refused, Some(WriteError::TransactionTooLarge { max: 64 << 20 }));
}

#[tokio::test]
async fn what_is_kept_for_a_savepoint_counts() {
    let (store, _folder) = store(&["orders:text"]).await;
    let megabyte = format!(r#"{{"text":"{}"}}"#, "x".repeat(1_000_000));
    put_all(&store, "orders", &[("a", &megabyte)]).await.unwrap();
    let mut transaction = store.begin().unwrap();
    let write = |transaction: &mut Transaction| transaction.put("orders", &id("a"), doc(&megabyte)).err();
    // Each takes the place of the one before.
    assert_eq!((0..100).find_map(|_| write(&mut transaction)), None);
    let savepoint = transaction.set_savepoint();
    let refused = (0..100).find_map(|_| write(&mut transaction));
    assert_eq!(refused, Some(WriteError::TransactionTooLarge { max: 64 << 20 }));
    transaction.roll_back(savepoint).unwrap();
    for _ in 0..100 {
        let savepoint = transaction.set_savepoint();
        assert_eq!(write(&mut transaction), None);
        transaction.release(savepoint).unwrap();
    }
}

#[tokio::test]
async fn documents_that_were_there_before_count_when_they_are_written() {
    let (store, _folder) = store(&["orders:text"]).await;
    let megabyte = format!(r#"{{"text":"{}"}}"#, "x".repeat(1_000_000));
    for half in [0..40, 40..80] {
        let documents: Vec<String> = half.map(|n| n.to_string()).collect();
        let documents: Vec<(&str, &str)> = documents.iter().map(|name| (name.as_str(), megabyte.as_str())).collect();
        put_all(&store, "orders", &documents).await.unwrap();
    }
    let mut transaction = store.begin().unwrap();
    let refused = (0..80).find_map(|n| transaction.put("orders", &id(&n.to_string()), doc(&megabyte)).err());
    assert_eq!(refused, Some(WriteError::TransactionTooLarge { max: 64 << 20 }));
}
