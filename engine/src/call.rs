//! Who calls what, and what can come of it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use weir_schema::commit::Timestamp;
use weir_schema::error::ErrorCode;

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Somebody at the machine of `weir dev`, without a token: sees stacks.
    Developer,
}

impl Caller {
    /// Whether errors may carry stacks.
    pub fn sees_stacks(&self) -> bool {
        matches!(self, Self::Developer)
    }
}

/// One call of a batch.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Call {
    /// The function's name.
    pub function: String,
    /// Its arguments as an object; null for none.
    #[serde(default)]
    pub args: Value,
}

/// What a call gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The result: checked against the declared type, enum values in their TypeScript spelling.
    pub value: Value,
    /// The commit that a read saw, or that a procedure made.
    pub commit: Timestamp,
}

/// One value of a watched query.
#[derive(Debug, Clone, PartialEq)]
pub struct Emission {
    /// The result, as in [`Answer`].
    pub value: Arc<Value>,
    /// The commit at which the query has this value.
    pub commit: Timestamp,
    /// Opaque: sent again with a new subscription, it suppresses a value that has not changed since.
    pub cursor: String,
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct CallError {
    /// From the closed list.
    pub code: ErrorCode,
    /// For any caller.
    pub message: String,
    /// What the function named in `fail`.
    pub app_code: Option<String>,
    /// The limit's name, with `LIMIT_EXCEEDED`.
    pub limit: Option<&'static str>,
    /// For the developer only: where in the TypeScript it happened, innermost first.
    pub stack: Vec<Frame>,
}

impl CallError {
    /// An error without further detail.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), app_code: None, limit: None, stack: Vec::new() }
    }
}

/// One line of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// The function's name, where it has one.
    pub function: Option<String>,
    /// The TypeScript file, relative to the app folder.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
}
