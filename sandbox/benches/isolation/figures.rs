//! Samples, and what is said of them.

use std::time::Duration;

/// Durations in order.
pub struct Samples(Vec<Duration>);

impl Samples {
    pub fn new(mut samples: Vec<Duration>) -> Self {
        assert!(!samples.is_empty());
        samples.sort_unstable();
        Self(samples)
    }

    /// So many times, after a tenth of it to warm up.
    pub fn of(count: usize, mut once: impl FnMut() -> Duration) -> Self {
        for _ in 0..count / 10 {
            once();
        }
        Self::new((0..count).map(|_| once()).collect())
    }

    pub fn p50(&self) -> Duration {
        self.0[self.0.len() / 2]
    }

    pub fn p99(&self) -> Duration {
        self.0[self.0.len() * 99 / 100]
    }

    pub fn max(&self) -> Duration {
        self.0[self.0.len() - 1]
    }
}

/// How many times as long.
pub fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

/// Whether a figure is what it should be.
pub fn against(figure: Duration, aim: Duration) -> String {
    format!("aim {aim:?}: {}", if figure < aim { "kept" } else { "MISSED" })
}
