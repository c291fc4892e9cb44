//! What a run of a benchmark gives.

use std::time::Duration;

/// Rate and times of the answers of one run.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    pub per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
}

impl Figures {
    /// Of the times of all answers, in microseconds.
    pub fn new(mut times_us: Vec<f64>, per_second: f64) -> Self {
        times_us.sort_unstable_by(f64::total_cmp);
        let quantile = |percent: usize| times_us[times_us.len() * percent / 100];
        Self { per_second, p50_us: quantile(50), p99_us: quantile(99) }
    }

    /// Of the times of all answers in a run of this length.
    pub fn of(times: &[Duration], run: Duration) -> Self {
        let times_us = times.iter().map(|time| time.as_secs_f64() * 1e6).collect();
        Self::new(times_us, times.len() as f64 / run.as_secs_f64())
    }

    /// The run in the middle, by rate.
    pub fn median(mut runs: Vec<Self>) -> Self {
        runs.sort_unstable_by(|a, b| a.per_second.total_cmp(&b.per_second));
        runs[runs.len() / 2]
    }
}
