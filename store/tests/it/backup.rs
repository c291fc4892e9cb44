//! Backup while commits go on, and restore: what is restored is one state, and what is not as it was made is refused.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use tempfile::TempDir;
use weir_store::keys::KeyRing;
use weir_store::progress::{Phase, unwatched};
use weir_store::{BackupError, Existing, Manifest, Options, RestoreError, Restored, Scan, Store, restore};

use crate::support::{doc, open, options, put_all, store};

const DECLARED: &str = "things:x n; !x n";

/// All documents of `things` by id.
fn all(store: &Store) -> BTreeMap<String, Value> {
    let rows = store.begin().unwrap().scan("things", &Scan::default()).unwrap().rows;
    let parsed = rows.iter().map(|row| serde_json::from_slice::<Value>(&row.document).unwrap());
    parsed.map(|document| (document["id"].as_str().unwrap().to_owned(), document)).collect()
}

/// A store with some documents, and a folder with room for a backup.
async fn some() -> (Store, TempDir, TempDir) {
    let (store, folder) = store(&[DECLARED]).await;
    for number in 0..20 {
        let text = format!(r#"{{"x":"{number}","n":"{}"}}"#, number % 3);
        put_all(&store, "things", &[(&format!("t{number}"), text.as_str())]).await.unwrap();
    }
    (store, folder, tempfile::tempdir().unwrap())
}

async fn back_up(store: &Store, target: &Path) -> Manifest {
    store.backup(target, unwatched()).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn restore_to(backup: &Path, data: &Path, existing: Existing) -> Result<Restored, RestoreError> {
    restore(backup, data, existing, &options(), unwatched()).await
}

/// The message of a refusal, with `BACKUP` and `DATA` for the folders.
async fn refusal(backup: &Path, data: &Path, existing: Existing) -> String {
    match restore_to(backup, data, existing).await {
        Ok(_) => "restored".to_owned(),
        Err(error) => {
            let message = error.to_string().replace(backup.to_str().unwrap(), "BACKUP");
            message.replace(data.to_str().unwrap(), "DATA")
        }
    }
}

/// The names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A file of a backup that holds documents.
fn table(backup: &Path) -> PathBuf {
    let mut tables: Vec<PathBuf> =
        fs::read_dir(backup.join("data/tree/sstables")).unwrap().map(|entry| entry.unwrap().path()).collect();
    tables.sort();
    tables.remove(0)
}

/// The documents that a commit writes: three that are always of the same number, and one that stays for a while.
fn written(number: u64) -> Vec<(String, String)> {
    let pair = |name: &str| (name.to_owned(), format!(r#"{{"x":"{name} {number}","n":"{number}"}}"#));
    let long = (format!("t{}", number % 500), format!(r#"{{"x":"{number}","n":"{}"}}"#, "long ".repeat(400)));
    vec![pair("pair1"), pair("pair2"), pair("pair3"), long]
}

/// What is there after so many commits.
fn model(commits: u64) -> BTreeMap<String, Value> {
    let all = (0..commits).flat_map(written);
    all.map(|(name, text)| {
        let mut document = doc(&text);
        document.insert("id".to_owned(), Value::from(name.clone()));
        (name, Value::from(document))
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_writes_is_one_state() {
    let (store, folder) = store(&[DECLARED]).await;
    let declared = store.head().sequence;
    let stop = Arc::new(AtomicBool::new(false));
    let writing = {
        let (store, stop) = (store.clone(), stop.clone());
        tokio::spawn(async move {
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                let documents = written(number);
                let documents: Vec<(&str, &str)> =
                    documents.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
                let committed = put_all(&store, "things", &documents).await.unwrap();
                number += 1;
                assert_eq!(committed.sequence, declared + number);
            }
        })
    };
    let room = tempfile::tempdir().unwrap();
    let mut manifests = Vec::new();
    let commits = async |count: u64| {
        let from = store.head().sequence;
        while store.head().sequence < from + count {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    for round in 0..3 {
        commits(40).await;
        let acknowledged = store.head().sequence;
        let manifest = back_up(&store, &room.path().join(format!("backup{round}"))).await;
        let found = manifest.sequence;
        assert!(found >= acknowledged, "it ends with {found}, {acknowledged} was acknowledged before it began");
        manifests.push(manifest);
    }
    // They went on all the while, and still do.
    commits(3).await;
    stop.store(true, Ordering::Relaxed);
    writing.await.unwrap();
    assert_eq!(
        names(folder.path()),
        ["ACKNOWLEDGED", "FORMAT", "audit-keys", "tree"],
        "nothing is left of the checkpoints"
    );
    store.close().await;
    for (round, manifest) in manifests.iter().enumerate() {
        let data = room.path().join(format!("data{round}"));
        let restored = restore_to(&room.path().join(format!("backup{round}")), &data, Existing::Keep).await.unwrap();
        assert_eq!(restored.head.sequence, manifest.sequence);
        assert_eq!(restored.kept, None);
        let reopened = open(&data);
        assert_eq!(reopened.head().sequence, manifest.sequence);
        assert_eq!(all(&reopened), model(manifest.sequence - declared));
        // It goes on from there.
        put_all(&reopened, "things", &[("new", "{}")]).await.unwrap();
        reopened.close().await;
    }
}

#[tokio::test]
async fn a_backup_is_a_copy_and_not_a_data_folder() {
    let (store, folder, room) = some().await;
    let target = room.path().join("backup");
    let manifest = back_up(&store, &target).await;
    assert_eq!(names(room.path()), ["backup"]);
    assert_eq!(names(&target), ["BACKUP", "data"]);
    assert_eq!(manifest.sequence, store.head().sequence);
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        assert_eq!(fs::metadata(table(&target)).unwrap().nlink(), 1, "it shares no file with the data folder");
    }
    assert!(manifest.files.contains_key("FORMAT"));
    let refused = Store::open(&target, options()).err().unwrap().to_string();
    assert!(refused.contains("is not a Weir data folder"), "{refused}");
    drop(folder);
}

#[tokio::test]
async fn a_backup_goes_where_there_is_room() {
    let (store, folder, room) = some().await;
    let refused = |target: PathBuf| {
        let store = store.clone();
        async move { store.backup(&target, unwatched()).await.unwrap_err() }
    };
    let target = room.path().join("backup");
    back_up(&store, &target).await;
    assert!(matches!(refused(target.clone()).await, BackupError::Exists(_)));
    fs::write(room.path().join("file"), "").unwrap();
    assert!(matches!(refused(room.path().join("file")).await, BackupError::Exists(_)));
    assert!(matches!(refused(folder.path().join("backup")).await, BackupError::Inside(_)));
    assert!(matches!(refused(folder.path().to_owned()).await, BackupError::Inside(_)));
    assert!(matches!(refused(room.path().join("no/where")).await, BackupError::Files(_)));

    // An empty folder is as good as none; what a crash left of an earlier attempt is removed, other things are not.
    let other = room.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::create_dir_all(room.path().join("other.partial/data")).unwrap();
    back_up(&store, &other).await;
    fs::create_dir_all(room.path().join("third.partial/thesis")).unwrap();
    assert!(matches!(refused(room.path().join("third")).await, BackupError::InTheWay(_)));
    assert_eq!(names(room.path()), ["backup", "file", "other", "third.partial"]);
    store.close().await;
    assert!(matches!(refused(room.path().join("late")).await, BackupError::Unavailable(_)));
}

#[tokio::test]
async fn a_stopped_backup_leaves_nothing() {
    let (store, folder, room) = some().await;
    let watch: weir_store::progress::Watch = Arc::new(|progress| {
        assert_eq!(progress.phase, Phase::Copying);
        assert_eq!(progress.total, Some(progress.done), "told when all is copied, since it is little");
        ControlFlow::Break(())
    });
    let error = store.backup(&room.path().join("backup"), watch).await.unwrap_err();
    assert!(matches!(error, BackupError::Stopped(_)));
    assert_eq!(names(room.path()), Vec::<String>::new());
    assert_eq!(names(folder.path()), ["ACKNOWLEDGED", "FORMAT", "audit-keys", "tree"]);
}

#[tokio::test]
async fn what_a_crash_leaves_of_a_backup_is_removed_at_the_next_start() {
    let (store, folder, _room) = some().await;
    store.close().await;
    fs::create_dir_all(folder.path().join("checkpoint/tree/sstables")).unwrap();
    open(folder.path()).close().await;
    assert_eq!(names(folder.path()), ["ACKNOWLEDGED", "FORMAT", "audit-keys", "tree"]);
}

#[tokio::test]
async fn a_backup_that_was_changed_is_refused_and_the_data_untouched() {
    type Harm = fn(&Path);
    let harms: [(Harm, &str); 7] = [
        (
            |backup| {
                let table = table(backup);
                let mut content = fs::read(&table).unwrap();
                let middle = content.len() / 2;
                content[middle] ^= 1;
                fs::write(table, content).unwrap();
            },
            "is not as it was made: it has changed since",
        ),
        (|backup| fs::write(table(backup), "short").unwrap(), "is not as it was made: it has changed since"),
        (|backup| fs::remove_file(table(backup)).unwrap(), "is missing"),
        (
            |backup| fs::write(backup.join("data/tree/sstables/extra.sst"), "x").unwrap(),
            "it has a file tree/sstables/extra.sst that it was not made with",
        ),
        (|backup| fs::remove_file(backup.join("BACKUP")).unwrap(), "it has no file BACKUP"),
        (|backup| fs::write(backup.join("BACKUP"), r#"{"product":"weir","#).unwrap(), "its file BACKUP is damaged"),
        (
            |backup| {
                let text = fs::read_to_string(backup.join("BACKUP")).unwrap();
                fs::write(backup.join("BACKUP"), text.replace("\"FORMAT\"", "\"../FORMAT\"")).unwrap();
            },
            "names \"../FORMAT\", which is outside of it",
        ),
    ];
    for (harm, expected) in harms {
        let (store, folder, room) = some().await;
        let backup = room.path().join("backup");
        back_up(&store, &backup).await;
        put_all(&store, "things", &[("later", "{}")]).await.unwrap();
        store.close().await;
        harm(&backup);
        let message = refusal(&backup, folder.path(), Existing::Replace).await;
        assert!(message.starts_with("BACKUP cannot be restored: ") && message.contains(expected), "{message}");
        assert!(message.ends_with("nothing was changed"), "{message}");
        let untouched = open(folder.path());
        assert!(all(&untouched).contains_key("later"));
        assert_eq!(names(folder.path()), ["ACKNOWLEDGED", "FORMAT", "audit-keys", "tree"]);
        let siblings = names(folder.path().parent().unwrap());
        let own = folder.path().file_name().unwrap().to_str().unwrap();
        assert_eq!(siblings.iter().filter(|name| name.starts_with(own)).collect::<Vec<_>>(), [own]);
    }
}

#[tokio::test]
async fn a_backup_of_another_commit_is_refused() {
    let (store, _folder, room) = some().await;
    let backup = room.path().join("backup");
    let manifest = back_up(&store, &backup).await;
    let text = fs::read_to_string(backup.join("BACKUP")).unwrap();
    let sequence = format!("\"sequence\": {}", manifest.sequence);
    assert!(text.contains(&sequence));
    fs::write(backup.join("BACKUP"), text.replace(&sequence, "\"sequence\": 99")).unwrap();
    let expected = format!(
        "BACKUP cannot be restored: it ends with commit {}, not with 99; nothing was changed",
        manifest.sequence
    );
    assert_eq!(refusal(&backup, &room.path().join("data"), Existing::Keep).await, expected);
    assert_eq!(names(room.path()), ["backup"]);
}

#[tokio::test]
async fn data_is_replaced_only_when_asked_and_then_kept() {
    let (store, folder, room) = some().await;
    let (backup, data) = (room.path().join("backup"), room.path().join("data"));
    back_up(&store, &backup).await;
    restore_to(&backup, &data, Existing::Keep).await.unwrap();
    let occupied = "DATA is not empty: restore with --replace, which keeps it under another name, or choose another folder with --data";
    assert_eq!(refusal(&backup, &data, Existing::Keep).await, occupied);

    let restored = open(&data);
    put_all(&restored, "things", &[("later", "{}")]).await.unwrap();
    let in_use = "DATA is in use: stop the `weir` that serves it first";
    assert_eq!(refusal(&backup, &data, Existing::Replace).await, in_use);
    restored.close().await;

    let kept = restore_to(&backup, &data, Existing::Replace).await.unwrap().kept.unwrap();
    let again = restore_to(&backup, &data, Existing::Replace).await.unwrap().kept.unwrap();
    assert_ne!(kept, again, "two in one second have two names");
    assert!(kept.file_name().unwrap().to_str().unwrap().starts_with("data.before-restore-20"), "{kept:?}");
    assert_eq!(names(room.path()).len(), 4);
    assert_eq!(names(&data), ["ACKNOWLEDGED", "FORMAT", "audit-keys", "tree"]);
    assert!(!all(&open(&data)).contains_key("later"));
    assert!(all(&open(&kept)).contains_key("later"));
    drop(folder);
}

#[tokio::test]
async fn what_a_crash_leaves_of_a_restore_is_put_in_order_by_the_next() {
    let (store, _folder, room) = some().await;
    let (backup, data) = (room.path().join("backup"), room.path().join("data"));
    let staged = room.path().join("data.restoring/data");
    back_up(&store, &backup).await;

    // While files were copied: the copy goes.
    fs::create_dir_all(staged.join("tree")).unwrap();
    fs::write(staged.join("FORMAT"), "").unwrap();
    restore_to(&backup, &data, Existing::Keep).await.unwrap();
    assert_eq!(names(room.path()), ["backup", "data"]);

    // Before the folders changed places: the copy goes, and the data is the one from before.
    fs::create_dir_all(&staged).unwrap();
    fs::write(staged.join("STAGED"), "").unwrap();
    fs::write(room.path().join("data.restoring/SWAPPING"), "").unwrap();
    assert!(matches!(restore_to(&backup, &data, Existing::Keep).await, Err(RestoreError::Occupied(_))));
    assert_eq!(names(room.path()), ["backup", "data"]);

    // After they did: what is in the room is the data from before, and is kept.
    fs::create_dir_all(&staged).unwrap();
    fs::write(staged.join("FORMAT"), "precious").unwrap();
    fs::write(room.path().join("data.restoring/SWAPPING"), "").unwrap();
    fs::write(data.join("STAGED"), "").unwrap();
    assert!(matches!(restore_to(&backup, &data, Existing::Keep).await, Err(RestoreError::Occupied(_))));
    let left = names(room.path());
    assert!(matches!(&left[..], [_, _, kept] if kept.starts_with("data.before-restore-20")), "{left:?}");
    assert_eq!(fs::read_to_string(room.path().join(&left[2]).join("FORMAT")).unwrap(), "precious");
    assert_eq!(names(&data), ["ACKNOWLEDGED", "FORMAT", "audit-keys", "tree"]);
}

#[tokio::test]
async fn an_encrypted_backup_needs_its_key() {
    let ring = |byte: u8| KeyRing::parse(&format!("1 {}", format!("{byte:02x}").repeat(32))).unwrap();
    let with = |byte: u8| Options { encryption: Some(ring(byte)), ..options() };
    let (folder, room) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = Store::open(folder.path(), with(1)).unwrap();
    store.apply_collections(&crate::support::declare(&[DECLARED])).await.unwrap();
    put_all(&store, "things", &[("a", r#"{"x":"canary-plaintext"}"#)]).await.unwrap();
    let (backup, data) = (room.path().join("backup"), room.path().join("data"));
    back_up(&store, &backup).await;
    store.close().await;
    for path in ["BACKUP", "data/FORMAT"].map(|path| backup.join(path)).into_iter().chain([table(&backup)]) {
        let content = fs::read(path).unwrap();
        assert!(!content.windows(16).any(|window| window == b"canary-plaintext"));
    }
    for wrong in [options(), with(2)] {
        let error = restore(&backup, &data, Existing::Keep, &wrong, unwatched()).await.unwrap_err();
        assert!(matches!(error, RestoreError::Open(_)), "{error}");
    }
    restore(&backup, &data, Existing::Keep, &with(1), unwatched()).await.unwrap();
    let restored = Store::open(&data, with(1)).unwrap();
    assert_eq!(all(&restored).len(), 1);
}
