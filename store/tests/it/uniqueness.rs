//! Unique indexes: one holder for each combination of values, checked when a transaction commits.

use serde_json::json;
use weir_store::{CommitError, Store};

use crate::support::{doc, find, id, put_all, scan, store};

const PEOPLE: &[&str] = &["people:email tenant; !email !tenant+email"];

fn violation(result: Result<weir_store::Committed, CommitError>) -> String {
    match result {
        Err(CommitError::Unique(violation)) => violation.to_string(),
        other => format!("{other:?}"),
    }
}

async fn put(store: &Store, name: &str, email: &str) -> Result<weir_store::Committed, CommitError> {
    put_all(store, "people", &[(name, &format!(r#"{{"email":"{email}"}}"#))]).await
}

#[tokio::test]
async fn in_one_transaction() {
    let (store, _folder) = store(PEOPLE).await;
    let result = put_all(&store, "people", &[("a", r#"{"email":"x"}"#), ("b", r#"{"email":"x"}"#)]).await;
    assert_eq!(violation(result), "people b and a have the same email, which is unique");
    assert_eq!(find(&mut store.begin().unwrap(), "people", &scan(&[], "")), "");
}

#[tokio::test]
async fn across_transactions() {
    let (store, _folder) = store(PEOPLE).await;
    put(&store, "a", "x").await.unwrap();
    assert_eq!(violation(put(&store, "b", "x").await), "people b and a have the same email, which is unique");
    put(&store, "a", "y").await.unwrap();
    put(&store, "b", "x").await.unwrap();
    assert_eq!(find(&mut store.begin().unwrap(), "people", &scan(&[("email", json!("x"))], "")), "b");
}

#[tokio::test]
async fn across_two_commits_of_one_group() {
    let (store, _folder) = store(PEOPLE).await;
    for round in 0..20 {
        let email = format!("x{round}");
        let names = [format!("a{round}"), format!("b{round}")];
        let (first, second) = tokio::join!(put(&store, &names[0], &email), put(&store, &names[1], &email));
        assert!(first.is_ok());
        let expected = format!("people {} and {} have the same email, which is unique", names[1], names[0]);
        assert_eq!(violation(second), expected);
    }
}

#[tokio::test]
async fn values_can_be_swapped_in_one_transaction() {
    let (store, _folder) = store(PEOPLE).await;
    put(&store, "a", "x").await.unwrap();
    put(&store, "b", "y").await.unwrap();
    put_all(&store, "people", &[("b", r#"{"email":"x"}"#), ("a", r#"{"email":"y"}"#)]).await.unwrap();
    let mut transaction = store.begin().unwrap();
    assert_eq!(find(&mut transaction, "people", &scan(&[("email", json!("x"))], "")), "b");
    assert_eq!(find(&mut transaction, "people", &scan(&[("email", json!("y"))], "")), "a");
}

#[tokio::test]
async fn two_holders_are_both_seen_until_the_commit() {
    let (store, _folder) = store(PEOPLE).await;
    put(&store, "a", "x").await.unwrap();
    let mut transaction = store.begin().unwrap();
    let of_x = scan(&[("email", json!("x"))], "");
    transaction.put("people", &id("b"), doc(r#"{"email":"x"}"#)).unwrap();
    assert_eq!(find(&mut transaction, "people", &of_x), "a b");
    transaction.delete("people", &id("b")).unwrap();
    assert_eq!(find(&mut transaction, "people", &of_x), "a");
    transaction.put("people", &id("b"), doc(r#"{"email":"x"}"#)).unwrap();
    transaction.delete("people", &id("a")).unwrap();
    assert_eq!(find(&mut transaction, "people", &of_x), "b");
    store.commit(transaction).await.unwrap();
    assert_eq!(find(&mut store.begin().unwrap(), "people", &of_x), "b");
}

#[tokio::test]
async fn nulls_are_free() {
    let (store, _folder) = store(PEOPLE).await;
    let documents = [("a", "{}"), ("b", r#"{"email":null}"#), ("c", r#"{"tenant":"t"}"#), ("d", r#"{"tenant":"t"}"#)];
    put_all(&store, "people", &documents).await.unwrap();
    let mut transaction = store.begin().unwrap();
    assert_eq!(find(&mut transaction, "people", &scan(&[("email", json!(null))], "-email")), "d c b a");
    let of_tenant = scan(&[("email", json!(null)), ("tenant", json!("t"))], "");
    assert_eq!(find(&mut transaction, "people", &of_tenant), "c d");
}
