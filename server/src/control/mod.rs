//! How a command asks the process that has a data folder open: a data folder is open in one process only.
//!
//! The process that serves listens on a Unix domain socket in the data folder, `DATA/control`, which only its owner may
//! use. A connection carries one request, one line of JSON, and is answered by lines of JSON: how far it is, then what
//! came of it. Who hangs up stops what was asked for.
//!
//! | module | what it does |
//! |---|---|
//! | [`message`] | what is asked and answered, and how much of it |
//! | `listener` | the side of the server |
//! | `client` | the side of a command |
//! | `address` | where the socket is |
//!
//! Systems without such sockets have no control: there nobody can be asked, and a folder in use is refused.

#[cfg(unix)]
mod address;
#[cfg(unix)]
mod client;
#[cfg(unix)]
mod listener;
pub mod message;
#[cfg(not(unix))]
mod without;

#[cfg(unix)]
pub use client::ask;
#[cfg(unix)]
pub use listener::Control;
#[cfg(not(unix))]
pub use without::{Control, ask};

/// Why nobody could be asked, or no answer came.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// There is a socket, and no way to use it.
    #[error("the server that has {folder} open cannot be asked: {reason}")]
    Unreachable {
        /// The data folder.
        folder: String,
        /// What the operating system says.
        reason: std::io::Error,
    },
    /// It ended, or is of another version.
    #[error("the server gave no answer that can be understood: see its log, and use the same version of weir")]
    NoAnswer,
    /// It tried, and this is what it says.
    #[error("{0}")]
    Failed(String),
}
