//! Deletes a document, with what is to become of those that refer to it.
//!
//! Rule: the whole extent of a deletion is worked out before anything is written, so one that is refused leaves the
//! transaction as it was. Who refers to a document is read as an interval of an index: see [`crate::references`].

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use weir_schema::codec::key::{self, Key};
use weir_schema::id::DocumentId;
use weir_schema::references::OnDelete;

use crate::catalog::{Catalog, Collection, Index, Reference, ReferenceState};
use crate::error::{ReadError, WriteError};
use crate::planner::{Plan, Source};
use crate::read_set::Interval;
use crate::rows::View;
use crate::scan::Direction;
use crate::transaction::{Put, Transaction, find};

/// What deleting one document did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Whether the document was there.
    pub existed: bool,
    /// The documents that were deleted with it.
    pub cascaded: Vec<(String, DocumentId)>,
    /// The documents that referred to one of them and do no longer.
    pub cleared: Vec<(String, DocumentId)>,
}

impl Deleted {
    /// All documents that were written besides the one asked for.
    pub fn others(self) -> impl Iterator<Item = (String, DocumentId)> {
        self.cascaded.into_iter().chain(self.cleared)
    }
}

impl Transaction {
    /// Removes a document, and does with those that refer to it what their collections declare.
    pub fn delete(&mut self, collection: &str, id: &DocumentId) -> Result<Deleted, WriteError> {
        self.delete_at_most(collection, id, usize::MAX)
    }

    /// As [`delete`](Self::delete), unless that would write more documents: then nothing is written.
    pub fn delete_at_most(
        &mut self,
        collection: &str,
        id: &DocumentId,
        documents_max: usize,
    ) -> Result<Deleted, WriteError> {
        let catalog = self.use_catalog();
        let found = find(&catalog, collection)?;
        if self.get(collection, id)?.is_none() {
            return Ok(Deleted::default());
        }
        let first = Document { name: collection, collection: found, id: id.clone() };
        let mut extent = Extent::new(&catalog, documents_max.min(self.documents_written_max()));
        extent.add(self, first)?;
        extent.follow_cascades(self)?;
        extent.look_at_others(self)?;
        extent.carry_out(self)
    }

    /// The documents of a collection that refer to a target, until `each` ends it. What was looked at has been read.
    fn referrers(
        &mut self,
        collection: &Collection,
        index: &Index,
        target: &DocumentId,
        mut each: impl FnMut(DocumentId) -> Step,
    ) -> Result<(), ReadError> {
        let prefix = index.prefix(collection.number);
        let fixed = key::referrers(&prefix, target);
        let interval = Interval::prefix(fixed.clone());
        let source = Source::Index { number: index.number, fields: index.components() };
        let direction = Direction::Asc;
        let plan = Plan { source, prefix, fixed, interval, is_point: false, direction, others: None };
        let mut covered = plan.interval.clone();
        let state = self.base.state()?;
        let view = View { state: &state, overlay: &self.overlay, collection: collection.number };
        for found in view.ids(&plan)? {
            let (key, id) = found?;
            if let Step::End = each(id) {
                covered.end = key::successor(&key);
                break;
            }
        }
        self.read_set.add_interval(covered);
        Ok(())
    }
}

/// Whether a walk goes on.
enum Step {
    On,
    End,
}

/// A document that is deleted, or that refers to one.
#[derive(Clone)]
struct Document<'c> {
    name: &'c str,
    collection: &'c Collection,
    id: DocumentId,
}

impl Document<'_> {
    fn key(&self) -> Key {
        key::document(self.collection.number, &self.id)
    }

    fn named(&self) -> (String, DocumentId) {
        (self.name.to_owned(), self.id.clone())
    }
}

/// A reference with the collection whose documents have it.
#[derive(Clone, Copy)]
struct Inbound<'c> {
    name: &'c str,
    collection: &'c Collection,
    reference: &'c Reference,
    index: &'c Index,
}

impl Inbound<'_> {
    /// What it does by now: see [`ReferenceState::Checking`].
    fn on_delete(&self) -> OnDelete {
        match self.reference.state {
            ReferenceState::Checking => OnDelete::Restrict,
            ReferenceState::Ready => self.reference.on_delete,
        }
    }
}

/// A document that stays and loses references.
struct Clearing<'c> {
    document: Document<'c>,
    lost: Vec<(&'c Reference, DocumentId)>,
}

/// What a deletion comes to.
struct Extent<'c> {
    catalog: &'c Catalog,
    documents_max: usize,
    /// What is deleted, the one asked for first.
    gone: Vec<Document<'c>>,
    gone_keys: BTreeSet<Key>,
    clearing: BTreeMap<Key, Clearing<'c>>,
    /// How many of all these are not written yet.
    new: usize,
    /// Of the keys of what is deleted.
    bytes: usize,
}

impl<'c> Extent<'c> {
    fn new(catalog: &'c Catalog, documents_max: usize) -> Self {
        let (gone, gone_keys, clearing) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
        Self { catalog, documents_max, gone, gone_keys, clearing, new: 0, bytes: 0 }
    }

    /// The references that lead to a collection.
    fn inbound(&self, target: &str) -> impl Iterator<Item = Inbound<'c>> + use<'c> {
        let target = target.to_owned();
        self.catalog.collections.iter().flat_map(move |(name, collection)| {
            let leading = collection.references.iter().filter(|reference| reference.target == target);
            let inbound = leading.filter_map(|reference| {
                let index = collection.indexes.iter().find(|index| index.number == reference.index)?;
                Some(Inbound { name, collection, reference, index })
            });
            inbound.collect::<Vec<_>>()
        })
    }

    fn add(&mut self, transaction: &Transaction, document: Document<'c>) -> Result<(), WriteError> {
        let key = document.key();
        if self.gone_keys.contains(&key) {
            return Ok(());
        }
        self.new += usize::from(transaction.overlay.get(&key).is_none());
        self.bytes += key.len();
        self.gone_keys.insert(key);
        self.gone.push(document);
        self.check_room(transaction)
    }

    /// Whether the transaction and the caller allow as much as was found so far.
    fn check_room(&self, transaction: &Transaction) -> Result<(), WriteError> {
        transaction.check_room(self.new, self.bytes)?;
        match self.gone.first() {
            Some(first) if self.gone.len() + self.clearing.len() > self.documents_max => {
                let (collection, id) = first.named();
                Err(WriteError::TooManyDocuments { collection, id, max: self.documents_max })
            }
            _ => Ok(()),
        }
    }

    /// Finds everything that is deleted.
    fn follow_cascades(&mut self, transaction: &mut Transaction) -> Result<(), WriteError> {
        let mut next = 0;
        while let Some(target) = self.gone.get(next).cloned() {
            next += 1;
            let cascading = self.inbound(target.name).filter(|inbound| inbound.on_delete() == OnDelete::Cascade);
            for Inbound { name, collection, index, .. } in cascading {
                let room = self.documents_max.saturating_sub(self.gone.len()).saturating_add(1);
                let mut found = Vec::new();
                let gone = &self.gone_keys;
                let each = |id: DocumentId| {
                    if !gone.contains(&key::document(collection.number, &id)) {
                        found.push(id);
                    }
                    if found.len() > room { Step::End } else { Step::On }
                };
                transaction.referrers(collection, index, &target.id, each)?;
                for id in found {
                    self.add(transaction, Document { name, collection, id })?;
                }
            }
        }
        Ok(())
    }

    /// Finds who refers to what is deleted and is not deleted itself.
    fn look_at_others(&mut self, transaction: &mut Transaction) -> Result<(), WriteError> {
        let gone = mem::take(&mut self.gone);
        let looked = gone.iter().try_for_each(|target| {
            self.inbound(target.name).try_for_each(|inbound| match inbound.on_delete() {
                OnDelete::Cascade => Ok(()),
                OnDelete::Restrict => self.check_unreferred(transaction, target, inbound),
                OnDelete::SetNull => self.clear_later(transaction, target, inbound),
            })
        });
        self.gone = gone;
        looked?;
        self.new += self.clearing.keys().filter(|key| transaction.overlay.get(key).is_none()).count();
        self.check_room(transaction)
    }

    fn check_unreferred(
        &self,
        transaction: &mut Transaction,
        target: &Document,
        Inbound { name, collection, reference, index }: Inbound,
    ) -> Result<(), WriteError> {
        let mut stays = None;
        let each = |id: DocumentId| {
            if self.gone_keys.contains(&key::document(collection.number, &id)) {
                return Step::On;
            }
            stays = Some(id);
            Step::End
        };
        transaction.referrers(collection, index, &target.id, each)?;
        let Some(referrer) = stays else { return Ok(()) };
        let (collection, id) = target.named();
        let (by, member) = (name.to_owned(), reference.ids.member.clone());
        Err(WriteError::Restricted { collection, id, by, member, referrer })
    }

    fn clear_later(
        &mut self,
        transaction: &mut Transaction,
        target: &Document,
        Inbound { name, collection, reference, index }: Inbound<'c>,
    ) -> Result<(), WriteError> {
        let room = self.documents_max.saturating_sub(self.gone_keys.len());
        let each = |id: DocumentId| {
            let document = Document { name, collection, id };
            let key = document.key();
            if !self.gone_keys.contains(&key) {
                let clearing = self.clearing.entry(key).or_insert_with(|| Clearing { document, lost: Vec::new() });
                clearing.lost.push((reference, target.id.clone()));
            }
            if self.clearing.len() > room { Step::End } else { Step::On }
        };
        Ok(transaction.referrers(collection, index, &target.id, each)?)
    }

    /// Writes all of it.
    fn carry_out(self, transaction: &mut Transaction) -> Result<Deleted, WriteError> {
        let mut deleted = Deleted { existed: true, ..Deleted::default() };
        let mut bytes = self.bytes;
        let mut cleared: Vec<Put> = Vec::with_capacity(self.clearing.len());
        for Clearing { document: Document { name, collection, id }, lost } in self.clearing.into_values() {
            // An index led to it.
            let Some(text) = transaction.get(name, &id)? else { continue };
            let mut members = transaction.parse(&id, &text)?;
            for (reference, target) in lost {
                reference.ids.places.clear(&mut members, &reference.ids.member, target.as_str());
            }
            let put = transaction.prepare(name, collection, &id, members)?;
            bytes += put.text.len();
            transaction.check_room(self.new, bytes)?;
            deleted.cleared.push((name.to_owned(), id));
            cleared.push(put);
        }
        let mut removals = Vec::with_capacity(self.gone.len());
        for document in &self.gone {
            removals.push(transaction.look_up(document.collection, &document.id)?);
        }
        for put in cleared {
            transaction.apply(put);
        }
        for (key, first) in removals {
            transaction.touch(&key, first);
            transaction.overlay.set(&key, None, Vec::new());
        }
        deleted.cascaded = self.gone.iter().skip(1).map(Document::named).collect();
        Ok(deleted)
    }
}
