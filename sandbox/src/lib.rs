//! Where scripts live: TypeScript to JavaScript and declarations, V8 isolates, their limits.
//!
//! | module | what it does |
//! |---|---|
//! | [`compile`] | a folder of TypeScript in, an [`App`] or diagnostics out |
//! | [`app`] | what a compiled app consists of |
//! | [`diagnostic`] | what is wrong with a source file, where, and what to do |
//! | [`protocol`] | `HostCall` and `Outcome`: all that passes between a script and its host |
//! | [`isolate`] | one V8 isolate with one app in it |
//! | [`pool`] | warm isolates of one app, each on a thread of its own, behind one bounded queue |
//! | [`watchdog`] | stops calls that run past their wall limit |
//!
//! This crate knows no store: what a script reads and writes goes through [`protocol::Host`].

pub mod app;
pub mod compile;
pub mod diagnostic;
pub mod isolate;
mod leftovers;
mod modules;
mod ops;
pub mod pool;
mod port;
pub mod protocol;
mod rejections;
pub mod watchdog;

pub use app::{App, Module};
pub use diagnostic::Diagnostic;
