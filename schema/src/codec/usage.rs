//! How often clients have asked for what a release has, on one day, as JSON text under `U`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What was counted on one day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UsageRecord {
    /// By what was asked for: a function by its name, a field or an argument by its schema coordinate (`Order.total`,
    /// `Query.ordersOf(limit:)`), an endpoint by method and path.
    pub used: BTreeMap<String, Used>,
}

/// How often something was asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, u64)", into = "(u64, u64)")]
pub struct Used {
    /// So often.
    pub count: u64,
    /// When last, in milliseconds since 1970.
    pub last_ms: u64,
}

impl From<(u64, u64)> for Used {
    fn from((count, last_ms): (u64, u64)) -> Self {
        Self { count, last_ms }
    }
}

impl From<Used> for (u64, u64) {
    fn from(Used { count, last_ms }: Used) -> Self {
        (count, last_ms)
    }
}

impl Used {
    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self { count: self.count.saturating_add(other.count), last_ms: self.last_ms.max(other.last_ms) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_short_and_read_as_it_was_written() {
        let used = BTreeMap::from([("Order.total".to_owned(), Used { count: 3, last_ms: 70 })]);
        let record = UsageRecord { used };
        let text = serde_json::to_string(&record).unwrap_or_default();
        assert_eq!(text, r#"{"Order.total":[3,70]}"#);
        assert_eq!(serde_json::from_str::<UsageRecord>(&text).ok(), Some(record));
    }
}
