//! Ids that registered one key or interval, and those that a commit found. Most keys and intervals have one reader.

use std::collections::BTreeSet;

/// Found ids up to which repetitions may stand; beyond, they may make up half.
const REPEATED_MAX: usize = 1_024;

/// One id or more.
#[derive(Debug, Clone)]
pub(super) enum Ids {
    One(u64),
    /// Two or more.
    Many(BTreeSet<u64>),
}

impl Ids {
    pub(super) fn insert(&mut self, id: u64) {
        match self {
            Self::One(one) if *one == id => {}
            Self::One(one) => *self = Self::Many(BTreeSet::from([*one, id])),
            Self::Many(many) => {
                many.insert(id);
            }
        }
    }

    /// Takes an id out, unless it is the last.
    pub(super) fn remove(&mut self, id: u64) -> Removal {
        match self {
            Self::One(one) if *one == id => return Removal::Last,
            Self::One(_) => {}
            Self::Many(many) => {
                many.remove(&id);
                if let (1, Some(one)) = (many.len(), many.first().copied()) {
                    *self = Self::One(one);
                }
            }
        }
        Removal::OthersRemain
    }
}

/// What is left when an id is taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Removal {
    OthersRemain,
    /// Nothing: who holds the ids drops them.
    Last,
}

/// Ids that were found, some more than once, in memory for twice the distinct ones and those added last.
#[derive(Debug, Default)]
pub(super) struct Found {
    ids: Vec<u64>,
    /// How many of them are known to be distinct.
    distinct: usize,
}

impl Found {
    pub(super) fn add(&mut self, ids: &Ids) {
        match ids {
            Ids::One(one) => self.ids.push(*one),
            Ids::Many(many) => self.ids.extend(many),
        }
        if self.ids.len() > 2 * self.distinct + REPEATED_MAX {
            self.settle();
        }
    }

    /// Each once, ascending.
    pub(super) fn into_sorted(mut self) -> Vec<u64> {
        self.settle();
        self.ids
    }

    fn settle(&mut self) {
        // Rows that are sorted already, as those of one interval are, cost this sort next to nothing.
        self.ids.sort();
        self.ids.dedup();
        self.distinct = self.ids.len();
    }
}
