//! Which results of views are in the store, and what is to be written of them.

use std::collections::HashMap;

use bytes::Bytes;
use weir_schema::declarations::Keep;
use weir_schema::digest::Digest;
use weir_store::{Head, KeptKey, KeptRecord};

use super::record::{self, Header, Record};
use super::{micros, millis};
use crate::release::Release;
use crate::results::Unwritten;
use crate::results::key::{Class, QueryKey};
use crate::results::timed::Timing;

/// How much is kept.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// The largest record, in bytes.
    record_bytes: usize,
    /// All records together, in bytes.
    bytes: usize,
    /// How many records there are.
    records: usize,
    /// What is written together, in bytes; a record may be larger.
    write_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { record_bytes: 8 << 20, bytes: 64 << 20, records: 16_384, write_bytes: 4 << 20 }
    }
}

/// What is in the store.
#[derive(Default)]
pub(crate) struct Stored {
    /// The release whose results these are.
    release: Option<u64>,
    /// Its functions.
    functions: Vec<Known>,
    records: HashMap<Digest, StoredRecord>,
    bytes: usize,
    /// Results that time ends, to be written.
    timed: HashMap<Digest, Record>,
    as_of: Option<Head>,
    bounds: Bounds,
}

/// A function.
#[derive(Debug, Clone)]
struct Known {
    name: String,
    code: Digest,
    is_eager: bool,
    /// Whether time ends its results.
    timing: Option<Timing>,
}

/// A record that is in the store.
#[derive(Debug, Clone)]
pub(crate) struct StoredRecord {
    content: Digest,
    function: String,
    bytes: usize,
    /// Whether nobody has to ask for it: there are few of these, and others make room for them.
    comes_first: bool,
    /// When its time is over, in milliseconds since 1970.
    until_ms: Option<u64>,
    /// Whether it is there, rather than about to be.
    is_written: bool,
}

/// What has changed of results in memory, all as of one commit.
pub(crate) struct Changes {
    pub(crate) as_of: Head,
    /// When, in milliseconds since 1970.
    pub(crate) now_ms: u64,
    /// Results that are right as of that commit, by their numbers.
    pub(crate) changed: Vec<(u64, Record)>,
    /// Where those were that are not there any more.
    pub(crate) gone: Vec<Digest>,
}

/// One write.
pub(crate) struct Plan {
    pub(crate) records: Vec<KeptRecord>,
    /// Numbers of results for which there was no room this time.
    pub(crate) left: Vec<u64>,
    pub(crate) bytes: usize,
}

impl Stored {
    /// Begins with what was read.
    pub(crate) fn start(&mut self, release: &Release, as_of: Option<Head>, records: &[(Digest, usize, Record)]) {
        let functions = release.declarations().functions.values().zip(release.codes());
        let functions = functions.map(|(function, code)| Known {
            name: function.name.clone(),
            code: *code,
            is_eager: function.keep == Some(Keep::Eager),
            timing: Timing::of(function.keep.as_ref()),
        });
        let functions = functions.collect();
        *self = Self { release: Some(release.number()), functions, as_of, ..Self::default() };
        for (place, bytes, record) in records {
            self.bytes += bytes;
            let stored = self.stored(record, *bytes);
            self.records.insert(*place, StoredRecord { is_written: true, ..stored });
        }
    }

    /// Where a result is kept, if it is one of the release.
    pub(crate) fn place(&self, key: &QueryKey, class: &Class) -> Option<Digest> {
        Some(record::place(&self.functions.get(key.function)?.code, &key.arguments, class))
    }

    /// What is to be written of a result, and its number.
    pub(crate) fn record(&self, result: Unwritten, now_ms: u64) -> Option<(u64, Record)> {
        let Known { name: function, code, .. } = self.functions.get(result.key.function)?.clone();
        let header = Header {
            function,
            code,
            arguments: result.key.arguments.to_string(),
            class: result.class,
            commit: result.commit,
            at_ms: now_ms,
            cost_us: micros(result.cost),
            is_timed: false,
            is_scheduled: false,
        };
        Some((result.id, Record { header, reads: result.reads, value: result.value }))
    }

    /// A result that time ends was computed.
    pub(crate) fn note_timed(&mut self, release: u64, record: Record) {
        let place = record.place();
        let (bytes, before) = (record.value.bytes(), self.timed.get(&place).map_or(0, |record| record.value.bytes()));
        let waiting: usize = self.timed.values().map(|record| record.value.bytes()).sum();
        let has_room = self.timed.len() < self.bounds.records && waiting - before + bytes <= self.bounds.bytes;
        if self.release == Some(release) && has_room {
            self.timed.insert(place, record);
        }
    }

    /// Whether there is anything to write but that time has gone by.
    pub(crate) fn has_timed(&self) -> bool {
        !self.timed.is_empty()
    }

    /// Whether nothing is in the store.
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// As of when the store has it.
    pub(crate) fn as_of(&self) -> Option<Head> {
        self.as_of
    }

    /// All that was planned has been written.
    pub(crate) fn confirm(&mut self) {
        self.records.values_mut().for_each(|stored| stored.is_written = true);
    }

    /// What is in the store of a function: how many records, how many bytes.
    pub(crate) fn of(&self, function: &str) -> (usize, usize) {
        let records = self.records.values().filter(|stored| stored.is_written && stored.function == function);
        records.fold((0, 0), |(count, bytes), stored| (count + 1, bytes + stored.bytes))
    }

    /// Forgets what is kept of a function; what to remove.
    pub(crate) fn forget(&mut self, function: &str) -> Vec<KeptRecord> {
        self.timed.retain(|_, record| record.header.function != function);
        let places = self.records.iter().filter(|(_, stored)| stored.function == function);
        let places: Vec<Digest> = places.map(|(place, _)| *place).collect();
        places.into_iter().filter_map(|place| self.remove(place)).collect()
    }

    /// What to write so that the store has what memory has, as of that commit.
    pub(crate) fn plan(&mut self, changes: Changes) -> Plan {
        let Changes { as_of, now_ms, changed, gone } = changes;
        let mut plan = Plan { records: Vec::new(), left: Vec::new(), bytes: 0 };
        for place in gone {
            plan.records.extend(self.remove(place));
        }
        for place in self.over(now_ms) {
            plan.records.extend(self.remove(place));
        }
        let timed = std::mem::take(&mut self.timed);
        let timed = timed.into_values().map(|record| (None, record));
        for (id, record) in changed.into_iter().map(|(id, record)| (Some(id), record)).chain(timed) {
            self.write(id, record, &mut plan);
        }
        self.as_of = Some(as_of);
        plan.records.push((KeptKey::Results, Some(to_json(&as_of))));
        plan
    }

    /// Records whose time is over.
    fn over(&self, now_ms: u64) -> Vec<Digest> {
        let is_over = |stored: &StoredRecord| stored.until_ms.is_some_and(|until_ms| until_ms <= now_ms);
        self.records.iter().filter(|(_, stored)| is_over(stored)).map(|(place, _)| *place).collect()
    }

    /// Writes a record, if there is room for it, in the place of the one that is there; that one goes in any case.
    fn write(&mut self, id: Option<u64>, record: Record, plan: &mut Plan) {
        let (place, content) = (record.place(), record.content());
        if self.records.get(&place).is_some_and(|stored| stored.content == content) {
            return;
        }
        let removed = self.remove(place);
        if plan.bytes >= self.bounds.write_bytes {
            plan.records.extend(removed);
            match id {
                Some(id) => plan.left.push(id),
                None => drop(self.timed.insert(place, record)),
            }
            return;
        }
        let text = record.encode();
        let stored = self.stored(&record, text.len());
        if stored.comes_first {
            self.make_room(text.len(), plan);
        }
        if !self.has_room(text.len()) {
            plan.records.extend(removed);
            return;
        }
        plan.bytes += text.len();
        self.bytes += text.len();
        self.records.insert(place, stored);
        plan.records.push((KeptKey::Result(place), Some(text)));
    }

    fn stored(&self, record: &Record, bytes: usize) -> StoredRecord {
        let Header { function, is_scheduled, .. } = &record.header;
        let is_eager = self.functions.iter().any(|known| known.is_eager && known.name == *function);
        let (function, comes_first) = (function.clone(), is_eager || *is_scheduled);
        let timing = self.functions.iter().find(|known| known.name == function).and_then(|known| known.timing.as_ref());
        let lasts =
            timing.filter(|_| record.header.is_timed && !is_scheduled).map(|timing| timing.lasts(record.header.at_ms));
        let until_ms = lasts.map(|lasts| record.header.at_ms.saturating_add(millis(lasts)));
        StoredRecord { content: record.content(), function, bytes, comes_first, until_ms, is_written: false }
    }

    fn has_room(&self, bytes: usize) -> bool {
        let Bounds { record_bytes, bytes: bytes_max, records, .. } = self.bounds;
        bytes <= record_bytes && self.bytes + bytes <= bytes_max && self.records.len() < records
    }

    /// Removes others, if there is no room.
    fn make_room(&mut self, bytes: usize, plan: &mut Plan) {
        if bytes > self.bounds.record_bytes || self.has_room(bytes) {
            return;
        }
        let others = self.records.iter().filter(|(_, stored)| !stored.comes_first).map(|(place, _)| *place);
        for place in others.collect::<Vec<_>>() {
            plan.records.extend(self.remove(place));
            if self.has_room(bytes) {
                return;
            }
        }
    }

    fn remove(&mut self, place: Digest) -> Option<KeptRecord> {
        let stored = self.records.remove(&place)?;
        self.bytes = self.bytes.saturating_sub(stored.bytes);
        Some((KeptKey::Result(place), None))
    }
}

/// A commit as it is kept.
pub(crate) fn to_json(head: &Head) -> Bytes {
    serde_json::to_vec(head).unwrap_or_default().into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use weir_sandbox::protocol::ScriptCaller;
    use weir_schema::commit::Timestamp;
    use weir_store::ReadSet;

    use super::*;
    use crate::content::Content;
    use crate::results::key::Claims;

    fn record(number: usize, bytes: usize, is_scheduled: bool) -> Record {
        let caller = ScriptCaller::without_token("anonymous");
        let header = Header {
            function: "view".to_owned(),
            code: Digest::of(b"code"),
            arguments: number.to_string(),
            class: Class::of(&caller, Claims::NONE),
            commit: Timestamp(1),
            at_ms: 1,
            cost_us: 1,
            is_timed: is_scheduled,
            is_scheduled,
        };
        Record { header, reads: ReadSet::default(), value: Arc::new(Content::from(json!("x".repeat(bytes)))) }
    }

    fn plan(stored: &mut Stored, changed: Vec<(u64, Record)>, gone: Vec<Digest>) -> Plan {
        stored.plan(Changes { as_of: Head::default(), now_ms: 0, changed, gone })
    }

    #[test]
    fn what_is_there_already_is_not_written_again_and_what_is_gone_is_removed() {
        let mut stored = Stored::default();
        assert_eq!(plan(&mut stored, vec![(1, record(1, 10, false))], vec![]).records.len(), 2);
        assert_eq!(plan(&mut stored, vec![(2, record(1, 10, false))], vec![]).records.len(), 1);
        let changed = plan(&mut stored, vec![(2, record(1, 11, false))], vec![]);
        assert!(matches!(changed.records.as_slice(), [(KeptKey::Result(_), Some(_)), (KeptKey::Results, Some(_))]));
        let gone = plan(&mut stored, vec![], vec![record(1, 11, false).place()]);
        assert!(matches!(gone.records.as_slice(), [(KeptKey::Result(_), None), (KeptKey::Results, Some(_))]));
        assert_eq!((stored.bytes, stored.records.len()), (0, 0));
    }

    #[test]
    fn there_is_an_end_to_what_is_kept_and_to_what_is_written_at_once() {
        const LARGE: usize = 3_000;
        let bounds = Bounds { record_bytes: 8_000, bytes: 64_000, records: 100, write_bytes: 4_000 };
        let mut stored = Stored { bounds, ..Stored::default() };
        let all: Vec<_> = (0..30).map(|number| (number as u64, record(number, LARGE, false))).collect();
        let mut left = all.clone();
        while !left.is_empty() {
            let plan = plan(&mut stored, left.clone(), vec![]);
            assert!(plan.bytes <= bounds.write_bytes + LARGE + 1_000);
            left.retain(|(id, _)| plan.left.contains(id));
        }
        assert!(stored.bytes <= bounds.bytes && stored.bytes + LARGE + 1_000 > bounds.bytes, "{}", stored.bytes);
        stored.timed.insert(Digest::of(b"scheduled"), record(100, LARGE, true));
        let scheduled = plan(&mut stored, vec![], vec![]);
        assert!(matches!(scheduled.records.as_slice(), [(_, None), (_, Some(_)), (KeptKey::Results, Some(_))]));
        let too_large = plan(&mut stored, vec![(200, record(200, bounds.record_bytes, false))], vec![]);
        assert!(matches!(too_large.records.as_slice(), [(KeptKey::Results, Some(_))]));
    }
}
