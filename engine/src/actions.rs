//! Actions with an idempotency key.
//!
//! An action is no transaction: its outcome is kept when it is over. Repeats that come while it runs wait for it; after a
//! crash in the middle a repeat runs it again, since nobody knows how far it got.

use std::collections::HashMap;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use weir_store::{Run, Transaction};

use crate::call::{Answer, CallError};
use crate::engine::Engine;
use crate::idempotency::{self, Once, Scope};
use crate::run::Prepared;
use crate::seed::Seed;

/// How long keeping an outcome may keep others waiting.
const TURN_MAX: Duration = Duration::from_secs(1);

/// The actions with a key that are running, and whoever waits for them.
#[derive(Default)]
pub(crate) struct Actions {
    running: Mutex<HashMap<Scope, Arc<tokio::sync::Mutex<()>>>>,
}

impl Actions {
    fn lock(&self, scope: Scope) -> Arc<tokio::sync::Mutex<()>> {
        self.running.lock().entry(scope).or_default().clone()
    }

    /// Forgets a lock that nobody else holds or waits for.
    fn unlock(&self, scope: Scope, lock: Arc<tokio::sync::Mutex<()>>) {
        let mut running = self.running.lock();
        drop(lock);
        if running.get(&scope).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            running.remove(&scope);
        }
    }
}

/// Runs an action, unless its outcome is known.
pub(crate) async fn call_once(engine: &Engine, prepared: &Prepared, scope: Scope) -> Result<Answer, CallError> {
    let lock = engine.actions().lock(scope);
    let outcome = {
        let _turn = lock.lock().await;
        recall_or_run(engine, prepared, scope).await
    };
    engine.actions().unlock(scope, lock);
    outcome
}

async fn recall_or_run(engine: &Engine, prepared: &Prepared, scope: Scope) -> Result<Answer, CallError> {
    let call = (prepared.function()?.name.as_str(), prepared.arguments.as_str());
    let once = Once::new(scope, std::iter::once(call), prepared.release.limits().idempotency_ms);
    let seed = Seed::draw().map_err(CallError::unavailable)?;
    let mut transaction = engine.store().begin().map_err(CallError::unavailable)?;
    if let Some(recalled) = once.recall(&mut transaction, &seed).map_err(CallError::unavailable)? {
        let commit = recalled.commit;
        let outcome = recalled.outcomes?.into_iter().next().unwrap_or(Ok(serde_json::Value::Null));
        return outcome.map(|value| Answer { value, commit });
    }
    drop(transaction);
    let outcome = engine.act(prepared).await;
    if outcome.as_ref().err().is_some_and(|error| !idempotency::is_kept(error)) {
        return outcome;
    }
    let outcomes = vec![outcome.clone().map(|answer| answer.value)];
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
