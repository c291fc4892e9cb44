//! Stops calls that run past their wall limit: one thread for all isolates of the process.
//!
//! Firing and disarming happen under one lock, so that a call which has just ended is never stopped in its successor.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use deno_core::v8;
use parking_lot::{Condvar, Mutex};

/// Cheap to clone; all clones are one watchdog.
#[derive(Clone)]
pub struct Watchdog {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    woken: Condvar,
}

#[derive(Default)]
struct State {
    armed: HashMap<u64, Armed>,
    next: u64,
    /// When the thread looks again; `None` while nothing is armed.
    looks_at: Option<Instant>,
    closed: bool,
}

struct Armed {
    deadline: Instant,
    isolate: v8::IsolateHandle,
    fired: bool,
}

/// A watched call. Must be disarmed by [`Watch::disarm`]; dropping it disarms too.
pub struct Watch {
    shared: Arc<Shared>,
    key: u64,
}

impl Watchdog {
    /// Starts the thread.
    pub fn start() -> std::io::Result<Self> {
        let shared = Arc::new(Shared { state: Mutex::default(), woken: Condvar::new() });
        let watched = shared.clone();
        thread::Builder::new().name("weir-watchdog".into()).spawn(move || watched.patrol())?;
        Ok(Self { shared })
    }

    /// Terminates the isolate's execution at `deadline`, unless disarmed before.
    pub fn arm(&self, isolate: v8::IsolateHandle, deadline: Instant) -> Watch {
        let mut state = self.shared.state.lock();
        let key = state.next;
        state.next += 1;
        state.armed.insert(key, Armed { deadline, isolate, fired: false });
        if state.looks_at.is_none_or(|looks_at| deadline < looks_at) {
            self.shared.woken.notify_one();
        }
        Watch { shared: self.shared.clone(), key }
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
            for armed in state.armed.values_mut().filter(|armed| !armed.fired && armed.deadline <= now) {
                armed.fired = true;
                armed.isolate.terminate_execution();
            }
            let earliest = state.armed.values().filter(|armed| !armed.fired).map(|armed| armed.deadline).min();
            state.looks_at = earliest;
            match earliest {
                Some(deadline) => {
                    self.woken.wait_until(&mut state, deadline);
                }
                None => self.woken.wait(&mut state),
            }
        }
    }
}

impl Watch {
    /// Ends the watch; true if the call was stopped.
    pub fn disarm(self) -> bool {
        self.remove()
    }

    fn remove(&self) -> bool {
        self.shared.state.lock().armed.remove(&self.key).is_some_and(|armed| armed.fired)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.remove();
    }
}
