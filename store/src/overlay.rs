//! The writes of one transaction before they are committed, with the index entries that they bring and take.
//!
//! Rule: an entry is known by its key and its document, so that two documents may hold one key of a unique index until
//! the commit. Values can thus be swapped; [`crate::prepared`] refuses what is still double in the end.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use weir_schema::codec::key::{CollectionNumber, IndexNumber, Key};
use weir_schema::id::DocumentId;

use crate::catalog::Entry;
use crate::jobs::JobWrites;
use crate::read_set::Interval;

/// Changed index entries: by key, then by document.
pub(crate) type Entries = BTreeMap<Key, BTreeMap<DocumentId, Change>>;

/// What is written so far.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    documents: BTreeMap<Key, Written>,
    entries: Entries,
    /// Jobs, which no index knows.
    pub(crate) jobs: JobWrites,
    /// Of keys and values that are written.
    bytes: usize,
}

/// A document that is written.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) collection: CollectionNumber,
    pub(crate) id: DocumentId,
    /// Whether the snapshot has it.
    pub(crate) existed: bool,
    /// Its entries in the snapshot.
    pub(crate) before: Vec<Entry>,
    /// Its entries now.
    pub(crate) after: Vec<Entry>,
    /// Its text now.
    pub(crate) document: Option<Bytes>,
}

/// What becomes of an index entry of the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) index: IndexNumber,
    pub(crate) kind: EntryChange,
    /// See [`Entry::exclusive`].
    pub(crate) exclusive: bool,
}

/// See [`Change`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryChange {
    Added,
    Removed,
}

impl Overlay {
    pub(crate) fn is_empty(&self) -> bool {
        self.documents.is_empty() && self.jobs.is_empty()
    }

    /// How many documents are written.
    pub(crate) fn len(&self) -> usize {
        self.documents.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.jobs.bytes()
    }

    /// The document, if it is written.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Written> {
        self.documents.get(key)
    }

    /// Writes a document for the first time; the snapshot has it with these entries.
    pub(crate) fn touch(&mut self, key: Key, written: Written) {
        self.bytes += key.len();
        self.documents.insert(key, written);
    }

    /// Changes a document that was touched before.
    pub(crate) fn set(&mut self, key: &[u8], document: Option<Bytes>, after: Vec<Entry>) {
        let Some(written) = self.documents.get_mut(key) else { return };
        for gone in written.after.iter().filter(|entry| !after.contains(entry)) {
            let undoes = !written.before.contains(gone);
            mark(&mut self.entries, gone, &written.id, if undoes { None } else { Some(EntryChange::Removed) });
        }
        for new in after.iter().filter(|entry| !written.after.contains(entry)) {
            let undoes = written.before.contains(new);
            mark(&mut self.entries, new, &written.id, if undoes { None } else { Some(EntryChange::Added) });
        }
        let size = |document: &Option<Bytes>, entries: &[Entry]| {
            document.as_ref().map_or(0, Bytes::len) + entries.iter().map(|entry| entry.key.len()).sum::<usize>()
        };
        self.bytes += size(&document, &after);
        self.bytes = self.bytes.saturating_sub(size(&written.document, &written.after));
        written.document = document;
        written.after = after;
    }

    /// The written documents of an interval, in order.
    pub(crate) fn documents<'a>(
        &'a self,
        interval: &Interval,
    ) -> impl DoubleEndedIterator<Item = (&'a Key, Option<&'a Bytes>)> + use<'a> {
        self.documents.range(bounds(interval)).map(|(key, written)| (key, written.document.as_ref()))
    }

    /// The changed entries of an interval, in order.
    pub(crate) fn entries<'a>(
        &'a self,
        interval: &Interval,
    ) -> impl DoubleEndedIterator<Item = (&'a Key, &'a DocumentId, EntryChange)> + use<'a> {
        let changed = self.entries.range(bounds(interval));
        changed.flat_map(|(key, documents)| documents.iter().map(move |(id, change)| (key, id, change.kind)))
    }

    /// All written documents and all changed entries.
    pub(crate) fn into_parts(self) -> (BTreeMap<Key, Written>, Entries) {
        (self.documents, self.entries)
    }
}

/// Notes a change of an entry; `None` where it is again as in the snapshot.
fn mark(entries: &mut Entries, entry: &Entry, id: &DocumentId, kind: Option<EntryChange>) {
    let documents = entries.entry(entry.key.clone()).or_default();
    match kind {
        Some(kind) => {
            documents.insert(id.clone(), Change { index: entry.index, kind, exclusive: entry.exclusive });
        }
        None => {
            documents.remove(id);
        }
    }
    if documents.is_empty() {
        entries.remove(&entry.key);
    }
}

/// The bounds for a map, which does not bear an end before the start.
fn bounds(interval: &Interval) -> Range<Key> {
    let end = if interval.is_empty() { &interval.start } else { &interval.end };
    interval.start.clone()..end.clone()
}
