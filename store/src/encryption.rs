//! Exchanging the keys of an open store, and knowing which ones its files still need.
//!
//! No key is given up that a file needs, not even one that is being written: a ring that lacks it is refused. So that
//! old keys fall out of use by themselves, the log and the manifest begin anew with every change of the active key;
//! tables follow when compaction comes by, or at once with [`Store::reencrypt`].

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::engine::Engine;
use crate::engine::encryption::{self as files, OldTables};
use crate::error::{CommitError, Poisoned};
use crate::group::Verdict;
use crate::keys::{KeyId, KeyRing, Numbered};
use crate::prepared::Prepared;
use crate::store::Store;

/// How often all tables are gone through. The second time there are none but those that an exchange of keys has made old
/// meanwhile.
const PASSES_MAX: u32 = 5;
/// How often the files are looked at until all say which key they need.
const LOOKS_MAX: u32 = 50;
/// Between two such looks.
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// How often the list of tables is read again where a compaction takes them away meanwhile.
const LISTINGS_MAX: u32 = 10;
/// Between two such attempts.
const LISTING_PAUSE: Duration = Duration::from_millis(50);

/// Which keys the files of a data folder need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptionStatus {
    /// What the folder is encrypted with, by name.
    pub cipher: &'static str,
    /// The key that new files are written with, if any keys are known.
    pub active: Option<KeyId>,
    /// The keys that files need and those that are held, by number.
    pub keys: Vec<KeyStatus>,
    /// Files that do not say which key they need, such as one that a crash cut off at its start.
    pub unattributed_files: u64,
    /// What else is worth knowing of single files, a line each.
    pub remarks: Vec<String>,
}

/// What one key is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyStatus {
    /// Its number.
    pub id: KeyId,
    /// The files that were written with it.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whether the key is among those that were given.
    pub is_held: bool,
}

impl EncryptionStatus {
    /// Whether a key can be taken from the ring. Backups may need it all the same.
    pub fn is_removable(&self, id: KeyId) -> bool {
        let is_unused = self.keys.iter().all(|key| key.id != id || key.files == 0);
        self.active != Some(id) && self.unattributed_files == 0 && is_unused
    }

    /// The keys that files need, without the active one.
    pub fn old(&self) -> impl Iterator<Item = &KeyStatus> {
        self.keys.iter().filter(|key| Some(key.id) != self.active && key.files > 0)
    }
}

/// Reads off the files of a data folder which keys they need. Neither a key nor the folder to itself is needed for
/// this. `None`: the folder is not encrypted.
pub fn status(directory: &Path, ring: Option<&KeyRing>) -> Result<Option<EncryptionStatus>, EncryptionError> {
    files::status(directory, ring).map_err(EncryptionError::Files)
}

/// Why keys are not exchanged, or files not rewritten.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncryptionError {
    /// There is nothing to exchange.
    #[error("the data folder is not encrypted, and stays so: import its data into a new folder to encrypt it")]
    NotEncrypted,
    /// A number stands for another key than before.
    #[error("{} cannot stand for another key than before: add a new key with a number of its own", Numbered(.0))]
    Changed(Vec<KeyId>),
    /// A key that files need, or may need, is missing from the ring.
    #[error("files still need {}: keep all keys that `weir encryption status` lists", Numbered(.0))]
    StillNeeded(Vec<KeyId>),
    /// The files cannot be read or rewritten.
    #[error("the encrypted files cannot be looked after: {0}")]
    Files(String),
    /// The store has stopped.
    #[error(transparent)]
    Unavailable(#[from] Poisoned),
}

/// What was written again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reencrypted {
    /// Tables.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Store {
    /// Which keys its files need; `None`: the store is not encrypted.
    pub async fn encryption_status(&self) -> Result<Option<EncryptionStatus>, EncryptionError> {
        self.on_engine(settled_status).await
    }

    /// Exchanges the keys. New files are written with the active key of the ring; the log and the manifest begin anew.
    ///
    /// The ring must have every key that a file needs, and the one that was active so far: files are being written with
    /// it. On a refusal all stays as it was. Commits go on meanwhile.
    pub async fn rotate_keys(&self, ring: KeyRing) -> Result<(), EncryptionError> {
        let _turn = self.core().rotating.lock().await;
        if self.would_change(&ring).await? {
            self.on_engine(|engine| engine.exchange(ring)).await?;
            // Before the log begins anew: until then it needs the key of before, so that nobody takes it away.
            self.rewrap().await?;
            self.begin_new_files().await?;
        }
        Ok(())
    }

    /// Refuses what [`Self::rotate_keys`] would refuse, and exchanges nothing: for who has something to get ready before, which
    /// is not to be done in vain. What is not refused now is not refused until keys are exchanged.
    pub async fn may_rotate_keys(&self, ring: &KeyRing) -> Result<(), EncryptionError> {
        let _turn = self.core().rotating.lock().await;
        self.would_change(ring).await.map(drop)
    }

    /// Whether a ring is another than the one that is held, if it may take its place.
    async fn would_change(&self, ring: &KeyRing) -> Result<bool, EncryptionError> {
        let Some(held) = self.core().engine.ring() else { return Err(EncryptionError::NotEncrypted) };
        if *ring == *held {
            return Ok(false);
        }
        let changed: Vec<KeyId> = held.ids().filter(|id| ring.has(*id) && ring.bytes(*id) != held.bytes(*id)).collect();
        if !changed.is_empty() {
            return Err(EncryptionError::Changed(changed));
        }
        let dropped: Vec<KeyId> = held.ids().filter(|id| !ring.has(*id)).collect();
        if !dropped.is_empty() {
            self.rewrap().await?;
            // No file that was begun with a key of before is still on its way once this is done.
            self.begin_new_files().await?;
            let (status, wrapping) = (self.encryption_status().await?, self.wrapped_by()?);
            let is_removable =
                |id: &KeyId| !wrapping.contains(id) && status.as_ref().is_some_and(|status| status.is_removable(*id));
            let needed: Vec<KeyId> = dropped.into_iter().filter(|id| !is_removable(id)).collect();
            if !needed.is_empty() {
                return Err(EncryptionError::StillNeeded(needed));
            }
        }
        Ok(true)
    }

    /// Writes what needs old keys again, with the active one, a few tables at a time.
    ///
    /// Commits and reads go on; it rests as long as it works, so that compaction and they have half of the disk. It can
    /// be given up at any time, by dropping it, and taken up again.
    pub async fn reencrypt(&self) -> Result<Reencrypted, EncryptionError> {
        let mut done = Reencrypted::default();
        if self.encryption_status().await?.is_none_or(|status| status.old().next().is_none()) {
            return Ok(done);
        }
        // After a start with other keys the log may need an old one.
        self.begin_new_files().await?;
        for _ in 0..PASSES_MAX {
            let steps = self.on_engine(old_tables).await?;
            if steps.is_empty() {
                return Ok(done);
            }
            for tables in steps {
                done.files += tables.count();
                done.bytes += tables.bytes;
                self.on_engine(move |engine| {
                    let started = Instant::now();
                    engine.rewrite(&tables)?;
                    thread::sleep(started.elapsed());
                    Ok(())
                })
                .await?;
            }
        }
        Err(EncryptionError::Files(format!("tables need an old key after {PASSES_MAX} passes over them")))
    }

    /// A commit without a change gives the log something to begin anew for, and comes after all that are on their way.
    async fn begin_new_files(&self) -> Result<(), EncryptionError> {
        loop {
            match self.core().submit(Prepared::default()).await {
                Verdict::Committed(_) => break,
                // It has read nothing and keeps nothing, so this can only be the engine's doing.
                Verdict::Conflict(_)
                | Verdict::Failed(
                    CommitError::Conflict
                    | CommitError::Unique(_)
                    | CommitError::TooLarge { .. }
                    | CommitError::Held(_),
                ) => {}
                Verdict::Failed(CommitError::Unavailable(poisoned) | CommitError::OutcomeUnknown(poisoned)) => {
                    return Err(poisoned.into());
                }
            }
        }
        self.on_engine(Engine::begin_new_files).await
    }

    async fn on_engine<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Engine) -> Result<T, String> + Send + 'static,
    ) -> Result<T, EncryptionError> {
        self.core().engine.check()?;
        let done = self.blocking(move |core| work(&core.engine)).await?;
        done.map_err(EncryptionError::Files)
    }
}

/// A file that has just been begun does not say yet which key it needs, so one looks again until there is none.
fn settled_status(engine: &Engine) -> Result<Option<EncryptionStatus>, String> {
    let mut looks = 1;
    loop {
        match engine.encryption_status() {
            Ok(Some(status)) if status.unattributed_files > 0 && looks < LOOKS_MAX => {
                looks += 1;
                thread::sleep(LOOK_PAUSE);
            }
            status => return status,
        }
    }
}

/// A table that goes away while the list is made spoils it.
fn old_tables(engine: &Engine) -> Result<Vec<OldTables>, String> {
    let mut attempt = 1;
    loop {
        match engine.old_tables() {
            Err(_) if attempt < LISTINGS_MAX => {
                attempt += 1;
                thread::sleep(LISTING_PAUSE);
            }
            listed => return listed,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::Map;
    use weir_schema::declarations::{Collection, Declarations};
    use weir_schema::id::DocumentId;

    use super::*;
    use crate::options::Options;

    fn ring(ids: &[KeyId]) -> KeyRing {
        let keys: Vec<String> = ids.iter().map(|id| format!("{id} {id:064x}")).collect();
        KeyRing::parse(&keys.join("\n")).unwrap()
    }

    fn open(folder: &Path, ids: &[KeyId]) -> Store {
        let options = Options { encryption: Some(ring(ids)), memtable_bytes: 32 << 10, ..Options::default() };
        Store::open(folder, options).unwrap_or_else(|error| unreachable!("{ids:?}: {error}"))
    }

    async fn put(store: &Store, number: u32) {
        let mut transaction = store.begin().unwrap();
        transaction.put("orders", &DocumentId::parse(format!("{number}")).unwrap(), Map::new()).unwrap();
        store.commit(transaction).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_crash_in_the_middle_of_an_exchange_loses_neither_data_nor_keys() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path(), &[1]);
        let mut declarations = Declarations::default();
        let name = "orders".to_owned();
        let (document, value, module) = (name.clone(), name.clone(), String::new());
        let orders =
            Collection { name: name.clone(), document, value, module, indexes: Vec::new(), references: Vec::new() };
        declarations.collections.insert(name, orders);
        store.apply_collections(&declarations).await.unwrap();
        let mut transaction = store.begin().unwrap();
        let sealed = store.seal(&mut transaction, b"a bundle", b"here").unwrap();
        store.commit(transaction).await.unwrap();
        store.close().await;

        let (mut written, mut interrupted) = (0, 0);
        for round in 1..=20 {
            let (before, after) = (round, round + 1);
            let all: Vec<KeyId> = (1..=before).collect();
            let store = open(folder.path(), &all);
            for _ in 0..20 {
                put(&store, written).await;
                written += 1;
            }
            let exchanging = store.clone();
            let exchange = tokio::spawn(async move {
                exchanging.rotate_keys(ring(&(1..=after).collect::<Vec<_>>())).await?;
                exchanging.reencrypt().await
            });
            // From before it has begun to after its end.
            tokio::time::sleep(Duration::from_micros(u64::from(round - 1) * 1_500)).await;
            store.core().engine.abandon();
            interrupted += u32::from(exchange.await.unwrap().is_err());
            drop(store);

            // Whatever became of the exchange, the files name keys of the new ring alone, and all of it is there.
            let needed = status(folder.path(), None).unwrap().unwrap();
            assert!(needed.keys.iter().all(|key| key.id <= after), "round {round}: {needed:?}");
            let store = open(folder.path(), &(1..=after).collect::<Vec<_>>());
            assert_eq!(
                store.unseal(&mut store.begin().unwrap(), &sealed, b"here").unwrap(),
                b"a bundle",
                "round {round}"
            );
            let mut transaction = store.begin().unwrap();
            for number in 0..written {
                let id = DocumentId::parse(format!("{number}")).unwrap();
                assert!(transaction.get("orders", &id).unwrap().is_some(), "round {round}: {number}");
            }
            drop(transaction);
            store.close().await;
        }
        assert!(interrupted > 0, "no exchange was interrupted");

        // What was left half done is done later.
        let store = open(folder.path(), &(1..=21).collect::<Vec<_>>());
        store.rotate_keys(ring(&(1..=22).collect::<Vec<_>>())).await.unwrap();
        store.reencrypt().await.unwrap();
        store.rotate_keys(ring(&[22])).await.unwrap();
        store.close().await;
        let store = open(folder.path(), &[22]);
        assert_eq!(store.unseal(&mut store.begin().unwrap(), &sealed, b"here").unwrap(), b"a bundle");
        store.close().await;
    }
}
