//! Lists: the longest read of a list is the order of its versions, every other read a point in it.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::Graph;
use crate::verdict::{Dependency, Phenomenon, Verdict};
use crate::view::{ListRead, View};
use crate::writes::Writes;

/// All that happened to one list.
#[derive(Default)]
struct List<'a, 'h> {
    reads: Vec<(usize, &'a ListRead<'h>)>,
    /// Who appended, and what.
    appended: BTreeMap<u64, usize>,
}

/// Adds the edges that follow from lists.
pub(crate) fn add_edges<'h>(views: &[View<'h>], writes: &Writes<'h>, graph: &mut Graph<'h>, verdict: &mut Verdict) {
    let mut lists: BTreeMap<&'h str, List<'_, 'h>> = BTreeMap::new();
    for view in views {
        for read in &view.lists {
            lists.entry(read.key).or_default().reads.push((view.reader, read));
        }
        for (key, values) in &view.appended {
            let appended = values.iter().map(|value| (*value, view.reader));
            lists.entry(key).or_default().appended.extend(appended);
        }
    }
    for (key, list) in lists {
        list.add_edges(key, writes, graph, verdict);
        list.find_lost_updates(key, verdict);
    }
}

impl<'h> List<'_, 'h> {
    fn add_edges(&self, key: &'h str, writes: &Writes<'h>, graph: &mut Graph<'h>, verdict: &mut Verdict) {
        let order = self.reads.iter().map(|(_, read)| read.whole).max_by_key(|whole| whole.len()).unwrap_or_default();
        let authors: Vec<Option<usize>> =
            order.iter().map(|value| Some(writes.appended(key, *value)?.transaction)).collect();
        for pair in authors.windows(2) {
            if let [Some(before), Some(after)] = pair {
                graph.add(*before, *after, Dependency::Ww, key);
            }
        }
        // A list loses nothing: what is not in the longest read came after it.
        let seen: BTreeSet<u64> = order.iter().copied().collect();
        let unseen: Vec<usize> =
            self.appended.iter().filter(|(value, _)| !seen.contains(value)).map(|(_, author)| *author).collect();
        if let Some(Some(last)) = authors.last() {
            for author in &unseen {
                graph.add(*last, *author, Dependency::Ww, key);
            }
        }
        for (reader, read) in &self.reads {
            if !order.starts_with(read.whole) {
                let what = format_args!("read {key} as {:?}, others as {order:?}", read.whole);
                verdict.fault(Phenomenon::Order, *reader, what);
                continue;
            }
            let length = read.others.len();
            if let Some(Some(last)) = length.checked_sub(1).map(|last| authors[last]) {
                graph.add(last, *reader, Dependency::Wr, key);
            }
            match authors.get(length) {
                Some(next) => {
                    if let Some(next) = next {
                        graph.add(*reader, *next, Dependency::Rw, key);
                    }
                }
                None => {
                    for author in &unseen {
                        graph.add(*reader, *author, Dependency::Rw, key);
                    }
                }
            }
        }
    }

    /// Two that read the same version and both appended to it.
    fn find_lost_updates(&self, key: &str, verdict: &mut Verdict) {
        let writers: BTreeSet<usize> = self.appended.values().copied().collect();
        let mut based_on: BTreeMap<&[u64], usize> = BTreeMap::new();
        for (reader, read) in self.reads.iter().filter(|(reader, _)| writers.contains(reader)) {
            let first = *based_on.entry(read.others).or_insert(*reader);
            if first != *reader {
                let (first, length) = (first + 1, read.others.len());
                let what = format_args!("and T{first} both appended to {key} when it had {length} values");
                verdict.fault(Phenomenon::LostUpdate, *reader, what);
            }
        }
    }
}
