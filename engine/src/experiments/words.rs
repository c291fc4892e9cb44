//! A report in sentences.

use std::fmt;

use weir_schema::metrics::{Goal, MetricKind};

use super::report::{Compared, ExperimentReport, MetricOfVariant, MetricReport, VariantReport, Verdict};
use super::state::CALLERS_MAX;
use super::statistics::comparison::Estimate;

impl fmt::Display for ExperimentReport {
    /// The sentences, and below them the variants with their callers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.is_running { "is running" } else { "is over" };
        writeln!(f, "experiment {} {state}", self.experiment)?;
        for line in &self.words {
            writeln!(f, "{line}")?;
        }
        let mut variants = self.variants.iter().peekable();
        while let Some(VariantReport { name, release, share_set, callers }) = variants.next() {
            let callers_in_words = if *callers == 1 { "caller" } else { "callers" };
            write!(f, "{name}, sequence {release}: {callers} {callers_in_words}, {:.1} % set", share_set * 100.0)?;
            if variants.peek().is_some() {
                writeln!(f)?;
            }
        }
        Ok(())
    }
}

/// The report, what matters most first.
pub(super) fn of(report: &ExperimentReport) -> Vec<String> {
    let mut words = Vec::new();
    if report.split.is_broken {
        words.push(broken(report));
    }
    let control = report.variants.first().map_or("", |variant| variant.name.as_str());
    for metric in &report.metrics {
        let mean = metric.variants.first().map_or(0.0, |variant| variant.mean);
        for variant in metric.variants.iter().skip(1) {
            if let Some(compared) = &variant.compared {
                words.push(sentence(report, metric, variant, compared, control, mean));
            }
        }
    }
    if report.moved > 0 {
        words.push(format!(
            "{} times a caller saw another variant than the one that it counts for, which makes differences look smaller",
            report.moved
        ));
    }
    if report.left_out > 0 {
        words.push(format!("{CALLERS_MAX} callers are counted, and no more: others came {} times", report.left_out));
    }
    words
}

/// `stop: the split is 48.0 : 52.0 where 50.0 : 50.0 was set …`
fn broken(report: &ExperimentReport) -> String {
    let all: u64 = report.variants.iter().map(|variant| variant.callers).sum();
    let shares = |share: &dyn Fn(&super::report::VariantReport) -> f64| {
        let percents = report.variants.iter().map(|variant| format!("{:.1}", share(variant) * 100.0));
        percents.collect::<Vec<_>>().join(" : ")
    };
    format!(
        "stop: the split is {} where {} was set: the assignment is broken ({}), so nothing else here is to be believed",
        shares(&|variant| variant.callers as f64 / all.max(1) as f64),
        shares(&|variant| variant.share_set),
        p_value(report.split.p_value),
    )
}

fn sentence(
    report: &ExperimentReport,
    metric: &MetricReport,
    variant: &MetricOfVariant,
    compared: &Compared,
    control: &str,
    mean: f64,
) -> String {
    let (name, who) = (&metric.name, &variant.variant);
    let (Some(difference), Some(p)) = (compared.difference, compared.p_value) else {
        return format!(
            "{name}: too early to say anything of {who}: too few callers, or the mean rests on a few of them"
        );
    };
    let verb = if difference.value < 0.0 { "decreases" } else { "increases" };
    let of_interval =
        format!("{}, always valid; {}", interval(metric.kind, report.alpha, difference, compared.relative), p_value(p));
    let from_to = format!("from {} to {}", level(metric.kind, mean), level(metric.kind, variant.mean));
    let by = amount(metric.kind, difference.value.abs());
    match compared.verdict {
        Verdict::Better | Verdict::Worse => {
            let is_better = compared.verdict == Verdict::Better;
            let judged = match (is_better, metric.goal) {
                (true, _) => String::new(),
                (false, Goal::Increase) => ", and it was to increase".to_owned(),
                (false, Goal::Decrease) => ", and it was to decrease".to_owned(),
            };
            format!("{who} {verb} {name} by {by}, {from_to} ({of_interval}){judged}: enough to decide")
        }
        Verdict::NotYet { more_callers } => {
            let more = match more_callers {
                None => return format!("{name}: not yet: {who} is just as {control} ({of_interval})"),
                Some(more) if more <= CALLERS_TOLD_MAX => {
                    format!(
                        "about {} more callers of {control} and {who}, if the difference stays what it is",
                        rounded(more)
                    )
                }
                Some(_) => "no number of callers that is worth waiting for would decide it".to_owned(),
            };
            format!("{name}: not yet: {who} is {by} {} ({of_interval}): {more}", beside(difference.value, control))
        }
        Verdict::Broken | Verdict::TooEarly => format!("{name}: {who} goes {from_to} ({of_interval})"),
    }
}

/// A number of callers beyond which it is not told how many it would take.
const CALLERS_TOLD_MAX: u64 = 100_000_000;

fn beside(difference: f64, control: &str) -> String {
    format!("{} {control}", if difference < 0.0 { "below" } else { "above" })
}

/// `95 % between 0.4 and 3.8 points`
fn interval(kind: MetricKind, alpha: f64, difference: Estimate, relative: Option<Estimate>) -> String {
    let promised = (1.0 - alpha) * 100.0;
    let (low, high) = match kind {
        MetricKind::Conversion => (percent(difference.low), format!("{} points", percent(difference.high))),
        MetricKind::Mean => (number(difference.low), number(difference.high)),
    };
    let share = relative.map(|relative| format!(", {:+.1} % to {:+.1} %", relative.low * 100.0, relative.high * 100.0));
    format!("{promised:.0} % between {low} and {high}{}", share.unwrap_or_default())
}

/// `2.1 points`
fn amount(kind: MetricKind, value: f64) -> String {
    match kind {
        MetricKind::Conversion => format!("{} points", percent(value)),
        MetricKind::Mean => number(value),
    }
}

/// `12.1 %`
fn level(kind: MetricKind, value: f64) -> String {
    match kind {
        MetricKind::Conversion => format!("{} %", percent(value)),
        MetricKind::Mean => number(value),
    }
}

/// A share in hundredths.
fn percent(share: f64) -> String {
    let digits = if share.abs() < 0.01 { 2 } else { 1 };
    format!("{:.digits$}", share * 100.0)
}

/// With as many digits as say something.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        large if large >= 100.0 => 0,
        large if large >= 1.0 => 2,
        _ => 4,
    };
    format!("{value:.digits$}")
}

fn p_value(p: f64) -> String {
    if p >= 0.0001 { format!("p = {p:.4}") } else { "p < 0.0001".to_owned() }
}

/// To two digits, since it is a guess.
fn rounded(count: u64) -> u64 {
    let mut unit = 1;
    while count / unit >= 100 {
        unit *= 10;
    }
    count.div_ceil(unit) * unit
}
