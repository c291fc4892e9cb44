//! Quantiles of times.

use std::time::Duration;

/// In milliseconds: the time that so many of a hundred took at most.
pub fn quantile(times: &[Duration], percent: usize) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)].as_secs_f64() * 1e3
}

/// A line with the median, two more quantiles and the longest.
pub fn show(name: &str, times: &[Duration]) {
    let [p50, p90, p99, longest] = [50, 90, 99, 100].map(|percent| quantile(times, percent));
    let count = times.len();
    println!("{name:<58} p50 {p50:>8.2} ms, p90 {p90:>8.2}, p99 {p99:>8.2}, longest {longest:>8.2}; {count}");
}
