//! What a shadow rollout has found: how many runs were compared, in what they differ, how long they took, what they would have given to
//! metrics.
//!
//! Rule: it is in memory alone, of a bounded size, and begins anew with the server. What it shows of arguments and values may be of
//! persons: it is cut, and secrets are named and not shown.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use weir_schema::rollout::Share;

use super::compared::{Aspect, Difference};
use super::latency::{Histogram, Latency};

/// Differences of one function that are shown.
const OF_FUNCTION_MAX: usize = 20;
/// Of all functions together.
const OF_ALL_MAX: usize = 100;
/// Characters of a text of one.
const TEXT_CHARS_MAX: usize = 200;

/// What a shadow rollout finds, as it goes on.
pub(super) struct Report {
    rollout: u64,
    base: String,
    candidate: String,
    share: Share,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    functions: BTreeMap<String, FunctionFound>,
    /// How many differences are shown.
    shown: usize,
    base: Histogram,
    candidate: Histogram,
    /// What the runs of either have given, by the name of the metric.
    metrics: BTreeMap<String, (MetricSum, MetricSum)>,
}

#[derive(Default)]
struct FunctionFound {
    counts: Counts,
    differences: Vec<Shown>,
}

/// How many runs came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Runs that came to the same on both releases.
    pub same: u64,
    /// Runs that did not.
    pub different: u64,
    /// Runs that were not compared: too many others waited, or the second ended for no fault of its function.
    pub skipped: u64,
}

/// What was found so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShadowReport {
    /// The number of the rollout.
    pub rollout: u64,
    /// The release that answers, such as `shop 1.4.0`.
    pub base: String,
    /// The one that is compared with it.
    pub candidate: String,
    /// Of how many calls.
    pub share: Share,
    /// Of all functions together.
    pub counts: Counts,
    /// How long the compared runs took on the release that answers.
    pub base_latency: Latency,
    /// And on the other.
    pub candidate_latency: Latency,
    /// What the compared runs would have given to metrics, by the name of the metric.
    #[serde(default)]
    pub metrics: Vec<MetricReport>,
    /// By function.
    pub functions: Vec<FunctionReport>,
}

/// What would have been given to a metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricReport {
    /// Its name.
    pub metric: String,
    /// By the runs of the release that answers.
    pub base: MetricSum,
    /// By those of the other.
    pub candidate: MetricSum,
}

/// Values of a metric.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricSum {
    /// How many.
    pub values: u64,
    /// Their sum.
    pub sum: f64,
}

impl MetricSum {
    /// Their mean; `None`: there are none.
    pub fn mean(&self) -> Option<f64> {
        (self.values > 0).then(|| self.sum / self.values as f64)
    }

    fn add(&mut self, value: f64) {
        self.values += 1;
        self.sum += value;
    }
}

/// The same of one function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FunctionReport {
    /// Its name.
    pub function: String,
    /// How many runs of it came to what.
    pub counts: Counts,
    /// The first differences.
    pub differences: Vec<Shown>,
}

/// A difference as it is shown. Long texts are cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// In what.
    pub aspect: Aspect,
    /// Where, as a JSON pointer: of documents behind the collection and the id, of jobs behind the id.
    pub path: String,
    /// What the release that answers has there.
    pub base: String,
    /// What the other has.
    pub candidate: String,
    /// The arguments.
    pub arguments: String,
}

impl Report {
    pub(super) fn new(rollout: u64, base: String, candidate: String, share: Share) -> Self {
        Self { rollout, base, candidate, share, found: Mutex::default() }
    }

    pub(super) fn rollout(&self) -> u64 {
        self.rollout
    }

    /// A run was not compared.
    pub(super) fn skip(&self, function: &str) {
        self.found.lock().of(function).counts.skipped += 1;
    }

    /// What a run that was compared has given to metrics on either.
    pub(super) fn measure(&self, base: &[(String, f64)], candidate: &[(String, f64)]) {
        let mut found = self.found.lock();
        for (name, value) in base {
            found.metrics.entry(name.clone()).or_default().0.add(*value);
        }
        for (name, value) in candidate {
            found.metrics.entry(name.clone()).or_default().1.add(*value);
        }
    }

    /// A run was compared, and took so long on either, unless it could not be made. Texts are only worked out for what is shown.
    pub(super) fn add(
        &self,
        function: &str,
        took: Option<(Duration, Duration)>,
        difference: Option<Difference>,
        arguments: &str,
        redact: impl Fn(&str) -> String,
    ) {
        let mut found = self.found.lock();
        if let Some((base, candidate)) = took {
            found.base.add(base);
            found.candidate.add(candidate);
        }
        let shown = found.shown;
        let function = found.of(function);
        let Some(Difference { aspect, path, base, candidate }) = difference else {
            function.counts.same += 1;
            return;
        };
        function.counts.different += 1;
        if shown < OF_ALL_MAX && function.differences.len() < OF_FUNCTION_MAX {
            // Cut after that: half a secret would not be known for one.
            let told = |text: &str| cut(&redact(text));
            let (path, base, candidate) = (told(&path), told(&base), told(&candidate));
            function.differences.push(Shown { aspect, path, base, candidate, arguments: told(arguments) });
            found.shown += 1;
        }
    }

    /// Of all functions together.
    pub(super) fn counts(&self) -> Counts {
        self.found.lock().counts()
    }

    pub(super) fn told(&self) -> ShadowReport {
        let found = self.found.lock();
        let function = |(function, FunctionFound { counts, differences }): (&String, &FunctionFound)| {
            let (function, counts, differences) = (function.clone(), *counts, differences.clone());
            FunctionReport { function, counts, differences }
        };
        ShadowReport {
            rollout: self.rollout,
            base: self.base.clone(),
            candidate: self.candidate.clone(),
            share: self.share,
            counts: found.counts(),
            base_latency: found.base.latency(),
            candidate_latency: found.candidate.latency(),
            metrics: found
                .metrics
                .iter()
                .map(|(metric, (base, candidate))| MetricReport {
                    metric: metric.clone(),
                    base: *base,
                    candidate: *candidate,
                })
                .collect(),
            functions: found.functions.iter().map(function).collect(),
        }
    }
}

impl Found {
    /// That of a function, of which an app has no more than it declares.
    fn of(&mut self, function: &str) -> &mut FunctionFound {
        self.functions.entry(function.to_owned()).or_default()
    }

    fn counts(&self) -> Counts {
        self.functions.values().fold(Counts::default(), |all, FunctionFound { counts, .. }| Counts {
            same: all.same + counts.same,
            different: all.different + counts.different,
            skipped: all.skipped + counts.skipped,
        })
    }
}

/// The beginning of a text, without what moves the cursor of a terminal.
fn cut(text: &str) -> String {
    let printable = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    let mut cut: String = text.chars().take(TEXT_CHARS_MAX).map(printable).collect();
    if text.chars().nth(TEXT_CHARS_MAX).is_some() {
        cut.push('…');
    }
    cut
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { same, different, skipped } = self;
        write!(f, "{} compared, {different} different, {skipped} skipped", same + different)
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50_ms, p95_ms, p99_ms } = self;
        write!(f, "p50 {p50_ms} ms, p95 {p95_ms} ms, p99 {p99_ms} ms")
    }
}

impl fmt::Display for MetricSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { values, sum } = self;
        match self.mean() {
            Some(mean) => write!(f, "{values} values, sum {sum}, mean {mean}"),
            None => f.write_str("no value"),
        }
    }
}

impl fmt::Display for ShadowReport {
    /// In words, line by line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rollout, base, candidate, share, counts, base_latency, candidate_latency, metrics, functions } =
            self;
        writeln!(f, "rollout {rollout}: {share} of the calls of {base} are made on {candidate} too")?;
        writeln!(f, "{counts}")?;
        writeln!(f, "{base}: {base_latency}")?;
        write!(f, "{candidate}: {candidate_latency}")?;
        for MetricReport { metric, base, candidate } in metrics {
            write!(f, "\nmetric {metric}: {base} became {candidate}")?;
        }
        for FunctionReport { function, counts, differences } in functions {
            write!(f, "\n{function}: {counts}")?;
            for Shown { aspect, path, base, candidate, arguments } in differences {
                let at = if path.is_empty() { "" } else { " at " };
                write!(f, "\n  {}{at}{path}: {base} became {candidate}, with {arguments}", aspect.as_str())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report::new(3, "shop 1.0.0".into(), "shop 2.0.0".into(), Share::of(1_000).unwrap())
    }

    fn difference(base: &str) -> Option<Difference> {
        let (path, candidate) = ("/n".to_owned(), "2".to_owned());
        Some(Difference { aspect: Aspect::Result, path, base: base.to_owned(), candidate })
    }

    #[test]
    fn it_is_told_in_words() {
        let report = report();
        let took = Some((Duration::from_micros(16), Duration::from_micros(1_024)));
        report.add("all", took, None, "{}", str::to_owned);
        report.add("one", took, difference("1"), "{\"id\":\"a\"}", str::to_owned);
        report.skip("one");
        report.add("two", None, difference("error: \u{1b}[2J"), "{}", str::to_owned);
        expect_test::expect![[r#"
            rollout 3: 10% of the calls of shop 1.0.0 are made on shop 2.0.0 too
            3 compared, 2 different, 1 skipped
            shop 1.0.0: p50 0.016 ms, p95 0.016 ms, p99 0.016 ms
            shop 2.0.0: p50 1.024 ms, p95 1.024 ms, p99 1.024 ms
            all: 1 compared, 0 different, 0 skipped
            one: 1 compared, 1 different, 1 skipped
              result at /n: 1 became 2, with {"id":"a"}
            two: 1 compared, 1 different, 0 skipped
              result at /n: error: �[2J became 2, with {}"#]]
        .assert_eq(&report.told().to_string());
    }

    #[test]
    fn it_does_not_grow_and_shows_no_secret() {
        let report = report();
        let redact = |text: &str| text.replace("hunter22", "[secret A]");
        for call in 0..1_000 {
            let (function, base) = (format!("f{}", call % 10), format!("{}hunter22", "é".repeat(195)));
            report.add(&function, None, difference(&base), &"x".repeat(10_000), redact);
        }
        let told = report.told();
        assert_eq!(told.counts, Counts { same: 0, different: 1_000, skipped: 0 });
        let shown: Vec<&Shown> = told.functions.iter().flat_map(|function| &function.differences).collect();
        assert_eq!(shown.len(), OF_ALL_MAX);
        assert!(told.functions.iter().all(|function| function.differences.len() <= OF_FUNCTION_MAX));
        assert!(shown.iter().all(|shown| shown.base == format!("{}[secr…", "é".repeat(195))), "{:?}", shown.first());
        assert!(shown.iter().all(|shown| shown.arguments == format!("{}…", "x".repeat(TEXT_CHARS_MAX))));
    }
}
