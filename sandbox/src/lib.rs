//! Where scripts live: TypeScript to JavaScript and declarations, V8 isolates, their limits.
//!
//! | module | what it does |
//! |---|---|
//! | [`compile`] | a folder of TypeScript in, an [`App`] or diagnostics out |
//! | [`app`] | what a compiled app consists of |
//! | [`diagnostic`] | what is wrong with a source file, where, and what to do |
//! | [`protocol`] | `HostCall` and `Outcome`: all that passes between a script and its host |
//! | [`port`] | the host's side of one call, and the limits that count |
//! | [`isolate`] | one V8 isolate with one app in it |
//! | [`lockdown`] | takes from a worker process all that it does not need |
//! | [`process`] | isolates in worker processes |
//! | `warm` | one isolate for a thread that makes calls, wherever it lives |
//! | [`pool`] | warm isolates of one app, here or in workers, behind fair and bounded queues |
//! | `queue` | calls that wait, in a line for each share, and whose turn it is |
//! | `accounts` | who has used how much of something shared |
//! | `crew` | threads that take calls from a queue, as many as are needed |
//! | `streams` | isolates of streams, one for each that runs |
//! | [`watchdog`] | stops calls that run past their limits on time |
//!
//! This crate knows no store: what a script reads and writes goes through [`protocol::Host`].

mod accounts;
pub mod app;
mod array_buffers;
mod awake;
pub mod compile;
mod cpu_clock;
mod crew;
pub mod diagnostic;
mod imports;
pub mod isolate;
mod locale;
pub mod lockdown;
mod modules;
mod nesting;
pub mod ops;
mod pending;
pub mod pool;
pub mod port;
#[cfg(unix)]
pub mod process;
pub mod protocol;
mod queue;
mod rejections;
mod streams;
mod warm;
pub mod watchdog;

pub use app::{App, Module};
pub use diagnostic::Diagnostic;
