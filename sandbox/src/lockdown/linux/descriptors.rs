//! Closes what came with the process: stdin, stdout and stderr are all that it keeps.
//!
//! Most descriptors of the parent are closed by the kernel when it starts this program. This is for those that are not,
//! such as one that a supervisor or a shell handed to the parent.

#![allow(unsafe_code, reason = "closes descriptors by their number")]

use std::ffi::{c_long, c_uint};
use std::fs;
use std::io;

use crate::lockdown::State;

/// The first after stdin, stdout and stderr.
const FIRST: c_uint = 3;

/// Closes all descriptors from the fourth on.
pub fn close_inherited() -> Result<State, String> {
    let (first, last, flags): (c_uint, c_uint, c_uint) = (FIRST, c_uint::MAX, 0);
    // SAFETY: nothing in this process owns a descriptor yet; it has just begun and has one thread. The call touches no
    // memory. It goes around libc, which has no such function where it is old.
    let answer: c_long = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    if answer == 0 { Ok(State::On) } else { close_each() }
}

/// For kernels before 5.9.
fn close_each() -> Result<State, String> {
    let list = fs::read_dir("/proc/self/fd").map_err(|error| format!("/proc/self/fd: {error}"))?;
    let names = list.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let open: Vec<i32> = names.filter(|descriptor| *descriptor >= FIRST as i32).collect();
    for descriptor in open {
        // SAFETY: as above. That of the list itself is closed already and no longer anything.
        let answer = unsafe { libc::close(descriptor) };
        let error = io::Error::last_os_error();
        if answer != 0 && error.raw_os_error() != Some(libc::EBADF) {
            return Err(format!("descriptor {descriptor}: {error}"));
        }
    }
    Ok(State::On)
}
