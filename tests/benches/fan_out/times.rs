//! How long rounds took.

use std::fmt;
use std::time::Instant;

/// One mutation.
pub struct Round {
    /// Just before it was sent.
    pub asked: Instant,
    /// Its response was read.
    pub answered: Instant,
    /// The last subscriber has read the new value.
    pub last: Instant,
}

/// Of rounds, in milliseconds.
#[derive(Default)]
pub struct Times {
    from_request: Vec<f64>,
    /// Below zero where all was delivered before the response was read.
    from_response: Vec<f64>,
}

impl Times {
    pub fn push(&mut self, round: Round) {
        let after_request = |instant: Instant| (instant - round.asked).as_secs_f64() * 1e3;
        self.from_request.push(after_request(round.last));
        self.from_response.push(after_request(round.last) - after_request(round.answered));
    }

    /// The median from the request to the last delivery.
    pub fn p50_ms(&self) -> f64 {
        quantile(&self.from_request, 50)
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99] = [50, 99].map(|percent| quantile(&self.from_request, percent));
        let [p50_after, p99_after] = [50, 99].map(|percent| quantile(&self.from_response, percent));
        let count = self.from_request.len();
        write!(
            f,
            "to the last p50 {p50:>9.2} ms, p99 {p99:>9.2}; from the response {p50_after:>9.2}, {p99_after:>9.2}; {count} rounds"
        )
    }
}

fn quantile(times: &[f64], percent: usize) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted[sorted.len() * percent / 100]
}
