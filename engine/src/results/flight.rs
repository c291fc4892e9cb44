//! Runs in progress, and the commits that they may not have seen.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::SetOnce;
use weir_sandbox::protocol::ScriptCaller;
use weir_schema::commit::Timestamp;
use weir_schema::error::ErrorCode;
use weir_store::{Head, Notice, ReadSet};

use super::key::{Class, Looked, QueryKey};
use crate::call::CallError;
use crate::content::Content;

/// A run in progress, which others may wait for.
#[derive(Default)]
pub(crate) struct Flight {
    landing: SetOnce<Option<Arc<Landing>>>,
}

impl Flight {
    /// Tells those who wait what it came to; `None` for nothing.
    pub(super) fn land(&self, landing: Option<Arc<Landing>>) {
        // Never set before: a flight lands once.
        let _ = self.landing.set(landing);
    }

    /// What it has come to, if it has.
    #[cfg(test)]
    pub(super) fn landed(&self) -> Option<&Option<Arc<Landing>>> {
        self.landing.get()
    }

    /// Waits for the end; `None` where there is no result to be had.
    pub(crate) async fn landing(&self) -> Option<Arc<Landing>> {
        self.landing.wait().await.clone()
    }
}

/// Leave to run something: notices are kept until it lands or is given up.
pub(crate) struct Departure {
    /// The entry that it is for, if others can know of it.
    pub(super) id: Option<u64>,
    pub(super) flight: Arc<Flight>,
    since: u64,
}

/// The end of a run. `S` is who a view is run for.
pub(crate) struct RunEnd<S> {
    pub(crate) result: Result<Arc<Content>, CallError>,
    /// The state that it saw.
    pub(crate) head: Head,
    /// What it has read by itself.
    pub(crate) reads: ReadSet,
    /// Views that were read on its way, each after those that it has read itself.
    pub(crate) views: Vec<ViewRead<S>>,
    /// Those of them that the function itself has read.
    pub(crate) read: Vec<usize>,
    pub(crate) looked: Looked,
    pub(crate) cost: Duration,
    /// Whether it failed for a reason that may pass without a commit: the machine was busy, a worker died.
    pub(crate) may_pass: bool,
}

/// A view that a run has read.
pub(crate) struct ViewRead<S> {
    pub(crate) key: QueryKey,
    /// Who it can be run for.
    pub(crate) sponsor: S,
    /// What it gave.
    pub(crate) content: Arc<Content>,
    pub(crate) source: ViewSource,
}

/// Where the result of a view that a run has read comes from.
pub(crate) enum ViewSource {
    /// It is that of an entry.
    Kept(u64),
    /// It was computed on the way.
    Run(ViewRun),
}

/// A view that was computed as part of a run.
pub(crate) struct ViewRun {
    /// What it has read by itself.
    pub(crate) reads: ReadSet,
    /// The views that it has read, by their places among those of the run.
    pub(crate) read: Vec<usize>,
    pub(crate) looked: Looked,
    pub(crate) cost: Duration,
}

/// What a run came to, for whoever waited for it.
pub(crate) struct Landing {
    pub(crate) result: Result<Arc<Content>, CallError>,
    pub(crate) commit: Timestamp,
    pub(super) class: Class,
    pub(super) is_volatile: bool,
    /// The first commit known then that changed what it read.
    pub(super) touched_at: Option<u64>,
}

impl Landing {
    /// Whether it is the answer for somebody who asked after `arrival`, a commit.
    pub(crate) fn serves(&self, caller: &ScriptCaller, arrival: u64) -> bool {
        let is_shared = match &self.result {
            Ok(_) => true,
            // The function's own doing, whoever called, or that of what it needs.
            Err(error) => {
                matches!(error.code, ErrorCode::FunctionFailed | ErrorCode::LimitExceeded | ErrorCode::Unavailable)
            }
        };
        is_shared && !self.is_volatile && self.class.has(caller) && self.touched_at.is_none_or(|at| at > arrival)
    }
}

/// Commits that are kept for runs in progress; of older ones it is known only that they were.
const RECENT_MAX: usize = 8_192;

/// The runs in progress, all of them.
#[derive(Default)]
pub(super) struct Flights {
    /// For each sequence how many runs began after it.
    departures: BTreeMap<u64, usize>,
    /// Commits that they may not have seen, in order; `None` for all before one that nothing is known of.
    recent: VecDeque<(u64, Option<Arc<Notice>>)>,
}

impl Flights {
    /// Leave for a run, after a commit.
    pub(super) fn depart(&mut self, id: Option<u64>, since: u64) -> Departure {
        *self.departures.entry(since).or_default() += 1;
        Departure { id, flight: Arc::default(), since }
    }

    /// A commit, or all up to one that nothing is known of.
    pub(super) fn note(&mut self, sequence: u64, notice: Option<&Arc<Notice>>) {
        if self.departures.is_empty() {
            return;
        }
        self.recent.push_back((sequence, notice.cloned()));
        if self.recent.len() > RECENT_MAX {
            self.recent.pop_front();
            if let Some((_, notice)) = self.recent.front_mut() {
                *notice = None;
            }
        }
    }

    /// The first commit after a run's state that changed what it read. The run has not ended yet.
    pub(super) fn touched_since(&self, head: Head, reads: &ReadSet) -> Option<u64> {
        let mut later = self.recent.iter().filter(|(sequence, _)| *sequence > head.sequence);
        let touched = later.find(|(_, notice)| notice.as_ref().is_none_or(|notice| reads.touches(notice)));
        touched.map(|(sequence, _)| *sequence)
    }

    /// A run has ended: commits that only it may not have seen are forgotten.
    pub(super) fn end(&mut self, departure: &Departure) {
        if let Some(count) = self.departures.get_mut(&departure.since) {
            *count -= 1;
            if *count == 0 {
                self.departures.remove(&departure.since);
            }
        }
        let needed_after = self.departures.keys().next().copied().unwrap_or(u64::MAX);
        while self.recent.front().is_some_and(|(sequence, _)| *sequence <= needed_after) {
            self.recent.pop_front();
        }
    }

    #[cfg(test)]
    pub(super) fn is_at_rest(&self) -> bool {
        self.departures.is_empty() && self.recent.is_empty()
    }
}
