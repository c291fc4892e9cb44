//! What is admitted and not durable yet: read by transactions whose turn it is, so that they need not wait for the disk.
//!
//! Rule: who has read it is not answered before it is durable.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use weir_schema::codec::journal::Head;
use weir_schema::codec::key::Key;

use crate::catalog::Catalog;
use crate::read_set::Interval;

/// The writes of one commit; `None` removes.
pub(crate) type Writes = Arc<[(Key, Option<Bytes>)]>;

/// The versions of a key within a group: commit and value, rising.
type Versions = Vec<(u64, Option<Bytes>)>;

/// The commits of one group, as far as they are admitted.
#[derive(Debug, Default)]
pub(crate) struct PendingGroup {
    admitted: Mutex<Admitted>,
}

#[derive(Debug, Default)]
struct Admitted {
    /// Commits that are not in the index yet: nobody may ever ask.
    fresh: Vec<(u64, Writes)>,
    index: BTreeMap<Key, Versions>,
}

impl PendingGroup {
    /// Adds the next commit.
    pub(crate) fn push(&self, sequence: u64, writes: Writes) {
        self.admitted.lock().fresh.push((sequence, writes));
    }

    /// What the key has after the commit `until`, if the group wrote it by then.
    pub(crate) fn get(&self, key: &[u8], until: u64) -> Option<Option<Bytes>> {
        let mut admitted = self.admitted.lock();
        admitted.update();
        last(admitted.index.get(key)?, until).cloned()
    }

    fn collect(&self, interval: &Interval, until: u64, into: &mut BTreeMap<Key, Option<Bytes>>) {
        let mut admitted = self.admitted.lock();
        admitted.update();
        let range: Range<Key> = interval.start.clone()..interval.end.clone();
        for (key, versions) in admitted.index.range(range) {
            if let Some(value) = last(versions, until) {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}

impl Admitted {
    fn update(&mut self) {
        for (sequence, writes) in self.fresh.drain(..) {
            for (key, value) in writes.iter() {
                self.index.entry(key.clone()).or_default().push((sequence, value.clone()));
            }
        }
    }
}

fn last(versions: &Versions, until: u64) -> Option<&Option<Bytes>> {
    versions.iter().rev().find(|(sequence, _)| *sequence <= until).map(|(_, value)| value)
}

/// All that is pending, as the committer publishes it.
#[derive(Debug)]
pub(crate) struct Pending {
    /// Oldest first: the one that is being flushed, and the open one.
    pub(crate) groups: Vec<Arc<PendingGroup>>,
    /// The last admitted commit.
    pub(crate) head: Head,
    /// The catalog after it.
    pub(crate) catalog: Arc<Catalog>,
    /// Rises when pending commits are given up.
    pub(crate) epoch: u64,
}

impl Pending {
    /// What is pending as of now.
    pub(crate) fn view(&self) -> PendingView {
        PendingView { groups: self.groups.clone(), until: self.head.sequence }
    }
}

/// What was pending after one commit.
#[derive(Debug, Clone)]
pub(crate) struct PendingView {
    groups: Vec<Arc<PendingGroup>>,
    until: u64,
}

impl PendingView {
    /// What the key has, if anything pending wrote it.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Option<Bytes>> {
        self.groups.iter().rev().find_map(|group| group.get(key, self.until))
    }

    /// The keys of the interval that were written, in order.
    pub(crate) fn entries(&self, interval: &Interval) -> Vec<(Key, Option<Bytes>)> {
        let mut found = BTreeMap::new();
        if !interval.is_empty() {
            self.groups.iter().for_each(|group| group.collect(interval, self.until, &mut found));
        }
        found.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writes(written: &[(&str, Option<&str>)]) -> Writes {
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        written.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.map(bytes))).collect()
    }

    #[test]
    fn a_view_sees_the_commits_up_to_its_own_and_none_after() {
        let (older, newer) = (Arc::new(PendingGroup::default()), Arc::new(PendingGroup::default()));
        older.push(1, writes(&[("a", Some("1")), ("b", Some("1"))]));
        older.push(2, writes(&[("a", None)]));
        newer.push(3, writes(&[("a", Some("3"))]));
        newer.push(4, writes(&[("a", Some("4")), ("c", Some("4"))]));
        let all = Interval { start: b"a".to_vec(), end: b"z".to_vec() };
        let table = [
            (1, vec![("a", Some("1")), ("b", Some("1"))]),
            (2, vec![("a", None), ("b", Some("1"))]),
            (3, vec![("a", Some("3")), ("b", Some("1"))]),
            (4, vec![("a", Some("4")), ("b", Some("1")), ("c", Some("4"))]),
        ];
        for (until, expected) in table {
            let view = PendingView { groups: vec![older.clone(), newer.clone()], until };
            let expected = writes(&expected);
            assert_eq!(view.entries(&all), expected.to_vec(), "{until}");
            for (key, value) in expected.iter() {
                assert_eq!(view.get(key).as_ref(), Some(value), "{until}");
            }
            assert_eq!(view.get(b"z"), None);
        }
    }
}
