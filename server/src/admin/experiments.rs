//! What an experiment has shown, as the control plane tells it.

use async_graphql::{Context, Enum, Result, SimpleObject};
use weir_engine::Engine;
use weir_engine::experiments::report;
use weir_engine::experiments::statistics::comparison::Estimate;
use weir_engine::rollouts::experiment;
use weir_schema::error::ErrorCode;
use weir_schema::metrics;

use super::queries::{bad, unavailable};
use super::refused;

/// What is known of an experiment.
#[derive(SimpleObject)]
pub struct ExperimentReport {
    /// The number of its rollout.
    pub experiment: String,
    /// Whether callers are still counted.
    pub is_running: bool,
    /// What may be concluded, in sentences, what matters most first.
    pub words: Vec<String>,
    /// The variants, the control first.
    pub variants: Vec<ExperimentVariant>,
    /// Whether callers were split between them as was set.
    pub split: ExperimentSplit,
    /// How often an experiment in which nothing differs may be taken for one in which something does.
    pub alpha: f64,
    /// Each metric, by variant.
    pub metrics: Vec<ExperimentMetric>,
    /// Exposures of callers that are not counted, as there were too many.
    pub left_out: String,
    /// Exposures of callers to another variant than the one that they count for.
    pub moved: String,
    /// All of that as the line of JSON that `weir rollout report --json` prints.
    pub json: String,
}

/// A variant.
#[derive(SimpleObject)]
pub struct ExperimentVariant {
    /// Its name: the version.
    pub name: String,
    /// The sequence of its release.
    pub release: String,
    /// The share of the callers that it was to have, from 0 to 1.
    pub share_set: f64,
    /// How many callers it has.
    pub callers: String,
}

/// Whether callers were split as was set.
#[derive(SimpleObject)]
pub struct ExperimentSplit {
    /// How likely such a split is at any time, if each caller goes to a variant with the chance that was set.
    pub p_value: f64,
    /// Whether that is too unlikely: then nothing else of the report is to be believed.
    pub is_broken: bool,
}

/// A metric.
#[derive(SimpleObject)]
pub struct ExperimentMetric {
    /// Its name.
    pub name: String,
    /// What of it is compared.
    pub kind: MetricKind,
    /// Which way is better.
    pub goal: MetricGoal,
    /// Each variant, the control first.
    pub variants: Vec<MetricOfVariant>,
}

/// What of the values of a metric is compared.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// The mean of what callers have in total.
    Mean,
    /// The share of callers that have had a value at least once.
    Conversion,
}

/// Which way is better.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum MetricGoal {
    /// More of it.
    Increase,
    /// Less of it.
    Decrease,
}

/// A metric of a variant.
#[derive(SimpleObject)]
pub struct MetricOfVariant {
    /// The variant's name.
    pub variant: String,
    /// What its callers have.
    pub mean: f64,
    /// In comparison with the control; null of the control itself.
    pub compared: Option<ComparedWithControl>,
}

/// A variant in comparison with the control.
#[derive(SimpleObject)]
pub struct ComparedWithControl {
    /// What to do.
    pub verdict: Verdict,
    /// Where nothing is decided yet: how many callers more it takes, of both together, if the difference stays what it is.
    pub more_callers: Option<String>,
    /// The difference of the means; null as long as too little is known.
    pub difference: Option<Interval>,
    /// The same as a share of what the control has; null too where that may be 0.
    pub relative: Option<Interval>,
    /// How likely it is that any comparison of the experiment shows as much at any time, if no variant differs.
    pub p_value: Option<f64>,
}

/// What to do about a variant, by one metric.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The split is broken: find out why, and begin again.
    Broken,
    /// Too few callers to say anything, or the mean rests on too few of them.
    TooEarly,
    /// Nothing is decided yet.
    NotYet,
    /// It is better than the control.
    Better,
    /// It is worse.
    Worse,
}

/// What is estimated, and between which values it lies.
#[derive(SimpleObject)]
pub struct Interval {
    /// The estimate.
    pub value: f64,
    /// It is no less than that.
    pub low: f64,
    /// It is no more than that.
    pub high: f64,
}

impl From<Estimate> for Interval {
    fn from(Estimate { value, low, high }: Estimate) -> Self {
        Self { value, low, high }
    }
}

impl From<report::Compared> for ComparedWithControl {
    fn from(compared: report::Compared) -> Self {
        let report::Compared { verdict, difference, relative, p_value } = compared;
        let (verdict, more_callers) = match verdict {
            report::Verdict::Broken => (Verdict::Broken, None),
            report::Verdict::TooEarly => (Verdict::TooEarly, None),
            report::Verdict::NotYet { more_callers } => (Verdict::NotYet, more_callers),
            report::Verdict::Better => (Verdict::Better, None),
            report::Verdict::Worse => (Verdict::Worse, None),
        };
        Self {
            verdict,
            more_callers: more_callers.map(|more| more.to_string()),
            difference: difference.map(Interval::from),
            relative: relative.map(Interval::from),
            p_value,
        }
    }
}

impl From<report::MetricReport> for ExperimentMetric {
    fn from(metric: report::MetricReport) -> Self {
        let report::MetricReport { name, kind, goal, variants } = metric;
        let of = |report::MetricOfVariant { variant, mean, compared }| MetricOfVariant {
            variant,
            mean,
            compared: compared.map(ComparedWithControl::from),
        };
        Self {
            name,
            kind: match kind {
                metrics::MetricKind::Mean => MetricKind::Mean,
                metrics::MetricKind::Conversion => MetricKind::Conversion,
            },
            goal: match goal {
                metrics::Goal::Increase => MetricGoal::Increase,
                metrics::Goal::Decrease => MetricGoal::Decrease,
            },
            variants: variants.into_iter().map(of).collect(),
        }
    }
}

impl ExperimentReport {
    fn of(report: report::ExperimentReport) -> Result<Self> {
        let json = serde_json::to_string(&report).map_err(unavailable)?;
        let report::ExperimentReport {
            experiment,
            is_running,
            variants,
            split,
            alpha,
            metrics,
            left_out,
            moved,
            words,
        } = report;
        let variant = |report::VariantReport { name, release, share_set, callers }| ExperimentVariant {
            name,
            release: release.to_string(),
            share_set,
            callers: callers.to_string(),
        };
        Ok(Self {
            experiment: experiment.to_string(),
            is_running,
            words,
            variants: variants.into_iter().map(variant).collect(),
            split: ExperimentSplit { p_value: split.p_value, is_broken: split.is_broken },
            alpha,
            metrics: metrics.into_iter().map(ExperimentMetric::from).collect(),
            left_out: left_out.to_string(),
            moved: moved.to_string(),
            json,
        })
    }
}

/// What is known of the experiment that a rollout of that number is; without a number, of the last one.
pub fn report(context: &Context<'_>, experiment: Option<String>) -> Result<ExperimentReport> {
    let is_no_number = |_| bad("experiment is the number of a rollout, such as 3");
    let number = experiment.map(|text| text.parse::<u64>().map_err(is_no_number)).transpose()?;
    let known = experiment::report(context.data::<Engine>()?.observations(), number);
    ExperimentReport::of(known.map_err(|error| refused(ErrorCode::NotFound, error.to_string()))?)
}
