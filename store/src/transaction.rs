//! Reads and writes on one snapshot.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};
use weir_schema::codec::audit::{AuditNote, Person};
use weir_schema::codec::journal::Head;
use weir_schema::codec::key::{self, Key};
use weir_schema::codec::outcome::KeptOutcome;
use weir_schema::commit::Timestamp;
use weir_schema::digest::Digest;
use weir_schema::id::DocumentId;
use weir_schema::limits::DOCUMENT_BYTES_MAX;
use weir_schema::size::json_bytes;

use crate::catalog::{Catalog, Collection, Entry};
use crate::control::ControlWrites;
use crate::error::{CommitError, Poisoned, ReadError, ScanError, WriteError};
use crate::group::to_json;
use crate::overlay::{NoSavepoint, Overlay, Written};
use crate::planner;
use crate::prepared::Kept;
use crate::read_set::{Interval, ReadSet};
use crate::references::{self, Lead};
use crate::rows::View;
use crate::scan::{End, Rows, Scan};
use crate::snapshot::Base;
use crate::transact::Seen;
use crate::turns::Turn;

/// Documents that were read and are kept at hand, since what is read is often written next.
const AT_HAND_MAX: usize = 16;

/// How much one transaction may do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    pub(crate) bytes_max: usize,
    pub(crate) documents_read_max: u64,
    pub(crate) documents_written_max: u64,
}

/// A snapshot, the writes made on top of it, and the keys that were read.
///
/// Nothing of it is shared: it may be used on any one thread, blocking it for the length of a disk read at most.
/// Dropping it undoes it. One that is open for longer than `transaction_age_max` is cut: its next operation fails.
pub struct Transaction {
    pub(crate) base: Base,
    pub(crate) head: Head,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) overlay: Overlay,
    pub(crate) read_set: ReadSet,
    pub(crate) epoch: Option<u64>,
    pub(crate) turn: Option<Turn>,
    /// Where it is told what it sees, also to who no longer has it.
    pub(crate) told: Option<Arc<Mutex<Seen>>>,
    pub(crate) kept: Option<Kept>,
    pub(crate) audit: Option<AuditNote>,
    pub(crate) control: ControlWrites,
    /// Whether it is committed for its audit record alone.
    pub(crate) is_on_record: bool,
    /// Whom the audit log is to tell of no more.
    pub(crate) erases: Option<Person>,
    /// The release whose function writes, or nobody's.
    pub(crate) writer: Option<Arc<str>>,
    /// Whether it stays on the state that it sees, see [`Self::twin`].
    stays: bool,
    at_hand: VecDeque<(Key, Option<Bytes>)>,
    knows_catalog: bool,
    allowance: Allowance,
    documents_read: u64,
}

/// What a transaction has written: of each document and job that it would change what it would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The texts of documents, by collection and id; `None` where one is deleted.
    pub documents: Vec<(String, DocumentId, Option<Bytes>)>,
    /// The same of jobs.
    pub jobs: Vec<(DocumentId, Option<Bytes>)>,
}

/// A write that is worked out and not made yet.
pub(crate) struct Put {
    pub(crate) id: DocumentId,
    pub(crate) key: Key,
    /// What the snapshot has of the document, unless it was written before.
    pub(crate) first: Option<Written>,
    pub(crate) text: Bytes,
    after: Vec<Entry>,
    /// What it refers to and did not before.
    pub(crate) leads: Vec<Lead>,
}

impl Transaction {
    pub(crate) fn new(base: Base, head: Head, catalog: Arc<Catalog>, allowance: Allowance) -> Self {
        Self {
            base,
            head,
            catalog,
            overlay: Overlay::default(),
            read_set: ReadSet::default(),
            epoch: None,
            turn: None,
            told: None,
            kept: None,
            audit: None,
            control: ControlWrites::default(),
            is_on_record: false,
            writer: None,
            erases: None,
            stays: false,
            at_hand: VecDeque::new(),
            knows_catalog: false,
            allowance,
            documents_read: 0,
        }
    }

    /// A transaction that has read and written nothing yet, on the state that this one sees, and that stays there: for who has
    /// something done once more to see what comes of it.
    pub fn twin(&self) -> Result<Self, ReadError> {
        let twin = Self::new(self.base.twin()?, self.head, self.catalog.clone(), self.allowance);
        Ok(Self { epoch: self.epoch, stays: true, ..twin })
    }

    /// What it would change, in the order of keys.
    pub fn changes(&self) -> Changes {
        let collections = &self.catalog.collections;
        let name =
            |number| collections.iter().find(|(_, collection)| collection.number == number).map(|(name, _)| name);
        let written = self.overlay.written().filter(|written| written.existed || written.document.is_some());
        let document =
            |written: &Written| Some((name(written.collection)?.clone(), written.id.clone(), written.document.clone()));
        Changes { documents: written.filter_map(document).collect(), jobs: self.overlay.jobs().changes() }
    }

    /// The timestamp of the last commit that it sees.
    pub fn timestamp(&self) -> Timestamp {
        self.head.timestamp
    }

    /// The last commit that it sees.
    pub fn head(&self) -> Head {
        self.head
    }

    /// What was read so far.
    pub fn read_set(&self) -> &ReadSet {
        &self.read_set
    }

    /// From here on what is read is added to another set. Gives the set that it was added to so far.
    pub fn swap_read_set(&mut self, read_set: ReadSet) -> ReadSet {
        // What is known already would not be added.
        self.at_hand.clear();
        self.knows_catalog = false;
        mem::replace(&mut self.read_set, read_set)
    }

    /// Adds to what was read so far.
    pub fn merge_read_set(&mut self, read_set: ReadSet) {
        self.read_set.merge(read_set);
    }

    /// What was read; the transaction ends.
    pub fn into_read_set(self) -> ReadSet {
        self.read_set
    }

    /// Whether nothing was read or written, so that it may as well see another state.
    pub(crate) fn is_untouched(&self) -> bool {
        !self.stays
            && self.read_set.is_empty()
            && self.overlay.is_empty()
            && self.control.is_empty()
            && self.kept.is_none()
    }

    /// The last commit that it sees.
    pub(crate) fn seen(&self) -> Seen {
        Seen { sequence: self.head.sequence, epoch: self.epoch }
    }

    /// Forgets what was read, where nobody asks for it: reading could go on for ever.
    pub(crate) fn forget_reads(&mut self) {
        self.read_set = ReadSet::default();
        self.knows_catalog = false;
        self.documents_read = 0;
    }

    /// Whether anything was written.
    pub fn has_writes(&self) -> bool {
        !self.overlay.is_empty() || !self.control.is_empty()
    }

    /// Forgets what was written, not what was read, and all savepoints.
    pub fn undo(&mut self) {
        self.overlay = Overlay::default();
        self.control.clear();
    }

    /// Sets a savepoint inside of those that are set. Returns its number, from 1 for the outermost.
    pub fn set_savepoint(&mut self) -> usize {
        self.overlay.set_savepoint()
    }

    /// Takes back all that was written since a savepoint, which ends with those inside of it. What was read stays read.
    pub fn roll_back(&mut self, savepoint: usize) -> Result<(), NoSavepoint> {
        self.overlay.roll_back(savepoint)
    }

    /// Ends a savepoint and those inside of it. What was written since stays, unless one around it is rolled back.
    pub fn release(&mut self, savepoint: usize) -> Result<(), NoSavepoint> {
        self.overlay.release(savepoint)
    }

    /// What the first call with an idempotency key came to, unless it has expired at `now_ms` since 1970.
    pub fn kept_outcome(&mut self, key: &Digest, now_ms: u64) -> Result<Option<KeptOutcome>, ReadError> {
        let key = key::outcome(key);
        let state = self.base.state()?;
        let text = state.get(&key)?;
        self.read_set.add_point(key);
        let Some(text) = text else { return Ok(None) };
        let kept: KeptOutcome = serde_json::from_slice(&text)
            .map_err(|error| state.damaged(format_args!("a kept outcome cannot be read: {error}")))?;
        Ok(Some(kept).filter(|kept| kept.expires_ms > now_ms))
    }

    /// Keeps an outcome, in the commit, for calls with the same key: what was asked, what it came to, and until when
    /// that is kept, in milliseconds since 1970. It counts among the bytes that the transaction writes.
    pub fn keep_outcome(&mut self, key: Digest, request: Digest, expires_ms: u64, outcome: Value) {
        self.kept = Some(Kept { key, request, expires_ms, outcome });
    }

    /// Says in the audit log who made the commit, and by what. A transaction that commits nothing leaves no record.
    pub fn record(&mut self, note: AuditNote) {
        self.audit = Some(note);
    }

    /// The same for what leaves nothing else behind, such as what was refused: the transaction is committed for it alone.
    pub fn record_alone(&mut self, note: AuditNote) {
        self.audit = Some(note);
        self.is_on_record = true;
    }

    /// Has the key of a person destroyed, in the commit: what the audit log has sealed of them can be opened by nobody any more.
    pub fn erase(&mut self, person: Person) {
        self.erases = Some(person);
    }

    /// A document as JSON text, `id` first.
    pub fn get(&mut self, collection: &str, id: &DocumentId) -> Result<Option<Bytes>, ReadError> {
        let catalog = self.use_catalog();
        let key = key::document(find(&catalog, collection)?.number, id);
        if let Some(written) = self.overlay.get(&key) {
            return Ok(written.document.clone());
        }
        let document = self.read(key)?;
        self.count_read(1)?;
        Ok(document)
    }

    /// Inserts or replaces a document, given without its id. Returns its text as stored, `id` first.
    pub fn put(
        &mut self,
        collection: &str,
        id: &DocumentId,
        document: Map<String, Value>,
    ) -> Result<Bytes, WriteError> {
        let catalog = self.use_catalog();
        let put = self.prepare(collection, find(&catalog, collection)?, id, document)?;
        self.check_room(usize::from(put.first.is_some()), put.text.len())?;
        self.check_references(&catalog, collection, std::slice::from_ref(&put)).map_err(|refused| *refused.error)?;
        Ok(self.apply(put))
    }

    /// Works out a write without making it.
    pub(crate) fn prepare(
        &mut self,
        name: &str,
        collection: &Collection,
        id: &DocumentId,
        document: Map<String, Value>,
    ) -> Result<Put, WriteError> {
        let after = collection.entries(id, &document).map_err(|source| WriteError::NotIndexable {
            collection: name.to_owned(),
            id: id.clone(),
            source,
        })?;
        let text = Bytes::from(to_json(&Stored { id, members: &document }));
        if text.len() > DOCUMENT_BYTES_MAX {
            let (collection, bytes) = (name.to_owned(), text.len());
            return Err(WriteError::DocumentTooLarge { collection, id: id.clone(), bytes });
        }
        let (key, first) = self.look_up(collection, id)?;
        let now = first.as_ref().or_else(|| self.overlay.get(&key)).map_or(&[][..], |written| &written.after);
        let leads = references::new_leads(collection, &document, now);
        Ok(Put { id: id.clone(), key, first, text, after, leads })
    }

    /// Makes a write that was worked out.
    pub(crate) fn apply(&mut self, put: Put) -> Bytes {
        let Put { key, first, text, after, .. } = put;
        self.touch(&key, first);
        self.overlay.set(&key, Some(text.clone()), after);
        text
    }

    /// Notes what the snapshot has of a document, the first time that it is written.
    pub(crate) fn touch(&mut self, key: &Key, first: Option<Written>) {
        if let (Some(first), None) = (first, self.overlay.get(key)) {
            self.overlay.touch(key.clone(), first);
        }
    }

    /// Reads the rows of a scan, no more than its limit.
    pub fn scan(&mut self, collection: &str, scan: &Scan) -> Result<Rows, ScanError> {
        let (rows, covered) = self.walk(collection, scan, |view, plan| view.rows(plan, scan))?;
        self.read_set.add_interval(covered);
        self.count_read(rows.rows.len() as u64)?;
        Ok(rows)
    }

    /// The fields of the index that a scan would walk, the most significant first; none where it walks the documents.
    pub fn fields_of(&mut self, collection: &str, scan: &Scan) -> Result<Vec<String>, ScanError> {
        let catalog = self.use_catalog();
        planner::fields(collection, find(&catalog, collection)?, scan)
    }

    /// Reads rows that the position of a scan cuts off, no more than its limit and the nearest first, the one at the position
    /// included. Without a position there are none.
    pub fn scan_others(&mut self, collection: &str, scan: &Scan) -> Result<Rows, ScanError> {
        let (rows, covered) = self.walk(collection, scan, |view, plan| match plan.to_others() {
            // From the position on is how such a plan is walked.
            Some(others) => view.rows(&others, &Scan { from: End::First, ..scan.clone() }),
            None => Ok((Rows { rows: Vec::new(), more: false, others: false }, plan.interval.clone())),
        })?;
        self.read_set.add_interval(covered);
        self.count_read(rows.rows.len() as u64)?;
        Ok(rows)
    }

    /// Counts the rows of a scan.
    pub fn count(&mut self, collection: &str, scan: &Scan) -> Result<u64, ScanError> {
        let (count, covered) = self.walk(collection, scan, |view, plan| view.count(plan, scan.limit))?;
        self.read_set.add_interval(covered);
        Ok(count)
    }

    fn walk<T>(
        &mut self,
        name: &str,
        scan: &Scan,
        read: impl FnOnce(&View<'_>, &planner::Plan) -> Result<(T, Interval), Poisoned>,
    ) -> Result<(T, Interval), ScanError> {
        let catalog = self.use_catalog();
        let collection = find(&catalog, name)?;
        let plan = planner::plan(name, collection, scan)?;
        let state = self.base.state().map_err(ReadError::from)?;
        let view = View { state: &state, overlay: &self.overlay, collection: collection.number };
        Ok(read(&view, &plan).map_err(ReadError::from)?)
    }

    /// The catalog, which has been read from now on.
    pub(crate) fn use_catalog(&mut self) -> Arc<Catalog> {
        if !self.knows_catalog {
            self.knows_catalog = true;
            self.read_set.add_point(key::CATALOG.to_vec());
        }
        self.catalog.clone()
    }

    /// What the snapshot has of a document, which has been read from now on.
    pub(crate) fn read(&mut self, document: Key) -> Result<Option<Bytes>, ReadError> {
        let state = self.base.state()?;
        if let Some((_, text)) = self.at_hand.iter().find(|(key, _)| *key == document) {
            return Ok(text.clone());
        }
        let text = state.get(&document)?;
        self.read_set.add_point(document.clone());
        if self.at_hand.len() == AT_HAND_MAX {
            self.at_hand.pop_front();
        }
        self.at_hand.push_back((document, text.clone()));
        Ok(text)
    }

    /// The key of a document that is to be written, and what the snapshot has of it, unless it is written already.
    pub(crate) fn look_up(
        &mut self,
        collection: &Collection,
        id: &DocumentId,
    ) -> Result<(Key, Option<Written>), ReadError> {
        let key = key::document(collection.number, id);
        if self.overlay.get(&key).is_some() {
            return Ok((key, None));
        }
        let old = self.read(key.clone())?;
        let before = match &old {
            Some(text) if collection.has_indexes() => collection.stored_entries(id, &self.parse(id, text)?),
            _ => Vec::new(),
        };
        let written = Written {
            collection: collection.number,
            id: id.clone(),
            existed: old.is_some(),
            after: before.clone(),
            before,
            document: old,
        };
        Ok((key, Some(written)))
    }

    /// The members of a stored document.
    pub(crate) fn parse(&self, id: &DocumentId, text: &[u8]) -> Result<Map<String, Value>, ReadError> {
        let damaged = |error| {
            let state = self.base.state()?;
            Err(state.damaged(format_args!("document {id} is not JSON: {error}")).into())
        };
        serde_json::from_slice(text).or_else(damaged)
    }

    /// How many documents it may write.
    pub(crate) fn documents_written_max(&self) -> usize {
        usize::try_from(self.allowance.documents_written_max).unwrap_or(usize::MAX)
    }

    /// Whether so many documents that are not written yet, and so many bytes, may be written besides what is written.
    pub(crate) fn check_room(&self, documents: usize, bytes: usize) -> Result<(), WriteError> {
        if self.overlay.len().saturating_add(documents) > self.documents_written_max() {
            return Err(WriteError::TooManyWritten { max: self.allowance.documents_written_max });
        }
        let max = self.allowance.bytes_max;
        if self.overlay.bytes() + bytes > max { Err(WriteError::TransactionTooLarge { max }) } else { Ok(()) }
    }

    /// Whether there is room for the outcome that is kept, besides what is written.
    pub(crate) fn check_kept(&self) -> Result<(), CommitError> {
        let Some(kept) = &self.kept else { return Ok(()) };
        let max = self.allowance.bytes_max;
        let bytes = self.overlay.bytes().saturating_add(json_bytes(&kept.outcome));
        if bytes > max { Err(CommitError::TooLarge { max }) } else { Ok(()) }
    }

    fn count_read(&mut self, more: u64) -> Result<(), ReadError> {
        self.documents_read += more;
        let max = self.allowance.documents_read_max;
        if self.documents_read > max { Err(ReadError::TooManyRead { max }) } else { Ok(()) }
    }
}

pub(crate) fn find<'a>(catalog: &'a Catalog, name: &str) -> Result<&'a Collection, ReadError> {
    catalog.collection(name).ok_or_else(|| ReadError::UnknownCollection(name.to_owned()))
}

/// A document as it is stored: compact JSON, `id` first.
struct Stored<'a> {
    id: &'a DocumentId,
    members: &'a Map<String, Value>,
}

impl Serialize for Stored<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut whole = serializer.serialize_map(None)?;
        whole.serialize_entry("id", self.id)?;
        for (name, value) in self.members.iter().filter(|(name, _)| *name != "id") {
            whole.serialize_entry(name, value)?;
        }
        whole.end()
    }
}
