//! Special functions, on those of libm.

use std::f64::consts::SQRT_2;

/// The probability that a standard normal variable is at most `z`.
pub fn normal(z: f64) -> f64 {
    0.5 * libm::erfc(-z / SQRT_2)
}

/// The value which a standard normal variable is at most with probability `p`; infinite at 0 and 1.
pub fn normal_quantile(p: f64) -> f64 {
    if p <= 0.0 {
        return f64::NEG_INFINITY;
    }
    if p >= 1.0 {
        return f64::INFINITY;
    }
    // Beyond these the probability is no positive number of 64 bits any more.
    let (mut low, mut high) = (-40.0, 40.0);
    // Halved until nothing lies between them.
    loop {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            return middle;
        }
        if normal(middle) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
}

/// The natural logarithm of the gamma function of a positive number.
pub fn ln_gamma(x: f64) -> f64 {
    libm::lgamma(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_agree_with_tables() {
        // Abramowitz and Stegun, Handbook of Mathematical Functions, tables 26.1 and 26.5.
        for (z, p) in [
            (0.0, 0.5),
            (1.0, 0.841_344_746_068_543),
            (1.96, 0.975_002_104_851_780),
            (-3.0, 0.001_349_898_031_630),
            (-5.0, 2.866_515_718_791_9e-7),
        ] {
            assert!((normal(z) / p - 1.0).abs() < 1e-12, "{z}: {}", normal(z));
        }
        for (p, z) in [
            (0.5, 0.0),
            (0.8, 0.841_621_233_572_914),
            (0.975, 1.959_963_984_540_054),
            (0.999, 3.090_232_306_167_813),
            (1e-9, -5.997_807_015_007_687),
        ] {
            assert!((normal_quantile(p) - z).abs() < 1e-9, "{p}: {}", normal_quantile(p));
        }
        for (x, gamma) in [(1.0, 1.0_f64), (5.0, 24.0), (0.5, std::f64::consts::PI.sqrt()), (11.0, 3_628_800.0)] {
            assert!((ln_gamma(x) - gamma.ln()).abs() < 1e-12, "{x}: {}", ln_gamma(x));
        }
        assert_eq!((normal_quantile(0.0), normal_quantile(1.0)), (f64::NEG_INFINITY, f64::INFINITY));
    }
}
