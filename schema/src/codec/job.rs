//! Jobs: calls of functions that are to be made later.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A call that is to be made (JSON text under `J` and the job's id).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// The function's exported name.
    pub function: String,
    /// Its arguments, checked when the job was scheduled.
    pub args: Value,
    /// Who scheduled it, in a form that is the engine's own.
    pub caller: Value,
    /// When it was scheduled, in milliseconds since 1970.
    pub scheduled_ms: u64,
    /// When it is due, or was if it is dead, in milliseconds since 1970.
    pub due_ms: u64,
    /// What is to become of it.
    pub state: JobState,
    /// Calls that failed or, of an action, were begun.
    #[serde(default)]
    pub attempts: u32,
    /// Why the last call failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<JobError>,
    /// When it is due again and again: a schedule of `app.toml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// The range of versions that its caller stayed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
    /// The sequence of the release that has scheduled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<u64>,
}

/// What is to become of a job. One that is over is there no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum JobState {
    /// It runs when it is due.
    Waiting,
    /// It is an action that was begun.
    Running,
    /// It has failed too often and waits for somebody to look at it.
    Dead,
}

/// Why a call of a job failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobError {
    /// As in `extensions.code`.
    pub code: String,
    /// As a caller would be told.
    pub message: String,
}

impl JobState {
    /// As it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Dead => "dead",
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Job {
    /// Whether it stands among those that become due.
    pub fn is_pending(&self) -> bool {
        self.state != JobState::Dead
    }
}
