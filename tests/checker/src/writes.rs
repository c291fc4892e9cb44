//! Who wrote which value, and which transactions count: those that committed, and those of unknown outcome whose
//! values a counted one has read.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{BadHistory, Operation, Outcome, Transaction};
use crate::verdict::{Phenomenon, Verdict};
use crate::view::View;

/// Who wrote a value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Author {
    pub(crate) transaction: usize,
    /// The last that its transaction wrote there: the only one that others may see.
    pub(crate) last: Last,
    /// Where ranges find it.
    pub(crate) at: Option<i64>,
}

/// Whether a transaction wrote again what it had written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Last {
    Final,
    Intermediate,
}

type Authors<'h> = BTreeMap<(&'h str, u64), Author>;

/// All writes of a history, aborted ones included.
pub(crate) struct Writes<'h> {
    lists: Authors<'h>,
    items: Authors<'h>,
    outcomes: Vec<Outcome>,
    counted: Vec<Counted>,
    /// Items that a transaction may have written whose outcome nobody knows and whose values nobody saw.
    uncertain: BTreeSet<&'h str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    Yes,
    No,
}

impl<'h> Writes<'h> {
    pub(crate) fn new(history: &'h [Transaction]) -> Result<Self, BadHistory> {
        let (mut lists, mut items) = (Authors::new(), Authors::new());
        for (transaction, recorded) in history.iter().enumerate() {
            let mut last_in_list: BTreeMap<&str, u64> = BTreeMap::new();
            let mut last_of_item: BTreeMap<&str, u64> = BTreeMap::new();
            for operation in &recorded.operations {
                match operation {
                    Operation::Append { key, value } => {
                        let author = Author { transaction, last: Last::Final, at: None };
                        add(&mut lists, &mut last_in_list, key, *value, author)?;
                    }
                    Operation::Write { key, value, at, .. } => {
                        let author = Author { transaction, last: Last::Final, at: *at };
                        add(&mut items, &mut last_of_item, key, *value, author)?;
                    }
                    Operation::Delete { key, .. } => supersede(&mut items, last_of_item.remove(key.as_str()), key),
                    Operation::List { .. } | Operation::Read { .. } | Operation::Range { .. } => {}
                }
            }
        }
        let outcomes: Vec<Outcome> = history.iter().map(|recorded| recorded.outcome).collect();
        let counted = vec![Counted::No; history.len()];
        let mut writes = Self { lists, items, outcomes, counted, uncertain: BTreeSet::new() };
        writes.count(history);
        writes.doubt(history);
        Ok(writes)
    }

    /// Finds out which transactions count.
    fn count(&mut self, history: &'h [Transaction]) {
        let mut to_visit: Vec<usize> =
            (0..history.len()).filter(|index| self.outcomes[*index] == Outcome::Committed).collect();
        while let Some(reader) = to_visit.pop() {
            if self.counted[reader] == Counted::Yes {
                continue;
            }
            self.counted[reader] = Counted::Yes;
            for operation in &history[reader].operations {
                let read: Vec<Option<&Author>> = match operation {
                    Operation::List { key, values } => {
                        values.iter().map(|value| self.lists.get(&(key.as_str(), *value))).collect()
                    }
                    Operation::Read { key, value: Some(value) }
                    | Operation::Write { key, over: Some(value), .. }
                    | Operation::Delete { key, over: value } => vec![self.items.get(&(key.as_str(), *value))],
                    Operation::Range { rows, .. } => {
                        rows.iter().map(|(key, value)| self.items.get(&(key.as_str(), *value))).collect()
                    }
                    Operation::Append { .. } | Operation::Read { .. } | Operation::Write { .. } => Vec::new(),
                };
                let authors = read.into_iter().flatten().map(|author| author.transaction);
                to_visit.extend(authors.filter(|author| self.outcomes[*author] == Outcome::Unknown));
            }
        }
    }

    /// Finds what may have been deleted or moved without a trace.
    fn doubt(&mut self, history: &'h [Transaction]) {
        for (index, transaction) in history.iter().enumerate() {
            if self.outcomes[index] != Outcome::Unknown || self.counted[index] == Counted::Yes {
                continue;
            }
            for operation in &transaction.operations {
                if let Operation::Write { key, .. } | Operation::Delete { key, .. } = operation {
                    self.uncertain.insert(key);
                }
            }
        }
    }

    /// Whether all that was done to an item is known.
    pub(crate) fn is_certain(&self, key: &str) -> bool {
        !self.uncertain.contains(key)
    }

    /// The transactions that count.
    pub(crate) fn counted(&self) -> impl Iterator<Item = usize> {
        self.counted.iter().enumerate().filter(|(_, counted)| **counted == Counted::Yes).map(|(index, _)| index)
    }

    /// Who appended a value, if that counts.
    pub(crate) fn appended(&self, key: &str, value: u64) -> Option<Author> {
        self.counting(self.lists.get(&(key, value)))
    }

    /// Who wrote a value, if that counts.
    pub(crate) fn wrote(&self, key: &str, value: u64) -> Option<Author> {
        self.counting(self.items.get(&(key, value)))
    }

    fn counting(&self, author: Option<&Author>) -> Option<Author> {
        author.filter(|author| self.counted[author.transaction] == Counted::Yes).copied()
    }

    /// The transactions whose completion is known.
    pub(crate) fn completed(&self) -> impl Iterator<Item = usize> {
        self.counted().filter(|index| self.outcomes[*index] == Outcome::Committed)
    }

    /// Reports values that nobody may have seen.
    pub(crate) fn judge(&self, view: &View<'h>, verdict: &mut Verdict) {
        let reader = view.reader;
        for read in &view.lists {
            let key = read.key;
            let mut seen = read.others.to_vec();
            seen.sort_unstable();
            if let Some(twice) = seen.windows(2).find(|pair| pair[0] == pair[1]) {
                verdict.fault(Phenomenon::Order, reader, format_args!("found {} in {key} twice", twice[0]));
            }
            for value in read.others {
                // Which values come in the middle is a matter of the order of lists.
                let place = if read.others.last() == Some(value) { Place::End } else { Place::Inside };
                self.judge_value(reader, key, *value, self.lists.get(&(key, *value)), place, verdict);
            }
        }
        for (key, value) in &view.items {
            let Some(value) = value else { continue };
            self.judge_value(reader, key, *value, self.items.get(&(*key, *value)), Place::End, verdict);
        }
        for range in &view.ranges {
            for (key, value) in &range.found {
                let Some(Author { at: Some(at), .. }) = self.items.get(&(*key, *value)) else { continue };
                if !(range.from..range.to).contains(at) {
                    let (from, to) = (range.from, range.to);
                    let what = format_args!("found {key}={value} in {from}..{to}, but that is at {at}");
                    verdict.fault(Phenomenon::Misplaced, reader, what);
                }
            }
        }
    }

    fn judge_value(
        &self,
        reader: usize,
        key: &str,
        value: u64,
        author: Option<&Author>,
        place: Place,
        verdict: &mut Verdict,
    ) {
        match author {
            None => {
                verdict.fault(Phenomenon::Unwritten, reader, format_args!("read {value} in {key}, which nobody wrote"))
            }
            Some(Author { transaction, .. }) if self.outcomes[*transaction] == Outcome::Aborted => {
                let writer = transaction + 1;
                let what = format_args!("read {value} in {key}, which T{writer} wrote, and T{writer} aborted");
                verdict.fault(Phenomenon::G1a, reader, what);
            }
            Some(Author { transaction, last: Last::Intermediate, .. })
                if *transaction != reader && place == Place::End =>
            {
                let writer = transaction + 1;
                let what = format_args!("read {value} in {key}, which T{writer} wrote and replaced itself");
                verdict.fault(Phenomenon::G1b, reader, what);
            }
            Some(_) => {}
        }
    }
}

/// Where in a list a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Inside,
    End,
}

fn add<'h>(
    authors: &mut Authors<'h>,
    last: &mut BTreeMap<&'h str, u64>,
    key: &'h str,
    value: u64,
    author: Author,
) -> Result<(), BadHistory> {
    if let Some(other) = authors.insert((key, value), author) {
        let (first, second) = (other.transaction + 1, author.transaction + 1);
        return Err(BadHistory::Ambiguous { key: key.to_owned(), value, first, second });
    }
    supersede(authors, last.insert(key, value), key);
    Ok(())
}

fn supersede<'h>(authors: &mut Authors<'h>, value: Option<u64>, key: &'h str) {
    let author = value.and_then(|value| authors.get_mut(&(key, value)));
    if let Some(author) = author {
        author.last = Last::Intermediate;
    }
}
