//! States of the past: what documents and index ranges were at a time, and what one document has been.
//!
//! Rule: an answer is that of the state then, with the catalog of then, or there is none. What retention may have
//! removed is refused, also where it was shorter before than it is now.

use std::collections::BTreeMap;

use bytes::Bytes;
use weir_schema::codec::journal::{Head, HistoryExtent};
use weir_schema::codec::key;
use weir_schema::commit::Timestamp;
use weir_schema::id::DocumentId;

use crate::clock;
use crate::engine::Live;
use crate::error::{HistoryError, Poisoned, ReadError, ScanError};
use crate::options::Options;
use crate::read_set::Interval;
use crate::scan::{Direction, Rows, Scan};
use crate::store::{Core, parse_catalog, read_record};
use crate::transaction::Transaction;

/// The state after the last commit up to a time. Like a [`Transaction`] it is cut when it is open for too long.
pub struct Past {
    reading: Transaction,
    timestamp: Timestamp,
}

/// What a document was from a commit on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The commit.
    pub timestamp: Timestamp,
    /// As JSON text; `None` where it was deleted.
    pub document: Option<Bytes>,
}

impl Past {
    pub(crate) fn open(core: &Core, at: Timestamp) -> Result<Self, HistoryError> {
        core.health.check()?;
        let (live, head) = core.live()?;
        core.history.check(at, head)?;
        let catalog = match live.get_at(key::CATALOG, at)? {
            Some(text) => parse_catalog(&live, &text)?,
            None => crate::catalog::Catalog::default(),
        };
        let base = crate::snapshot::Base::past(core.readers.open(live), at);
        let reading = Transaction::new(base, head, catalog.into(), core.allowance());
        Ok(Self { reading, timestamp: at })
    }

    /// What it reads with.
    pub(crate) fn into_reading(self) -> Transaction {
        self.reading
    }

    /// The time that was asked for.
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// A document as JSON text, `id` first.
    pub fn get(&mut self, collection: &str, id: &DocumentId) -> Result<Option<Bytes>, ReadError> {
        self.reading.get(collection, id)
    }

    /// Reads the rows of a scan, along the indexes of then.
    pub fn scan(&mut self, collection: &str, scan: &Scan) -> Result<Rows, ScanError> {
        self.reading.scan(collection, scan)
    }

    /// Counts the rows of a scan.
    pub fn count(&mut self, collection: &str, scan: &Scan) -> Result<u64, ScanError> {
        self.reading.count(collection, scan)
    }

    /// The collections of then.
    pub fn collections(&self) -> Vec<String> {
        let all: &BTreeMap<String, _> = &self.reading.catalog.collections;
        all.iter().filter(|(_, collection)| collection.declared).map(|(name, _)| name.clone()).collect()
    }

    /// What the document has been up to that time, the newest first, at most `limit` versions. The oldest that is told
    /// may be one from before the history begins: it is what the document was then.
    pub fn versions(&mut self, name: &str, id: &DocumentId, limit: usize) -> Result<Vec<Version>, ReadError> {
        let collection = self.reading.catalog.collection(name);
        let number = collection.ok_or_else(|| ReadError::UnknownCollection(name.to_owned()))?.number;
        let state = self.reading.base.state()?;
        let document = Interval::point(key::document(number, id));
        let versions = state.live().versions(&document, Direction::Asc, self.timestamp)?.take(limit);
        let told = versions
            .map(|version| version.map(|version| Version { timestamp: version.timestamp, document: version.value }));
        Ok(told.collect::<Result<_, Poisoned>>()?)
    }
}

/// How far back versions are kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct History {
    since: Timestamp,
    kept_ns: u64,
}

impl History {
    /// Works out what can be read from now on, and the record of it. What a shorter retention has removed before does
    /// not come back.
    pub(crate) fn open(stored: Option<HistoryExtent>, head: Head, options: &Options) -> (Self, HistoryExtent) {
        let kept_ns = options.history_ns();
        let since = match stored {
            // Without a record versions were not kept.
            None => head.timestamp,
            Some(stored) if stored.kept_ns < kept_ns => stored.since.max(before(now(head), stored.kept_ns)),
            Some(stored) => stored.since,
        };
        (Self { since, kept_ns }, HistoryExtent { since, kept_ns })
    }

    /// The oldest time whose state can be read.
    pub(crate) fn oldest(&self, head: Head) -> Timestamp {
        self.since.max(before(now(head), self.kept_ns))
    }

    fn check(&self, asked: Timestamp, head: Head) -> Result<(), HistoryError> {
        if asked > head.timestamp {
            return Err(HistoryError::NotYet { asked, last: head.timestamp });
        }
        // The state of the last commit is always there, however old it is.
        let oldest = self.oldest(head).min(head.timestamp);
        if asked < oldest { Err(HistoryError::Forgotten { asked, oldest }) } else { Ok(()) }
    }
}

/// The record of the history, if there is one.
pub(crate) fn extent(live: &Live) -> Result<Option<HistoryExtent>, Poisoned> {
    read_record(live, key::HISTORY_EXTENT, "extent of the history")
}

fn before(time: Timestamp, ns: u64) -> Timestamp {
    Timestamp(time.0.saturating_sub(ns))
}

/// The time of day, or that of the last commit where the clock was set back since.
fn now(head: Head) -> Timestamp {
    Timestamp(clock::now_ns().max(head.timestamp.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_longer_retention_does_not_bring_back_what_a_shorter_one_removed() {
        let hours = |count: u64| Duration::from_secs(count * 3_600);
        let ns = |count: u64| count * 3_600_000_000_000;
        let options = |count: u64| Options { history: hours(count), ..Options::default() };
        let head = Head { timestamp: Timestamp(clock::now_ns() + ns(1)), ..Head::default() };
        let ago = |count: u64| Timestamp(head.timestamp.0 - ns(count));

        let (fresh, record) = History::open(None, head, &options(24));
        assert_eq!(fresh.oldest(head), head.timestamp);
        assert_eq!(record, HistoryExtent { since: head.timestamp, kept_ns: ns(24) });

        let stored = HistoryExtent { since: ago(100), kept_ns: ns(2) };
        assert_eq!(History::open(Some(stored), head, &options(2)).0.oldest(head), ago(2));
        assert_eq!(History::open(Some(stored), head, &options(1)).0.oldest(head), ago(1));
        let (longer, record) = History::open(Some(stored), head, &options(24));
        assert_eq!(longer.oldest(head), ago(2));
        assert_eq!(record.since, ago(2));
        assert!(longer.check(ago(3), head).is_err() && longer.check(ago(2), head).is_ok());
    }
}
