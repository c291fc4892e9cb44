//! Stops calls that run past their limits on time: one thread for all isolates of the process.
//!
//! Two clocks run for each call, the wall's and the CPU clock of the isolate's thread. Firing and disarming happen under one
//! lock, so that a call which has just ended is never stopped in its successor. A script that goes on computing for
//! [`PATIENCE`] after it was told to stop ignores it: some built-ins never look. Then there is nothing left but to end the
//! process, which is for whoever started the watchdog to decide.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use deno_core::v8;
use parking_lot::{Condvar, Mutex};
use weir_schema::limits::{CallLimits, Limit};

use crate::cpu_clock::CpuClock;

/// How much longer than its limit a call may compute before it counts as one that ignores its end.
pub const PATIENCE: Duration = Duration::from_millis(100);

/// Cheap to clone; all clones are one watchdog.
#[derive(Clone)]
pub struct Watchdog {
    shared: Arc<Shared>,
}

/// A call that was told to stop and goes on computing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ignored {
    /// Which isolate, as it was named when it was armed.
    pub isolate: usize,
    /// What it is past.
    pub limit: Limit,
}

type OnIgnored = Box<dyn Fn(Ignored) + Send + Sync>;

struct Shared {
    state: Mutex<State>,
    woken: Condvar,
    on_ignored: OnIgnored,
}

#[derive(Default)]
struct State {
    armed: HashMap<u64, Armed>,
    next: u64,
    /// When the thread looks again; `None` while nothing is armed.
    looks_at: Option<Instant>,
    closed: bool,
    /// Whether all calls are ended, those included that come.
    is_ended: bool,
    /// What is ended with them.
    endings: HashMap<u64, End>,
}

type End = Box<dyn FnOnce() + Send>;

/// What is ended with all calls, until it is dropped.
#[must_use = "it is taken back when it is dropped"]
pub struct Ending {
    shared: Arc<Shared>,
    key: u64,
}

/// What is watched.
pub struct Watched {
    /// The isolate's name for [`Ignored`].
    pub name: usize,
    /// Its handle.
    pub isolate: v8::IsolateHandle,
    /// The clock of its thread.
    pub clock: CpuClock,
}

struct Armed {
    watched: Watched,
    wall_deadline: Instant,
    /// What the CPU clock shows when the limit is reached.
    cpu_deadline: Duration,
    /// The soonest that the CPU clock can show it.
    looks_at: Instant,
    fired: Option<Fired>,
}

struct Fired {
    limit: Limit,
    /// What the CPU clock shows when patience has ended.
    patience_ends: Duration,
    is_told: bool,
}

/// A watched call. Must be disarmed by [`Watch::disarm`]; dropping it disarms too.
pub struct Watch {
    shared: Arc<Shared>,
    key: u64,
}

impl Watchdog {
    /// Starts the thread. `on_ignored` is called on it, once for each call that ignores its end.
    pub fn start(on_ignored: impl Fn(Ignored) + Send + Sync + 'static) -> std::io::Result<Self> {
        let on_ignored = Box::new(on_ignored);
        let shared = Arc::new(Shared { state: Mutex::default(), woken: Condvar::new(), on_ignored });
        let watched = shared.clone();
        thread::Builder::new().name("weir-watchdog".into()).spawn(move || watched.patrol())?;
        Ok(Self { shared })
    }

    /// Terminates the isolate's execution once it has used up its time, unless disarmed before.
    pub fn arm(&self, watched: Watched, limits: &CallLimits) -> Watch {
        let now = Instant::now();
        let (wall, cpu) = (Duration::from_millis(limits.wall_ms), Duration::from_millis(limits.cpu_ms));
        let mut armed = Armed {
            wall_deadline: now + wall,
            cpu_deadline: watched.clock.used() + cpu,
            looks_at: now + wall.min(cpu),
            fired: None,
            watched,
        };
        let mut state = self.shared.state.lock();
        if state.is_ended {
            armed.end(now);
        }
        let looks_at = armed.looks_at;
        let key = state.next;
        state.next += 1;
        state.armed.insert(key, armed);
        if state.looks_at.is_none_or(|planned| looks_at < planned) {
            self.shared.woken.notify_one();
        }
        Watch { shared: self.shared.clone(), key }
    }

    /// Ends all calls and all loading of apps, now and from now on, as past the wall limit; and what is to end with them.
    pub fn end_all(&self) {
        let now = Instant::now();
        let mut state = self.shared.state.lock();
        state.is_ended = true;
        state.armed.values_mut().for_each(|armed| armed.end(now));
        let endings = std::mem::take(&mut state.endings);
        drop(state);
        self.shared.woken.notify_one();
        endings.into_values().for_each(|end| end());
    }

    /// Has something be ended with all calls: at once, where they have been.
    pub fn when_ended(&self, end: impl FnOnce() + Send + 'static) -> Ending {
        let mut state = self.shared.state.lock();
        let key = state.next;
        state.next += 1;
        if state.is_ended {
            drop(state);
            end();
        } else {
            state.endings.insert(key, Box::new(end));
        }
        Ending { shared: self.shared.clone(), key }
    }

    /// Ends the thread once every watch is gone.
    pub fn stop(&self) {
        self.shared.state.lock().closed = true;
        self.shared.woken.notify_one();
    }
}

impl Shared {
    fn patrol(&self) {
        let mut state = self.state.lock();
        while !(state.closed && state.armed.is_empty()) {
            let now = Instant::now();
            let mut earliest: Option<Instant> = None;
            let mut ignored = Vec::new();
            for armed in state.armed.values_mut() {
                if armed.looks_at <= now {
                    ignored.extend(armed.look(now));
                }
                earliest = Some(earliest.map_or(armed.looks_at, |earliest| earliest.min(armed.looks_at)));
            }
            state.looks_at = earliest;
            if !ignored.is_empty() {
                parking_lot::MutexGuard::unlocked(&mut state, || ignored.into_iter().for_each(&self.on_ignored));
                continue;
            }
            match earliest {
                Some(deadline) => {
                    self.woken.wait_until(&mut state, deadline);
                }
                None => self.woken.wait(&mut state),
            }
        }
    }
}

impl Armed {
    /// Its time is up.
    fn end(&mut self, now: Instant) {
        if self.fired.is_none() {
            (self.wall_deadline, self.looks_at) = (now, now);
        }
    }

    /// Fires if time is up, and says when to look again.
    fn look(&mut self, now: Instant) -> Option<Ignored> {
        let used = self.watched.clock.used();
        match &mut self.fired {
            None => {
                let limit = if used >= self.cpu_deadline {
                    Limit::Cpu
                } else if now >= self.wall_deadline {
                    Limit::Wall
                } else {
                    self.looks_at = self.wall_deadline.min(now + (self.cpu_deadline - used));
                    return None;
                };
                self.watched.isolate.terminate_execution();
                self.fired = Some(Fired { limit, patience_ends: used + PATIENCE, is_told: false });
                self.looks_at = now + PATIENCE;
                None
            }
            Some(fired) if used < fired.patience_ends => {
                // It waits, or ends just now. What waits for its host is stopped when the host answers.
                self.looks_at = now + (fired.patience_ends - used);
                None
            }
            Some(fired) => {
                self.looks_at = now + PATIENCE;
                // V8 forgets a termination where no script is left to be ended, though the host may go on to ask the
                // getters of what was thrown.
                self.watched.isolate.terminate_execution();
                let is_news = !std::mem::replace(&mut fired.is_told, true);
                is_news.then_some(Ignored { isolate: self.watched.name, limit: fired.limit })
            }
        }
    }
}

impl Watch {
    /// Ends the watch; the limit at which the call was stopped, if it was.
    pub fn disarm(self) -> Option<Limit> {
        self.remove()
    }

    fn remove(&self) -> Option<Limit> {
        let armed = self.shared.state.lock().armed.remove(&self.key)?;
        armed.fired.map(|fired| fired.limit)
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let end = self.shared.state.lock().endings.remove(&self.key);
        // Not under the lock: what it holds may be the last of something.
        drop(end);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.remove();
    }
}
