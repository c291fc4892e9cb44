//! How one release takes the place of another, while both are called.
//!
//! | module | what it does |
//! |---|---|
//! | [`traffic`] | which release a call goes to |
//! | [`loaded`] | the releases that are loaded, and until when |
//! | [`line`] | callers who stay on a range of versions |
//! | [`conduct`] | begins rollouts, takes them from one state to the next, takes them back |
//! | [`status`] | how far rollouts are, with the releases that they are about |
//! | `conductor` | does what is due by itself |
//!
//! The states are those of [`weir_schema::rollout`]. Each is committed, with its audit record, before any call goes by it; what goes
//! by it is looked up in memory.
//!
//! Architecture invariant: a call goes to one release from its beginning to its end.

pub mod conduct;
pub(crate) mod conductor;
pub mod line;
pub mod loaded;
pub mod status;
pub mod traffic;

#[cfg(test)]
mod tests;
