//! The journal: one entry for each commit, from the first that is kept to the last, and times that rise.

use weir_schema::codec::journal::JournalEntry;
use weir_schema::codec::key;
use weir_schema::commit::Timestamp;

use super::{Examination, VerifyError};
use crate::journal;
use crate::read_set::Interval;
use crate::scan::Direction;

impl Examination<'_> {
    pub(super) fn journal(&mut self) -> Result<(), VerifyError> {
        let live = self.live;
        let (mut expected, mut last) = (journal::extent(live)?.first, Timestamp::ZERO);
        for entry in live.entries(&Interval::prefix(key::journal_all()), Direction::Asc)? {
            let (key, text) = entry?;
            self.meter.add(1)?;
            self.report.journal_entries += 1;
            let Some(sequence) = key::journal_sequence(&key) else {
                self.report.problem(format_args!("journal: {} is not a key of the journal", key.escape_ascii()));
                continue;
            };
            if sequence != expected {
                self.report.problem(format_args!("journal: it jumps from {} to {sequence}", expected - 1));
            }
            expected = sequence.saturating_add(1);
            match serde_json::from_slice::<JournalEntry>(&text) {
                Err(error) => self.report.problem(format_args!("journal: entry {sequence} cannot be read: {error}")),
                Ok(entry) if entry.sequence != sequence => {
                    let found = entry.sequence;
                    self.report.problem(format_args!("journal: entry {sequence} says that it is entry {found}"));
                }
                Ok(entry) if entry.timestamp <= last => {
                    self.report.problem(format_args!("journal: entry {sequence} is not later than the one before"));
                }
                Ok(entry) => last = entry.timestamp,
            }
        }
        let head = self.head;
        if expected != head.sequence.saturating_add(1) {
            let end = expected - 1;
            self.report.problem(format_args!("journal: it ends with {end}, the last commit is {}", head.sequence));
        } else if last > head.timestamp {
            self.report.problem("journal: its last entry is later than the last commit");
        }
        Ok(())
    }
}
