//! Isolates in worker processes: what they answer, what ends them, and what a worker that lies cannot do to its host.
//!
//! The workers are this very binary, hence its own `main`. Under the name of a lie it is a worker that lies.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "test code"
)]

#[cfg(unix)]
mod workers;

fn main() -> std::process::ExitCode {
    #[cfg(unix)]
    return workers::main();
    #[cfg(not(unix))]
    std::process::ExitCode::SUCCESS
}
