//! Shows from inside what the lock-down refuses, and that scripts run in spite of it.
//!
//! A probe is a process of its own: [`run`] locks it down as a worker is locked down, step by step, tries one of each
//! forbidden thing, runs scripts, and says what came of it. Every attempt is harmless where it succeeds.

#[cfg(target_os = "linux")]
mod attempts;
#[cfg(target_os = "linux")]
pub(super) mod scripts;

#[cfg(target_os = "linux")]
use std::{sync::mpsc, thread};

use serde::{Deserialize, Serialize};

use super::{Bounds, Report, before_threads};

/// What a probe may use. It makes one isolate after the other, and the compiler has a stack of 256 MiB.
const BOUNDS: Bounds = Bounds::for_isolates(1, 256 << 20);

/// One thing that a probe found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Finding {
    /// What of the lock-down is on.
    LockDown(Report),
    /// Something forbidden was tried.
    Attempt(Attempt),
    /// A script was run.
    Script(Script),
}

/// Something forbidden that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// What, as in "a worker can …".
    pub what: String,
    /// What came of it.
    pub answer: Answer,
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// Refused, with the error's number.
    Refused(i32),
    /// There was nothing to be had.
    Nothing,
    /// Not refused: done, or failed with this error for another reason than that it is forbidden.
    LetThrough(Option<i32>),
}

/// Something that a worker has to be able to do after the lock-down: mostly a script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Script {
    /// What it does.
    pub what: String,
    /// Why it did not do it.
    pub failure: Option<String>,
}

impl Answer {
    /// Whether the worker got what it must not have.
    pub fn is_let_through(self) -> bool {
        matches!(self, Self::LetThrough(_))
    }
}

/// Locks this process down and tells what it finds. To be called first thing on the main thread.
#[cfg(target_os = "linux")]
pub fn run(mut tell: impl FnMut(Finding)) {
    let halfway = before_threads(&BOUNDS);
    let parent = attempts::Parent::find();
    let inherited = attempts::inherited();
    crate::isolate::prepare_v8();
    let prepared = scripts::prepare();
    // Scripts run on threads that neither of the steps is taken on.
    let (locked, is_locked) = mpsc::channel::<()>();
    let trying = thread::Builder::new().spawn(move || is_locked.recv().map(|()| attempts::all(parent)));
    tell(Finding::LockDown(halfway.all_threads()));
    // Where there is no such thread, this one has to do.
    let tried = locked.send(()).ok().and_then(|()| trying.ok()?.join().ok()?.ok());
    for attempt in inherited.into_iter().chain(tried.unwrap_or_else(|| attempts::all(parent))) {
        tell(Finding::Attempt(attempt));
    }
    let failure = (!attempts::measures_threads()).then(|| "the clock of a thread cannot be read".to_owned());
    tell(Finding::Script(Script { what: "measure what a thread computes".into(), failure }));
    for script in prepared.run() {
        tell(Finding::Script(script));
    }
}

/// Tells that there is no lock-down.
#[cfg(not(target_os = "linux"))]
pub fn run(mut tell: impl FnMut(Finding)) {
    tell(Finding::LockDown(before_threads(&BOUNDS).all_threads()));
}

/// Tries everything that a worker must not do, in whatever process this is. Harmless, also where it succeeds; the last of
/// them binds this process to its parent as a debugger would, until it ends.
#[cfg(target_os = "linux")]
pub fn attempts() -> Vec<Attempt> {
    attempts::all(attempts::Parent::find())
}
