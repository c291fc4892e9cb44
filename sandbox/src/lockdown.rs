//! Takes from a worker process, before any script is loaded in it, everything that it does not need.
//!
//! Two steps, because some of it has to be done by the only thread of the process and some of it for all of its threads:
//!
//! 1. [`before_threads`], first thing on the main thread. What it does, every later thread inherits.
//! 2. [`Halfway::all_threads`], when V8's platform and all threads are there. After it no thread is made, no file opened,
//!    no socket made.
//!
//! | module | what it takes away |
//! |---|---|
//! | `descriptors` | files and sockets that the parent had open |
//! | `oom` | the kernel's reluctance to end this process when memory runs out |
//! | `privileges` | what an executed file could grant, capabilities, and the sight of this process's memory for others |
//! | `rlimits` | memory past its bound, core dumps, writing to files, more descriptors, processes and threads |
//! | `rules` | the file system, TCP, signals and abstract sockets beyond this process (Landlock) |
//! | `filter` | every system call but those on a list (seccomp) |
//! | [`probe`] | shows from inside what is refused |
//!
//! The rule: each is independent of the others, none is needed for the next, and none may fail a start. What the kernel
//! lacks is off in the [`Report`], and whoever started the process says so.

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;
pub mod probe;
mod report;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;

#[cfg(not(target_os = "linux"))]
use elsewhere as system;
#[cfg(target_os = "linux")]
use linux as system;

pub use report::{Entry, Mechanism, Report, State};

/// Private writable memory that a process uses before its first isolate: V8's threads have stacks of 8 MiB, and there are
/// up to 16 of them.
const PROCESS_BYTES: u64 = 192 << 20;
/// What an isolate uses besides its heap, mostly unwritten: 64 MiB for compiled code, the stack of its thread.
const ISOLATE_BYTES: u64 = 80 << 20;
/// Open descriptors of a process, and those of an isolate: its socket, its poller, what wakes the poller.
const PROCESS_DESCRIPTORS: u64 = 16;
const ISOLATE_DESCRIPTORS: u64 = 8;

/// What the process may use at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Private writable memory (`RLIMIT_DATA`): heaps, array buffers, stacks, compiled code, V8's own. An allocation past it
    /// fails, which ends this process and no other.
    pub data_bytes: u64,
    /// Open descriptors, the three of stdin, stdout and stderr included.
    pub descriptors: u64,
}

impl Bounds {
    /// Bounds for so many isolates with so many bytes each, for heap, array buffers and what may be needed beside them
    /// while a limit takes effect.
    pub const fn for_isolates(count: u64, bytes_each: u64) -> Self {
        let data_bytes = PROCESS_BYTES.saturating_add(count.saturating_mul(ISOLATE_BYTES.saturating_add(bytes_each)));
        let descriptors = PROCESS_DESCRIPTORS.saturating_add(count.saturating_mul(ISOLATE_DESCRIPTORS));
        Self { data_bytes, descriptors }
    }
}

/// A process that has taken the first step.
#[must_use = "the second step is missing"]
#[derive(Debug)]
pub struct Halfway {
    report: Report,
}

/// The first step. To be taken first thing on the main thread, while it is the only thread and has opened nothing.
///
/// It closes all descriptors but stdin, stdout and stderr, which belong to nobody in this process yet.
pub fn before_threads(bounds: &Bounds) -> Halfway {
    Halfway { report: Report { entries: system::before_threads(bounds) } }
}

impl Halfway {
    /// The second step. To be taken when all threads of the process are there, and with them what they have open.
    pub fn all_threads(mut self) -> Report {
        self.report.entries.extend(system::all_threads());
        self.report
    }
}
