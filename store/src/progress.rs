//! How far a long operation is. Who watches it can stop it.

use std::ops::ControlFlow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What is being done, and so what is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// A file is checked before it is used; bytes.
    Checking,
    /// Files are copied; bytes.
    Copying,
    /// Records are compared with each other; records.
    Verifying,
    /// Records are written to a file; records.
    Exporting,
    /// A file is loaded; bytes.
    Loading,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// So much is done.
    pub done: u64,
    /// So much there is to do, where that is known.
    pub total: Option<u64>,
}

/// Is told of every step, on the thread that takes it, and says whether to go on.
pub type Watch = Arc<dyn Fn(Progress) -> ControlFlow<()> + Send + Sync>;

/// A watch that lets everything go on.
pub fn unwatched() -> Watch {
    Arc::new(|_| ControlFlow::Continue(()))
}

/// Who watches wants no more of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it was stopped")]
pub struct Stopped;

/// Counts one phase and tells of it in steps that are worth telling.
pub(crate) struct Meter<'a> {
    watch: &'a Watch,
    progress: Progress,
    /// What was told last.
    told: u64,
    step: u64,
}

/// Bytes between two tellings.
const STEP_BYTES: u64 = 1 << 20;
/// Records between two tellings.
const STEP_RECORDS: u64 = 1_000;

impl<'a> Meter<'a> {
    pub(crate) fn new(watch: &'a Watch, phase: Phase, total: Option<u64>) -> Self {
        let step = match phase {
            Phase::Checking | Phase::Copying | Phase::Loading => STEP_BYTES,
            Phase::Verifying | Phase::Exporting => STEP_RECORDS,
        };
        Self { watch, progress: Progress { phase, done: 0, total }, told: 0, step }
    }

    pub(crate) fn add(&mut self, more: u64) -> Result<(), Stopped> {
        self.progress.done += more;
        if self.progress.done - self.told < self.step && self.progress.total != Some(self.progress.done) {
            return Ok(());
        }
        self.told = self.progress.done;
        match (self.watch)(self.progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Stopped),
        }
    }
}
