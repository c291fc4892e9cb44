//! The check at start that no commit is missing from the journal.

use std::path::Path;

use weir_schema::codec::journal::Head;
use weir_schema::codec::key;

use crate::engine::Snapshot;
use crate::error::{OpenError, Poisoned};
use crate::read_set::Interval;
use crate::scan::Direction;

/// Walks the whole journal: it has to count from 1 to the last commit.
pub(crate) fn check(directory: &Path, snapshot: &Snapshot, head: Head) -> Result<(), OpenError> {
    let unreadable = |poisoned: Poisoned| OpenError::Unreadable {
        directory: directory.to_owned(),
        message: poisoned.reason.to_string(),
    };
    let gap = |expected_after, found| OpenError::JournalGap { directory: directory.to_owned(), expected_after, found };
    let mut last = 0;
    let entries = snapshot.entries(&Interval::prefix(key::journal_all()), Direction::Asc).map_err(unreadable)?;
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
