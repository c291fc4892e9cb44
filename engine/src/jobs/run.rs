//! One run of one job, and what becomes of the job.
//!
//! Rule: whatever ends or moves a job compares it, in its own transaction, with what it was when the run began. So a job
//! that was cancelled, retried or run by somebody else meanwhile is left alone.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use weir_schema::codec::job::{Job, JobError, JobState};
use weir_schema::declarations::FunctionKind;
use weir_schema::error::ErrorCode;
use weir_schema::id::DocumentId;
use weir_schema::limits::JobSettings;
use weir_store::{CommitError, Due, Run, Transacted, Transaction};

use crate::call::{CallError, Caller};
use crate::engine::Engine;
use crate::evolution::follow::{ConvertError, follow};
use crate::experiments::measured::Measured;
use crate::jobs::clock::Clock;
use crate::jobs::{backoff, cron};
use crate::release::Release;
use crate::rollouts::line::{Line, LineError};
use crate::rollouts::traffic::Asker;
use crate::run::{Prepared, RUNS_MAX, Ran};
use crate::seed::Seed;

/// How much longer than its call a run may keep others waiting: it has to get to an isolate first.
const TURN_SLACK: Duration = Duration::from_secs(1);
/// After how long a job is tried again at the earliest whose line has led nowhere.
const LINE_AGAIN: Duration = Duration::from_secs(60);
/// How long a change of a job may keep others waiting.
const CHANGE_MAX: Duration = Duration::from_secs(1);

/// A job that is due, and what it is run with: the active release, unless the job is another's.
#[derive(Clone, Copy)]
pub(super) struct JobRun<'a> {
    pub(super) engine: &'a Engine,
    pub(super) clock: &'a Clock,
    pub(super) release: &'a Arc<Release>,
    pub(super) id: &'a DocumentId,
}

/// What a change of the job came to: when it is due from now on, if it is.
enum Changed {
    /// It is made.
    Done(Option<Due>),
    /// The job is not what it was, and nothing was done.
    ByOthers(Option<Due>),
}

/// What one attempt to run a procedure came to.
enum Came {
    /// It is over, or the job is not what it was; and what is given to metrics, if it is committed.
    To(Changed, Option<Box<Measured>>),
    /// The call failed.
    Failed(CallError, Attempt),
    /// It may be tried again: the worker of the call died.
    Lost(CallError),
}

/// Whether a failure is an attempt of the job. One that never began is nobody's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Attempt {
    Counts,
    NotBegun,
}

impl Attempt {
    fn of(ran: &Ran) -> Self {
        if ran.begun { Self::Counts } else { Self::NotBegun }
    }
}

impl JobRun<'_> {
    /// Runs the job. Returns when it is due next; `None` where it is over or not there. Fails with the store only.
    pub(super) async fn run(&self) -> Result<Option<Due>, CommitError> {
        let found = self.engine.store().begin().map(|mut transaction| transaction.job(self.id));
        let Some(job) = found.map_err(store_failed)?.map_err(store_failed)? else { return Ok(None) };
        if !job.is_pending() || job.due_ms > self.clock.now_ms() {
            return Ok(self.due(&job));
        }
        // As long as it runs, the release of its line stays loaded.
        let line = job.line.as_deref().map(Line::parse).transpose();
        let routed = match &line {
            Ok(line) => self.route(&job, line.as_ref()).await,
            Err(_) => {
                let unreadable = CallError::new(ErrorCode::Internal, "the versions that it stays on cannot be read");
                Err((unreadable, Attempt::Counts))
            }
        };
        let (engine, release) = match routed {
            Ok(routed) => routed,
            Err((error, attempt)) => return self.fail(&job, error, attempt).await,
        };
        JobRun { engine: &engine, release: &release, ..*self }.run_there(&job).await
    }

    /// The release to run a job on: the one that has scheduled it, as long as calls go there beside the active one; that of its line; or
    /// the active one. Where a line leads nowhere at the moment, that is no attempt.
    async fn route(&self, job: &Job, line: Option<&Line>) -> Result<(Engine, Arc<Release>), (CallError, Attempt)> {
        let traffic = self.engine.traffic().borrow().clone();
        let scheduled_it = traffic.beside().find(|beside| beside.sequence() == job.release);
        let Some(line) = line else {
            return Ok((self.engine.clone(), scheduled_it.unwrap_or(self.release).clone()));
        };
        let engine = self.engine.on_line(line.range());
        // A candidate is on no line before it was active.
        if let Some(release) = scheduled_it.filter(|release| line.range().matches(release.version())) {
            return Ok((engine, line.leads_to(release, self.clock.now_ms())));
        }
        match self.engine.route_on(line, Asker::Nobody).await {
            Ok(release) => Ok((engine, release)),
            Err(error) => {
                let is_for_good = match &error {
                    LineError::Malformed(_) => true,
                    LineError::Empty { range, .. } => !self.engine.is_on_record(range).unwrap_or(true),
                    LineError::NoRelease | LineError::Full | LineError::Load { .. } => false,
                };
                let attempt = if is_for_good { Attempt::Counts } else { Attempt::NotBegun };
                Err((CallError { retry_after: Some(LINE_AGAIN), ..CallError::unavailable(error) }, attempt))
            }
        }
    }

    async fn run_there(&self, job: &Job) -> Result<Option<Due>, CommitError> {
        match self.prepare(job) {
            Ok((prepared, FunctionKind::Procedure)) => self.run_procedure(job, &prepared).await,
            Ok((prepared, _)) => self.run_action(job, &prepared).await,
            Err(error) => self.fail(job, error, Attempt::Counts).await,
        }
    }

    /// Finds the function in the release, and looks whether the arguments still fit.
    fn prepare(&self, job: &Job) -> Result<(Prepared, FunctionKind), CallError> {
        let caller: Caller = serde_json::from_value(job.caller.clone()).map_err(|error| {
            CallError::new(ErrorCode::Internal, format!("who scheduled it cannot be read: {error}"))
        })?;
        // The app has scheduled it: what its caller may call was decided then.
        let prepared = Prepared::undecided(self.release, &caller, &job.function, job.args.clone())?;
        let kind = prepared.function()?.kind;
        if matches!(kind, FunctionKind::Procedure | FunctionKind::Action) {
            return Ok((prepared, kind));
        }
        let message = format!("{} has become a {}, which cannot be called later", job.function, kind.as_str());
        Err(CallError::new(ErrorCode::NotFound, message))
    }

    async fn run_procedure(&self, job: &Job, prepared: &Prepared) -> Result<Option<Due>, CommitError> {
        let seed = match Seed::draw() {
            Ok(seed) => seed.at(self.clock.now_ms()),
            Err(error) => return self.fail(job, CallError::unavailable(error), Attempt::NotBegun).await,
        };
        let limit = Duration::from_millis(self.release.limits().wall_ms) + TURN_SLACK;
        let attempt = |transaction| self.attempt(job, prepared, &seed, transaction);
        let mut runs = 1;
        let came = loop {
            match self.engine.store().transact(limit, attempt).await {
                Ok(Transacted { value: Came::Lost(_), .. }) if runs < RUNS_MAX => runs += 1,
                Ok(Transacted { value: Came::To(changed, measured), .. }) => {
                    measured.into_iter().for_each(|measured| measured.count());
                    break Came::To(changed, None);
                }
                Ok(Transacted { value, .. }) => break value,
                Err(CommitError::Unique(violation)) => {
                    break Came::Failed(CallError::conflict(&violation), Attempt::Counts);
                }
                Err(error @ CommitError::Held(_)) => {
                    break Came::Failed(CallError::unavailable(error), Attempt::Counts);
                }
                Err(error) => return Err(error),
            }
        };
        match came {
            Came::To(Changed::Done(next) | Changed::ByOthers(next), _) => Ok(next),
            Came::Failed(error, attempt) => self.fail(job, error, attempt).await,
            Came::Lost(error) => self.fail(job, error, Attempt::Counts).await,
        }
    }

    /// Runs the function and ends the job, in one transaction.
    async fn attempt(&self, job: &Job, prepared: &Prepared, seed: &Seed, mut transaction: Transaction) -> Run<Came> {
        match transaction.job(self.id) {
            Ok(current) if current.as_ref() == Some(job) => {}
            Ok(current) => {
                return Run::Abort(Came::To(Changed::ByOthers(current.and_then(|current| self.due(&current))), None));
            }
            Err(error) => {
                return Run::Abort(Came::Failed(CallError::unavailable(error), Attempt::NotBegun));
            }
        }
        transaction.write_for(self.release.key().clone());
        let ran = prepared.run(self.engine, seed, seed.ids(), Some(transaction)).await;
        let attempt = Attempt::of(&ran);
        let internal = |message: String| Came::Failed(CallError::new(ErrorCode::Internal, message), Attempt::Counts);
        let mut transaction = ran.transaction;
        if let (Ok(_), Some(given)) = (&ran.result, transaction.take()) {
            transaction = match follow(self.engine, seed, &prepared.release, &ran.written, given).await {
                Ok(transaction) => Some(transaction),
                Err(ConvertError { error, may_run_again: true }) => return Run::Abort(Came::Lost(error)),
                Err(ConvertError { error, .. }) => return Run::Abort(Came::Failed(error, attempt)),
            };
        }
        match (ran.result, transaction) {
            (Ok(_), Some(mut transaction)) => match self.end(&mut transaction, job) {
                Ok(next) => {
                    let call = (job.function.as_str(), &*prepared.arguments);
                    if let Some(note) = self.engine.note("job", &prepared.caller, &[call]) {
                        transaction.record(note);
                    }
                    let measured = Measured::of(self.engine, self.release, &prepared.caller, ran.measured);
                    Run::Commit(transaction, Came::To(Changed::Done(next), measured))
                }
                Err(error) => Run::Abort(internal(error.to_string())),
            },
            (Ok(_), None) => Run::Abort(internal("the transaction was lost".to_owned())),
            (Err(error), _) if ran.may_run_again => Run::Abort(Came::Lost(error)),
            (Err(error), _) => Run::Abort(Came::Failed(error, attempt)),
        }
    }

    /// Runs an action between two commits: one that says that it runs, one that ends the job.
    async fn run_action(&self, job: &Job, prepared: &Prepared) -> Result<Option<Due>, CommitError> {
        if job.state == JobState::Running && job.attempts >= self.release.jobs().attempts {
            let message = "the server ended each time that it ran";
            return self.fail(job, CallError::new(ErrorCode::FunctionFailed, message), Attempt::Counts).await;
        }
        let running = Job { state: JobState::Running, attempts: job.attempts.saturating_add(1), ..job.clone() };
        let begin = |transaction: &mut Transaction| {
            transaction.put_job(self.id, running.clone()).map_err(store_failed)?;
            Ok(None)
        };
        if let Changed::ByOthers(next) = self.change(|current| current == job, begin).await? {
            return Ok(next);
        }
        let ran = self.engine.run_action(prepared).await;
        let attempt = Attempt::of(&ran);
        if let Err(error) = ran.result {
            return self.fail(&running, error, attempt).await;
        }
        let is_this_run = |current: &Job| {
            (current.state, current.attempts, current.due_ms) == (running.state, running.attempts, running.due_ms)
        };
        // Another release may have given a cron other arguments meanwhile.
        let end = |transaction: &mut Transaction| match transaction.job(self.id).map_err(store_failed)? {
            Some(current) => self.end(transaction, &current),
            None => Ok(None),
        };
        match self.change(is_this_run, end).await? {
            Changed::Done(next) | Changed::ByOthers(next) => Ok(next),
        }
    }

    /// Takes note of a failure: the job is due again later, or it is dead.
    async fn fail(&self, job: &Job, error: CallError, attempt: Attempt) -> Result<Option<Due>, CommitError> {
        let (settings, function, id) = (self.release.jobs(), &job.function, self.id);
        // That of an action was counted when it began.
        let begun = job.attempts.saturating_add(u32::from(job.state == JobState::Waiting));
        let counts = attempt == Attempt::Counts;
        let attempts = if counts { begun } else { begun.saturating_sub(1) };
        let retry_after = error.retry_after.unwrap_or_default();
        // What was scheduled may hold what its function would have hidden.
        let message = self.release.secrets().redact_cut(&error.message);
        let told = JobError { code: error.code.as_str().to_owned(), message };
        tracing::warn!(job = %id, function, attempts, "a job failed: {}: {}", told.code, told.message);
        // One whose caller cannot be read was not called for anybody.
        if let Ok(caller) = serde_json::from_value(job.caller.clone()) {
            self.engine.failed("job", self.release, &caller, function, &error);
        }
        let failed = Job { attempts, error: Some(told), ..job.clone() };
        let after = |transaction: &mut Transaction| {
            if counts && attempts >= settings.attempts {
                self.bury(transaction, &failed)
            } else {
                self.put(transaction, self.later(&failed, settings, retry_after))
            }
        };
        match self.change(|current| current == job, after).await? {
            Changed::Done(next) | Changed::ByOthers(next) => Ok(next),
        }
    }

    fn later(&self, failed: &Job, settings: &JobSettings, at_least: Duration) -> Job {
        let random = getrandom::u64().unwrap_or_default();
        let at_least_ms = u64::try_from(at_least.as_millis()).unwrap_or(u64::MAX);
        let delay_ms = backoff::delay_ms(settings, failed.attempts.max(1), random).max(at_least_ms);
        let due_ms = self.clock.now_ms().saturating_add(delay_ms);
        Job { state: JobState::Waiting, due_ms, ..failed.clone() }
    }

    /// Puts a job among the dead. A cron goes on, and what failed is dead under an id of its own.
    fn bury(&self, transaction: &mut Transaction, failed: &Job) -> Result<Option<Due>, CommitError> {
        let dead = Job { state: JobState::Dead, cron: None, ..failed.clone() };
        tracing::error!(job = %self.id, function = failed.function, "a job is dead: it failed {} times", failed.attempts);
        match cron::again(failed, self.clock.now_ms()) {
            Some(again) => {
                if let Ok(seed) = Seed::draw() {
                    transaction.add_job(&seed.ids().next(), dead).map_err(store_failed)?;
                }
                self.put(transaction, again)
            }
            None => self.put(transaction, dead),
        }
    }

    /// Ends a job after its run: removes it, or moves a cron to its next time.
    fn end(&self, transaction: &mut Transaction, job: &Job) -> Result<Option<Due>, CommitError> {
        match cron::again(job, self.clock.now_ms()) {
            Some(again) => self.put(transaction, again),
            None => transaction.remove_job(self.id).map(|()| None).map_err(store_failed),
        }
    }

    fn put(&self, transaction: &mut Transaction, job: Job) -> Result<Option<Due>, CommitError> {
        let due = self.due(&job);
        transaction.put_job(self.id, job).map_err(store_failed)?;
        Ok(due)
    }

    /// When the job is due, if it becomes due at all.
    fn due(&self, job: &Job) -> Option<Due> {
        job.is_pending().then(|| Due { at_ms: job.due_ms, id: self.id.clone() })
    }

    /// Changes the job, if it still is as it should be.
    async fn change(
        &self,
        is_expected: impl Fn(&Job) -> bool,
        change: impl Fn(&mut Transaction) -> Result<Option<Due>, CommitError>,
    ) -> Result<Changed, CommitError> {
        let attempt = |mut transaction: Transaction| match transaction.job(self.id) {
            Ok(Some(current)) if is_expected(&current) => match change(&mut transaction) {
                Ok(next) => Run::Commit(transaction, Ok(Changed::Done(next))),
                Err(error) => Run::Abort(Err(error)),
            },
            Ok(current) => Run::Abort(Ok(Changed::ByOthers(current.and_then(|current| self.due(&current))))),
            Err(error) => Run::Abort(Err(store_failed(error))),
        };
        self.engine.store().transact(CHANGE_MAX, |transaction| ready(attempt(transaction))).await?.value
    }
}

/// A job is small: where it cannot be read or written, the store is to blame.
pub(super) fn store_failed(error: impl std::fmt::Display) -> CommitError {
    CommitError::Unavailable(weir_store::Poisoned { reason: error.to_string().into() })
}
