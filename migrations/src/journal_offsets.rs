//! Format 1 to 2: each journal entry says how many bytes of entries came before it, and a record says how far the journal
//! reaches, so that old entries can be dropped by size.
//!
//! Entries are rewritten in batches, each with a note of how far it got. Without the note the step begins anew, which
//! gives the same entries again.

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::migrate::Records;

/// Entries that are rewritten at once.
const BATCH: usize = 1_000;
/// All keys of the journal: `L` and the sequence.
const FIRST: &[u8] = b"L";
const END: &[u8] = b"M";
/// Where the extent of the journal is kept from format 2 on.
const EXTENT: &[u8] = b"Mjournal";
/// The note of how far this step got.
const NOTE: &[u8] = b"Mmigration2";
const AFTER_NOTE: &[u8] = b"Mmigration2\0";

/// How far the step got.
#[derive(Default, Serialize, Deserialize)]
struct Note {
    /// The key of the next entry.
    next: Vec<u8>,
    /// Bytes of all entries before.
    offset: u64,
}

/// The step.
pub(crate) fn run(records: &mut dyn Records) -> io::Result<()> {
    let noted = records.read(NOTE, AFTER_NOTE, 1)?.pop();
    let Note { mut next, mut offset } = match noted {
        Some((_, text)) => serde_json::from_slice(&text)?,
        None => Note { next: FIRST.to_vec(), offset: 0 },
    };
    loop {
        let entries = records.read(&next, END, BATCH)?;
        let Some((last, _)) = entries.last() else { break };
        next = [last.as_slice(), &[0]].concat();
        let mut writes = Vec::with_capacity(entries.len() + 1);
        for (key, text) in entries {
            let mut entry: Map<String, Value> = serde_json::from_slice(&text)?;
            entry.insert("offset".to_owned(), offset.into());
            let text = serde_json::to_vec(&entry)?;
            offset += (key.len() + text.len()) as u64;
            writes.push((key, Some(text)));
        }
        let note = serde_json::to_vec(&Note { next: next.clone(), offset })?;
        writes.push((NOTE.to_vec(), Some(note)));
        records.write(writes)?;
    }
    let extent = format!("{{\"first\":1,\"end\":{offset}}}");
    records.write(vec![(EXTENT.to_vec(), Some(extent.into_bytes())), (NOTE.to_vec(), None)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    fn key(sequence: u64) -> Vec<u8> {
        [FIRST, &sequence.to_be_bytes()].concat()
    }

    fn journal(entries: u64) -> Memory {
        let mut memory = Memory::default();
        for sequence in 1..=entries {
            let text = format!("{{\"sequence\":{sequence},\"timestamp\":{},\"changes\":[]}}", sequence * 10);
            memory.records.insert(key(sequence), text.into_bytes());
        }
        memory.records.insert(b"Mhead".to_vec(), b"{}".to_vec());
        memory
    }

    #[test]
    fn every_entry_tells_the_bytes_before_it() -> io::Result<()> {
        let mut memory = journal(2_345);
        run(&mut memory)?;
        let mut offset = 0;
        for sequence in 1..=2_345 {
            let text = &memory.records[&key(sequence)];
            let entry: Value = serde_json::from_slice(text)?;
            assert_eq!((&entry["offset"], &entry["sequence"]), (&offset.into(), &sequence.into()));
            offset += (9 + text.len()) as u64;
        }
        assert_eq!(memory.records[EXTENT], format!("{{\"first\":1,\"end\":{offset}}}").into_bytes());
        assert!(!memory.records.contains_key(NOTE));
        Ok(())
    }

    #[test]
    fn an_empty_journal_has_an_extent() -> io::Result<()> {
        let mut memory = journal(0);
        run(&mut memory)?;
        assert_eq!(memory.records[EXTENT], br#"{"first":1,"end":0}"#);
        Ok(())
    }

    #[test]
    fn cut_off_at_any_write_it_ends_the_same() -> io::Result<()> {
        let mut whole = journal(3_500);
        run(&mut whole)?;
        let mut cuts = 0;
        for writes in 0.. {
            let mut cut = Memory { writes_left: Some(writes), ..journal(3_500) };
            if run(&mut cut).is_ok() {
                break;
            }
            cuts += 1;
            cut.writes_left = None;
            run(&mut cut)?;
            assert_eq!(cut, whole, "cut off after {writes} writes");
        }
        assert_eq!(cuts, 5);
        // Also where it was done, and only the marker was not written.
        let mut again = whole.clone();
        run(&mut again)?;
        assert_eq!(again, whole);
        Ok(())
    }
}
