//! What of a transaction must not have changed since its snapshot, for it to be committed.

use std::borrow::Cow;

use weir_schema::codec::key::{self, Key};

use crate::read_set::ReadSet;

/// What commits are held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validation {
    /// All that was read: transactions are serializable.
    Serializable,
    /// What was written, no more: snapshot isolation, which has write skew and phantoms.
    ///
    /// Exists only so that the checker of histories can be proven to find these anomalies in the store itself
    /// (`tests/it/histories.rs`). No command and no configuration leads here.
    SnapshotForProof,
}

impl Validation {
    /// What is compared with the commits since the snapshot.
    pub(crate) fn compared<'a>(self, read_set: &'a ReadSet, touched: &[Key]) -> Cow<'a, ReadSet> {
        match self {
            Self::Serializable => Cow::Borrowed(read_set),
            // The store's own commits to its catalog have read nothing.
            Self::SnapshotForProof if read_set.is_empty() => Cow::Borrowed(read_set),
            Self::SnapshotForProof => {
                let mut written = ReadSet::default();
                touched.iter().for_each(|key| written.add_point(key.clone()));
                read_set.points().filter(|point| *point == key::CATALOG).for_each(|key| written.add_point(key.clone()));
                Cow::Owned(written)
            }
        }
    }
}
