//! Gives up what the process may do by who it is.
//!
//! Each of these belongs to a thread, and threads made later inherit it.

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};

use crate::lockdown::State;

/// From now on no executed file grants anything. Landlock and seccomp ask for it.
pub fn gain_none() -> Result<State, String> {
    set_no_new_privs(true).map(|()| State::On).map_err(|error| error.to_string())
}

/// Gives up all capabilities: a server that root started, as in most containers, has workers that are root in name only.
pub fn give_up_capabilities() -> Result<State, String> {
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    set_capabilities(None, sets).map(|()| State::On).map_err(|error| error.to_string())
}

/// From now on no process of the same user may look into this one, and no core dump of it is written, whatever the
/// system does with those.
pub fn hide_memory() -> Result<State, String> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map(|()| State::On).map_err(|error| error.to_string())
}
