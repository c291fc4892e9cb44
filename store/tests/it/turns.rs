//! Progress under contention: transactions that collide run in turn, and nobody is failed by it.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use weir_store::{CommitError, Options, Run, Store, Transaction};

use crate::support::{declare, doc, find, id, options, put_all, scan, store};

const LIMIT: Duration = Duration::from_secs(10);

fn number(transaction: &mut Transaction, name: &str) -> i64 {
    let text = transaction.get("counters", &id(name)).unwrap();
    text.map_or(0, |text| serde_json::from_slice::<Value>(&text).unwrap()["n"].as_i64().unwrap())
}

fn add(mut transaction: Transaction, name: &str) -> Transaction {
    let n = number(&mut transaction, name) + 1;
    transaction.put("counters", &id(name), doc(&json!({ "n": n }).to_string())).unwrap();
    transaction
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_callers_count_on_one_document_and_none_fails() {
    let (store, _folder) = store(&["counters:n; n"]).await;
    let runs = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let (store, runs) = (store.clone(), runs.clone());
            tokio::spawn(async move {
                let mut commits = Vec::new();
                for _ in 0..20 {
                    let transacted = store
                        .transact(LIMIT, |transaction| {
                            runs.fetch_add(1, Ordering::Relaxed);
                            ready(Run::Commit(add(transaction, "hot"), ()))
                        })
                        .await;
                    commits.push(transacted.unwrap().committed.unwrap().sequence);
                }
                commits
            })
        })
        .collect();
    let mut commits = Vec::new();
    for task in tasks {
        let own = task.await.unwrap();
        assert!(own.is_sorted(), "{own:?}");
        commits.extend(own);
    }
    commits.sort_unstable();
    commits.dedup();
    assert_eq!(commits.len(), 64 * 20);
    assert_eq!(number(&mut store.begin().unwrap(), "hot"), 64 * 20);
    // A conflict costs one more run: the turn that follows it succeeds.
    assert!(runs.load(Ordering::Relaxed) <= 2 * 64 * 20, "{runs:?} runs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ranges_are_reserved_too() {
    let (store, _folder) = store(&["counters:n group; group"]).await;
    // Each counts a group and adds one more member with that number: without phantoms the numbers are dense.
    let tasks: Vec<_> = (0..16)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                for round in 0..10 {
                    let run = |mut transaction: Transaction| {
                        let members = transaction.count("counters", &scan(&[("group", json!("g"))], "")).unwrap();
                        let document = doc(&json!({ "group": "g", "n": members }).to_string());
                        transaction.put("counters", &id(&format!("{task}-{round}")), document).unwrap();
                        ready(Run::Commit(transaction, ()))
                    };
                    store.transact(LIMIT, run).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let rows = store.begin().unwrap().scan("counters", &scan(&[("group", json!("g"))], "")).unwrap().rows;
    let mut numbers: Vec<u64> =
        rows.iter().map(|row| serde_json::from_slice::<Value>(&row.document).unwrap()["n"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..160).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_transaction_longer_than_the_window_commits_in_its_turn() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Options { conflict_window_commits_max: 2, ..options() }).unwrap();
    store.apply_collections(&declare(&["counters:n"])).await.unwrap();
    let others = store.clone();
    let mut runs = 0;
    let transacted = store
        .transact(LIMIT, |transaction| {
            runs += 1;
            let others = others.clone();
            async move {
                for other in ["a", "b", "c", "d"] {
                    put_all(&others, "counters", &[(other, "{}")]).await.unwrap();
                }
                Run::Commit(add(transaction, "slow"), ())
            }
        })
        .await;
    assert!(transacted.is_ok());
    // Beside others it is too old to be validated; in its turn nothing that it read can have changed.
    assert_eq!(runs, 2);
}

#[tokio::test]
async fn another_footprint_each_time_still_ends() {
    let (store, _folder) = store(&["counters:n"]).await;
    let others = store.clone();
    let mut runs = 0;
    let transacted = store.transact(LIMIT, |mut transaction| {
        runs += 1;
        let (others, name) = (others.clone(), format!("key-{runs}"));
        async move {
            number(&mut transaction, &name);
            // Somebody writes just what was read, every time.
            let refused = put_all(&others, "counters", &[(&name, "{}")]).await.is_err();
            Run::Commit(add(transaction, "mine"), refused)
        }
    });
    // In the end it runs while nobody else may write.
    assert!(transacted.await.unwrap().value);
    assert!((3..=8).contains(&runs), "{runs} runs");
}

#[tokio::test]
async fn others_go_on_beside_a_turn_and_a_turn_ends_with_its_limit() {
    let (store, _folder) = store(&["counters:n"]).await;
    let (others, mut runs) = (store.clone(), 0);
    let transacted = store
        .transact(Duration::from_secs(2), |mut transaction| {
            runs += 1;
            let (others, run) = (others.clone(), runs);
            async move {
                number(&mut transaction, "hot");
                if run == 1 {
                    put_all(&others, "counters", &[("hot", r#"{"n":1}"#)]).await.unwrap();
                } else if run == 2 {
                    put_all(&others, "counters", &[("elsewhere", "{}")]).await.unwrap();
                    let refused = put_all(&others, "counters", &[("hot", r#"{"n":2}"#)]).await;
                    assert_eq!(refused, Err(CommitError::Conflict));
                    // Longer than the limit: then it is no longer protected.
                    while put_all(&others, "counters", &[("hot", r#"{"n":3}"#)]).await.is_err() {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
                Run::Commit(add(transaction, "hot"), ())
            }
        })
        .await;
    assert!(transacted.is_ok());
    assert_eq!(runs, 3);
    assert_eq!(number(&mut store.begin().unwrap(), "hot"), 4);
}

#[tokio::test]
async fn what_is_aborted_leaves_nothing_and_its_turn_ends() {
    let (store, _folder) = store(&["counters:n"]).await;
    let others = store.clone();
    let mut runs = 0;
    let transacted = store
        .transact(LIMIT, |transaction| {
            runs += 1;
            let (others, run) = (others.clone(), runs);
            async move {
                let transaction = add(transaction, "hot");
                if run == 1 {
                    put_all(&others, "counters", &[("hot", r#"{"n":7}"#)]).await.unwrap();
                    Run::Commit(transaction, "first")
                } else {
                    Run::Abort("given up")
                }
            }
        })
        .await
        .unwrap();
    assert_eq!((transacted.value, transacted.committed), ("given up", None));
    assert_eq!(number(&mut store.begin().unwrap(), "hot"), 7);
    put_all(&store, "counters", &[("hot", r#"{"n":8}"#)]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_catalog_changes_under_constant_contention() {
    let (store, _folder) = store(&["counters:n"]).await;
    let stop = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (store, stop) = (store.clone(), stop.clone());
            tokio::spawn(async move {
                while stop.load(Ordering::Relaxed) == 0 {
                    let run = |transaction| ready(Run::Commit(add(transaction, "hot"), ()));
                    store.transact(LIMIT, run).await.unwrap();
                }
            })
        })
        .collect();
    for _ in 0..3 {
        store.apply_collections(&declare(&["counters:n; n"])).await.unwrap();
        store.apply_collections(&declare(&["counters:n"])).await.unwrap();
    }
    store.apply_collections(&declare(&["counters:n; n"])).await.unwrap();
    stop.store(1, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(find(&mut store.begin().unwrap(), "counters", &scan(&[], "n")), "hot");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn money_is_neither_made_nor_lost_when_many_want_the_same_few_accounts() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { memtable_bytes: 256 << 10, ..options() };
    let store = Store::open(folder.path(), options).unwrap();
    store.apply_collections(&declare(&["counters:n"])).await.unwrap();
    const ACCOUNTS: u64 = 2_000;
    for start in (0..ACCOUNTS).step_by(500) {
        let mut transaction = store.begin().unwrap();
        for account in start..start + 500 {
            transaction.put("counters", &id(&account.to_string()), doc(r#"{"n":100}"#)).unwrap();
        }
        store.commit(transaction).await.unwrap();
    }
    let tasks: Vec<_> = (0..64u64)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut state = task.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
                let mut next = || {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    state
                };
                for _ in 0..60 {
                    // Half of all draws are of four accounts.
                    let (mut source, mut target) = (next(), next());
                    source %= if source & 64 == 0 { 4 } else { ACCOUNTS };
                    target %= if target & 64 == 0 { 4 } else { ACCOUNTS };
                    if source == target {
                        target = (target + 1) % ACCOUNTS;
                    }
                    let amount = (next() % 10) as i64;
                    let run = |mut transaction: Transaction| {
                        let (from, to) = (source.to_string(), target.to_string());
                        let paying = number(&mut transaction, &from) - amount;
                        let paid = number(&mut transaction, &to) + amount;
                        transaction.put("counters", &id(&from), doc(&json!({ "n": paying }).to_string())).unwrap();
                        transaction.put("counters", &id(&to), doc(&json!({ "n": paid }).to_string())).unwrap();
                        ready(Run::Commit(transaction, ()))
                    };
                    store.transact(LIMIT, run).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let mut transaction = store.begin().unwrap();
    let by_key: i64 = (0..ACCOUNTS).map(|account| number(&mut transaction, &account.to_string())).sum();
    let rows = transaction.scan("counters", &scan(&[], "")).unwrap().rows;
    let by_scan: i64 =
        rows.iter().map(|row| serde_json::from_slice::<Value>(&row.document).unwrap()["n"].as_i64().unwrap()).sum();
    assert_eq!((by_key, by_scan), (100 * ACCOUNTS as i64, 100 * ACCOUNTS as i64));
}
