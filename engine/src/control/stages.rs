//! How long the stages of a deployment took, for the log: `verified 0.41 ms, compiled 12.30 ms`.

use std::fmt;
use std::time::{Duration, Instant};

/// What has been passed, and how long each took.
pub(crate) struct Stages {
    since: Instant,
    passed: Vec<(&'static str, Duration)>,
}

impl Stages {
    /// The first one begins now.
    pub(crate) fn begin() -> Self {
        Self { since: Instant::now(), passed: Vec::new() }
    }

    /// One is over, and the next begins.
    pub(crate) fn passed(&mut self, stage: &'static str) {
        let now = Instant::now();
        self.passed.push((stage, now.saturating_duration_since(self.since)));
        self.since = now;
    }
}

impl fmt::Display for Stages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (stage, took)) in self.passed.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{stage} {:.2} ms", took.as_secs_f64() * 1e3)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_told_in_order() {
        let took = [("verified", 410), ("compiled", 12_300)];
        let passed = took.map(|(stage, us)| (stage, Duration::from_micros(us))).to_vec();
        let stages = Stages { passed, ..Stages::begin() };
        assert_eq!(stages.to_string(), "verified 0.41 ms, compiled 12.30 ms");
    }
}
