//! The writes of one transaction before they are committed, with the index entries that they bring and take.
//!
//! Rule: an entry is known by its key and its document, so that two documents may hold one key of a unique index until
//! the commit. Values can thus be swapped; [`crate::prepared`] refuses what is still double in the end.
//!
//! As long as savepoints are set it keeps what each write replaced. To go back costs as much as was written since.

use std::collections::BTreeMap;
use std::mem;
use std::ops::Range;

use bytes::Bytes;
use weir_schema::codec::key::{CollectionNumber, IndexNumber, Key};
use weir_schema::id::DocumentId;

use crate::catalog::Entry;
use crate::jobs::{JobWrites, WrittenJob};
use crate::read_set::Interval;

/// Changed index entries: by key, then by document.
pub(crate) type Entries = BTreeMap<Key, BTreeMap<DocumentId, Change>>;

/// What is written so far.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    documents: BTreeMap<Key, Written>,
    entries: Entries,
    /// Jobs, which no index knows.
    jobs: JobWrites,
    /// Of keys and values that are written.
    bytes: usize,
    /// The outermost first.
    savepoints: Vec<Savepoint>,
    /// What was replaced since the outermost savepoint, in order.
    replaced: Vec<Replaced>,
    /// Of the values in there.
    replaced_bytes: usize,
}

/// Where a savepoint was set.
#[derive(Debug)]
struct Savepoint {
    /// How much had been replaced.
    replaced: usize,
    replaced_bytes: usize,
    bytes: usize,
}

/// What a write replaced.
#[derive(Debug)]
enum Replaced {
    /// Nothing: the document had not been written.
    Untouched(Key),
    /// The text and the entries of a document.
    Document(Key, Option<Bytes>, Vec<Entry>),
    /// What had been written of a job, if anything.
    Job(DocumentId, Option<Box<WrittenJob>>),
}

/// There is no savepoint of this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no savepoint {number}")]
pub struct NoSavepoint {
    /// The number, from 1.
    pub number: usize,
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

    /// What it keeps in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.replaced_bytes + self.jobs.bytes()
    }

    /// The document, if it is written.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Written> {
        self.documents.get(key)
    }

    /// Writes a document for the first time; the snapshot has it with these entries.
    pub(crate) fn touch(&mut self, key: Key, written: Written) {
        self.bytes += key.len() + size(&written.document, &written.after);
        if !self.savepoints.is_empty() {
            self.replaced.push(Replaced::Untouched(key.clone()));
        }
        self.documents.insert(key, written);
    }

    /// Changes a document that was touched before.
    pub(crate) fn set(&mut self, key: &[u8], document: Option<Bytes>, after: Vec<Entry>) {
        let keeps = !self.savepoints.is_empty();
        let Some((document, entries)) = self.exchange(key, document, after).filter(|_| keeps) else { return };
        self.replaced_bytes += size(&document, &entries);
        self.replaced.push(Replaced::Document(key.to_vec(), document, entries));
    }

    /// Writes a job.
    pub(crate) fn set_job(&mut self, id: &DocumentId, job: WrittenJob) {
        let before = self.jobs.exchange(id, Some(job));
        if !self.savepoints.is_empty() {
            self.replaced_bytes += before.as_ref().map_or(0, WrittenJob::bytes);
            self.replaced.push(Replaced::Job(id.clone(), before.map(Box::new)));
        }
    }

    /// Sets a savepoint inside of those that are set; how many there are then, which is its number.
    pub(crate) fn set_savepoint(&mut self) -> usize {
        let Self { replaced, replaced_bytes, bytes, .. } = self;
        self.savepoints.push(Savepoint { replaced: replaced.len(), replaced_bytes: *replaced_bytes, bytes: *bytes });
        self.savepoints.len()
    }

    /// Takes back all that was written since a savepoint, which ends with those inside of it.
    pub(crate) fn roll_back(&mut self, number: usize) -> Result<(), NoSavepoint> {
        let Savepoint { replaced, replaced_bytes, bytes } = self.end_savepoint(number)?;
        for replaced in self.replaced.split_off(replaced).into_iter().rev() {
            match replaced {
                // Its entries are as in the snapshot again: what was done to it later has been taken back before.
                Replaced::Untouched(key) => drop(self.documents.remove(&key)),
                Replaced::Document(key, document, entries) => drop(self.exchange(&key, document, entries)),
                Replaced::Job(id, job) => drop(self.jobs.exchange(&id, job.map(|job| *job))),
            }
        }
        (self.replaced_bytes, self.bytes) = (replaced_bytes, bytes);
        Ok(())
    }

    /// Ends a savepoint and those inside of it. What was written since goes the way of what is around it.
    pub(crate) fn release(&mut self, number: usize) -> Result<(), NoSavepoint> {
        self.end_savepoint(number)?;
        if self.savepoints.is_empty() {
            self.replaced = Vec::new();
            self.replaced_bytes = 0;
        }
        Ok(())
    }

    fn end_savepoint(&mut self, number: usize) -> Result<Savepoint, NoSavepoint> {
        let place = number.checked_sub(1).filter(|place| *place < self.savepoints.len());
        let ended = place.and_then(|place| self.savepoints.drain(place..).next());
        ended.ok_or(NoSavepoint { number })
    }

    /// Changes a document that was touched before; what it was.
    fn exchange(
        &mut self,
        key: &[u8],
        document: Option<Bytes>,
        after: Vec<Entry>,
    ) -> Option<(Option<Bytes>, Vec<Entry>)> {
        let written = self.documents.get_mut(key)?;
        for gone in written.after.iter().filter(|entry| !after.contains(entry)) {
            let undoes = !written.before.contains(gone);
            mark(&mut self.entries, gone, &written.id, if undoes { None } else { Some(EntryChange::Removed) });
        }
        for new in after.iter().filter(|entry| !written.after.contains(entry)) {
            let undoes = written.before.contains(new);
            mark(&mut self.entries, new, &written.id, if undoes { None } else { Some(EntryChange::Added) });
        }
        self.bytes += size(&document, &after);
        self.bytes = self.bytes.saturating_sub(size(&written.document, &written.after));
        Some((mem::replace(&mut written.document, document), mem::replace(&mut written.after, after)))
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

    /// The written documents, in order.
    pub(crate) fn written(&self) -> impl Iterator<Item = &Written> {
        self.documents.values()
    }

    /// The jobs that are written.
    pub(crate) fn jobs(&self) -> &JobWrites {
        &self.jobs
    }

    /// All written documents, all changed entries and all written jobs.
    pub(crate) fn into_parts(self) -> (BTreeMap<Key, Written>, Entries, JobWrites) {
        (self.documents, self.entries, self.jobs)
    }
}

fn size(document: &Option<Bytes>, entries: &[Entry]) -> usize {
    document.as_ref().map_or(0, Bytes::len) + entries.iter().map(|entry| entry.key.len()).sum::<usize>()
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
