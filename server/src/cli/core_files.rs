//! No core file is written of a process that holds secrets: it would hold them too.
//!
//! It is a limit of the process, which its workers take over. Where the system pipes such files to a program, that program
//! decides: `docs/operations.md` says how to keep it from that.

/// From now on no core file of this process is written.
#[cfg(unix)]
pub fn forbid() {
    use rustix::process::{Resource, Rlimit, setrlimit};

    if let Err(error) = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }) {
        tracing::warn!("a core file may be written if this process dies, and hold secrets: {error}");
    }
}

/// Where there are no core files there is nothing to do.
#[cfg(not(unix))]
pub fn forbid() {}
