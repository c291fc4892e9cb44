//! surrealkv behind the few calls that Weir makes. Nothing else names it.
//!
//! - One `Arc<Tree>`: dropping any clone of a `Tree` closes the whole database.
//! - The value log is off: documents are at most a mebibyte, and its garbage collection keeps whole files alive.
//! - Versions are kept as long as history reaches. What has a history is written at the timestamp of its commit and
//!   removed softly; what has none is replaced or removed with all that was before.
//! - A torn tail of the log is cut off at recovery: all that was acknowledged was synced and lies before it. Damage
//!   further inside is a refusal to open, not a salvage. The engine takes an error while it reads the log for such
//!   damage, so nothing is cut off before the log was found torn twice.

pub(crate) mod encryption;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use surrealkv::{Durability, HistoryOptions, LSMIterator, Mode, Tree, TreeBuilder, WalRecoveryMode, WriteOptions};
use weir_schema::codec::key::Key;
use weir_schema::commit::Timestamp;

use self::encryption::Keys;
use crate::error::{OpenError, Poisoned};
use crate::health::Health;
use crate::options::Options;
use crate::read_set::Interval;
use crate::scan::Direction;

/// The database within the data folder.
const TREE: &str = "tree";

/// Blocks of the tables. A read that is not in the cache loads one whole: with the engine's default of 64 KiB such a
/// read takes three times as long.
const BLOCK_BYTES: usize = 16 << 10;

/// The log is written into zeros that were written ahead, so that a commit does not change the size of a file. The engine
/// writes 32 MiB of them into each file of the log, which pays only where memtables, and so these files, are this large.
const LOG_AHEAD_MEMTABLE_BYTES: usize = 8 << 20;

/// How often a log that seems to be torn is read, before what is torn is cut off.
const LOG_READS: usize = 2;

/// The open database.
#[derive(Clone)]
pub(crate) struct Engine {
    tree: Arc<Tree>,
    health: Health,
    /// The data folder.
    directory: PathBuf,
    /// Absent where the folder is not encrypted.
    keys: Option<Arc<Keys>>,
    #[cfg(test)]
    pub(crate) disk: Arc<Disk>,
}

/// What a test makes of the disk.
#[cfg(test)]
#[derive(Default)]
pub(crate) struct Disk {
    /// Commits wait as long as this is held for writing.
    pub(crate) gate: tokio::sync::RwLock<()>,
    /// The next commit is refused.
    pub(crate) refuses: std::sync::atomic::AtomicBool,
}

impl Engine {
    /// Opens or creates the database. Must be called inside the runtime that it shall use.
    pub(crate) fn open(directory: &Path, options: &Options, health: Health) -> Result<Self, OpenError> {
        let mut settings = surrealkv::Options::new()
            .with_path(directory.join(TREE))
            .with_block_cache_capacity(options.block_cache_bytes);
        settings.max_memtable_size = options.memtable_bytes;
        settings.block_size = BLOCK_BYTES;
        settings.enable_vlog = false;
        let ahead = options.encryption.is_none() && options.memtable_bytes >= LOG_AHEAD_MEMTABLE_BYTES;
        settings = settings.with_wal_preallocation(ahead);
        settings.enable_versioning = true;
        settings.versioned_history_retention_ns = options.versions_ns();
        let ring = options.encryption.as_ref();
        let keys = ring.cloned().map(Keys::new);
        if let Some(keys) = &keys {
            settings = encryption::encrypted(settings, keys);
        }
        let unreadable = |message| OpenError::Unreadable { directory: directory.to_owned(), message };
        let tree = build(settings).map_err(|error| match error {
            surrealkv::Error::Encryption(error) => encryption::refusal(directory, ring, &error),
            surrealkv::Error::Other(message) if message.contains("already locked") => {
                OpenError::InUse(directory.to_owned())
            }
            error => unreadable(error.to_string()),
        })?;
        // The engine syncs what is in its folder; that the folder is there has to survive a power cut as well.
        weir_migrations::marker::sync_directory(directory).map_err(|error| unreadable(error.to_string()))?;
        let report = tree.recovery_report();
        if report.bytes_trimmed > 0 || report.records_dropped > 0 {
            tracing::warn!(
                bytes = report.bytes_trimmed,
                records = report.records_dropped,
                "cut unfinished commits off the log"
            );
        }
        Ok(Self {
            tree: Arc::new(tree),
            health,
            directory: directory.to_owned(),
            keys,
            #[cfg(test)]
            disk: Arc::default(),
        })
    }

    /// The state as of now, for reading. As long as it lives, compaction keeps what it can see.
    pub(crate) fn live(&self) -> Result<Live, Poisoned> {
        match self.tree.begin_with_mode(Mode::ReadOnly) {
            Ok(transaction) => Ok(Live { transaction: Arc::new(transaction), health: self.health.clone() }),
            Err(error) => Err(self.health.poison(error)),
        }
    }

    /// An empty batch of writes.
    pub(crate) fn batch(&self) -> Result<Batch, Poisoned> {
        match self.tree.begin_with_mode(Mode::WriteOnly) {
            Ok(transaction) => Ok(Batch {
                transaction,
                health: self.health.clone(),
                #[cfg(test)]
                disk: self.disk.clone(),
            }),
            Err(error) => Err(self.health.poison(error)),
        }
    }

    /// Poisons the store if the engine stopped by itself, say because a flush in the background failed.
    pub(crate) fn check(&self) -> Result<(), Poisoned> {
        self.health.check()?;
        if !self.tree.is_stopped() {
            return Ok(());
        }
        let reason = self.tree.background_error().map_or_else(|| "unknown".to_owned(), |error| error.error.to_string());
        Err(self.health.poison(format_args!("the storage engine stopped: {reason}")))
    }

    /// What the engine notes about a checkpoint beside its files. A database is opened without it.
    pub(crate) const CHECKPOINT_NOTE: &str = "CHECKPOINT_METADATA";

    /// Makes a database of the state as of now in another folder, which shares the tables with this one by hard links.
    /// Blocks until all is on disk. That it fails says nothing of this database.
    pub(crate) fn checkpoint(&self, tree: &Path) -> Result<(), String> {
        self.tree.create_checkpoint(tree).map(drop).map_err(|error| error.to_string())
    }

    /// Flushes and closes. Later commits fail, snapshots that are open go on.
    pub(crate) async fn close(&self) -> Result<(), Poisoned> {
        self.tree.close().await.map_err(|error| self.health.poison(format_args!("closing failed: {error}")))
    }

    /// Ends the database as a crash does.
    #[cfg(test)]
    pub(crate) fn abandon(&self) {
        self.tree.abandon();
    }
}

/// Opens the tree, and cuts a torn tail off its log if there is one.
fn build(mut settings: surrealkv::Options) -> Result<Tree, surrealkv::Error> {
    settings.wal_recovery_mode = WalRecoveryMode::AbsoluteConsistency;
    for _ in 0..LOG_READS {
        match TreeBuilder::with_options(settings.clone()).build() {
            Err(surrealkv::Error::WalCorruption { .. }) => {}
            built => return built,
        }
    }
    settings.wal_recovery_mode = WalRecoveryMode::TolerateTornTail;
    TreeBuilder::with_options(settings).build()
}

/// One state of the database. Clones share it.
#[derive(Clone)]
pub(crate) struct Live {
    transaction: Arc<surrealkv::Transaction>,
    health: Health,
}

/// A version of a key.
pub(crate) struct Version {
    pub(crate) key: Key,
    pub(crate) timestamp: Timestamp,
    /// `None` where it was removed.
    pub(crate) value: Option<Bytes>,
}

impl Live {
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Poisoned> {
        let found = self.transaction.get(key).map_err(|error| self.health.poison(error))?;
        Ok(found.map(Bytes::from))
    }

    /// What a key had at a time in the past.
    pub(crate) fn get_at(&self, key: &[u8], at: Timestamp) -> Result<Option<Bytes>, Poisoned> {
        let found = self.transaction.get_at(key, at.0).map_err(|error| self.health.poison(error))?;
        Ok(found.map(Bytes::from))
    }

    /// The entries of an interval, one after the other; only what is taken is read.
    pub(crate) fn entries(&self, interval: &Interval, direction: Direction) -> Result<Entries<'_>, Poisoned> {
        if interval.is_empty() {
            return Ok(Entries { iterator: None, direction, started: false, health: &self.health });
        }
        match self.transaction.range(interval.start.as_slice(), interval.end.as_slice()) {
            Ok(iterator) => {
                Ok(Entries { iterator: Some(Box::new(iterator)), direction, started: false, health: &self.health })
            }
            Err(error) => Err(self.health.poison(error)),
        }
    }

    /// All versions up to a time of the keys of an interval, key by key: upwards of each the newest first, downwards the
    /// oldest.
    pub(crate) fn versions(
        &self,
        interval: &Interval,
        direction: Direction,
        until: Timestamp,
    ) -> Result<Versions<'_>, Poisoned> {
        if interval.is_empty() {
            return Ok(Versions { iterator: None, direction, started: false, health: &self.health });
        }
        // Without its tombstones a deleted key would seem to have the value before.
        let options = HistoryOptions::new().with_tombstones(true).with_ts_range(0, until.0);
        match self.transaction.history_with_options(interval.start.as_slice(), interval.end.as_slice(), &options) {
            Ok(iterator) => {
                Ok(Versions { iterator: Some(Box::new(iterator)), direction, started: false, health: &self.health })
            }
            Err(error) => Err(self.health.poison(error)),
        }
    }

    /// Fails the store over data that contradicts itself.
    pub(crate) fn damaged(&self, what: impl std::fmt::Display) -> Poisoned {
        self.health.poison(format_args!("the data is damaged: {what}"))
    }
}

/// The entries of an interval of one state.
pub(crate) struct Entries<'a> {
    iterator: Option<Box<dyn LSMIterator + 'a>>,
    direction: Direction,
    started: bool,
    health: &'a Health,
}

impl Entries<'_> {
    fn step(&mut self) -> Result<Option<(Key, Bytes)>, surrealkv::Error> {
        let Some(iterator) = self.iterator.as_mut() else { return Ok(None) };
        let valid = match (self.direction, self.started) {
            (Direction::Asc, false) => iterator.seek_first()?,
            (Direction::Asc, true) => iterator.next()?,
            (Direction::Desc, false) => iterator.seek_last()?,
            (Direction::Desc, true) => iterator.prev()?,
        };
        self.started = true;
        if valid { Ok(Some((iterator.key().user_key().to_vec(), iterator.value()?.into()))) } else { Ok(None) }
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<(Key, Bytes), Poisoned>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if !matches!(step, Ok(Some(_))) {
            self.iterator = None;
        }
        step.map_err(|error| self.health.poison(error)).transpose()
    }
}

/// The versions of the keys of an interval.
pub(crate) struct Versions<'a> {
    iterator: Option<Box<dyn LSMIterator + 'a>>,
    direction: Direction,
    started: bool,
    health: &'a Health,
}

impl Versions<'_> {
    fn step(&mut self) -> Result<Option<Version>, surrealkv::Error> {
        let Some(iterator) = self.iterator.as_mut() else { return Ok(None) };
        let valid = match (self.direction, self.started) {
            (Direction::Asc, false) => iterator.seek_first()?,
            (Direction::Asc, true) => iterator.next()?,
            (Direction::Desc, false) => iterator.seek_last()?,
            (Direction::Desc, true) => iterator.prev()?,
        };
        self.started = true;
        if !valid {
            return Ok(None);
        }
        let (key, timestamp, removed) = {
            let key = iterator.key();
            (key.user_key().to_vec(), Timestamp(key.timestamp()), key.is_tombstone())
        };
        let value = if removed { None } else { Some(Bytes::from(iterator.value()?)) };
        Ok(Some(Version { key, timestamp, value }))
    }
}

impl Iterator for Versions<'_> {
    type Item = Result<Version, Poisoned>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if !matches!(step, Ok(Some(_))) {
            self.iterator = None;
        }
        step.map_err(|error| self.health.poison(error)).transpose()
    }
}

/// Writes that take effect together.
pub(crate) struct Batch {
    transaction: surrealkv::Transaction,
    health: Health,
    #[cfg(test)]
    disk: Arc<Disk>,
}

/// How the engine ended a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// It is durable.
    Durable,
    /// Nothing of it took effect.
    Refused,
}

impl Batch {
    /// Writes a new version; the ones before stay in the history.
    pub(crate) fn put_at(&mut self, key: &[u8], value: &[u8], at: Timestamp) -> Result<(), Poisoned> {
        self.transaction.set_at(key, value, at.0).map_err(|error| self.health.poison(error))
    }

    /// Removes a key; the versions before stay in the history.
    pub(crate) fn remove_at(&mut self, key: &[u8], at: Timestamp) -> Result<(), Poisoned> {
        let options = WriteOptions::new().with_timestamp(Some(at.0));
        self.transaction.soft_delete_with_options(key, &options).map_err(|error| self.health.poison(error))
    }

    /// Writes a key that has no history.
    pub(crate) fn replace(&mut self, key: &[u8], value: &[u8]) -> Result<(), Poisoned> {
        self.transaction.replace(key, value).map_err(|error| self.health.poison(error))
    }

    /// Removes a key and its history.
    pub(crate) fn erase(&mut self, key: &[u8]) -> Result<(), Poisoned> {
        self.transaction.delete(key).map_err(|error| self.health.poison(error))
    }

    /// Makes the batch durable. Only a conflict is known to have written nothing; any other error stops the store.
    pub(crate) async fn commit(mut self) -> Result<Written, Poisoned> {
        #[cfg(test)]
        {
            let _open = self.disk.gate.read().await;
            if self.disk.refuses.swap(false, std::sync::atomic::Ordering::SeqCst) {
                return Ok(Written::Refused);
            }
        }
        self.transaction.set_durability(Durability::Immediate);
        match self.transaction.commit().await {
            Ok(()) => Ok(Written::Durable),
            Err(surrealkv::Error::TransactionWriteConflict) => Ok(Written::Refused),
            Err(error) => Err(self.health.poison(error)),
        }
    }
}
