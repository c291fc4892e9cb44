//! Reads and writes on one snapshot.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};
use weir_schema::codec::journal::Head;
use weir_schema::codec::key::{self, Key};
use weir_schema::commit::Timestamp;
use weir_schema::id::DocumentId;
use weir_schema::limits::DOCUMENT_BYTES_MAX;

use crate::catalog::{Catalog, Collection, Entry};
use crate::engine::Snapshot;
use crate::error::{Poisoned, ReadError, ScanError, WriteError};
use crate::overlay::{Overlay, Written};
use crate::planner::{self, Plan};
use crate::read_set::ReadSet;
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
        let found = find(&catalog, collection)?;
        let after = found.entries(id, &document).map_err(|source| WriteError::NotIndexable {
            collection: collection.to_owned(),
            id: id.clone(),
            source,
        })?;
        let text = document_text(id, document);
        if text.len() > DOCUMENT_BYTES_MAX {
            let (collection, bytes) = (collection.to_owned(), text.len());
            return Err(WriteError::DocumentTooLarge { collection, id: id.clone(), bytes });
        }
        self.check_size(text.len())?;
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
        self.check_size(0)?;
        let key = self.touch(found, id)?;
        self.overlay.set(&key, None, Vec::new());
        Ok(true)
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

    fn view(&self, catalog: &Catalog, name: &str, scan: &Scan) -> Result<(Plan, View<'_>), ScanError> {
        let collection = find(catalog, name)?;
        let plan = planner::plan(name, collection, scan)?;
        Ok((plan, View { snapshot: &self.snapshot, overlay: &self.overlay, collection: collection.number }))
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
    fn touch(&mut self, collection: &Collection, id: &DocumentId) -> Result<Key, ReadError> {
        let key = key::document(collection.number, id);
        if self.overlay.get(&key).is_some() {
            return Ok(key);
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
        self.overlay.touch(key.clone(), written);
        Ok(key)
    }

    fn entries_before(&self, collection: &Collection, id: &DocumentId, text: &[u8]) -> Result<Vec<Entry>, Poisoned> {
        let document: Map<String, Value> = serde_json::from_slice(text)
            .map_err(|error| self.snapshot.damaged(format_args!("document {id} is not JSON: {error}")))?;
        Ok(collection.stored_entries(id, &document))
    }

    fn check_size(&self, more: usize) -> Result<(), WriteError> {
        let max = self.bytes_max;
        if self.overlay.bytes() + more > max { Err(WriteError::TransactionTooLarge { max }) } else { Ok(()) }
    }
}

fn find<'a>(catalog: &'a Catalog, name: &str) -> Result<&'a Collection, ReadError> {
    catalog.collection(name).ok_or_else(|| ReadError::UnknownCollection(name.to_owned()))
}

/// The text of a document: compact JSON, `id` first.
fn document_text(id: &DocumentId, document: Map<String, Value>) -> Bytes {
    let mut whole = Map::with_capacity(document.len() + 1);
    whole.insert("id".to_owned(), Value::String(id.as_str().to_owned()));
    whole.extend(document.into_iter().filter(|(name, _)| name != "id"));
    Bytes::from(Value::Object(whole).to_string())
}
