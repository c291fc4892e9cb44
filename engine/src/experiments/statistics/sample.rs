//! What is known of the callers of one variant.

use serde::{Deserialize, Serialize};

/// The callers of one variant: how many they are, and what is needed of their values. The value of a caller is the total of what was
/// counted for them, 0 as long as that is nothing; of a conversion it is 1 or 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// How many callers.
    pub callers: u64,
    /// The sum of their values.
    pub sum: f64,
    /// The sum of the squares of their values.
    pub squares: f64,
    /// The least value that a caller has had.
    pub least: f64,
    /// The greatest.
    pub greatest: f64,
}

impl Sample {
    /// That of a conversion: so many of so many callers.
    pub fn conversions(callers: u64, converted: u64) -> Self {
        let sum = converted as f64;
        Self { callers, sum, squares: sum, least: 0.0, greatest: if converted == 0 { 0.0 } else { 1.0 } }
    }

    /// One more caller, whose value is 0 so far.
    pub fn join(&mut self) {
        self.callers += 1;
    }

    /// The value of a caller has changed.
    pub fn change(&mut self, from: f64, to: f64) {
        self.sum += to - from;
        self.squares += to * to - from * from;
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
