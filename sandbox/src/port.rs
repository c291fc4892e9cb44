//! The host's side of one call: decodes what the script asks and keeps the limits that count.
//!
//! It stands where the host is, whether the script is in this process or in a worker. What comes from a worker is as hostile
//! as the script, so nothing that a worker could count by itself is counted there.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use weir_schema::limits::{CallLimits, DOCUMENT_BYTES_MAX, Limit};

use crate::nesting::{self, Measure};
use crate::ops::{Port, Reply, Replying, Waited, Wanted};
use crate::protocol::{Host, HostCall, HostError, Outcome};

/// How deep the JSON text of a request may nest, as far as it is read.
const REQUEST_DEPTH_MAX: usize = 120;

/// How many values the JSON text of a request may have.
const REQUEST_VALUES_MAX: usize = 1_000_000;

/// What a line of log counts besides its text: the function, the call and the release stand in it too.
const LOG_LINE_BYTES: usize = 64;

/// The requests of an action that are not answered yet, together, in bytes.
const UNANSWERED_BYTES_MAX: usize = 64 << 20;

/// The port of one call.
pub struct CallPort {
    host: Box<dyn Host>,
    limits: PortLimits,
    host_calls_left: u32,
    log_bytes_left: usize,
    outstanding: Rc<Cell<Unanswered>>,
    /// How the call ends, whatever its script comes to. Shared with what is not answered yet.
    stopped: Stopped,
}

type Stopped = Rc<RefCell<Option<Outcome>>>;

/// The calls of an action that are not answered yet.
#[derive(Debug, Clone, Copy, Default)]
struct Unanswered {
    calls: u32,
    bytes: usize,
}

/// The limits that a port keeps.
#[derive(Debug, Clone, Copy)]
struct PortLimits {
    request_bytes: usize,
    host_calls: u32,
    log_bytes: usize,
    outstanding: u32,
    result_bytes: usize,
    result_depth: usize,
    result_values: usize,
}

/// The longest request, in bytes of JSON text: a document, or the arguments of a function that an action calls.
pub fn request_bytes_max(limits: &CallLimits) -> usize {
    limits.arguments_bytes.max(2 * DOCUMENT_BYTES_MAX) + 1024
}

/// The result of a view in a request that has one. It may be as large as any result, and is held to the same limits.
fn view_result(request: &str) -> Option<&str> {
    let request = request.strip_prefix("{\"viewResult\":{\"number\":")?;
    let value = request.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix(",\"value\":")?;
    Some(value.strip_suffix("}}").unwrap_or(value))
}

/// So much of a request as its host has to see, if it has the result of a view in it: of one that is too large, not all.
pub fn sendable(request: &str, result_bytes: usize) -> Option<&str> {
    let result = view_result(request)?;
    let before = result.as_ptr().addr() - request.as_ptr().addr();
    let is_too_large = result.len() > result_bytes;
    // The host looks at what follows before it cuts the end off.
    let enough = request.floor_char_boundary(before + result_bytes + 8);
    if is_too_large { request.get(..enough) } else { Some(request) }
}

/// What a request that is longer is answered, by whichever side notices first.
pub fn too_long(request: &str, bytes_max: usize) -> Option<String> {
    (request.len() > bytes_max).then(|| format!("the request has more than {bytes_max} bytes"))
}

impl CallPort {
    /// A port with all of its limits ahead of it.
    pub fn new(host: Box<dyn Host>, limits: &CallLimits) -> Self {
        Self {
            host,
            limits: PortLimits {
                request_bytes: request_bytes_max(limits),
                host_calls: limits.host_calls,
                log_bytes: limits.log_bytes,
                outstanding: limits.outstanding_promises,
                result_bytes: limits.result_bytes,
                result_depth: limits.result_depth,
                result_values: limits.result_values,
            },
            host_calls_left: limits.host_calls,
            log_bytes_left: limits.log_bytes,
            outstanding: Rc::default(),
            stopped: Rc::default(),
        }
    }

    /// The call is over. What the host or a limit decided stands above what the script came to.
    pub fn finish(self, outcome: Outcome) {
        let outcome = match outcome {
            Outcome::Value(text) => match self.passed(&text) {
                Some(limit) => Outcome::Limit(limit),
                None => Outcome::Value(text),
            },
            // Also of a worker that does not cut it.
            Outcome::Failed(error) => Outcome::Failed(error.cut()),
            outcome => outcome,
        };
        let outcome = self.stopped.take().unwrap_or(outcome);
        self.host.finish(outcome);
    }

    /// The limit that a result is past.
    fn passed(&self, text: &str) -> Option<Limit> {
        if text.len() > self.limits.result_bytes {
            return Some(Limit::ResultBytes);
        }
        let Measure { depth, values } = nesting::measure(text);
        match (depth > self.limits.result_depth, values > self.limits.result_values) {
            (true, _) => Some(Limit::ResultDepth),
            (_, true) => Some(Limit::ResultValues),
            _ => None,
        }
    }

    /// Whether the call ends, whatever its script comes to.
    pub fn is_stopped(&self) -> bool {
        self.stopped.borrow().is_some()
    }

    fn admit(&mut self, request: &str) -> Result<HostCall, HostError> {
        self.host_calls_left = self.host_calls_left.checked_sub(1).ok_or(HostError::Limit(Limit::HostCalls))?;
        match view_result(request) {
            Some(result) => self.passed(result).map_or(Ok(()), |limit| Err(HostError::Limit(limit)))?,
            None => self.measure(request)?,
        }
        let call = serde_json::from_str(request)
            .map_err(|error| HostError::Refused(format!("not a call of the host: {error}")))?;
        if let HostCall::Log { text, .. } = &call {
            let bytes = text.len() + LOG_LINE_BYTES * text.lines().count().max(1);
            self.log_bytes_left = self.log_bytes_left.checked_sub(bytes).ok_or(HostError::Limit(Limit::Log))?;
        }
        Ok(call)
    }

    fn measure(&self, request: &str) -> Result<(), HostError> {
        if let Some(message) = too_long(request, self.limits.request_bytes) {
            return Err(HostError::Refused(message));
        }
        let Measure { depth, values } = nesting::measure(request);
        if depth > REQUEST_DEPTH_MAX {
            return Err(HostError::Refused(format!("the value nests more than {REQUEST_DEPTH_MAX} deep")));
        }
        if values > REQUEST_VALUES_MAX {
            let message = format!("the value has more than {REQUEST_VALUES_MAX} elements and members");
            return Err(HostError::Refused(message));
        }
        Ok(())
    }

    /// As [`Port::start`]; the reply itself where nothing is to be waited for: the request is refused, or the call is over.
    pub fn begin(&mut self, request: &str) -> Result<Replying, Reply> {
        if self.is_stopped() {
            return Err(Reply::Stop);
        }
        let begun = self.admit(request).and_then(|call| Ok((self.enter(request.len())?, call)));
        let (outstanding, call) = begun.map_err(|error| settle(&self.stopped, Err(error)))?;
        let (answering, stopped) = (self.host.start(call), self.stopped.clone());
        Ok(Box::pin(async move {
            let _outstanding = outstanding;
            let answer = answering.await;
            settle(&stopped, answer)
        }))
    }

    /// Takes a place among the calls that are not answered yet.
    fn enter(&self, bytes: usize) -> Result<Outstanding, HostError> {
        let Unanswered { calls, bytes: before } = self.outstanding.get();
        // A single one may be as long as it may be.
        let is_too_much = calls > 0 && before.saturating_add(bytes) > UNANSWERED_BYTES_MAX;
        if calls >= self.limits.outstanding || is_too_much {
            return Err(HostError::Limit(Limit::OutstandingPromises));
        }
        self.outstanding.set(Unanswered { calls: calls + 1, bytes: before.saturating_add(bytes) });
        Ok(Outstanding { all: self.outstanding.clone(), bytes })
    }
}

/// The answer for the script, unless its call ends with it.
fn settle(stopped: &Stopped, answer: Result<String, HostError>) -> Reply {
    let outcome = match answer {
        Ok(answer) => return Reply::Answer(answer),
        Err(HostError::Refused(message)) => return Reply::Refused(message),
        Err(HostError::Limit(limit)) => Outcome::Limit(limit),
        Err(HostError::Aborted) => Outcome::Aborted,
    };
    stopped.borrow_mut().get_or_insert(outcome);
    Reply::Stop
}

/// One call that is not answered yet.
struct Outstanding {
    all: Rc<Cell<Unanswered>>,
    bytes: usize,
}

impl Drop for Outstanding {
    fn drop(&mut self) {
        let Unanswered { calls, bytes } = self.all.get();
        self.all.set(Unanswered { calls: calls.saturating_sub(1), bytes: bytes.saturating_sub(self.bytes) });
    }
}

impl Port for CallPort {
    fn ask(&mut self, request: &str) -> Reply {
        if self.is_stopped() {
            return Reply::Stop;
        }
        let answer = self.admit(request).and_then(|call| self.host.ask(call));
        settle(&self.stopped, answer)
    }

    fn start(&mut self, request: &str) -> Replying {
        match self.begin(request) {
            Ok(replying) => replying,
            Err(reply) => Box::pin(async { reply }),
        }
    }

    fn wait(&mut self) -> Waited {
        Waited::Elsewhere
    }

    /// What counts is counted anew for each event: a stream may be as long as it likes.
    fn event(&mut self, event: String) -> Wanted {
        if self.is_stopped() {
            return Wanted::Nothing;
        }
        if let Some(limit) = self.passed(&event) {
            *self.stopped.borrow_mut() = Some(Outcome::Limit(limit));
            return Wanted::Nothing;
        }
        let wanted = self.host.event(event);
        (self.host_calls_left, self.log_bytes_left) = (self.limits.host_calls, self.limits.log_bytes);
        wanted
    }
}
