//! What a run asks of the world outside: requests to other servers, and secrets. Only actions may.

use serde_json::Value;
use weir_sandbox::protocol::{Answering, FetchRequest, HostError};
use weir_schema::declarations::FunctionKind;
use weir_schema::limits::Limit;

use crate::host::RunHost;

/// A text of a script for a message, cut where it is longer. `…` says so: a secret that was cut is found by that.
pub(crate) fn shortened(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

impl RunHost {
    /// Sends a request. Whatever the method, it counts as something that has happened.
    pub(crate) fn fetch(&mut self, request: FetchRequest) -> Answering {
        if self.kind != FunctionKind::Action {
            return Box::pin(async { Err(HostError::Refused("only an action may fetch".to_owned())) });
        }
        self.used.fetches = self.used.fetches.saturating_add(1);
        if self.used.fetches > self.release.limits().fetches {
            return Box::pin(async { Err(HostError::Limit(Limit::Fetches)) });
        }
        self.acted = true;
        Box::pin(self.release.fetcher().clone().fetch(request, self.fetching.clone()))
    }

    /// A secret that the app names, as a JSON string.
    pub(crate) fn secret(&self, name: &str) -> Result<String, HostError> {
        if self.kind != FunctionKind::Action {
            return Err(HostError::Refused("only an action may use secret".to_owned()));
        }
        match self.release.secrets().get(name) {
            Some(value) => Ok(Value::from(value).to_string()),
            None if self.release.names_secret(name) => {
                Err(HostError::Refused(format!("the app runs without its secret {name} here")))
            }
            None => Err(HostError::Refused(format!(
                "the app names no secret {:?}: add it to secrets in app.toml",
                shortened(name, 100)
            ))),
        }
    }
}
