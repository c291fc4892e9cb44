//! Watched queries.

use crate::call::{CallError, Emission};

/// A watched query. Dropping it ends the watch.
pub struct Watch {}

impl Watch {
    /// The next value. An error does not end the watch: a later commit may bring a value again. A slow reader misses
    /// values in between, never the newest.
    pub async fn next(&mut self) -> Result<Emission, CallError> {
        unimplemented!()
    }
}
