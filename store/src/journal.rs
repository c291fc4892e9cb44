//! The journal: the check at start that no commit is missing, and what follows it.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;
use weir_schema::codec::journal::{Head, JournalEntry, JournalExtent};
use weir_schema::codec::key;

use crate::engine::Live;
use crate::error::{OpenError, Poisoned, TailError};
use crate::read_set::Interval;
use crate::scan::Direction;
use crate::store::{Core, read_record};

/// Entries that a tail reads at a time.
const TAIL_BATCH: usize = 256;

/// Walks the whole journal: it has to count from its first kept entry to the last commit.
pub(crate) fn check(directory: &Path, live: &Live, extent: JournalExtent, head: Head) -> Result<(), OpenError> {
    let unreadable = |poisoned: Poisoned| OpenError::Unreadable {
        directory: directory.to_owned(),
        message: poisoned.reason.to_string(),
    };
    let gap = |expected_after, found| OpenError::JournalGap { directory: directory.to_owned(), expected_after, found };
    let mut last = extent.first.saturating_sub(1);
    let entries = live.entries(&Interval::prefix(key::journal_all()), Direction::Asc).map_err(unreadable)?;
    for entry in entries {
        let (key, _) = entry.map_err(unreadable)?;
        let found = key::journal_sequence(&key).unwrap_or(u64::MAX);
        if found != last + 1 {
            return Err(gap(last, found));
        }
        last = found;
    }
    if last == head.sequence { Ok(()) } else { Err(gap(last, head.sequence)) }
}

/// The extent of the journal as a state has it.
pub(crate) fn extent(live: &Live) -> Result<JournalExtent, Poisoned> {
    read_record(live, key::JOURNAL_EXTENT, "extent of the journal")
}

/// Reads an entry.
pub(crate) fn parse(live: &Live, text: &[u8]) -> Result<JournalEntry, Poisoned> {
    serde_json::from_slice(text).map_err(|error| live.damaged(format_args!("a journal entry cannot be read: {error}")))
}

/// Follows the journal: every commit from one on, once, in order; then those to come.
///
/// It reads from the store and never lags: only retention can overtake it, and then it says so.
pub struct Tail {
    core: Arc<Core>,
    durable: watch::Receiver<u64>,
    /// The sequence of the entry to come.
    next: u64,
    read: VecDeque<JournalEntry>,
}

impl Tail {
    pub(crate) fn new(core: Arc<Core>, from: u64) -> Self {
        let durable = core.published.durable.subscribe();
        Self { core, durable, next: from.max(1), read: VecDeque::new() }
    }

    /// The next entry; waits for it. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<JournalEntry, TailError> {
        while self.read.is_empty() {
            self.core.health.check()?;
            if *self.durable.borrow_and_update() >= self.next {
                self.read = self.read_some()?;
            } else {
                // The sender lives as long as the core does.
                let _ = self.durable.changed().await;
            }
        }
        let entry = self.read.pop_front().ok_or_else(|| self.core.health.reason())?;
        self.next = entry.sequence + 1;
        Ok(entry)
    }

    fn read_some(&self) -> Result<VecDeque<JournalEntry>, TailError> {
        let live = self.core.engine.live()?;
        let first = extent(&live)?.first;
        if self.next < first {
            return Err(TailError::Resync { next: self.next, first });
        }
        let rest = Interval { start: key::journal(self.next), end: key::after_prefix(&key::journal_all()) };
        let mut read = VecDeque::with_capacity(TAIL_BATCH);
        for entry in live.entries(&rest, Direction::Asc)?.take(TAIL_BATCH) {
            let (_, text) = entry?;
            read.push_back(parse(&live, &text)?);
        }
        match read.front() {
            Some(entry) if entry.sequence == self.next => Ok(read),
            _ => Err(live.damaged(format_args!("journal entry {} is missing", self.next)).into()),
        }
    }
}
