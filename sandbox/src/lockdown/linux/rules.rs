//! Landlock: every right that the kernel knows is handled and none is granted.
//!
//! A kernel of an older ABI handles fewer rights; the crate leaves out those that it does not know.

use std::fs;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, LandlockStatus, RestrictionStatus, Ruleset, RulesetAttr,
    RulesetError, Scope,
};

use crate::lockdown::State;

/// The newest whose rights are taken away. None of them is of use to a worker, so the newest that the crate knows.
const NEWEST: ABI = ABI::V10;

/// Takes away files, TCP, abstract sockets and signals beyond this process.
pub fn grant_nothing() -> Result<State, String> {
    let threads = fs::read_dir("/proc/self/task").map(Iterator::count).ok();
    let status = restrict().map_err(|error| error.to_string())?;
    match status.landlock {
        LandlockStatus::Available { effective_abi, kernel_abi } => {
            only_thread(threads)?;
            let abi = kernel_abi.unwrap_or(effective_abi as i32);
            Ok(State::As(format!("ABI {abi}")))
        }
        LandlockStatus::NotEnabled => Err("in this kernel but not enabled: boot it with `lsm=landlock,…`".into()),
        LandlockStatus::NotImplemented => Err("not in this kernel, or forbidden to this container".into()),
    }
}

/// A thread that was there before goes free. Where `/proc` is not to be seen, nothing is known of one.
fn only_thread(threads: Option<usize>) -> Result<(), String> {
    match threads {
        None | Some(1) => Ok(()),
        Some(count) => Err(format!("on one thread only, and there were {count} already")),
    }
}

fn restrict() -> Result<RestrictionStatus, RulesetError> {
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .restrict_self()
}
