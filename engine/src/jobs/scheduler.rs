//! Waits until jobs are due and runs them, many at a time.
//!
//! Rule: what is known here can be lost at any time. The store has the jobs in the order in which they are due; kept beside
//! it is which of them run now, no more than `[jobs] running`, and up to where in that order all others have been seen.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::watch;
use tokio::task::{self, JoinError, JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::Instrument;
use weir_schema::id::DocumentId;
use weir_store::{CommitError, Due, Notice, Poisoned};

use crate::engine::Engine;
use crate::jobs::clock::Clock;
use crate::jobs::cron;
use crate::jobs::run::JobRun;
use crate::release::Release;

/// How long jobs that run may take to end when the scheduler stops. What does not is run again after the next start.
const STOP_MAX: Duration = Duration::from_secs(5);
/// A pause after what should not happen while the store is sound.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs the jobs of a store for as long as it is not stopped.
pub struct Scheduler {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Scheduler {
    /// Starts to run jobs. A store has one scheduler at most.
    pub fn start(engine: Engine, clock: Clock) -> Self {
        let (stop, stopping) = watch::channel(false);
        let span = engine.span().clone();
        let task = tokio::spawn(Work::new(engine, clock).work(stopping).instrument(span));
        Self { stop, task }
    }

    /// Begins no further jobs, and waits a while for those that run.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        // An error means that the task is gone already.
        let _ = self.task.await;
    }
}

/// Where in the order of jobs the first is that does not run and may be due.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ahead {
    /// It is not known: perhaps right at the front.
    Unknown,
    /// Here, or further back.
    From(Due),
    /// There is none.
    Nothing,
}

impl Ahead {
    /// Takes note of a job that may be further to the front.
    fn add(&mut self, due: Due) {
        match self {
            Self::Unknown => {}
            Self::From(first) if *first <= due => {}
            Self::From(_) | Self::Nothing => *self = Self::From(due),
        }
    }

    /// When to look again.
    fn at_ms(&self) -> Option<u64> {
        match self {
            Self::Unknown => Some(0),
            Self::From(due) => Some(due.at_ms),
            Self::Nothing => None,
        }
    }
}

/// How a run ended: when its job is due next.
type Ended = Result<Option<Due>, CommitError>;

/// What the scheduler waits for.
enum Event {
    /// Another release is active; false: the engine is gone.
    Release(bool),
    Ended(Result<(task::Id, Ended), JoinError>),
    Notice(Result<Arc<Notice>, RecvError>),
    Due,
}

struct Work {
    engine: Engine,
    clock: Clock,
    releases: watch::Receiver<Option<Arc<Release>>>,
    notices: broadcast::Receiver<Arc<Notice>>,
    tasks: JoinSet<Ended>,
    /// The jobs of the tasks.
    running: HashMap<task::Id, DocumentId>,
    /// The same jobs, each with when it was found due again meanwhile: somebody retried it before its task was joined.
    taken: HashMap<DocumentId, Option<Due>>,
    ahead: Ahead,
}

/// Why there is nothing more to do.
enum Over {
    Stopped,
    /// The store has failed or is closed; others have said so.
    Store,
}

impl From<Poisoned> for Over {
    fn from(_: Poisoned) -> Self {
        Self::Store
    }
}

impl Work {
    fn new(engine: Engine, clock: Clock) -> Self {
        // From now on every job is either found or told of.
        let (releases, notices) = (engine.releases(), engine.store().notices());
        let (running, taken) = (HashMap::new(), HashMap::new());
        Self { engine, clock, releases, notices, tasks: JoinSet::new(), running, taken, ahead: Ahead::Unknown }
    }

    async fn work(mut self, mut stopping: watch::Receiver<bool>) {
        if matches!(self.go_on(&mut stopping).await, Err(Over::Stopped)) {
            let all_end = async { while self.tasks.join_next().await.is_some() {} };
            if timeout(STOP_MAX, all_end).await.is_err() {
                tracing::warn!(
                    "stopped in the middle of {} jobs, which run again after the next start",
                    self.tasks.len()
                );
            }
        }
    }

    async fn go_on(&mut self, stopping: &mut watch::Receiver<bool>) -> Result<(), Over> {
        let mut active: Option<Arc<Release>> = None;
        loop {
            let release = self.releases.borrow_and_update().clone();
            if let Some(release) = release {
                let is_another = active.as_ref().is_none_or(|active| !Arc::ptr_eq(active, &release));
                if is_another {
                    self.take_over(&release).await?;
                }
                self.begin_what_is_due(&release)?;
                active = Some(release);
            }
            self.wait(active.as_deref(), stopping).await?;
        }
    }

    /// Another release is active: its crons take the place of those before.
    async fn take_over(&self, release: &Release) -> Result<(), Over> {
        while let Err(error) = cron::reconcile(&self.engine, release, self.clock.now_ms()).await {
            self.engine.is_ready()?;
            tracing::error!("the entries of [[cron]] cannot be stored: {error}");
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Begins to run as many of the jobs that are due as may run.
    fn begin_what_is_due(&mut self, release: &Arc<Release>) -> Result<(), Over> {
        let running_max = release.jobs().running;
        let room = running_max.saturating_sub(self.tasks.len());
        let now_ms = self.clock.now_ms();
        if room == 0 || self.ahead.at_ms().is_none_or(|at_ms| at_ms > now_ms) {
            return Ok(());
        }
        let from = match &self.ahead {
            Ahead::From(due) => Some(due),
            Ahead::Unknown | Ahead::Nothing => None,
        };
        // Those that run may stand in between, and one more tells where to go on.
        let limit = room.saturating_add(self.taken.len()).saturating_add(1);
        let found = self.engine.store().jobs_due(from, limit)?;
        self.ahead = Ahead::Nothing;
        for due in found {
            if due.at_ms > now_ms || self.tasks.len() >= running_max {
                self.ahead = Ahead::From(due);
                break;
            }
            match self.taken.get_mut(&due.id) {
                Some(again) => *again = Some(due),
                None => self.begin(release, due.id),
            }
        }
        Ok(())
    }

    fn begin(&mut self, release: &Arc<Release>, id: DocumentId) {
        let (engine, clock, release, job) = (self.engine.clone(), self.clock.clone(), release.clone(), id.clone());
        let run = async move {
            let run = JobRun { engine: &engine, clock: &clock, release: &release, id: &job };
            run.run().await
        };
        let task = self.tasks.spawn(run.in_current_span()).id();
        self.running.insert(task, id.clone());
        self.taken.insert(id, None);
    }

    /// Waits until there is something to do.
    async fn wait(&mut self, active: Option<&Release>, stopping: &mut watch::Receiver<bool>) -> Result<(), Over> {
        let has_room = active.is_some_and(|release| self.tasks.len() < release.jobs().running);
        let look_at_ms = self.ahead.at_ms().filter(|_| has_room);
        let clock = self.clock.clone();
        let event = tokio::select! {
            () = told_to_stop(stopping) => return Err(Over::Stopped),
            changed = self.releases.changed() => Event::Release(changed.is_ok()),
            Some(joined) = self.tasks.join_next_with_id() => Event::Ended(joined),
            notice = self.notices.recv() => Event::Notice(notice),
            () = clock.until(look_at_ms.unwrap_or(u64::MAX)), if look_at_ms.is_some() => Event::Due,
        };
        match event {
            Event::Release(true) | Event::Due => Ok(()),
            Event::Release(false) => Err(Over::Stopped),
            Event::Ended(joined) => self.take_note(joined).await,
            Event::Notice(Ok(notice)) => {
                notice.first_due().into_iter().for_each(|due| self.ahead.add(due));
                Ok(())
            }
            Event::Notice(Err(RecvError::Lagged(_))) => {
                self.ahead = Ahead::Unknown;
                Ok(())
            }
            Event::Notice(Err(RecvError::Closed)) => Err(Over::Store),
        }
    }

    /// A run has ended.
    async fn take_note(&mut self, joined: Result<(task::Id, Ended), JoinError>) -> Result<(), Over> {
        let (task, ended) = match joined {
            Ok(ended) => ended,
            Err(error) => {
                // It stays taken: what panicked once will again.
                let job = self.running.remove(&error.id());
                let job = job.as_ref().map_or("", DocumentId::as_str);
                tracing::error!(job, "running a job failed, and it is left alone until the next start: {error}");
                return Ok(());
            }
        };
        if let Some(id) = self.running.remove(&task) {
            self.taken.remove(&id).flatten().into_iter().for_each(|again| self.ahead.add(again));
        }
        match ended {
            Ok(next) => next.into_iter().for_each(|due| self.ahead.add(due)),
            Err(error) => {
                self.engine.is_ready()?;
                tracing::error!("a job could not be run, and is tried again: {error}");
                sleep(PAUSE).await;
                self.ahead = Ahead::Unknown;
            }
        }
        Ok(())
    }
}

async fn told_to_stop(stopping: &mut watch::Receiver<bool>) {
    // An error means that nobody is left who could tell.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(at_ms: u64, id: &str) -> Due {
        Due { at_ms, id: DocumentId::parse(id).unwrap_or_else(|error| panic!("{error}")) }
    }

    #[test]
    fn what_is_ahead_moves_to_the_front_only() {
        let mut ahead = Ahead::Nothing;
        assert_eq!(ahead.at_ms(), None);
        for (added, first) in [(7, 7), (9, 7), (3, 3), (5, 3)] {
            ahead.add(due(added, "a"));
            assert_eq!(ahead.at_ms(), Some(first));
        }
        ahead.add(due(3, "A"));
        assert_eq!(ahead, Ahead::From(due(3, "A")));
        let mut unknown = Ahead::Unknown;
        unknown.add(due(3, "a"));
        assert_eq!(unknown, Ahead::Unknown);
    }
}
