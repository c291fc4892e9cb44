//! All transpilers behave alike: on a corpus of modules with recorded outcomes, on modules made up by the dozen, and on
//! the apps of this repository. Without the feature `swc` the corpus is run through oxc alone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "test code"
)]

mod apps;
mod corpus;
mod expression;
mod generated;
mod outcomes;
mod transpiling;
