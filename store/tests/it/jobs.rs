//! Jobs: written with their transaction, found in the order in which they are due, exported with the rest.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use weir_schema::codec::job::{Job, JobState};
use weir_schema::id::DocumentId;
use weir_store::progress::unwatched;
use weir_store::{Due, JobFilter, Store, import_all};

use crate::support::{doc, id, open, options, store};

fn job(due_ms: u64, state: JobState) -> Job {
    Job {
        function: if due_ms.is_multiple_of(2) { "even" } else { "odd" }.to_owned(),
        args: json!({ "text": "x".repeat(100) }),
        caller: json!({ "kind": "developer" }),
        scheduled_ms: 1,
        due_ms,
        state,
        attempts: 0,
        error: None,
        cron: None,
        line: None,
        release: None,
    }
}

/// All that are due, a few at a time.
fn all_due(store: &Store) -> Vec<(u64, String)> {
    let mut all: Vec<Due> = Vec::new();
    loop {
        let page = store.jobs_due(all.last(), 4).unwrap();
        let new: Vec<Due> = page.into_iter().filter(|due| all.last() != Some(due)).collect();
        if new.is_empty() {
            return all.into_iter().map(|due| (due.at_ms, due.id.as_str().to_owned())).collect();
        }
        all.extend(new);
    }
}

async fn all_jobs(store: &Store) -> BTreeMap<DocumentId, Job> {
    let (mut all, mut after) = (BTreeMap::new(), None);
    loop {
        let page = store.jobs(JobFilter::default(), after, 3, 1 << 20).await.unwrap();
        all.extend(page.jobs);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

/// A change of one of few jobs: `None` removes it.
fn change() -> impl Strategy<Value = (u8, Option<(u64, JobState)>)> {
    let state = prop_oneof![4 => Just(JobState::Waiting), 1 => Just(JobState::Running), 1 => Just(JobState::Dead)];
    (0u8..12, proptest::option::weighted(0.7, (prop_oneof![0u64..6, any::<u64>()], state)))
}

#[test]
fn jobs_are_due_in_order_whatever_becomes_of_them() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (store, folder) = runtime.block_on(store(&["things:name"]));
    let mut expected: BTreeMap<DocumentId, Job> = BTreeMap::new();
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(40) });
    let commits = proptest::collection::vec((proptest::collection::vec(change(), 1..6), any::<bool>()), 1..6);
    let shared = RefCell::new(&mut expected);
    runner
        .run(&commits, |commits| {
            let mut expected = shared.borrow_mut();
            for (changes, is_kept) in commits {
                let mut transaction = store.begin().unwrap();
                let mut after = expected.clone();
                // What is rolled back leaves no trace.
                let savepoint = transaction.set_savepoint();
                for (number, change) in changes {
                    let id = id(&format!("job{number}"));
                    match change {
                        Some((due_ms, state)) => {
                            transaction.put_job(&id, job(due_ms, state)).unwrap();
                            after.insert(id.clone(), job(due_ms, state));
                        }
                        None => {
                            transaction.remove_job(&id).unwrap();
                            after.remove(&id);
                        }
                    }
                    let found = transaction.job(&id).unwrap();
                    prop_assert_eq!(found.as_ref(), after.get(&id));
                }
                if is_kept {
                    **expected = after;
                } else {
                    transaction.roll_back(savepoint).unwrap();
                }
                runtime.block_on(store.commit(transaction)).unwrap();
                let pending = expected.iter().filter(|(_, job)| job.is_pending());
                let due: BTreeSet<(u64, String)> =
                    pending.map(|(id, job)| (job.due_ms, id.as_str().to_owned())).collect();
                prop_assert_eq!(all_due(&store), due.into_iter().collect::<Vec<_>>());
                prop_assert_eq!(&runtime.block_on(all_jobs(&store)), &**expected);
            }
            Ok(())
        })
        .unwrap();
    runtime.block_on(async {
        let report = store.verify(unwatched()).await.unwrap();
        assert_eq!((report.problems, report.jobs), (Vec::new(), expected.len() as u64));
        store.close().await;
        let reopened = open(folder.path());
        assert_eq!(all_jobs(&reopened).await, expected);
    });
}

#[tokio::test]
async fn of_two_who_end_one_job_one_conflicts() {
    let (store, _folder) = store(&["things:name"]).await;
    let mut scheduling = store.begin().unwrap();
    scheduling.add_job(&id("a"), job(1, JobState::Waiting)).unwrap();
    scheduling.add_job(&id("b"), job(2, JobState::Waiting)).unwrap();
    store.commit(scheduling).await.unwrap();
    let ending = |which: &str, thing: &str| {
        let mut transaction = store.begin().unwrap();
        assert!(transaction.job(&id(which)).unwrap().is_some());
        transaction.put("things", &id(thing), doc("{}")).unwrap();
        transaction.remove_job(&id(which)).unwrap();
        transaction
    };
    let (first, second, other) = (ending("a", "1"), ending("a", "2"), ending("b", "3"));
    // Who only looked, and found it, conflicts as well.
    let mut looking = store.begin().unwrap();
    assert!(looking.job(&id("a")).unwrap().is_some());
    looking.put("things", &id("4"), doc("{}")).unwrap();
    let mut notices = store.notices();
    store.commit(first).await.unwrap();
    assert_eq!(notices.recv().await.unwrap().first_due(), None, "what ends makes nothing due");
    assert!(matches!(store.commit(second).await, Err(weir_store::CommitError::Conflict)));
    assert!(matches!(store.commit(looking).await, Err(weir_store::CommitError::Conflict)));
    store.commit(other).await.unwrap();
    assert_eq!(all_due(&store), []);
    let mut scheduling = store.begin().unwrap();
    scheduling.add_job(&id("d"), job(9, JobState::Waiting)).unwrap();
    scheduling.add_job(&id("c"), job(9, JobState::Waiting)).unwrap();
    store.commit(scheduling).await.unwrap();
    notices.recv().await.unwrap();
    let due = notices.recv().await.unwrap().first_due();
    assert_eq!(due, Some(Due { at_ms: 9, id: id("c") }));
}

#[tokio::test]
async fn jobs_are_listed_by_what_they_are() {
    let (store, _folder) = store(&[]).await;
    let mut scheduling = store.begin().unwrap();
    for n in 0..10 {
        let state = if n < 7 { JobState::Waiting } else { JobState::Dead };
        scheduling.add_job(&id(&format!("job{n}")), job(n, state)).unwrap();
    }
    store.commit(scheduling).await.unwrap();
    let page = async |state, function: Option<&str>, after: Option<&str>, limit, bytes| {
        let filter = JobFilter { state, function: function.map(str::to_owned) };
        let page = store.jobs(filter, after.map(id), limit, bytes).await.unwrap();
        let ids: Vec<String> = page.jobs.iter().map(|(id, _)| id.as_str().replace("job", "")).collect();
        (ids.join(" "), page.next.map(|next| next.as_str().replace("job", "")))
    };
    let more = |next: &str| Some(next.to_owned());
    assert_eq!(page(Some(JobState::Dead), None, None, 9, 9_999).await, ("7 8 9".to_owned(), None));
    assert_eq!(page(None, Some("even"), None, 2, 9_999).await, ("0 2".to_owned(), more("2")));
    assert_eq!(page(None, Some("even"), Some("job2"), 9, 9_999).await, ("4 6 8".to_owned(), None));
    assert_eq!(page(None, None, Some("job7"), 2, 9_999).await, ("8 9".to_owned(), None));
    assert_eq!(page(None, None, None, 9, 300).await, ("0 1".to_owned(), more("1")));
    assert_eq!(page(None, None, Some("x"), 9, 300).await, (String::new(), None));
}

#[tokio::test]
async fn an_export_has_the_jobs() {
    let (store, _folder) = store(&["things:name"]).await;
    let mut scheduling = store.begin().unwrap();
    for n in 0..5 {
        let state = if n < 4 { JobState::Waiting } else { JobState::Dead };
        scheduling.add_job(&id(&format!("job{n}")), job(9 - n, state)).unwrap();
    }
    store.commit(scheduling).await.unwrap();
    let room = tempfile::tempdir().unwrap();
    let (file, data) = (room.path().join("all.jsonl"), room.path().join("data"));
    let exported = store.export(&file, unwatched()).await.unwrap();
    assert_eq!(exported.counts.get("job"), Some(&5));
    let imported = import_all(&file, &data, &options(), unwatched()).await.unwrap();
    assert_eq!(imported.counts.get("job"), Some(&5));
    let copy = open(&data);
    assert_eq!(all_jobs(&copy).await, all_jobs(&store).await);
    assert_eq!(all_due(&copy), all_due(&store));
    assert_eq!(copy.verify(unwatched()).await.unwrap().problems, Vec::<String>::new());
}
