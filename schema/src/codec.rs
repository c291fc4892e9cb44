//! The bytes on disk: keys whose byte order is the order of what they hold, and the records under them.
//!
//! `docs/storage.md` draws the whole key space; this module is its only writer and reader.

pub mod audit;
pub mod component;
pub mod control;
pub mod job;
pub mod journal;
pub mod key;
pub mod outcome;
pub mod usage;
