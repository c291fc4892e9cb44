//! How long runs took: a histogram of fixed size.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Steps for each doubling of the time: a step is a fifth longer than the one before.
const STEPS: u32 = 4;
/// Up to 2^32 microseconds, which is more than an hour.
const PLACES: usize = 32 * STEPS as usize + 1;

/// How many runs took how long, to a fifth.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    places: Box<[u64; PLACES]>,
}

/// How long runs took: each time is at most a fifth too long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Latency {
    /// Half of them took no longer, in milliseconds.
    pub p50_ms: f64,
    /// Of a hundred 95 took no longer.
    pub p95_ms: f64,
    /// Of a hundred 99 took no longer.
    pub p99_ms: f64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { places: Box::new([0; PLACES]) }
    }
}

impl Histogram {
    pub(super) fn add(&mut self, took: Duration) {
        let micros = took.as_micros().max(1) as f64;
        let place = (micros.log2() * f64::from(STEPS)).ceil() as usize;
        if let Some(count) = self.places.get_mut(place.min(PLACES - 1)) {
            *count += 1;
        }
    }

    pub(super) fn latency(&self) -> Latency {
        let all: u64 = self.places.iter().sum();
        let below = |hundredths: u64| {
            let wanted = (all * hundredths).div_ceil(100).max(1);
            let mut counted = 0;
            let place = self.places.iter().position(|count| {
                counted += count;
                counted >= wanted
            });
            // No run: no time.
            let micros = place.map_or(0.0, |place| (place as f64 / f64::from(STEPS)).exp2());
            micros.round() / 1_000.0
        };
        Latency { p50_ms: below(50), p95_ms: below(95), p99_ms: below(99) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_to_a_fifth() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.latency(), Latency::default());
        for micros in 1..=10_000 {
            histogram.add(Duration::from_micros(micros));
        }
        let Latency { p50_ms, p95_ms, p99_ms } = histogram.latency();
        for (told, exact) in [(p50_ms, 5.0), (p95_ms, 9.5), (p99_ms, 9.9)] {
            assert!(told >= exact && told <= exact * 1.2, "{told} {exact}");
        }
        histogram.add(Duration::MAX);
        histogram.add(Duration::ZERO);
        assert!(histogram.latency().p50_ms < 6.0);
    }
}
