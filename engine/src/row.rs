//! Calls one after the other, each a transaction of its own, that do not wait for the disk between them.
//!
//! Each sees what the ones before have written, durable or not; so many of them share one sync. An action is no
//! transaction: it begins when all before it is durable, and the next call when it is over.
//!
//! Rule: what a call came to is sealed until all that it rests on is durable, whoever it was that wrote it.

use std::future::ready;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Fuse, FusedFuture};
use tokio::runtime::Handle;
use tracing::{Instrument, Span};
use weir_schema::declarations::FunctionKind;
use weir_schema::error::ErrorCode;
use weir_store::{Run, Transaction};

use crate::actions;
use crate::call::{Answer, Call, CallError, Caller};
use crate::engine::{Engine, draw};
use crate::idempotency::{Once, Scope};
use crate::procedures::{self, Decided};
use crate::release::Release;
use crate::rollouts::loaded::Lease;
use crate::room::outcome_bytes;
use crate::run::Prepared;

/// How long a claim may keep others waiting.
const CLAIM_MAX: Duration = Duration::from_secs(1);

/// Calls of one caller, in order.
pub struct Row {
    engine: Engine,
    release: Arc<Release>,
    caller: Caller,
    /// Between two of them there is none that would keep the release.
    _lease: Lease,
}

/// What a call came to, sealed.
#[must_use = "what is not opened may never come true"]
pub struct Sealed {
    /// See [`Self::bytes`].
    bytes: usize,
    state: State,
}

/// A call that was made.
struct Made {
    engine: Engine,
    release: Arc<Release>,
    caller: Caller,
    function: String,
    begun: Instant,
}

enum State {
    /// It rests on nothing that is not durable.
    Known(Result<Answer, CallError>),
    /// It has failed, which is on record already, and is not to be told yet.
    Failed(Decided),
    /// It may yet turn out to have failed.
    Settling(Settling),
}

/// Waits until nothing can take back what a call came to, and has it on record if it has failed then. That goes on where nobody takes
/// the answer.
struct Settling {
    span: Span,
    ending: Fuse<BoxFuture<'static, Result<Answer, CallError>>>,
}

impl Row {
    /// No calls yet.
    pub fn new(engine: &Engine, release: &Arc<Release>, caller: &Caller) -> Self {
        let (engine, _lease) = (engine.clone(), release.hold());
        Self { engine, release: release.clone(), caller: caller.clone(), _lease }
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
        let made = Made { engine, release, caller, function: call.function.clone(), begun: Instant::now() };
        match self.run(call, scope).await {
            Ok(Came::Over(answer)) => made.over(answer),
            Ok(Came::Decided(decided)) => made.decided(decided),
            Err(error) => made.over(Err(error)),
        }
    }

    async fn run(&mut self, call: Call, scope: Option<Scope>) -> Result<Came, CallError> {
        let Call { function, args } = call;
        let prepared = Prepared::new(&self.release, &self.caller, &function, args)?;
        match prepared.function()?.kind {
            FunctionKind::Query | FunctionKind::View => {
                procedures::call_ahead(&self.engine, prepared, None).await.map(Came::Decided)
            }
            FunctionKind::Procedure => procedures::call_ahead(&self.engine, prepared, scope).await.map(Came::Decided),
            FunctionKind::Action => {
                // What it calls begins on what is durable.
                self.engine.store().all_durable().await.map_err(CallError::unavailable)?;
                let answer = match scope {
                    Some(scope) => actions::call_once(&self.engine, prepared, scope).await,
                    None => self.engine.act(&prepared).await,
                };
                Ok(Came::Over(answer))
            }
            FunctionKind::Stream => {
                let message = format!("{function} is a stream: subscribe to it");
                Err(CallError::new(ErrorCode::BadArguments, message))
            }
        }
    }
}

/// What a call came to, as it was made.
enum Came {
    /// To this, which rests on nothing that is not durable.
    Over(Result<Answer, CallError>),
    /// To what may be taken back.
    Decided(Decided),
}

impl Made {
    fn failed(&self, error: &CallError) {
        self.engine.failed("call", &self.release, &self.caller, &self.function, error);
    }

    fn count(&self, outcome: Result<(), &CallError>) {
        self.release.tally().count(outcome, Some(self.begun));
    }

    fn over(self, answer: Result<Answer, CallError>) -> Sealed {
        self.count(answer.as_ref().map(drop));
        if let Err(error) = &answer {
            self.failed(error);
        }
        Sealed::known(answer)
    }

    fn decided(self, decided: Decided) -> Sealed {
        let bytes = decided.peek().map_or(0, outcome_bytes);
        // At once, also where nobody takes the answer: the record is a later commit, so it is durable after all that this rests on.
        if let Some(Err(error)) = decided.peek() {
            self.count(Err(error));
            self.failed(error);
            return Sealed { bytes, state: State::Failed(decided) };
        }
        let span = self.engine.span().clone();
        let ending = async move {
            let outcome = decided.settled().await;
            self.count(outcome.as_ref().map(drop));
            outcome.inspect_err(|error| self.failed(error))
        };
        Sealed { bytes, state: State::Settling(Settling { span, ending: ending.boxed().fuse() }) }
    }
}

impl Settling {
    async fn settled(mut self) -> Result<Answer, CallError> {
        (&mut self.ending).await
    }
}

impl Drop for Settling {
    fn drop(&mut self) {
        if self.ending.is_terminated() {
            return;
        }
        // Outside a runtime nobody is there any more who could write the record.
        if let Ok(runtime) = Handle::try_current() {
            let ending = std::mem::replace(&mut self.ending, Fuse::terminated());
            runtime.spawn(ending.map(drop).instrument(self.span.clone()));
        }
    }
}

impl Sealed {
    /// A call that is not made.
    pub(crate) fn refused(error: CallError) -> Self {
        Self::known(Err(error))
    }

    fn known(answer: Result<Answer, CallError>) -> Self {
        let bytes = outcome_bytes(answer.as_ref().map(|answer| answer.value.value()));
        Self { bytes, state: State::Known(answer) }
    }

    /// How long its value is as JSON text, or the message of its error, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Waits until nothing can take back what the call came to.
    pub async fn opened(self) -> Result<Answer, CallError> {
        match self.state {
            State::Known(answer) => answer,
            State::Failed(decided) => decided.settled().await,
            State::Settling(settling) => settling.settled().await,
        }
    }
}
