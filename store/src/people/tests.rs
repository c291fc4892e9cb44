//! What is sealed, and what is left of it after somebody was erased: in records, in files, after crashes, in copies.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that panics has failed, as it should")]

use std::fs;

use tempfile::TempDir;
use weir_schema::codec::audit::AuditHead;

use super::*;
use crate::backup::files::list;
use crate::backup::staging::Existing;
use crate::engine::Written;
use crate::export::import::import_all;
use crate::options::Options;
use crate::progress::unwatched;
use crate::store::Store;
use crate::{CommitError, restore};

/// Somebody whose name is nowhere by chance.
fn somebody(name: &str) -> Person {
    let mut random = [0; 16];
    getrandom::fill(&mut random).unwrap();
    Person::of_token("https://idp.example", &format!("{name}-{}", PersonId::from_bytes(random)))
}

fn note(person: &Person, from: &str) -> AuditNote {
    AuditNote {
        actor: person.as_str().to_owned(),
        person: Some(person.clone()),
        action: "call".to_owned(),
        from: Some(from.to_owned()),
        arguments: Some(format!("{{\"of\":{}}}", person.as_str())),
        ..AuditNote::default()
    }
}

async fn record(store: &Store, note: AuditNote) {
    let mut transaction = store.begin().unwrap();
    transaction.record_alone(note);
    store.commit(transaction).await.unwrap();
}

async fn erase(store: &Store, person: &Person) -> Result<(), CommitError> {
    let mut transaction = store.begin().unwrap();
    transaction.erase(person.clone());
    transaction.record_alone(AuditNote { actor: "operator".to_owned(), ..AuditNote::default() });
    store.commit(transaction).await.map(drop)
}

/// Each record as actor, address, arguments, and on whom.
fn told(store: &Store) -> Vec<[Option<String>; 4]> {
    let records = store.audit(0, 100).unwrap().into_iter();
    records.map(|record| [Some(record.actor), record.from, record.arguments, record.targets.last().cloned()]).collect()
}

/// The files of a folder that have some bytes, as they are or as hex.
fn files_with(folder: &Path, bytes: &[u8]) -> Vec<String> {
    let hex = crate::backup::files::hex(bytes).into_bytes();
    let has = |text: &[u8], part: &[u8]| text.windows(part.len()).any(|window| window == part);
    let files = list(folder).unwrap().into_iter();
    let found = files.filter(|(_, path)| {
        let text = fs::read(path).unwrap_or_default();
        has(&text, bytes) || has(&text, &hex)
    });
    found.map(|(name, _)| name).collect()
}

/// A store with a log that is not filled with zeros ahead: files are searched here.
fn options() -> Options {
    Options { memtable_bytes: 64 << 10, ..Options::default() }
}

/// A log in which two people and a nameless one have acted, and one of them on the other.
struct Log {
    ada: Person,
    bob: Person,
    store: Store,
    folder: TempDir,
}

async fn log() -> Log {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), options()).unwrap();
    let (ada, bob) = (somebody("ada"), somebody("bob"));
    record(&store, note(&ada, "10.0.0.1")).await;
    record(&store, AuditNote { about: Some(ada.clone()), ..note(&bob, "10.0.0.2") }).await;
    record(&store, AuditNote { actor: "anonymous".into(), from: Some("10.0.0.3".into()), ..AuditNote::default() })
        .await;
    record(&store, note(&ada, "10.0.0.4")).await;
    Log { ada, bob, store, folder }
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// What is told of that log.
fn whole(ada: &Person, bob: &Person) -> Vec<[Option<String>; 4]> {
    let own = |person: &Person, from, about| {
        [some(person.as_str()), some(from), some(&format!("{{\"of\":{}}}", person.as_str())), about]
    };
    vec![
        own(ada, "10.0.0.1", None),
        own(bob, "10.0.0.2", some(ada.as_str())),
        [some("anonymous"), some("10.0.0.3"), None, None],
        own(ada, "10.0.0.4", None),
    ]
}

#[tokio::test]
async fn nothing_is_left_of_the_keys_of_who_is_erased_and_the_chain_holds() {
    let Log { ada, bob, store, folder } = log().await;
    assert_eq!(told(&store), whole(&ada, &bob));
    for sealed in [&ada, &bob] {
        let name = sealed.as_str().split('"').nth(3).unwrap();
        assert_eq!(files_with(folder.path(), name.as_bytes()), Vec::<String>::new(), "{name}");
    }
    let id = store.audited(&ada).unwrap().unwrap();
    let core = store.core().clone();
    let known = core.people.keys().find(&core.engine.live().unwrap(), &ada).unwrap().unwrap();
    let of_buckets = [bucket_of(&ada), bucket_of_id(id)].map(|bucket| core.people.keys().of(bucket).unwrap().clone());
    for key in &of_buckets {
        assert_eq!(files_with(folder.path(), key.bytes()), [file::FILE]);
    }
    let end = store.audit_head().unwrap();

    erase(&store, &ada).await.unwrap();
    let erased = format!("erased {id}");
    let mut left = whole(&ada, &bob);
    left[0] = [some(&erased), None, None, None];
    left[3] = left[0].clone();
    left[1][3] = some(&erased);
    left.push([some("operator"), None, None, None]);
    assert_eq!(told(&store), left);
    assert_eq!((store.audited(&ada).unwrap(), store.audited(&bob).unwrap().is_some()), (None, true));
    let verified = store.verify_audit(Some(end), unwatched()).await.unwrap();
    assert_eq!((verified.records, verified.problem), (5, None));
    for key in of_buckets.iter().chain([&known.key]) {
        assert_eq!(files_with(folder.path(), key.bytes()), Vec::<String>::new());
    }
    store.close().await;
    drop((store, core));
    let store = Store::open(folder.path(), options()).unwrap();
    for key in of_buckets.iter().chain([&known.key]) {
        assert_eq!(files_with(folder.path(), key.bytes()), Vec::<String>::new());
    }
    assert_eq!(told(&store), left);
    assert_eq!(store.verify(unwatched()).await.unwrap().problems, Vec::<String>::new());

    // Who acts again is somebody new.
    record(&store, note(&ada, "10.0.0.5")).await;
    assert_eq!(told(&store)[5][0], some(ada.as_str()));
    assert_ne!(store.audited(&ada).unwrap(), Some(id));
    store.close().await;
}

#[tokio::test]
async fn people_of_one_bucket_stay_when_another_goes() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), options()).unwrap();
    // More than there are buckets, so that some share each.
    let people: Vec<Person> = (0..600).map(|number| somebody(&number.to_string())).collect();
    let noting = people.iter().map(|person| record(&store, note(person, "10.0.0.1")));
    futures_util::future::join_all(noting).await;
    let gone: Vec<&Person> = people.iter().step_by(60).collect();
    let all = futures_util::future::join_all(gone.iter().map(|person| erase(&store, person))).await;
    assert!(all.iter().all(Result::is_ok));
    for person in &people {
        assert_eq!(store.audited(person).unwrap().is_none(), gone.contains(&person), "{person:?}");
    }
    let records = store.audit(0, 1_000).unwrap();
    assert_eq!(records.iter().filter(|record| record.actor.starts_with("erased ")).count(), gone.len());
    assert_eq!(store.verify(unwatched()).await.unwrap().problems, Vec::<String>::new());
    store.close().await;
}

#[tokio::test]
async fn who_is_erased_is_somebody_new_for_what_follows_in_the_same_write() {
    let Log { ada, bob, store, folder } = log().await;
    let (core, carl) = (store.core().clone(), somebody("carl"));
    let before = store.audited(&ada).unwrap().unwrap();
    let mut changes = Changes::default();
    let seal = |changes: &mut Changes, person: &Person| {
        let seals = core.people.seal(&core.engine, changes, &mut note(person, "10.0.0.9"), 9).unwrap();
        seals.own.unwrap().person
    };
    // One of them is known from before, and the key of that one is at hand; the other is as new as the write.
    let sealed = [&ada, &carl].map(|person| seal(&mut changes, person));
    assert_eq!(sealed[0], before);
    for person in [&ada, &carl] {
        changes.erase(person.clone());
    }
    let after = [&ada, &carl].map(|person| seal(&mut changes, person));
    assert!(sealed.iter().all(|id| !after.contains(id)));
    let mut batch = core.engine.batch().unwrap();
    let change = core.people.write(&core.engine, changes, &mut batch).unwrap();
    assert_eq!(batch.commit().await.unwrap(), Written::Durable);
    change.done().unwrap();
    assert_eq!([&ada, &carl].map(|person| store.audited(person).unwrap()), after.map(Some));
    assert_eq!(seal(&mut Changes::default(), &ada), after[0]);
    let erased = [some(&format!("erased {before}")), None, None, None];
    assert_eq!((&told(&store)[0], &told(&store)[1][0]), (&erased, &some(bob.as_str())));
    drop(core);
    store.close().await;
    drop((store, folder));
}

#[tokio::test]
async fn an_erasure_that_a_crash_cuts_off_has_happened_or_not() {
    for is_written in [false, true] {
        let Log { ada, bob, store, folder } = log().await;
        let core = store.core().clone();
        let before = core.people.keys();
        let mut changes = Changes::default();
        changes.erase(ada.clone());
        let mut batch = core.engine.batch().unwrap();
        let change = core.people.write(&core.engine, changes, &mut batch).unwrap();
        if is_written {
            assert_eq!(batch.commit().await.unwrap(), Written::Durable);
        }
        drop(change);
        assert!(!file::read(folder.path()).unwrap().unwrap().replaced.is_empty());
        core.engine.abandon();
        drop((store, core));

        let store = Store::open(folder.path(), options()).unwrap();
        assert_eq!(store.audited(&ada).unwrap().is_none(), is_written);
        assert_eq!(told(&store) == whole(&ada, &bob), !is_written);
        assert_eq!(store.verify(unwatched()).await.unwrap().problems, Vec::<String>::new());
        let now = file::read(folder.path()).unwrap().unwrap();
        assert!(now.replaced.is_empty());
        let old = before.of(bucket_of(&ada)).unwrap();
        assert_eq!(files_with(folder.path(), old.bytes()).is_empty(), is_written);
        store.close().await;
    }
}

#[tokio::test]
async fn an_erasure_that_the_engine_refuses_changes_nothing() {
    let Log { ada, bob, store, folder } = log().await;
    store.core().engine.disk.refuses.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(matches!(erase(&store, &ada).await, Err(CommitError::Conflict)));
    assert_eq!(told(&store), whole(&ada, &bob));
    assert!(file::read(folder.path()).unwrap().unwrap().replaced.is_empty());
    erase(&store, &ada).await.unwrap();
    assert_eq!(store.audited(&ada).unwrap(), None);
    store.close().await;
}

#[tokio::test]
async fn backups_and_exports_have_the_keys_of_their_records() {
    let Log { ada, bob, store, folder } = log().await;
    let beside = tempfile::tempdir().unwrap();
    let [backup, copy, file, imported] =
        ["backup", "copy", "all.jsonl", "imported"].map(|name| beside.path().join(name));
    store.backup(&backup, unwatched()).await.unwrap();
    store.export(&file, unwatched()).await.unwrap();
    erase(&store, &ada).await.unwrap();
    store.close().await;
    restore(&backup, &copy, Existing::Keep, &options(), unwatched()).await.unwrap();
    let done = import_all(&file, &imported, &options(), unwatched()).await.unwrap();
    assert_eq!(done.counts.get("person"), Some(&3));
    for data in [&copy, &imported] {
        let store = Store::open(data, options()).unwrap();
        assert_eq!(told(&store), whole(&ada, &bob));
        assert_eq!(store.verify(unwatched()).await.unwrap().problems, Vec::<String>::new());
        // In a copy too somebody can be erased.
        let id = store.audited(&ada).unwrap().unwrap();
        erase(&store, &ada).await.unwrap();
        assert_eq!(told(&store)[0][0], some(&format!("erased {id}")));
        assert_eq!(store.verify(unwatched()).await.unwrap().problems, Vec::<String>::new());
        store.close().await;
    }
    drop((store, folder));
}

#[tokio::test]
async fn what_is_from_before_records_were_sealed_is_known_also_in_copies() {
    let Log { store, folder, .. } = log().await;
    assert_eq!(store.audit_unsealed().unwrap(), 0);
    store.close().await;
    drop(store);
    let marker = folder.path().join("FORMAT");
    fs::write(&marker, fs::read_to_string(&marker).unwrap().replace("\"format\":4", "\"format\":2")).unwrap();
    let store = Store::open(folder.path(), options()).unwrap();
    assert_eq!(store.audit_unsealed().unwrap(), 4);
    record(&store, note(&somebody("eve"), "10.0.0.5")).await;
    assert_eq!(store.audit_unsealed().unwrap(), 4);
    let beside = tempfile::tempdir().unwrap();
    let [file, imported] = ["all.jsonl", "imported"].map(|name| beside.path().join(name));
    store.export(&file, unwatched()).await.unwrap();
    store.close().await;
    import_all(&file, &imported, &options(), unwatched()).await.unwrap();
    let store = Store::open(&imported, options()).unwrap();
    assert_eq!(store.audit_unsealed().unwrap(), 4);
    store.close().await;
    drop((store, folder));
}

#[tokio::test]
async fn a_folder_with_the_keys_of_another_is_told_by_doctor() {
    let Log { store, folder, .. } = log().await;
    store.close().await;
    drop(store);
    fs::remove_file(folder.path().join(file::FILE)).unwrap();
    let store = Store::open(folder.path(), options()).unwrap();
    let report = store.verify(unwatched()).await.unwrap();
    let expected =
        "audit log: 6 records about people cannot be opened: audit-keys is not the file that they were written with";
    assert_eq!(report.problems, [expected]);
    assert!(
        told(&store)
            .iter()
            .all(|[actor, from, ..]| { [actor, from].into_iter().flatten().any(|text| text.starts_with("erased ")) })
    );
    assert_eq!(store.verify_audit(None::<AuditHead>, unwatched()).await.unwrap().problem, None);
    store.close().await;
}
