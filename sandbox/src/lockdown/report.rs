//! What of the lock-down is on. Plain data: the worker sends it to its host, which has a log.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing that a lock-down does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mechanism {
    /// Descriptors that came with the process are closed.
    Descriptors,
    /// The environment holds nothing but the time zone. That is the parent's part; here it is looked at.
    Environment,
    /// The kernel's out-of-memory killer takes this process first.
    OomScore,
    /// No executed file grants anything.
    NoNewPrivs,
    /// All capabilities are given up, also where the process belongs to root.
    Capabilities,
    /// No other process of the same user sees its memory, and it leaves no core dump.
    Undumpable,
    /// Resource limits.
    Limits,
    /// Landlock.
    Landlock,
    /// The seccomp filter.
    Seccomp,
}

/// Whether a mechanism is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// All of it.
    On,
    /// As far as the words say: `ABI 7`.
    As(String),
    /// Not, for the reason given.
    Off(String),
}

/// One line of a [`Report`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What.
    pub mechanism: Mechanism,
    /// Whether it is on.
    pub state: State,
}

/// What of the lock-down is on, in the order in which it was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// All mechanisms of the steps that were taken.
    pub entries: Vec<Entry>,
}

impl Mechanism {
    /// As it is called where people read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Descriptors => "closed descriptors",
            Self::Environment => "clean environment",
            Self::OomScore => "first in line when memory runs out",
            Self::NoNewPrivs => "no_new_privs",
            Self::Capabilities => "no capabilities",
            Self::Undumpable => "undumpable",
            Self::Limits => "rlimits",
            Self::Landlock => "Landlock",
            Self::Seccomp => "seccomp",
        }
    }
}

impl Entry {
    /// A mechanism that was tried.
    #[cfg(target_os = "linux")]
    pub(super) fn of(mechanism: Mechanism, tried: Result<State, String>) -> Self {
        Self { mechanism, state: tried.unwrap_or_else(State::Off) }
    }

    /// Why it is off, if it is.
    fn reason(&self) -> Option<&str> {
        match &self.state {
            State::Off(reason) => Some(reason),
            State::On | State::As(_) => None,
        }
    }

    /// Whether it is off.
    pub fn is_off(&self) -> bool {
        self.reason().is_some()
    }
}

impl Report {
    /// What is off, in words. Nothing where all is on.
    pub fn without(&self) -> Option<String> {
        let reasons: BTreeSet<&str> = self.entries.iter().filter_map(Entry::reason).collect();
        let off: Vec<String> = self.entries.iter().filter(|entry| entry.is_off()).map(ToString::to_string).collect();
        match (off.len() == self.entries.len(), reasons.first()) {
            (_, None) => None,
            (true, Some(reason)) if reasons.len() == 1 => Some(format!("any of it ({reason})")),
            (_, Some(_)) => Some(off.join(", ")),
        }
    }
}

/// In words for a log: `no_new_privs, Landlock (ABI 7); without seccomp (not in this kernel)`.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = self.entries.iter().filter(|entry| !entry.is_off());
        let on = on.map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match self.without() {
            None => f.write_str(&on),
            Some(off) if on.is_empty() => write!(f, "without {off}"),
            Some(off) => write!(f, "{on}; without {off}"),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.mechanism.name();
        match &self.state {
            State::On => f.write_str(name),
            State::As(how) | State::Off(how) => write!(f, "{name} ({how})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, Mechanism, Report, State};

    fn report(states: &[(Mechanism, State)]) -> String {
        let entries = states.iter().map(|(mechanism, state)| Entry { mechanism: *mechanism, state: state.clone() });
        Report { entries: entries.collect() }.to_string()
    }

    #[test]
    fn a_report_is_one_line() {
        let on = (Mechanism::NoNewPrivs, State::On);
        let landlock = (Mechanism::Landlock, State::As("ABI 7".into()));
        let off = (Mechanism::Seccomp, State::Off("not in this kernel".into()));
        assert_eq!(report(&[on.clone(), landlock.clone()]), "no_new_privs, Landlock (ABI 7)");
        assert_eq!(
            report(&[on, off.clone(), landlock]),
            "no_new_privs, Landlock (ABI 7); without seccomp (not in this kernel)"
        );
        assert_eq!(report(std::slice::from_ref(&off)), "without any of it (not in this kernel)");
        let other = (Mechanism::Landlock, State::Off("not enabled".into()));
        assert_eq!(report(&[off, other]), "without seccomp (not in this kernel), Landlock (not enabled)");
    }
}
