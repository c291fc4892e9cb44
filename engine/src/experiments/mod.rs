//! What the callers of the variants of an experiment do, and what may be concluded from it.
//!
//! | module | what it does |
//! |---|---|
//! | [`statistics`] | the mathematics of it |

pub mod statistics;
