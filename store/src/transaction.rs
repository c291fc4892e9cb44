//! Reads and writes on one snapshot.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};
use weir_schema::codec::audit::AuditNote;
use weir_schema::codec::journal::Head;
use weir_schema::codec::key::{self, Key};
use weir_schema::codec::outcome::KeptOutcome;
use weir_schema::commit::Timestamp;
use weir_schema::digest::Digest;
use weir_schema::id::DocumentId;
use weir_schema::limits::DOCUMENT_BYTES_MAX;

use crate::catalog::{Catalog, Collection, Entry};
use crate::error::{Poisoned, ReadError, ScanError, WriteError};
use crate::group::to_json;
use crate::overlay::{Overlay, Written};
use crate::planner;
use crate::prepared::Kept;
use crate::read_set::{Interval, ReadSet};
use crate::rows::View;
use crate::scan::{Rows, Scan};
use crate::snapshot::{Base, State};
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
    pub(crate) kept: Option<Kept>,
    pub(crate) audit: Option<AuditNote>,
    at_hand: VecDeque<(Key, Option<Bytes>)>,
    knows_catalog: bool,
    allowance: Allowance,
    documents_read: u64,
    documents_written: u64,
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
            kept: None,
            audit: None,
            at_hand: VecDeque::new(),
            knows_catalog: false,
            allowance,
            documents_read: 0,
            documents_written: 0,
        }
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

    /// What was read; the transaction ends.
    pub fn into_read_set(self) -> ReadSet {
        self.read_set
    }

    /// Whether anything was written.
    pub fn has_writes(&self) -> bool {
        !self.overlay.is_empty()
    }

    /// Forgets what was written, not what was read.
    pub fn undo(&mut self) {
        self.overlay = Overlay::default();
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
    /// that is kept, in milliseconds since 1970.
    pub fn keep_outcome(&mut self, key: Digest, request: Digest, expires_ms: u64, outcome: Value) {
        self.kept = Some(Kept { key, request, expires_ms, outcome });
    }

    /// Says in the audit log who made the commit, and by what. A transaction that commits nothing leaves no record.
    pub fn record(&mut self, note: AuditNote) {
        self.audit = Some(note);
    }

    /// A document as JSON text, `id` first.
    pub fn get(&mut self, collection: &str, id: &DocumentId) -> Result<Option<Bytes>, ReadError> {
        let catalog = self.use_catalog();
        let key = key::document(find(&catalog, collection)?.number, id);
        if let Some(written) = self.overlay.get(&key) {
            return Ok(written.document.clone());
        }
        let document = self.base.state()?.get(&key)?;
        self.read_set.add_point(key.clone());
        if self.at_hand.len() == AT_HAND_MAX {
            self.at_hand.pop_front();
        }
        self.at_hand.push_back((key, document.clone()));
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
        let found = find(&catalog, collection)?;
        let after = found.entries(id, &document).map_err(|source| WriteError::NotIndexable {
            collection: collection.to_owned(),
            id: id.clone(),
            source,
        })?;
        let text = Bytes::from(to_json(&Stored { id, members: &document }));
        if text.len() > DOCUMENT_BYTES_MAX {
            let (collection, bytes) = (collection.to_owned(), text.len());
            return Err(WriteError::DocumentTooLarge { collection, id: id.clone(), bytes });
        }
        self.check_bytes(text.len())?;
        let key = self.touch(found, id)?;
        self.overlay.set(&key, Some(text.clone()), after);
        Ok(text)
    }

    /// Removes a document; says whether it was there.
    pub fn delete(&mut self, collection: &str, id: &DocumentId) -> Result<bool, WriteError> {
        let catalog = self.use_catalog();
        let found = find(&catalog, collection)?;
        if self.get(collection, id)?.is_none() {
            return Ok(false);
        }
        self.check_bytes(0)?;
        let key = self.touch(found, id)?;
        self.overlay.set(&key, None, Vec::new());
        Ok(true)
    }

    /// Reads the rows of a scan, no more than its limit.
    pub fn scan(&mut self, collection: &str, scan: &Scan) -> Result<Rows, ScanError> {
        let (rows, covered) = self.walk(collection, scan, |view, plan| view.rows(plan, scan.limit))?;
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
    fn use_catalog(&mut self) -> Arc<Catalog> {
        if !self.knows_catalog {
            self.knows_catalog = true;
            self.read_set.add_point(key::CATALOG.to_vec());
        }
        self.catalog.clone()
    }

    /// Makes a document ready to be written: what the snapshot has of it is read, once.
    fn touch(&mut self, collection: &Collection, id: &DocumentId) -> Result<Key, WriteError> {
        let key = key::document(collection.number, id);
        if self.overlay.get(&key).is_some() {
            return Ok(key);
        }
        let max = self.allowance.documents_written_max;
        if self.documents_written >= max {
            return Err(WriteError::TooManyWritten { max });
        }
        let state = self.base.state().map_err(ReadError::from)?;
        let old = match self.at_hand.iter().find(|(read, _)| *read == key) {
            Some((_, document)) => document.clone(),
            None => {
                let old = state.get(&key).map_err(ReadError::from)?;
                self.read_set.add_point(key.clone());
                old
            }
        };
        let before = match &old {
            Some(text) if collection.has_indexes() => {
                entries_before(&state, collection, id, text).map_err(ReadError::from)?
            }
            _ => Vec::new(),
        };
        self.documents_written += 1;
        let written = Written {
            collection: collection.number,
            id: id.clone(),
            existed: old.is_some(),
            after: before.clone(),
            before,
            document: old,
        };
        self.overlay.touch(key.clone(), written);
        Ok(key)
    }

    fn check_bytes(&self, more: usize) -> Result<(), WriteError> {
        let max = self.allowance.bytes_max;
        if self.overlay.bytes() + more > max { Err(WriteError::TransactionTooLarge { max }) } else { Ok(()) }
    }

    fn count_read(&mut self, more: u64) -> Result<(), ReadError> {
        self.documents_read += more;
        let max = self.allowance.documents_read_max;
        if self.documents_read > max { Err(ReadError::TooManyRead { max }) } else { Ok(()) }
    }
}

fn entries_before(
    state: &State<'_>,
    collection: &Collection,
    id: &DocumentId,
    text: &[u8],
) -> Result<Vec<Entry>, Poisoned> {
    let document: Map<String, Value> = serde_json::from_slice(text)
        .map_err(|error| state.damaged(format_args!("document {id} is not JSON: {error}")))?;
    Ok(collection.stored_entries(id, &document))
}

fn find<'a>(catalog: &'a Catalog, name: &str) -> Result<&'a Collection, ReadError> {
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
