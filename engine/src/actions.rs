//! Running actions, and those with an idempotency key.
//!
//! An action is no transaction: with a key its outcome is kept when it is over. Repeats that come while it runs wait for it, also
//! when whoever asked first has gone; after a crash in the middle a repeat runs it again, since nobody knows how far it got.

use std::collections::HashMap;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tracing::Instrument;
use weir_schema::error::ErrorCode;
use weir_store::{Run, Transaction};

use crate::call::{Answer, CallError};
use crate::engine::{Engine, draw};
use crate::idempotency::{self, Once, Scope};
use crate::run::{Prepared, RUNS_MAX, Ran};
use crate::seed::Seed;

/// How long keeping an outcome may keep others waiting.
const TURN_MAX: Duration = Duration::from_secs(1);

/// The actions with a key that are running, and whoever waits for them.
#[derive(Default)]
pub(crate) struct Actions {
    running: Mutex<HashMap<Scope, Arc<tokio::sync::Mutex<()>>>>,
}

/// A place among those that run or wait for one scope. Dropping it gives it up, also by a caller that goes away while it
/// waits.
struct Place {
    actions: Arc<Actions>,
    scope: Scope,
    lock: Arc<tokio::sync::Mutex<()>>,
}

impl Actions {
    fn enter(self: &Arc<Self>, scope: Scope) -> Place {
        let lock = self.running.lock().entry(scope).or_default().clone();
        Place { actions: self.clone(), scope, lock }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut running = self.actions.running.lock();
        // The map has one and this place the other: nobody else runs or waits.
        if Arc::strong_count(&self.lock) == 2 {
            running.remove(&self.scope);
        }
    }
}

impl Engine {
    /// Runs an action to its answer.
    pub(crate) async fn act(&self, prepared: &Prepared) -> Result<Answer, CallError> {
        let ran = self.run_action(prepared).await;
        ran.result.map(|given| Answer::new(given, self.store().head().timestamp))
    }

    /// Runs an action, again as long as its worker dies before it has done anything. What it gives to metrics counts.
    pub(crate) async fn run_action(&self, prepared: &Prepared) -> Ran {
        let seed = match draw() {
            Ok(seed) => seed,
            Err(error) => return Ran::not_begun(error),
        };
        let mut runs = 0;
        loop {
            let ran = prepared.run(self, &seed, seed.ids(), None).await;
            runs += 1;
            if !ran.may_run_again || runs == RUNS_MAX {
                self.count_measured(&prepared.release, &prepared.caller, &ran.measured);
                return ran;
            }
        }
    }
}

/// Runs an action, unless its outcome is known. Once it has begun it goes on without its caller: a repeat must neither run
/// beside it nor find nothing.
pub(crate) async fn call_once(engine: &Engine, prepared: Prepared, scope: Scope) -> Result<Answer, CallError> {
    let place = engine.actions().enter(scope);
    let turn = place.lock.clone().lock_owned().await;
    let (engine, span) = (engine.clone(), engine.span().clone());
    let run = async move {
        let outcome = recall_or_run(&engine, &prepared, scope).await;
        drop(turn);
        drop(place);
        outcome
    };
    tokio::spawn(run.instrument(span))
        .await
        .unwrap_or_else(|error| Err(CallError::new(ErrorCode::Internal, format!("the action's run ended: {error}"))))
}

async fn recall_or_run(engine: &Engine, prepared: &Prepared, scope: Scope) -> Result<Answer, CallError> {
    let call = (prepared.function()?.name.as_str(), &*prepared.arguments);
    let once = Once::new(scope, std::iter::once(call), prepared.release.limits().idempotency_ms);
    let seed = Seed::draw().map_err(CallError::unavailable)?;
    let mut transaction = engine.store().begin().map_err(CallError::unavailable)?;
    if let Some(recalled) = once.recall(&mut transaction, &seed).map_err(CallError::unavailable)? {
        let commit = recalled.commit;
        let outcome = recalled.outcomes?.into_iter().next().unwrap_or(Ok(serde_json::Value::Null.into()));
        return outcome.map(|given| Answer::new(given, commit));
    }
    drop(transaction);
    let outcome = engine.act(prepared).await;
    if outcome.as_ref().err().is_some_and(|error| !idempotency::is_kept(error)) {
        return outcome;
    }
    let outcomes = vec![outcome.clone().map(|answer| answer.value.given())];
    let keep = |mut transaction: Transaction| {
        once.keep(&mut transaction, &seed, &outcomes);
        ready(Run::Commit(transaction, ()))
    };
    // The action has happened: its caller is told what it came to, also if that cannot be kept.
    if let Err(error) = engine.store().transact(TURN_MAX, keep).await {
        tracing::warn!("the outcome of an action with an idempotency key is not kept: {error}");
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Caller;
    use crate::idempotency::IdempotencyKey;

    #[test]
    fn a_scope_is_forgotten_with_the_last_who_runs_or_waits() {
        let actions = Arc::new(Actions::default());
        let scope = IdempotencyKey::parse("a").map(|key| key.scope(&Caller::Developer, "f"));
        let scope = scope.unwrap_or_else(|error| panic!("{error}"));
        let (first, second) = (actions.enter(scope), actions.enter(scope));
        drop(first);
        assert_eq!(actions.running.lock().len(), 1);
        drop(second);
        assert!(actions.running.lock().is_empty());
    }
}
