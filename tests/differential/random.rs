//! Choices among things.

pub use crate::kills::random::Random;

/// What generators ask of random numbers.
pub trait Choose {
    /// Whether something of so many percent happens.
    fn chance(&mut self, percent: u64) -> bool;
    /// One of the numbers, both ends included.
    fn between(&mut self, least: usize, most: usize) -> usize;
    /// One of these.
    fn one_of_these<'t, T>(&mut self, choices: &'t [T]) -> &'t T;
    /// A copy of one of these.
    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        *self.one_of_these(choices)
    }
    /// Several of these in some order, none twice, at least so many.
    fn some_of<T: Copy>(&mut self, choices: &[T], least: usize) -> Vec<T> {
        let mut left = choices.to_vec();
        let count = self.between(least, choices.len());
        (0..count).map(|_| left.remove(self.between(0, left.len() - 1))).collect()
    }
}

impl Choose for Random {
    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn between(&mut self, least: usize, most: usize) -> usize {
        least + usize::try_from(self.below((most - least + 1) as u64)).unwrap()
    }

    fn one_of_these<'t, T>(&mut self, choices: &'t [T]) -> &'t T {
        &choices[self.between(0, choices.len() - 1)]
    }
}
