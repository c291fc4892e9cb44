//! What the callers of the variants of an experiment do, and what may be concluded from it.
//!
//! | module | what it does |
//! |---|---|
//! | [`counts`] | what was given to the metrics of one release since it was loaded |
//! | [`measured`] | what one call gives to metrics, from `metric(name, value)` to when it counts |
//! | [`caller`] | by what callers are told apart |
//! | [`design`] | what an experiment compares: variants, their weights, metrics |
//! | [`observations`] | who has seen which variant, and what they have done since |
//! | `state`, `records` | the same of one experiment, in memory and in the store |
//! | [`report`], `words` | what is known of an experiment, for programs and for people |
//! | [`statistics`] | the mathematics of it |
//!
//! The unit is the caller: each is counted once for the variant that it has seen first, and what it does more than once is one value.
//! How to read a report is in `docs/experiments.md`.

pub mod caller;
pub mod counts;
pub mod design;
pub mod measured;
pub mod observations;
mod records;
pub mod report;
mod state;
pub mod statistics;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;
mod words;

pub use caller::CallerDigest;
pub use design::{Design, Variant};
pub use observations::{Observations, VariantSummary};
pub use report::ExperimentReport;
