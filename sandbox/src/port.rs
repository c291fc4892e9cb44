//! Between the ops and the host: decodes requests, keeps the per-call limits that count.

use std::pin::Pin;

use deno_core::v8;
use weir_schema::limits::CallLimits;

use crate::ops::Port;
use crate::protocol::{Host, HostCall, HostError, Outcome};

/// The port of one call.
pub struct CallPort {
    host: Option<Box<dyn Host>>,
    isolate: v8::IsolateHandle,
    host_calls_left: u32,
    log_bytes_left: usize,
    stopped: Option<Outcome>,
}

/// What ops answer once the call is being stopped. Not an error: the engine would make an exception of it, in which the
/// termination gets lost, and a script that catches everything would go on.
const STOPPING: &str = "null";

impl CallPort {
    /// A port with all of its limits ahead of it.
    pub fn new(host: Box<dyn Host>, limits: &CallLimits, isolate: v8::IsolateHandle) -> Self {
        Self {
            host: Some(host),
            isolate,
            host_calls_left: limits.host_calls,
            log_bytes_left: limits.log_bytes,
            stopped: None,
        }
    }

    /// The outcome that the host or a limit decided, if any.
    pub fn stopped(&self) -> Option<Outcome> {
        self.stopped.clone()
    }

    /// Takes the host back at the end of the call.
    pub fn take_host(&mut self) -> Option<Box<dyn Host>> {
        self.host.take()
    }

    /// Decides the outcome and terminates the script.
    fn stop(&mut self, outcome: Outcome) -> Result<String, String> {
        self.stopped.get_or_insert(outcome);
        self.isolate.terminate_execution();
        Ok(STOPPING.to_owned())
    }

    fn admit(&mut self, request: &str) -> Result<HostCall, HostError> {
        self.host_calls_left = self.host_calls_left.checked_sub(1).ok_or(HostError::Limit("host_calls"))?;
        let call = serde_json::from_str(request)
            .map_err(|error| HostError::Refused(format!("not a call of the host: {error}")))?;
        if let HostCall::Log { text, .. } = &call {
            self.log_bytes_left = self.log_bytes_left.checked_sub(text.len()).ok_or(HostError::Limit("log_bytes"))?;
        }
        Ok(call)
    }

    fn settle(&mut self, answer: Result<String, HostError>) -> Result<String, String> {
        match answer {
            Ok(answer) => Ok(answer),
            Err(HostError::Refused(message)) => Err(message),
            Err(HostError::Limit(limit)) => self.stop(Outcome::Limit(limit)),
            Err(HostError::Aborted) => self.stop(Outcome::Aborted),
        }
    }
}

impl Port for CallPort {
    fn ask(&mut self, request: &str) -> Result<String, String> {
        if self.stopped.is_some() {
            return self.stop(Outcome::Aborted);
        }
        let admitted = self.admit(request);
        let answer = match (admitted, self.host.as_mut()) {
            (Ok(call), Some(host)) => host.ask(call),
            (Ok(_), None) => Err(HostError::Aborted),
            (Err(error), _) => Err(error),
        };
        self.settle(answer)
    }

    fn start(&mut self, request: &str) -> Pin<Box<dyn Future<Output = Result<String, String>>>> {
        let admitted = self.admit(request);
        match (admitted, self.host.as_mut()) {
            (Ok(call), Some(host)) => {
                let answering = host.start(call);
                Box::pin(async { answering.await.map_err(|error| error.to_string()) })
            }
            (Ok(_), None) => Box::pin(async { Ok(STOPPING.to_owned()) }),
            (Err(error), _) => {
                let settled = self.settle(Err(error));
                Box::pin(async { settled })
            }
        }
    }
}
