//! Journal entries: what one commit wrote, in the order of commits.

use serde::{Deserialize, Serialize};

use super::key::CollectionNumber;
use crate::commit::Timestamp;
use crate::id::DocumentId;

/// One commit, as the journal keeps it (JSON text under `L` sequence).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// Its place: 1 for the first, no gaps.
    pub sequence: u64,
    /// When, by the store's clock; rises with the sequence.
    pub timestamp: Timestamp,
    /// Bytes of all entries before it since the first, keys included: what lies between two entries is their difference.
    pub offset: u64,
    /// The documents that it wrote, each once. None where it changed the catalog or the entries of an index only.
    pub changes: Vec<Change>,
}

/// One written document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its collection.
    pub collection: CollectionNumber,
    /// Its id.
    pub id: DocumentId,
    /// What became of it.
    pub kind: ChangeKind,
}

/// What a commit did to a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ChangeKind {
    /// Inserted or replaced.
    Put,
    /// Deleted.
    Delete,
}

/// How far the journal reaches (JSON text under `M` `journal`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalExtent {
    /// The sequence of the first entry that is kept; one past the last commit where none is.
    pub first: u64,
    /// The offset of the entry to come.
    pub end: u64,
}

impl Default for JournalExtent {
    /// A journal without entries.
    fn default() -> Self {
        Self { first: 1, end: 0 }
    }
}

/// From when on old versions are known (JSON text under `M` `history`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryExtent {
    /// No earlier state can be read, however long versions are kept from now on.
    pub since: Timestamp,
    /// How long old versions were kept when this was written, in nanoseconds.
    pub kept_ns: u64,
}

/// The last commit (JSON text under `M` `head`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Its sequence, 0 before the first.
    pub sequence: u64,
    /// Its timestamp, 0 before the first.
    pub timestamp: Timestamp,
    /// The version of the catalog at that commit, 0 before the first.
    pub catalog: u64,
}
