//! Reads and writes on one snapshot.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};
use weir_schema::codec::journal::Head;
use weir_schema::codec::key::{self, CollectionNumber, Key};
use weir_schema::commit::Timestamp;
use weir_schema::id::DocumentId;
use weir_schema::limits::DOCUMENT_BYTES_MAX;

use crate::catalog::{Catalog, Collection, Entry};
use crate::engine::Snapshot;
use crate::error::{Poisoned, ReadError, ScanError, WriteError};
use crate::overlay::{Overlay, Written};
use crate::planner::{self, Plan};
use crate::read_set::ReadSet;
use crate::references::{self, Lead};
use crate::rows::View;
use crate::scan::{Rows, Scan};

/// A snapshot, the writes made on top of it, and the keys that were read.
///
/// Nothing of it is shared: it may be used on any one thread, blocking it for the length of a disk read at most.
/// Dropping it undoes it.
pub struct Transaction {
    pub(crate) snapshot: Snapshot,
    pub(crate) head: Head,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) overlay: Overlay,
    pub(crate) read_set: ReadSet,
    knows_catalog: bool,
    bytes_max: usize,
}

/// A write that is worked out and not made yet.
pub(crate) struct Put {
    pub(crate) id: DocumentId,
    pub(crate) key: Key,
    /// What the snapshot has of the document, unless it was written before.
    first: Option<Written>,
    pub(crate) text: Bytes,
    after: Vec<Entry>,
    /// What it refers to and did not before.
    pub(crate) leads: Vec<Lead>,
}

impl Transaction {
    pub(crate) fn new(snapshot: Snapshot, head: Head, catalog: Arc<Catalog>, bytes_max: usize) -> Self {
        let (overlay, read_set) = (Overlay::default(), ReadSet::default());
        Self { snapshot, head, catalog, overlay, read_set, knows_catalog: false, bytes_max }
    }

    /// The timestamp of the last commit in the snapshot.
    pub fn timestamp(&self) -> Timestamp {
        self.head.timestamp
    }

    /// The last commit in the snapshot.
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

    /// A document as JSON text, `id` first.
    pub fn get(&mut self, collection: &str, id: &DocumentId) -> Result<Option<Bytes>, ReadError> {
        let catalog = self.use_catalog();
        let key = key::document(find(&catalog, collection)?.number, id);
        if let Some(written) = self.overlay.get(&key) {
            return Ok(written.document.clone());
        }
        let document = self.snapshot.get(&key)?.map(Bytes::from);
        self.read_set.add_point(key);
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
        self.check_size(put.text.len())?;
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
        let (key, first) = self.look_up(collection, id)?;
        let now = first.as_ref().or_else(|| self.overlay.get(&key)).map_or(&[][..], |written| &written.after);
        let leads = references::new_leads(collection, &document, now);
        let text = document_text(id, document);
        if text.len() > DOCUMENT_BYTES_MAX {
            let (collection, bytes) = (name.to_owned(), text.len());
            return Err(WriteError::DocumentTooLarge { collection, id: id.clone(), bytes });
        }
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
        let catalog = self.use_catalog();
        let (plan, view) = self.view(&catalog, collection, scan)?;
        let (rows, covered) = view.rows(&plan, scan.limit).map_err(ReadError::from)?;
        self.read_set.add_interval(covered);
        Ok(rows)
    }

    /// Counts the rows of a scan.
    pub fn count(&mut self, collection: &str, scan: &Scan) -> Result<u64, ScanError> {
        let catalog = self.use_catalog();
        let (plan, view) = self.view(&catalog, collection, scan)?;
        let (count, covered) = view.count(&plan, scan.limit).map_err(ReadError::from)?;
        self.read_set.add_interval(covered);
        Ok(count)
    }

    /// The documents and entries of a collection as the transaction sees them.
    pub(crate) fn rows_of(&self, collection: CollectionNumber) -> View<'_> {
        View { snapshot: &self.snapshot, overlay: &self.overlay, collection }
    }

    fn view(&self, catalog: &Catalog, name: &str, scan: &Scan) -> Result<(Plan, View<'_>), ScanError> {
        let collection = find(catalog, name)?;
        let plan = planner::plan(name, collection, scan)?;
        Ok((plan, self.rows_of(collection.number)))
    }

    /// The catalog, which has been read from now on.
    pub(crate) fn use_catalog(&mut self) -> Arc<Catalog> {
        if !self.knows_catalog {
            self.knows_catalog = true;
            self.read_set.add_point(key::CATALOG.to_vec());
        }
        self.catalog.clone()
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
        let old = self.snapshot.get(&key)?;
        self.read_set.add_point(key.clone());
        let before = match &old {
            Some(text) if collection.has_indexes() => self.entries_before(collection, id, text)?,
            _ => Vec::new(),
        };
        let written = Written {
            collection: collection.number,
            id: id.clone(),
            existed: old.is_some(),
            after: before.clone(),
            before,
            document: old.map(Bytes::from),
        };
        Ok((key, Some(written)))
    }

    fn entries_before(&self, collection: &Collection, id: &DocumentId, text: &[u8]) -> Result<Vec<Entry>, Poisoned> {
        Ok(collection.stored_entries(id, &self.parse(id, text)?))
    }

    /// The members of a stored document.
    pub(crate) fn parse(&self, id: &DocumentId, text: &[u8]) -> Result<Map<String, Value>, Poisoned> {
        serde_json::from_slice(text)
            .map_err(|error| self.snapshot.damaged(format_args!("document {id} is not JSON: {error}")))
    }

    pub(crate) fn check_size(&self, more: usize) -> Result<(), WriteError> {
        let max = self.bytes_max;
        if self.overlay.bytes() + more > max { Err(WriteError::TransactionTooLarge { max }) } else { Ok(()) }
    }
}

pub(crate) fn find<'a>(catalog: &'a Catalog, name: &str) -> Result<&'a Collection, ReadError> {
    catalog.collection(name).ok_or_else(|| ReadError::UnknownCollection(name.to_owned()))
}

/// The text of a document: compact JSON, `id` first.
fn document_text(id: &DocumentId, document: Map<String, Value>) -> Bytes {
    let mut whole = Map::with_capacity(document.len() + 1);
    whole.insert("id".to_owned(), Value::String(id.as_str().to_owned()));
    whole.extend(document.into_iter().filter(|(name, _)| name != "id"));
    Bytes::from(Value::Object(whole).to_string())
}
