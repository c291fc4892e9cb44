//! Ten thousand experiments of each kind, with fixed seeds: whoever looks all the time is wrong no more often than was promised.
//!
//! The counts are the same in every run. What they are compared with is the promise itself.

use super::boundary::Boundary;
use super::comparison::{Estimate, compare};
use super::functions::normal_quantile;
use super::power::{Plan, plan, plan_conversion};
use super::sample::Sample;
use super::split;

const EXPERIMENTS: u64 = 10_000;
const ALPHA: f64 = 0.05;

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// How many of a batch of callers convert: the cumulative probabilities.
struct Batch {
    callers: u64,
    upto: Vec<f64>,
}

impl Batch {
    fn new(callers: u64, p: f64) -> Self {
        let mut probability = (1.0 - p).powi(callers as i32);
        let mut upto = vec![probability];
        for k in 1..=callers {
            probability *= (callers - k + 1) as f64 / k as f64 * p / (1.0 - p);
            upto.push(upto[k as usize - 1] + probability);
        }
        Self { callers, upto }
    }

    fn draw(&self, random: &mut Random) -> u64 {
        let share = random.share();
        let found = self.upto.iter().position(|upto| share < *upto);
        found.unwrap_or(self.upto.len() - 1) as u64
    }
}

/// Where the value of a caller comes from: one of so many values that are as frequent as each other.
struct Values(Vec<f64>);

impl Values {
    /// A log-normal distribution of which the normal one has a standard deviation of 1, by its quantiles. Its skewness is 6.
    fn log_normal() -> Self {
        let count = 1 << 14;
        Self((0..count).map(|at| normal_quantile((at as f64 + 0.5) / count as f64).exp()).collect())
    }

    fn draw(&self, random: &mut Random) -> f64 {
        self.0[(random.next() >> 50) as usize]
    }

    fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }

    fn variance(&self) -> f64 {
        let mean = self.mean();
        self.0.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / self.0.len() as f64
    }
}

fn join(sample: &mut Sample, value: f64) {
    sample.join();
    sample.change(0.0, value);
}

/// What somebody sees who looks again and again, and what is true.
struct Looks {
    boundary: Boundary,
    truth: f64,
    /// The truth as a share of the control's mean.
    share: f64,
    /// At how many callers they first believed in a difference.
    decided: Option<u64>,
    /// Whether the truth was ever outside of the interval, for the difference and for the share.
    missed: [bool; 2],
    /// Whether a test that is made to be looked at once ever found a difference.
    fooled: bool,
}

impl Looks {
    fn new(boundary: Boundary, control: f64, truth: f64) -> Self {
        Self { boundary, truth, share: truth / control, decided: None, missed: [false; 2], fooled: false }
    }

    fn look(&mut self, control: &Sample, variant: &Sample) {
        let Some(seen) = compare(control, variant, &self.boundary) else { return };
        let misses = |estimate: &Estimate, truth: f64| truth < estimate.low || truth > estimate.high;
        self.missed[0] |= misses(&seen.difference, self.truth);
        self.missed[1] |= seen.relative.is_some_and(|relative| misses(&relative, self.share));
        if seen.p_value <= ALPHA {
            self.decided.get_or_insert(control.callers);
        }
        let error = (control.variance_of_mean() + variant.variance_of_mean()).sqrt();
        self.fooled |= seen.difference.value.abs() > 1.959_964 * error;
    }
}

/// What came of many experiments.
#[derive(Debug, Default)]
struct Tally {
    decided: u64,
    missed: [u64; 2],
    fooled: u64,
    /// Callers of a variant at the end of all.
    ended: u64,
}

impl Tally {
    fn add(&mut self, looks: &Looks, callers_max: u64) {
        self.decided += u64::from(looks.decided.is_some());
        self.missed[0] += u64::from(looks.missed[0]);
        self.missed[1] += u64::from(looks.missed[1]);
        self.fooled += u64::from(looks.fooled);
        self.ended += looks.decided.unwrap_or(callers_max);
    }

    fn share(count: u64) -> f64 {
        count as f64 / EXPERIMENTS as f64
    }

    /// No difference was there.
    fn check_no_difference(&self) {
        assert!(Self::share(self.decided) <= ALPHA, "{self:?}");
        // The same looks with the test that everybody knows.
        assert!(Self::share(self.fooled) > 3.0 * ALPHA, "{self:?}");
        self.check_coverage();
    }

    fn check_coverage(&self) {
        for missed in self.missed {
            assert!(Self::share(missed) <= ALPHA, "{self:?}");
        }
    }

    /// As many callers came as were planned.
    fn check_power(&self, power: f64, plan: Plan) {
        assert!(Self::share(self.decided) >= power, "{self:?}");
        let ended = Self::share(self.ended);
        assert!((ended / plan.expected - 1.0).abs() < 0.05, "{ended} {plan:?}");
        self.check_coverage();
    }
}

/// Two variants that so many of all callers of each convert at, looked at after each batch of so many of both. So many callers of the
/// control are planned, and so many come.
fn conversions(seed: u64, shares: [f64; 2], batches: [u64; 2], planned: u64, callers_max: u64) -> Tally {
    let [control, variant] = [0, 1].map(|side: usize| Batch::new(batches[side], shares[side]));
    let (mut random, mut tally) = (Random(seed), Tally::default());
    for _ in 0..EXPERIMENTS {
        let mut looks = Looks::new(Boundary::new(ALPHA, 2 * planned), shares[0], shares[1] - shares[0]);
        let (mut callers, mut converted) = ([0, 0], [0, 0]);
        while callers[0] < callers_max {
            callers = [callers[0] + batches[0], callers[1] + batches[1]];
            let more = [control.draw(&mut random), variant.draw(&mut random)];
            converted = [converted[0] + more[0], converted[1] + more[1]];
            let [control, variant] = [0, 1].map(|side: usize| Sample::conversions(callers[side], converted[side]));
            looks.look(&control, &variant);
        }
        tally.add(&looks, callers_max);
    }
    tally
}

/// Two variants whose callers have skewed values, those of the second higher by `difference`, looked at after every few.
fn means(seed: u64, difference: f64, planned: u64, callers_max: u64) -> Tally {
    let values = Values::log_normal();
    let (mut random, mut tally) = (Random(seed), Tally::default());
    for _ in 0..EXPERIMENTS {
        let mut looks = Looks::new(Boundary::new(ALPHA, 2 * planned), values.mean(), difference);
        let (mut control, mut variant) = (Sample::default(), Sample::default());
        while control.callers < callers_max {
            for _ in 0..20 {
                join(&mut control, values.draw(&mut random));
                join(&mut variant, values.draw(&mut random) + difference);
            }
            looks.look(&control, &variant);
        }
        tally.add(&looks, callers_max);
    }
    tally
}

#[test]
fn rare_conversions_are_seldom_taken_for_different() {
    conversions(1, [0.01, 0.01], [100, 100], 2_000, 10_000).check_no_difference();
}

#[test]
fn frequent_conversions_are_seldom_taken_for_different() {
    conversions(2, [0.3, 0.3], [10, 10], 500, 2_500).check_no_difference();
}

#[test]
fn a_small_variant_is_seldom_taken_for_different() {
    conversions(3, [0.1, 0.1], [45, 5], 900, 4_500).check_no_difference();
    conversions(4, [0.1, 0.15], [90, 10], 900, 4_500).check_coverage();
    conversions(5, [0.15, 0.1], [10, 90], 100, 500).check_coverage();
}

#[test]
fn skewed_means_are_seldom_taken_for_different() {
    means(6, 0.0, 400, 1_600).check_no_difference();
}

#[test]
fn conversions_that_differ_are_found_as_often_as_was_planned() {
    let plan = plan_conversion(0.1, 0.02, ALPHA, 0.8).unwrap();
    conversions(7, [0.1, 0.12], [50, 50], plan.callers, plan.callers).check_power(0.8, plan);
    let plan = plan_conversion(0.01, 0.005, ALPHA, 0.9).unwrap();
    conversions(8, [0.01, 0.015], [250, 250], plan.callers, plan.callers).check_power(0.9, plan);
}

#[test]
fn skewed_means_that_differ_are_found_as_often_as_was_planned() {
    let plan = plan(Values::log_normal().variance(), 0.25, ALPHA, 0.8).unwrap();
    means(9, 0.25, plan.callers, plan.callers).check_power(0.8, plan);
}

/// The values of callers go on growing while others come, which no theorem about independent callers allows for. It makes errors rarer:
/// what has been seen is more like what comes, so there are fewer chances to be wrong.
#[test]
fn totals_that_grow_are_seldom_taken_for_different() {
    let (mut random, mut tally) = (Random(10), Tally::default());
    let (callers_max, planned) = (800, 400);
    let mut totals: Vec<(bool, f64)> = Vec::new();
    for _ in 0..EXPERIMENTS {
        totals.clear();
        let mut looks = Looks::new(Boundary::new(ALPHA, planned), 1.0, 0.0);
        let mut samples = [Sample::default(), Sample::default()];
        while totals.len() < callers_max {
            let drawn = random.next();
            totals.push((drawn % 2 == 0, 0.0));
            samples[usize::from(drawn % 2 == 0)].join();
            for drawn in [drawn >> 32, drawn >> 8 & 0xff_ffff] {
                let at = drawn as usize % totals.len();
                let (side, total) = totals[at];
                samples[usize::from(side)].change(total, total + 1.0);
                totals[at].1 += 1.0;
            }
            if totals.len().is_multiple_of(10) {
                looks.look(&samples[0], &samples[1]);
            }
        }
        tally.add(&looks, callers_max as u64);
    }
    // What the share would be is not known: early callers have more than late ones.
    assert!(Tally::share(tally.decided) <= ALPHA && Tally::share(tally.missed[0]) <= ALPHA, "{tally:?}");
    assert!(Tally::share(tally.fooled) > ALPHA, "{tally:?}");
}

#[test]
fn a_split_that_is_right_is_seldom_taken_for_broken() {
    let batch = Batch::new(40, 0.5);
    let mut random = Random(11);
    let mut broken = |looks: u64, shares: [f64; 2]| {
        let mut callers = [0, 0];
        (0..looks).any(|_| {
            let more = batch.draw(&mut random);
            callers = [callers[0] + more, callers[1] + batch.callers - more];
            split::p_value(&callers, &shares) < split::P_BROKEN
        })
    };
    let wrongly = (0..EXPERIMENTS).filter(|_| broken(50, [1.0, 1.0])).count();
    assert!(wrongly as f64 <= split::P_BROKEN * EXPERIMENTS as f64, "{wrongly}");
    // 45 and 55 were set, and it is half and half.
    let found = (0..100).filter(|_| broken(250, [45.0, 55.0])).count();
    assert!(found >= 99, "{found}");
}
