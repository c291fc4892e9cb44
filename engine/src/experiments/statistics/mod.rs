//! The mathematics of experiments: pure functions of counts and sums.
//!
//! | module | what it computes |
//! |---|---|
//! | [`functions`] | the normal distribution, and the logarithm of the gamma function |
//! | [`sample`] | what is known of the callers of one variant: how many, their sum, their sum of squares |
//! | [`boundary`] | how far two variants may be apart by chance, however often one looks |
//! | [`comparison`] | a variant against the control: difference, ratio, intervals, p-value |
//! | [`split`] | whether callers were split between the variants as was set |
//! | [`power`] | how many callers an experiment needs, and how many it takes on average |
//!
//! Rule: all that is said here holds at every time at once. Who looks after each caller and stops at the best moment is wrong no
//! more often than was promised. The formulas and their sources are in `docs/experiments.md`.

pub mod boundary;
pub mod comparison;
pub mod functions;
pub mod power;
pub mod sample;
pub mod split;

#[cfg(test)]
mod simulation;
