//! Runs procedures and commits them, again as long as what they read has changed meanwhile.
//!
//! Running again is safe because a run is repeatable: the seed, and with it the time and the ids, stays the same.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::Value;
use weir_schema::commit::Timestamp;
use weir_schema::declarations::FunctionKind;
use weir_schema::error::ErrorCode;
use weir_schema::id::DocumentId;
use weir_schema::limits::Limit;
use weir_store::{Ahead, CommitError, Run, Transacted, Transaction};

use crate::call::{Answer, Call, CallError, Caller};
use crate::content::Given;
use crate::engine::{Engine, draw};
use crate::evolution::follow::{ConvertError, follow};
use crate::experiments::measured::Measured;
use crate::idempotency::{self, Once, Outcomes, Recalled, Scope};
use crate::release::Release;
use crate::rollouts::shadow::{How, Original, Shadow};
use crate::room::{Room, outcome_bytes};
use crate::run::{Prepared, RUNS_MAX};
use crate::seed::Seed;

/// How much longer than its calls a transaction may keep others waiting: it has to get to an isolate first.
const TURN_SLACK: Duration = Duration::from_secs(1);

/// What came of each call, and the commit.
type Ended = (Outcomes, Timestamp);

/// What one run of all calls came to.
enum Came {
    /// To this, whether it is committed or not, and what is given to metrics if it is.
    To(Outcomes, Option<Box<Measured>>),
    /// To what an earlier request with the same key came to.
    Recalled(Recalled),
    /// To nothing: that is no call's fault.
    Nothing(CallError),
    /// To nothing, and it may be tried again: the worker of a call died, or it waited for too long.
    Lost(CallError),
}

/// The documents that each call wrote.
type Written = Vec<Vec<(String, DocumentId)>>;

/// What is noted of the last attempt, whatever becomes of it.
#[derive(Default)]
struct Noted {
    written: Mutex<Written>,
    /// What its call is made once more with on another release.
    original: Mutex<Option<Original>>,
}

/// Calls one procedure as one transaction.
pub async fn call(engine: &Engine, prepared: Prepared, scope: Option<Scope>) -> Result<Answer, CallError> {
    let (outcomes, commit) = transact(engine, &[prepared], scope).await?;
    let outcome = outcomes.into_iter().next();
    outcome.unwrap_or(Ok(Value::Null.into())).map(|given| Answer::new(given, commit))
}

/// Calls many functions as one transaction: all or none.
pub async fn call_together(
    engine: &Engine,
    release: &Arc<Release>,
    caller: &Caller,
    calls: Vec<Call>,
    scope: Option<Scope>,
) -> Vec<Result<Answer, CallError>> {
    let count = calls.len();
    let begun = Instant::now();
    let names: Vec<String> = calls.iter().map(|call| call.function.clone()).collect();
    let ended = match prepare(release, caller, calls) {
        Ok(group) => transact(engine, &group, scope).await,
        Err((culprit, error)) => Ok((rolled_back(count, culprit, error), Timestamp::ZERO)),
    };
    match ended {
        Ok((outcomes, commit)) => {
            let judged = |(outcome, name): (Result<Given, CallError>, &String)| {
                release.tally().count(outcome.as_ref().map(drop), Some(begun));
                engine.judged(release, caller, name, outcome.map(|given| Answer::new(given, commit)))
            };
            outcomes.into_iter().zip(&names).map(judged).collect()
        }
        // None of them is to blame, and each has failed.
        Err(error) => {
            let failed = |name: &String| {
                release.tally().count(Err(&error), Some(begun));
                engine.judged(release, caller, name, Err(error.clone()))
            };
            names.iter().map(failed).collect()
        }
    }
}

/// One call is to blame; of the others nothing is kept.
fn rolled_back(count: usize, culprit: usize, error: CallError) -> Outcomes {
    let of = |index| {
        if index == culprit {
            return Err(error.clone());
        }
        let message = format!("nothing of the batch is kept, because call {} of {count} failed", culprit + 1);
        Err(CallError::new(ErrorCode::RolledBack, message))
    };
    (0..count).map(of).collect()
}

fn prepare(release: &Arc<Release>, caller: &Caller, calls: Vec<Call>) -> Result<Vec<Prepared>, (usize, CallError)> {
    let prepared = calls.into_iter().enumerate().map(|(culprit, call)| {
        let blame = |error| (culprit, error);
        let prepared = Prepared::new(release, caller, &call.function, call.args).map_err(blame)?;
        match prepared.function().map_err(blame)?.kind {
            FunctionKind::Action => {
                let message =
                    format!("{} is an action and cannot be part of a transaction: use atomic: false", call.function);
                Err(blame(CallError::new(ErrorCode::BadArguments, message)))
            }
            FunctionKind::Stream => {
                let message = format!("{} is a stream: subscribe to it", call.function);
                Err(blame(CallError::new(ErrorCode::BadArguments, message)))
            }
            _ => Ok(prepared),
        }
    });
    prepared.collect()
}

/// Calls one function, a procedure or one that only reads, ahead of the disk: see [`Store::transact_ahead`].
///
/// [`Store::transact_ahead`]: weir_store::Store::transact_ahead
pub async fn call_ahead(engine: &Engine, prepared: Prepared, scope: Option<Scope>) -> Result<Decided, CallError> {
    let group = [prepared];
    let seed = draw()?;
    let once = scope.map(|scope| once(scope, &group)).transpose()?;
    let (noted, limit) = (Noted::default(), turn_limit(engine, &group));
    let shadow = shadow_of(engine, &group);
    let attempt = |transaction| attempt(engine, &group, (&seed, shadow.as_ref()), once.as_ref(), &noted, transaction);
    let mut runs = 1;
    loop {
        match engine.store().transact_ahead(limit, attempt).await {
            Ok(ahead) if matches!(ahead.peek(), Came::Lost(_)) && runs < RUNS_MAX => runs += 1,
            Ok(ahead) => {
                offer(shadow, noted);
                return Ok(Decided(ahead));
            }
            // Of one call it is always this one that is to blame.
            Err(error) => return Err(refused_of(engine, &group, error)),
        }
    }
}

/// What a call came to, not to be told before it is settled.
pub struct Decided(Ahead<Came>);

impl Decided {
    /// What it gave, so far; `None` where it gave nothing.
    pub fn peek(&self) -> Option<Result<&Value, &CallError>> {
        match self.0.peek() {
            Came::To(outcomes, _) => outcomes.first().map(value_of),
            Came::Recalled(recalled) => match &recalled.outcomes {
                Ok(outcomes) => outcomes.first().map(value_of),
                Err(error) => Some(Err(error)),
            },
            Came::Nothing(error) | Came::Lost(error) => Some(Err(error)),
        }
    }

    /// Waits until all that it rests on is durable.
    pub async fn settled(self) -> Result<Answer, CallError> {
        let (outcomes, commit) = self.0.settled().await.map_err(refused).and_then(ended)?;
        let outcome = outcomes.into_iter().next();
        outcome.unwrap_or(Ok(Value::Null.into())).map(|given| Answer::new(given, commit))
    }
}

/// The value of an outcome that has one.
fn value_of(outcome: &Result<Given, CallError>) -> Result<&Value, &CallError> {
    outcome.as_ref().map(|given| &given.value)
}

async fn transact(engine: &Engine, group: &[Prepared], scope: Option<Scope>) -> Result<Ended, CallError> {
    let seed = draw()?;
    let once = scope.map(|scope| once(scope, group)).transpose()?;
    let (noted, limit) = (Noted::default(), turn_limit(engine, group));
    let shadow = shadow_of(engine, group);
    let attempt = |transaction| attempt(engine, group, (&seed, shadow.as_ref()), once.as_ref(), &noted, transaction);
    let mut runs = 1;
    let transacted = loop {
        match engine.store().transact(limit, attempt).await {
            Ok(Transacted { value: Came::Lost(_), .. }) if runs < RUNS_MAX => runs += 1,
            transacted => break transacted,
        }
    };
    match transacted {
        Ok(transacted) => {
            offer(shadow, noted);
            ended(transacted)
        }
        Err(CommitError::Unique(violation)) => {
            let culprit = writer_of(&noted.written.lock(), &violation.collection, &violation.id);
            Ok((rolled_back(group.len(), culprit, CallError::conflict(&violation)), Timestamp::ZERO))
        }
        Err(error) => Err(refused_of(engine, group, error)),
    }
}

/// What follows a transaction of one call, before it begins: all that the other release declares is there then.
fn shadow_of(engine: &Engine, group: &[Prepared]) -> Option<Arc<Shadow>> {
    match group {
        [alone] => engine.shadow_of(alone),
        _ => None,
    }
}

/// Has a call made once more, which is over.
fn offer(shadow: Option<Arc<Shadow>>, noted: Noted) {
    if let Some((shadow, original)) = shadow.zip(noted.original.into_inner()) {
        shadow.offer(original);
    }
}

/// What a transaction that ended means to its caller.
fn ended(transacted: Transacted<Came>) -> Result<Ended, CallError> {
    match transacted {
        Transacted { value: Came::To(outcomes, measured), committed } => {
            if committed.is_some() {
                measured.into_iter().for_each(|measured| measured.count());
            }
            Ok((outcomes, committed.map_or(Timestamp::ZERO, |committed| committed.timestamp)))
        }
        Transacted { value: Came::Recalled(recalled), .. } => Ok((recalled.outcomes?, recalled.commit)),
        Transacted { value: Came::Nothing(error) | Came::Lost(error), .. } => Err(error),
    }
}

/// The same, with what another release is to blame for counted as its failure.
fn refused_of(engine: &Engine, group: &[Prepared], error: CommitError) -> CallError {
    if let (CommitError::Held(violation), Some(first)) = (&error, group.first()) {
        engine.held_back(&first.release, &violation.release);
    }
    refused(error)
}

/// Why nothing was committed.
fn refused(error: CommitError) -> CallError {
    match error {
        CommitError::Unique(violation) => CallError::conflict(&violation),
        CommitError::OutcomeUnknown(_) => CallError::new(ErrorCode::OutcomeUnknown, error.to_string()),
        CommitError::TooLarge { .. } => CallError::transaction_limit(Limit::TransactionBytes, error),
        // Who asks again may find the release that takes over.
        CommitError::Held(_) => CallError::held_back(error),
        CommitError::Unavailable(_) | CommitError::Conflict => CallError::unavailable(error),
    }
}

fn once(scope: Scope, group: &[Prepared]) -> Result<Once, CallError> {
    let mut calls = Vec::with_capacity(group.len());
    for prepared in group {
        calls.push((prepared.function()?.name.as_str(), &*prepared.arguments));
    }
    let kept_ms = group.first().map_or(0, |prepared| prepared.release.limits().idempotency_ms);
    Ok(Once::new(scope, calls.into_iter(), kept_ms))
}

/// How long a transaction may keep others waiting: as long as all its calls may take, and no longer than it may be open.
fn turn_limit(engine: &Engine, group: &[Prepared]) -> Duration {
    let calls_ms = group.iter().map(|prepared| prepared.release.limits().wall_ms);
    turn_of(calls_ms, engine.store().transaction_age_max())
}

fn turn_of(calls_ms: impl Iterator<Item = u64>, age_max: Duration) -> Duration {
    let all = Duration::from_millis(calls_ms.fold(0, u64::saturating_add));
    all.saturating_add(TURN_SLACK).min(age_max)
}

async fn attempt(
    engine: &Engine,
    group: &[Prepared],
    (seed, shadow): (&Seed, Option<&Arc<Shadow>>),
    once: Option<&Once>,
    noted: &Noted,
    mut transaction: Transaction,
) -> Run<Came> {
    *noted.original.lock() = None;
    if let Some(first) = group.first() {
        transaction.write_for(first.release.key().clone());
    }
    match once.map(|once| once.recall(&mut transaction, seed)).transpose() {
        Ok(recalled) => {
            if let Some(recalled) = recalled.flatten() {
                return Run::Abort(Came::Recalled(recalled));
            }
        }
        Err(error) => return Run::Abort(Came::Nothing(CallError::unavailable(error))),
    }
    let (began, age_max) = (Instant::now(), engine.store().transaction_age_max());
    let mut ids = seed.ids();
    let mut outcomes = Vec::with_capacity(group.len());
    let mut written = Vec::with_capacity(group.len());
    let mut measured = Vec::new();
    let mut room = group.first().map(|prepared| Room::new(prepared.release.limits().response_bytes));
    let mut transaction = Some(transaction);
    for (index, prepared) in group.iter().enumerate() {
        // Calls that read and write nothing do not notice that the transaction is cut.
        if began.elapsed() > age_max {
            return failed(group, seed, once, None, index, CallError::cut(age_max));
        }
        if let Some(Err(full)) = room.as_ref().map(Room::check) {
            return failed(group, seed, once, None, index, full);
        }
        let run_began = Instant::now();
        let ran = prepared.run(engine, seed, ids.clone(), transaction.take()).await;
        if let Some(shadow) = shadow {
            let took = run_began.elapsed();
            *noted.original.lock() = shadow.original((engine, prepared), seed, &ran, took, How::ToCommit);
        }
        match ran.result {
            Ok(given) => {
                if let Some(room) = &mut room {
                    room.take(outcome_bytes(Ok(&given.value)));
                }
                outcomes.push(Ok(given));
            }
            Err(error) if ran.may_run_again => return Run::Abort(Came::Lost(error)),
            Err(error) => return failed(group, seed, once, ran.transaction, index, error),
        }
        transaction = match ran.transaction {
            None => None,
            Some(transaction) => match follow(engine, seed, &prepared.release, &ran.written, transaction).await {
                Ok(transaction) => Some(transaction),
                Err(ConvertError { error, may_run_again: true }) => return Run::Abort(Came::Lost(error)),
                Err(ConvertError { error, .. }) => return failed(group, seed, once, None, index, error),
            },
        };
        written.push(ran.written);
        measured.extend(ran.measured);
        ids = ran.ids.unwrap_or(ids);
    }
    *noted.written.lock() = written;
    let Some(mut transaction) = transaction else {
        return Run::Abort(Came::Nothing(CallError::new(ErrorCode::Internal, "the transaction was lost")));
    };
    if let Some(once) = once {
        once.keep(&mut transaction, seed, &outcomes);
    }
    let measured = group.first().and_then(|first| Measured::of(engine, &first.release, &first.caller, measured));
    let calls: Vec<(&str, &str)> = group
        .iter()
        .filter_map(|prepared| Some((prepared.function().ok()?.name.as_str(), &*prepared.arguments)))
        .collect();
    if let Some(note) = group.first().and_then(|first| engine.note("call", &first.caller, &calls)) {
        transaction.record(note);
    }
    Run::Commit(transaction, Came::To(outcomes, measured))
}

/// Ends an attempt in which a call failed: nothing is written but, where it is to be kept, the outcome.
fn failed(
    group: &[Prepared],
    seed: &Seed,
    once: Option<&Once>,
    transaction: Option<Transaction>,
    culprit: usize,
    error: CallError,
) -> Run<Came> {
    let is_kept = idempotency::is_kept(&error);
    let outcomes = rolled_back(group.len(), culprit, error);
    match (once, transaction) {
        (Some(once), Some(mut transaction)) if is_kept => {
            transaction.undo();
            once.keep(&mut transaction, seed, &outcomes);
            Run::Commit(transaction, Came::To(outcomes, None))
        }
        _ => Run::Abort(Came::To(outcomes, None)),
    }
}

/// The last call that wrote the document.
fn writer_of(written: &Written, collection: &str, id: &DocumentId) -> usize {
    let wrote = |(name, written): &(String, DocumentId)| name == collection && written == id;
    written.iter().rposition(|call| call.iter().any(wrote)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_lasts_no_longer_than_a_transaction_may() {
        let (call_ms, age_max) = (5_000, Duration::from_secs(60));
        for (calls, seconds) in [(1, 6), (2, 11), (11, 56), (12, 60), (10_000, 60)] {
            assert_eq!(turn_of(std::iter::repeat_n(call_ms, calls), age_max), Duration::from_secs(seconds), "{calls}");
        }
        assert_eq!(turn_of([u64::MAX, u64::MAX].into_iter(), age_max), age_max);
    }
}
