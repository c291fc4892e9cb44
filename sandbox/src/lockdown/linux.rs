//! The steps on Linux, each mechanism in a file of its own.
//!
//! The order within a step: what needs a file or a capability comes before what takes those away.

mod descriptors;
mod filter;
mod oom;
mod privileges;
mod rlimits;
mod rules;

use super::{Bounds, Entry, Mechanism, State};

/// The time zone of scripts is no secret.
const ALLOWED_VARIABLE: &str = "TZ";

/// What the only thread of the process does.
pub fn before_threads(bounds: &Bounds) -> Vec<Entry> {
    vec![
        Entry::of(Mechanism::Descriptors, descriptors::close_inherited()),
        Entry::of(Mechanism::Environment, clean_environment()),
        Entry::of(Mechanism::OomScore, oom::go_first()),
        Entry::of(Mechanism::NoNewPrivs, privileges::gain_none()),
        Entry::of(Mechanism::Limits, rlimits::bound(bounds)),
        Entry::of(Mechanism::Capabilities, privileges::give_up_capabilities()),
        Entry::of(Mechanism::Undumpable, privileges::hide_memory()),
        Entry::of(Mechanism::Landlock, rules::grant_nothing()),
    ]
}

/// What concerns all threads of the process.
pub fn all_threads() -> Vec<Entry> {
    // Where the filter is on it makes no difference.
    let _ = rlimits::no_more_threads();
    vec![Entry::of(Mechanism::Seccomp, filter::apply())]
}

/// Looks whether the parent has cleared the environment. What it passed stays in the memory of this process, so there is
/// no use in clearing it here.
fn clean_environment() -> Result<State, String> {
    match unexpected_variables() {
        0 => Ok(State::On),
        1 => Err("1 variable was passed".into()),
        count => Err(format!("{count} variables were passed")),
    }
}

/// How many variables the environment has besides the one that a worker may have.
pub fn unexpected_variables() -> usize {
    std::env::vars_os().filter(|(name, _)| name != ALLOWED_VARIABLE).count()
}
