//! A variant against the control.

use serde::{Deserialize, Serialize};

use super::boundary::Boundary;
use super::sample::Sample;

/// Callers that each variant has to have before anything is said.
pub const CALLERS_MIN: u64 = 50;
/// Callers that have to carry the variance of each variant ([`Sample::carriers`]): with fewer a mean is not normal enough.
pub const CARRIERS_MIN: f64 = 3.0;

/// What is estimated, and between which values it lies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// It is no less than that.
    pub low: f64,
    /// It is no more than that.
    pub high: f64,
}

/// What a variant does to the mean of a metric, in comparison with the control.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// Its mean less that of the control.
    pub difference: Estimate,
    /// The same as a share of the control's mean; `None` where that may be 0.
    pub relative: Option<Estimate>,
    /// The probability of such a difference at any time, if there were none.
    pub p_value: f64,
    /// How many callers more it takes, with the difference that is there, to tell it from none; 0 if that is so already. `None`:
    /// there is no difference at all.
    pub more_callers: Option<u64>,
}

/// Compares two variants; `None` where that would say nothing, as there are too few callers or the mean rests on too few of them.
pub fn compare(control: &Sample, variant: &Sample, boundary: &Boundary) -> Option<Comparison> {
    let says_something = |sample: &Sample| sample.callers >= CALLERS_MIN && sample.carriers() >= CARRIERS_MIN;
    if !says_something(control) || !says_something(variant) {
        return None;
    }
    let callers = (control.callers + variant.callers) as f64;
    let square = boundary.square(callers);
    let [of_control, of_variant] = variances_of_means(control, variant);
    let variance = of_control + of_variant;
    let value = variant.mean() - control.mean();
    let half = (square * variance).sqrt();
    let difference = Estimate { value, low: value - half, high: value + half };
    let away = value * value / variance;
    Some(Comparison {
        difference,
        relative: relative(control.mean(), of_control, variant.mean(), of_variant, square),
        p_value: boundary.p_value(away, callers),
        more_callers: more_callers(boundary, callers, away),
    })
}

/// The variances of both means, together no less than if one caller of either variant varied as much as one of the other. A mean of few
/// skewed values tends to be low just when their variance looks small, so that a small variant beside a large one would be believed too
/// often; the callers of both together say better how much one varies. With equally many of both it makes no difference.
fn variances_of_means(control: &Sample, variant: &Sample) -> [f64; 2] {
    let own = [control, variant].map(Sample::variance_of_mean);
    let freedom = |sample: &Sample| sample.callers.saturating_sub(1) as f64;
    let scatter = freedom(control) * control.variance() + freedom(variant) * variant.variance();
    let pooled =
        scatter / (freedom(control) + freedom(variant)) * (1.0 / control.callers as f64 + 1.0 / variant.callers as f64);
    let widened = (pooled / own.iter().sum::<f64>()).max(1.0);
    own.map(|own| own * widened)
}

/// The ratio of two means less 1, by Fieller's theorem: `r` is possible where `variant - r control` may be 0, which is a quadratic
/// inequality in `r`.
fn relative(control: f64, of_control: f64, variant: f64, of_variant: f64, square: f64) -> Option<Estimate> {
    let a = control * control - square * of_control;
    let b = control * variant;
    let c = variant * variant - square * of_variant;
    if a <= 0.0 {
        return None;
    }
    // It is 0 at least, for the estimate itself is possible.
    let root = (b * b - a * c).max(0.0).sqrt();
    let (one, other) = ((b - root) / a - 1.0, (b + root) / a - 1.0);
    Some(Estimate { value: variant / control - 1.0, low: one.min(other), high: one.max(other) })
}

/// How many callers more, if the distance grows as it does with a difference that stays.
fn more_callers(boundary: &Boundary, callers: f64, away: f64) -> Option<u64> {
    let is_enough = |times: f64| away * times >= boundary.square(callers * times);
    if is_enough(1.0) {
        return Some(0);
    }
    let (mut low, mut high) = (1.0, 2.0);
    while !is_enough(high) {
        (low, high) = (high, high * 2.0);
        if high > 1e9 {
            return None;
        }
    }
    for _ in 0..50 {
        let middle = 0.5 * (low + high);
        if is_enough(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some((callers * (high - 1.0)).ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boundary() -> Boundary {
        Boundary::new(0.05, 20_000)
    }

    #[test]
    fn a_clear_difference_is_told_in_points_and_as_a_share() {
        let (control, variant) = (Sample::conversions(10_000, 1_000), Sample::conversions(10_000, 1_200));
        let compared = compare(&control, &variant, &boundary()).unwrap();
        let Estimate { value, low, high } = compared.difference;
        // The standard error is 0.004420, and the boundary 3.0350 of these.
        assert!((value - 0.02).abs() < 1e-12 && (low - 0.006_585).abs() < 1e-5 && (high - 0.033_415).abs() < 1e-5);
        let share = compared.relative.unwrap();
        assert!((share.value - 0.2).abs() < 1e-12 && share.low > 0.05 && share.high < 0.4, "{share:?}");
        assert!(compared.p_value < 0.001 && compared.more_callers == Some(0), "{compared:?}");
    }

    #[test]
    fn intervals_and_p_values_never_contradict_each_other() {
        for converted in (700..1_400).step_by(7) {
            let (control, variant) = (Sample::conversions(10_000, 1_000), Sample::conversions(9_000, converted));
            let Comparison { difference, relative, p_value, more_callers } =
                compare(&control, &variant, &boundary()).unwrap();
            let excludes = |estimate: Estimate| estimate.low > 0.0 || estimate.high < 0.0;
            let is_decided = p_value <= 0.05;
            assert_eq!(excludes(difference), is_decided, "{converted}");
            assert_eq!(excludes(relative.unwrap()), is_decided, "{converted}");
            assert_eq!(more_callers == Some(0), is_decided, "{converted}");
        }
    }

    #[test]
    fn with_as_many_callers_more_as_it_says_it_is_decided() {
        let (control, variant) = (Sample::conversions(2_000, 200), Sample::conversions(2_000, 220));
        let more = compare(&control, &variant, &boundary()).unwrap().more_callers.unwrap();
        let times = 1.0 + more as f64 / 4_000.0;
        let grown = |converted: f64, slack: f64| {
            Sample::conversions((2_000.0 * times * slack) as u64, (converted * times * slack) as u64)
        };
        let is_decided = |slack| {
            let compared = compare(&grown(200.0, slack), &grown(220.0, slack), &boundary()).unwrap();
            compared.p_value <= 0.05
        };
        assert!(is_decided(1.01) && !is_decided(0.99));
    }

    #[test]
    fn nothing_is_said_where_few_callers_decide() {
        let many = Sample::conversions(10_000, 1_000);
        for few in [
            Sample::default(),
            Sample::conversions(10_000, 2),
            Sample::conversions(49, 20),
            Sample::conversions(90, 90),
        ] {
            assert_eq!(compare(&many, &few, &boundary()), None, "{few:?}");
            assert_eq!(compare(&few, &many, &boundary()), None, "{few:?}");
        }
        // One of the callers has ordered for as much as all others.
        let whale = Sample {
            callers: 10_000,
            sum: 20_000.0,
            squares: 1e8 + 1e4,
            least: 0.0,
            greatest: 10_000.0,
            ..Sample::default()
        };
        assert_eq!(compare(&many, &whale, &boundary()), None);
        // Half of all values negative: the mean of the control may be 0, so there is no share of it.
        let around =
            Sample { callers: 10_000, sum: 10.0, squares: 10_000.0, least: -1.0, greatest: 1.0, ..Sample::default() };
        let compared = compare(&around, &around, &boundary()).unwrap();
        assert_eq!((compared.relative, compared.more_callers), (None, None));
        assert_eq!((compared.p_value, compared.difference.value), (1.0, 0.0));
    }
}
