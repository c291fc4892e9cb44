//! Warm isolates of one app, each with a thread of its own, behind fair and bounded queues.
//!
//! Reads and procedures share one set of threads; actions, which wait for calls that need those threads, have another.
//! Streams, which wait for whoever reads them, have an isolate each (`streams.rs`).
//! No caller can hold all of either, and everybody's turn comes: `queue.rs` has the rules.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use weir_schema::declarations::FunctionKind;

use crate::app::App;
use crate::crew::{Crew, Member, Plan};
use crate::isolate::{IsolateError, STACK_BYTES};
use crate::protocol::{CallRequest, Host, Outcome};
pub use crate::queue::Share;
use crate::queue::{Bounds, Full};
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

/// So many isolates of each kind there can be for each that one caller can have.
const SEATS_PER_ISOLATE: usize = 2;

/// When it may be worth to start a stream again for which there was no thread.
const STREAM_RETRY: Duration = Duration::from_secs(1);

/// How many threads and how long the queues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolOptions {
    /// Where isolates live.
    pub isolation: Isolation,
    /// Isolates for queries, views and procedures that one caller can have, and that are warm from the start. As many again
    /// are made when these are taken by slow calls.
    pub isolates: usize,
    /// Isolates for actions that one caller can have. They, and as many again, are made when they are needed.
    pub action_isolates: usize,
    /// Streams that run at once, over all releases of an engine: each has an isolate.
    pub stream_isolates: usize,
    /// Calls waiting for an isolate, for each of the two.
    pub queue_max: usize,
    /// The same of one caller.
    pub queue_share_max: usize,
    /// How long a call may wait for an isolate.
    pub wait_max: Duration,
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
            queue_share_max: 1_000,
            wait_max: Duration::from_secs(30),
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
    calls: Crew<Job>,
    actions: Option<Crew<Job>>,
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

/// The queue is full.
pub struct QueueFull {
    /// The host of the call comes back.
    pub host: Box<dyn Host>,
    /// When it may be worth another try.
    pub retry_after: Duration,
}

impl From<Full<Job>> for QueueFull {
    fn from(Full { call, retry_after }: Full<Job>) -> Self {
        Self { host: call.host, retry_after }
    }
}

impl Pool {
    /// Starts the threads. Returns once one isolate has loaded the app, so that an app which cannot load is found here.
    pub fn start(app: &Arc<App>, watchdog: &Watchdog, options: &PoolOptions) -> Result<Self, IsolateError> {
        crate::isolate::prepare_v8();
        let kinds: Vec<FunctionKind> = app.declarations.callables().map(|function| function.kind).collect();
        let in_flight = Arc::new(AtomicUsize::new(0));
        let home = Home::new(app, watchdog, options.isolation, options.isolates, Spare::Kept)?;
        let (ready, first) = sync_channel(options.isolates);
        let bounds = Bounds {
            seats: options.isolates * SEATS_PER_ISOLATE,
            quick: options.isolates,
            waiting_max: options.queue_max,
            waiting_share_max: options.queue_share_max,
            wait_max: options.wait_max,
        };
        let calls = crew(bounds, &in_flight, home, Some(ready))?;
        for _ in 0..options.isolates {
            calls.start_one().map_err(no_thread)?;
        }
        first.recv().map_err(|_| IsolateError::Internal("no isolate started".into()))??;
        let actions = if kinds.contains(&FunctionKind::Action) {
            let home = Home::new(app, watchdog, options.isolation, options.action_isolates, Spare::None)?;
            let seats = options.action_isolates * SEATS_PER_ISOLATE;
            // Actions wait most of their time: the cores do not bound how many run at once.
            Some(crew(Bounds { seats, quick: seats, ..bounds }, &in_flight, home, None)?)
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

    /// Hands a call to an isolate when its share's turn has come, a stream at once; its outcome goes to the host.
    pub fn call(&self, share: Share, request: CallRequest, host: Box<dyn Host>) -> Result<(), QueueFull> {
        let is_stream = self.kinds.get(request.function) == Some(&FunctionKind::Stream);
        if let Some(streams) = self.streams.as_ref().filter(|_| is_stream) {
            return streams.call(request, host).map_err(|host| QueueFull { host, retry_after: STREAM_RETRY });
        }
        Ok(self.crew_for(&request).push(share, Job { request, host })?)
    }

    /// The same for a call that must not wait, because who makes it holds a seat meanwhile: it has a seat at once, if one is
    /// free.
    pub fn call_at_once(&self, share: Share, request: CallRequest, host: Box<dyn Host>) -> Result<(), QueueFull> {
        Ok(self.crew_for(&request).push_certain(share, Job { request, host })?)
    }

    fn crew_for(&self, request: &CallRequest) -> &Crew<Job> {
        let is_action = self.kinds.get(request.function) == Some(&FunctionKind::Action);
        self.actions.as_ref().filter(|_| is_action).unwrap_or(&self.calls)
    }
}

type Ready = SyncSender<Result<(), IsolateError>>;

fn crew(
    bounds: Bounds,
    in_flight: &Arc<AtomicUsize>,
    home: Home,
    ready: Option<Ready>,
) -> Result<Crew<Job>, IsolateError> {
    let plan = Plan { name: "weir-isolate", stack_bytes: STACK_BYTES, kept: bounds.seats / SEATS_PER_ISOLATE, bounds };
    let work = move |member| serve(&home, member, ready.as_ref());
    let refuse = |job: Job, retry_after| job.host.finish(Outcome::Late { retry_after });
    Crew::new(plan, in_flight, |job: &Job| job.host.is_awaited(), refuse, work).map_err(no_thread)
}

fn no_thread(error: std::io::Error) -> IsolateError {
    IsolateError::Internal(format!("no thread for an isolate: {error}"))
}

/// Answers jobs until the pool is dropped or the thread is no longer needed. A spoiled isolate is replaced before the next
/// job is taken.
fn serve(home: &Home, mut member: Member<Job>, ready: Option<&Ready>) {
    let mut warm = home.enter();
    let prepared = warm.prepare();
    if let Some(ready) = ready {
        // Only the first report of a pool is read.
        let _ = ready.try_send(prepared);
    }
    while let Some(Job { request, host }) = member.next() {
        warm.call(&request, host);
        // Where no new one can be made, the next job gets to know why.
        let _ = warm.prepare();
    }
}
