//! The host's side of one call: decodes what the script asks and keeps the limits that count.
//!
//! It stands where the host is, whether the script is in this process or in a worker. What comes from a worker is as hostile
//! as the script, so nothing that a worker could count by itself is counted there.

use std::cell::Cell;
use std::rc::Rc;

use weir_schema::limits::{CallLimits, DOCUMENT_BYTES_MAX, Limit};

use crate::nesting;
use crate::ops::{Port, Reply, Replying, Waited};
use crate::protocol::{Host, HostCall, HostError, Outcome};

/// How deep the JSON text of a request may nest, as far as it is read.
const REQUEST_DEPTH_MAX: usize = 120;

/// The port of one call.
pub struct CallPort {
    host: Box<dyn Host>,
    limits: PortLimits,
    host_calls_left: u32,
    log_bytes_left: usize,
    outstanding: Rc<Cell<u32>>,
    stopped: Option<Outcome>,
}

/// The limits that a port keeps.
#[derive(Debug, Clone, Copy)]
struct PortLimits {
    request_bytes: usize,
    outstanding: u32,
    result_bytes: usize,
    result_depth: usize,
}

/// The longest request, in bytes of JSON text: a document, or the arguments of a function that an action calls.
pub fn request_bytes_max(limits: &CallLimits) -> usize {
    limits.arguments_bytes.max(2 * DOCUMENT_BYTES_MAX) + 1024
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
                outstanding: limits.outstanding_promises,
                result_bytes: limits.result_bytes,
                result_depth: limits.result_depth,
            },
            host_calls_left: limits.host_calls,
            log_bytes_left: limits.log_bytes,
            outstanding: Rc::default(),
            stopped: None,
        }
    }

    /// The call is over. What the host or a limit decided stands above what the script came to.
    pub fn finish(self, outcome: Outcome) {
        let outcome = self.stopped.unwrap_or(match outcome {
            Outcome::Value(text) if text.len() > self.limits.result_bytes => Outcome::Limit(Limit::ResultBytes),
            Outcome::Value(text) if nesting::depth(&text) > self.limits.result_depth => {
                Outcome::Limit(Limit::ResultDepth)
            }
            // Also of a worker that does not cut it.
            Outcome::Failed(error) => Outcome::Failed(error.cut()),
            outcome => outcome,
        });
        self.host.finish(outcome);
    }

    fn stop(&mut self, outcome: Outcome) -> Reply {
        self.stopped.get_or_insert(outcome);
        Reply::Stop
    }

    fn admit(&mut self, request: &str) -> Result<HostCall, HostError> {
        self.host_calls_left = self.host_calls_left.checked_sub(1).ok_or(HostError::Limit(Limit::HostCalls))?;
        if let Some(message) = too_long(request, self.limits.request_bytes) {
            return Err(HostError::Refused(message));
        }
        if nesting::depth(request) > REQUEST_DEPTH_MAX {
            return Err(HostError::Refused(format!("the value nests more than {REQUEST_DEPTH_MAX} deep")));
        }
        let call = serde_json::from_str(request)
            .map_err(|error| HostError::Refused(format!("not a call of the host: {error}")))?;
        if let HostCall::Log { text, .. } = &call {
            self.log_bytes_left = self.log_bytes_left.checked_sub(text.len()).ok_or(HostError::Limit(Limit::Log))?;
        }
        Ok(call)
    }

    fn settle(&mut self, answer: Result<String, HostError>) -> Reply {
        match answer {
            Ok(answer) => Reply::Answer(answer),
            Err(HostError::Refused(message)) => Reply::Refused(message),
            Err(HostError::Limit(limit)) => self.stop(Outcome::Limit(limit)),
            Err(HostError::Aborted) => self.stop(Outcome::Aborted),
        }
    }

    /// Takes a place among the calls that are not answered yet.
    fn enter(&self) -> Result<Outstanding, HostError> {
        let count = self.outstanding.get();
        if count >= self.limits.outstanding {
            return Err(HostError::Limit(Limit::OutstandingPromises));
        }
        self.outstanding.set(count + 1);
        Ok(Outstanding(self.outstanding.clone()))
    }
}

/// One call that is not answered yet.
struct Outstanding(Rc<Cell<u32>>);

impl Drop for Outstanding {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

impl Port for CallPort {
    fn ask(&mut self, request: &str) -> Reply {
        if self.stopped.is_some() {
            return Reply::Stop;
        }
        let answer = self.admit(request).and_then(|call| self.host.ask(call));
        self.settle(answer)
    }

    fn start(&mut self, request: &str) -> Replying {
        if self.stopped.is_some() {
            return Box::pin(async { Reply::Stop });
        }
        let started = self.admit(request).and_then(|call| Ok((self.enter()?, call)));
        match started {
            Ok((outstanding, call)) => {
                let answering = self.host.start(call);
                Box::pin(async move {
                    let _outstanding = outstanding;
                    answering.await.map_or_else(|error| Reply::Refused(error.to_string()), Reply::Answer)
                })
            }
            Err(error) => {
                let settled = self.settle(Err(error));
                Box::pin(async { settled })
            }
        }
    }

    fn wait(&mut self) -> Waited {
        Waited::Elsewhere
    }
}
