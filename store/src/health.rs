//! Fail-stop: the first failure of the engine is kept and ends all committing.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::error::Poisoned;

/// Whether the store may go on. Cloned into all that can fail.
#[derive(Debug, Clone, Default)]
pub(crate) struct Health(Arc<OnceLock<Poisoned>>);

impl Health {
    /// Stops the store after a failure; the first reason stays.
    pub(crate) fn poison(&self, reason: impl fmt::Display) -> Poisoned {
        if self.0.set(Poisoned { reason: reason.to_string().into() }).is_ok() {
            tracing::error!(%reason, "the store stopped");
        }
        self.reason()
    }

    /// Stops the store because it was asked to.
    pub(crate) fn close(&self) {
        // A failure that came first stays the reason.
        let _ = self.0.set(Poisoned { reason: "it was closed".into() });
    }

    pub(crate) fn check(&self) -> Result<(), Poisoned> {
        self.0.get().map_or(Ok(()), |poisoned| Err(poisoned.clone()))
    }

    /// Why the store no longer answers.
    pub(crate) fn reason(&self) -> Poisoned {
        self.0.get().cloned().unwrap_or_else(|| Poisoned { reason: "the committer ended".into() })
    }
}
