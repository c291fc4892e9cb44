//! Room for the results of one request, all of its calls together.
//!
//! Rule: no call is made for which there is no room left. So what is in memory is what there was room for and one result.

use serde_json::Value;
use weir_schema::limits::Limit;
use weir_schema::size::json_bytes;

use crate::call::CallError;

/// What results have taken, and may take.
#[derive(Debug)]
pub struct Room {
    taken: usize,
    max: usize,
}

impl Room {
    /// Room for so many bytes of JSON text.
    pub fn new(max: usize) -> Self {
        Self { taken: 0, max }
    }

    /// Whether there is room for one more result, however large.
    pub fn check(&self) -> Result<(), CallError> {
        if self.taken < self.max { Ok(()) } else { Err(CallError::limit(Limit::ResponseBytes, self.max)) }
    }

    /// Takes room for a result of so many bytes.
    pub fn take(&mut self, bytes: usize) {
        self.taken = self.taken.saturating_add(bytes);
    }
}

/// What the outcome of a call takes up, in bytes.
pub(crate) fn outcome_bytes(outcome: Result<&Value, &CallError>) -> usize {
    match outcome {
        Ok(value) => json_bytes(value),
        Err(error) => error.message.len() + error.app_code.as_ref().map_or(0, String::len),
    }
}
