//! Keeps workers for one app: as many as its isolates need, and a spare that has loaded the app already.
//!
//! Whoever needs an isolate takes a [`Seat`] in a worker. A worker that died leaves its seats empty; those who sat there
//! take new ones, from the spare, and another spare is started. How fast workers are started is bounded, so that a script
//! which kills one with each call cannot keep the machine busy with starting others.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Once, Weak};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use weir_schema::limits::CallLimits;

use super::channel::Channel;
use super::frame::{self, FromIsolate, Setup};
use super::worker::{START_PATIENCE, Worker};
use crate::app::App;
use crate::isolate::{IsolateError, while_loading};
use crate::lockdown;
use crate::port::request_bytes_max;

/// How many workers one app may start at once.
const STARTS_AT_ONCE: f64 = 16.0;
/// How many more it may start per second.
const STARTS_PER_SECOND: f64 = 4.0;
/// How many seats may turn out to be vacant before whoever takes one gives up.
const VACANT_MAX: usize = 8;
/// How long it waits after a worker that could not be started.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// What an isolate needs beside what its limits name, in bytes: memory that V8 has freed and not given back yet.
const ISOLATE_BYTES: u64 = 64 << 20;

/// A place for one isolate in a worker.
pub struct Seat {
    /// The process.
    pub worker: Arc<Worker>,
    /// The isolate's number in it.
    pub number: u32,
    /// To and from the isolate.
    pub channel: Channel,
}

impl Seat {
    /// Whether nobody waits there any more: an isolate that is ready is silent.
    fn is_vacant(&mut self) -> bool {
        self.worker.is_dead() || !matches!(self.channel.try_receive(), Ok(None))
    }
}

/// Its workers end with it and with the seats that it has given out.
pub struct Supervisor {
    shared: Arc<Shared>,
}

struct Shared {
    program: PathBuf,
    setup: Setup,
    limits: CallLimits,
    isolates: usize,
    bytes_each: u64,
    frame_bytes_max: usize,
    ready_within: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    free: VecDeque<Seat>,
    /// Seats that are kept free.
    spare: usize,
    /// Who waits for one.
    waiting: usize,
    /// Why the last worker could not be started; gone with the next that could.
    failed: Option<IsolateError>,
    starts: Allowance,
    closed: bool,
    /// Those that may be alive.
    workers: Vec<Weak<Worker>>,
}

/// So many at once, so many per second.
struct Allowance {
    left: f64,
    counted: Instant,
}

impl Allowance {
    /// Takes one, or says how long it is until there is one.
    fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let gained = now.duration_since(self.counted).as_secs_f64() * STARTS_PER_SECOND;
        self.left = (self.left + gained).min(STARTS_AT_ONCE);
        self.counted = now;
        if self.left >= 1.0 {
            self.left -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - self.left) / STARTS_PER_SECOND))
    }
}

impl Supervisor {
    /// Starts supervising. `program` is what runs as a worker; `seats` is how many isolates each has, and `spare` how many
    /// are kept free.
    pub fn start(program: PathBuf, app: &App, seats: usize, spare: usize) -> Result<Self, IsolateError> {
        let limits = &app.manifest.limits;
        let shared = Arc::new(Shared {
            program,
            setup: Setup { app: serde_json::to_string(app).map_err(internal)? },
            limits: limits.clone(),
            isolates: seats,
            bytes_each: bytes_each(limits),
            frame_bytes_max: frame_bytes_max(limits),
            ready_within: START_PATIENCE + Duration::from_millis(while_loading(limits).wall_ms),
            state: Mutex::new(State {
                free: VecDeque::new(),
                spare,
                waiting: 0,
                failed: None,
                starts: Allowance { left: STARTS_AT_ONCE, counted: Instant::now() },
                closed: false,
                workers: Vec::new(),
            }),
            changed: Condvar::new(),
        });
        let supervised = shared.clone();
        let named = thread::Builder::new().name("weir-supervisor".into());
        // What it says of workers is said of whoever has them.
        let span = tracing::Span::current();
        named.spawn(move || span.in_scope(|| supervised.supervise())).map_err(internal)?;
        Ok(Self { shared })
    }

    /// Starts no more workers, and kills those that there are with whatever is under way in them.
    pub fn end(&self) {
        let mut state = self.shared.state.lock();
        state.closed = true;
        let workers = std::mem::take(&mut state.workers);
        drop(state);
        self.shared.changed.notify_all();
        workers.iter().filter_map(Weak::upgrade).for_each(|worker| worker.kill());
    }

    /// A seat with an isolate that is ready. Waits for one; fails when no worker can be started.
    pub fn take(&self) -> Result<Seat, IsolateError> {
        let mut state = self.shared.state.lock();
        state.waiting += 1;
        // What failed before is tried again for this one.
        state.failed = None;
        self.shared.changed.notify_all();
        let mut vacant = 0;
        let taken = loop {
            if state.closed {
                break Err(ended());
            }
            match (state.free.pop_front(), &state.failed) {
                (Some(mut seat), _) => {
                    if !seat.is_vacant() {
                        break Ok(seat);
                    }
                    seat.worker.bury();
                    self.shared.changed.notify_all();
                    vacant += 1;
                    if vacant == VACANT_MAX {
                        break Err(internal("worker processes end, or speak unasked, as soon as they are ready"));
                    }
                }
                (None, Some(error)) => break Err(error.clone()),
                (None, None) => self.shared.changed.wait(&mut state),
            }
        };
        state.waiting -= 1;
        self.shared.changed.notify_all();
        taken
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.shared.state.lock().closed = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    /// Starts workers as they are wanted, until closed.
    fn supervise(&self) {
        let mut state = self.state.lock();
        while !state.closed {
            if state.free.len() >= state.waiting + state.spare {
                self.changed.wait(&mut state);
                continue;
            }
            if let Err(wait) = state.starts.take(Instant::now()) {
                self.changed.wait_for(&mut state, wait);
                continue;
            }
            let started = parking_lot::MutexGuard::unlocked(&mut state, || self.start_worker());
            match started {
                Ok(seats) => {
                    state.failed = None;
                    state.free.extend(seats);
                    self.changed.notify_all();
                }
                Err(_) if state.closed => {}
                Err(error) => {
                    tracing::warn!("a worker process cannot be started, to be tried again: {error}");
                    state.failed = Some(error);
                    self.changed.notify_all();
                    self.changed.wait_for(&mut state, AFTER_FAILURE);
                }
            }
        }
        state.free.clear();
    }

    /// Starts a worker and waits until all of its isolates are ready.
    fn start_worker(&self) -> Result<Vec<Seat>, IsolateError> {
        let deadline = Instant::now() + self.ready_within;
        let mut channels = Vec::new();
        let mut far_ends: Vec<OwnedFd> = Vec::new();
        for _ in 0..self.isolates {
            let (channel, far_end) = Channel::pair(self.frame_bytes_max).map_err(internal)?;
            channels.push(channel);
            far_ends.push(far_end);
        }
        let worker = Arc::new(Worker::start(&self.program, &self.setup, self.bytes_each, far_ends).map_err(internal)?);
        self.note(&worker)?;
        let mut seats = Vec::with_capacity(channels.len());
        for (number, mut channel) in (0..).zip(channels) {
            await_ready(&mut channel, deadline).map_err(|error| self.why_not_ready(&worker, error))?;
            seats.push(Seat { worker: worker.clone(), number, channel });
        }
        say_once(worker.lock_down());
        Ok(seats)
    }

    /// Takes note of a worker that has been started, if there are to be any.
    fn note(&self, worker: &Arc<Worker>) -> Result<(), IsolateError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(ended());
        }
        state.workers.retain(|worker| worker.strong_count() > 0);
        state.workers.push(Arc::downgrade(worker));
        Ok(())
    }

    /// A worker that says why the app does not load is well. One that died of it may have told of which limit before.
    fn why_not_ready(&self, worker: &Worker, error: IsolateError) -> IsolateError {
        if matches!(error, IsolateError::App(_)) {
            return error;
        }
        worker.bury();
        worker.any_culprit().map_or(error, |limit| IsolateError::loading(limit, &while_loading(&self.limits)))
    }
}

/// Waits until an isolate says that it is ready.
pub fn await_ready(channel: &mut Channel, deadline: Instant) -> Result<(), IsolateError> {
    let bytes =
        channel.receive(Some(deadline)).map_err(|error| internal(format!("a worker did not start: {error}")))?;
    match frame::read(&bytes).map_err(internal)? {
        FromIsolate::Ready => Ok(()),
        FromIsolate::Unmade(error) => Err(error),
        _ => Err(internal("a worker answers what it was not asked")),
    }
}

/// The longest frame that a worker may send: a request, or a result, with what is around it.
fn frame_bytes_max(limits: &CallLimits) -> usize {
    limits.result_bytes.max(request_bytes_max(limits)) + (64 << 10)
}

/// The private memory that an isolate may need. What V8 takes at once beyond it ends the process.
fn bytes_each(limits: &CallLimits) -> u64 {
    let wide = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
    // A text is in the heap's own form, in that of its channel, and on its way between the two.
    let texts = wide(limits.result_bytes.max(limits.arguments_bytes)).saturating_mul(4);
    // V8 copies a part of the heap while it collects garbage.
    let heap = wide(limits.heap_bytes).saturating_mul(2);
    heap.saturating_add(wide(limits.array_buffer_bytes)).saturating_add(texts).saturating_add(ISOLATE_BYTES)
}

/// Says what of the lock-down is on, for the first worker of this process: the others are no different.
fn say_once(report: Option<lockdown::Report>) {
    static SAID: Once = Once::new();
    SAID.call_once(|| match report {
        Some(report) => match report.without() {
            None => tracing::info!("workers are locked down: {report}"),
            Some(off) => {
                tracing::warn!("this kernel does not lock workers down whole, they run without {off}; see weir doctor");
            }
        },
        None => tracing::warn!("workers do not say how they are locked down"),
    });
}

fn ended() -> IsolateError {
    internal("all calls were ended")
}

fn internal(error: impl std::fmt::Display) -> IsolateError {
    IsolateError::Internal(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_allowed_at_once_and_then_at_a_rate() {
        let start = Instant::now();
        let mut allowance = Allowance { left: STARTS_AT_ONCE, counted: start };
        let mut at_once = 0;
        while allowance.take(start).is_ok() {
            at_once += 1;
        }
        assert_eq!(f64::from(at_once), STARTS_AT_ONCE);
        let mut in_ten_seconds = 0;
        for tick in 1..=1000 {
            in_ten_seconds += u32::from(allowance.take(start + Duration::from_millis(10 * tick)).is_ok());
        }
        let expected = STARTS_PER_SECOND * 10.0;
        assert!((f64::from(in_ten_seconds) - expected).abs() <= 1.0, "{in_ten_seconds}");
        let wait = allowance.take(start + Duration::from_secs(10));
        assert!(wait.is_err_and(|wait| wait <= Duration::from_secs_f64(1.0 / STARTS_PER_SECOND)));
    }
}
