//! `weir lockdown-probe`, which is not for people: locks itself down as a worker process does, tries to get out, and
//! prints what it found, a line of JSON for each.

use std::io::{self, Write};

use weir_sandbox::lockdown::probe;

use super::Failure;

/// Runs the probe. Nothing may have started a thread before.
pub fn run() -> Result<(), Failure> {
    let mut told = Ok(());
    probe::run(|finding| {
        let line = serde_json::to_string(&finding).map_err(io::Error::from);
        let line = line.and_then(|line| writeln!(io::stdout(), "{line}"));
        if told.is_ok() {
            told = line;
        }
    });
    told.map_err(Failure::because)
}
