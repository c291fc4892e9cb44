//! Which results a commit concerns, of many that are kept or watched.
//!
//! Each is registered with what it read. A commit then costs what its own keys and the results that it touches cost,
//! never what there is besides: keys that were read are looked up in a map, intervals in a tree for each index and each
//! collection's documents (`interval_tree`). The answer is that of [`ReadSet::touches`] for every one.

mod ids;
mod interval_tree;

use std::collections::HashMap;

use weir_schema::codec::key::{self, CollectionNumber, IndexNumber, Key};

use crate::notice::Notice;
use crate::read_set::{Interval, ReadSet};
use ids::{Found, Ids, Removal};
use interval_tree::IntervalTree;

/// What results read, and which ones.
#[derive(Debug, Default)]
pub struct ReadIndex {
    points: HashMap<Box<[u8]>, Ids>,
    /// Intervals that lie in one partition.
    partitions: HashMap<Partition, IntervalTree>,
    /// All others.
    wide: IntervalTree,
}

/// Keys with one prefix, which have a tree to themselves. So the commits of one index search among its readers alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Partition {
    Index(CollectionNumber, IndexNumber),
    Documents(CollectionNumber),
    /// Neither: their first byte.
    Kind(u8),
}

impl Partition {
    fn of(key: &[u8]) -> Option<Self> {
        if let Some((collection, index)) = key::index_numbers(key) {
            return Some(Self::Index(collection, index));
        }
        if let Some(collection) = key::document_collection(key) {
            return Some(Self::Documents(collection));
        }
        // What starts like an entry or a document but is shorter lies before several partitions, in none.
        key.first().filter(|first| !matches!(first, b'I' | b'D')).map(|first| Self::Kind(*first))
    }

    /// The one that all keys of an interval belong to.
    fn around(interval: &Interval) -> Option<Self> {
        let partition = Self::of(&interval.start)?;
        let prefix = match partition {
            Self::Index(collection, index) => key::index(collection, index),
            Self::Documents(collection) => key::documents(collection),
            Self::Kind(first) => vec![first],
        };
        (interval.end <= key::after_prefix(&prefix)).then_some(partition)
    }
}

impl ReadIndex {
    /// Registers what a result read, under an id that nothing else is registered under.
    pub fn insert(&mut self, id: u64, read: &ReadSet) {
        for point in read.points() {
            match self.points.get_mut(point.as_slice()) {
                Some(ids) => ids.insert(id),
                None => {
                    self.points.insert(point.as_slice().into(), Ids::One(id));
                }
            }
        }
        for interval in read.intervals() {
            let tree = match Partition::around(&interval) {
                Some(partition) => self.partitions.entry(partition).or_default(),
                None => &mut self.wide,
            };
            tree.insert(interval, id);
        }
    }

    /// Forgets a result; `read` is what it was registered with.
    pub fn remove(&mut self, id: u64, read: &ReadSet) {
        for point in read.points() {
            if self.points.get_mut(point.as_slice()).is_some_and(|ids| ids.remove(id) == Removal::Last) {
                self.points.remove(point.as_slice());
            }
        }
        for interval in read.intervals() {
            let Some(partition) = Partition::around(&interval) else {
                self.wide.remove(&interval, id);
                continue;
            };
            let Some(tree) = self.partitions.get_mut(&partition) else { continue };
            tree.remove(&interval, id);
            if tree.is_empty() {
                self.partitions.remove(&partition);
            }
        }
    }

    /// The results that read something which the commit changed: each once, ascending.
    pub fn touched(&self, notice: &Notice) -> Vec<u64> {
        let mut found = Found::default();
        notice.touched.iter().filter_map(|key| self.points.get(key.as_slice())).for_each(|ids| found.add(ids));
        for keys in notice.touched.chunk_by(|key, next| Partition::of(key) == Partition::of(next)) {
            if let Some(tree) = self.partition(keys) {
                tree.stab(keys, &mut found);
            }
        }
        self.wide.stab(&notice.touched, &mut found);
        found.into_sorted()
    }

    /// The tree for keys of one partition.
    fn partition(&self, keys: &[Key]) -> Option<&IntervalTree> {
        self.partitions.get(&Partition::of(keys.first()?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};
    use weir_schema::codec::journal::Head;

    fn read_set(points: &[Key], intervals: &[(Key, Key)]) -> ReadSet {
        let mut set = ReadSet::default();
        points.iter().for_each(|point| set.add_point(point.clone()));
        for (start, end) in intervals {
            set.add_interval(Interval { start: start.clone(), end: end.clone() });
        }
        set
    }

    fn notice(keys: impl IntoIterator<Item = Key>) -> Notice {
        let touched: BTreeSet<Key> = keys.into_iter().collect();
        Notice::new(Head::default(), touched.into_iter().collect())
    }

    #[test]
    fn an_interval_belongs_to_the_partition_that_holds_all_of_it() {
        let index = key::index(CollectionNumber(1), IndexNumber(2));
        let documents = key::documents(CollectionNumber(1));
        let table: [(&[u8], &[u8], Option<Partition>); 9] = [
            (&index, &key::after_prefix(&index), Some(Partition::Index(CollectionNumber(1), IndexNumber(2)))),
            (b"I\0\0\0\x01\0\0\0\x02a", b"I\0\0\0\x01\0\0\0\x03a", None),
            (&documents, &key::after_prefix(&documents), Some(Partition::Documents(CollectionNumber(1)))),
            (b"D\0\0\0\x01z", b"E", None),
            (b"I", b"J", None),
            (b"I\0\0\0\x01", b"I\0\0\0\x01\0\0\0\x02", None),
            (b"W", b"X", Some(Partition::Kind(b'W'))),
            (b"", b"\xff", None),
            (b"\xff", b"\xff\0", None),
        ];
        for (start, end, partition) in table {
            let interval = Interval { start: start.to_vec(), end: end.to_vec() };
            assert_eq!(Partition::around(&interval), partition, "{interval:?}");
        }
    }

    #[test]
    fn a_commit_that_hits_the_same_results_again_and_again_names_them_once() {
        let key = |number: u32| [b"I\0\0\0\x01\0\0\0\x02".as_slice(), &number.to_be_bytes()].concat();
        let read = read_set(&[b"C".to_vec()], &[(key(0), key(1_000)), (key(2_000), key(3_000))]);
        let mut index = ReadIndex::default();
        (0..1_000).for_each(|id| index.insert(id, &read));
        for id in 1_000..3_000 {
            index.insert(id, &read_set(&[key(5_000), key(5_001)], &[(key(5_002), key(5_003 + id as u32))]));
        }
        let touched = index.touched(&notice((0..8_000).map(key)));
        assert!(touched.into_iter().eq(0..3_000));
        assert!(index.touched(&notice([b"C".to_vec()])).into_iter().eq(0..1_000));
    }

    /// Keys in and around a few partitions, so that intervals share them, nest, meet at their borders and span them.
    fn any_key() -> impl Strategy<Value = Key> {
        let start = prop::sample::select(vec![
            b"".as_slice(),
            b"C",
            b"D",
            b"D\0\0\0\x01",
            b"D\0\0\0\x02",
            b"I",
            b"I\0\0\0\x01",
            b"I\0\0\0\x01\0\0\0\x02",
            b"I\0\0\0\x01\0\0\0\x03",
            b"W",
        ]);
        (start, "[a-c]{0,2}").prop_map(|(start, rest)| [start, rest.as_bytes()].concat())
    }

    fn any_read_set() -> impl Strategy<Value = ReadSet> {
        let prefix = any_key().prop_map(|prefix| (prefix.clone(), key::after_prefix(&prefix)));
        let interval = prop_oneof![(any_key(), any_key()), prefix];
        (proptest::collection::vec(any_key(), 0..3), proptest::collection::vec(interval, 0..4))
            .prop_map(|(points, intervals)| read_set(&points, &intervals))
    }

    proptest! {
        #[test]
        fn it_names_those_that_their_read_sets_name(
            sets in proptest::collection::vec(any_read_set(), 1..12),
            steps in proptest::collection::vec((0..12usize, proptest::collection::vec(any_key(), 0..4)), 0..48),
        ) {
            let mut index = ReadIndex::default();
            let mut registered: BTreeMap<u64, &ReadSet> = BTreeMap::new();
            for (number, keys) in steps {
                let (id, Some(read)) = (number as u64, sets.get(number)) else { continue };
                if registered.remove(&id).is_some() {
                    index.remove(id, read);
                } else {
                    index.insert(id, read);
                    registered.insert(id, read);
                }
                let notice = notice(keys);
                let expected = registered.iter().filter(|(_, read)| read.touches(&notice)).map(|(id, _)| *id);
                prop_assert!(index.touched(&notice).into_iter().eq(expected));
            }
            registered.iter().for_each(|(id, read)| index.remove(*id, read));
            prop_assert!(index.points.is_empty() && index.partitions.is_empty() && index.wide.is_empty());
        }
    }
}
