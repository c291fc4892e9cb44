//! What the store has of experiments, as JSON.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::design::Design;
use super::observations::VariantSummary;

/// An experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExperimentRecord {
    pub(super) design: Design,
    #[serde(default)]
    pub(super) left_out: u64,
    #[serde(default)]
    pub(super) moved: u64,
    /// What was known at its end; absent of one that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ended: Option<Vec<VariantSummary>>,
}

/// A caller that is counted: its variant, and what it has in each metric of the design.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct CallerRecord(pub(super) u16, pub(super) Vec<Option<f64>>);

/// Records of our own always have a JSON form.
pub(super) fn text(record: &impl Serialize) -> Bytes {
    serde_json::to_vec(record).unwrap_or_default().into()
}
