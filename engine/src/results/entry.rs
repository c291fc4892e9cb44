//! One result, and what those who watch it see.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use weir_schema::commit::Timestamp;
use weir_store::{Head, ReadSet};

use super::flight::Flight;
use super::key::{Class, QueryKey};
use crate::call::CallError;
use crate::content::{Content, ValueDigest};

/// What an entry takes besides its value, its arguments and what it read, in bytes.
pub(super) const ENTRY_BYTES: usize = 1_024;
/// What it takes to know of one view that a result was computed from, there and here, in bytes.
const DEPENDENCY_BYTES: usize = 64;
/// How much memory a value takes per byte of its JSON text, with the forms in which it was sent.
const VALUE_FACTOR: usize = 6;

/// How far a result can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// No commit has touched what it was computed from.
    Fresh,
    /// A view that it was computed from may have changed; all else has not.
    Unsettled,
    /// There is none, or a commit has touched what it was computed from.
    Stale,
}

/// The result of a view that another result was computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dependency {
    /// The view's entry.
    pub(super) id: u64,
    /// What it was.
    pub(super) digest: ValueDigest,
}

/// One result.
pub(super) struct Entry<S> {
    pub(super) key: QueryKey,
    pub(super) class: Class,
    pub(super) is_listed: bool,
    /// Whether a run has shown which claims matter.
    pub(super) is_settled: bool,
    pub(super) kept: Option<Arc<Published>>,
    /// How far that can be relied on.
    pub(super) standing: Standing,
    /// The commit since which it is known to be the result, for as long as it is fresh.
    pub(super) since: u64,
    /// What it was computed from itself; it is registered for as long as the entry is not stale.
    pub(super) reads: ReadSet,
    /// The views that it was computed from besides.
    pub(super) dependencies: Vec<Dependency>,
    /// The entries that were computed from this one.
    pub(super) dependents: HashSet<u64>,
    /// How many of these are watched, or needed by one that is.
    pub(super) needed_by: usize,
    pub(super) flight: Option<Arc<Flight>>,
    pub(super) watchers: usize,
    pub(super) sponsor: Option<S>,
    pub(super) feed: Option<watch::Sender<Feed>>,
    /// Whether somebody watches who has not got anything yet.
    pub(super) is_owed: bool,
    /// How many runs in a row have failed for a reason that may pass.
    pub(super) failures: u32,
    pub(super) cost: Duration,
    pub(super) bytes: usize,
    pub(super) priority: f64,
}

/// A result as of a commit.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) result: Result<Arc<Content>, CallError>,
    pub(crate) commit: Timestamp,
    /// The first commit that was known, when it came, to have changed what it was computed from.
    pub(crate) touched_at: Option<u64>,
}

/// What those who watch see of an entry.
#[derive(Debug, Clone)]
pub(crate) enum Feed {
    /// No result yet.
    Nothing,
    /// The newest.
    Published(Arc<Published>),
    /// This entry is not theirs any more: another one is.
    Moved,
}

impl<S> Entry<S> {
    pub(super) fn new(key: QueryKey, class: Class, is_listed: bool) -> Self {
        Self {
            key,
            class,
            is_listed,
            is_settled: false,
            kept: None,
            standing: Standing::Stale,
            since: 0,
            reads: ReadSet::default(),
            dependencies: Vec::new(),
            dependents: HashSet::new(),
            needed_by: 0,
            flight: None,
            watchers: 0,
            sponsor: None,
            feed: None,
            is_owed: false,
            failures: 0,
            cost: Duration::ZERO,
            bytes: ENTRY_BYTES,
            priority: 0.0,
        }
    }

    /// Whether no commit has touched what the result was computed from.
    pub(super) fn is_fresh(&self) -> bool {
        self.standing == Standing::Fresh
    }

    /// Whether somebody watches it, or what was computed from it.
    pub(super) fn is_needed(&self) -> bool {
        self.watchers > 0 || self.needed_by > 0
    }

    /// The views that it was computed from.
    pub(super) fn views(&self) -> Vec<u64> {
        self.dependencies.iter().map(|dependency| dependency.id).collect()
    }

    /// What one of these was.
    pub(super) fn dependency(&self, view: u64) -> Option<Dependency> {
        self.dependencies.iter().find(|dependency| dependency.id == view).copied()
    }

    /// What the result is; `None` if there is none, or a failure.
    pub(super) fn digest(&self) -> Option<ValueDigest> {
        Some(self.kept.as_ref()?.result.as_ref().ok()?.digest())
    }

    /// A fresh result is one of the last commit, whenever it was computed.
    pub(super) fn current(&mut self, applied: Head) -> Option<Arc<Published>> {
        let kept = self.kept.as_mut()?;
        if kept.commit < applied.timestamp {
            *kept = Arc::new(Published { result: kept.result.clone(), commit: applied.timestamp, touched_at: None });
        }
        Some(kept.clone())
    }

    /// Replaces what is kept; those who watch are woken if they do not have it.
    pub(super) fn publish(&mut self, published: &Arc<Published>) {
        let is_new = match (&self.kept, &published.result) {
            (Some(kept), Ok(new)) => !kept.result.as_ref().is_ok_and(|old| old.digest() == new.digest()),
            (Some(kept), Err(new)) => kept.result.as_ref().err() != Some(new),
            (None, _) => true,
        };
        self.kept = Some(published.clone());
        let wakes = self.is_owed || is_new;
        // One that is outdated already may not be for all who wait.
        self.is_owed &= published.touched_at.is_some();
        if let Some(feed) = &self.feed {
            feed.send_if_modified(|feed| {
                *feed = Feed::Published(published.clone());
                wakes
            });
        }
    }

    pub(super) fn measure(&self) -> usize {
        let content = self.kept.as_ref().and_then(|kept| kept.result.as_ref().ok());
        let value = content.map_or(0, |content| VALUE_FACTOR * content.bytes() + content.hidden_bytes());
        let dependencies = DEPENDENCY_BYTES * self.dependencies.len();
        ENTRY_BYTES + 2 * self.key.arguments.len() + value + self.reads.bytes() + dependencies
    }

    /// What it costs to compute a byte again, in microseconds.
    #[allow(clippy::cast_precision_loss, reason = "a comparison of magnitudes")]
    pub(super) fn worth(&self) -> f64 {
        self.cost.as_micros() as f64 / self.bytes.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weir_schema::validate::PlaceStep;

    use super::super::key::{Claims, Class};
    use super::*;
    use crate::content::Given;

    /// The places of what is hidden may be many times as large as the value, which has null there.
    #[test]
    fn what_is_hidden_is_part_of_the_size() {
        let class = Class::of(&weir_sandbox::protocol::ScriptCaller::without_token("anonymous"), Claims::NONE);
        let key = QueryKey { release: 1, function: 0, arguments: "{}".into(), within: None };
        let measure = |hidden: usize| {
            let place =
                |index| vec![PlaceStep::Element(index), PlaceStep::Member("a_long_name_of_a_member".to_owned())];
            let places: Vec<_> = (0..hidden).map(place).collect();
            let given = Given { value: json!([null]), hidden: places.into() };
            let mut entry = Entry::<()>::new(key.clone(), class.clone(), true);
            let (result, commit) = (Ok(Arc::new(Content::from(given))), Timestamp::ZERO);
            entry.kept = Some(Arc::new(Published { result, commit, touched_at: None }));
            entry.measure()
        };
        let each = (measure(1_000) - measure(0)) / 1_000;
        assert!(each >= "a_long_name_of_a_member".len() + 2 * size_of::<PlaceStep>(), "{each} bytes for each");
    }
}
