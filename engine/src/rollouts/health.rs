//! What the calls of each release come to: counted as they are judged, and remembered for as long as guards look back.
//!
//! Rule: what counts as an error is what the release is to blame for. A caller's mistake is none, and neither is what the app says
//! with `fail(code)`, which is an answer. Where a release keeps a call of another from being committed it is the one to blame.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use weir_schema::error::ErrorCode;
use weir_schema::guards::WINDOW_MS;
use weir_schema::limits::Limit;
use weir_schema::rollout::Health;
use weir_schema::rollout::watch::{LATENCY_CLASSES, MetricTotal, latency_class};

use crate::call::CallError;
use crate::engine::Engine;
use crate::release::Release;

/// How far apart what is remembered is at least, in milliseconds.
const BETWEEN_MARKS_MS: u64 = 5_000;
/// Marks that are kept: more than are made over the longest window, unless releases are switched all the time.
const MARKS_MAX: usize = 512;

/// What a call came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Answered,
    Refused,
    Failed,
    Crashed,
}

/// Whose fault an error is.
fn class(error: &CallError) -> Class {
    match error.code {
        ErrorCode::FunctionFailed if error.app_code.is_some() => Class::Answered,
        ErrorCode::FunctionFailed => Class::Failed,
        // These are limits of what callers send.
        ErrorCode::LimitExceeded if matches!(error.limit, Some(Limit::Arguments | Limit::BatchCalls)) => Class::Refused,
        ErrorCode::LimitExceeded | ErrorCode::Internal => Class::Crashed,
        // Who is told when to come again has met a server with too much to do.
        ErrorCode::Unavailable if error.retry_after.is_none() => Class::Crashed,
        _ => Class::Refused,
    }
}

/// The calls of a release since it was loaded.
pub struct Tally {
    /// In the order of [`Class`].
    calls: [AtomicU64; 4],
    latencies: [AtomicU64; LATENCY_CLASSES],
    /// How long all of them took together, in microseconds.
    took_us: AtomicU64,
    /// How it was at some times, in order.
    marks: Mutex<VecDeque<Mark>>,
}

/// How it was at a time.
struct Mark {
    at_ms: u64,
    health: Health,
    /// What was given to metrics since the mark before.
    metrics: BTreeMap<String, MetricTotal>,
}

impl Default for Tally {
    fn default() -> Self {
        let zeros = || std::array::from_fn(|_| AtomicU64::new(0));
        Self {
            calls: std::array::from_fn(|_| AtomicU64::new(0)),
            latencies: zeros(),
            took_us: AtomicU64::new(0),
            marks: Mutex::default(),
        }
    }
}

impl Tally {
    /// A call of a client has come to this; `begun`: when, where it is one that a client waits for.
    pub fn count(&self, outcome: Result<(), &CallError>, begun: Option<Instant>) {
        let class = outcome.err().map_or(Class::Answered, class);
        if let Some(calls) = self.calls.get(class as usize) {
            calls.fetch_add(1, Ordering::Relaxed);
        }
        // How fast something fails is nothing to compare.
        let Some(begun) = begun.filter(|_| class == Class::Answered) else { return };
        let us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        if let Some(latency) = self.latencies.get(latency_class(us)) {
            latency.fetch_add(1, Ordering::Relaxed);
            self.took_us.fetch_add(us, Ordering::Relaxed);
        }
    }
}

/// The same for `/metrics`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseCalls {
    /// `shop 1.4.0`.
    pub release: String,
    /// What its calls came to.
    pub health: Health,
    /// How long those took together that were answered.
    pub took: Duration,
}

impl Release {
    /// What its calls came to since it was loaded, metrics aside.
    pub fn health(&self) -> Health {
        let tally = self.tally();
        let [answered, refused, failed, crashed] = tally.calls.each_ref().map(|calls| calls.load(Ordering::Relaxed));
        let latencies = tally.latencies.iter().map(|latency| latency.load(Ordering::Relaxed)).collect();
        Health { answered, refused, failed, crashed, latencies, metrics: BTreeMap::new() }
    }

    /// Remembers how it is now.
    pub(crate) fn mark(&self, now_ms: u64) {
        let health = self.health();
        let mut marks = self.tally().marks.lock();
        let [_, longest] = WINDOW_MS;
        // The last one before the longest window is where that begins.
        while marks.len() >= MARKS_MAX || marks.get(1).is_some_and(|mark| mark.at_ms.saturating_add(longest) < now_ms) {
            marks.pop_front();
        }
        marks.push_back(Mark { at_ms: now_ms, health, metrics: self.counts().take_lately() });
    }

    /// The same from time to time.
    pub(crate) fn mark_sometimes(&self, now_ms: u64) {
        let last = self.tally().marks.lock().back().map(|mark| mark.at_ms);
        // A clock may be set back.
        if last.is_none_or(|last_ms| now_ms < last_ms || now_ms >= last_ms.saturating_add(BETWEEN_MARKS_MS)) {
            self.mark(now_ms);
        }
    }

    /// What its calls have come to since a time, or a little longer.
    pub(crate) fn health_since(&self, since_ms: u64) -> Health {
        let now = self.health();
        let marks = self.tally().marks.lock();
        let then = marks.iter().rposition(|mark| mark.at_ms <= since_ms);
        let health = match then.and_then(|then| marks.get(then)) {
            Some(then) => now.since(&then.health),
            // It was loaded later.
            None => now,
        };
        let mut metrics = self.counts().lately();
        for (name, total) in marks.iter().skip(then.map_or(0, |then| then + 1)).flat_map(|mark| &mark.metrics) {
            let known = metrics.entry(name.clone()).or_default();
            *known = known.and(total);
        }
        metrics.retain(|_, total| total.scatter().is_finite());
        Health { metrics, ..health }
    }
}

impl Engine {
    /// What a call has written was not committed, because another release could not read it. It is to blame, where calls go to the
    /// writer: whoever was taken back, or stays on an older release, is held to what is newer.
    pub(crate) fn held_back(&self, writer: &Release, by: &str) {
        if !self.traffic().borrow().goes_to(writer) {
            return;
        }
        let loaded = self.loaded();
        if let Some(release) = loaded.borrow().iter().find(|release| **release.key() == *by) {
            release.tally().count(Err(&CallError::new(ErrorCode::FunctionFailed, "")), None);
        }
    }

    /// What the calls of all loaded releases have come to.
    pub fn release_calls(&self) -> Vec<ReleaseCalls> {
        let loaded = self.loaded().borrow().clone();
        let of = |release: &std::sync::Arc<Release>| ReleaseCalls {
            release: release.name(),
            health: release.health(),
            took: Duration::from_micros(release.tally().took_us.load(Ordering::Relaxed)),
        };
        loaded.iter().map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use weir_schema::declarations::Declarations;

    use super::*;
    use crate::experiments::counts::ReleaseCounts;

    #[test]
    fn a_huge_value_is_in_no_window_that_begins_after_it() {
        let manifest = "name = \"shop\"\nversion = \"1.0.0\"\n[metrics.value]\nkind = \"mean\"\n";
        let manifest = weir_schema::manifest::parse(manifest).unwrap_or_else(|error| panic!("{error}"));
        let counts = ReleaseCounts::of(&manifest, &Declarations::default());
        counts.count(&[(0, 1e15)]);
        assert_eq!(counts.take_lately().get("value").map(|total| total.values), Some(1));
        for value in [1.0, 3.0] {
            counts.count(&[(0, value), (0, value)]);
        }
        let total = counts.lately().get("value").copied().unwrap_or_default();
        assert_eq!((total.values, total.calls, total.mean(), total.scatter(), total.carriers()), (4, 2, 2.0, 8.0, 2.0));
    }

    #[test]
    fn errors_are_those_that_the_release_is_to_blame_for() {
        let error = |code| CallError::new(code, "");
        let said = CallError { app_code: Some("SOLD_OUT".into()), ..error(ErrorCode::FunctionFailed) };
        for (error, expected) in [
            (said, Class::Answered),
            (error(ErrorCode::FunctionFailed), Class::Failed),
            (error(ErrorCode::Internal), Class::Crashed),
            (CallError::limit(Limit::Heap, 1), Class::Crashed),
            (CallError::limit(Limit::Cpu, 1), Class::Crashed),
            (CallError::limit(Limit::Arguments, 1), Class::Refused),
            (CallError::unavailable("the worker died"), Class::Crashed),
            (CallError::busy(Duration::from_millis(1)), Class::Refused),
            (error(ErrorCode::BadArguments), Class::Refused),
            (error(ErrorCode::Forbidden), Class::Refused),
            (error(ErrorCode::Conflict), Class::Refused),
            (error(ErrorCode::RolledBack), Class::Refused),
        ] {
            assert_eq!(class(&error), expected, "{error:?}");
        }
    }
}
