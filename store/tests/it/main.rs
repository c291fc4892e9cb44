//! The store from outside: every promise of `docs/storage.md` by name.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, as it should"
)]

mod ahead;
mod backup;
mod conflicts;
mod control;
mod disk;
mod encryption;
mod export;
mod faults;
mod histories;
mod indexes;
mod jobs;
mod migration;
mod model;
mod opening;
mod outcomes;
mod past;
mod reading;
mod references;
mod releases;
mod soak;
mod support;
mod tail;
mod torn;
mod turns;
mod uniqueness;
mod workload;
