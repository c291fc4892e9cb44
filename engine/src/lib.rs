//! What the product does: runs functions against the store and keeps their results live.
//!
//! | module | what it does |
//! |---|---|
//! | [`call`] | who calls what, and what can come of it |
//! | [`release`] | a compiled app made ready to run: its declarations, its warm isolates |
//! | [`live`] | watched queries: a new value when, and only when, a commit touches what was read |

pub mod call;
pub mod engine;
pub mod live;
pub mod release;

pub use engine::Engine;
