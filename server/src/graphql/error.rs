//! Errors as a response carries them.

use std::time::Duration;

use serde::{Serialize, Serializer};
use weir_engine::call::{CallError, Caller, Frame};
use weir_schema::error::ErrorCode;
use weir_schema::limits::Limit;

use crate::rate::{Limited, Refused};
use crate::request_id::RequestId;

/// One entry of `errors` (<https://spec.graphql.org/draft/#sec-Errors>).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GraphqlError {
    /// For people.
    pub message: String,
    /// Places in the document.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub locations: Vec<Location>,
    /// The place in the response, for errors of fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<PathStep>,
    /// For programs.
    pub extensions: Box<ErrorExtensions>,
}

/// What programs may rely on.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorExtensions {
    /// From the closed list.
    pub code: ErrorCode,
    /// What the function named in `fail`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_code: Option<String>,
    /// The limit's name, with `LIMIT_EXCEEDED`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<&'static str>,
    /// When it may be worth another try, in milliseconds, with `RATE_LIMITED`, and with `UNAVAILABLE` where too many calls wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The number of the request in the log, with `INTERNAL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Box<str>>,
    /// For the developer: what the function asked for when it was refused, such as `orders.insert`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_call: Option<Box<str>>,
    /// For the developer: `file:line:column in function`, innermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stack: Vec<String>,
}

/// A place in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Location {
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
}

/// One step of the way to a place in the response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathStep {
    /// A response key.
    Key(String),
    /// A place in a list.
    Index(usize),
}

impl Serialize for PathStep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Key(key) => serializer.serialize_str(key),
            Self::Index(index) => serializer.serialize_u64(*index as u64),
        }
    }
}

impl GraphqlError {
    /// An error without further detail.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let message = message.into();
        let request_id = tell_defect(code, &message);
        Self {
            message,
            locations: Vec::new(),
            path: Vec::new(),
            extensions: Box::new(ErrorExtensions {
                code,
                app_code: None,
                limit: None,
                retry_after_ms: None,
                request_id,
                host_call: None,
                stack: Vec::new(),
            }),
        }
    }

    /// A limit of the request itself.
    pub fn limit(limit: &'static str, message: impl Into<String>) -> Self {
        let mut error = Self::new(ErrorCode::LimitExceeded, message);
        error.extensions.limit = Some(limit);
        error
    }

    /// A failed call, as this caller may see it.
    pub fn of_call(error: CallError, caller: &Caller) -> Self {
        let stack = if caller.sees_stacks() { error.stack.iter().map(frame).collect() } else { Vec::new() };
        let request_id = tell_defect(error.code, &error.message);
        Self {
            message: error.message,
            locations: Vec::new(),
            path: Vec::new(),
            extensions: Box::new(ErrorExtensions {
                code: error.code,
                app_code: error.app_code,
                limit: error.limit.map(Limit::as_str),
                retry_after_ms: error.retry_after.map(milliseconds),
                request_id,
                host_call: error.host_call.filter(|_| caller.sees_stacks()),
                stack,
            }),
        }
    }

    /// With a place in the document.
    pub fn at(mut self, location: Location) -> Self {
        self.locations.push(location);
        self
    }

    /// With these places in the document, unless it knows better.
    pub fn at_all(mut self, locations: &[Location]) -> Self {
        if self.locations.is_empty() {
            self.locations.extend_from_slice(locations);
        }
        self
    }

    /// With a place in the response.
    pub fn on(mut self, path: Vec<PathStep>) -> Self {
        self.path = path;
        self
    }
}

/// Says in the log what is a defect of Weir, and the number of the request under which it stands there.
pub fn tell_defect(code: ErrorCode, message: &str) -> Option<Box<str>> {
    if code != ErrorCode::Internal {
        return None;
    }
    tracing::error!("a defect of Weir: {}", message.escape_debug());
    RequestId::current().map(|id| id.as_str().into())
}

impl From<Limited> for GraphqlError {
    fn from(limited: Limited) -> Self {
        let mut error = Self::new(ErrorCode::RateLimited, limited.to_string());
        error.extensions.retry_after_ms = Some(milliseconds(limited.retry_after));
        error
    }
}

impl From<Refused> for GraphqlError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Limited(limited) => limited.into(),
            // It would be refused again whenever it came.
            Refused::TooMuch { .. } => Self::limit("rate", refused.to_string()),
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn frame(frame: &Frame) -> String {
    let Frame { function, file, line, column } = frame;
    match function {
        Some(function) => format!("{file}:{line}:{column} in {function}"),
        None => format!("{file}:{line}:{column}"),
    }
}
