//! The limits of a store, by name, and its keys.

use std::time::Duration;

use weir_schema::limits::{
    TRANSACTION_BYTES_MAX, TRANSACTION_DOCUMENTS_READ_MAX, TRANSACTION_DOCUMENTS_WRITTEN_MAX, TRANSACTION_MS_MAX,
};

use crate::keys::KeyRing;
use crate::validation::Validation;

/// What a store may use. Sizes are bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Commits that wait for the committer; more callers wait before they may.
    pub commit_queue_max: usize,
    /// Commits that are made durable together.
    pub commit_group_max: usize,
    /// Written bytes that are made durable together; one larger commit goes alone.
    pub commit_group_bytes_max: usize,
    /// Bytes that one transaction may write: documents and index entries.
    pub transaction_bytes_max: usize,
    /// Documents that one transaction may read, counted as often as it reads them.
    pub transaction_documents_read_max: u64,
    /// Documents that one transaction may write.
    pub transaction_documents_written_max: u64,
    /// How long a transaction may be open: its snapshot holds back compaction.
    pub transaction_age_max: Duration,
    /// Runs beside others before a transaction that conflicts waits for its turn.
    pub attempts_optimistic: u32,
    /// How far back the state can be read.
    pub history: Duration,
    /// How long journal entries are kept.
    pub journal_age_max: Duration,
    /// Bytes of the journal that are kept.
    pub journal_bytes_max: u64,
    /// Between two looks at what is too old: transactions, turns, journal entries, kept outcomes.
    pub upkeep_interval: Duration,
    /// Keys that one step of that erases.
    pub upkeep_batch_max: usize,
    /// Recent commits that read sets are validated against. An older transaction has to be run again.
    pub conflict_window_commits_max: usize,
    /// Keys that those commits touched.
    pub conflict_window_keys_max: usize,
    /// Notices that a slow receiver may be behind before it misses some.
    pub notices_max: usize,
    /// Documents or entries that one step of building or dropping an index covers.
    pub index_batch_max: usize,
    /// Blocks of the tables that are kept in memory.
    pub block_cache_bytes: u64,
    /// Recent writes that are kept in memory before they become a table.
    pub memtable_bytes: usize,
    /// Threads that flush, compact and commit.
    pub worker_threads: usize,
    /// What commits are held to. Always [`Validation::Serializable`] but in the tests of the checker.
    pub validation: Validation,
    /// Encrypts the folder. A folder is created with or without, and stays so.
    pub encryption: Option<KeyRing>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            commit_queue_max: 4_096,
            commit_group_max: 1_024,
            commit_group_bytes_max: 32 << 20,
            transaction_bytes_max: TRANSACTION_BYTES_MAX,
            transaction_documents_read_max: TRANSACTION_DOCUMENTS_READ_MAX,
            transaction_documents_written_max: TRANSACTION_DOCUMENTS_WRITTEN_MAX,
            transaction_age_max: Duration::from_millis(TRANSACTION_MS_MAX),
            attempts_optimistic: 1,
            history: Duration::from_secs(24 * 3_600),
            journal_age_max: Duration::from_secs(7 * 24 * 3_600),
            journal_bytes_max: 256 << 20,
            upkeep_interval: Duration::from_millis(500),
            upkeep_batch_max: 4_096,
            conflict_window_commits_max: 65_536,
            conflict_window_keys_max: 1 << 20,
            notices_max: 8_192,
            index_batch_max: 1_000,
            block_cache_bytes: 32 << 20,
            memtable_bytes: 64 << 20,
            worker_threads: 4,
            validation: Validation::Serializable,
            encryption: None,
        }
    }
}

impl Options {
    /// `history` in nanoseconds.
    pub(crate) fn history_ns(&self) -> u64 {
        u64::try_from(self.history.as_nanos()).unwrap_or(u64::MAX)
    }

    /// How long versions are kept, in nanoseconds: longer than promised, so that a read at the end of the history has
    /// time to finish before it is cut.
    pub(crate) fn versions_ns(&self) -> u64 {
        let kept = self.history.saturating_add(self.transaction_age_max.saturating_mul(2));
        u64::try_from(kept.as_nanos()).unwrap_or(u64::MAX)
    }
}
