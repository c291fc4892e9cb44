//! Exact tests of counts: how likely it is that chance alone makes them as large. No approximation, which for rare errors among few
//! calls would take a single one for a disaster.

use crate::experiments::statistics::functions::ln_gamma;

/// The logarithm of the number of ways to choose `k` of `n`.
fn ln_choose(n: u64, k: u64) -> f64 {
    let [n, k] = [n as f64, k as f64];
    ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0)
}

/// The sum of falling terms, whose logarithms are given.
fn tail(terms: impl Iterator<Item = f64>) -> f64 {
    let mut sum = 0.0;
    for term in terms {
        let term = term.exp();
        sum += term;
        // What comes after is smaller, and falls ever faster.
        if term <= sum * 1e-12 {
            break;
        }
    }
    sum.min(1.0)
}

/// Fisher's exact test: the probability that so many or more of the errors of two releases are among the calls of the first, if both
/// fail alike.
pub fn more_than_by_chance((errors, calls): (u64, u64), (other_errors, other_calls): (u64, u64)) -> f64 {
    let (all_errors, all_calls) = (errors + other_errors, calls + other_calls);
    // No more than is to be expected: chance it may be.
    if errors as f64 * all_calls as f64 <= all_errors as f64 * calls as f64 {
        return 1.0;
    }
    let ln_all = ln_choose(all_calls, all_errors);
    let most = all_errors.min(calls);
    tail((errors..=most).map(|of| ln_choose(calls, of) + ln_choose(other_calls, all_errors - of) - ln_all))
}

/// The probability that so many or more of the calls are what each is with a probability of at most `p`.
pub fn more_than(p: f64, (found, calls): (u64, u64)) -> f64 {
    if found as f64 <= p * calls as f64 {
        return 1.0;
    }
    let term = |of: u64| ln_choose(calls, of) + of as f64 * p.ln() + (calls - of) as f64 * (-p).ln_1p();
    tail((found..=calls).map(term))
}

/// Something happens in some calls of two releases: the probability that it does so many times or more in those of the first, if it is
/// `ratio` times as frequent there as in those of the other. Exact for what is rare; for what happens in many of the calls chance makes
/// less of a difference than that.
pub fn more_by_chance(ratio: f64, (times, calls): (u64, u64), (other_times, other_calls): (u64, u64)) -> f64 {
    match share_of_first(ratio, calls, other_calls) {
        Some(p) => more_than(p, (times, times.saturating_add(other_times))),
        None => 1.0,
    }
}

/// The same for so many times or fewer.
pub fn fewer_by_chance(ratio: f64, (times, calls): (u64, u64), (other_times, other_calls): (u64, u64)) -> f64 {
    match share_of_first(ratio, calls, other_calls) {
        Some(p) => more_than(1.0 - p, (other_times, times.saturating_add(other_times))),
        None => 1.0,
    }
}

/// How much of all that happens is to be expected in the calls of the first; `None`: all or nothing.
fn share_of_first(ratio: f64, calls: u64, other_calls: u64) -> Option<f64> {
    let expected = ratio * calls as f64;
    let p = expected / (expected + other_calls as f64);
    (p > 0.0 && p < 1.0).then_some(p)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_agree_with_counting() {
        // The lady tasting tea (Fisher, 1935): all four of eight cups, and three of them.
        assert!((more_than_by_chance((4, 4), (0, 4)) - 1.0 / 70.0).abs() < 1e-12);
        assert!((more_than_by_chance((3, 4), (1, 4)) - 17.0 / 70.0).abs() < 1e-12);
        assert_eq!(more_than_by_chance((1, 4), (1, 4)), 1.0);
        assert_eq!(more_than_by_chance((0, 0), (5, 10)), 1.0);
        assert_eq!(more_than_by_chance((5, 10), (0, 0)), 1.0);
        // All of three errors in one of a hundred calls.
        let chance = more_than_by_chance((3, 100), (0, 9_900));
        assert!((chance / (100.0 * 99.0 * 98.0 / (10_000.0 * 9_999.0 * 9_998.0)) - 1.0).abs() < 1e-9, "{chance}");
        // Heads nine or ten times of ten.
        assert!((more_than(0.5, (9, 10)) - 11.0 / 1_024.0).abs() < 1e-12);
        assert_eq!(more_than(0.05, (5, 100)), 1.0);
        // Two of three where a half is to be expected, and a fifth: of twice as many calls, and a fourth as frequent.
        assert!((more_by_chance(1.0, (2, 10), (1, 10)) - 0.5).abs() < 1e-12);
        assert!((fewer_by_chance(1.0, (1, 10), (2, 10)) - 0.5).abs() < 1e-12);
        assert!((more_by_chance(0.25, (2, 10), (1, 10)) - (3.0 * 0.04 * 0.8 + 0.008)).abs() < 1e-12);
        assert!((fewer_by_chance(0.25, (0, 10), (3, 10)) - 0.512).abs() < 1e-12);
        assert_eq!((more_by_chance(0.0, (3, 10), (1, 10)), fewer_by_chance(1.0, (0, 0), (1, 10))), (1.0, 1.0));
        let many = more_than_by_chance((60_000, 1_000_000), (50_000, 1_000_000));
        assert!((0.0..1e-100).contains(&many), "{many}");
    }
}
