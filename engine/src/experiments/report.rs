//! What is known of an experiment: the numbers for programs, and sentences made of them.
//!
//! Rule: all comparisons of an experiment together are wrong no more often than its `alpha` says. So each is made at `alpha` by the number
//! of comparisons (Bonferroni), intervals included: what the intervals say and what the p-values say is the same.

use serde::{Deserialize, Serialize};
use weir_schema::metrics::{Goal, Metric, MetricKind};

use super::design::Design;
use super::observations::VariantSummary;
use super::statistics::boundary::Boundary;
use super::statistics::comparison::{Comparison, Estimate, compare};
use super::statistics::sample::Sample;
use super::statistics::split;
use super::words;

/// What is known of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentReport {
    /// Its number.
    pub experiment: u64,
    /// Whether callers are still counted.
    pub is_running: bool,
    /// The variants, the control first.
    pub variants: Vec<VariantReport>,
    /// Whether callers were split between them as was set.
    pub split: SplitReport,
    /// How often an experiment whose variants are all alike may be taken for one in which something differs.
    pub alpha: f64,
    /// Each metric, by variant.
    pub metrics: Vec<MetricReport>,
    /// Exposures of callers that are not counted, as there were too many.
    pub left_out: u64,
    /// Exposures of callers to another variant than the one that they count for.
    pub moved: u64,
    /// All of that in sentences, what matters most first.
    pub words: Vec<String>,
}

/// How an experiment stands, beside what is known of its variants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// As in [`ExperimentReport`].
    pub is_running: bool,
    /// As in [`ExperimentReport`].
    pub left_out: u64,
    /// As in [`ExperimentReport`].
    pub moved: u64,
}

/// A variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VariantReport {
    /// Its name.
    pub name: String,
    /// The sequence of its release.
    pub release: u64,
    /// The share of the callers that it was to have.
    pub share_set: f64,
    /// How many callers it has.
    pub callers: u64,
}

/// Whether callers were split as was set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SplitReport {
    /// How likely such a split is at any time, if each caller goes to a variant with the chance that was set.
    pub p_value: f64,
    /// Whether that is too unlikely: then nothing else of the report is to be believed.
    pub is_broken: bool,
}

/// A metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricReport {
    /// Its name.
    pub name: String,
    /// What of it is compared.
    pub kind: MetricKind,
    /// Which way is better.
    pub goal: Goal,
    /// Each variant, the control first.
    pub variants: Vec<MetricOfVariant>,
}

/// A metric of a variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricOfVariant {
    /// The variant's name.
    pub variant: String,
    /// What its callers have.
    pub mean: f64,
    /// In comparison with the control; absent of the control itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared: Option<Compared>,
}

/// A variant in comparison with the control.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Compared {
    /// What to do.
    pub verdict: Verdict,
    /// The difference of the means, and between which values it lies; absent as long as too little is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<Estimate>,
    /// The same as a share of what the control has; absent too where that may be 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative: Option<Estimate>,
    /// How likely it is that any comparison of the experiment shows as much at any time, if no variant differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_value: Option<f64>,
}

/// What to do about a variant, by one metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum Verdict {
    /// The split is broken: find out why, and begin again.
    Broken,
    /// Too few callers to say anything, or the mean rests on too few of them.
    TooEarly,
    /// Nothing is decided yet.
    #[serde(rename_all = "camelCase")]
    NotYet {
        /// How many callers more it takes, of both variants together, if the difference stays what it is; absent where there is none.
        more_callers: Option<u64>,
    },
    /// It is better than the control.
    Better,
    /// It is worse.
    Worse,
}

impl ExperimentReport {
    /// What may be concluded from what is known of the variants.
    pub fn of(experiment: u64, design: &Design, summary: &[VariantSummary], standing: Standing) -> Self {
        let weights = design.weights();
        let all: f64 = weights.iter().sum();
        let callers: Vec<u64> = summary.iter().map(|variant| variant.callers).collect();
        let p_value = split::p_value(&callers, &weights);
        let split = SplitReport { p_value, is_broken: p_value < split::P_BROKEN };
        let variant = |((variant, weight), callers): ((&super::Variant, &f64), &u64)| VariantReport {
            name: variant.name.clone(),
            release: variant.release,
            share_set: weight / all,
            callers: *callers,
        };
        let variants = design.variants.iter().zip(&weights).zip(&callers).map(variant).collect();
        let metrics =
            design.metrics.iter().map(|(name, metric)| of_metric(design, summary, &split, name, metric)).collect();
        let Standing { is_running, left_out, moved } = standing;
        let words = Vec::new();
        let alpha = design.alpha;
        let report = Self { experiment, is_running, variants, split, alpha, metrics, left_out, moved, words };
        Self { words: words::of(&report), ..report }
    }
}

fn of_metric(
    design: &Design,
    summary: &[VariantSummary],
    split: &SplitReport,
    name: &str,
    metric: &Metric,
) -> MetricReport {
    let sample = |variant: &VariantSummary| variant.metrics.get(name).copied().unwrap_or_default();
    let control = summary.first().map(sample).unwrap_or_default();
    let weight = |place: usize| design.variants.get(place).map_or(0.0, |variant| f64::from(variant.weight));
    let all: f64 = design.weights().iter().sum();
    let of = |(place, variant): (usize, &VariantSummary)| {
        // So many of the callers that are planned see one of the two.
        let planned = design.callers_planned as f64 * (weight(0) + weight(place)) / all;
        let boundary = Boundary::new(design.alpha / design.comparisons().max(1) as f64, planned as u64);
        let compared = (place > 0).then(|| compared(design, split, metric.goal, &control, &sample(variant), &boundary));
        MetricOfVariant { variant: variant.name.clone(), mean: sample(variant).mean(), compared }
    };
    let variants = summary.iter().enumerate().map(of).collect();
    MetricReport { name: name.to_owned(), kind: metric.kind, goal: metric.goal, variants }
}

fn compared(
    design: &Design,
    split: &SplitReport,
    goal: Goal,
    control: &Sample,
    variant: &Sample,
    boundary: &Boundary,
) -> Compared {
    let Some(Comparison { difference, relative, p_value, more_callers }) = compare(control, variant, boundary) else {
        let verdict = if split.is_broken { Verdict::Broken } else { Verdict::TooEarly };
        return Compared { verdict, difference: None, relative: None, p_value: None };
    };
    let is_decided = p_value <= boundary.alpha();
    let is_better = (difference.value > 0.0) == (goal == Goal::Increase);
    let verdict = match (split.is_broken, is_decided, is_better) {
        (true, ..) => Verdict::Broken,
        (false, false, _) => Verdict::NotYet { more_callers },
        (false, true, true) => Verdict::Better,
        (false, true, false) => Verdict::Worse,
    };
    let p_value = (p_value * design.comparisons() as f64).min(1.0);
    Compared { verdict, difference: Some(difference), relative, p_value: Some(p_value) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use expect_test::{Expect, expect};
    use indexmap::IndexMap;

    use super::super::observations::tests::design;
    use super::*;

    /// Callers, what their orders are worth (each order 20), and how many have ordered.
    fn variant(name: &str, callers: u64, orders: u64) -> VariantSummary {
        let (sum, squares) = (orders as f64 * 20.0, orders as f64 * 400.0);
        let greatest = if orders > 0 { 20.0 } else { 0.0 };
        let value = Sample { callers, sum, squares, greatest, ..Sample::default() };
        let metrics = [("order_value", value), ("ordered", Sample::conversions(callers, orders))];
        let metrics: IndexMap<_, _> = metrics.map(|(name, sample)| (name.to_owned(), sample)).into_iter().collect();
        VariantSummary { name: name.to_owned(), callers, metrics }
    }

    fn check(summary: &[VariantSummary], expected: Expect) {
        expected.assert_eq(&ExperimentReport::of(3, &design(), summary, Standing::default()).words.join("\n"));
    }

    #[test]
    fn a_report_says_what_to_do() {
        check(
            &[variant("control", 0, 0), variant("B", 0, 0)],
            expect![[r#"
                order_value: too early to say anything of B: too few callers, or the mean rests on a few of them
                ordered: too early to say anything of B: too few callers, or the mean rests on a few of them"#]],
        );
        check(
            &[variant("control", 400, 1), variant("B", 410, 3)],
            expect![[r#"
                order_value: too early to say anything of B: too few callers, or the mean rests on a few of them
                ordered: too early to say anything of B: too few callers, or the mean rests on a few of them"#]],
        );
        check(
            &[variant("control", 4_000, 400), variant("B", 4_050, 430)],
            expect![[r#"
                order_value: not yet: B is 0.1235 above control (95 % between -0.3443 and 0.5912, -15.5 % to +33.7 %, always valid; p = 1.0000): about 140000 more callers of control and B, if the difference stays what it is
                ordered: not yet: B is 0.62 points above control (95 % between -1.7 and 3.0 points, -15.5 % to +33.7 %, always valid; p = 1.0000): about 140000 more callers of control and B, if the difference stays what it is"#]],
        );
        check(
            &[variant("control", 4_000, 400), variant("B", 4_000, 400)],
            expect![[r#"
                order_value: not yet: B is just as control (95 % between -0.4628 and 0.4628, -20.9 % to +26.4 %, always valid; p = 1.0000)
                ordered: not yet: B is just as control (95 % between -2.3 and 2.3 points, -20.9 % to +26.4 %, always valid; p = 1.0000)"#]],
        );
        check(
            &[variant("control", 4_000, 400), variant("B", 4_050, 520)],
            expect![[r#"
                B increases order_value by 0.5679, from 2.00 to 2.57 (95 % between 0.0789 and 1.06, +3.6 % to +60.3 %, always valid; p = 0.0064): enough to decide
                B increases ordered by 2.8 points, from 10.0 % to 12.8 % (95 % between 0.39 and 5.3 points, +3.6 % to +60.3 %, always valid; p = 0.0064): enough to decide"#]],
        );
        check(
            &[variant("control", 4_000, 520), variant("B", 4_050, 400)],
            expect![[r#"
                B decreases order_value by 0.6247, from 2.60 to 1.98 (95 % between -1.11 and -0.1355, -39.1 % to -5.8 %, always valid; p = 0.0012), and it was to increase: enough to decide
                B decreases ordered by 3.1 points, from 13.0 % to 9.9 % (95 % between -5.6 and -0.68 points, -39.1 % to -5.8 %, always valid; p = 0.0012), and it was to increase: enough to decide"#]],
        );
        check(
            &[variant("control", 4_500, 400), variant("B", 4_000, 520)],
            expect![[r#"
                stop: the split is 52.9 : 47.1 where 50.0 : 50.0 was set: the assignment is broken (p < 0.0001), so nothing else here is to be believed
                order_value: B goes from 1.78 to 2.60 (95 % between 0.3519 and 1.29, +17.9 % to +82.8 %, always valid; p < 0.0001)
                ordered: B goes from 8.9 % to 13.0 % (95 % between 1.8 and 6.5 points, +17.9 % to +82.8 %, always valid; p < 0.0001)"#]],
        );
    }

    #[test]
    fn a_report_says_what_stands_against_it() {
        let standing = Standing { is_running: true, left_out: 7, moved: 3 };
        let summary = [variant("control", 400, 1), variant("B", 410, 3)];
        let words = ExperimentReport::of(3, &design(), &summary, standing).words;
        expect![[r#"
            3 times a caller saw another variant than the one that it counts for, which makes differences look smaller
            1000000 callers are counted, and no more: others came 7 times"#]]
        .assert_eq(&words[2..].join("\n"));
    }

    #[test]
    fn less_is_better_where_the_goal_is_to_decrease() {
        let mut design = design();
        design.metrics.values_mut().for_each(|metric| metric.goal = Goal::Decrease);
        let report = ExperimentReport::of(
            3,
            &design,
            &[variant("control", 4_000, 520), variant("B", 4_050, 400)],
            Standing::default(),
        );
        let verdicts: Vec<Verdict> =
            report.metrics.iter().map(|metric| metric.variants[1].compared.as_ref().unwrap().verdict).collect();
        assert_eq!(verdicts, [Verdict::Better, Verdict::Better]);
    }

    #[test]
    fn with_more_comparisons_each_has_to_show_more() {
        let summary = [variant("control", 4_000, 400), variant("B", 4_000, 500), variant("C", 4_000, 500)];
        let decided = |count: usize| {
            let mut design = design();
            design.metrics.truncate(1);
            let release =
                |place: u64| super::super::Variant { name: format!("v{place}"), release: 8 + place, weight: 1 };
            design.variants.truncate(1);
            design.variants.extend((1..count as u64).map(release));
            let mut summary = summary.to_vec();
            summary.resize(count, variant("D", 4_000, 400));
            let report = ExperimentReport::of(3, &design, &summary, Standing::default());
            let compared = report.metrics[0].variants[1].compared.clone().unwrap();
            (compared.verdict == Verdict::Better, compared.p_value.unwrap(), compared.difference.unwrap())
        };
        let [two, ten] = [2, 10].map(decided);
        assert!(two.0 && !ten.0, "{two:?} {ten:?}");
        assert!(ten.1 > 5.0 * two.1 && ten.2.low < two.2.low && ten.2.high > two.2.high);
    }

    #[test]
    fn a_report_has_one_form_for_programs() {
        let report = ExperimentReport::of(
            3,
            &design(),
            &[variant("control", 4_000, 400), variant("B", 4_050, 520)],
            Standing::default(),
        );
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<ExperimentReport>(&text).unwrap(), report);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let compared = &value["metrics"][1]["variants"][1]["compared"];
        assert_eq!(compared["verdict"], serde_json::json!({ "is": "better" }));
        assert!(compared["difference"]["low"].as_f64().unwrap() > 0.0 && value["split"]["isBroken"] == false);
    }
}
