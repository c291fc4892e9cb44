//! What one transaction saw of the others: its reads without what it had written itself.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Operation, Transaction};
use crate::verdict::{Phenomenon, Verdict};

/// A list as it was read.
pub(crate) struct ListRead<'h> {
    pub(crate) key: &'h str,
    /// All of it.
    pub(crate) whole: &'h [u64],
    /// Without the end that the reader had appended itself.
    pub(crate) others: &'h [u64],
}

/// What a transaction left of an item.
pub(crate) struct Written {
    /// What was there before the transaction.
    pub(crate) over: Option<u64>,
    /// What is there after; nothing: deleted.
    pub(crate) value: Option<u64>,
    pub(crate) at: Option<i64>,
}

/// A range as it was read.
pub(crate) struct RangeRead<'h> {
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// Items of others.
    pub(crate) found: Vec<(&'h str, u64)>,
    /// Items that the reader had written before.
    pub(crate) own: BTreeSet<&'h str>,
}

/// One transaction from outside.
pub(crate) struct View<'h> {
    pub(crate) reader: usize,
    pub(crate) lists: Vec<ListRead<'h>>,
    pub(crate) appended: BTreeMap<&'h str, Vec<u64>>,
    /// Items that were read one by one, in ranges or to be replaced.
    pub(crate) items: Vec<(&'h str, Option<u64>)>,
    pub(crate) written: BTreeMap<&'h str, Written>,
    pub(crate) ranges: Vec<RangeRead<'h>>,
}

impl<'h> View<'h> {
    /// Takes a transaction apart, and reports where it did not see its own writes.
    pub(crate) fn new(history: &'h [Transaction], reader: usize, verdict: &mut Verdict) -> Self {
        let mut view = Self {
            reader,
            lists: Vec::new(),
            appended: BTreeMap::new(),
            items: Vec::new(),
            written: BTreeMap::new(),
            ranges: Vec::new(),
        };
        for operation in &history[reader].operations {
            if !view.add(operation, verdict) {
                let what = format_args!("did not see its own writes: {operation}");
                verdict.fault(Phenomenon::Internal, reader, what);
            }
        }
        view
    }

    /// Whether the operation agrees with the transaction's own writes.
    fn add(&mut self, operation: &'h Operation, verdict: &mut Verdict) -> bool {
        match operation {
            Operation::Append { key, value } => {
                self.appended.entry(key).or_default().push(*value);
                true
            }
            Operation::List { key, values } => {
                let own = self.appended.get(key.as_str()).map_or(&[][..], Vec::as_slice);
                let Some(others) = values.strip_suffix(own) else { return false };
                self.lists.push(ListRead { key, whole: values, others });
                true
            }
            Operation::Read { key, value } => self.read(key, *value),
            Operation::Write { key, over, value, at } => self.write(key, *over, Some(*value), *at),
            Operation::Delete { key, over } => self.write(key, Some(*over), None, None),
            Operation::Range { from, to, rows } => self.range(*from..*to, rows, verdict),
        }
    }

    fn read(&mut self, key: &'h str, value: Option<u64>) -> bool {
        match self.written.get(key) {
            Some(own) => own.value == value,
            None => {
                self.items.push((key, value));
                true
            }
        }
    }

    fn write(&mut self, key: &'h str, over: Option<u64>, value: Option<u64>, at: Option<i64>) -> bool {
        let agrees = self.read(key, over);
        let own = self.written.entry(key).or_insert(Written { over, value, at });
        (own.value, own.at) = (value, at);
        agrees
    }

    fn range(&mut self, places: std::ops::Range<i64>, rows: &'h [(String, u64)], verdict: &mut Verdict) -> bool {
        let own: BTreeSet<&str> = self.written.keys().copied().collect();
        let rows: Vec<(&str, u64)> = rows.iter().map(|(key, value)| (key.as_str(), *value)).collect();
        let (mut found_own, found): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(key, _)| own.contains(key));
        let inside = self.written.iter().filter(|(_, own)| own.at.is_some_and(|at| places.contains(&at)));
        let expected_own: Vec<(&str, u64)> = inside.filter_map(|(key, own)| Some((*key, own.value?))).collect();
        found_own.sort_unstable();
        let mut names: Vec<&str> = found.iter().map(|(key, _)| *key).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            let what = format_args!("found {} twice in {}..{}", twice[0], places.start, places.end);
            verdict.fault(Phenomenon::Misplaced, self.reader, what);
        }
        self.items.extend(found.iter().map(|(key, value)| (*key, Some(*value))));
        self.ranges.push(RangeRead { from: places.start, to: places.end, found, own });
        found_own == expected_own
    }
}
