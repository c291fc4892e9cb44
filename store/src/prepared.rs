//! A transaction made ready for the committer: everything that can be worked out before its place in the order of
//! commits is known.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use weir_schema::codec::audit::{AuditNote, Person};
use weir_schema::codec::journal::{Change, ChangeKind};
use weir_schema::codec::key::{self, IndexNumber, Key};
use weir_schema::digest::Digest;
use weir_schema::id::DocumentId;

use crate::catalog::Catalog;
use crate::control;
use crate::overlay::EntryChange;
use crate::read_set::ReadSet;
use crate::transaction::Transaction;
use crate::turns::Turn;

/// What the committer takes.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    /// The sequence number of the last commit in what was read.
    pub(crate) since: u64,
    /// What pending commits it has read, if it has: see [`crate::pending::Pending::epoch`].
    pub(crate) epoch: Option<u64>,
    /// What must not have changed since.
    pub(crate) read_set: ReadSet,
    /// Documents, index entries, jobs, the control plane and the catalog; `None` removes.
    pub(crate) writes: Vec<(Key, Option<Bytes>)>,
    /// Unique keys that it takes.
    pub(crate) claims: Vec<Claim>,
    /// Unique keys that it gives up, and the documents that had them.
    pub(crate) releases: Vec<(Key, DocumentId)>,
    /// For the journal.
    pub(crate) changes: Vec<Change>,
    /// For the notice; sorted.
    pub(crate) touched: Vec<Key>,
    /// What a repeat of the call shall be answered.
    pub(crate) kept: Option<Kept>,
    /// For the audit log.
    pub(crate) audit: Option<AuditNote>,
    /// Whom that is to tell of no more.
    pub(crate) erases: Option<Person>,
    /// Whether that is all that it is for.
    pub(crate) is_on_record: bool,
    /// What the writes were made by.
    pub(crate) catalog: Arc<Catalog>,
    /// What is the catalog once this is committed, if that changes it.
    pub(crate) next_catalog: Option<Arc<Catalog>>,
    /// Protects what it has read; ends when it is admitted or refused.
    pub(crate) turn: Option<Turn>,
}

/// A unique key that a document takes.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) key: Key,
    pub(crate) id: DocumentId,
    pub(crate) index: IndexNumber,
}

/// The outcome of a call with an idempotency key. Its commit is not known before it is admitted.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) key: Digest,
    pub(crate) request: Digest,
    pub(crate) expires_ms: u64,
    pub(crate) outcome: Value,
}

impl Prepared {
    /// Takes a transaction apart.
    pub(crate) fn new(transaction: Transaction) -> Self {
        let Transaction {
            head,
            catalog,
            overlay,
            read_set,
            epoch,
            turn,
            kept,
            audit,
            control,
            is_on_record,
            erases,
            ..
        } = transaction;
        let since = head.sequence;
        let mut prepared =
            Self { since, epoch, read_set, catalog, turn, kept, audit, erases, is_on_record, ..Self::default() };
        let (documents, entries, jobs) = overlay.into_parts();
        jobs.prepare(&mut prepared);
        control::prepare(control, &mut prepared);
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
        if let Some(kept) = &prepared.kept {
            prepared.touched.push(key::outcome(&kept.key));
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

    /// Whether there is nothing to commit.
    pub(crate) fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.kept.is_none() && !self.is_on_record
    }
}
