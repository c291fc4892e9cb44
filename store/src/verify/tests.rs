//! Damage done behind the store's back, and how it is told.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that panics has failed, as it should")]

use expect_test::{Expect, expect};
use serde_json::{Map, Value};
use tempfile::TempDir;
use weir_schema::codec::audit::{AuditHead, AuditNote, Seals};
use weir_schema::codec::key::{CollectionNumber, IndexNumber, Key};
use weir_schema::commit::Timestamp;
use weir_schema::declarations::{Collection, Declarations, Index};
use weir_schema::id::DocumentId;
use weir_schema::shape::{Definition, Member, ObjectDefinition, Shape, Slot};

use super::*;
use crate::group::to_json;
use crate::options::Options;
use crate::progress::unwatched;
use weir_schema::codec::key;

const PEOPLE: CollectionNumber = CollectionNumber(1);
const BY_NAME: IndexNumber = IndexNumber(1);
const BY_EMAIL: IndexNumber = IndexNumber(2);

fn id(text: &str) -> DocumentId {
    DocumentId::parse(text).unwrap()
}

/// `people` with the members `name` and `email`, the second of them unique.
fn declarations() -> Declarations {
    let member = |name: &str| Member {
        name: name.to_owned(),
        description: None,
        slot: Slot { shape: Shape::String, nullable: true, optional: true },
        literal: None,
    };
    let value = ObjectDefinition {
        name: "Person".to_owned(),
        input_name: "PersonInput".to_owned(),
        description: None,
        members: vec![member("name"), member("email")],
    };
    let index = |field: &str, unique| Index { fields: vec![field.to_owned()], unique };
    let collection = Collection {
        name: "people".to_owned(),
        document: "People".to_owned(),
        value: value.name.clone(),
        module: "collections.ts".to_owned(),
        indexes: vec![index("name", false), index("email", true)],
        references: Vec::new(),
    };
    let mut declarations = Declarations::default();
    declarations.definitions.insert(value.name.clone(), Definition::Object(value));
    declarations.collections.insert(collection.name.clone(), collection);
    declarations
}

/// Three people, each in a commit of its own.
async fn people() -> (Store, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Options::default()).unwrap();
    store.apply_collections(&declarations()).await.unwrap();
    for (name, text) in [
        ("a", r#"{"name":"Ada","email":"ada@x"}"#),
        ("b", r#"{"name":"Bob","email":"bob@x"}"#),
        ("c", r#"{"name":"Cy","email":null}"#),
    ] {
        let document: Map<String, Value> = serde_json::from_str(text).unwrap();
        let mut transaction = store.begin().unwrap();
        transaction.put("people", &id(name), document).unwrap();
        store.commit(transaction).await.unwrap();
    }
    (store, folder)
}

/// The key of an index entry that a text and an id make, as it lies in the engine.
fn entry(index: IndexNumber, text: &str, id: &str) -> Key {
    let mut key = key::index(PEOPLE, index);
    key.push(0x06);
    key.extend_from_slice(text.as_bytes());
    key.extend_from_slice(&[0x00, 0x01]);
    key.extend_from_slice(id.as_bytes());
    key
}

/// What is told after records were changed or deleted.
async fn check(changes: Vec<(Key, Option<&str>)>, expected: Expect) {
    let (store, _folder) = people().await;
    let core = store.core();
    let mut batch = core.engine.batch().unwrap();
    for (key, value) in changes {
        match value {
            Some(value) => batch.replace(&key, value.as_bytes()).unwrap(),
            None => batch.erase(&key).unwrap(),
        }
    }
    batch.commit().await.unwrap();
    let report = store.verify(unwatched()).await.unwrap();
    assert_eq!(report.problem_count, report.problems.len() as u64);
    expected.assert_eq(&report.problems.iter().map(|line| format!("{line}\n")).collect::<String>());
    store.close().await;
}

#[tokio::test]
async fn a_good_store_has_no_problems() {
    let (store, _folder) = people().await;
    let report = store.verify(unwatched()).await.unwrap();
    assert_eq!(report.head, store.head());
    assert_eq!((report.collections, report.indexes, report.documents, report.index_entries), (1, 2, 3, 6));
    assert_eq!(report.journal_entries, report.head.sequence);
    assert!(report.disk_bytes > 0);
    assert_eq!(report.problems, Vec::<String>::new());
}

#[tokio::test]
async fn a_missing_index_entry_is_found() {
    check(
        vec![(entry(BY_NAME, "Ada", "a"), None), (entry(BY_EMAIL, "bob@x", ""), None)],
        expect![[r#"
            people a: its entry in the index name is missing
            people b: its entry in the index email is missing
        "#]],
    )
    .await;
}

#[tokio::test]
async fn an_extra_index_entry_is_found() {
    let nowhere = key::index(PEOPLE, IndexNumber(9));
    check(
        vec![
            (entry(BY_NAME, "Zoe", "a"), Some("")),
            (entry(BY_NAME, "Ada", "z"), Some("")),
            (entry(BY_NAME, "Ada", "\n"), Some("")),
            (nowhere, Some("")),
        ],
        expect![[r#"
            people: the entry \x06Ada\x00\x01\n in the index name leads to no document
            people: the entry \x06Ada\x00\x01z in the index name leads to z, which is not there
            people: the entry \x06Zoe\x00\x01a in the index name leads to a, which has other values
            index entry I\x00\x00\x00\x01\x00\x00\x00\t: it belongs to no index
        "#]],
    )
    .await;
}

#[tokio::test]
async fn two_documents_with_the_same_unique_value_are_found() {
    check(
        vec![(key::document(PEOPLE, &id("b")), Some(r#"{"id":"b","name":"Bob","email":"ada@x"}"#))],
        expect![[r#"
            people b: its entry in the index email leads to a
            people: the entry \x06bob@x\x00\x01 in the index email leads to b, which has other values
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_damaged_document_is_found() {
    let elsewhere = key::document(CollectionNumber(7), &id("x"));
    check(
        vec![
            (key::document(PEOPLE, &id("a")), Some(r#"{"id":"a","#)),
            (key::document(PEOPLE, &id("b")), Some(r#"{"id":"c","name":"Bob","email":"bob@x"}"#)),
            (key::document(PEOPLE, &id("c")), Some(r#"{"id":"c","name":["Cy"]}"#)),
            (elsewhere, Some("{}")),
        ],
        expect![[r#"
            people a: it cannot be read: EOF while parsing a value at line 1 column 10
            people b: it says that its id is "c"
            people c: it does not fit the index name: name: arrays and objects cannot be indexed
            document D\x00\x00\x00\x07x: it belongs to no collection
            people: the entry \x06Cy\x00\x01c in the index name leads to c, which has other values
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_missing_or_changed_journal_entry_is_found() {
    let (store, _folder) = people().await;
    let last = store.head().sequence;
    drop(store);
    let same = r#"{"sequence":1,"timestamp":1,"offset":0,"changes":[]}"#;
    check(
        vec![(key::journal(2), None), (key::journal(3), Some("{")), (key::journal(last), Some(same))],
        expect![[r#"
            journal: it jumps from 1 to 3
            journal: entry 3 cannot be read: EOF while parsing an object at line 1 column 1
            journal: entry 5 says that it is entry 1
        "#]],
    )
    .await;
    check(
        vec![(key::journal(last), None)],
        expect![[r#"
            journal: it ends with 4, the last commit is 5
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_broken_audit_log_is_found() {
    let note = || AuditNote {
        actor: "ada".to_owned(),
        action: "call".to_owned(),
        targets: vec!["pay".to_owned()],
        ..AuditNote::default()
    };
    for (missing, expected) in [
        (None, Vec::new()),
        (Some(2), vec!["audit record 2 is missing: 3 stands in its place"]),
        (Some(3), vec!["the audit log ends with record 2, it had 3"]),
    ] {
        let (store, _folder) = people().await;
        for name in ["d", "e", "f"] {
            let mut transaction = store.begin().unwrap();
            transaction.put("people", &id(name), Map::new()).unwrap();
            transaction.record(note());
            store.commit(transaction).await.unwrap();
        }
        let mut batch = store.core().engine.batch().unwrap();
        if let Some(number) = missing {
            batch.erase(&key::audit(number)).unwrap();
            batch.commit().await.unwrap();
        }
        let report = store.verify(unwatched()).await.unwrap();
        assert_eq!(report.audit_records, if missing.is_some() { 2 } else { 3 });
        assert_eq!(report.problems, expected);
    }
}

/// What somebody does to a log of three records who can write the data folder.
enum Tampering {
    Nothing,
    Edits,
    Removes,
    Reorders,
    CutsOff,
    /// And writes an end that fits.
    CutsOffWell,
    /// Writes a whole other log, in which everything fits.
    Forges,
}

#[tokio::test]
async fn what_was_done_to_the_audit_log_is_told_by_its_first_record() {
    let note = |actor: &str| AuditNote { actor: actor.to_owned(), action: "call".to_owned(), ..AuditNote::default() };
    let table = [
        (Tampering::Nothing, None, None),
        (Tampering::Edits, Some("audit record 2 was changed after it was written"), None),
        (Tampering::Removes, Some("audit record 2 is missing: 3 stands in its place"), None),
        (Tampering::Reorders, Some("audit record 1 is missing: 2 stands in its place"), None),
        (Tampering::CutsOff, Some("the audit log ends with record 2, it had 3"), None),
        (Tampering::CutsOffWell, None, Some("the audit log ends with record 2, it had 3")),
        (Tampering::Forges, None, Some("audit record 3 was changed after it was written")),
    ];
    for (tampering, expected, with_an_end) in table {
        let (store, _folder) = people().await;
        for name in ["d", "e", "f"] {
            let mut transaction = store.begin().unwrap();
            transaction.put("people", &id(name), Map::new()).unwrap();
            transaction.record(note("ada"));
            store.commit(transaction).await.unwrap();
        }
        let end = store.audit_head().unwrap();
        let live = store.core().engine.live().unwrap();
        let text = |number| live.get(&key::audit(number)).unwrap().unwrap();
        let mut batch = store.core().engine.batch().unwrap();
        match tampering {
            Tampering::Nothing => {}
            Tampering::Edits => {
                let edited = String::from_utf8_lossy(&text(2)).replace("ada", "eve");
                batch.replace(&key::audit(2), edited.as_bytes()).unwrap();
            }
            Tampering::Removes => batch.erase(&key::audit(2)).unwrap(),
            Tampering::Reorders => {
                batch.replace(&key::audit(1), &text(2)).unwrap();
                batch.replace(&key::audit(2), &text(1)).unwrap();
            }
            Tampering::CutsOff => batch.erase(&key::audit(3)).unwrap(),
            Tampering::CutsOffWell => {
                let [one, two] = [1, 2].map(text);
                let end = AuditHead::default().follow(1, &one).and_then(|head| head.follow(2, &two)).unwrap();
                batch.erase(&key::audit(3)).unwrap();
                batch.replace(key::AUDIT_HEAD, &to_json(&end)).unwrap();
            }
            Tampering::Forges => {
                let mut end = AuditHead::default();
                for number in 1..=3 {
                    let (next, text) = end.append(note("eve"), Seals::default(), number, Timestamp(number));
                    batch.replace(&key::audit(number), &text).unwrap();
                    end = next;
                }
                batch.replace(key::AUDIT_HEAD, &to_json(&end)).unwrap();
            }
        }
        batch.commit().await.unwrap();
        let problem = async |through| store.verify_audit(through, unwatched()).await.unwrap().problem;
        assert_eq!(problem(None).await.as_deref(), expected);
        assert_eq!(problem(Some(end)).await.as_deref(), expected.or(with_an_end));
        store.close().await;
    }
}

#[tokio::test]
async fn many_problems_are_counted_and_the_first_are_told() {
    let (store, _folder) = people().await;
    let mut batch = store.core().engine.batch().unwrap();
    for number in 0..PROBLEMS_MAX + 10 {
        batch.replace(&entry(BY_NAME, &"Q".repeat(1_000), &format!("{number:04}")), b"").unwrap();
    }
    batch.commit().await.unwrap();
    let report = store.verify(unwatched()).await.unwrap();
    assert_eq!((report.problem_count, report.problems.len()), (PROBLEMS_MAX as u64 + 10, PROBLEMS_MAX));
    assert!(report.problems.iter().all(|line| line.len() == PROBLEM_CHARACTERS_MAX));
}

#[tokio::test]
async fn who_watches_can_stop_it() {
    let (store, _folder) = people().await;
    let mut batch = store.core().engine.batch().unwrap();
    for number in 0..2_000 {
        batch.replace(&entry(BY_NAME, "Q", &number.to_string()), b"").unwrap();
    }
    batch.commit().await.unwrap();
    let watch: Watch = std::sync::Arc::new(|progress| {
        assert_eq!((progress.phase, progress.done), (Phase::Verifying, 1_000));
        std::ops::ControlFlow::Break(())
    });
    assert_eq!(store.verify(watch).await, Err(VerifyError::Stopped(Stopped)));
}
