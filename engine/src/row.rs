//! Calls one after the other, each a transaction of its own, that do not wait for the disk between them.
//!
//! Each sees what the ones before have written, durable or not; so many of them share one sync. An action is no
//! transaction: it begins when all before it is durable, and the next call when it is over.
//!
//! Rule: what a call came to is sealed until all that it rests on is durable, whoever it was that wrote it.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use weir_schema::declarations::FunctionKind;
use weir_schema::error::ErrorCode;
use weir_store::{Run, Transaction};

use crate::actions;
use crate::call::{Answer, Call, CallError, Caller};
use crate::engine::{Engine, draw};
use crate::idempotency::{Once, Scope};
use crate::procedures::{self, Decided};
use crate::release::Release;
use crate::room::outcome_bytes;
use crate::run::Prepared;

/// How long a claim may keep others waiting.
const CLAIM_MAX: Duration = Duration::from_secs(1);

/// Calls of one caller, in order.
pub struct Row {
    engine: Engine,
    release: Arc<Release>,
    caller: Caller,
}

/// What a call came to, sealed.
#[must_use = "what is not opened may never come true"]
pub struct Sealed {
    state: State,
    /// Of which call, where it has not failed so far.
    call: Option<Box<Made>>,
}

/// A call that was made and may yet turn out to have failed.
struct Made {
    engine: Engine,
    release: Arc<Release>,
    caller: Caller,
    function: String,
}

enum State {
    /// It rests on nothing that is not durable.
    Known(Result<Answer, CallError>),
    Decided(Decided),
}

impl Row {
    /// No calls yet.
    pub fn new(engine: &Engine, release: &Arc<Release>, caller: &Caller) -> Self {
        Self { engine: engine.clone(), release: release.clone(), caller: caller.clone() }
    }

    /// Sees to it that a scope stands for these calls in a row, and for nothing else.
    pub(crate) async fn claim(&self, scope: Scope, calls: &[Call]) -> Result<(), CallError> {
        let texts: Vec<(&str, String)> =
            calls.iter().map(|call| (call.function.as_str(), call.args.to_string())).collect();
        // No function has this name, so these are no calls of a transaction.
        let parts = std::iter::once(("in a row", "")).chain(texts.iter().map(|(name, args)| (*name, args.as_str())));
        let once = Once::new(scope, parts, self.release.limits().idempotency_ms);
        let seed = draw()?;
        let claim = |mut transaction: Transaction| {
            ready(match once.recall(&mut transaction, &seed) {
                Ok(Some(recalled)) => Run::Abort(recalled.outcomes.map(drop)),
                Ok(None) => {
                    once.keep(&mut transaction, &seed, &Vec::new());
                    Run::Commit(transaction, Ok(()))
                }
                Err(error) => Run::Abort(Err(CallError::unavailable(error))),
            })
        };
        self.engine.store().transact(CLAIM_MAX, claim).await.map_err(CallError::unavailable)?.value
    }

    /// Makes the next call. It has its place in the order of commits when this returns, or has failed. With a scope it is
    /// answered once, as in [`Engine::call_once`].
    ///
    /// Where the future is dropped before, nothing is written, unless the call has been handed to the committer already.
    pub async fn call(&mut self, call: Call, scope: Option<Scope>) -> Sealed {
        let (engine, release, caller) = (self.engine.clone(), self.release.clone(), self.caller.clone());
        let made = Made { engine, release, caller, function: call.function.clone() };
        let state = self.run(call, scope).await.unwrap_or_else(|error| State::Known(Err(error)));
        // At once, also where nobody takes the answer: the record is a later commit, so it is durable after all that this rests on.
        if let Some(error) = state.error() {
            made.failed(error);
            return Sealed { state, call: None };
        }
        Sealed { state, call: Some(Box::new(made)) }
    }

    async fn run(&mut self, call: Call, scope: Option<Scope>) -> Result<State, CallError> {
        let Call { function, args } = call;
        let prepared = Prepared::new(&self.release, &self.caller, &function, args)?;
        match prepared.function()?.kind {
            FunctionKind::Query | FunctionKind::View => {
                procedures::call_ahead(&self.engine, prepared, None).await.map(State::Decided)
            }
            FunctionKind::Procedure => procedures::call_ahead(&self.engine, prepared, scope).await.map(State::Decided),
            FunctionKind::Action => {
                // What it calls begins on what is durable.
                self.engine.store().all_durable().await.map_err(CallError::unavailable)?;
                let answer = match scope {
                    Some(scope) => actions::call_once(&self.engine, prepared, scope).await,
                    None => self.engine.act(&prepared).await,
                };
                Ok(State::Known(answer))
            }
            FunctionKind::Stream => {
                let message = format!("{function} is a stream: subscribe to it");
                Err(CallError::new(ErrorCode::BadArguments, message))
            }
        }
    }
}

impl Made {
    fn failed(&self, error: &CallError) {
        self.engine.failed("call", &self.release, &self.caller, &self.function, error);
    }
}

impl State {
    /// Why the call has failed, if it has so far.
    fn error(&self) -> Option<&CallError> {
        match self {
            Self::Known(answer) => answer.as_ref().err(),
            Self::Decided(decided) => decided.peek()?.err(),
        }
    }
}

impl Sealed {
    /// A call that is not made.
    pub(crate) fn refused(error: CallError) -> Self {
        Self { state: State::Known(Err(error)), call: None }
    }

    /// How long its value is as JSON text, or the message of its error, in bytes.
    pub fn bytes(&self) -> usize {
        let outcome = match &self.state {
            State::Known(answer) => Some(answer.as_ref().map(|answer| answer.value.value())),
            State::Decided(decided) => decided.peek(),
        };
        outcome.map_or(0, outcome_bytes)
    }

    /// Waits until nothing can take back what the call came to.
    pub async fn opened(self) -> Result<Answer, CallError> {
        let outcome = match self.state {
            State::Known(answer) => answer,
            State::Decided(decided) => decided.settled().await,
        };
        if let (Err(error), Some(made)) = (&outcome, &self.call) {
            made.failed(error);
        }
        outcome
    }
}
