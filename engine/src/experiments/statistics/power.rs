//! How many callers an experiment needs.
//!
//! The difference in standard errors is, as callers come, a Brownian motion with a drift, in the time that runs from 0 to 1 as callers
//! run from none to the planned number. When it crosses the boundary is computed by integrating its density from look to look
//! (Armitage, McPherson and Rowe 1969), on a fixed grid.
//!
//! A boundary is tuned for the planned number of callers. So in that time it is always the same, and so is the drift which crosses it
//! with a given probability: what an experiment needs is that drift squared, times the variance, by the difference squared.

use super::boundary::Boundary;
use super::functions::{normal, normal_quantile};

/// Looks up to the planned number of callers.
const LOOKS: usize = 100;
/// The width of a cell of the grid. A step from look to look has a standard deviation of 0.1.
const CELL: f64 = 0.02;
/// Cells that a step goes at most: 6 standard deviations.
const STEP_CELLS: usize = 30;

/// What an experiment is expected to need.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// Callers of each of the two variants by which a difference of that size is found with the wanted power.
    pub callers: u64,
    /// Callers of each variant by which, on average, such an experiment is decided, or has reached `callers` without a decision.
    pub expected: f64,
}

/// What comes of looking up to the planned number of callers.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Course {
    /// The probability that the boundary is crossed.
    crossed: f64,
    /// After which share of the callers it is, on average; 1 where it is not.
    ends: f64,
}

/// How many callers it takes to find that the mean of a metric, whose variance between callers is `variance`, differs by
/// `difference`, at level `alpha` with the probability `power`. `None` where no number is enough: there is no difference, or no
/// variance, or a probability is not one.
pub fn plan(variance: f64, difference: f64, alpha: f64, power: f64) -> Option<Plan> {
    let is_probability = |p: f64| p > 0.0 && p < 1.0;
    if !is_probability(alpha) || !is_probability(power) || power < alpha || variance <= 0.0 || difference == 0.0 {
        return None;
    }
    let (drift, ends) = drift(alpha, power);
    // Each variant has as many: the variance of the difference is twice that of a mean.
    let exact = 2.0 * variance * (drift / difference).powi(2);
    if !exact.is_finite() || exact > u64::MAX as f64 {
        return None;
    }
    let callers = exact.ceil();
    Some(Plan { callers: callers as u64, expected: callers * ends })
}

/// The same for a conversion: `baseline` is the share that converts, `difference` what is added to it.
pub fn plan_conversion(baseline: f64, difference: f64, alpha: f64, power: f64) -> Option<Plan> {
    let other = baseline + difference;
    if !(0.0..=1.0).contains(&baseline) || !(0.0..=1.0).contains(&other) {
        return None;
    }
    // The mean of the two variances: each variant has as many callers.
    let variance = 0.5 * (baseline * (1.0 - baseline) + other * (1.0 - other));
    plan(variance, difference, alpha, power)
}

/// The drift with which the boundary is crossed with the given probability, and the share of callers after which it ends.
fn drift(alpha: f64, power: f64) -> (f64, f64) {
    let boundary = Boundary::new(alpha, 1);
    // At the end alone it would be that, which is too much for who looks before.
    let (mut low, mut high) = (0.0, boundary.square(1.0).sqrt() + normal_quantile(power).max(0.0));
    for _ in 0..20 {
        let middle = 0.5 * (low + high);
        if course(&boundary, middle).crossed < power {
            low = middle;
        } else {
            high = middle;
        }
    }
    (high, course(&boundary, high).ends)
}

/// Follows the motion with a drift from look to look.
fn course(boundary: &Boundary, drift: f64) -> Course {
    let step = 1.0 / LOOKS as f64;
    // How far it may be from 0 at a look.
    let edge = |look: usize| {
        let time = look as f64 * step;
        (boundary.square(time) * time).sqrt()
    };
    let cells = ((edge(1).max(edge(LOOKS)) / CELL).ceil() as usize) + 1;
    // From which cell to which, as the middle of each is moved.
    let kernel: Vec<f64> = (0..=2 * STEP_CELLS)
        .map(|at| {
            let moved = (at as f64 - STEP_CELLS as f64) * CELL - drift * step;
            let width = 0.5 * CELL;
            normal((moved + width) / step.sqrt()) - normal((moved - width) / step.sqrt())
        })
        .collect();
    // What is in the cells that are left, the middle one at 0.
    let mut inside = vec![0.0; 2 * cells + 1];
    if let Some(middle) = inside.get_mut(cells) {
        *middle = 1.0;
    }
    let mut ends = 0.0;
    for look in 1..=LOOKS {
        ends += step * inside.iter().sum::<f64>();
        let edge = edge(look);
        let next = |to: usize| {
            let away = (to as f64 - cells as f64).abs() * CELL;
            // The share of the cell that lies inside.
            let share = ((edge - away) / CELL + 0.5).clamp(0.0, 1.0);
            if share == 0.0 {
                return 0.0;
            }
            let from = to.saturating_sub(STEP_CELLS);
            let upto = (to + STEP_CELLS + 1).min(inside.len());
            let sources = inside.get(from..upto).unwrap_or_default().iter();
            let steps = kernel.get(..=to + STEP_CELLS - from).unwrap_or_default().iter().rev();
            share * sources.zip(steps).map(|(source, step)| source * step).sum::<f64>()
        };
        inside = (0..inside.len()).map(next).collect();
    }
    Course { crossed: 1.0 - inside.iter().sum::<f64>(), ends }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_difference_the_boundary_is_rarely_crossed() {
        for alpha in [0.1, 0.05, 0.01] {
            let Course { crossed, ends } = course(&Boundary::new(alpha, 1), 0.0);
            assert!(crossed <= alpha && crossed > alpha / 5.0, "{alpha}: {crossed}");
            assert!(ends > 1.0 - alpha && ends <= 1.0 + 1e-9, "{ends}");
        }
    }

    #[test]
    fn more_power_or_a_smaller_difference_take_more_callers() {
        let callers = |difference, alpha, power| plan_conversion(0.1, difference, alpha, power).unwrap().callers;
        let usual = callers(0.02, 0.05, 0.8);
        assert!(callers(0.02, 0.05, 0.9) > usual && callers(0.02, 0.01, 0.8) > usual);
        let half = callers(0.01, 0.05, 0.8);
        assert!(half > 3 * usual && half < 5 * usual, "{usual} {half}");
        // Who may look only once, at the end, needs 3,841 (z of 1.960 and 0.842): looking at any time costs less than twice that.
        assert!((3_841..2 * 3_841).contains(&usual), "{usual}");
        let plan = plan_conversion(0.1, 0.02, 0.05, 0.8).unwrap();
        assert!(plan.expected < 0.75 * plan.callers as f64, "{plan:?}");
    }

    #[test]
    fn what_cannot_be_is_not_planned() {
        for (baseline, difference, alpha, power) in [
            (0.1, 0.0, 0.05, 0.8),
            (0.1, 0.95, 0.05, 0.8),
            (0.1, -0.2, 0.05, 0.8),
            (f64::NAN, 0.1, 0.05, 0.8),
            (0.1, 0.1, 0.0, 0.8),
            (0.1, 0.1, 0.05, 1.0),
            (0.1, 0.1, 0.05, 0.01),
            (0.0, 0.0, 0.05, 0.8),
        ] {
            assert_eq!(plan_conversion(baseline, difference, alpha, power), None, "{baseline} {difference}");
        }
        assert_eq!(plan(1.0, 1e-300, 0.05, 0.8), None);
    }
}
