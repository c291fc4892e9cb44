//! Where in the order of commits something is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The timestamp of a commit: nanoseconds since 1970 by the store's hybrid logical clock, strictly rising.
///
/// Written as a decimal string wherever JSON carries it, since doubles cannot hold it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Before every commit.
    pub const ZERO: Self = Self(0);
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
