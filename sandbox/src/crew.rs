//! Threads that take calls from a queue: as many as are needed, up to its seats.
//!
//! The last to fall asleep is the first to be woken, so that warm code stays warm and those who are not needed stay asleep,
//! and end after a while. No call waits while a seat is free for it: whoever puts one in wakes or starts somebody, who looks
//! again under the lock before it sleeps. A pacer lets in those who wait for others to turn out to be slow.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::awake::Awake;
use crate::queue::{Bounds, Full, Next, Queue, SLOW, Share, Turn};

/// How long a thread sleeps that is not one of the first before it ends.
const SPARE_IDLE: Duration = Duration::from_secs(60);

/// Threads and the queue before them. Dropping it lets calls in progress end and ends the threads.
pub struct Crew<T: Send + 'static> {
    shared: Arc<Shared<T>>,
}

struct Shared<T: Send + 'static> {
    state: Mutex<State<T>>,
    /// Calls in the queue, to be read without the lock.
    waiting: AtomicUsize,
    /// Calls under way, wherever they are: while there are others, nobody stays awake for the next.
    in_flight: Arc<AtomicUsize>,
    pacer: Condvar,
    name: &'static str,
    stack_bytes: usize,
    kept: usize,
    /// Tells whoever waits for a call that it is not made, and when it may be worth another try.
    refuse: fn(T, Duration),
    work: Box<dyn Fn(Member<T>) + Send + Sync>,
    /// Under what the log has what the threads say.
    span: tracing::Span,
}

struct State<T> {
    queue: Queue<T>,
    seats: usize,
    /// Those who sleep, each with what wakes it; the last first.
    asleep: Vec<Arc<Condvar>>,
    threads: usize,
    pacer_sleeps: bool,
    closed: bool,
}

/// Whom a call needs.
enum Help {
    Nobody,
    Wake(Arc<Condvar>),
    Start,
}

/// What a crew consists of.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The name of its threads.
    pub name: &'static str,
    /// Their stacks.
    pub stack_bytes: usize,
    /// How many are kept once they have been started.
    pub kept: usize,
    /// Of the queue.
    pub bounds: Bounds,
}

impl<T: Send + 'static> Crew<T> {
    /// A crew without threads; each that is started does `work` with its membership.
    pub fn new(
        plan: Plan,
        in_flight: &Arc<AtomicUsize>,
        is_awaited: fn(&T) -> bool,
        refuse: fn(T, Duration),
        work: impl Fn(Member<T>) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let Plan { name, stack_bytes, kept, bounds } = plan;
        let state = State {
            queue: Queue::new(bounds, is_awaited),
            seats: bounds.seats,
            asleep: Vec::with_capacity(bounds.seats),
            threads: 0,
            pacer_sleeps: false,
            closed: false,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            waiting: AtomicUsize::new(0),
            in_flight: in_flight.clone(),
            pacer: Condvar::new(),
            name,
            stack_bytes,
            kept,
            refuse,
            work: Box::new(work),
            span: tracing::Span::current(),
        });
        if bounds.quick < bounds.seats {
            let paced = shared.clone();
            thread::Builder::new().name("weir-pacer".into()).spawn(move || paced.pace())?;
        }
        Ok(Self { shared })
    }

    /// Starts a thread before there is a call for it.
    pub fn start_one(&self) -> std::io::Result<()> {
        self.shared.state.lock().threads += 1;
        self.shared.start()
    }

    /// Puts a call into its share's line.
    pub fn push(&self, share: Share, call: T) -> Result<(), Full<T>> {
        self.push_with(|queue, now| match queue.push(share, call, now) {
            Ok(()) => (Ok(()), Vec::new()),
            Err(full) => {
                let unawaited = queue.sweep(now);
                // What was swept may have made room.
                (if unawaited.is_empty() { Err(full) } else { queue.push(share, full.call, now) }, unawaited)
            }
        })
    }

    /// Puts a call in only if it has a seat at once.
    pub fn push_certain(&self, share: Share, call: T) -> Result<(), Full<T>> {
        self.push_with(|queue, now| (queue.push_certain(share, call, now), Vec::new()))
    }

    fn push_with(
        &self,
        push: impl FnOnce(&mut Queue<T>, Instant) -> (Result<(), Full<T>>, Vec<T>),
    ) -> Result<(), Full<T>> {
        let now = Instant::now();
        let mut state = self.shared.state.lock();
        let (pushed, unawaited) = push(&mut state.queue, now);
        let help = self.shared.help(&mut state, now);
        drop(state);
        self.shared.give(help);
        // Not under the lock: what a call holds may be the last of something large.
        drop(unawaited);
        pushed
    }
}

impl<T: Send + 'static> Drop for Crew<T> {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.closed = true;
        for sleeper in state.asleep.drain(..) {
            sleeper.notify_one();
        }
        self.shared.pacer.notify_all();
    }
}

/// A thread's membership in a crew.
pub struct Member<T: Send + 'static> {
    shared: Arc<Shared<T>>,
    wakes: Arc<Condvar>,
    awake: Awake,
    turn: Option<Turn>,
    /// Whether it is no longer counted.
    has_left: bool,
}

impl<T: Send + 'static> Member<T> {
    /// Gives back the seat of the call before and waits for the next; `None`: there is nothing more to do.
    pub fn next(&mut self) -> Option<T> {
        let mut ended = self.turn.take();
        if ended.is_none() || self.shared.in_flight.load(Ordering::Relaxed) > 1 {
            return self.take_or_sleep(ended);
        }
        if let Some(call) = self.take(&mut ended) {
            return Some(call);
        }
        // All but idle: it looks again for a moment before it sleeps.
        let mut awake = self.awake;
        let looked = awake.look(|| match self.shared.waiting.load(Ordering::Relaxed) {
            0 => None,
            _ => self.take(&mut None),
        });
        self.awake = awake;
        match looked {
            Some(call) => Some(call),
            None => self.take_or_sleep(None),
        }
    }

    fn take(&mut self, ended: &mut Option<Turn>) -> Option<T> {
        let shared = self.shared.clone();
        let mut state = shared.state.lock();
        self.take_locked(&mut state, ended)
    }

    /// Takes the next call, if there is one for it. The lock is given up where calls are dropped or others woken.
    fn take_locked(&mut self, state: &mut MutexGuard<'_, State<T>>, ended: &mut Option<Turn>) -> Option<T> {
        let now = Instant::now();
        if let Some(turn) = ended.take() {
            state.queue.end(turn, now);
        }
        let Next { taken, unawaited, late } = state.queue.next(now);
        let help = self.shared.help(state, now);
        if !unawaited.is_empty() || !late.is_empty() || !matches!(help, Help::Nobody) {
            MutexGuard::unlocked(state, || {
                drop(unawaited);
                late.into_iter().for_each(|Full { call, retry_after }| (self.shared.refuse)(call, retry_after));
                self.shared.give(help);
            });
        }
        let (call, turn) = taken?;
        self.turn = Some(turn);
        Some(call)
    }

    fn take_or_sleep(&mut self, mut ended: Option<Turn>) -> Option<T> {
        let shared = self.shared.clone();
        let mut state = shared.state.lock();
        loop {
            if let Some(call) = self.take_locked(&mut state, &mut ended) {
                return Some(call);
            }
            if state.closed {
                self.leave(&mut state);
                return None;
            }
            // While the lock was given up, another call may have come and found nobody asleep.
            if state.queue.is_due(Instant::now()) {
                continue;
            }
            state.asleep.push(self.wakes.clone());
            let late = shared.wait(&mut state, &self.wakes);
            if late && state.threads > shared.kept {
                self.leave(&mut state);
                return None;
            }
        }
    }

    /// Under the lock that it has looked under: nobody may count on it any more.
    fn leave(&mut self, state: &mut State<T>) {
        state.threads -= 1;
        self.has_left = true;
    }
}

impl<T: Send + 'static> Drop for Member<T> {
    /// A thread that ends in the middle of a call leaves its seat and its place to another.
    fn drop(&mut self) {
        if self.has_left {
            return;
        }
        let shared = self.shared.clone();
        let mut state = shared.state.lock();
        self.leave(&mut state);
        let now = Instant::now();
        if let Some(turn) = self.turn.take() {
            state.queue.end(turn, now);
        }
        let help = shared.help(&mut state, now);
        drop(state);
        shared.give(help);
    }
}

impl<T: Send + 'static> Shared<T> {
    /// Waits to be woken, which takes it off the list of those who sleep. Whether it has slept for long instead, and taken
    /// itself off.
    fn wait(&self, state: &mut MutexGuard<'_, State<T>>, wakes: &Arc<Condvar>) -> bool {
        let deadline = Instant::now() + SPARE_IDLE;
        let place = |state: &State<T>| state.asleep.iter().position(|sleeper| Arc::ptr_eq(sleeper, wakes));
        while let Some(slept) = place(state) {
            if state.threads <= self.kept {
                wakes.wait(state);
            } else if wakes.wait_until(state, deadline).timed_out() && place(state) == Some(slept) {
                state.asleep.remove(slept);
                return true;
            }
        }
        false
    }

    /// Says whom the calls that could be taken need. To be asked after each change of the queue.
    fn help(&self, state: &mut State<T>, now: Instant) -> Help {
        self.waiting.store(state.queue.waiting(), Ordering::Relaxed);
        if state.queue.waiting() == 0 {
            return Help::Nobody;
        }
        if !state.queue.is_due(now) {
            if state.pacer_sleeps && state.queue.is_paced(now) {
                state.pacer_sleeps = false;
                self.pacer.notify_one();
            }
            return Help::Nobody;
        }
        if let Some(sleeper) = state.asleep.pop() {
            return Help::Wake(sleeper);
        }
        // Whoever is neither asleep nor holds a seat is about to look.
        if state.threads == state.queue.held() && state.threads < state.seats {
            state.threads += 1;
            return Help::Start;
        }
        Help::Nobody
    }

    fn give(self: &Arc<Self>, help: Help) {
        match help {
            Help::Nobody => {}
            Help::Wake(sleeper) => {
                sleeper.notify_one();
            }
            Help::Start => {
                if let Err(error) = self.start() {
                    tracing::warn!("a call waits for another to end: no thread for an isolate: {error}");
                }
            }
        }
    }

    /// Starts a thread that has been counted.
    fn start(self: &Arc<Self>) -> std::io::Result<()> {
        let shared = self.clone();
        let work = move || {
            let (wakes, awake) = (Arc::default(), Awake::default());
            let member = Member { shared: shared.clone(), wakes, awake, turn: None, has_left: false };
            shared.span.in_scope(|| (shared.work)(member));
        };
        let started = thread::Builder::new().name(self.name.into()).stack_size(self.stack_bytes).spawn(work);
        if started.is_err() {
            self.state.lock().threads -= 1;
        }
        started.map(drop)
    }

    /// As long as calls wait for nothing but their pace, looks again and again whether those that run are slow.
    fn pace(self: &Arc<Self>) {
        let mut state = self.state.lock();
        while !state.closed {
            if !state.queue.is_paced(Instant::now()) {
                state.pacer_sleeps = true;
                self.pacer.wait(&mut state);
                continue;
            }
            state.pacer_sleeps = false;
            self.pacer.wait_for(&mut state, SLOW);
            let help = self.help(&mut state, Instant::now());
            MutexGuard::unlocked(&mut state, || self.give(help));
        }
    }
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "tests")]
mod tests;
