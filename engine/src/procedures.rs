//! Runs procedures and commits them: side by side with others first, again on conflict, then alone.
//!
//! Running again is safe because a run is repeatable: the seed, and with it the time and the ids, stays the same.

use std::sync::Arc;

use serde_json::Value;
use weir_schema::commit::Timestamp;
use weir_schema::declarations::FunctionKind;
use weir_schema::error::ErrorCode;
use weir_schema::id::DocumentId;
use weir_store::CommitError;

use crate::call::{Answer, Call, CallError, Caller};
use crate::engine::Engine;
use crate::release::Release;
use crate::run::Prepared;
use crate::seed::Seed;

/// Runs side by side with others before a transaction asks to be alone.
const ATTEMPTS_OPTIMISTIC: usize = 4;
/// Runs alone; even then a change of the indexes may be in the way of the first.
const ATTEMPTS_ALONE: usize = 16;

/// Why a group of calls was not committed.
struct GroupError {
    /// Which call is to blame; `None` if it is no call's fault, and then nothing is known to be rolled back.
    culprit: Option<usize>,
    error: CallError,
}

/// How one attempt ended.
enum Attempt {
    Committed(Vec<Value>, Timestamp),
    Failed(GroupError),
    Conflict,
}

/// Calls one procedure as one transaction.
pub async fn call(engine: &Engine, prepared: Prepared) -> Result<Answer, CallError> {
    match transact(engine, &[prepared]).await {
        Ok((values, commit)) => {
            let value = values.into_iter().next().unwrap_or(Value::Null);
            Ok(Answer { value, commit })
        }
        Err(GroupError { error, .. }) => Err(error),
    }
}

/// Calls many functions as one transaction: all or none.
pub async fn call_together(
    engine: &Engine,
    release: &Arc<Release>,
    caller: &Caller,
    calls: Vec<Call>,
) -> Vec<Result<Answer, CallError>> {
    let count = calls.len();
    let transacted = match prepare(release, caller, calls) {
        Ok(group) => transact(engine, &group).await,
        Err(error) => Err(error),
    };
    match transacted {
        Ok((values, commit)) => values.into_iter().map(|value| Ok(Answer { value, commit })).collect(),
        Err(GroupError { culprit, error }) => (0..count)
            .map(|index| match culprit {
                Some(culprit) if culprit != index => {
                    let message =
                        format!("nothing of the batch is kept, because call {} of {count} failed", culprit + 1);
                    Err(CallError::new(ErrorCode::RolledBack, message))
                }
                _ => Err(error.clone()),
            })
            .collect(),
    }
}

fn prepare(release: &Arc<Release>, caller: &Caller, calls: Vec<Call>) -> Result<Vec<Prepared>, GroupError> {
    let prepared = calls.into_iter().enumerate().map(|(culprit, call)| {
        let blame = |error| GroupError { culprit: Some(culprit), error };
        let prepared = Prepared::new(release, caller, &call.function, call.args).map_err(blame)?;
        match prepared.function().map_err(blame)?.kind {
            FunctionKind::Action => {
                let message =
                    format!("{} is an action and cannot be part of a transaction: use atomic: false", call.function);
                Err(blame(CallError::new(ErrorCode::BadArguments, message)))
            }
            _ => Ok(prepared),
        }
    });
    prepared.collect()
}

async fn transact(engine: &Engine, group: &[Prepared]) -> Result<(Vec<Value>, Timestamp), GroupError> {
    let seed = Seed::draw()
        .map_err(|error| GroupError { culprit: None, error: CallError::new(ErrorCode::Internal, error.to_string()) })?;
    for _ in 0..ATTEMPTS_OPTIMISTIC {
        let _beside_others = engine.alone().read().await;
        match attempt(engine, group, &seed).await {
            Attempt::Committed(values, commit) => return Ok((values, commit)),
            Attempt::Failed(error) => return Err(error),
            Attempt::Conflict => {}
        }
    }
    let _alone = engine.alone().write().await;
    for _ in 0..ATTEMPTS_ALONE {
        match attempt(engine, group, &seed).await {
            Attempt::Committed(values, commit) => return Ok((values, commit)),
            Attempt::Failed(error) => return Err(error),
            Attempt::Conflict => {}
        }
    }
    let message = "the indexes keep changing under the transaction; try again in a moment";
    Err(GroupError { culprit: None, error: CallError::unavailable(message) })
}

async fn attempt(engine: &Engine, group: &[Prepared], seed: &Seed) -> Attempt {
    let failed = |culprit, error| Attempt::Failed(GroupError { culprit, error });
    let mut transaction = match engine.store().begin() {
        Ok(transaction) => Some(transaction),
        Err(error) => return failed(None, CallError::unavailable(error)),
    };
    let mut ids = seed.ids();
    let mut values = Vec::with_capacity(group.len());
    let mut written = Vec::with_capacity(group.len());
    for (index, prepared) in group.iter().enumerate() {
        let ran = prepared.run(engine, seed, ids.clone(), transaction.take()).await;
        match ran.result {
            Ok(value) => values.push(value),
            Err(error) => return failed(Some(index), error),
        }
        written.push(ran.written);
        transaction = ran.transaction;
        ids = ran.ids.unwrap_or(ids);
    }
    let Some(transaction) = transaction else {
        return failed(None, CallError::new(ErrorCode::Internal, "the transaction was lost"));
    };
    match engine.store().commit(transaction).await {
        Ok(committed) => Attempt::Committed(values, committed.timestamp),
        Err(CommitError::Conflict) => Attempt::Conflict,
        Err(CommitError::Unique(violation)) => {
            let culprit = writer_of(&written, &violation.collection, &violation.id);
            failed(Some(culprit), CallError::conflict(&violation))
        }
        Err(error @ CommitError::Unavailable(_)) => failed(None, CallError::unavailable(error)),
        Err(error @ CommitError::OutcomeUnknown(_)) => {
            failed(None, CallError::new(ErrorCode::OutcomeUnknown, error.to_string()))
        }
    }
}

/// The last call that wrote the document.
fn writer_of(written: &[Vec<(String, DocumentId)>], collection: &str, id: &DocumentId) -> usize {
    let wrote = |(name, written): &(String, DocumentId)| name == collection && written == id;
    written.iter().rposition(|call| call.iter().any(wrote)).unwrap_or_default()
}
