//! Warm isolates of one app, each with a thread of its own, behind bounded queues.
//!
//! Reads and procedures share one set of threads; actions, which wait for calls that need those threads, have another.
//! Streams, which wait for whoever reads them, have an isolate each (`streams.rs`).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError, bounded};
use weir_schema::declarations::FunctionKind;

use crate::app::App;
use crate::awake::Awake;
use crate::isolate::{IsolateError, STACK_BYTES};
use crate::protocol::{CallRequest, Host};
use crate::streams::Streams;
use crate::warm::{Home, Spare};
use crate::watchdog::Watchdog;

/// Where isolates live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// On threads of this process: for those who trust their own code.
    Thread,
    /// In worker processes, which are locked down and can be killed.
    Process,
}

/// How many threads and how long the queues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolOptions {
    /// Where isolates live.
    pub isolation: Isolation,
    /// Isolates for queries, views and procedures.
    pub isolates: usize,
    /// Isolates for actions.
    pub action_isolates: usize,
    /// Streams that run at once, over all releases of an engine: each has an isolate.
    pub stream_isolates: usize,
    /// Calls waiting for an isolate, for each of the two.
    pub queue_max: usize,
}

impl Default for PoolOptions {
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(2, usize::from);
        Self {
            isolation: Isolation::Thread,
            isolates: cores.max(2),
            action_isolates: 4,
            stream_isolates: 32,
            queue_max: 10_000,
        }
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
    streams: Option<Streams>,
    kinds: Vec<FunctionKind>,
    in_flight: Arc<AtomicUsize>,
    isolation: Isolation,
}

/// One call under way. Ends with its value.
pub struct InFlight(Arc<AtomicUsize>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The queue is full: the host of the call comes back.
pub struct QueueFull(pub Box<dyn Host>);

impl Pool {
    /// Starts the threads. Returns once one isolate has loaded the app, so that an app which cannot load is found here.
    pub fn start(app: &Arc<App>, watchdog: &Watchdog, options: &PoolOptions) -> Result<Self, IsolateError> {
        crate::isolate::prepare_v8();
        let kinds: Vec<FunctionKind> = app.declarations.callables().map(|function| function.kind).collect();
        let in_flight = Arc::new(AtomicUsize::new(0));
        let (calls, jobs) = bounded(options.queue_max);
        let home = Home::new(app, watchdog, options.isolation, options.isolates, Spare::Kept)?;
        let (ready, first) = bounded(options.isolates);
        for _ in 0..options.isolates {
            let thread = Thread { home: home.clone(), jobs: jobs.clone(), in_flight: in_flight.clone() };
            thread.spawn(Some(ready.clone()))?;
        }
        first.recv().map_err(|_| IsolateError::Internal("no isolate started".into()))??;
        let actions = if kinds.contains(&FunctionKind::Action) {
            let (actions, jobs) = bounded(options.queue_max);
            let home = Home::new(app, watchdog, options.isolation, options.action_isolates, Spare::None)?;
            for _ in 0..options.action_isolates {
                let thread = Thread { home: home.clone(), jobs: jobs.clone(), in_flight: in_flight.clone() };
                thread.spawn(None)?;
            }
            Some(actions)
        } else {
            None
        };
        let has_streams = kinds.contains(&FunctionKind::Stream);
        let streams = has_streams.then(|| Streams::new(app, watchdog, options.isolation)).transpose()?;
        Ok(Self { calls, actions, streams, kinds, in_flight, isolation: options.isolation })
    }

    /// Where its isolates live.
    pub fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// Counts a call that is about to be made; to be given back before anybody learns of its end.
    pub fn enter(&self) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self.in_flight.clone())
    }

    /// Calls under way, those that wait included.
    pub fn calls_in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Hands a call to the next free isolate; its outcome goes to the host.
    pub fn call(&self, request: CallRequest, host: Box<dyn Host>) -> Result<(), QueueFull> {
        let kind = self.kinds.get(request.function);
        if let Some(streams) = self.streams.as_ref().filter(|_| kind == Some(&FunctionKind::Stream)) {
            return streams.call(request, host).map_err(QueueFull);
        }
        let is_action = kind == Some(&FunctionKind::Action);
        let queue = self.actions.as_ref().filter(|_| is_action).unwrap_or(&self.calls);
        queue.try_send(Job { request, host }).map_err(|error| match error {
            TrySendError::Full(job) | TrySendError::Disconnected(job) => QueueFull(job.host),
        })
    }
}

type Ready = Sender<Result<(), IsolateError>>;

/// What a thread of the pool works with.
struct Thread {
    home: Home,
    jobs: Receiver<Job>,
    in_flight: Arc<AtomicUsize>,
}

impl Thread {
    fn spawn(self, ready: Option<Ready>) -> Result<(), IsolateError> {
        thread::Builder::new()
            .name("weir-isolate".into())
            .stack_size(STACK_BYTES)
            .spawn(move || self.serve(ready))
            .map(drop)
            .map_err(|error| IsolateError::Internal(format!("no thread for an isolate: {error}")))
    }

    /// Answers jobs until the pool is dropped. With `ready` the isolate is made at once, else for the first job; a
    /// spoiled one is replaced before the next job is taken.
    fn serve(&self, ready: Option<Ready>) {
        let mut warm = self.home.enter();
        let mut awake = Awake::default();
        if let Some(ready) = ready {
            // Only the first report of a pool is read.
            let _ = ready.try_send(warm.prepare());
        }
        while let Some(Job { request, host }) = self.next_job(&mut awake) {
            warm.call(&request, host);
            // Where no new one can be made, the next job gets to know why.
            let _ = warm.prepare();
        }
    }

    /// Waits for a job; `None` when the pool is dropped. While the pool is all but idle it looks again for a moment
    /// before it sleeps.
    fn next_job(&self, awake: &mut Awake) -> Option<Job> {
        if self.in_flight.load(Ordering::Relaxed) <= 1 {
            let looked = awake.look(|| match self.jobs.try_recv() {
                Ok(job) => Some(Some(job)),
                Err(TryRecvError::Disconnected) => Some(None),
                Err(TryRecvError::Empty) => None,
            });
            if let Some(job) = looked {
                return job;
            }
        }
        self.jobs.recv().ok()
    }
}
