//! What a transaction read, as keys: the one concept behind serializable commits, caches and live queries.
//!
//! A commit that touches none of it leaves everything that was read as it was, absences included. The sets are exact
//! up to a bound; past it they grow coarser, never smaller.

mod codec;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, Range};

use weir_schema::codec::key::{self, Key};

use crate::notice::Notice;

/// Points that a read set keeps apart; more are widened to all keys of their collection.
const POINTS_MAX: usize = 16_384;
/// `D` and the number of a collection.
const COLLECTION_PREFIX_BYTES: usize = 5;
/// About what a set takes in memory that has few keys: a node of each of its trees.
const SET_BYTES: usize = 900;
/// About what a point takes in the set and in a `ReadIndex`, besides its own bytes in either.
const POINT_BYTES: usize = 160;
/// About what an interval takes in both, besides the bytes of its keys in either.
const INTERVAL_BYTES: usize = 300;

/// Keys from `start` up to and without `end`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interval {
    pub(crate) start: Key,
    pub(crate) end: Key,
}

impl Interval {
    /// All keys that start with `prefix`.
    pub(crate) fn prefix(prefix: Key) -> Self {
        let end = key::after_prefix(&prefix);
        Self { start: prefix, end }
    }

    /// One key.
    pub(crate) fn point(point: Key) -> Self {
        let end = key::successor(&point);
        Self { start: point, end }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    pub(crate) fn contains(&self, key: &Key) -> bool {
        self.start <= *key && *key < self.end
    }
}

/// Whether a key of a sorted list lies between `start` and `end`.
fn lies_between(start: &Key, end: &Key, sorted: &[Key]) -> bool {
    let first = sorted.partition_point(|key| key < start);
    sorted.get(first).is_some_and(|key| key < end)
}

/// Points and intervals of keys that were read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadSet {
    points: BTreeSet<Key>,
    /// Start to end; no two overlap or touch.
    intervals: BTreeMap<Key, Key>,
}

impl ReadSet {
    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty() && self.intervals.is_empty()
    }

    /// Whether the commit changed something that was read.
    pub fn touches(&self, notice: &Notice) -> bool {
        self.touches_keys(&notice.touched)
    }

    /// Whether one of the sorted keys was read.
    pub(crate) fn touches_keys(&self, sorted: &[Key]) -> bool {
        self.touches_points(sorted) || self.touches_intervals(sorted)
    }

    /// Whether anything was read in an interval.
    pub(crate) fn reads_in(&self, interval: &Interval) -> bool {
        let Interval { start, end } = interval;
        let before_end = (Bound::Unbounded, Bound::Excluded(end));
        let last = self.intervals.range::<Key, _>(before_end).next_back();
        self.points.range::<Key, _>(start..end).next().is_some() || last.is_some_and(|(_, last)| last > start)
    }

    /// About how many bytes of memory it takes together with its registration in a [`ReadIndex`](crate::ReadIndex), for
    /// the bound of a cache. Looks at every key; rather too much than too little.
    pub fn bytes(&self) -> usize {
        let points = self.points.iter().map(|point| POINT_BYTES + 2 * point.len());
        let intervals = self.intervals.iter().map(|(start, end)| INTERVAL_BYTES + 2 * (start.len() + end.len()));
        SET_BYTES + points.chain(intervals).sum::<usize>()
    }

    /// Adds all of another set.
    pub fn merge(&mut self, other: Self) {
        for point in other.points {
            self.add_point(point);
        }
        for (start, end) in other.intervals {
            self.add_interval(Interval { start, end });
        }
    }

    /// Adds keys from the start of a range up to and without its end.
    pub fn add_range(&mut self, keys: Range<Key>) {
        self.add_interval(Interval { start: keys.start, end: keys.end });
    }

    pub(crate) fn add_point(&mut self, point: Key) {
        if self.covers(&point) {
            return;
        }
        self.points.insert(point);
        if self.points.len() > POINTS_MAX {
            self.widen();
        }
    }

    pub(crate) fn add_interval(&mut self, interval: Interval) {
        if interval.is_empty() {
            return;
        }
        let Interval { mut start, mut end } = interval;
        while let Some((left, right)) =
            self.intervals.range::<Key, _>((Bound::Unbounded, Bound::Included(&end))).next_back()
        {
            if *right < start {
                break;
            }
            let left = left.clone();
            if let Some(right) = self.intervals.remove(&left) {
                end = end.max(right);
            }
            start = start.min(left);
        }
        self.intervals.insert(start, end);
    }

    /// The keys that were read one by one.
    pub(crate) fn points(&self) -> impl Iterator<Item = &Key> {
        self.points.iter()
    }

    /// The intervals that were read.
    pub(crate) fn intervals(&self) -> impl Iterator<Item = Interval> {
        self.intervals.iter().map(|(start, end)| Interval { start: start.clone(), end: end.clone() })
    }

    /// Whether all that the other read was read here too.
    pub(crate) fn includes(&self, other: &Self) -> bool {
        other.points.iter().all(|point| self.points.contains(point) || self.covers(point))
            && other.intervals.iter().all(|(start, end)| {
                let around = self.intervals.range::<Key, _>((Bound::Unbounded, Bound::Included(start))).next_back();
                around.is_some_and(|(_, last)| end <= last)
            })
    }

    pub(crate) fn has_intervals(&self) -> bool {
        !self.intervals.is_empty()
    }

    /// Whether one of the intervals holds one of the sorted keys.
    pub(crate) fn touches_intervals(&self, sorted: &[Key]) -> bool {
        if sorted.len() < self.intervals.len() {
            return sorted.iter().any(|key| self.covers(key));
        }
        self.intervals.iter().any(|(start, end)| lies_between(start, end, sorted))
    }

    fn touches_points(&self, sorted: &[Key]) -> bool {
        if sorted.len() < self.points.len() {
            sorted.iter().any(|key| self.points.contains(key))
        } else {
            self.points.iter().any(|point| sorted.binary_search(point).is_ok())
        }
    }

    fn covers(&self, key: &Key) -> bool {
        let before = self.intervals.range::<Key, _>((Bound::Unbounded, Bound::Included(key))).next_back();
        before.is_some_and(|(_, end)| key < end)
    }

    /// Replaces the points by all documents of their collections.
    fn widen(&mut self) {
        let points = std::mem::take(&mut self.points);
        let prefixes: BTreeSet<Key> =
            points.into_iter().map(|point| point.into_iter().take(COLLECTION_PREFIX_BYTES).collect()).collect();
        for prefix in prefixes {
            self.add_interval(Interval::prefix(prefix));
        }
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use weir_schema::codec::journal::Head;

    fn interval(start: u8, end: u8) -> Interval {
        Interval { start: vec![start], end: vec![end] }
    }

    fn notice(keys: impl IntoIterator<Item = Key>) -> Notice {
        let touched: BTreeSet<Key> = keys.into_iter().collect();
        Notice::new(Head::default(), touched.into_iter().collect())
    }

    #[test]
    fn intervals_that_touch_become_one() {
        let mut set = ReadSet::default();
        for (start, end) in [(10, 20), (30, 40), (50, 60), (20, 30), (5, 6), (45, 55)] {
            set.add_interval(interval(start, end));
        }
        let intervals: Vec<(u8, u8)> = set.intervals.iter().map(|(start, end)| (start[0], end[0])).collect();
        assert_eq!(intervals, [(5, 6), (10, 40), (45, 60)]);
    }

    #[test]
    fn too_many_points_become_their_collection() {
        let mut set = ReadSet::default();
        for number in 0..=POINTS_MAX as u32 {
            let mut key = b"D\0\0\0\x01".to_vec();
            key.extend_from_slice(&number.to_be_bytes());
            set.add_point(key);
        }
        assert_eq!(set.points.len(), 0);
        assert!(set.touches(&notice([b"D\0\0\0\x01new".to_vec()])));
        assert!(!set.touches(&notice([b"D\0\0\0\x02new".to_vec()])));
    }

    proptest! {
        #[test]
        fn touches_is_what_a_list_of_all_keys_says(
            points in proptest::collection::vec(any::<u8>(), 0..8),
            intervals in proptest::collection::vec((any::<u8>(), any::<u8>()), 0..6),
            written in proptest::collection::vec(any::<u8>(), 0..6),
        ) {
            let mut set = ReadSet::default();
            let mut read = BTreeSet::new();
            for (start, end) in intervals {
                set.add_interval(interval(start, end));
                read.extend(start..end);
            }
            for point in points {
                set.add_point(vec![point]);
                read.insert(point);
            }
            let expected = written.iter().any(|key| read.contains(key));
            prop_assert_eq!(set.touches(&notice(written.iter().map(|key| vec![*key]))), expected);
            let mut merged = ReadSet::default();
            merged.merge(set.clone());
            prop_assert_eq!(merged.touches(&notice(written.into_iter().map(|key| vec![key]))), expected);
            prop_assert!(set.includes(&merged) && merged.includes(&set));
        }
    }
}
