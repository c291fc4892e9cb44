//! Intervals by the keys that lie in them: a balanced tree (AVL) in the order of their starts, each node with the
//! greatest end at or below it (Cormen et al., Introduction to Algorithms, "Interval trees").
//!
//! Inserting and removing take logarithmic time, looking keys up as much for each key and each interval found.
//! Recursion is as deep as the tree is high: 1.44 log₂ n, so 46 at most.

use std::cmp::Ordering;

use weir_schema::codec::key::Key;

use super::ids::{Found, Ids, Removal};
use crate::read_set::Interval;

/// Where no node is. So many nodes would take more than 300 GB.
const NONE: u32 = u32::MAX;

/// Distinct intervals, each with the ids that registered it.
#[derive(Debug)]
pub(super) struct IntervalTree {
    /// Places of nodes; those that are free hang together by `left`.
    nodes: Vec<Node>,
    root: u32,
    free: u32,
}

#[derive(Debug)]
struct Node {
    start: Box<[u8]>,
    end: Box<[u8]>,
    ids: Ids,
    left: u32,
    right: u32,
    /// The node with the greatest end, among this one and all below.
    last: u32,
    /// Of a leaf 1.
    height: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

impl Side {
    fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

impl Default for IntervalTree {
    fn default() -> Self {
        Self { nodes: Vec::new(), root: NONE, free: NONE }
    }
}

impl Node {
    /// The way from here to an interval: none if it is this one.
    fn way_to(&self, interval: &Interval) -> Option<Side> {
        let wanted = (interval.start.as_slice(), interval.end.as_slice());
        match wanted.cmp(&(&self.start, &self.end)) {
            Ordering::Less => Some(Side::Left),
            Ordering::Equal => None,
            Ordering::Greater => Some(Side::Right),
        }
    }
}

impl IntervalTree {
    pub(super) fn is_empty(&self) -> bool {
        self.root == NONE
    }

    /// Registers an interval, which is not empty, for an id.
    pub(super) fn insert(&mut self, interval: Interval, id: u64) {
        self.root = self.insert_below(self.root, interval, id);
    }

    /// Forgets that the id registered the interval.
    pub(super) fn remove(&mut self, interval: &Interval, id: u64) {
        self.root = self.remove_below(self.root, interval, id);
        if self.is_empty() {
            *self = Self::default();
        }
    }

    /// Finds the ids of all intervals that hold one of the sorted keys, visiting each interval once.
    pub(super) fn stab(&self, keys: &[Key], found: &mut Found) {
        self.stab_below(self.root, keys, found);
    }

    fn stab_below(&self, at: u32, keys: &[Key], found: &mut Found) {
        let Some(node) = self.node(at) else { return };
        let Some(last) = self.node(node.last) else { return };
        let reached = keys.partition_point(|key| **key < *last.end);
        let Some(keys) = keys.get(..reached).filter(|keys| !keys.is_empty()) else { return };
        self.stab_below(node.left, keys, found);
        let first = keys.partition_point(|key| **key < *node.start);
        let Some(keys) = keys.get(first..) else { return };
        if keys.first().is_some_and(|key| **key < *node.end) {
            found.add(&node.ids);
        }
        self.stab_below(node.right, keys, found);
    }

    /// Gives the root of what was below `at`.
    fn insert_below(&mut self, at: u32, interval: Interval, id: u64) -> u32 {
        let Some(node) = self.node_mut(at) else { return self.allocate(interval, id) };
        let Some(side) = node.way_to(&interval) else {
            node.ids.insert(id);
            return at;
        };
        let child = self.insert_below(self.child(at, side), interval, id);
        self.set_child(at, side, child);
        self.balance(at)
    }

    /// Gives the root of what remains below `at`.
    fn remove_below(&mut self, at: u32, interval: &Interval, id: u64) -> u32 {
        let Some(node) = self.node_mut(at) else { return at };
        if let Some(side) = node.way_to(interval) {
            let child = self.remove_below(self.child(at, side), interval, id);
            self.set_child(at, side, child);
            return self.balance(at);
        }
        match node.ids.remove(id) {
            Removal::OthersRemain => at,
            Removal::Last => {
                let joined = self.join(self.child(at, Side::Left), self.child(at, Side::Right));
                self.release(at);
                joined
            }
        }
    }

    /// Makes one tree of the two below a node that goes.
    fn join(&mut self, left: u32, right: u32) -> u32 {
        if right == NONE {
            return left;
        }
        let (first, rest) = self.take_first(right);
        self.set_child(first, Side::Left, left);
        self.set_child(first, Side::Right, rest);
        self.balance(first)
    }

    /// The first node below `at`, and the root of the others.
    fn take_first(&mut self, at: u32) -> (u32, u32) {
        let left = self.child(at, Side::Left);
        if left == NONE {
            return (at, self.child(at, Side::Right));
        }
        let (first, rest) = self.take_first(left);
        self.set_child(at, Side::Left, rest);
        (first, self.balance(at))
    }

    /// Evens out heights that differ by two, and brings the node up to date with its children.
    fn balance(&mut self, at: u32) -> u32 {
        let (left, right) = (self.height(self.child(at, Side::Left)), self.height(self.child(at, Side::Right)));
        let side = match left.abs_diff(right) {
            0 | 1 => {
                self.update(at);
                return at;
            }
            _ if left > right => Side::Left,
            _ => Side::Right,
        };
        let child = self.child(at, side);
        if self.height(self.child(child, side)) < self.height(self.child(child, side.other())) {
            let lifted = self.lift(child, side.other());
            self.set_child(at, side, lifted);
        }
        self.lift(at, side)
    }

    /// Puts the child of that side above its parent.
    fn lift(&mut self, at: u32, side: Side) -> u32 {
        let lifted = self.child(at, side);
        self.set_child(at, side, self.child(lifted, side.other()));
        self.set_child(lifted, side.other(), at);
        self.update(at);
        self.update(lifted);
        lifted
    }

    fn update(&mut self, at: u32) {
        let (left, right) = (self.child(at, Side::Left), self.child(at, Side::Right));
        let height = 1 + self.height(left).max(self.height(right));
        let ends = [at, self.last(left), self.last(right)].into_iter();
        let last = ends.filter_map(|at| Some((&self.node(at)?.end, at))).max().map_or(NONE, |(_, last)| last);
        if let Some(node) = self.node_mut(at) {
            (node.height, node.last) = (height, last);
        }
    }

    fn allocate(&mut self, interval: Interval, id: u64) -> u32 {
        let Interval { start, end } = interval;
        let at = if self.free == NONE { u32::try_from(self.nodes.len()).unwrap_or(NONE) } else { self.free };
        let node = Node {
            start: start.into_boxed_slice(),
            end: end.into_boxed_slice(),
            ids: Ids::One(id),
            left: NONE,
            right: NONE,
            last: at,
            height: 1,
        };
        match self.nodes.get_mut(at as usize) {
            Some(place) => {
                self.free = place.left;
                *place = node;
            }
            None => self.nodes.push(node),
        }
        at
    }

    fn release(&mut self, at: u32) {
        let free = self.free;
        if let Some(node) = self.node_mut(at) {
            (node.start, node.end) = (Box::default(), Box::default());
            node.left = free;
            self.free = at;
        }
    }

    fn node(&self, at: u32) -> Option<&Node> {
        self.nodes.get(at as usize)
    }

    fn node_mut(&mut self, at: u32) -> Option<&mut Node> {
        self.nodes.get_mut(at as usize)
    }

    fn child(&self, at: u32, side: Side) -> u32 {
        self.node(at).map_or(NONE, |node| match side {
            Side::Left => node.left,
            Side::Right => node.right,
        })
    }

    fn set_child(&mut self, at: u32, side: Side, child: u32) {
        if let Some(node) = self.node_mut(at) {
            match side {
                Side::Left => node.left = child,
                Side::Right => node.right = child,
            }
        }
    }

    fn height(&self, at: u32) -> u8 {
        self.node(at).map_or(0, |node| node.height)
    }

    fn last(&self, at: u32) -> u32 {
        self.node(at).map_or(NONE, |node| node.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    impl IntervalTree {
        /// The intervals in order; what the nodes say of those below them is checked on the way.
        fn checked(&self) -> Vec<(Key, Key)> {
            let mut all = Vec::new();
            self.check_below(self.root, &mut all);
            assert!(all.is_sorted());
            let mut free = 0;
            let mut at = self.free;
            while let Some(node) = self.node(at) {
                (free, at) = (free + 1, node.left);
            }
            assert_eq!(free + all.len(), self.nodes.len());
            all
        }

        fn check_below(&self, at: u32, all: &mut Vec<(Key, Key)>) {
            let Some(node) = self.node(at) else { return };
            let before = all.len();
            self.check_below(node.left, all);
            all.push((node.start.to_vec(), node.end.to_vec()));
            self.check_below(node.right, all);
            let (left, right) = (self.height(node.left), self.height(node.right));
            assert!(left.abs_diff(right) <= 1);
            assert_eq!(node.height, 1 + left.max(right));
            let greatest = all.iter().skip(before).map(|(_, end)| end).max();
            assert_eq!(self.node(node.last).map(|last| last.end.to_vec()).as_ref(), greatest);
        }
    }

    fn interval(start: u32, end: u32) -> Interval {
        Interval { start: start.to_be_bytes().to_vec(), end: end.to_be_bytes().to_vec() }
    }

    fn stab(tree: &IntervalTree, keys: impl IntoIterator<Item = u32>) -> Vec<u64> {
        let keys: Vec<Key> = keys.into_iter().map(|key| key.to_be_bytes().to_vec()).collect();
        let mut found = Found::default();
        tree.stab(&keys, &mut found);
        found.into_sorted()
    }

    #[test]
    fn intervals_that_come_in_order_do_not_make_a_list() {
        let mut tree = IntervalTree::default();
        for start in 0..20_000 {
            tree.insert(interval(start, start + 3), u64::from(start));
        }
        assert_eq!(tree.height(tree.root), 15);
        assert_eq!(stab(&tree, [7]), [5, 6, 7]);
        for start in 0..20_000 {
            tree.remove(&interval(start, start + 3), u64::from(start));
        }
        assert!(tree.is_empty());
        assert_eq!(tree.nodes.capacity(), 0);
    }

    #[test]
    fn one_interval_bears_many_ids() {
        let mut tree = IntervalTree::default();
        for id in 0..100_000 {
            tree.insert(interval(3, 6), id);
        }
        assert_eq!(tree.nodes.len(), 1);
        assert!(stab(&tree, [3, 4, 5]).into_iter().eq(0..100_000));
        for id in 1..100_000 {
            tree.remove(&interval(3, 6), id);
        }
        assert_eq!(stab(&tree, [4, 6]), [0]);
        assert!(stab(&tree, [6]).is_empty());
    }

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u32, u32, u64),
        Remove(u32, u32, u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let place = (0..12u32, 1..8u32, 0..4u64);
        prop_oneof![
            3 => place.clone().prop_map(|(start, length, id)| Step::Insert(start, start + length, id)),
            2 => place.prop_map(|(start, length, id)| Step::Remove(start, start + length, id)),
        ]
    }

    proptest! {
        #[test]
        fn the_tree_finds_what_a_list_finds(
            steps in proptest::collection::vec(step(), 0..160),
            keys in proptest::collection::btree_set(0..22u32, 0..5),
        ) {
            let mut tree = IntervalTree::default();
            let mut list: BTreeMap<(u32, u32), BTreeSet<u64>> = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Insert(start, end, id) => {
                        tree.insert(interval(start, end), id);
                        list.entry((start, end)).or_default().insert(id);
                    }
                    Step::Remove(start, end, id) => {
                        tree.remove(&interval(start, end), id);
                        list.entry((start, end)).or_default().remove(&id);
                        list.retain(|_, ids| !ids.is_empty());
                    }
                }
                let all = list.keys().map(|(start, end)| interval(*start, *end)).map(|it| (it.start, it.end));
                prop_assert!(tree.checked().into_iter().eq(all));
                let hit = list.iter().filter(|((start, end), _)| keys.range(start..end).next().is_some());
                let expected: BTreeSet<u64> = hit.flat_map(|(_, ids)| ids).copied().collect();
                prop_assert!(stab(&tree, keys.iter().copied()).into_iter().eq(expected));
            }
        }
    }
}
