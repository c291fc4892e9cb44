//! Systems other than Linux: a worker process is a process of its own, and no more.

use super::{Bounds, Entry, Mechanism, State};

fn off(mechanism: Mechanism) -> Entry {
    Entry { mechanism, state: State::Off("not available on this system".into()) }
}

/// Nothing.
pub fn before_threads(_bounds: &Bounds) -> Vec<Entry> {
    use Mechanism::{Capabilities, Descriptors, Environment, Landlock, Limits, NoNewPrivs, OomScore, Undumpable};
    [Descriptors, Environment, OomScore, NoNewPrivs, Limits, Capabilities, Undumpable, Landlock].map(off).to_vec()
}

/// Nothing.
pub fn all_threads() -> Vec<Entry> {
    vec![off(Mechanism::Seccomp)]
}
