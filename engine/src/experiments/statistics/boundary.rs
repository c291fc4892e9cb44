//! How far the difference of two means may be off by chance, at all times together.
//!
//! The normal mixture of Robbins (1970), as the mixture sequential probability ratio test of Johari, Koomen, Pekelis and Walsh (2022)
//! has it; for means whose variance is estimated, the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and
//! Ramdas (2024). With `z` the difference by its standard error, `n` the callers so far, and `u = c n / planned`, the mixture is
//!
//! ```text
//! L = (1 + u)^(-1/2) exp(z^2 u / (2 (1 + u)))
//! ```
//!
//! Without a difference it is more than `1 / alpha` at any time with a probability of at most `alpha` (Ville's inequality). So `1 / L` is
//! a p-value at all times, and `|z| < sqrt((1 + 1/u) (ln(1 + u) - 2 ln alpha))` says which differences are possible.

/// A test at a level, tightest when as many callers as planned are there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Boundary {
    alpha: f64,
    planned: f64,
    /// `u` at the planned number of callers.
    tuned: f64,
}

impl Boundary {
    /// At level `alpha`, between 0 and 1; `planned` is how many callers both variants together are expected to have.
    pub fn new(alpha: f64, planned: u64) -> Self {
        let alpha = alpha.clamp(f64::MIN_POSITIVE, 0.5);
        // Where the boundary is lowest: u = ln(1 + u) - 2 ln alpha. What is repeated comes closer by a factor of u with each step.
        let mut tuned = 1.0;
        for _ in 0..60 {
            tuned = f64::ln_1p(tuned) - 2.0 * alpha.ln();
        }
        Self { alpha, planned: planned.max(1) as f64, tuned }
    }

    /// The level.
    pub fn alpha(&self) -> f64 {
        self.alpha
    }

    fn u(&self, callers: f64) -> f64 {
        self.tuned * callers / self.planned
    }

    /// The square of how many standard errors the difference has to be away after so many callers.
    pub fn square(&self, callers: f64) -> f64 {
        let u = self.u(callers);
        if u > 0.0 { (1.0 + 1.0 / u) * (u.ln_1p() - 2.0 * self.alpha.ln()) } else { f64::INFINITY }
    }

    /// The p-value, valid at all times, of a difference whose squared distance from 0 in standard errors is `square`.
    pub fn p_value(&self, square: f64, callers: f64) -> f64 {
        let u = self.u(callers);
        (0.5 * u.ln_1p() - 0.5 * square * u / (1.0 + u)).min(0.0).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_lowest_where_it_was_planned_to_be() {
        let boundary = Boundary::new(0.05, 10_000);
        let effort = |callers: f64| boundary.square(callers);
        let around = [1_000.0, 5_000.0, 9_000.0, 10_000.0, 11_000.0, 20_000.0, 1e6].map(effort);
        assert!(around.iter().all(|square| *square >= around[3]), "{around:?}");
        // u = 8.2116 solves u = ln(1 + u) + 2 ln 20, and the boundary is the root of 1 + u.
        assert!((boundary.tuned - 8.211_6).abs() < 1e-3, "{}", boundary.tuned);
        assert!((around[3] - boundary.tuned - 1.0).abs() < 1e-9);
        assert_eq!(boundary.square(0.0), f64::INFINITY);
    }

    #[test]
    fn the_p_value_is_alpha_on_the_boundary() {
        for alpha in [0.05, 0.001, 0.000_01] {
            let boundary = Boundary::new(alpha, 4_000);
            for callers in [10.0, 400.0, 4_000.0, 1e7] {
                let p = boundary.p_value(boundary.square(callers), callers);
                assert!((p / alpha - 1.0).abs() < 1e-9, "{alpha} {callers} {p}");
            }
            assert_eq!(boundary.p_value(0.0, 1_000.0), 1.0);
        }
    }
}
