//! Encryption at rest: what is in the folder, which keys open it, and exchanging them while commits go on.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;
use weir_store::encryption::status;
use weir_store::{EncryptionError, KeyRing, Options, Store};

use crate::support::{declare, doc, find, id, options, put_all, scan};

/// Text that occurs nowhere by chance: in a value, an id, an index and the name of a collection.
const CANARIES: [&str; 4] = ["canaryInAValue", "canaryInAnId", "canaryInAnIndex", "canaryInACollection"];

/// A ring of keys that follow from their numbers.
fn ring(ids: &[u32]) -> KeyRing {
    let keys: Vec<String> = ids.iter().map(|id| key(*id, *id)).collect();
    KeyRing::parse(&keys.join("\n")).unwrap()
}

/// A key with the bytes of any other.
fn key(id: u32, bytes: u32) -> String {
    format!("{id} {:064x}", u128::from(bytes) * 0x1234_5678_9abc_def1)
}

fn with_keys(ring: Option<KeyRing>) -> Options {
    Options { encryption: ring, ..options() }
}

fn open(folder: &Path, ring: KeyRing) -> Store {
    Store::open(folder, with_keys(Some(ring))).unwrap_or_else(|error| panic!("{error}"))
}

async fn orders(ring: KeyRing) -> (Store, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), ring);
    store.apply_collections(&declare(&["orders:customer; customer"])).await.unwrap();
    (store, folder)
}

fn refusal(folder: &Path, ring: Option<KeyRing>) -> String {
    match Store::open(folder, with_keys(ring)) {
        Ok(_) => "opened".to_owned(),
        Err(error) => error.to_string().replace(&folder.display().to_string(), "DATA"),
    }
}

/// All files of a folder with what is in them, but for the lock.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // A running store removes files between two looks.
        if path.is_dir() {
            found.extend(files(&path));
        } else if let Ok(bytes) = fs::read(&path)
            && !path.ends_with("LOCK")
        {
            found.insert(path, bytes);
        }
    }
    found
}

/// The canaries that are readable somewhere in the folder: in a file or in its name.
fn readable(folder: &Path) -> Vec<&'static str> {
    let files = files(folder);
    assert!(files.len() > 2, "{:?}", files.keys());
    let shows = |canary: &str| {
        files.iter().any(|(path, bytes)| {
            path.display().to_string().contains(canary)
                || bytes.windows(canary.len()).any(|window| window == canary.as_bytes())
        })
    };
    CANARIES.into_iter().filter(|canary| shows(canary)).collect()
}

/// The ids of the keys that files need, by the files alone.
fn needed(folder: &Path) -> Vec<u32> {
    let status = status(folder, None).unwrap().unwrap();
    status.keys.iter().map(|key| key.id).collect()
}

/// Writes the canaries, and shows the folder in each state that data goes through.
async fn canaries(folder: &Path, keys: Option<KeyRing>, mut look: impl FnMut(&str)) {
    let open = || Store::open(folder, Options { memtable_bytes: 64 << 10, ..with_keys(keys.clone()) }).unwrap();
    let store = open();
    store.apply_collections(&declare(&["canaryInACollection:name note; name"])).await.unwrap();
    let write = async |store: &Store, number: u32| {
        let name = format!("canaryInAnId{number}");
        let note = "canaryInAValue".repeat(100);
        let document = json!({ "name": format!("canaryInAnIndex{number}"), "note": note }).to_string();
        put_all(store, "canaryInACollection", &[(&name, &document)]).await.unwrap();
    };
    write(&store, 0).await;
    look("in the log");
    store.close().await;
    look("in a table");
    let store = open();
    for number in 0..500 {
        write(&store, number).await;
    }
    look("in many tables");
    store.close().await;
    // Compaction begins at four tables.
    let store = open();
    let tables = || fs::read_dir(folder.join("tree/sstables")).unwrap().count();
    let until = Instant::now() + Duration::from_secs(20);
    while tables() >= 4 && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    write(&store, 0).await;
    look("after compaction");
    store.close().await;
}

#[tokio::test]
async fn nothing_of_the_data_is_readable_in_an_encrypted_folder() {
    // The same search finds everything where there is no key, so it could find it here.
    let plain = tempfile::tempdir().unwrap();
    canaries(plain.path(), None, |state| assert_eq!(readable(plain.path()), CANARIES, "{state}")).await;

    let encrypted = tempfile::tempdir().unwrap();
    canaries(encrypted.path(), Some(ring(&[1])), |state| {
        assert_eq!(readable(encrypted.path()), Vec::<&str>::new(), "{state}");
    })
    .await;
    // It was there all along.
    let store = open(encrypted.path(), ring(&[1]));
    let mut transaction = store.begin().unwrap();
    let scan = scan(&[("name", json!("canaryInAnIndex7"))], "");
    assert_eq!(find(&mut transaction, "canaryInACollection", &scan), "canaryInAnId7");
    store.close().await;
    // Nor is the key.
    let store = open(encrypted.path(), ring(&[1, 2]));
    store.rotate_keys(ring(&[1, 2, 3])).await.unwrap();
    store.reencrypt().await.unwrap();
    store.close().await;
    assert_eq!(readable(encrypted.path()), Vec::<&str>::new());
    let bytes = [1_u128, 2, 3].map(|id| (id * 0x1234_5678_9abc_def1).to_be_bytes());
    for (path, content) in files(encrypted.path()) {
        for bytes in &bytes {
            assert!(!content.windows(16).any(|window| window == bytes), "{}", path.display());
        }
    }
}

#[tokio::test]
async fn only_the_right_keys_open_a_folder_and_a_refusal_changes_nothing() {
    let (store, encrypted) = orders(ring(&[2])).await;
    put_all(&store, "orders", &[("a", "{}")]).await.unwrap();
    store.close().await;
    let before = files(encrypted.path());
    let refused = |ring| refusal(encrypted.path(), ring);
    assert_eq!(
        refused(None),
        "DATA is encrypted: name its keys with --encryption-keys FILE or in WEIR_ENCRYPTION_KEYS"
    );
    let wrong = KeyRing::parse(&key(2, 3)).unwrap();
    assert_eq!(
        refused(Some(wrong)),
        "DATA was written with another key than the one given as encryption key 2: give the right one"
    );
    let missing = "DATA needs more than the given keys: add encryption key 2";
    assert_eq!(refused(Some(ring(&[1]))), missing);
    assert_eq!(refused(Some(ring(&[1, 3]))), missing);
    assert_eq!(files(encrypted.path()), before);
    assert_eq!(refused(Some(ring(&[1, 2, 3]))), "opened");

    let (store, plain) = crate::support::store(&["orders:customer"]).await;
    store.close().await;
    let before = files(plain.path());
    assert_eq!(
        refusal(plain.path(), Some(ring(&[1]))),
        "DATA is not encrypted, and a folder stays as it was created: leave out the encryption keys, or import its \
         data into a new folder"
    );
    assert_eq!(files(plain.path()), before);
    assert_eq!(status(plain.path(), None).unwrap(), None);
    assert_eq!(refusal(plain.path(), None), "opened");
}

#[tokio::test]
async fn every_key_that_a_file_needs_has_to_be_right() {
    let (store, folder) = orders(ring(&[1])).await;
    put_all(&store, "orders", &[("a", "{}")]).await.unwrap();
    store.close().await;
    let store = open(folder.path(), ring(&[1, 2]));
    store.rotate_keys(ring(&[1, 2, 3])).await.unwrap();
    store.close().await;
    assert_eq!(needed(folder.path()), [1, 3]);

    let before = files(folder.path());
    let refused = |ring| refusal(folder.path(), Some(ring));
    // The manifest needs 3, a table 1.
    let missing = "DATA needs more than the given keys: add encryption key 1";
    assert_eq!(refused(ring(&[2, 3])), missing);
    let missing = "DATA needs more than the given keys: add encryption keys 1, 3";
    assert_eq!(refused(ring(&[2])), missing);
    let wrong = KeyRing::parse(&format!("{},{}", key(1, 7), key(3, 3))).unwrap();
    assert_eq!(
        refused(wrong),
        "DATA was written with another key than the one given as encryption keys 1, 3: give the right one"
    );
    assert_eq!(files(folder.path()), before);
    assert_eq!(refused(ring(&[1, 3])), "opened");
}

#[tokio::test]
async fn a_folder_that_was_half_created_with_a_key_is_never_completed_without() {
    let whole = tempfile::tempdir().unwrap();
    open(whole.path(), ring(&[1])).close().await;
    // The engine's part of it without anything of ours.
    let tree = whole.path().join("tree");
    fs::remove_dir_all(&tree).unwrap();
    let mut bytes = [0; 32];
    bytes[16..].copy_from_slice(&0x1234_5678_9abc_def1_u128.to_be_bytes());
    let keys = Arc::new(surrealkv::SoftwareKeyManager::new(bytes));
    let settings = surrealkv::TreeBuilder::new().with_path(tree);
    settings.with_encryption(keys, surrealkv::CipherPreference::Auto).build().unwrap().close().await.unwrap();
    // Which folders are there, and which of them with their files, whole or empty.
    let states: [(&str, &[&str], bool); 4] = [
        ("the marker", &[], false),
        ("empty folders", &["manifest", "sstables", "wal"], false),
        ("a manifest", &["manifest"], true),
        ("a manifest and an empty log", &["manifest", "wal"], true),
    ];
    for (state, parts, has_files) in states {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(whole.path().join("FORMAT"), folder.path().join("FORMAT")).unwrap();
        for part in parts {
            let (from, to) = (whole.path().join("tree").join(part), folder.path().join("tree").join(part));
            fs::create_dir_all(&to).unwrap();
            for (path, bytes) in files(&from).into_iter().filter(|_| has_files) {
                let bytes = if *part == "wal" { Vec::new() } else { bytes };
                fs::write(to.join(path.file_name().unwrap()), bytes).unwrap();
            }
        }
        if has_files {
            assert!(refusal(folder.path(), None).starts_with("DATA is encrypted: "), "{state}");
        }
        let store = open(folder.path(), ring(&[1]));
        store.apply_collections(&declare(&["orders:customer"])).await.unwrap();
        put_all(&store, "orders", &[("canaryInAnId", r#"{"customer":"canaryInAValue"}"#)]).await.unwrap();
        assert_eq!(readable(folder.path()), Vec::<&str>::new(), "{state}");
        store.close().await;
        assert_eq!(needed(folder.path()), [1], "{state}");
        assert!(refusal(folder.path(), None).starts_with("DATA is encrypted: "), "{state}");
    }
}

/// Commits one document after the other until it is stopped; the documents, and the longest that one took.
async fn commit_all_the_while(store: Store, name: &'static str, stop: Arc<AtomicBool>) -> (u32, Duration) {
    let (mut count, mut longest) = (0, Duration::ZERO);
    let note = "x".repeat(200);
    while !stop.load(Ordering::Relaxed) {
        let started = Instant::now();
        let document = json!({ "customer": name, "note": note }).to_string();
        put_all(&store, "orders", &[(&format!("{name}{count}"), &document)]).await.unwrap();
        longest = longest.max(started.elapsed());
        count += 1;
        // Steady, and so little that the folder stays small: without optimization encryption is slow.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    (count, longest)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keys_are_exchanged_under_commits_and_the_old_one_is_retired() {
    let folder = tempfile::tempdir().unwrap();
    // Small, so that there are tables soon.
    let small = Options { memtable_bytes: 32 << 10, ..with_keys(Some(ring(&[1]))) };
    let store = Store::open(folder.path(), small).unwrap();
    store.apply_collections(&declare(&["orders:customer; customer"])).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = ["a", "b", "c"]
        .into_iter()
        .map(|name| (name, tokio::spawn(commit_all_the_while(store.clone(), name, stop.clone()))))
        .collect();
    let until = |what: &'static str, done: Box<dyn Fn() -> bool>| async move {
        let end = Instant::now() + Duration::from_secs(60);
        while !done() {
            assert!(Instant::now() < end, "{what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let tables = folder.path().join("tree/sstables");
    until("some tables", Box::new(move || fs::read_dir(&tables).unwrap().count() >= 3)).await;
    assert_eq!(needed(folder.path()), [1]);

    let mut held = vec![1];
    for next in 2..=4 {
        held.push(next);
        store.rotate_keys(ring(&held)).await.unwrap();
        let status = store.encryption_status().await.unwrap().unwrap();
        assert_eq!(status.active, Some(next));
        assert!(status.keys.iter().all(|key| key.is_held && !status.is_removable(next)));

        let done = store.reencrypt().await.unwrap();
        let status = store.encryption_status().await.unwrap().unwrap();
        assert_eq!(status.old().count(), 0, "{done:?} {status:?}");
        let old = held.remove(0);
        store.rotate_keys(ring(&held)).await.unwrap();
        let status = store.encryption_status().await.unwrap().unwrap();
        assert!(status.keys.iter().all(|key| key.id != old));
    }
    stop.store(true, Ordering::Relaxed);
    let mut written = Vec::new();
    for (name, writer) in writers {
        let (count, longest) = writer.await.unwrap();
        assert!(longest < Duration::from_secs(5), "a commit took {longest:?}");
        written.push((name, count));
    }
    store.close().await;
    assert_eq!(needed(folder.path()), [4]);

    assert_eq!(
        refusal(folder.path(), Some(ring(&[1, 2, 3]))),
        "DATA needs more than the given keys: add encryption key 4"
    );
    let store = open(folder.path(), ring(&[4]));
    let mut transaction = store.begin().unwrap();
    for (name, count) in written {
        let found = transaction.scan("orders", &scan(&[("customer", json!(name))], "")).unwrap();
        assert_eq!(found.rows.len(), usize::try_from(count).unwrap(), "{name}");
    }
}

#[tokio::test]
async fn a_key_that_is_needed_stays() {
    let (store, folder) = orders(ring(&[1])).await;
    put_all(&store, "orders", &[("a", "{}")]).await.unwrap();
    let rotate = async |text: &str| match store.rotate_keys(KeyRing::parse(text).unwrap()).await {
        Ok(()) => "done".to_owned(),
        Err(error) => error.to_string(),
    };
    let needed_still = "files still need encryption key 1: keep all keys that `weir encryption status` lists";
    // Files are being written with the active key.
    assert_eq!(rotate(&key(2, 2)).await, needed_still);
    assert_eq!(
        rotate(&format!("{},{}", key(1, 5), key(2, 2))).await,
        "encryption key 1 cannot stand for another key than before: add a new key with a number of its own"
    );
    let status = store.encryption_status().await.unwrap().unwrap();
    assert_eq!((status.active, status.keys.len()), (Some(1), 1));

    let (two, three) = (format!("{},{}", key(1, 1), key(2, 2)), format!("{},{}", key(2, 2), key(3, 3)));
    assert_eq!(rotate(&two).await, "done");
    assert_eq!(rotate(&two).await, "done");
    // A table needs 1.
    assert_eq!(rotate(&key(2, 2)).await, needed_still);
    assert_eq!(rotate(&three).await, needed_still);
    // Who asks before learns the same, and has exchanged nothing.
    let may_rotate = async |text: &str| store.may_rotate_keys(&KeyRing::parse(text).unwrap()).await;
    assert_eq!(may_rotate(&three).await, Err(EncryptionError::StillNeeded(vec![1])));
    assert_eq!(may_rotate(&format!("{two},{}", key(3, 3))).await, Ok(()));
    let status = store.encryption_status().await.unwrap().unwrap();
    assert_eq!((status.active, status.is_removable(1), status.is_removable(2)), (Some(2), false, false));
    let old: Vec<u32> = status.old().map(|key| key.id).collect();
    assert_eq!(old, [1]);

    let done = store.reencrypt().await.unwrap();
    assert!(done.files >= 1 && done.bytes > 0, "{done:?}");
    assert!(store.encryption_status().await.unwrap().unwrap().is_removable(1));
    assert_eq!(store.reencrypt().await.unwrap(), Default::default());
    assert_eq!(rotate(&three).await, "done");
    put_all(&store, "orders", &[("b", "{}")]).await.unwrap();
    store.close().await;
    assert!(matches!(store.rotate_keys(ring(&[2, 3])).await, Ok(()) | Err(EncryptionError::Unavailable(_))));

    let store = open(folder.path(), ring(&[2, 3]));
    for name in ["a", "b"] {
        assert!(store.begin().unwrap().get("orders", &id(name)).unwrap().is_some());
    }
}

#[tokio::test]
async fn a_folder_without_encryption_has_no_keys_to_exchange() {
    let (store, _folder) = crate::support::store(&["orders:customer"]).await;
    assert_eq!(store.encryption_status().await.unwrap(), None);
    assert_eq!(store.rotate_keys(ring(&[1])).await, Err(EncryptionError::NotEncrypted));
    assert_eq!(store.reencrypt().await.unwrap(), Default::default());
    let mut transaction = store.begin().unwrap();
    transaction.put("orders", &id("a"), doc("{}")).unwrap();
    store.commit(transaction).await.unwrap();
}
