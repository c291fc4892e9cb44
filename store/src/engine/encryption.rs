//! The engine's encryption: the keys that it asks for, why it opens nothing without the right ones, and which of its
//! files were written with which.
//!
//! Every file is encrypted with a key of its own, made from the key of the ring that is active when the file is begun.
//! Nothing of a ring is ever written, but each file names, readable, the number of the key that it was made from.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use surrealkv::{CipherPreference, CipherSuite, CompactRangeOptions, EncryptionError, KeyManager, KeyState, inspect};

use super::{Engine, TREE};
use crate::encryption::{EncryptionStatus, KeyStatus};
use crate::error::OpenError;
use crate::keys::{KeyBytes, KeyId, KeyRing};

/// How much is rewritten at once, in bytes, give or take a table. The level above comes along each time, so that less
/// would be rewritten more often; while it lasts no other compaction runs.
const STEP_BYTES: u64 = 256 << 20;

/// The ring that the engine uses now. It can be exchanged while the engine runs.
pub(super) struct Keys(ArcSwap<KeyRing>);

impl Keys {
    pub(super) fn new(ring: KeyRing) -> Arc<Self> {
        Arc::new(Self(ArcSwap::from_pointee(ring)))
    }
}

impl KeyManager for Keys {
    fn active_key_id(&self) -> u32 {
        self.0.load().active()
    }

    fn key_state(&self, id: u32) -> KeyState {
        let ring = self.0.load();
        if id == ring.active() {
            KeyState::Active
        } else if ring.has(id) {
            KeyState::DecryptOnly
        } else {
            KeyState::Unknown
        }
    }

    fn root_key(&self, id: u32) -> Result<KeyBytes, EncryptionError> {
        self.0.load().bytes(id).cloned().ok_or(EncryptionError::UnknownKeyId)
    }
}

/// What the engine is told to encrypt with.
pub(super) fn encrypted(settings: surrealkv::Options, keys: &Arc<Keys>) -> surrealkv::Options {
    settings.with_encryption(keys.clone(), CipherPreference::Auto)
}

/// Why a folder does not open with these keys.
pub(super) fn refusal(directory: &Path, ring: Option<&KeyRing>, error: &EncryptionError) -> OpenError {
    let directory = directory.to_owned();
    match error {
        EncryptionError::NotConfigured => OpenError::KeysMissing(directory),
        EncryptionError::NotEncrypted => OpenError::NotEncrypted(directory),
        EncryptionError::UnknownKeyId => {
            let missing = written_with(&directory).into_iter().filter(|id| !ring.is_some_and(|ring| ring.has(*id)));
            OpenError::KeyMissing { missing: missing.collect(), directory }
        }
        EncryptionError::WrongKey => {
            let given = written_with(&directory).into_iter().filter(|id| ring.is_some_and(|ring| ring.has(*id)));
            OpenError::WrongKey { given: given.collect(), directory }
        }
        other => OpenError::Unreadable { directory, message: other.to_string() },
    }
}

/// The numbers of the keys that the files of a folder name, which needs no key.
fn written_with(directory: &Path) -> Vec<KeyId> {
    let report = inspect::encryption_report(directory.join(TREE));
    report.map(|report| report.keys.iter().map(|usage| usage.key_id).collect()).unwrap_or_default()
}

/// Reads the names of keys off the files of a folder, whether it is in use or not.
pub(crate) fn status(directory: &Path, ring: Option<&KeyRing>) -> Result<Option<EncryptionStatus>, String> {
    let report = inspect::encryption_report(directory.join(TREE)).map_err(|error| error.to_string())?;
    Ok(summarize(report, ring))
}

fn summarize(report: surrealkv::EncryptionStatus, ring: Option<&KeyRing>) -> Option<EncryptionStatus> {
    if !report.encrypted {
        return None;
    }
    let cipher = match report.suite {
        Some(CipherSuite::Aes256Gcm) => "AES-256-GCM",
        Some(CipherSuite::XChaCha20Poly1305) => "XChaCha20-Poly1305",
        _ => "an unknown cipher",
    };
    let held = |id| ring.is_some_and(|ring| ring.has(id));
    let used = report.keys.iter().map(|usage| {
        let total = usage.total();
        KeyStatus { id: usage.key_id, files: total.files, bytes: total.bytes, is_held: held(usage.key_id) }
    });
    let mut keys: Vec<KeyStatus> = used.collect();
    for id in ring.into_iter().flat_map(KeyRing::ids) {
        if keys.iter().all(|key| key.id != id) {
            keys.push(KeyStatus { id, files: 0, bytes: 0, is_held: true });
        }
    }
    keys.sort_by_key(|key| key.id);
    Some(EncryptionStatus {
        cipher,
        active: ring.map(KeyRing::active),
        keys,
        unattributed_files: report.unattributed.files,
        remarks: report.warnings.into_iter().chain(report.notes).collect(),
    })
}

/// Neighbouring tables of a level that were not written with the active key.
pub(crate) struct OldTables {
    level: u8,
    is_last_level: bool,
    ids: Vec<u64>,
    /// From their first key to just behind their last.
    start: Vec<u8>,
    end: Vec<u8>,
    /// Their size.
    pub(crate) bytes: u64,
}

impl OldTables {
    /// How many they are.
    pub(crate) fn count(&self) -> usize {
        self.ids.len()
    }
}

/// All of these block: they are for threads that may.
impl Engine {
    /// The ring in use; `None`: the folder is not encrypted.
    pub(crate) fn ring(&self) -> Option<Arc<KeyRing>> {
        self.keys.as_ref().map(|keys| keys.0.load_full())
    }

    /// From now on new files are written with the active key of this ring.
    pub(crate) fn exchange(&self, ring: KeyRing) -> Result<(), String> {
        let Some(keys) = &self.keys else { return Ok(()) };
        keys.0.store(Arc::new(ring));
        self.tree.prepare_keys().map_err(|error| error.to_string())
    }

    /// Which keys its files need; `None`: it is not encrypted.
    pub(crate) fn encryption_status(&self) -> Result<Option<EncryptionStatus>, String> {
        let report = self.tree.encryption_status().map_err(|error| error.to_string())?;
        Ok(summarize(report, self.ring().as_deref()))
    }

    /// Ends every file that is being written, except those begun meanwhile: recent writes become a table, the log and
    /// the manifest begin anew, and a compaction that runs is waited for. Without recent writes the log stays.
    pub(crate) fn begin_new_files(&self) -> Result<(), String> {
        // No key lies between equal bounds, so no table is rewritten; but each step waits for its turn.
        let flush = CompactRangeOptions { flush_memtable: true, ..CompactRangeOptions::default() };
        self.tree.compact_range(Some(&[]), Some(&[]), &flush).map_err(|error| error.to_string())
    }

    /// The tables that need another key than the active one, from the top level down, in steps of some size.
    pub(crate) fn old_tables(&self) -> Result<Vec<OldTables>, String> {
        let Some(keys) = &self.keys else { return Ok(Vec::new()) };
        let tree = self.directory.join(TREE);
        let settings = encrypted(surrealkv::Options::new().with_path(tree.clone()), keys);
        let manifest = inspect::dump_manifest_with_options(&tree, &settings).map_err(|error| error.to_string())?;
        let (active, last) = (keys.active_key_id(), manifest.levels.len().saturating_sub(1));
        let mut steps = Vec::new();
        for level in manifest.levels {
            let mut step: Option<OldTables> = None;
            for table in level.tables {
                let is_old = self.key_of(table.id)?.is_some_and(|id| id != active);
                // The tables of the uppermost level overlap and are merged together in any case.
                let is_full = level.level > 0 && step.as_ref().is_some_and(|step| step.bytes >= STEP_BYTES);
                if !is_old || is_full {
                    steps.extend(step.take());
                }
                if !is_old {
                    continue;
                }
                let step = step.get_or_insert_with(|| OldTables {
                    level: u8::try_from(level.level).unwrap_or(u8::MAX),
                    is_last_level: level.level >= last,
                    ids: Vec::new(),
                    start: table.smallest_key.clone(),
                    end: Vec::new(),
                    bytes: 0,
                });
                let mut end = table.largest_key;
                end.push(0);
                step.start = table.smallest_key.min(std::mem::take(&mut step.start));
                step.end = end.max(std::mem::take(&mut step.end));
                step.ids.push(table.id);
                step.bytes += table.file_size;
            }
            steps.extend(step);
        }
        Ok(steps)
    }

    /// Writes tables again, with the active key, but for those that a compaction has taken meanwhile. A table can be
    /// rewritten where it is in the last level only; others are merged into the level below.
    pub(crate) fn rewrite(&self, tables: &OldTables) -> Result<(), String> {
        let mut is_left = false;
        for id in &tables.ids {
            is_left |= self.key_of(*id)?.is_some();
        }
        if !is_left {
            return Ok(());
        }
        let how = CompactRangeOptions {
            flush_memtable: false,
            target_level: if tables.is_last_level { None } else { Some(tables.level.saturating_add(1)) },
            rewrite_bottommost: tables.is_last_level,
        };
        self.tree.compact_range(Some(&tables.start), Some(&tables.end), &how).map_err(|error| error.to_string())
    }

    /// The key that a table was written with; `None`: the table is gone.
    fn key_of(&self, table: u64) -> Result<Option<KeyId>, String> {
        let path = self.directory.join(TREE).join("sstables").join(format!("{table:020}.sst"));
        if !path.exists() {
            return Ok(None);
        }
        match inspect::describe_file(&path) {
            Ok(file) => Ok(file.crypto().map(|crypto| crypto.key_id)),
            Err(_) if !path.exists() => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }
}
