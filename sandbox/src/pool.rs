//! Warm isolates of one app, each on a thread of its own, behind bounded queues.
//!
//! Reads and procedures share one set of threads; actions, which wait for calls that need those threads, have another.

use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use weir_schema::declarations::FunctionKind;

use crate::app::App;
use crate::isolate::{Isolate, IsolateError};
use crate::protocol::{CallRequest, Host, Outcome};
use crate::watchdog::Watchdog;

/// Stack of an isolate's thread: V8 stops scripts at about 1 MiB, the rest is for the host's side of a call.
const STACK_BYTES: usize = 4 << 20;

/// How many threads and how long the queues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolOptions {
    /// Isolates for queries, views and procedures.
    pub isolates: usize,
    /// Isolates for actions.
    pub action_isolates: usize,
    /// Calls waiting for an isolate, for each of the two.
    pub queue_max: usize,
}

impl Default for PoolOptions {
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(2, usize::from);
        Self { isolates: cores.max(2), action_isolates: 4, queue_max: 10_000 }
    }
}

/// One call with what answers it.
struct Job {
    request: CallRequest,
    host: Box<dyn Host>,
}

/// The isolates of one app. Dropping it lets calls in progress end and ends the threads.
pub struct Pool {
    calls: Sender<Job>,
    actions: Option<Sender<Job>>,
    kinds: Vec<FunctionKind>,
}

/// The queue is full: the host of the call comes back.
pub struct QueueFull(pub Box<dyn Host>);

impl Pool {
    /// Starts the threads. Returns once one isolate has loaded the app, so that an app which cannot load is found here.
    pub fn start(app: &Arc<App>, watchdog: &Watchdog, options: &PoolOptions) -> Result<Self, IsolateError> {
        crate::isolate::prepare_v8();
        let kinds: Vec<FunctionKind> = app.declarations.functions.values().map(|function| function.kind).collect();
        let (calls, jobs) = bounded(options.queue_max);
        let (ready, first) = bounded(options.isolates);
        for _ in 0..options.isolates {
            spawn(app, watchdog, jobs.clone(), Some(ready.clone()))?;
        }
        first.recv().map_err(|_| IsolateError::Internal("no isolate started".into()))??;
        let actions = if kinds.contains(&FunctionKind::Action) {
            let (actions, jobs) = bounded(options.queue_max);
            for _ in 0..options.action_isolates {
                spawn(app, watchdog, jobs.clone(), None)?;
            }
            Some(actions)
        } else {
            None
        };
        Ok(Self { calls, actions, kinds })
    }

    /// Hands a call to the next free isolate; its outcome goes to the host.
    pub fn call(&self, request: CallRequest, host: Box<dyn Host>) -> Result<(), QueueFull> {
        let is_action = self.kinds.get(request.function) == Some(&FunctionKind::Action);
        let queue = self.actions.as_ref().filter(|_| is_action).unwrap_or(&self.calls);
        queue.try_send(Job { request, host }).map_err(|error| match error {
            TrySendError::Full(job) | TrySendError::Disconnected(job) => QueueFull(job.host),
        })
    }
}

type Ready = Sender<Result<(), IsolateError>>;

fn spawn(app: &Arc<App>, watchdog: &Watchdog, jobs: Receiver<Job>, ready: Option<Ready>) -> Result<(), IsolateError> {
    let (app, watchdog) = (app.clone(), watchdog.clone());
    thread::Builder::new()
        .name("weir-isolate".into())
        .stack_size(STACK_BYTES)
        .spawn(move || serve(&app, &watchdog, &jobs, ready))
        .map(drop)
        .map_err(|error| IsolateError::Internal(format!("no thread for an isolate: {error}")))
}

/// Answers jobs until the pool is dropped. With `ready` the isolate is made at once, else for the first job; a spoiled
/// one is replaced before the next job is taken.
fn serve(app: &Arc<App>, watchdog: &Watchdog, jobs: &Receiver<Job>, ready: Option<Ready>) {
    let mut warm = ready.and_then(|ready| {
        let (isolate, report) = match Isolate::new(app, watchdog) {
            Ok(isolate) => (Some(isolate), Ok(())),
            Err(error) => (None, Err(error)),
        };
        // Only the first report of a pool is read.
        let _ = ready.try_send(report);
        isolate
    });
    while let Ok(Job { request, host }) = jobs.recv() {
        match warm.take().map_or_else(|| Isolate::new(app, watchdog), Ok) {
            Ok(mut isolate) => {
                isolate.call(&request, host);
                warm = if isolate.is_spoiled() {
                    // V8 wants the isolates of a thread to end in the reverse order of their beginning.
                    drop(isolate);
                    // Where no new one can be made, the next job gets to know why.
                    Isolate::new(app, watchdog).ok()
                } else {
                    Some(isolate)
                };
            }
            Err(error) => host.finish(Outcome::Broken(error.to_string())),
        }
    }
}
