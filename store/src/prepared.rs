//! A transaction made ready for the committer: everything that can be worked out before its place in the order of
//! commits is known.

use std::sync::Arc;

use bytes::Bytes;
use weir_schema::codec::journal::{Change, ChangeKind};
use weir_schema::codec::key::{IndexNumber, Key};
use weir_schema::id::DocumentId;

use crate::catalog::Catalog;
use crate::overlay::EntryChange;
use crate::read_set::ReadSet;
use crate::transaction::Transaction;

/// What the committer takes.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    /// The sequence number of the last commit in the snapshot.
    pub(crate) since: u64,
    /// What must not have changed since.
    pub(crate) read_set: ReadSet,
    /// Documents, index entries and the catalog; `None` deletes.
    pub(crate) writes: Vec<(Key, Option<Bytes>)>,
    /// Unique keys that it takes.
    pub(crate) claims: Vec<Claim>,
    /// Unique keys that it gives up, and the documents that had them.
    pub(crate) releases: Vec<(Key, DocumentId)>,
    /// For the journal.
    pub(crate) changes: Vec<Change>,
    /// For the notice; sorted.
    pub(crate) touched: Vec<Key>,
    /// What the writes were made by.
    pub(crate) catalog: Arc<Catalog>,
    /// What is the catalog once this is committed, if that changes it.
    pub(crate) next_catalog: Option<Arc<Catalog>>,
}

/// A unique key that a document takes.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) key: Key,
    pub(crate) id: DocumentId,
    pub(crate) index: IndexNumber,
}

impl Prepared {
    /// Takes a transaction apart.
    pub(crate) fn new(transaction: Transaction) -> Self {
        let Transaction { head, catalog, overlay, read_set, .. } = transaction;
        let mut prepared = Self { since: head.sequence, read_set, catalog, ..Self::default() };
        let (documents, entries) = overlay.into_parts();
        for (key, written) in documents {
            if !written.existed && written.document.is_none() {
                continue;
            }
            let kind = if written.document.is_some() { ChangeKind::Put } else { ChangeKind::Delete };
            prepared.changes.push(Change { collection: written.collection, id: written.id, kind });
            let entries = written.before.into_iter().chain(written.after).map(|entry| entry.key);
            prepared.touched.push(key.clone());
            prepared.touched.extend(entries);
            prepared.writes.push((key, written.document));
        }
        prepared.touched.sort_unstable();
        prepared.touched.dedup();
        for (key, documents) in entries {
            let mut value = None;
            for (id, change) in documents {
                match (change.kind, change.exclusive) {
                    (EntryChange::Added, true) => {
                        value = Some(Bytes::copy_from_slice(id.as_str().as_bytes()));
                        prepared.claims.push(Claim { key: key.clone(), id, index: change.index });
                    }
                    (EntryChange::Added, false) => value = Some(Bytes::new()),
                    (EntryChange::Removed, true) => prepared.releases.push((key.clone(), id)),
                    (EntryChange::Removed, false) => {}
                }
            }
            prepared.writes.push((key, value));
        }
        prepared
    }

    /// How much it writes.
    pub(crate) fn bytes(&self) -> usize {
        self.writes.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Bytes::len)).sum()
    }
}
