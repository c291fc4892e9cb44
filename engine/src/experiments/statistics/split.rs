//! Whether callers were split between the variants as was set.
//!
//! The sequential test of multinomial counts by Lindon and Malek (2022): under a Dirichlet prior around the shares that were set, the
//! odds of the counts against the shares are a martingale if these are right, so they reach `1 / p` at any time with a probability of
//! at most `p`. The prior here is a mixture of three: the first finds an assignment that is wholly broken within a dozen callers, the last a small
//! mistake among many. The mean of martingales is one.

use super::functions::ln_gamma;

/// A split is taken for broken below that.
pub const P_BROKEN: f64 = 0.001;

/// To how many callers each prior is worth.
const CONCENTRATIONS: [f64; 3] = [2.0, 100.0, 10_000.0];

/// The p-value, valid at all times, of the hypothesis that each caller went to a variant with a chance that is its weight by all
/// weights. 1 where there is nothing to split.
pub fn p_value(callers: &[u64], weights: &[f64]) -> f64 {
    let total: f64 = weights.iter().sum();
    let odds = CONCENTRATIONS.map(|concentration| {
        let mut ln = 0.0;
        for (callers, weight) in callers.iter().zip(weights) {
            let (callers, share) = (*callers as f64, weight / total);
            if share > 0.0 {
                let prior = concentration * share;
                ln += ln_gamma(prior + callers) - ln_gamma(prior) - callers * share.ln();
            } else if callers > 0.0 {
                // It was not to have any.
                return f64::INFINITY;
            }
        }
        let all: f64 = callers.iter().map(|callers| *callers as f64).sum();
        ln + ln_gamma(concentration) - ln_gamma(concentration + all)
    });
    // The logarithm of the mean of the odds, without their overflow.
    let most = odds.into_iter().fold(f64::NEG_INFINITY, f64::max);
    if most == f64::INFINITY {
        return 0.0;
    }
    let mean = most + (odds.map(|odds| (odds - most).exp()).iter().sum::<f64>() / odds.len() as f64).ln();
    (-mean).min(0.0).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_is_broken_when_chance_does_not_explain_it() {
        let table: [(&[u64], &[f64], bool); 10] = [
            (&[], &[], false),
            (&[0, 0], &[1.0, 1.0], false),
            (&[5_000, 5_000], &[50.0, 50.0], false),
            (&[5_050, 4_950], &[50.0, 50.0], false),
            (&[4_800, 5_200], &[50.0, 50.0], false),
            (&[48_000, 52_000], &[50.0, 50.0], true),
            (&[0, 16], &[50.0, 50.0], true),
            (&[7, 0], &[50.0, 50.0], false),
            (&[9_000, 1_000], &[90.0, 10.0], false),
            (&[10, 3], &[1.0, 0.0], true),
        ];
        for (callers, weights, is_broken) in table {
            let p = p_value(callers, weights);
            assert_eq!(p < P_BROKEN, is_broken, "{callers:?} {weights:?}: {p}");
        }
    }

    #[test]
    fn it_is_the_quotient_of_the_marginal_and_the_set_probability() {
        // Two callers, both at the first of two equal variants: for a prior that is worth c callers the
        // marginal is (c/2) (c/2 + 1) / (c (c + 1)), and the set probability 1/4.
        let odds = CONCENTRATIONS.map(|c| (c / 2.0) * (c / 2.0 + 1.0) / (c * (c + 1.0)) / 0.25);
        let expected = odds.iter().sum::<f64>() / 3.0;
        assert!((p_value(&[2, 0], &[1.0, 1.0]) - 1.0 / expected).abs() < 1e-9);
    }
}
