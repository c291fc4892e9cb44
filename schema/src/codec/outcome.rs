//! Kept outcomes: what a call with an idempotency key came to, so that a repeat is answered and not run.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::commit::Timestamp;
use crate::digest::Digest;

/// The first outcome of a call (JSON text under `K` and the digest of tenant, caller, key and root field).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptOutcome {
    /// What was asked: a repeat that asks something else is a mistake.
    pub request: Digest,
    /// The commit that it is part of.
    pub commit: Timestamp,
    /// Until when it is kept, in milliseconds since 1970.
    pub expires_ms: u64,
    /// The value or the failure, in a form that is its writer's own.
    pub outcome: Value,
}
