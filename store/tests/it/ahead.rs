//! Rows of transactions that do not wait for the disk between them: order, grouping, and what is told when.

use std::future::ready;
use std::time::Duration;

use serde_json::{Value, json};
use weir_store::{Ahead, Changes, CommitError, Run, Store, Transacted, Transaction};

use crate::support::{doc, id, open, put_all, store};

const LIMIT: Duration = Duration::from_secs(10);

fn number(transaction: &mut Transaction, name: &str) -> i64 {
    let text = transaction.get("counters", &id(name)).unwrap();
    text.map_or(0, |text| serde_json::from_slice::<Value>(&text).unwrap()["n"].as_i64().unwrap())
}

/// Adds one to a counter; what it came to.
async fn add(store: &Store, name: &str) -> Ahead<i64> {
    let run = |mut transaction: Transaction| {
        let n = number(&mut transaction, name) + 1;
        transaction.put("counters", &id(name), doc(&json!({ "n": n }).to_string())).unwrap();
        ready(Run::Commit(transaction, n))
    };
    store.transact_ahead(LIMIT, run).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_sees_the_ones_before() {
    const COUNT: i64 = 500;
    let (store, folder) = store(&["counters:n"]).await;
    let mut row = Vec::new();
    for n in 1..=COUNT {
        let ahead = add(&store, "a").await;
        // A failure between them, and a read, are no reason to wait.
        let read = store
            .transact_ahead(LIMIT, |mut transaction| ready(Run::Abort(number(&mut transaction, "a"))))
            .await
            .unwrap();
        row.push((n, ahead, read));
    }
    let mut last = 0;
    for (n, ahead, read) in row {
        let Transacted { value, committed } = ahead.settled().await.unwrap();
        let sequence = committed.unwrap().sequence;
        assert_eq!(value, n);
        assert!(sequence > last && store.head().sequence >= sequence);
        last = sequence;
        let Transacted { value, committed } = read.settled().await.unwrap();
        assert_eq!((value, committed), (n, None));
    }
    // How many syncs those are is the disk's to say; at most one each, with that of the collections.
    assert!(store.groups_written() <= COUNT as u64 + 1);
    store.close().await;
    assert_eq!(number(&mut open(folder.path()).begin().unwrap(), "a"), COUNT);
}

#[tokio::test]
async fn what_was_read_is_durable_before_it_is_told() {
    let (store, _folder) = store(&["counters:n"]).await;
    for _ in 0..50 {
        let written = add(&store, "a").await;
        let read = store.transact_ahead(LIMIT, |mut transaction| ready(Run::Abort(number(&mut transaction, "a"))));
        let told = read.await.unwrap().settled().await.unwrap().value;
        // Nothing has waited for the write itself.
        assert_eq!(number(&mut store.begin().unwrap(), "a"), told);
        drop(written);
    }
    let last = add(&store, "a").await;
    store.all_durable().await.unwrap();
    assert_eq!(number(&mut store.begin().unwrap(), "a"), 51);
    assert_eq!(last.settled().await.unwrap().value, 51);
}

#[tokio::test]
async fn a_twin_sees_what_the_other_saw_and_stays_there() {
    let (store, _folder) = store(&["counters:n"]).await;
    add(&store, "b").await.settled().await.unwrap();
    let mut twins = Vec::new();
    let run = |mut transaction: Transaction| {
        let n = number(&mut transaction, "a") + 1;
        transaction.put("counters", &id("a"), doc(&json!({ "n": n }).to_string())).unwrap();
        transaction.delete("counters", &id("b")).unwrap();
        twins.push((transaction.twin().unwrap(), transaction.changes()));
        ready(Run::Commit(transaction, n))
    };
    store.transact(LIMIT, run).await.unwrap();
    let (mut twin, changes) = twins.remove(0);
    // What the other has written, and what was committed since, is not there for it.
    store.renew(&mut twin).unwrap();
    assert_eq!((number(&mut twin, "a"), number(&mut twin, "b")), (0, 1));
    assert_eq!(twin.changes(), Changes::default());
    let text = |text: &str| Some(text.as_bytes().to_vec().into());
    let written = ("counters".to_owned(), id("a"), text(r#"{"id":"a","n":1}"#));
    assert_eq!(changes.documents, [written, ("counters".to_owned(), id("b"), None)]);
    // What comes to nothing changes nothing.
    twin.put("counters", &id("c"), doc(r#"{"n":1}"#)).unwrap();
    twin.delete("counters", &id("c")).unwrap();
    assert_eq!(twin.changes(), Changes::default());
    drop(twin);
    assert_eq!(number(&mut store.begin().unwrap(), "a"), 1);
}

#[tokio::test]
async fn a_transaction_that_has_read_nothing_can_begin_anew() {
    let (store, _folder) = store(&["counters:n"]).await;
    let (mut waited, mut looked) = (store.begin().unwrap(), store.begin().unwrap());
    assert_eq!(number(&mut looked, "a"), 0);
    add(&store, "a").await.settled().await.unwrap();
    store.renew(&mut waited).unwrap();
    store.renew(&mut looked).unwrap();
    assert_eq!((number(&mut waited, "a"), number(&mut looked, "a")), (1, 0));
    // It has waited for so long that it would be in conflict; it is run once.
    let mut runs = 0;
    let run = async |mut transaction: Transaction| {
        add(&store, "a").await.settled().await.unwrap();
        store.renew(&mut transaction).unwrap();
        let n = number(&mut transaction, "a") + 1;
        transaction.put("counters", &id("a"), doc(&json!({ "n": n }).to_string())).unwrap();
        Run::Commit(transaction, n)
    };
    let transacted = store
        .transact(LIMIT, |transaction| {
            runs += 1;
            run(transaction)
        })
        .await;
    assert_eq!((transacted.unwrap().value, runs), (3, 1));
    // What it saw when it began anew is durable when it is told.
    for n in 4..=50 {
        let run = async |mut transaction: Transaction| {
            drop(add(&store, "a").await);
            store.renew(&mut transaction).unwrap();
            Run::Abort(number(&mut transaction, "a"))
        };
        let told = store.transact(LIMIT, run).await.unwrap().value;
        assert_eq!((told, number(&mut store.begin().unwrap(), "a")), (n, n));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rows_side_by_side_lose_nothing() {
    let (store, _folder) = store(&["counters:n"]).await;
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                let own = format!("own{task}");
                let mut row = Vec::new();
                for _ in 0..50 {
                    row.push((add(&store, "hot").await, add(&store, &own).await));
                }
                let mut hot = Vec::new();
                for (n, (shared, own)) in row.into_iter().enumerate() {
                    hot.push(shared.settled().await.unwrap().value);
                    assert_eq!(own.settled().await.unwrap().value, n as i64 + 1);
                }
                assert!(hot.is_sorted());
                hot
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    all.sort_unstable();
    assert_eq!(all, (1..=400).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_unique_value_that_is_pending_refuses_the_next_and_the_row_goes_on() {
    let (store, _folder) = store(&["things:u; !u"]).await;
    put_all(&store, "things", &[("first", r#"{"u":"x"}"#)]).await.unwrap();
    let put = |name: &'static str, u: &'static str| {
        let run = move |mut transaction: Transaction| {
            transaction.put("things", &id(name), doc(&json!({ "u": u }).to_string())).unwrap();
            ready(Run::Commit(transaction, name))
        };
        store.transact_ahead(LIMIT, run)
    };
    // Against what is durable: nothing is pending, so it is told at once.
    assert!(matches!(put("second", "x").await.map(drop), Err(CommitError::Unique(_))));
    let mut row = Vec::new();
    for (name, u) in [("a", "1"), ("b", "1"), ("c", "2"), ("a", "3"), ("d", "1")] {
        row.push(put(name, u).await);
    }
    let mut told = Vec::new();
    for ahead in row {
        // Refused at once where what it is refused for is durable already.
        let settled = match ahead {
            Ok(ahead) => ahead.settled().await,
            Err(error) => Err(error),
        };
        told.push(match settled {
            Ok(Transacted { value, .. }) => value.to_owned(),
            Err(CommitError::Unique(violation)) => format!("{} has it", violation.other.as_str()),
            Err(error) => panic!("{error}"),
        });
    }
    assert_eq!(told, ["a", "a has it", "c", "a", "d"]);
}

#[tokio::test]
async fn a_store_that_closes_settles_what_was_admitted() {
    let (store, folder) = store(&["counters:n"]).await;
    let mut row = Vec::new();
    for _ in 0..20 {
        row.push(add(&store, "a").await);
    }
    store.close().await;
    for (n, ahead) in row.into_iter().enumerate() {
        assert_eq!(ahead.settled().await.unwrap().value, n as i64 + 1);
    }
    let late = store.transact_ahead(LIMIT, |transaction| ready(Run::Abort(transaction.has_writes()))).await;
    assert!(matches!(late.map(drop), Err(CommitError::Unavailable(_))));
    assert_eq!(number(&mut open(folder.path()).begin().unwrap(), "a"), 20);
}
