//! Jobs: calls that are made later, once or again and again.
//!
//! A job is its record in the store ([`weir_schema::codec::job::Job`]), written in the commit of the procedure that scheduled it.
//! The run of a procedure and the end of its job are one commit, so it runs exactly once; an action runs at least once.
//!
//! | module | what it does |
//! |---|---|
//! | `schedule` | what scripts ask for: `schedule` and `cancelJob` |
//! | [`scheduler`] | waits until jobs are due, and runs so many at a time |
//! | `run` | one run of one job, and what becomes of the job |
//! | `backoff` | how long a job that failed waits |
//! | `cron` | makes the stored crons those of the active release |
//! | [`control`] | lists, cancels and retries, for those who operate |
//! | [`clock`] | what time it is, and waiting until it is later |

mod backoff;
pub mod clock;
pub mod control;
mod cron;
mod run;
mod schedule;
pub mod scheduler;

pub use clock::Clock;
pub use scheduler::Scheduler;
