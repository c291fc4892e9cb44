//! How many sockets a process may have.

/// Raises how many files this process and its children may have open as far as it may; how many that is.
#[cfg(unix)]
pub fn open_files() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where it may not be raised it stays, and what does not fit is left out.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |files| files as usize)
}

#[cfg(not(unix))]
pub fn open_files() -> usize {
    usize::MAX
}
