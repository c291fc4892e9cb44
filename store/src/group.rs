//! Commits that become durable together, and how they are written.
//!
//! Rule: documents, index entries, jobs, records of the control plane, journal entry, audit record and kept outcome of a commit are in one write to the
//! engine, with the records that say how far all of these reach.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;
use weir_schema::codec::audit::{AuditHead, AuditNote, Person};
use weir_schema::codec::journal::{Change, Head, HistoryExtent, JournalEntry, JournalExtent};
use weir_schema::codec::key::{self, Key};
use weir_schema::id::DocumentId;

use crate::catalog::Catalog;
use crate::engine::{Batch, Engine, Written};
use crate::error::{CommitError, Poisoned};
use crate::notice::{Committed, Notice};
use crate::pending::{PendingGroup, Writes};
use crate::people::{Change as PeopleChange, Changes as PeopleChanges, People};
use crate::turns::Footprint;

/// Who waits for what became of a commit. Who has gone does not want to know.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) verdict: oneshot::Sender<Verdict>,
    /// For who goes on as soon as it is decided.
    pub(crate) decide: Option<oneshot::Sender<()>>,
}

impl Answer {
    /// Says that all is decided but known to be durable.
    pub(crate) fn decided(&mut self) {
        if let Some(decide) = self.decide.take() {
            let _ = decide.send(());
        }
    }

    /// Says what became of it.
    pub(crate) fn reply(self, verdict: Verdict) {
        let _ = self.verdict.send(verdict);
    }
}

/// What became of a commit.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It is durable.
    Committed(Committed),
    /// Something that it read has changed since. This is what it read and touched.
    Conflict(Footprint),
    /// It will never be.
    Failed(CommitError),
}

/// Who has a unique key; `None`: nobody any more.
pub(crate) type Holders = HashMap<Key, Option<DocumentId>>;

/// A commit that has its place.
pub(crate) struct Admitted {
    pub(crate) head: Head,
    pub(crate) writes: Writes,
    pub(crate) changes: Vec<Change>,
    pub(crate) audit: Option<AuditNote>,
    /// Whom the audit log tells of no more from now on.
    pub(crate) erases: Option<Person>,
    pub(crate) notice: Arc<Notice>,
    pub(crate) answer: Answer,
}

/// What keeps the store small and changes nothing that anybody reads.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    /// The last commit of the state that this was worked out from.
    pub(crate) since: u64,
    /// Keys without a history that are no longer needed.
    pub(crate) erased: Vec<Key>,
    /// The first journal entry that is kept from now on.
    pub(crate) journal_first: Option<u64>,
    /// From when on old versions are known.
    pub(crate) history: Option<HistoryExtent>,
    /// What is kept of views: written, or removed where there is no value.
    pub(crate) kept: Arc<[(Key, Option<Bytes>)]>,
}

/// One write to the engine, as far as it is known.
#[derive(Default)]
pub(crate) struct Group {
    pub(crate) commits: Vec<Admitted>,
    /// For those who read what is not durable yet.
    pub(crate) pending: Arc<PendingGroup>,
    /// Who has a unique key after the commits so far, where they changed that.
    pub(crate) holders: Holders,
    /// Refused for what is pending: they are answered when that is durable.
    pub(crate) refused: Vec<(Answer, CommitError)>,
    pub(crate) upkeep: Vec<(Upkeep, oneshot::Sender<()>)>,
    /// Of the writes so far.
    pub(crate) bytes: usize,
    /// The catalog from now on, if it changed.
    pub(crate) catalog: Option<Arc<Catalog>>,
}

/// How far the records reach that only the committer appends to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ends {
    pub(crate) journal: JournalExtent,
    pub(crate) audit: AuditHead,
}

impl Group {
    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.commits.is_empty() && self.upkeep.is_empty()
    }

    /// Makes the group durable. Returns how far the records reach then; `None` where the engine refused it and nothing
    /// was written.
    pub(crate) async fn write(
        &mut self,
        engine: &Engine,
        people: &People,
        ends: Ends,
    ) -> Result<Option<Ends>, Poisoned> {
        let mut batch = engine.batch()?;
        // A copy of the store that is begun now would not fit keys that are replaced by this.
        let erases = self.commits.iter().any(|commit| commit.erases.is_some());
        let _replacing = if erases { Some(people.replacing.lock().await) } else { None };
        let (ends, change) = self.fill(engine, people, &mut batch, ends)?;
        match batch.commit().await? {
            Written::Durable => change.done().map(|()| Some(ends)),
            Written::Refused => change.undone().map(|()| None),
        }
    }

    fn fill<'a>(
        &mut self,
        engine: &Engine,
        people: &'a People,
        batch: &mut Batch,
        mut ends: Ends,
    ) -> Result<(Ends, PeopleChange<'a>), Poisoned> {
        let mut of_people = PeopleChanges::default();
        // First: what a commit of the group writes under an erased key stays.
        for (Upkeep { erased, journal_first, history, kept, .. }, _) in &self.upkeep {
            for (key, value) in kept.iter() {
                match value {
                    Some(value) => batch.replace(key, value)?,
                    None => batch.erase(key)?,
                }
            }
            for key in erased {
                batch.erase(key)?;
            }
            ends.journal.first = ends.journal.first.max(journal_first.unwrap_or_default());
            if let Some(history) = history {
                batch.replace(key::HISTORY_EXTENT, &to_json(history))?;
            }
        }
        // What has no history is written once, as the last commit of the group leaves it.
        let mut last: BTreeMap<Key, Option<Bytes>> = BTreeMap::new();
        for commit in &mut self.commits {
            let Head { sequence, timestamp, .. } = commit.head;
            for (key, value) in commit.writes.iter() {
                match value {
                    _ if key::has_no_history(key) => drop(last.insert(key.clone(), value.clone())),
                    Some(value) => batch.put_at(key, value, timestamp)?,
                    None => batch.remove_at(key, timestamp)?,
                }
            }
            let (changes, offset) = (std::mem::take(&mut commit.changes), ends.journal.end);
            let (key, text) = (key::journal(sequence), to_json(&JournalEntry { sequence, timestamp, offset, changes }));
            ends.journal.end += (key.len() + text.len()) as u64;
            batch.replace(&key, &text)?;
            if let Some(mut note) = commit.audit.take() {
                let seals = people.seal(engine, &mut of_people, &mut note, ends.audit.number + 1)?;
                let (head, text) = ends.audit.append(note, seals, sequence, timestamp);
                ends.audit = head;
                batch.replace(&key::audit(head.number), &text)?;
            }
            if let Some(person) = commit.erases.take() {
                of_people.erase(person);
            }
        }
        for (key, value) in last {
            match value {
                Some(value) => batch.replace(&key, &value)?,
                None => batch.erase(&key)?,
            }
        }
        if let Some(last) = self.commits.last() {
            batch.replace(key::HEAD, &to_json(&last.head))?;
            batch.replace(key::AUDIT_HEAD, &to_json(&ends.audit))?;
        }
        batch.replace(key::JOURNAL_EXTENT, &to_json(&ends.journal))?;
        Ok((ends, people.write(engine, of_people, batch)?))
    }
}

/// JSON of a record of our own, which always has one.
pub(crate) fn to_json(record: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(record).unwrap_or_default()
}
