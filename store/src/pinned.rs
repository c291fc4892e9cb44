//! One state for readers that take their time: streams, and results that are sent line by line.
//!
//! Rule: all that is read is of one commit, and nobody holds back compaction for it. The snapshot behind it is given back
//! before it would be cut. What is read after that comes from a new snapshot, as long as nothing has been committed, and
//! from the history later on; once that no longer reaches back so far, reading ends with an error.

use std::time::{Duration, Instant};

use bytes::Bytes;
use weir_schema::codec::journal::Head;
use weir_schema::commit::Timestamp;
use weir_schema::id::DocumentId;

use crate::error::{HistoryError, Poisoned, ReadError, ScanError};
use crate::scan::{Rows, Scan};
use crate::store::Store;
use crate::transaction::Transaction;

/// The state after one commit, for as long as it is needed and the history is kept.
pub struct Pinned {
    store: Store,
    head: Head,
    reading: Transaction,
    since: Instant,
    renewed_after: Duration,
}

impl Pinned {
    pub(crate) fn open(store: &Store) -> Result<Self, Poisoned> {
        let reading = store.core().begin()?;
        reading.base.expect_cut();
        let head = reading.head();
        // Long before it would be cut: what begins to read shall find it there.
        let renewed_after = store.core().options.transaction_age_max / 2;
        Ok(Self { store: store.clone(), head, reading, since: Instant::now(), renewed_after })
    }

    /// The commit whose state is read.
    pub fn commit(&self) -> Timestamp {
        self.head.timestamp
    }

    /// The same, with its place in the order of commits.
    pub fn head(&self) -> Head {
        self.head
    }

    /// A document as JSON text, `id` first.
    pub fn get(&mut self, collection: &str, id: &DocumentId) -> Result<Option<Bytes>, ReadError> {
        self.reading()?.get(collection, id)
    }

    /// Reads the rows of a scan, no more than its limit.
    pub fn scan(&mut self, collection: &str, scan: &Scan) -> Result<Rows, ScanError> {
        self.reading()?.scan(collection, scan)
    }

    /// As [`Transaction::fields_of`].
    pub fn fields_of(&mut self, collection: &str, scan: &Scan) -> Result<Vec<String>, ScanError> {
        self.reading()?.fields_of(collection, scan)
    }

    /// As [`Transaction::scan_others`].
    pub fn scan_others(&mut self, collection: &str, scan: &Scan) -> Result<Rows, ScanError> {
        self.reading()?.scan_others(collection, scan)
    }

    /// Counts the rows of a scan.
    pub fn count(&mut self, collection: &str, scan: &Scan) -> Result<u64, ScanError> {
        self.reading()?.count(collection, scan)
    }

    fn reading(&mut self) -> Result<&mut Transaction, ReadError> {
        if self.since.elapsed() >= self.renewed_after || self.reading.base.state().is_err() {
            self.reading = self.reopen()?;
            self.reading.base.expect_cut();
            self.since = Instant::now();
        }
        // Nothing is ever committed, so nobody asks what was read.
        self.reading.forget_reads();
        Ok(&mut self.reading)
    }

    fn reopen(&self) -> Result<Transaction, ReadError> {
        let newest = self.store.core().begin()?;
        // The history is slower to read.
        if newest.timestamp() == self.head.timestamp {
            return Ok(newest);
        }
        match self.store.at(self.head.timestamp) {
            Ok(past) => Ok(past.into_reading()),
            Err(HistoryError::Unavailable(poisoned)) => Err(poisoned.into()),
            Err(HistoryError::Forgotten { asked, .. } | HistoryError::NotYet { asked, .. }) => {
                Err(ReadError::Outlived { commit: asked })
            }
        }
    }
}
