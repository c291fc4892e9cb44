//! Commits that become durable together, each validated as if those before it in the group were committed already.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use weir_schema::codec::journal::{Change, Head, JournalEntry};
use weir_schema::codec::key::{self, Key};
use weir_schema::id::DocumentId;

use crate::catalog::Catalog;
use crate::clock;
use crate::engine::{Batch, Engine, Snapshot, Written};
use crate::error::{CommitError, Poisoned, UniqueViolation};
use crate::notice::{Committed, Notice};
use crate::prepared::{Claim, Prepared};
use crate::validation::Validation;
use crate::window::Window;

/// Who has a unique key; `None`: nobody any more.
type Holders = HashMap<Key, Option<DocumentId>>;

/// What a commit does to the unique indexes.
enum Uniqueness {
    /// Each key has one holder, these have changed.
    Kept(Holders),
    Violated(UniqueViolation),
}

/// What one write to the engine is made of.
pub(crate) struct Group {
    batch: Batch,
    /// The state before the group.
    snapshot: Snapshot,
    /// Who has a unique key after the commits so far, where they changed that.
    holders: Holders,
    /// The last commit so far.
    head: Head,
    notices: Vec<Arc<Notice>>,
    catalog: Option<Arc<Catalog>>,
}

/// A group that is durable.
pub(crate) struct Durable {
    pub(crate) head: Head,
    /// One for each commit, in order.
    pub(crate) notices: Vec<Arc<Notice>>,
    /// The catalog from now on, if it changed.
    pub(crate) catalog: Option<Arc<Catalog>>,
}

impl Group {
    /// An empty group after the commit `head`.
    pub(crate) fn new(engine: &Engine, head: Head) -> Result<Self, Poisoned> {
        let (batch, snapshot) = (engine.batch()?, engine.snapshot()?);
        Ok(Self { batch, snapshot, holders: HashMap::new(), head, notices: Vec::new(), catalog: None })
    }

    /// Validates a commit and gives it its place. Only a failing engine ends the group.
    pub(crate) fn admit(
        &mut self,
        window: &mut Window,
        validation: Validation,
        prepared: Prepared,
    ) -> Result<Result<Committed, CommitError>, Poisoned> {
        if !window.is_current(prepared.since, &validation.compared(&prepared.read_set, &prepared.touched)) {
            return Ok(Err(CommitError::Conflict));
        }
        let holders = match self.take_unique(&prepared)? {
            Uniqueness::Kept(holders) => holders,
            Uniqueness::Violated(violation) => return Ok(Err(CommitError::Unique(violation))),
        };
        self.holders.extend(holders);
        self.head.sequence += 1;
        self.head.timestamp = clock::next(self.head.timestamp, clock::now_ns());
        if let Some(catalog) = prepared.next_catalog {
            self.head.catalog = catalog.version;
            self.catalog = Some(catalog);
        }
        self.write(prepared.writes, prepared.changes)?;
        let notice = Arc::new(Notice::new(self.head, prepared.touched));
        window.push(notice.clone());
        self.notices.push(notice);
        Ok(Ok(Committed { timestamp: self.head.timestamp, sequence: self.head.sequence }))
    }

    /// Whether nothing was admitted.
    pub(crate) fn is_empty(&self) -> bool {
        self.notices.is_empty()
    }

    /// Makes the group durable; `None` where the engine refused it and nothing was written.
    pub(crate) async fn commit(mut self) -> Result<Option<Durable>, Poisoned> {
        self.batch.put(key::HEAD.to_vec(), to_json(&self.head))?;
        match self.batch.commit().await? {
            Written::Durable => Ok(Some(Durable { head: self.head, notices: self.notices, catalog: self.catalog })),
            Written::Refused => Ok(None),
        }
    }

    /// Works out who has the unique keys after this commit.
    fn take_unique(&self, prepared: &Prepared) -> Result<Uniqueness, Poisoned> {
        let mut holders: Holders = prepared.releases.iter().map(|(key, _)| (key.clone(), None)).collect();
        for Claim { key, id, index } in &prepared.claims {
            let holder = match holders.get(key).or_else(|| self.holders.get(key)) {
                Some(holder) => holder.clone(),
                None => self.stored_holder(key)?,
            };
            match holder {
                Some(other) if other != *id => {
                    return Ok(Uniqueness::Violated(prepared.catalog.violation(*index, id.clone(), other)));
                }
                _ => holders.insert(key.clone(), Some(id.clone())),
            };
        }
        Ok(Uniqueness::Kept(holders))
    }

    fn stored_holder(&self, key: &[u8]) -> Result<Option<DocumentId>, Poisoned> {
        let Some(value) = self.snapshot.get(key)? else { return Ok(None) };
        match key::index_entry_id(&[], 0, &[], &value) {
            Some(id) => Ok(Some(id)),
            None => Err(self.snapshot.damaged(format_args!("unique entry {key:?} leads to no document"))),
        }
    }

    fn write(&mut self, writes: Vec<(Key, Option<Bytes>)>, changes: Vec<Change>) -> Result<(), Poisoned> {
        for (key, value) in writes {
            match value {
                Some(value) => self.batch.put(key, value.into())?,
                None => self.batch.delete(key)?,
            }
        }
        let Head { sequence, timestamp, .. } = self.head;
        self.batch.put(key::journal(sequence), to_json(&JournalEntry { sequence, timestamp, changes }))
    }
}

/// JSON of a record of our own, which always has one.
pub(crate) fn to_json(record: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(record).unwrap_or_default()
}
