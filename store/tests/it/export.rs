//! Export and import of everything: the same collections, indexes and documents, or nothing at all.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use expect_test::expect;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;
use weir_schema::codec::audit::AuditNote;
use weir_store::progress::unwatched;
use weir_store::{ExportError, ImportError, Scan, Store, import_all};

use crate::support::{declare, doc, find, id, open, options, put_all, scan, store};

const DECLARED: [&str; 2] = ["orders:customer at:date total tags:list; customer+at !total", "gone:x; x"];

/// A store with documents of all kinds; one of its collections is no longer declared.
async fn some() -> (Store, TempDir, TempDir) {
    let (store, folder) = store(&DECLARED).await;
    put_all(
        &store,
        "orders",
        &[
            ("b", r#"{"customer":"y\u0000","at":"2024-02-29T00:00:00Z","total":0.30000000000000004,"tags":["a"]}"#),
            ("a", r#"{"total":-1e-7,"customer":"zwölf \"x\" \n","nested":{"z":1,"a":[null,true,{}]}}"#),
            ("Zürich/1", r#"{"total":9007199254740993}"#),
        ],
    )
    .await
    .unwrap();
    let mut audited = store.begin().unwrap();
    audited.put("gone", &id("1"), doc(r#"{"x":"kept"}"#)).unwrap();
    let (actor, action, targets) = ("ada".to_owned(), "call".to_owned(), vec!["keep".to_owned()]);
    audited.record(AuditNote { actor, action, targets, ..AuditNote::default() });
    store.commit(audited).await.unwrap();
    store.apply_collections(&declare(&DECLARED[..1])).await.unwrap();
    (store, folder, tempfile::tempdir().unwrap())
}

async fn export(store: &Store, file: &Path) -> Vec<String> {
    let exported = store.export(file, unwatched()).await.unwrap_or_else(|error| panic!("{error}"));
    let text = fs::read_to_string(file).unwrap();
    assert_eq!(exported.bytes, text.len() as u64);
    assert_eq!(exported.sequence, store.head().sequence);
    text.lines().map(str::to_owned).collect()
}

async fn import(file: &Path, data: &Path) -> Result<weir_store::Exported, ImportError> {
    import_all(file, data, &options(), unwatched()).await
}

#[tokio::test]
async fn an_export_is_lines_of_json() {
    let (store, _folder, room) = some().await;
    let lines = export(&store, &room.path().join("all.jsonl")).await;
    let mut shown = String::new();
    for line in &lines {
        let mut value: Value = serde_json::from_str(line).unwrap();
        for member in ["/timestamp", "/sha256", "/entry/timestamp"] {
            if let Some(changing) = value.pointer_mut(member) {
                *changing = json!("…");
            }
        }
        shown.push_str(&format!("{value}\n"));
    }
    expect![[r#"
        {"record":"header","format":"weir-export","version":1,"sequence":7,"timestamp":"…","unsealed":0}
        {"record":"collection","name":"gone","declared":false,"fields":{"x":"plain"},"indexes":[]}
        {"record":"collection","name":"orders","declared":true,"fields":{"at":"moment","customer":"plain","tags":"list","total":"plain"},"indexes":[{"fields":["customer","at"],"unique":false},{"fields":["total"],"unique":true}]}
        {"record":"document","collection":"gone","document":{"id":"1","x":"kept"}}
        {"record":"document","collection":"orders","document":{"id":"Zürich/1","total":9007199254740993}}
        {"record":"document","collection":"orders","document":{"id":"a","total":-1e-7,"customer":"zwölf \"x\" \n","nested":{"z":1,"a":[null,true,{}]}}}
        {"record":"document","collection":"orders","document":{"id":"b","customer":"y\u0000","at":"2024-02-29T00:00:00Z","total":0.30000000000000004,"tags":["a"]}}
        {"record":"audit","number":1,"entry":{"number":1,"previous":"0000000000000000000000000000000000000000000000000000000000000000","commit":4,"timestamp":"…","actor":"ada","action":"call","targets":["keep"]}}
        {"record":"end","counts":{"audit":1,"collection":2,"document":4},"sha256":"…"}
    "#]]
    .assert_eq(&shown);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(room.path().join("all.jsonl")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "it is readable, whatever the data is encrypted with");
    }
}

#[tokio::test]
async fn what_is_imported_is_what_was_exported() {
    let (store, _folder, room) = some().await;
    let (file, data) = (room.path().join("all.jsonl"), room.path().join("data"));
    let lines = export(&store, &file).await;
    let imported = import(&file, &data).await.unwrap();
    assert_eq!((imported.collections(), imported.documents()), (2, 4));
    let other = open(&data);
    let again = export(&other, &room.path().join("again.jsonl")).await;
    assert_eq!(lines[1..lines.len() - 1], again[1..again.len() - 1]);

    // Indexes work, uniqueness holds, and what was not declared is not, until it is again.
    let mut transaction = other.begin().unwrap();
    assert_eq!(find(&mut transaction, "orders", &scan(&[("customer", json!("y\0"))], "")), "b");
    assert!(transaction.scan("gone", &Scan::default()).is_err());
    put_all(&other, "orders", &[("c", r#"{"total":-1e-7}"#)]).await.unwrap_err();
    let report = other.verify(unwatched()).await.unwrap();
    assert_eq!((report.problems, report.audit_records), (Vec::new(), 1));
    other.apply_collections(&declare(&DECLARED)).await.unwrap();
    assert_eq!(find(&mut other.begin().unwrap(), "gone", &scan(&[], "x")), "1");
}

#[tokio::test]
async fn references_are_exported_and_hold_again() {
    const DECLARED: [&str; 2] = ["a: z:ref=z/cascade near:refs=a/setNull", "z: name"];
    let (store, _folder) = store(&DECLARED).await;
    put_all(&store, "z", &[("z1", "{}")]).await.unwrap();
    // The documents come before those that they refer to.
    put_all(&store, "a", &[("a2", r#"{"z":"z1"}"#)]).await.unwrap();
    put_all(&store, "a", &[("a1", r#"{"near":["a2",null]}"#)]).await.unwrap();
    let room = tempfile::tempdir().unwrap();
    let file = room.path().join("all.jsonl");
    let lines = export(&store, &file).await;
    let data = room.path().join("data");
    import(&file, &data).await.unwrap();
    let other = open(&data);
    let again = export(&other, &room.path().join("again.jsonl")).await;
    assert_eq!(lines[1..lines.len() - 1], again[1..again.len() - 1]);
    let report = other.verify(unwatched()).await.unwrap();
    // Two documents have an entry each in the two indexes of references.
    assert_eq!((report.problems, report.indexes, report.index_entries), (Vec::new(), 2, 2));
    // It is as the app declares it: nothing is left to do.
    let sequence = other.head().sequence;
    other.apply_collections(&declare(&DECLARED)).await.unwrap();
    assert_eq!(other.head().sequence, sequence);
    let mut transaction = other.begin().unwrap();
    assert!(transaction.put("a", &id("a3"), doc(r#"{"z":"z2"}"#)).is_err());
    let deleted = transaction.delete("z", &id("z1")).unwrap();
    assert_eq!(deleted.cascaded, [("a".to_owned(), id("a2"))]);
    assert_eq!(deleted.cleared, [("a".to_owned(), id("a1"))]);
}

#[tokio::test]
async fn an_export_is_one_state_and_commits_go_on() {
    let (store, _folder) = store(&["things:n"]).await;
    let write = |store: Store, number: u32| async move {
        let mut transaction = store.begin().unwrap();
        for document in 0..50 {
            transaction.put("things", &id(&document.to_string()), doc(&format!(r#"{{"n":"{number}"}}"#))).unwrap();
        }
        store.commit(transaction).await.unwrap();
    };
    write(store.clone(), 0).await;
    /// Commits in the middle of what it is given.
    struct Slow {
        text: Arc<Mutex<Vec<u8>>>,
        writing: Option<std::sync::mpsc::Receiver<()>>,
        begun: std::sync::mpsc::Sender<()>,
    }
    impl std::io::Write for Slow {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            if let Some(written) = self.writing.take() {
                self.begun.send(()).unwrap();
                written.recv().unwrap();
            }
            self.text.lock().extend_from_slice(text);
            Ok(text.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let text = Arc::new(Mutex::new(Vec::new()));
    let ((begun, begins), (done, written)) = (std::sync::mpsc::channel(), std::sync::mpsc::channel());
    let slow = Slow { text: text.clone(), writing: Some(written), begun };
    let exporting = tokio::spawn({
        let store = store.clone();
        async move { store.export_to(slow, unwatched()).await.unwrap() }
    });
    tokio::task::spawn_blocking(move || begins.recv().unwrap()).await.unwrap();
    for number in 1..20 {
        write(store.clone(), number).await;
    }
    done.send(()).unwrap();
    let exported = exporting.await.unwrap();
    assert_eq!(exported.documents(), 50);
    let text = String::from_utf8(text.lock().clone()).unwrap();
    assert_eq!(text.matches(r#""n":"0"}"#).count(), 50, "{text}");
    assert!(exported.sequence < store.head().sequence);
}

#[tokio::test]
async fn an_export_goes_into_a_new_file() {
    let (store, _folder, room) = some().await;
    let file = room.path().join("all.jsonl");
    export(&store, &file).await;
    assert!(matches!(store.export(&file, unwatched()).await, Err(ExportError::Exists(_))));
    let nowhere = room.path().join("no/where");
    assert!(matches!(store.export(&nowhere, unwatched()).await, Err(ExportError::Io(_))));
    store.close().await;
    let late = room.path().join("late");
    assert!(matches!(store.export(&late, unwatched()).await, Err(ExportError::Unavailable(_))));
    let names: Vec<PathBuf> = fs::read_dir(room.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(names, [file]);
}

#[tokio::test]
async fn an_export_that_was_changed_is_refused() {
    let (store, _folder, room) = some().await;
    let good = export(&store, &room.path().join("all.jsonl")).await;
    let without = |left_out: usize| {
        let kept = good.iter().enumerate().filter(|(line, _)| *line != left_out);
        kept.map(|(_, line)| format!("{line}\n")).collect::<String>()
    };
    let edited = |from: &str, to: &str| {
        let text = without(usize::MAX);
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    };
    let whole = without(usize::MAX);
    let table = [
        (String::new(), "line 1: not the header of a Weir export"),
        (without(0), "line 1: not the header of a Weir export"),
        (edited("\"version\":1", "\"version\":2"), "line 1: made by a newer Weir (version 2): use that one"),
        (without(8), "line 9: the export ends too soon: it was cut off"),
        (whole[..whole.len() / 2].to_owned(), "the export ends too soon: it was cut off"),
        (without(4), "line 8: the trailer counts other lines: the export was changed"),
        (without(2), "line 4: no line before declares \"orders\""),
        (edited("\"kept\"", "\"made up\""), "line 9: the digest does not fit: the export was changed"),
        (format!("{whole}{{}}\n"), "something stands behind the end of the export"),
        (
            edited("\"record\":\"document\"", "\"record\":\"dream\""),
            "line 4: a record \"dream\", which this Weir does not know",
        ),
        (edited("\"id\":\"1\"", "\"id\":1"), "line 4: a document without an id"),
        (edited("\"x\":\"plain\"", "\"x\":\"fancy\""), "line 2: not a collection: unknown variant `fancy`"),
    ];
    let of_audit = [
        (edited("\"actor\":\"ada\"", "\"actor\":\"eve\""), "line 9: the digest does not fit: the export was changed"),
        (edited("\"number\":1,\"entry\"", "\"number\":2,\"entry\""), "line 8: audit record 1 is missing: 2 stands"),
    ];
    let (file, data) = (room.path().join("changed.jsonl"), room.path().join("data"));
    for (text, expected) in table.into_iter().chain(of_audit) {
        fs::write(&file, &text).unwrap();
        let message = import(&file, &data).await.unwrap_err().to_string();
        assert!(message.contains(expected), "{message}\ninstead of\n{expected}");
        assert!(message.ends_with("; nothing was imported"), "{message}");
        assert!(!data.exists());
    }
    assert_eq!(fs::read_dir(room.path()).unwrap().count(), 2);
}

#[tokio::test]
async fn everything_goes_into_a_new_folder_only() {
    let (store, folder, room) = some().await;
    let file = room.path().join("all.jsonl");
    export(&store, &file).await;
    assert!(matches!(import(&file, folder.path()).await, Err(ImportError::InUse(_))));
    store.close().await;
    assert!(matches!(import(&file, folder.path()).await, Err(ImportError::Occupied(_))));
    let missing = import(&room.path().join("missing"), &room.path().join("data")).await.unwrap_err().to_string();
    assert!(missing.contains("No such file"), "{missing}");
    let empty = room.path().join("empty");
    fs::create_dir(&empty).unwrap();
    import(&file, &empty).await.unwrap();
}

#[tokio::test]
async fn a_copy_from_store_to_store_is_one_state() {
    let (from, _folder, room) = some().await;
    let (file, again) = (room.path().join("all.jsonl"), room.path().join("again.jsonl"));
    let source = from.source().unwrap();
    let lines = export(&from, &file).await;
    // What is committed after the state was taken is not in the copy, nor is what was done before.
    put_all(&from, "orders", &[("later", r#"{"total":5}"#)]).await.unwrap();
    let to = open(&room.path().join("data"));
    let copied = source.copy_to(&to, unwatched()).await.unwrap();
    assert_eq!((copied.collections(), copied.documents(), copied.sequence), (2, 4, 7));
    let copy = export(&to, &again).await;
    let documents = |lines: &[String]| -> Vec<String> {
        let is_meant =
            |line: &&String| line.contains("\"record\":\"collection\"") || line.contains("\"record\":\"document\"");
        lines.iter().filter(is_meant).cloned().collect()
    };
    assert_eq!(documents(&lines), documents(&copy));
    assert!(!copy.iter().any(|line| line.contains("\"record\":\"audit\"")), "its log is its own");
    assert_eq!(find(&mut to.begin().unwrap(), "orders", &scan(&[("customer", json!("y\0"))], "")), "b");
    put_all(&to, "orders", &[("c", r#"{"total":-1e-7}"#)]).await.unwrap_err();
    assert!(to.verify(unwatched()).await.unwrap().problems.is_empty());
    // A second one finds what is there.
    assert!(from.source().unwrap().copy_to(&to, unwatched()).await.is_ok());
    assert_eq!(find(&mut to.begin().unwrap(), "orders", &scan(&[("total", json!(5))], "")), "later");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_stopped_ends() {
    let (from, _folder, room) = some().await;
    let many: Vec<(String, String)> = (0..3_000).map(|n| (format!("n{n}"), format!(r#"{{"total":{n}}}"#))).collect();
    for some in many.chunks(500) {
        let some: Vec<(&str, &str)> = some.iter().map(|(id, text)| (id.as_str(), text.as_str())).collect();
        put_all(&from, "orders", &some).await.unwrap();
    }
    let to = open(&room.path().join("data"));
    let stop = Arc::new(|_| std::ops::ControlFlow::Break(()));
    let stopped = from.source().unwrap().copy_to(&to, stop).await.unwrap_err();
    assert_eq!(stopped.to_string(), "it was stopped");
    // One that cannot be written says so, and nobody goes on reading.
    let other = open(&room.path().join("other"));
    other.close().await;
    assert!(from.source().unwrap().copy_to(&other, unwatched()).await.is_err());
    let whole = open(&room.path().join("whole"));
    let copied = from.source().unwrap().copy_to(&whole, unwatched()).await.unwrap();
    assert_eq!(copied.documents(), 3_004);
}
