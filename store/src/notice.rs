//! What is told of a commit: to its caller, and to all who watch.

use weir_schema::codec::journal::Head;
use weir_schema::codec::key::Key;
use weir_schema::commit::Timestamp;

/// Where a committed transaction stands in the order of commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// Its timestamp; of the snapshot where nothing was written.
    pub timestamp: Timestamp,
    /// Its sequence number; of the snapshot where nothing was written.
    pub sequence: u64,
}

/// A commit and the keys whose readers it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// When, by the store's clock.
    pub timestamp: Timestamp,
    /// Its place in the order of commits.
    pub sequence: u64,
    /// Sorted. Every written document, and all its index entries before and after, those that stayed the same
    /// included: so the interval of an index scan covers the documents that it led to.
    pub touched: Box<[Key]>,
}

impl Notice {
    /// `touched` is sorted.
    pub(crate) fn new(head: Head, touched: Vec<Key>) -> Self {
        Self { timestamp: head.timestamp, sequence: head.sequence, touched: touched.into_boxed_slice() }
    }
}
