//! What a shadow rollout has found, as the control plane tells it.

use async_graphql::{Enum, SimpleObject};
use weir_engine::rollouts::compared::Aspect;
use weir_engine::rollouts::latency::Latency;
use weir_engine::rollouts::report::{self, Counts, FunctionReport, MetricReport, MetricSum, Shown};

/// What was found so far.
#[derive(SimpleObject)]
pub struct ShadowReport {
    /// All of it in words.
    pub summary: String,
    /// The number of the rollout.
    pub rollout: String,
    /// The release that answers, such as `shop 1.4.0`.
    pub base: String,
    /// The one that is compared with it.
    pub candidate: String,
    /// Of how many calls, such as `10%`.
    pub share: String,
    /// Of all functions together.
    pub counts: ShadowCounts,
    /// How long the compared runs took on the release that answers.
    pub base_latency: ShadowLatency,
    /// And on the other.
    pub candidate_latency: ShadowLatency,
    /// What the compared runs would have given to metrics.
    pub metrics: Vec<ShadowMetric>,
    /// By function.
    pub functions: Vec<ShadowFunction>,
}

/// What would have been given to a metric.
#[derive(SimpleObject)]
pub struct ShadowMetric {
    /// Its name.
    pub metric: String,
    /// By the runs of the release that answers.
    pub base: ShadowMetricSum,
    /// By those of the other.
    pub candidate: ShadowMetricSum,
}

/// Values of a metric.
#[derive(SimpleObject)]
pub struct ShadowMetricSum {
    /// How many.
    pub values: String,
    /// Their sum.
    pub sum: f64,
    /// Their mean; null: there are none.
    pub mean: Option<f64>,
}

/// How many runs came to what.
#[derive(SimpleObject)]
pub struct ShadowCounts {
    /// Runs that came to the same on both releases.
    pub same: String,
    /// Runs that did not.
    pub different: String,
    /// Runs that were not compared: too many others waited, or the second ended for no fault of its function.
    pub skipped: String,
}

/// How long runs took: each time is at most a fifth too long.
#[derive(SimpleObject)]
pub struct ShadowLatency {
    /// Half of them took no longer, in milliseconds.
    #[graphql(name = "p50Ms")]
    pub p50_ms: f64,
    /// Of a hundred 95 took no longer.
    #[graphql(name = "p95Ms")]
    pub p95_ms: f64,
    /// Of a hundred 99 took no longer.
    #[graphql(name = "p99Ms")]
    pub p99_ms: f64,
}

/// What was found of one function.
#[derive(SimpleObject)]
pub struct ShadowFunction {
    /// Its name.
    pub function: String,
    /// How many runs of it came to what.
    pub counts: ShadowCounts,
    /// The first differences.
    pub differences: Vec<ShadowDifference>,
}

/// The first difference between two runs of one call. Long texts are cut.
#[derive(SimpleObject)]
pub struct ShadowDifference {
    /// In what.
    pub aspect: ShadowAspect,
    /// Where, as a JSON pointer: of documents behind the collection and the id, of jobs behind the id.
    pub path: String,
    /// What the release that answers has there.
    pub base: String,
    /// What the other has.
    pub candidate: String,
    /// The arguments.
    pub arguments: String,
}

/// In what two runs differ.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum ShadowAspect {
    /// In what the function gave.
    Result,
    /// In the documents that it would write or delete.
    Documents,
    /// In the jobs that it would schedule or cancel.
    Jobs,
    /// In what the function is, such as a query and a procedure.
    Kind,
}

impl From<report::ShadowReport> for ShadowReport {
    fn from(found: report::ShadowReport) -> Self {
        let summary = found.to_string();
        let report::ShadowReport { rollout, base, candidate, share, counts, metrics, functions, .. } = found;
        Self {
            summary,
            rollout: rollout.to_string(),
            base,
            candidate,
            share: share.to_string(),
            counts: counts.into(),
            base_latency: found.base_latency.into(),
            candidate_latency: found.candidate_latency.into(),
            metrics: metrics.into_iter().map(ShadowMetric::from).collect(),
            functions: functions.into_iter().map(ShadowFunction::from).collect(),
        }
    }
}

impl From<MetricReport> for ShadowMetric {
    fn from(MetricReport { metric, base, candidate }: MetricReport) -> Self {
        let sum = |of: MetricSum| ShadowMetricSum { values: of.values.to_string(), sum: of.sum, mean: of.mean() };
        Self { metric, base: sum(base), candidate: sum(candidate) }
    }
}

impl From<Counts> for ShadowCounts {
    fn from(Counts { same, different, skipped }: Counts) -> Self {
        let [same, different, skipped] = [same, different, skipped].map(|count| count.to_string());
        Self { same, different, skipped }
    }
}

impl From<Latency> for ShadowLatency {
    fn from(Latency { p50_ms, p95_ms, p99_ms }: Latency) -> Self {
        Self { p50_ms, p95_ms, p99_ms }
    }
}

impl From<FunctionReport> for ShadowFunction {
    fn from(FunctionReport { function, counts, differences }: FunctionReport) -> Self {
        let differences = differences.into_iter().map(ShadowDifference::from).collect();
        Self { function, counts: counts.into(), differences }
    }
}

impl From<Shown> for ShadowDifference {
    fn from(Shown { aspect, path, base, candidate, arguments }: Shown) -> Self {
        let aspect = match aspect {
            Aspect::Result => ShadowAspect::Result,
            Aspect::Documents => ShadowAspect::Documents,
            Aspect::Jobs => ShadowAspect::Jobs,
            Aspect::Kind => ShadowAspect::Kind,
        };
        Self { aspect, path, base, candidate, arguments }
    }
}
