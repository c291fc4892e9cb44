//! What those who operate do with jobs. It needs the store alone, so that it works whether it is served or not.

use std::future::ready;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use weir_schema::codec::audit::AuditNote;
use weir_schema::codec::job::{Job, JobState};
use weir_schema::id::DocumentId;
use weir_store::{CommitError, JobFilter, Poisoned, Run, Store, Transaction};

use crate::jobs::clock::Clock;
use crate::jobs::run::store_failed;

/// Jobs in one answer.
const PAGE_JOBS: usize = 1_000;
/// Bytes of them, about.
const PAGE_BYTES: usize = 256 << 10;
/// How long a change may keep others waiting.
const TURN_MAX: Duration = Duration::from_secs(1);

/// A job as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    /// Its id.
    pub id: DocumentId,
    /// All else.
    #[serde(flatten)]
    pub job: Job,
}

/// Some jobs, in the order in which they were scheduled.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Listing {
    /// The jobs.
    pub jobs: Vec<Listed>,
    /// The id to go on after; null where there are no more.
    pub next: Option<DocumentId>,
}

/// Why a job was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// There is none.
    #[error("there is no job {0:?}: it has run, or never was; `weir jobs list` shows those that there are")]
    NotFound(String),
    /// It is an action that was begun.
    #[error("the job {0} is running: wait until it has ended")]
    Running(DocumentId),
    /// It belongs to the app.
    #[error("{0} comes from app.toml: remove its entry of [[cron]] there")]
    Cron(DocumentId),
    /// The store cannot.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// Some of the jobs, after one.
pub async fn list(store: &Store, filter: JobFilter, after: Option<DocumentId>) -> Result<Listing, Poisoned> {
    let page = store.jobs(filter, after, PAGE_JOBS, PAGE_BYTES).await?;
    let jobs = page.jobs.into_iter().map(|(id, job)| Listed { id, job }).collect();
    Ok(Listing { jobs, next: page.next })
}

/// Removes a job that waits or is dead. Returns what it was.
pub async fn cancel(store: &Store, id: &str) -> Result<Listed, ChangeError> {
    change(store, id, "cancelJob", |transaction, id, job| match job {
        Job { cron: Some(_), .. } => Err(ChangeError::Cron(id.clone())),
        Job { state: JobState::Running, .. } => Err(ChangeError::Running(id.clone())),
        job => {
            transaction.remove_job(id).map_err(store_failed)?;
            Ok(job)
        }
    })
    .await
}

/// Makes a job that waits or is dead due now. One that is dead has all of its attempts again. Returns what it is then.
pub async fn retry(store: &Store, id: &str, clock: &Clock) -> Result<Listed, ChangeError> {
    change(store, id, "retryJob", |transaction, id, job| {
        if job.state == JobState::Running {
            return Err(ChangeError::Running(id.clone()));
        }
        let attempts = if job.state == JobState::Dead { 0 } else { job.attempts };
        let job = Job { state: JobState::Waiting, due_ms: clock.now_ms(), attempts, ..job };
        transaction.put_job(id, job.clone()).map_err(store_failed)?;
        Ok(job)
    })
    .await
}

async fn change(
    store: &Store,
    text: &str,
    action: &str,
    change: impl Fn(&mut Transaction, &DocumentId, Job) -> Result<Job, ChangeError>,
) -> Result<Listed, ChangeError> {
    let not_found = || ChangeError::NotFound(text.to_owned());
    let id = DocumentId::parse(text).map_err(|_| not_found())?;
    let attempt = |mut transaction: Transaction| {
        let changed = match transaction.job(&id) {
            Ok(Some(job)) => change(&mut transaction, &id, job),
            Ok(None) => Err(not_found()),
            Err(error) => Err(store_failed(error).into()),
        };
        match changed {
            Ok(job) => {
                let targets = vec![job.function.clone(), id.as_str().to_owned()];
                transaction.record(AuditNote {
                    actor: "operator".to_owned(),
                    action: action.to_owned(),
                    targets,
                    ..AuditNote::default()
                });
                Run::Commit(transaction, Ok(job))
            }
            Err(error) => Run::Abort(Err(error)),
        }
    };
    let transacted = store.transact(TURN_MAX, |transaction| ready(attempt(transaction))).await?;
    transacted.value.map(|job| Listed { id: id.clone(), job })
}
