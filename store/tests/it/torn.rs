//! Damaged files: a small log cut off at every byte and changed at every byte, the manifest and the tables too.
//!
//! What opens afterwards has the state after some commit, and never one that hides a commit that was acknowledged
//! without anyone being told.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;
use tempfile::TempDir;
use weir_store::keys::KeyRing;
use weir_store::{OpenError, Options, Scan, Store};

use crate::disk::copy;
use crate::support::{declare, doc, find, id, memory_folder, scan};

const SIDE_BY_SIDE: usize = 2;

fn options(encryption: Option<KeyRing>) -> Options {
    Options {
        // An empty memtable is memory that each opening has to clear.
        memtable_bytes: 64 << 10,
        block_cache_bytes: 64 << 10,
        worker_threads: 1,
        upkeep_interval: std::time::Duration::from_secs(3_600),
        encryption,
        ..Options::default()
    }
}

/// All documents, by id, and once more as the index has them.
type State = (BTreeMap<String, String>, String);

fn read(store: &Store) -> Result<State, String> {
    let mut transaction = store.begin().map_err(|error| error.to_string())?;
    if transaction.get("notes", &id("none")).is_err() {
        store.is_ready().map_err(|error| error.to_string())?;
        return Ok(State::default());
    }
    let rows = transaction.scan("notes", &Scan::default()).map_err(|error| error.to_string())?;
    let documents = rows.rows.iter().map(|row| {
        let text = String::from_utf8(row.document.to_vec()).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        (document["id"].as_str().unwrap().to_owned(), text)
    });
    let documents = documents.collect();
    transaction.scan("notes", &scan(&[], "tag")).map_err(|error| error.to_string())?;
    Ok((documents, find(&mut transaction, "notes", &scan(&[], "tag"))))
}

/// A folder, and what it was after each of its commits.
struct History {
    data: TempDir,
    encryption: Option<KeyRing>,
    /// By sequence number.
    states: BTreeMap<u64, State>,
    /// How long the log was after each.
    lengths: BTreeMap<u64, usize>,
    last: u64,
}

/// How the folder is left.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    /// As a killed process leaves it: all is in the log.
    Killed,
    /// Closed: all is in tables.
    Closed,
}

fn history(encryption: Option<KeyRing>, left: Left) -> History {
    let (original, data) = (memory_folder(), memory_folder());
    let mut history = History {
        data,
        encryption: encryption.clone(),
        states: BTreeMap::from([(0, State::default())]),
        lengths: BTreeMap::from([(0, 0)]),
        last: 0,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = Store::open(original.path(), options(encryption)).unwrap();
        store.apply_collections(&declare(&["notes:tag text; tag"])).await.unwrap();
        let head = store.head().sequence;
        for sequence in 1..=head {
            history.states.insert(sequence, State::default());
            history.lengths.insert(sequence, 0);
        }
        let commits = [("a", "1"), ("b", "2"), ("a", "3"), ("", "b"), ("c", "1")];
        for (name, tag) in commits {
            let mut transaction = store.begin().unwrap();
            if name.is_empty() {
                transaction.delete("notes", &id(tag)).unwrap();
            } else {
                transaction.put("notes", &id(name), doc(&format!(r#"{{"tag":"{tag}","text":"x"}}"#))).unwrap();
            }
            let committed = store.commit(transaction).await.unwrap();
            history.states.insert(committed.sequence, read(&store).unwrap());
            if left == Left::Killed {
                let logs = files(original.path(), "wal");
                assert_eq!(logs.len(), 1, "{logs:?}");
                history.lengths.insert(committed.sequence, fs::metadata(&logs[0]).unwrap().len() as usize);
            }
            history.last = committed.sequence;
        }
        match left {
            Left::Killed => copy(original.path(), history.data.path()),
            Left::Closed => {
                store.close().await;
                copy(original.path(), history.data.path());
            }
        }
    });
    history
}

/// The files of a folder within `tree` that hold something.
fn files(data: &Path, within: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(data.join("tree").join(within)).unwrap().map(|entry| entry.unwrap());
    let full = entries.filter(|entry| entry.metadata().unwrap().len() > 0);
    let mut files: Vec<PathBuf> = full.map(|entry| entry.path()).collect();
    files.sort();
    files
}

/// What is done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Damage {
    /// It ends at this byte.
    Cut(usize),
    /// One bit of this byte is changed.
    Flip(usize),
    /// From this byte on there are zeros: as many as a log is filled up with.
    Zeros(usize),
}

/// A log is read in blocks.
const BLOCK: usize = 32 << 10;

impl Damage {
    fn apply(self, file: &Path) {
        let mut bytes = fs::read(file).unwrap();
        match self {
            Self::Cut(at) => bytes.truncate(at),
            Self::Flip(at) => bytes[at] ^= 1 << ((at * 5 + 3) % 8),
            Self::Zeros(at) => {
                bytes.truncate(at);
                bytes.resize(bytes.len().next_multiple_of(BLOCK).max(BLOCK), 0);
            }
        }
        fs::write(file, bytes).unwrap();
    }

    fn at(self) -> usize {
        let (Self::Cut(at) | Self::Flip(at) | Self::Zeros(at)) = self;
        at
    }
}

/// What a damaged folder turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    /// Refused: commits are missing.
    Missing,
    /// Refused for another reason.
    Refused(String),
    /// The store stopped while it was read.
    Stopped(String),
    /// The state after a commit.
    State(u64),
}

impl History {
    /// Damages a copy and opens it.
    fn damage(&self, file: &Path, damage: Damage, witness: Witness) -> Result<Found, String> {
        let copied = memory_folder();
        copy(self.data.path(), copied.path());
        damage.apply(&copied.path().join(file.strip_prefix(self.data.path()).unwrap()));
        if witness == Witness::Gone {
            fs::remove_file(copied.path().join("ACKNOWLEDGED")).unwrap();
        }
        let store = match Store::open(copied.path(), options(self.encryption.clone())) {
            Ok(store) => store,
            Err(OpenError::CommitsMissing { .. }) => return Ok(Found::Missing),
            Err(error) => return Ok(Found::Refused(error.to_string())),
        };
        let sequence = store.head().sequence;
        let found = match read(&store) {
            Ok(state) if self.states.get(&sequence) == Some(&state) => Ok(Found::State(sequence)),
            Ok(state) => Err(format!("{damage:?} of {}: at commit {sequence} there is {state:?}", file.display())),
            Err(error) if store.is_ready().is_err() && store.begin().is_err() => Ok(Found::Stopped(error)),
            Err(error) => Err(format!("{damage:?} of {}: goes on after {error}", file.display())),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(store.close());
        found
    }

    /// Tries all damages, and gives what was found of each.
    fn damage_all(&self, file: &Path, damages: &[Damage], witness: Witness) -> BTreeMap<Damage, Found> {
        let (next, found, wrong) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for _ in 0..SIDE_BY_SIDE {
                scope.spawn(|| {
                    while let Some(damage) = damages.get(next.fetch_add(1, Ordering::Relaxed)) {
                        match self.damage(file, *damage, witness) {
                            Ok(one) => drop(found.lock().unwrap().insert(*damage, one)),
                            Err(error) => wrong.lock().unwrap().push(error),
                        }
                    }
                });
            }
        });
        let wrong = wrong.into_inner().unwrap();
        assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), damages.len(), wrong.join("\n"));
        found.into_inner().unwrap()
    }

    /// The last commit that lies wholly before this byte of the log.
    fn before(&self, at: usize) -> u64 {
        let whole = self.lengths.iter().filter(|(_, length)| **length <= at);
        whole.map(|(sequence, _)| *sequence).max().unwrap()
    }

    fn log(&self) -> (PathBuf, usize) {
        let logs = files(self.data.path(), "wal");
        let [log] = logs.as_slice() else { panic!("{logs:?}") };
        (log.clone(), fs::metadata(log).unwrap().len() as usize)
    }
}

/// Whether the file that remembers what was acknowledged is there. A power cut may leave an old one or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Witness {
    Kept,
    Gone,
}

fn keys() -> KeyRing {
    KeyRing::parse(&KeyRing::generate(None).unwrap()).unwrap()
}

#[test]
fn a_log_that_ends_at_any_byte_opens_with_what_lies_before_it() {
    let history = history(None, Left::Killed);
    let (log, length) = history.log();
    let zeros = (0..=length).step_by(3).map(Damage::Zeros);
    let cuts: Vec<Damage> = (0..=length).map(Damage::Cut).chain(zeros).collect();
    let bytes = fs::read(&log).unwrap();
    for (damage, found) in history.damage_all(&log, &cuts, Witness::Gone) {
        let mut at = damage.at();
        if matches!(damage, Damage::Zeros(_)) {
            // Where there were zeros before nothing has changed.
            at += bytes[at..].iter().take_while(|byte| **byte == 0).count();
        }
        match found {
            // Commits of the declaration have no length of their own here: any of them may be the last.
            Found::State(sequence) if history.before(at) == history.before(0) => {
                assert!(sequence <= history.before(0), "{damage:?}: {sequence}");
            }
            found => assert_eq!(found, Found::State(history.before(at)), "{damage:?}"),
        }
    }
}

#[test]
fn a_log_that_lost_an_acknowledged_commit_is_refused() {
    for encryption in [None, Some(keys())] {
        let history = history(encryption, Left::Killed);
        let (log, length) = history.log();
        let cuts: Vec<Damage> = (0..length).step_by(7).map(Damage::Cut).collect();
        for (damage, found) in history.damage_all(&log, &cuts, Witness::Kept) {
            assert!(matches!(found, Found::Missing | Found::Refused(_)), "{damage:?}: {found:?}");
        }
        let whole = history.damage(&log, Damage::Cut(length), Witness::Kept).unwrap();
        assert_eq!(whole, Found::State(history.last));
    }
}

#[test]
fn a_changed_bit_anywhere_in_the_log_never_changes_an_answer() {
    for encryption in [None, Some(keys())] {
        let history = history(encryption, Left::Killed);
        let (log, length) = history.log();
        let step = if history.encryption.is_some() { 7 } else { 1 };
        let flips: Vec<Damage> = (0..length).step_by(step).map(Damage::Flip).collect();
        let mut kinds = BTreeSet::new();
        for (damage, found) in history.damage_all(&log, &flips, Witness::Gone) {
            let last_record = damage.at() >= history.lengths[&(history.last - 1)];
            match found {
                // Damage at the very end cannot be told from a torn write by the log alone.
                Found::State(sequence) if last_record => assert!(sequence >= history.last - 1, "{damage:?}"),
                Found::State(sequence) => assert_eq!(sequence, history.last, "{damage:?}"),
                Found::Refused(_) => {}
                found => panic!("{damage:?}: {found:?}"),
            }
            kinds.insert(last_record);
        }
        assert_eq!(kinds.len(), 2);
        // The file that remembers what was acknowledged tells the two apart.
        let end: Vec<Damage> = (history.lengths[&(history.last - 1)]..length).map(Damage::Flip).collect();
        for (damage, found) in history.damage_all(&log, &end, Witness::Kept) {
            let sound = found == Found::State(history.last);
            assert!(sound || matches!(found, Found::Missing | Found::Refused(_)), "{damage:?}: {found:?}");
        }
    }
}

#[test]
fn a_changed_bit_in_the_manifest_never_changes_an_answer() {
    for left in [Left::Killed, Left::Closed] {
        let history = history(None, left);
        let manifests = files(history.data.path(), "manifest");
        let [manifest] = manifests.as_slice() else { panic!("{manifests:?}") };
        let length = fs::metadata(manifest).unwrap().len() as usize;
        let damages: Vec<Damage> = (0..length).flat_map(|at| [Damage::Cut(at), Damage::Flip(at)]).collect();
        for (damage, found) in history.damage_all(manifest, &damages, Witness::Kept) {
            let sound = found == Found::State(history.last);
            assert!(sound || matches!(found, Found::Missing | Found::Refused(_)), "{damage:?}: {found:?}");
        }
    }
}

#[test]
fn a_changed_bit_in_a_table_is_an_error_or_changes_no_answer() {
    for encryption in [None, Some(keys())] {
        let history = history(encryption, Left::Closed);
        let tables = files(history.data.path(), "sstables");
        assert!(!tables.is_empty());
        let mut noticed = 0;
        for table in tables {
            let length = fs::metadata(&table).unwrap().len() as usize;
            let damages: Vec<Damage> =
                (0..length).step_by(7).flat_map(|at| [Damage::Cut(at), Damage::Flip(at)]).collect();
            for (damage, found) in history.damage_all(&table, &damages, Witness::Kept) {
                assert!(!matches!(found, Found::State(sequence) if sequence != history.last), "{damage:?}: {found:?}");
                noticed += usize::from(found != Found::State(history.last));
            }
        }
        assert!(noticed > 0);
    }
}

#[test]
fn a_file_that_is_gone_is_noticed() {
    for (left, within) in [(Left::Killed, "wal"), (Left::Closed, "sstables"), (Left::Closed, "manifest")] {
        let history = history(None, left);
        for file in files(history.data.path(), within) {
            fs::remove_file(&file).unwrap();
            let message = match Store::open(history.data.path(), options(None)) {
                Ok(_) => panic!("opens without {}", file.display()),
                Err(error) => error.to_string(),
            };
            assert!(message.contains("restore"), "{message}");
        }
    }
}
