//! What an app measures: the tables `[metrics.NAME]` of `app.toml`.
//!
//! A metric that is not declared cannot be given values, so there are no more names than stand here.

use std::collections::BTreeMap;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use crate::limits::{METRIC_NAME_BYTES_MAX, METRICS_MAX};

/// A declared metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// What of its values is compared.
    pub kind: MetricKind,
    /// Which way is better.
    #[serde(default)]
    pub goal: Goal,
    /// Of a conversion: the procedure or action by whose success callers convert. Without it they do by any value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
}

/// What of the values of a metric is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricKind {
    /// The mean of what callers have in total, those with nothing included.
    Mean,
    /// The share of callers that have had a value at least once.
    Conversion,
}

impl MetricKind {
    /// As `app.toml` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Conversion => "conversion",
        }
    }
}

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Goal {
    /// More of it.
    #[default]
    Increase,
    /// Less of it.
    Decrease,
}

impl Goal {
    /// As `app.toml` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Increase => "increase",
            Self::Decrease => "decrease",
        }
    }
}

/// Whether a text is the name of a metric.
pub fn is_name(name: &str) -> bool {
    name.len() <= METRIC_NAME_BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

pub(crate) fn metrics<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Metric>, D::Error> {
    let metrics = BTreeMap::<String, Metric>::deserialize(deserializer)?;
    if metrics.len() > METRICS_MAX {
        return Err(D::Error::custom(format!("there are more than {METRICS_MAX} metrics")));
    }
    for (name, metric) in &metrics {
        if !is_name(name) {
            return Err(D::Error::custom(format!(
                "metric {name:?} is not allowed: use 1 to {METRIC_NAME_BYTES_MAX} lower-case letters, digits and underscores, \
                 starting with a letter"
            )));
        }
        if metric.function.is_some() && metric.kind != MetricKind::Conversion {
            return Err(D::Error::custom(format!(
                "metric {name:?} has a function and is no conversion: write kind = \"conversion\", or call metric({name:?}, …) in the \
                 function"
            )));
        }
    }
    Ok(metrics)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest;

    fn parse(metrics: &str) -> Result<BTreeMap<String, Metric>, String> {
        let text = format!("name = \"shop\"\nversion = \"1.0.0\"\n{metrics}");
        manifest::parse(&text).map(|manifest| manifest.metrics).map_err(|error| error.message)
    }

    #[test]
    fn metrics_say_what_is_compared_and_which_way_is_better() {
        let metrics = parse(
            "[metrics.order_value]\nkind = \"mean\"\n[metrics.latency]\nkind = \"mean\"\ngoal = \"decrease\"\n\
             [metrics.ordered]\nkind = \"conversion\"\nfunction = \"placeOrder\"\n",
        );
        let told: Vec<String> = metrics
            .unwrap_or_else(|error| panic!("{error}"))
            .iter()
            .map(|(name, Metric { kind, goal, function })| {
                format!("{name} {} {} {function:?}", kind.as_str(), goal.as_str())
            })
            .collect();
        assert_eq!(
            told,
            [
                "latency mean decrease None",
                "order_value mean increase None",
                "ordered conversion increase Some(\"placeOrder\")"
            ]
        );
    }

    #[test]
    fn what_is_no_metric_is_refused() {
        let long = format!("[metrics.{}]\nkind = \"mean\"", "a".repeat(METRIC_NAME_BYTES_MAX + 1));
        let many: String = (0..=METRICS_MAX).map(|n| format!("[metrics.m{n}]\nkind = \"mean\"\n")).collect();
        for (text, words) in [
            ("[metrics.Order]\nkind = \"mean\"", "\"Order\" is not allowed"),
            ("[metrics.1st]\nkind = \"mean\"", "\"1st\" is not allowed"),
            ("[metrics.\"\"]\nkind = \"mean\"", "\"\" is not allowed"),
            ("[metrics.order-value]\nkind = \"mean\"", "\"order-value\" is not allowed"),
            (long.as_str(), "is not allowed"),
            ("[metrics.a]\nkind = \"median\"", "unknown variant `median`, expected `mean` or `conversion`"),
            ("[metrics.a]\ngoal = \"increase\"", "missing field `kind`"),
            ("[metrics.a]\nkind = \"mean\"\ngoal = \"more\"", "unknown variant `more`"),
            ("[metrics.a]\nkind = \"mean\"\nfunction = \"f\"", "has a function and is no conversion"),
            ("[metrics.a]\nkind = \"mean\"\nunit = \"ms\"", "unknown field `unit`"),
            (many.as_str(), "there are more than 50 metrics"),
        ] {
            let error = parse(text).err().unwrap_or_else(|| panic!("{text}"));
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
