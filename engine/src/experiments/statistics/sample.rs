//! What is known of the callers of one variant.

use serde::{Deserialize, Serialize};

/// The callers of one variant: how many they are, and what is needed of their values. The value of a caller is the total of what was
/// counted for them, 0 as long as that is nothing; of a conversion it is 1 or 0.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Sample {
    /// How many callers.
    pub callers: u64,
    /// The sum of their values.
    pub sum: f64,
    /// The sum of the squares of their values.
    pub squares: f64,
    /// What both sums have lost to rounding: a value that was huge for a while takes nothing of the others with it when it goes.
    #[serde(skip)]
    pub rests: [f64; 2],
    /// The least value that a caller has had.
    pub least: f64,
    /// The greatest.
    pub greatest: f64,
}

impl PartialEq for Sample {
    fn eq(&self, other: &Self) -> bool {
        let known = |sample: &Self| (sample.callers, sample.sum, sample.squares, sample.least, sample.greatest);
        known(self) == known(other)
    }
}

/// Adds to a sum what it has lost before as well, and says what it loses now (Knuth, The Art of Computer Programming 2, 4.2.2).
fn add(sum: &mut f64, rest: &mut f64, value: f64) {
    let (next, lost) = added(*sum, value);
    (*sum, *rest) = added(next, lost + *rest);
}

/// A sum, and what rounding takes from it.
fn added(one: f64, other: f64) -> (f64, f64) {
    let sum = one + other;
    let back = sum - one;
    (sum, (one - (sum - back)) + (other - back))
}

impl Sample {
    /// That of a conversion: so many of so many callers.
    pub fn conversions(callers: u64, converted: u64) -> Self {
        let sum = converted as f64;
        let greatest = if converted == 0 { 0.0 } else { 1.0 };
        Self { callers, sum, squares: sum, greatest, ..Self::default() }
    }

    /// One more caller, whose value is 0 so far.
    pub fn join(&mut self) {
        self.callers += 1;
    }

    /// The value of a caller has changed.
    pub fn change(&mut self, from: f64, to: f64) {
        let [sum_rest, squares_rest] = &mut self.rests;
        add(&mut self.sum, sum_rest, -from);
        add(&mut self.sum, sum_rest, to);
        add(&mut self.squares, squares_rest, -from * from);
        add(&mut self.squares, squares_rest, to * to);
        self.least = self.least.min(to);
        self.greatest = self.greatest.max(to);
    }

    /// The mean; 0 without callers.
    pub fn mean(&self) -> f64 {
        if self.callers == 0 { 0.0 } else { self.sum / self.callers as f64 }
    }

    /// The sum of the squares of what callers are off the mean.
    fn scatter(&self) -> f64 {
        // Rounding may leave less than nothing.
        (self.squares - self.sum * self.mean()).max(0.0)
    }

    /// The variance of one caller's value, without bias.
    pub fn variance(&self) -> f64 {
        if self.callers < 2 { 0.0 } else { self.scatter() / (self.callers - 1) as f64 }
    }

    /// The variance of the mean.
    pub fn variance_of_mean(&self) -> f64 {
        if self.callers == 0 { 0.0 } else { self.variance() / self.callers as f64 }
    }

    /// How many callers carry the variance: it is at least that many times what the furthest one adds. A mean is close to normal when
    /// no single caller decides it (the condition of Lindeberg).
    pub fn carriers(&self) -> f64 {
        let furthest = (self.greatest - self.mean()).max(self.mean() - self.least).powi(2);
        if furthest > 0.0 { self.scatter() / furthest } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_was_huge_takes_nothing_of_the_others_with_it() {
        let mut sample = Sample::default();
        for value in 0..100 {
            sample.join();
            sample.change(0.0, f64::from(value) / 8.0);
        }
        let before = sample;
        sample.change(1.0, 1e15);
        sample.change(1e15, 1.0);
        assert_eq!((sample.sum, sample.squares), (before.sum, before.squares));
        assert_eq!((sample.sum, sample.squares), (618.75, 5_130.468_75));
    }
}
