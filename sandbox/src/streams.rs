//! Isolates for streams: each that runs has one to itself, with a thread, made when it is needed.
//!
//! A stream waits for whoever reads it, for as long as that takes. So it has no place among the isolates that answer calls,
//! and two never share one. In worker processes each has a worker of its own: the end of one ends no other.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use parking_lot::Mutex;

use crate::app::App;
use crate::isolate::{IsolateError, STACK_BYTES};
use crate::pool::Isolation;
use crate::protocol::{CallRequest, Host};
use crate::warm::{Home, Spare, Warm};
use crate::watchdog::Watchdog;

/// Isolates that are kept for the next streams.
const IDLE_MAX: usize = 4;

/// The isolates of one app's streams. Dropping it lets streams in progress go on to their ends.
///
/// How many run at once is for those who start them to bound: a host holds its place until it is told of the end.
pub struct Streams {
    shared: Arc<Shared>,
}

struct Shared {
    home: Home,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// To the threads that wait for a stream.
    idle: Vec<SyncSender<Job>>,
    closed: bool,
}

struct Job {
    request: CallRequest,
    host: Box<dyn Host>,
}

impl Streams {
    /// A place for streams, with no isolate yet.
    pub fn new(app: &Arc<App>, watchdog: &Watchdog, isolation: Isolation) -> Result<Self, IsolateError> {
        let home = Home::new(app, watchdog, isolation, 1, Spare::None)?;
        Ok(Self { shared: Arc::new(Shared { home, state: Mutex::default() }) })
    }

    /// Runs a stream on an isolate of its own; its events and its end go to the host. The host comes back where there is
    /// no thread for it.
    pub fn call(&self, request: CallRequest, host: Box<dyn Host>) -> Result<(), Box<dyn Host>> {
        let mut job = Job { request, host };
        loop {
            let Some(idle) = self.shared.state.lock().idle.pop() else { break };
            match idle.send(job) {
                Ok(()) => return Ok(()),
                Err(unsent) => job = unsent.0,
            }
        }
        // Handed over once the thread is there: a closure that does not start is lost, and with it the host.
        let (hand, handed) = sync_channel(1);
        let shared = self.shared.clone();
        let named = thread::Builder::new().name("weir-stream".into()).stack_size(STACK_BYTES);
        let span = tracing::Span::current();
        let serve = move || span.in_scope(|| handed.recv().map(|job| shared.serve(job)).unwrap_or_default());
        if let Err(error) = named.spawn(serve) {
            tracing::error!("no thread for a stream: {error}");
            return Err(job.host);
        }
        hand.send(job).map_err(|unsent| unsent.0.host)
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.closed = true;
        state.idle.clear();
    }
}

impl Shared {
    fn serve(&self, first: Job) {
        let mut warm = self.home.enter();
        let mut next = Some(first);
        while let Some(Job { request, host }) = next {
            warm.call(&request, host);
            next = self.rest(&mut warm);
        }
    }

    /// Waits for another stream, if there is to be an isolate that waits.
    fn rest(&self, warm: &mut Warm) -> Option<Job> {
        let (give, given) = sync_channel(1);
        {
            let mut state = self.state.lock();
            if state.closed || state.idle.len() >= IDLE_MAX {
                return None;
            }
            state.idle.push(give);
        }
        // Where no new one can be made, the next stream gets to know why.
        let _ = warm.prepare();
        given.recv().ok()
    }
}
