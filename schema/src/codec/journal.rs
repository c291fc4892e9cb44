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
