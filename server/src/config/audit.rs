//! `[audit]`: which calls are on record.

use serde::Deserialize;
use weir_engine::recording::{Calls, Recording};

/// Which calls of procedures the audit log tells of. What was denied, and what is done to the server, is always on record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditSection {
    /// Which calls.
    calls: RecordedCalls,
    /// Whether with their arguments, where they have committed something.
    arguments: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RecordedCalls {
    /// Those that have committed something, and those that failed.
    #[default]
    All,
    /// Those that failed.
    Failed,
    /// None.
    None,
}

impl AuditSection {
    /// As the engine takes it.
    pub fn recording(&self) -> Recording {
        let calls = match self.calls {
            RecordedCalls::All => Calls::All,
            RecordedCalls::Failed => Calls::Failed,
            RecordedCalls::None => Calls::None,
        };
        Recording { calls, arguments: self.arguments }
    }
}
