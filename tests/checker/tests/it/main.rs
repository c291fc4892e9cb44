//! The checker itself: every anomaly by hand, and none where there is none.
//!
//! | module | what it shows |
//! |---|---|
//! | [`anomalies`] | histories in, verdicts out: one for each phenomenon, and the valid ones beside them |
//! | [`serial`] | random serial executions pass, and a stale read in them is found |
//! | [`records`] | JSON lines, and what is no history |
//!
//! [`notation`] writes histories in few words.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests: a panic is a failure")]

mod anomalies;
mod notation;
mod records;
mod serial;
