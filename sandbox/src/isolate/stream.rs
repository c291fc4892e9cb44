//! Streams: a generator that runs from one event to the next, on an isolate that is its own for as long as it lasts.
//!
//! Each step has the time of a call. Between two steps nothing of the script runs, and no clock of its does: whoever reads
//! the stream may take as long as it likes.

use deno_core::v8;
use weir_schema::limits::Limit;

use super::ended::{Ended, Settled, mark_handled, settled};
use super::{Isolate, PENDING, exceeded};
use crate::ops::{SharedPort, Wanted};
use crate::protocol::{CallRequest, Outcome};

/// What a stream does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Begins, and runs to its first event.
    Open,
    /// Runs to the next one.
    Next,
    /// Returns, for nobody wants more.
    Return,
}

impl Isolate {
    /// Runs a stream to its end. The port takes its events.
    pub(super) fn run_stream(&mut self, request: &CallRequest, port: &SharedPort) -> Outcome {
        self.open_doors(port.clone());
        let (ended, limit) = self.steps(request, port);
        self.spoiled |= self.has_pending();
        self.conclude(request, ended, limit)
    }

    fn steps(&mut self, request: &CallRequest, port: &SharedPort) -> (Ended, Option<Limit>) {
        let mut step = Step::Open;
        loop {
            let (ended, limit) = self.step(step, request);
            let event = match ended {
                Ended::Value(event) if limit.is_none() && !self.is_stopping() => event,
                // Who is told to return may be waiting for something.
                Ended::Done if step != Step::Return && self.has_pending() => return (Ended::Leftover(PENDING), limit),
                ended => return (ended, limit),
            };
            step = match step {
                Step::Return => return (Ended::Leftover("yields after it was told to return"), None),
                Step::Open | Step::Next => match port.borrow_mut().event(event) {
                    Wanted::Next => Step::Next,
                    Wanted::Nothing => Step::Return,
                },
            };
        }
    }

    /// One step, within the time of a call.
    fn step(&mut self, step: Step, request: &CallRequest) -> (Ended, Option<Limit>) {
        let watch = self.watch();
        let resumed = match step {
            Step::Open => {
                let open = self.open.clone();
                self.invoke(&open, request)
            }
            Step::Next => self.resume(&self.next_event.clone()),
            Step::Return => self.resume(&self.give_up.clone()),
        };
        let ended = match resumed {
            Ok(promise) => self.settle_step(&promise),
            Err(ended) => ended,
        };
        (ended, exceeded(watch, &self.heap_exceeded, &self.array_buffers))
    }

    /// Calls a function of the prelude that gives a promise.
    fn resume(&mut self, function: &v8::Global<v8::Function>) -> Result<v8::Global<v8::Value>, Ended> {
        let _tokio = self.place.tokio.enter();
        deno_core::scope!(scope, &mut self.runtime);
        v8::tc_scope!(let scope, scope);
        let receiver = v8::undefined(scope).into();
        // It is asynchronous: what it throws is in its promise.
        let promise = v8::Local::new(scope, function).call(scope, receiver, &[]);
        promise.map(|promise| v8::Global::new(scope, promise)).ok_or(Ended::Terminated)
    }

    /// Runs all that can run. A stream waits for nothing but its own promises: reading does not need any.
    fn settle_step(&mut self, promise: &v8::Global<v8::Value>) -> Ended {
        mark_handled(&mut self.runtime, promise);
        self.run_jobs();
        let ended = match settled(&mut self.runtime, promise) {
            None => Ended::Leftover("waits for a promise that nothing can settle"),
            Some(Settled::Fulfilled(value)) if self.is_null(&value) => Ended::Done,
            Some(Settled::Fulfilled(value)) => self.text_of(&value),
            Some(Settled::Rejected(reason)) => self.threw_at_its_end(&reason),
        };
        self.or_rejected(ended)
    }

    fn is_null(&mut self, value: &v8::Global<v8::Value>) -> bool {
        deno_core::scope!(scope, &mut self.runtime);
        v8::Local::new(scope, value).is_null()
    }
}
