//! One run of one function in an isolate, and what its outcome means to a caller.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::oneshot;
use weir_sandbox::pool::{Isolation, QueueFull};
use weir_sandbox::protocol::{CallRequest, Frame, Outcome, Plan, ScriptCaller, ScriptError};
use weir_schema::declarations::{Function, FunctionKind};
use weir_schema::error::ErrorCode;
use weir_schema::id::DocumentId;
use weir_schema::limits::Limit;
use weir_schema::validate;
use weir_store::{Pinned, Transaction};

use crate::access::guard::Guard;
use crate::access::hidden::Hidden;
use crate::attempts::Attempts;
use crate::call::{CallError, Caller};
use crate::content::Given;
use crate::engine::Engine;
use crate::experiments::counts::Measurement;
use crate::fetch::Budget;
use crate::groups::question;
use crate::host::{Aborted, Finished, RunHost, Used, Waiting};
use crate::nested_views::Views;
use crate::origin::Place;
use crate::release::Release;
use crate::results::key::{Looked, QueryKey};
use crate::results::timed::Timing;
use crate::seed::{Ids, Seed};
use crate::streams::Feed;

/// How long a caller looks for the end of its run before it sleeps.
const AWAKE: Duration = Duration::from_micros(20);

/// A function with checked arguments, ready to be run any number of times.
pub struct Prepared {
    /// Whose function it is.
    pub release: Arc<Release>,
    /// Who calls.
    pub caller: Caller,
    /// The same as scripts of the release see it.
    seen: ScriptCaller,
    /// That as JSON text.
    in_script: Arc<str>,
    /// Its place in the declarations.
    pub index: usize,
    /// Its checked arguments, as JSON text.
    pub arguments: Arc<str>,
    /// What the policies of the release have to say; `None` without policies.
    pub(crate) guard: Option<Arc<Guard>>,
    /// Whether it gives what documents contribute to a view of groups, which has no declared type.
    maps: bool,
}

/// What a run gave, and what it read and wrote.
pub struct Ran {
    /// Its checked result.
    pub result: Result<Given, CallError>,
    /// The transaction, unless the run took none or it was lost.
    pub transaction: Option<Transaction>,
    /// The rows that are its result, if it was run for them and has not looked into them.
    pub rows: Option<(Pinned, Plan)>,
    /// What else it looked at.
    pub(crate) looked: Looked,
    /// The views that it has read.
    pub(crate) views: Views,
    /// The documents it wrote, in order.
    pub written: Vec<(String, DocumentId)>,
    /// What it gives to metrics, if what it did comes to count.
    pub(crate) measured: Vec<Measurement>,
    /// Where the ids go on.
    pub ids: Option<Ids>,
    /// Whether it ended for no fault of its own and has left nothing behind, so that it may be made again.
    pub may_run_again: bool,
    /// Whether the function got to an isolate.
    pub begun: bool,
    /// Whether a maintained view is not known as of the commit that it saw.
    pub(crate) is_behind: bool,
}

/// How often a call is made that its worker does not survive, for whatever reason, or that has waited for too long. A call
/// that is itself the reason, and by a way that nobody can tell, must end somewhere.
pub const RUNS_MAX: usize = 4;

impl Prepared {
    /// Finds the function, checks the arguments, and has the policies decide whether the caller may call it.
    pub fn new(release: &Arc<Release>, caller: &Caller, function: &str, arguments: Value) -> Result<Self, CallError> {
        let prepared = Self::checked(release, caller, function, arguments, Guard::check_call)?;
        // What the app itself has run for nobody is no use that anybody makes of it.
        if !matches!(caller, Caller::Scheduler) {
            release.usage().called(prepared.index);
        }
        Ok(prepared)
    }

    /// Whether a call would be made that is not made yet.
    pub(crate) fn may_be_made(release: &Arc<Release>, caller: &Caller, function: &str, arguments: Value) -> bool {
        Self::checked(release, caller, function, arguments, Guard::check_call).is_ok()
    }

    /// The same for a call that is made once more, of which nobody makes use.
    pub(crate) fn again(
        release: &Arc<Release>,
        caller: &Caller,
        function: &str,
        arguments: Value,
    ) -> Result<Self, CallError> {
        Self::checked(release, caller, function, arguments, Guard::check_call)
    }

    /// The same where the app itself makes the call: of what its functions call and schedule nothing is decided but what they
    /// read and write.
    pub(crate) fn undecided(
        release: &Arc<Release>,
        caller: &Caller,
        function: &str,
        arguments: Value,
    ) -> Result<Self, CallError> {
        Self::checked(release, caller, function, arguments, |_, _| Ok(()))
    }

    fn checked(
        release: &Arc<Release>,
        caller: &Caller,
        function: &str,
        arguments: Value,
        decide: impl FnOnce(&Guard, &Value) -> Result<(), CallError>,
    ) -> Result<Self, CallError> {
        let Some((index, declared)) = release.function(function) else {
            let message = format!("there is no function {function:?} in {}", release.name());
            return Err(CallError::new(ErrorCode::NotFound, message));
        };
        let arguments = validate::arguments(declared, &release.declarations().definitions, arguments)
            .map_err(|violation| CallError::new(ErrorCode::BadArguments, violation.to_string()))?;
        question::check(declared, &arguments)
            .map_err(|bad| CallError::new(ErrorCode::BadArguments, bad.to_string()))?;
        let guard = release.guard(caller, function);
        if let Some(guard) = &guard {
            decide(guard, &arguments)?;
        }
        let arguments: Arc<str> = arguments.to_string().into();
        let allowed = release.limits().arguments_bytes;
        if arguments.len() > allowed {
            return Err(CallError::limit(Limit::Arguments, allowed));
        }
        Ok(Self { guard, ..Self::made(release, caller, index, arguments) })
    }

    /// The same as part of a call of another function: what it reads and writes is decided for that one.
    pub(crate) fn part_of(self, guard: Option<Arc<Guard>>) -> Self {
        Self { guard, ..self }
    }

    /// What gives the contributions of documents, as JSON texts, to a view of groups.
    pub(crate) fn mapping(release: &Arc<Release>, index: usize, documents: &[Bytes]) -> Self {
        let mut arguments = b"{\"documents\":[".to_vec();
        for (place, document) in documents.iter().enumerate() {
            if place > 0 {
                arguments.push(b',');
            }
            arguments.extend_from_slice(document);
        }
        arguments.extend_from_slice(b"]}");
        let arguments = String::from_utf8_lossy(&arguments).into();
        // It reads nothing but these, so policies have nothing to say.
        Self { maps: true, ..Self::made(release, &Caller::Scheduler, index, arguments) }
    }

    fn made(release: &Arc<Release>, caller: &Caller, index: usize, arguments: Arc<str>) -> Self {
        let seen = caller.in_script(release.caller());
        let in_script = seen.text();
        let (release, caller) = (release.clone(), caller.clone());
        Self { release, caller, seen, in_script, index, arguments, guard: None, maps: false }
    }

    /// What answers the endpoint at a place among those of the release; `request` is made by the host and has no type.
    pub fn endpoint(release: &Arc<Release>, caller: &Caller, place: usize, request: &Value) -> Result<Self, CallError> {
        let (arguments, allowed) = (Arc::<str>::from(request.to_string()), release.limits().arguments_bytes);
        if arguments.len() > allowed {
            return Err(CallError::limit(Limit::Arguments, allowed));
        }
        let index = release.declarations().functions.len() + place;
        let prepared = Self::made(release, caller, index, arguments);
        let guard = release.guard(caller, &prepared.function()?.name);
        if let Some(guard) = &guard {
            guard.check_call(&Value::Null)?;
        }
        Ok(Self { guard, ..prepared })
    }

    /// Who calls, as scripts see it.
    pub(crate) fn seen(&self) -> &ScriptCaller {
        &self.seen
    }

    /// What it asks.
    pub(crate) fn key(&self) -> QueryKey {
        let own = self.function().ok();
        // A view gives the same whatever function calls it.
        let is_own =
            |guard: &Guard| own.is_none_or(|own| own.name == **guard.function() || own.kind == FunctionKind::View);
        let foreign = self.guard.as_ref().filter(|guard| guard.binds() && !is_own(guard));
        let within = foreign.map(|guard| guard.function().clone());
        QueryKey { release: self.release.number(), function: self.index, arguments: self.arguments.clone(), within }
    }

    /// Whether a result of it is good for a time, whatever is committed.
    pub(crate) fn is_timed(&self) -> bool {
        self.timing().is_some()
    }

    /// When it is computed, if that is a matter of time.
    pub(crate) fn timing(&self) -> Option<Timing> {
        Timing::of(self.function().ok()?.keep.as_ref())
    }

    /// The declared function.
    pub fn function(&self) -> Result<&Function, CallError> {
        let function = self.release.declarations().callable(self.index);
        function.ok_or_else(|| CallError::new(ErrorCode::Internal, "the function is not in its release"))
    }

    /// Runs it once, on `transaction` if it takes one.
    pub async fn run(&self, engine: &Engine, seed: &Seed, ids: Ids, transaction: Option<Transaction>) -> Ran {
        self.run_with(engine, seed, ids, |host| RunHost { transaction, ..host }).await
    }

    /// Runs it once for a result that is kept, as are those of the views that it reads.
    ///
    /// With `patience` it ends where a maintained view is not known as of the commit that it sees, instead of computing that from
    /// all documents.
    pub(crate) async fn run_to_keep(
        &self,
        engine: &Engine,
        seed: &Seed,
        transaction: Transaction,
        patience: bool,
    ) -> Ran {
        let views = Views::apart(patience);
        self.run_with(engine, seed, seed.ids(), |host| RunHost { transaction: Some(transaction), views, ..host }).await
    }

    /// Runs it once on a state for long reads. Rows that it returns without having looked into them are not read.
    pub(crate) async fn run_lazily(&self, engine: &Engine, seed: &Seed, state: Pinned) -> Ran {
        self.run_with(engine, seed, seed.ids(), |host| RunHost { pinned: Some(state), ..host }).await
    }

    async fn run_with(&self, engine: &Engine, seed: &Seed, ids: Ids, on: impl FnOnce(RunHost) -> RunHost) -> Ran {
        let (done, mut finished) = oneshot::channel();
        let begun = self.host(engine, seed, ids, done).and_then(|host| self.begin(seed, on(host)));
        if let Err(error) = begun {
            return Ran::not_begun(error);
        }
        let finished = match self.await_briefly(&mut finished) {
            Some(finished) => Ok(finished),
            None => finished.await,
        };
        match finished {
            Ok(finished) => self.judge(finished),
            Err(_) => Ran::failed(isolate_ended()),
        }
    }

    /// Starts it as a stream, whose events go where `feed` says.
    pub(crate) fn start_stream(
        &self,
        engine: &Engine,
        seed: &Seed,
        state: Pinned,
        feed: Feed,
    ) -> Result<oneshot::Receiver<Finished>, CallError> {
        let (done, finished) = oneshot::channel();
        let host = self.host(engine, seed, seed.ids(), done)?;
        // One that waits for its reader keeps nobody busy.
        self.begin(seed, RunHost { pinned: Some(state), feed: Some(feed), in_flight: None, ..host })?;
        Ok(finished)
    }

    /// The host of a run without a transaction.
    pub(crate) fn host(
        &self,
        engine: &Engine,
        seed: &Seed,
        ids: Ids,
        done: oneshot::Sender<Finished>,
    ) -> Result<RunHost, CallError> {
        let function = self.function()?;
        Ok(RunHost {
            engine: engine.clone(),
            release: self.release.clone(),
            caller: self.caller.clone(),
            guard: self.guard.clone(),
            hidden: Hidden::default(),
            function: function.name.clone(),
            call: seed.call,
            kind: function.kind,
            transaction: None,
            pinned: None,
            rows: None,
            feed: None,
            ids,
            used: Used::default(),
            fetching: Budget::new(self.release.limits().fetch_bytes),
            looked: Looked::default(),
            views: Views::default(),
            written: Vec::new(),
            measured: Vec::new(),
            attempts: Attempts::default(),
            waiting: Waiting::Since(Instant::now()),
            aborted: None,
            acted: false,
            failed: Arc::default(),
            in_flight: Some(self.release.pool().enter()),
            done,
        })
    }

    /// Hands a run to an isolate.
    fn begin(&self, seed: &Seed, host: RunHost) -> Result<(), CallError> {
        let request = CallRequest {
            function: self.index,
            arguments: self.arguments.to_string(),
            now_ms: seed.now_ms,
            seed: seed.script,
            caller: self.in_script.clone(),
        };
        self.queue(request, host).map_err(|QueueFull { retry_after, .. }| CallError::busy(retry_after))
    }

    /// Puts a run into its caller's line.
    fn queue(&self, request: CallRequest, host: RunHost) -> Result<(), QueueFull> {
        let (origin, kind, pool) = (host.engine.origin(), host.kind, self.release.pool());
        let share = origin.share(&self.caller);
        // Where all isolates for actions are held by some that wait for others, none of them would ever end.
        match (origin.place, kind) {
            (Place::Action, FunctionKind::Action) => pool.call_at_once(share, request, Box::new(host)),
            _ => pool.call(share, request, Box::new(host)),
        }
    }

    /// Looks for an end of the run that comes at once, as long as it is the only one: to sleep and be woken takes longer
    /// than most calls. With other runs under way the thread has better things to do.
    fn await_briefly(&self, finished: &mut oneshot::Receiver<Finished>) -> Option<Finished> {
        let started = Instant::now();
        let pool = self.release.pool();
        // With a worker there are three threads to the call: this one would take the core of another.
        while pool.isolation() == Isolation::Thread && pool.calls_in_flight() <= 1 && started.elapsed() < AWAKE {
            if let Ok(finished) = finished.try_recv() {
                return Some(finished);
            }
            std::hint::spin_loop();
        }
        None
    }

    /// What a run came to. The caller of its function reads no secrets.
    pub(crate) fn judge(&self, finished: Finished) -> Ran {
        let mut ran = self.judge_outcome(finished);
        match ran.result {
            Ok(_) => ran.measured.extend(self.release.counts().conversions(self.index)),
            Err(_) => ran.measured.clear(),
        }
        let result = ran.result.map_err(|error| {
            let hide = |text: &str| self.release.secrets().redact_cut(text);
            // Functions are named by what stood in brackets before them.
            let frame = |frame: Frame| Frame { function: frame.function.as_deref().map(hide), ..frame };
            CallError {
                message: hide(&error.message),
                app_code: error.app_code.as_deref().map(hide),
                stack: error.stack.into_iter().map(frame).collect(),
                ..error
            }
        });
        Ran { result, ..ran }
    }

    fn judge_outcome(&self, finished: Finished) -> Ran {
        let function = match self.function() {
            Ok(function) => function,
            Err(error) => return Ran::failed(error),
        };
        let Finished {
            outcome,
            transaction,
            rows,
            looked,
            views,
            written,
            measured,
            ids,
            aborted,
            acted,
            hidden,
            failed,
        } = finished;
        // An error too is one for those alone who agree on what the run looked at, and until what it read changes.
        let mut ran = Ran {
            transaction,
            rows,
            looked,
            views,
            written,
            measured,
            ids: Some(ids),
            ..Ran::failed(CallError::new(ErrorCode::Internal, "the run has no result"))
        };
        // Nothing that such a run came to is to be believed, nor committed.
        if let Some(Aborted { error, may_run_again, is_behind }) = aborted {
            let stack = if error.limit.is_some() { vec![declared_at(function)] } else { Vec::new() };
            let result = Err(CallError { stack, ..error });
            // Of what reads alone it says what was read.
            let transaction = ran.transaction.take().filter(|_| function.kind.is_read());
            return Ran { result, transaction, rows: None, may_run_again, is_behind, ..ran };
        }
        ran.result = match outcome {
            // Its events were checked one by one, or its rows are checked as they are read.
            Outcome::Value(_) if function.kind == FunctionKind::Stream || ran.rows.is_some() => Ok(Value::Null.into()),
            Outcome::Value(text) if self.maps => serde_json::from_str::<Value>(&text)
                .map(Given::from)
                .map_err(|error| CallError::new(ErrorCode::Internal, format!("what documents contribute: {error}"))),
            Outcome::Value(text) => check_result(&self.release, function, &text, &hidden),
            Outcome::Failed(ScriptError { app_code, message, host_call, stack }) => {
                let host_call = host_call.map(String::into_boxed_str);
                let stack = if stack.is_empty() { vec![declared_at(function)] } else { stack };
                // An action that passes on the error of a call passes on its code.
                if let Some((_, error)) = failed.filter(|(said, _)| *said == message) {
                    // What it asked wrongly is its own failure, not its caller's.
                    let code = match error.code {
                        ErrorCode::BadArguments | ErrorCode::NotFound => ErrorCode::FunctionFailed,
                        code => code,
                    };
                    return Ran { result: Err(CallError { code, message, host_call, stack, ..error }), ..ran };
                }
                Err(CallError { app_code, host_call, stack, ..CallError::new(ErrorCode::FunctionFailed, message) })
            }
            Outcome::Limit(limit) => {
                let error = CallError::limit(limit, self.release.limits().value(limit));
                Err(CallError { stack: vec![declared_at(function)], ..error })
            }
            Outcome::Aborted => Err(CallError::new(ErrorCode::Internal, "the call was given up for no known reason")),
            Outcome::Broken(message) => {
                tracing::error!(function = %function.name, "no isolate: {message}");
                let error = CallError::unavailable("the function could not be started; try again in a moment");
                return Ran::not_begun(error);
            }
            Outcome::Late { retry_after } => return Ran::not_begun(CallError::busy(retry_after)),
            Outcome::Lost if acted => {
                let message = "the action's worker process died in the middle; what the action had called and fetched has happened";
                return Ran::failed(CallError::unavailable(message));
            }
            Outcome::Lost => {
                let lost =
                    Ran::failed(CallError::unavailable("the function's worker process died; try again in a moment"));
                return Ran { may_run_again: true, ..lost };
            }
        };
        ran
    }
}

/// A result, or an event of a stream, if it has the declared type.
pub(crate) fn check_result(
    release: &Release,
    function: &Function,
    text: &str,
    hidden: &Hidden,
) -> Result<Given, CallError> {
    let value = serde_json::from_str(text).map_err(|error| wrong(function, "what cannot be read", error))?;
    check_value(release, function, value, hidden)
}

/// The same for what is not a text.
pub(crate) fn check_value(
    release: &Release,
    function: &Function,
    value: Value,
    hidden: &Hidden,
) -> Result<Given, CallError> {
    let definitions = &release.declarations().definitions;
    if hidden.is_empty() {
        return validate::result(function, definitions, value)
            .map(Given::from)
            .map_err(|violation| wrong(function, "the wrong shape", violation));
    }
    let is_hidden = |document: &str, id: &str, member: &str| hidden.has(document, id, member);
    match validate::result_without(function, definitions, value, &is_hidden) {
        Ok((value, mut hidden)) => {
            hidden.sort_unstable();
            Ok(Given { value, hidden: hidden.into() })
        }
        // It may be that one of these is missed elsewhere.
        Err(violation) => Err(unviewed(function, hidden, violation)),
    }
}

/// A function made nothing of the declared type of what its caller may view.
pub(crate) fn unviewed(function: &Function, hidden: &Hidden, why: impl std::fmt::Display) -> CallError {
    let message =
        format!("{} has no result for this caller, who may not view {}: {why}", function.name, hidden.names());
    CallError { stack: vec![declared_at(function)], ..CallError::new(ErrorCode::Forbidden, message) }
}

/// A function gave something else than it is declared to.
fn wrong(function: &Function, what: &str, why: impl std::fmt::Display) -> CallError {
    let gave = if function.kind == FunctionKind::Stream { "yielded" } else { "returned" };
    let message = format!("{} {gave} {what}: {why}", function.name);
    CallError { stack: vec![declared_at(function)], ..CallError::new(ErrorCode::FunctionFailed, message) }
}

/// A run whose host is gone without a word.
pub(crate) fn isolate_ended() -> CallError {
    CallError::new(ErrorCode::Internal, "the isolate of the call ended")
}

/// Where to look when no line of the function is to blame.
fn declared_at(function: &Function) -> Frame {
    Frame { function: Some(function.name.clone()), file: function.module.clone(), line: function.line, column: 1 }
}

impl Ran {
    fn failed(error: CallError) -> Self {
        Self { begun: true, ..Self::not_begun(error) }
    }

    /// There was no run.
    pub(crate) fn not_begun(error: CallError) -> Self {
        Self {
            result: Err(error),
            transaction: None,
            rows: None,
            looked: Looked::default(),
            views: Views::default(),
            written: Vec::new(),
            measured: Vec::new(),
            ids: None,
            may_run_again: false,
            begun: false,
            is_behind: false,
        }
    }
}
