//! Makes calls once more on a release that is to be, on the state that they saw and with their time, randomness and ids, to see what
//! would come of them there. Their callers are answered by the active release.
//!
//! Rule: nothing of it is kept or sent: no document, job, metric, count of use, record or line of the log; and no caller waits for it.
//! One run at a time, on isolates of its own release; what does not find room among those that wait is skipped, and counted.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tracing::Instrument;
use weir_schema::declarations::FunctionKind;
use weir_schema::error::ErrorCode;
use weir_schema::rollout::{Bucket, Share};
use weir_schema::size::json_bytes;
use weir_store::{Changes, Transaction};

use super::compared::{self, Aspect, Difference};
use super::report::{Report, ShadowReport};
use crate::call::{CallError, Caller};
use crate::engine::Engine;
use crate::experiments::counts::Measurement;
use crate::origin::Place;
use crate::release::Release;
use crate::results::{ViewSource, may_pass};
use crate::run::{Prepared, Ran};
use crate::seed::Seed;

/// Calls that wait to be made once more.
const WAITING_MAX: usize = 64;
/// What they have in memory together, roughly, in bytes.
const WAITING_BYTES_MAX: usize = 32 << 20;

/// The calls of the active release are made on another too.
pub(crate) struct Shadow {
    rollout: u64,
    /// The number of the active release.
    base: u64,
    candidate: Arc<Release>,
    share: Share,
    report: Arc<Report>,
    waiting: mpsc::Sender<(Original, OwnedSemaphorePermit)>,
    room: Arc<Semaphore>,
}

/// How a function is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// As part of a transaction that may be committed.
    ToCommit,
    /// For a result that is kept.
    ToKeep,
}

/// A run of the active release, with all that it takes to make it once more.
pub(crate) struct Original {
    engine: Engine,
    release: Arc<Release>,
    caller: Caller,
    function: String,
    kind: FunctionKind,
    arguments: Arc<str>,
    seed: Seed,
    how: How,
    /// Sees what the run saw; `None`: that is gone.
    twin: Option<Transaction>,
    outcome: Result<Value, CallError>,
    /// What it would give to metrics.
    measured: Vec<(String, f64)>,
    /// What it would change.
    changes: Changes,
    took: Duration,
}

/// How long a second run took, and what it would give to metrics.
type Made = (Duration, Vec<(String, f64)>);

impl Shadow {
    /// For a rollout: the one that there is, if it is of the same.
    pub(super) fn of(
        engine: &Engine,
        known: Option<&Arc<Self>>,
        rollout: u64,
        (base, candidate): (&Arc<Release>, Arc<Release>),
        share: Share,
    ) -> Arc<Self> {
        let is_it = |shadow: &&Arc<Self>| {
            shadow.rollout == rollout && shadow.base == base.number() && shadow.candidate.number() == candidate.number()
        };
        if let Some(known) = known.filter(is_it) {
            return known.clone();
        }
        let (waiting, queue) = mpsc::channel(WAITING_MAX);
        let report = Arc::new(Report::new(rollout, base.name(), candidate.name(), share));
        let room = Arc::new(Semaphore::new(WAITING_BYTES_MAX));
        let shadow = Arc::new(Self { rollout, base: base.number(), candidate, share, report, waiting, room });
        tokio::spawn(run(queue, Arc::downgrade(&shadow)).instrument(engine.span().clone()));
        shadow
    }

    pub(super) fn candidate(&self) -> &Arc<Release> {
        &self.candidate
    }

    pub(super) fn report(&self) -> &Arc<Report> {
        &self.report
    }

    /// A run that is over, if it is among those that are made once more.
    pub(crate) fn original(
        &self,
        (engine, prepared): (&Engine, &Prepared),
        seed: &Seed,
        ran: &Ran,
        took: Duration,
        how: How,
    ) -> Option<Original> {
        let is_chosen = self.share.has(Bucket::of(self.rollout, &[seed.call.to_string().as_bytes()]));
        // What the machine or the queue is to blame for says nothing of the function.
        if !is_chosen || ran.may_run_again || ran.result.as_ref().err().is_some_and(may_pass) {
            return None;
        }
        let function = prepared.function().ok()?;
        // What would not be taken in is noted to be counted, and for nothing else.
        let has_room = self.waiting.capacity() > 0;
        let seen = ran.transaction.as_ref().filter(|_| has_room);
        // Of a run that failed nothing is committed.
        let changes = seen.filter(|_| ran.result.is_ok()).map(Transaction::changes);
        let outcome = match &ran.result {
            Ok(given) if has_room => Ok(given.value.clone()),
            Ok(_) => Ok(Value::Null),
            Err(error) => Err(error.clone()),
        };
        Some(Original {
            engine: engine.for_shadow(),
            release: prepared.release.clone(),
            caller: prepared.caller.clone(),
            function: function.name.clone(),
            kind: function.kind,
            arguments: prepared.arguments.clone(),
            seed: *seed,
            how,
            twin: seen.and_then(|transaction| transaction.twin().ok()),
            outcome,
            measured: measured(&prepared.release, if has_room { &ran.measured } else { &[] }),
            changes: changes.unwrap_or_default(),
            took,
        })
    }

    /// Has it made once more when its turn comes, if there is room for it.
    pub(crate) fn offer(&self, original: Original) {
        let bytes = u32::try_from(original.bytes()).unwrap_or(u32::MAX);
        let function = original.function.clone();
        let room = self.room.clone().try_acquire_many_owned(bytes).ok();
        let is_taken = room.is_some_and(|room| self.waiting.try_send((original, room)).is_ok());
        if !is_taken {
            self.report.skip(&function);
        }
    }

    /// Makes a call once more, and notes what that came to.
    async fn follow(&self, mut original: Original) {
        let Some((difference, ran)) = self.again(&mut original).await else {
            self.report.skip(&original.function);
            return;
        };
        let redact = |text: &str| {
            let text = original.release.secrets().redact_cut(text);
            self.candidate.secrets().redact_cut(&text)
        };
        if let Some((_, measured)) = &ran {
            self.report.measure(&original.measured, measured);
        }
        let took = ran.map(|(took, _)| (original.took, took));
        self.report.add(&original.function, took, difference, &original.arguments, redact);
    }

    /// In what a call differs that is made once more, and how long that took and what it would give to metrics, unless it cannot even
    /// be made; `None`: what came of it says nothing of its function.
    async fn again(&self, original: &mut Original) -> Option<(Option<Difference>, Option<Made>)> {
        let twin = original.twin.take()?;
        let Original { engine, caller, function, kind, arguments, seed, how, outcome, changes, .. } = original;
        let arguments = serde_json::from_str(arguments).ok()?;
        let prepared = match Prepared::again(&self.candidate, caller, function, arguments) {
            Ok(prepared) => prepared,
            Err(error) => return Some((compared::outcomes(outcome, &Err(error)), None)),
        };
        // An action would be heard of elsewhere.
        let now = prepared.function().ok()?.kind;
        if now != *kind {
            let (base, candidate) = (kind.as_str().to_owned(), now.as_str().to_owned());
            return Some((Some(Difference { aspect: Aspect::Kind, path: String::new(), base, candidate }), None));
        }
        let begun = Instant::now();
        let ran = match how {
            How::ToCommit => prepared.run(engine, seed, seed.ids(), Some(twin)).await,
            How::ToKeep => prepared.run_to_keep(engine, seed, twin, false).await,
        };
        let took = begun.elapsed();
        let Ran { result, transaction, views, may_run_again, measured: given, .. } = ran;
        // The active release finds these views computed.
        let has_computed = views.end().0.iter().any(|view| matches!(view.source, ViewSource::Run(_)));
        let says_nothing = |error: &CallError| match error.code {
            ErrorCode::Unavailable | ErrorCode::Internal => true,
            code => code == ErrorCode::LimitExceeded && has_computed,
        };
        if may_run_again || result.as_ref().err().is_some_and(says_nothing) {
            return None;
        }
        let result = result.map(|given| given.value);
        let difference = compared::outcomes(outcome, &result).or_else(|| {
            let would_change = transaction.filter(|_| result.is_ok()).map(|transaction| transaction.changes());
            compared::changes(changes, &would_change.unwrap_or_default())
        });
        Some((difference, Some((took, measured(&self.candidate, &given)))))
    }
}

impl Original {
    /// What it has in memory, roughly.
    fn bytes(&self) -> usize {
        let outcome = match &self.outcome {
            Ok(value) => json_bytes(value),
            Err(error) => error.message.len(),
        };
        let documents = self.changes.documents.iter().map(|(_, _, text)| text.as_ref().map_or(0, |text| text.len()));
        let jobs = self.changes.jobs.iter().map(|(_, text)| text.as_ref().map_or(0, |text| text.len()));
        self.arguments.len() + outcome + documents.chain(jobs).sum::<usize>()
    }
}

/// What was given to metrics, by their names.
fn measured(release: &Release, given: &[Measurement]) -> Vec<(String, f64)> {
    let named = |(place, value): &Measurement| Some((release.counts().name(*place)?.to_owned(), *value));
    given.iter().filter_map(named).collect()
}

/// One after the other, for as long as the rollout shadows.
async fn run(mut queue: mpsc::Receiver<(Original, OwnedSemaphorePermit)>, shadow: Weak<Shadow>) {
    while let Some((original, room)) = queue.recv().await {
        let Some(shadow) = shadow.upgrade() else { return };
        shadow.follow(original).await;
        drop(room);
    }
}

impl Engine {
    /// What follows a call, if something does: one that somebody outside makes on the active release.
    pub(crate) fn shadow_of(&self, prepared: &Prepared) -> Option<Arc<Shadow>> {
        if self.origin().place != Place::Outside || matches!(prepared.caller, Caller::Scheduler) {
            return None;
        }
        let traffic = self.shared().traffic.borrow();
        traffic.shadow().filter(|shadow| shadow.base == prepared.release.number()).cloned()
    }

    /// What the shadow rollout under way has found, or the last one since the server was started; `None`: there was none.
    pub fn shadow_report(&self) -> Option<ShadowReport> {
        self.traffic().borrow().report().map(|report| report.told())
    }
}
