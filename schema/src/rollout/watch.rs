//! What is known of the calls of a release over some time, and the watch over a release after all callers have moved to it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Times are counted in that many classes: four for each doubling, from a microsecond to more than an hour.
pub const LATENCY_CLASSES: usize = 128;

/// The class of a time in microseconds.
pub fn latency_class(us: u64) -> usize {
    if us < 4 {
        return us as usize;
    }
    let doublings = us.ilog2();
    let quarter = (us >> (doublings - 2)) & 3;
    ((doublings as usize - 1) * 4 + quarter as usize).min(LATENCY_CLASSES - 1)
}

/// The least time of a class, in microseconds.
pub fn class_floor_us(class: usize) -> u64 {
    if class < 4 {
        return class as u64;
    }
    let (doublings, quarter) = (class / 4 + 1, class % 4);
    (4 + quarter as u64) << (doublings - 2)
}

/// What was given to a metric of the app. The values of one call count together, since they are not independent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MetricTotal {
    /// How many values.
    pub values: u64,
    /// How many calls gave them.
    pub calls: u64,
    /// The sum of the values.
    pub sum: f64,
    /// The sum, over calls, of the square of what a call gave together.
    pub squares: f64,
    /// That of what a call gave together by how many values these were.
    pub products: f64,
    /// That of the square of how many values a call gave.
    pub counts: f64,
    /// The least mean of a call.
    pub least: f64,
    /// The greatest.
    pub greatest: f64,
    /// The most values of a call.
    pub most: u64,
}

impl MetricTotal {
    /// What one call has given.
    pub fn of_call(values: u64, sum: f64) -> Self {
        let (count, mean) = (values as f64, sum / values.max(1) as f64);
        Self {
            values,
            calls: 1,
            sum,
            squares: sum * sum,
            products: sum * count,
            counts: count * count,
            least: mean,
            greatest: mean,
            most: values,
        }
    }

    /// The same with what others have given.
    pub fn and(self, other: &Self) -> Self {
        if self.calls == 0 {
            return *other;
        }
        if other.calls == 0 {
            return self;
        }
        Self {
            values: self.values.saturating_add(other.values),
            calls: self.calls.saturating_add(other.calls),
            sum: self.sum + other.sum,
            squares: self.squares + other.squares,
            products: self.products + other.products,
            counts: self.counts + other.counts,
            least: self.least.min(other.least),
            greatest: self.greatest.max(other.greatest),
            most: self.most.max(other.most),
        }
    }

    /// The mean of the values; 0 without any.
    pub fn mean(&self) -> f64 {
        if self.values == 0 { 0.0 } else { self.sum / self.values as f64 }
    }

    /// The sum, over calls, of the squares of how far what a call gave together is from what as many values of the mean would be.
    pub fn scatter(&self) -> f64 {
        let mean = self.mean();
        // Rounding may leave less than nothing.
        (self.squares - 2.0 * mean * self.products + mean * mean * self.counts).max(0.0)
    }

    /// How many calls carry that: it is at least so many times what the furthest of them adds.
    pub fn carriers(&self) -> f64 {
        let furthest = self.most as f64 * (self.greatest - self.mean()).max(self.mean() - self.least);
        if furthest > 0.0 { self.scatter() / (furthest * furthest) } else { 0.0 }
    }
}

/// The calls of a release over some time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Health {
    /// Calls that were answered, by a value or by what the app said in `fail`.
    pub answered: u64,
    /// Calls that were refused, which is their callers' fault. They are no calls of the release.
    pub refused: u64,
    /// Calls in which the app threw, or returned what has not the declared type.
    pub failed: u64,
    /// Calls that went past a limit, or whose worker died.
    pub crashed: u64,
    /// How long those took that were answered, by class.
    pub latencies: Vec<u64>,
    /// What was given to metrics of the app, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, MetricTotal>,
}

// Numbers that are none are left out by who counts, so each equals itself.
impl Eq for Health {}

impl Health {
    /// All calls that the release has made something of, or failed to.
    pub fn calls(&self) -> u64 {
        self.answered.saturating_add(self.errors())
    }

    /// Those that are the release's failure.
    pub fn errors(&self) -> u64 {
        self.failed.saturating_add(self.crashed)
    }

    /// How many times there are.
    pub fn timed(&self) -> u64 {
        self.latencies.iter().sum()
    }

    /// The time that so many of a hundred calls take at most, in microseconds, within a quarter; `None` where none was timed.
    pub fn percentile_us(&self, percent: u64) -> Option<u64> {
        let wanted = self.timed().checked_mul(percent)?.div_ceil(100).max(1);
        let mut seen = 0_u64;
        let class = self.latencies.iter().position(|count| {
            seen = seen.saturating_add(*count);
            seen >= wanted
        });
        class.map(|class| class_floor_us(class + 1).saturating_sub(1))
    }

    /// How many calls have surely taken longer than that.
    pub fn slower_than_us(&self, us: u64) -> u64 {
        let is_slower = |class: &usize| class_floor_us(*class) > us;
        self.latencies.iter().enumerate().filter(|(class, _)| is_slower(class)).map(|(_, count)| count).sum()
    }

    /// What has come since an earlier time, without metrics: a difference of sums loses what is small beside a value that was large
    /// once, so that they are kept by parts of the time.
    pub fn since(&self, earlier: &Self) -> Self {
        let old = |class: usize| earlier.latencies.get(class).copied().unwrap_or(0);
        let latencies = self.latencies.iter().enumerate().map(|(class, count)| count.saturating_sub(old(class)));
        Self {
            answered: self.answered.saturating_sub(earlier.answered),
            refused: self.refused.saturating_sub(earlier.refused),
            failed: self.failed.saturating_sub(earlier.failed),
            crashed: self.crashed.saturating_sub(earlier.crashed),
            latencies: latencies.collect(),
            metrics: BTreeMap::new(),
        }
    }
}

/// The watch over a release after all callers have moved to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Watch {
    /// The rollout by which they did.
    pub rollout: u64,
    /// When, in milliseconds since 1970.
    pub since_ms: u64,
    /// Until when, in milliseconds since 1970.
    pub until_ms: u64,
    /// What the release before was like.
    pub before: Health,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_has_a_class_and_no_class_is_wider_than_a_quarter() {
        for class in 0..LATENCY_CLASSES - 1 {
            let (floor, next) = (class_floor_us(class), class_floor_us(class + 1));
            assert_eq!((latency_class(floor), latency_class(next - 1)), (class, class), "{class}");
            assert!(next - floor <= (floor / 4).max(1), "{floor} to {next}");
        }
        assert_eq!((latency_class(u64::MAX), latency_class(3_600_000_000)), (127, 122));
    }

    #[test]
    fn percentiles_are_of_what_came_since() {
        let mut earlier = Health { latencies: vec![0; LATENCY_CLASSES], ..Health::default() };
        assert_eq!(earlier.percentile_us(95), None);
        earlier.latencies[latency_class(900_000)] = 1_000;
        earlier.answered = 1_000;
        let mut now = earlier.clone();
        for us in 1..=1_000 {
            now.latencies[latency_class(us)] += 1;
            now.answered += 1;
        }
        now.failed = 3;
        let since = now.since(&earlier);
        assert_eq!((since.calls(), since.errors(), since.timed()), (1_003, 3, 1_000));
        let [half, most] = [50, 95].map(|percent| since.percentile_us(percent).unwrap_or_default());
        assert!((500..=625).contains(&half) && (950..=1_188).contains(&most), "{half} {most}");
        assert_eq!((since.slower_than_us(1_023), since.slower_than_us(511)), (0, 1_000 - 511));
    }
}
