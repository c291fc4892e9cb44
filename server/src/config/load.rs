//! `[load]` of `weir.toml`: what happens when more is asked than can be answered.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use weir_sandbox::pool::PoolOptions;

/// The section, with what `weir serve` does where nothing else is said.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoadSection {
    /// How long a call may wait until it begins. One that would wait longer is refused at once, with the time after which it
    /// may be tried again.
    #[serde(rename = "wait_ms", deserialize_with = "wait")]
    pub wait: Duration,
    /// Calls that wait, for each of functions and actions.
    #[serde(deserialize_with = "some")]
    pub waiting: usize,
    /// The same of one caller.
    #[serde(deserialize_with = "some")]
    pub waiting_caller: usize,
}

impl Default for LoadSection {
    fn default() -> Self {
        Self { wait: Duration::from_secs(3), waiting: 10_000, waiting_caller: 1_000 }
    }
}

impl LoadSection {
    /// As `weir dev` runs, where nobody is refused for being slow.
    pub fn patient() -> Self {
        Self { wait: PoolOptions::default().wait_max, ..Self::default() }
    }
}

/// The longest wait: nobody waits an hour for an answer.
const WAIT_MS_MAX: u64 = 3_600_000;
/// The most calls that wait.
const WAITING_MAX: usize = 10_000_000;

fn wait<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let milliseconds = u64::deserialize(deserializer)?;
    if !(1..=WAIT_MS_MAX).contains(&milliseconds) {
        let message = format!("wait_ms = {milliseconds} cannot be: write a number from 1 to {WAIT_MS_MAX}");
        return Err(serde::de::Error::custom(message));
    }
    Ok(Duration::from_millis(milliseconds))
}

fn some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let calls = usize::deserialize(deserializer)?;
    if !(1..=WAITING_MAX).contains(&calls) {
        let message = format!("{calls} calls that wait cannot be: write a number from 1 to {WAITING_MAX}");
        return Err(serde::de::Error::custom(message));
    }
    Ok(calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_as_usual() {
        let read = |text: &str| toml::from_str::<LoadSection>(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(read(""), LoadSection::default());
        let load = read("wait_ms = 250\nwaiting = 5\nwaiting_caller = 2");
        assert_eq!(load, LoadSection { wait: Duration::from_millis(250), waiting: 5, waiting_caller: 2 });
        let table = [
            ("wait_ms = 0", "from 1 to 3600000"),
            ("waiting = 0", "from 1 to 10000000"),
            ("waiting_caller = 0", "from 1 to 10000000"),
            ("wait = 1", "unknown field `wait`"),
        ];
        for (text, expected) in table {
            let error = toml::from_str::<LoadSection>(text).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
