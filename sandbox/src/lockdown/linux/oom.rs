//! Puts this process first in line for the kernel's out-of-memory killer, so that the server and the database are not.
//!
//! To be done before the process gives up files, and before it is hidden: from then on its own `/proc` is root's.

use std::fs;

use crate::lockdown::State;

/// The highest score there is.
const SCORE_MAX: &str = "1000";

/// Raises the score of this process. Raising needs no privilege.
pub fn go_first() -> Result<State, String> {
    match fs::write("/proc/self/oom_score_adj", SCORE_MAX) {
        Ok(()) => Ok(State::On),
        Err(error) => Err(format!("/proc/self/oom_score_adj: {error}")),
    }
}
