//! Jobs: calls that are to be made later. A transaction writes them beside its documents, in the same commit.
//!
//! Under `J` a job lies by its id, under `W` it stands in the order in which jobs are due, unless it is dead. Neither has a
//! history. A transaction that looks at a job has its id in the read set, and who writes it touches the id: so of two that
//! end or move one job at the same time one conflicts. Who waits for the next job reads `W` outside of transactions.

use std::collections::BTreeMap;

use bytes::Bytes;
use weir_schema::codec::job::{Job, JobState};
use weir_schema::codec::key;
use weir_schema::id::DocumentId;

use crate::engine::Live;
use crate::error::{Poisoned, ReadError, WriteError};
use crate::group::to_json;
use crate::notice::Notice;
use crate::prepared::Prepared;
use crate::read_set::Interval;
use crate::scan::Direction;
use crate::store::{Core, Store, parse_record};
use crate::transaction::Transaction;

/// When a job is due, and which: in the order in which they are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// In milliseconds since 1970.
    pub at_ms: u64,
    /// The job.
    pub id: DocumentId,
}

/// Which jobs are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Those in this state; all without.
    pub state: Option<JobState>,
    /// Those of this function; all without.
    pub function: Option<String>,
}

/// Some jobs in the order of their ids, which is that in which they were scheduled.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobPage {
    /// The jobs.
    pub jobs: Vec<(DocumentId, Job)>,
    /// Where to go on; `None` where there are no more.
    pub next: Option<DocumentId>,
}

/// What a transaction has written of jobs.
#[derive(Debug, Clone, Default)]
pub(crate) struct JobWrites {
    written: BTreeMap<DocumentId, WrittenJob>,
    /// Of what is written.
    bytes: usize,
}

/// A job that is written.
#[derive(Debug, Clone)]
pub(crate) struct WrittenJob {
    before: Before,
    now: Option<Job>,
    /// The text of `now`.
    text: Bytes,
}

/// What the snapshot has of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Dead,
    Pending { due_ms: u64 },
}

impl Before {
    fn of(job: Option<&Job>) -> Self {
        match job {
            None => Self::Nothing,
            Some(job) if job.is_pending() => Self::Pending { due_ms: job.due_ms },
            Some(_) => Self::Dead,
        }
    }
}

impl WrittenJob {
    /// What it takes of memory.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len()
    }
}

impl JobWrites {
    pub(crate) fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The texts of the jobs that would be there, and which would be there no more.
    pub(crate) fn changes(&self) -> Vec<(DocumentId, Option<Bytes>)> {
        let changed = self.written.iter().filter(|(_, job)| job.before != Before::Nothing || job.now.is_some());
        changed.map(|(id, job)| (id.clone(), job.now.as_ref().map(|_| job.text.clone()))).collect()
    }

    /// Puts what is written of a job in the place of what was; `None` where nothing is.
    pub(crate) fn exchange(&mut self, id: &DocumentId, job: Option<WrittenJob>) -> Option<WrittenJob> {
        let size = |job: &Option<WrittenJob>| job.as_ref().map_or(0, |job| id.as_str().len() + job.bytes());
        self.bytes += size(&job);
        let before = match job {
            Some(job) => self.written.insert(id.clone(), job),
            None => self.written.remove(id),
        };
        self.bytes = self.bytes.saturating_sub(size(&before));
        before
    }

    /// Adds what the committer has to write, and what it touches.
    pub(crate) fn prepare(self, into: &mut Prepared) {
        for (id, WrittenJob { before, now, text }) in self.written {
            if before == Before::Nothing && now.is_none() {
                continue;
            }
            let old = match before {
                Before::Pending { due_ms } => Some(key::waiting(due_ms, &id)),
                Before::Nothing | Before::Dead => None,
            };
            let new = now.as_ref().filter(|job| job.is_pending()).map(|job| key::waiting(job.due_ms, &id));
            if old != new {
                into.writes.extend(old.map(|old| (old, None)));
                into.touched.extend(new.clone());
                into.writes.extend(new.map(|new| (new, Some(Bytes::new()))));
            }
            into.touched.push(key::job(&id));
            into.writes.push((key::job(&id), now.map(|_| text)));
        }
    }
}

impl Transaction {
    /// A job.
    pub fn job(&mut self, id: &DocumentId) -> Result<Option<Job>, ReadError> {
        match self.overlay.jobs().written.get(id) {
            Some(written) => Ok(written.now.clone()),
            None => self.stored_job(id),
        }
    }

    /// Writes a job under an id that nobody has.
    pub fn add_job(&mut self, id: &DocumentId, job: Job) -> Result<(), WriteError> {
        self.write_job(id, Before::Nothing, Some(job))
    }

    /// Writes a job, in the place of one of the same id if there is one.
    pub fn put_job(&mut self, id: &DocumentId, job: Job) -> Result<(), WriteError> {
        let before = self.before(id)?;
        self.write_job(id, before, Some(job))
    }

    /// Removes a job.
    pub fn remove_job(&mut self, id: &DocumentId) -> Result<(), WriteError> {
        let before = self.before(id)?;
        self.write_job(id, before, None)
    }

    fn before(&mut self, id: &DocumentId) -> Result<Before, ReadError> {
        match self.overlay.jobs().written.get(id) {
            Some(written) => Ok(written.before),
            None => Ok(Before::of(self.stored_job(id)?.as_ref())),
        }
    }

    fn write_job(&mut self, id: &DocumentId, before: Before, job: Option<Job>) -> Result<(), WriteError> {
        let text = Bytes::from(job.as_ref().map(to_json).unwrap_or_default());
        self.check_room(0, text.len())?;
        self.overlay.set_job(id, WrittenJob { before, now: job, text });
        Ok(())
    }

    fn stored_job(&mut self, id: &DocumentId) -> Result<Option<Job>, ReadError> {
        let key = key::job(id);
        let state = self.base.state()?;
        let text = state.get(&key)?;
        let job = text.map(|text| {
            let damaged = |error| state.damaged(format_args!("the job {id} cannot be read: {error}"));
            serde_json::from_slice(&text).map_err(damaged)
        });
        let job = job.transpose()?;
        self.read_set.add_point(key);
        Ok(job)
    }
}

impl Notice {
    /// The first of the jobs that became due at another time with this commit.
    pub fn first_due(&self) -> Option<Due> {
        let start = key::waiting_all();
        let first = self.touched.partition_point(|key| *key < start);
        self.touched.get(first).and_then(|key| due(key))
    }
}

fn due(key: &[u8]) -> Option<Due> {
    key::waiting_job(key).map(|(at_ms, id)| Due { at_ms, id })
}

impl Store {
    /// The jobs that wait or run, in the order in which they are due, from one on; at most `limit`.
    pub fn jobs_due(&self, from: Option<&Due>, limit: usize) -> Result<Vec<Due>, Poisoned> {
        let live = self.core().live()?.0;
        let start = from.map_or_else(key::waiting_all, |from| key::waiting(from.at_ms, &from.id));
        let rest = Interval { start, end: key::after_prefix(&key::waiting_all()) };
        let entries = live.entries(&rest, Direction::Asc)?.take(limit);
        let read = |key: &[u8]| due(key).ok_or_else(|| live.damaged("the time of a job cannot be read"));
        entries.map(|entry| read(&entry?.0)).collect()
    }

    /// Some of the jobs after one, at most `limit` and about `bytes` of them.
    pub async fn jobs(
        &self,
        filter: JobFilter,
        after: Option<DocumentId>,
        limit: usize,
        bytes: usize,
    ) -> Result<JobPage, Poisoned> {
        self.blocking(move |core| page(core, &filter, after.as_ref(), limit, bytes)).await?
    }
}

fn page(
    core: &Core,
    filter: &JobFilter,
    after: Option<&DocumentId>,
    limit: usize,
    bytes: usize,
) -> Result<JobPage, Poisoned> {
    let (live, _) = core.live()?;
    let start = after.map_or_else(key::jobs_all, |after| key::successor(&key::job(after)));
    let mut page = JobPage::default();
    let mut left = bytes;
    for entry in live.entries(&Interval { start, end: key::after_prefix(&key::jobs_all()) }, Direction::Asc)? {
        let (key, text) = entry?;
        let (id, job) = parse(&live, &key, &text)?;
        let is_wanted = filter.state.is_none_or(|state| state == job.state)
            && filter.function.as_ref().is_none_or(|function| *function == job.function);
        if !is_wanted {
            continue;
        }
        if page.jobs.len() == limit || left == 0 {
            page.next = page.jobs.last().map(|(id, _)| id.clone());
            break;
        }
        left = left.saturating_sub(text.len());
        page.jobs.push((id, job));
    }
    Ok(page)
}

fn parse(live: &Live, key: &[u8], text: &[u8]) -> Result<(DocumentId, Job), Poisoned> {
    let id = key::job_id(key).ok_or_else(|| live.damaged("the id of a job cannot be read"))?;
    Ok((id, parse_record(live, text, "job")?))
}
