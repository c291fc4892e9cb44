//! Resource limits, soft and hard: what is lowered cannot be raised again.

use std::io::{stderr, stdout};
use std::os::fd::AsFd;

use rustix::fs::{FileType, fstat};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::lockdown::{Bounds, State};

/// Sets the bounds of memory and descriptors, and takes away what a worker has no use for.
///
/// Address space is not bounded: V8 reserves far more of it than it uses. `RLIMIT_DATA` counts what is writable.
pub fn bound(bounds: &Bounds) -> Result<State, String> {
    lower("RLIMIT_DATA", Resource::Data, bounds.data_bytes)?;
    lower("RLIMIT_NOFILE", Resource::Nofile, bounds.descriptors)?;
    lower("RLIMIT_CORE", Resource::Core, 0)?;
    lower("RLIMIT_MEMLOCK", Resource::Memlock, 0)?;
    lower("RLIMIT_MSGQUEUE", Resource::Msgqueue, 0)?;
    lower("RLIMIT_RTPRIO", Resource::Rtprio, 0)?;
    if writes_to_a_file() {
        return Ok(State::As("but for RLIMIT_FSIZE, as it writes to a file".into()));
    }
    lower("RLIMIT_FSIZE", Resource::Fsize, 0).map(|()| State::On)
}

/// No threads or processes besides those that are there. Root is exempt from it.
pub fn no_more_threads() -> Result<(), String> {
    lower("RLIMIT_NPROC", Resource::Nproc, 0)
}

fn lower(name: &str, resource: Resource, value: u64) -> Result<(), String> {
    let before = getrlimit(resource);
    let value = before.maximum.map_or(value, |maximum| maximum.min(value));
    let limit = Rlimit { current: Some(value), maximum: Some(value) };
    setrlimit(resource, limit).map_err(|error| format!("{name}: {error}"))
}

/// Whether what this process says goes into a file. It could not say why it dies with a file size of nothing: the first
/// word would kill it.
fn writes_to_a_file() -> bool {
    let is_file = |descriptor: &dyn AsFd| {
        fstat(descriptor.as_fd()).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
    };
    is_file(&stdout()) || is_file(&stderr())
}
