//! How one release takes the place of another, while both are called.
//!
//! | module | what it does |
//! |---|---|
//! | [`traffic`] | which release a call goes to |
//! | [`loaded`] | the releases that are loaded, and until when |
//! | [`mod@line`] | callers who stay on a range of versions |
//! | [`conduct`] | begins rollouts, takes them from one state to the next, takes them back |
//! | [`shadow`] | makes calls once more on a release that is to be, of which nothing is kept |
//! | [`compared`] | what two runs of one call came to, compared |
//! | [`report`] | what such a rollout has found |
//! | [`latency`] | how long runs took |
//! | [`readings`] | rollouts in numbers |
//! | [`ready`] | makes the candidate ready: its documents, its views, its checks; and undoes that |
//! | [`experiment`] | what an experiment compares, who is counted, and what comes of it |
//! | [`statements`] | what is stated of each change, signed |
//! | [`status`] | how far rollouts are, with the releases that they are about |
//! | [`progress`] | how far it is with what a release waits for, and how long a step still takes |
//! | `conductor` | does what is due by itself |
//! | [`health`] | what the calls of each release come to |
//! | `guards`, `exact` | whether that is bad enough to take a rollout back |
//! | [`guarding`] | looks, and takes it back |
//!
//! The states are those of [`weir_schema::rollout`]. Each is committed, with its audit record, before any call goes by it; what goes
//! by it is looked up in memory.
//!
//! Architecture invariant: a call goes to one release from its beginning to its end.

pub mod compared;
pub mod conduct;
pub(crate) mod conductor;
mod exact;
pub mod experiment;
pub mod guarding;
mod guards;
pub mod health;
pub mod latency;
pub mod line;
pub mod loaded;
pub mod progress;
pub mod readings;
pub mod ready;
pub mod report;
pub mod shadow;
pub mod statements;
pub mod status;
pub mod traffic;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod guarding_tests;
#[cfg(test)]
mod shadow_tests;
#[cfg(test)]
mod tests;
