//! One warm isolate for a thread that makes calls, wherever it lives: on the thread itself or in a worker.

use std::sync::Arc;

use crate::app::App;
use crate::isolate::{Isolate, IsolateError, Place};
use crate::pool::Isolation;
#[cfg(unix)]
use crate::process::{remote::RemoteIsolate, supervisor::Supervisor, worker::this_program};
use crate::protocol::{CallRequest, Host, Outcome};
#[cfg(unix)]
use crate::watchdog::Ending;
use crate::watchdog::Watchdog;

/// The most isolates in one worker process.
#[cfg(unix)]
const ISOLATES_PER_WORKER_MAX: usize = 4;

/// Whether a worker is kept ready in case that one dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spare {
    /// One is.
    Kept,
    /// The next is started when it is needed.
    None,
}

/// Where the isolates of one app live. Cheap to clone.
#[derive(Clone)]
pub struct Home {
    app: Arc<App>,
    dwelling: Dwelling,
}

#[derive(Clone)]
enum Dwelling {
    Here(Watchdog),
    #[cfg(unix)]
    There {
        supervisor: Arc<Supervisor>,
        _ending: Arc<Ending>,
    },
}

impl Home {
    /// A home for so many isolates.
    pub fn new(
        app: &Arc<App>,
        watchdog: &Watchdog,
        isolation: Isolation,
        isolates: usize,
        spare: Spare,
    ) -> Result<Self, IsolateError> {
        let dwelling = match isolation {
            Isolation::Thread => Dwelling::Here(watchdog.clone()),
            #[cfg(unix)]
            Isolation::Process => {
                let seats = isolates.clamp(1, ISOLATES_PER_WORKER_MAX);
                let spare = if spare == Spare::Kept { seats } else { 0 };
                let program = this_program().map_err(|error| IsolateError::Internal(error.to_string()))?;
                let supervisor = Arc::new(Supervisor::start(program, app, seats, spare)?);
                let supervised = Arc::downgrade(&supervisor);
                let end = move || supervised.upgrade().iter().for_each(|supervisor| supervisor.end());
                Dwelling::There { supervisor, _ending: Arc::new(watchdog.when_ended(end)) }
            }
            #[cfg(not(unix))]
            Isolation::Process => return Err(IsolateError::Internal("isolation by process takes a Unix".into())),
        };
        Ok(Self { app: app.clone(), dwelling })
    }

    /// A place in it for the isolate of this thread, which is not made yet.
    pub fn enter(&self) -> Warm {
        let state = match &self.dwelling {
            Dwelling::Here(watchdog) => match Place::here(0, watchdog) {
                Ok(place) => State::Here { place, isolate: None },
                Err(error) => State::Nowhere(error.to_string()),
            },
            #[cfg(unix)]
            Dwelling::There { supervisor, .. } => State::There { supervisor: supervisor.clone(), isolate: None },
        };
        Warm { app: self.app.clone(), state }
    }
}

/// The isolate of one thread.
pub struct Warm {
    app: Arc<App>,
    state: State,
}

enum State {
    Here {
        place: Place,
        isolate: Option<Box<Isolate>>,
    },
    #[cfg(unix)]
    There {
        supervisor: Arc<Supervisor>,
        isolate: Option<Box<RemoteIsolate>>,
    },
    Nowhere(String),
}

impl Warm {
    /// Sees to it that an isolate is ready. Blocks while one is being made.
    pub fn prepare(&mut self) -> Result<(), IsolateError> {
        match &mut self.state {
            State::Here { place, isolate } => {
                // V8 wants the isolates of a thread to end in the reverse order of their beginning: first drop, then make.
                let kept = isolate.take().filter(|isolate| !isolate.is_spoiled());
                *isolate = Some(kept.map_or_else(|| Isolate::new(&self.app, place).map(Box::new), Ok)?);
                Ok(())
            }
            #[cfg(unix)]
            State::There { supervisor, isolate } => match isolate {
                Some(isolate) => isolate.renew(),
                None => {
                    *isolate = Some(Box::new(RemoteIsolate::new(supervisor, &self.app)?));
                    Ok(())
                }
            },
            State::Nowhere(error) => Err(IsolateError::Internal(error.clone())),
        }
    }

    /// Runs one call to its end, which the host is told.
    pub fn call(&mut self, request: &CallRequest, host: Box<dyn Host>) {
        if let Err(error) = self.prepare() {
            return host.finish(Outcome::Broken(error.to_string()));
        }
        match &mut self.state {
            State::Here { isolate: Some(isolate), .. } => isolate.call(request, host),
            #[cfg(unix)]
            State::There { isolate: Some(isolate), .. } => isolate.call(request, host),
            _ => host.finish(Outcome::Broken("no isolate".to_owned())),
        }
    }
}
