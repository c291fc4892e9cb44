//! That references lead to documents that are there: checked where a document is written, and for those that were there
//! before the reference was declared.
//!
//! A target is read as a point and a deletion reads who refers to its document as an interval, so of a reference that is
//! made and a target that is deleted at the same time one is refused. What a document referred to before is not looked
//! up again: it was there, and had it gone since, this document would have been changed with it.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::{Map, Value};
use weir_schema::codec::key::{self, Key};
use weir_schema::id::DocumentId;

use crate::catalog::{Catalog, Collection, Entry, ReferenceState};
use crate::error::{CatalogError, Poisoned, ReadError, WriteError};
use crate::transaction::{Put, Transaction, find};

/// A reference from a document that is written to another.
pub(crate) struct Lead {
    member: String,
    /// The collection of the other.
    target: String,
    /// Its id.
    id: String,
}

/// Why documents that were to be written together are not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct PutAllError {
    /// The document to blame, by its place among them.
    pub index: usize,
    /// What is wrong.
    pub error: Box<WriteError>,
}

impl PutAllError {
    fn new(index: usize, error: WriteError) -> Self {
        Self { index, error: Box::new(error) }
    }
}

impl Transaction {
    /// As [`put`](Self::put) for many documents, which may refer to each other in any order. On an error none is
    /// written.
    pub fn put_all(
        &mut self,
        collection: &str,
        documents: Vec<(DocumentId, Map<String, Value>)>,
    ) -> Result<Vec<Bytes>, PutAllError> {
        let whole = |error| PutAllError::new(0, error);
        let catalog = self.use_catalog();
        let found = find(&catalog, collection).map_err(|error| whole(error.into()))?;
        let mut puts = Vec::with_capacity(documents.len());
        let (mut new, mut bytes) = (BTreeSet::new(), 0);
        for (index, (id, document)) in documents.into_iter().enumerate() {
            let blame = |error| PutAllError::new(index, error);
            let put = self.prepare(collection, found, &id, document).map_err(blame)?;
            bytes += put.text.len();
            if put.first.is_some() {
                new.insert(put.key.clone());
            }
            self.check_room(new.len(), bytes).map_err(blame)?;
            puts.push(put);
        }
        self.check_references(&catalog, collection, &puts)?;
        Ok(puts.into_iter().map(|put| self.apply(put)).collect())
    }

    /// Whether what documents of one collection refer to is there or among them; if not, the place of the first to blame.
    pub(crate) fn check_references(
        &mut self,
        catalog: &Catalog,
        collection: &str,
        puts: &[Put],
    ) -> Result<(), PutAllError> {
        let among: BTreeSet<&Key> = puts.iter().map(|put| &put.key).collect();
        for (index, put) in puts.iter().enumerate() {
            for lead in &put.leads {
                let target = target_key(catalog, &lead.target, &lead.id);
                let is_there = match target {
                    None => false,
                    Some(key) if among.contains(&key) => true,
                    Some(key) => self.has(key).map_err(|error| PutAllError::new(index, error.into()))?,
                };
                if !is_there {
                    let Lead { member, target, id: missing } = lead;
                    return Err(PutAllError::new(
                        index,
                        WriteError::Dangling {
                            collection: collection.to_owned(),
                            id: put.id.clone(),
                            member: member.clone(),
                            target: target.clone(),
                            missing: missing.clone(),
                        },
                    ));
                }
            }
        }
        Ok(())
    }

    fn has(&mut self, document: Key) -> Result<bool, ReadError> {
        if let Some(written) = self.overlay.get(&document) {
            return Ok(written.document.is_some());
        }
        Ok(self.read(document)?.is_some())
    }
}

/// What a document refers to, without what it is known to have referred to before: `now` are its entries so far.
pub(crate) fn new_leads(collection: &Collection, document: &Map<String, Value>, now: &[Entry]) -> Vec<Lead> {
    let mut leads = Vec::new();
    for reference in &collection.references {
        let prefix = key::index(collection.number, reference.index);
        let is_known = |id: &str| {
            let Ok(id) = DocumentId::parse(id) else { return false };
            let start = key::referrers(&prefix, &id);
            reference.state == ReferenceState::Ready && now.iter().any(|entry| entry.key.starts_with(&start))
        };
        for id in reference.ids.of(document) {
            if !is_known(id) {
                let (member, target) = (reference.ids.member.clone(), reference.target.clone());
                leads.push(Lead { member, target, id: id.to_owned() });
            }
        }
    }
    leads
}

/// Checks the new references of a stored document. `has` looks a document up by its key.
pub(crate) fn check_stored(
    catalog: &Catalog,
    (name, collection): (&str, &Collection),
    id: &DocumentId,
    document: &Map<String, Value>,
    mut has: impl FnMut(Key) -> Result<bool, Poisoned>,
) -> Result<(), CatalogError> {
    let checking = collection.references.iter().filter(|reference| reference.state == ReferenceState::Checking);
    for reference in checking {
        for missing in reference.ids.of(document) {
            let is_there = match target_key(catalog, &reference.target, missing) {
                Some(key) => has(key)?,
                None => false,
            };
            if !is_there {
                return Err(CatalogError::Dangling {
                    collection: name.to_owned(),
                    id: id.clone(),
                    member: reference.ids.member.clone(),
                    target: reference.target.clone(),
                    missing: missing.to_owned(),
                });
            }
        }
    }
    Ok(())
}

/// The key of the document that an id leads to; `None` if it can lead to none.
pub(crate) fn target_key(catalog: &Catalog, target: &str, id: &str) -> Option<Key> {
    let id = DocumentId::parse(id).ok()?;
    // Not only declared ones: a reference to a collection that is new with it is held to from the start.
    catalog.collections.get(target).map(|target| key::document(target.number, &id))
}
