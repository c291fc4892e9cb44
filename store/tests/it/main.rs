//! The store from outside: every promise of `docs/storage.md` by name.

mod conflicts;
mod indexes;
mod model;
mod opening;
mod reading;
mod support;
mod uniqueness;
