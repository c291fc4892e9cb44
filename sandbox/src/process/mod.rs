//! Isolates in worker processes, which can be killed.
//!
//! | module | what it does |
//! |---|---|
//! | [`frame`] | what passes between a host and its worker, as bytes |
//! | [`channel`] | frames over a socket pair, bounded |
//! | [`descriptors`] | hands a worker its channels |
//! | [`worker`] | a process: started, killed, asked what it died of |
//! | [`supervisor`] | as many workers as an app needs, and a spare |
//! | [`remote`] | one isolate in a worker, as its host sees it |
//! | [`guest`] | the worker's own side |
//! | `remote_port` | the port of a call in there |
//! | `signals` | a worker ignores what asks it to end, and says for whose fault V8 ends it |

pub mod channel;
pub mod descriptors;
pub mod frame;
pub mod guest;
pub mod remote;
mod remote_port;
mod signals;
pub mod supervisor;
pub mod worker;
