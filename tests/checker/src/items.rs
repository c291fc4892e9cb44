//! Items: every write names the version that it replaced, which puts the versions of an item in order.

use std::collections::{BTreeMap, BTreeSet};

use crate::absences::{Absence, Gap};
use crate::graph::Graph;
use crate::verdict::{Dependency, Phenomenon, Verdict};
use crate::view::{RangeRead, View};
use crate::writes::Writes;

/// What a transaction made of an item.
#[derive(Debug, Clone, Copy)]
struct Version {
    writer: usize,
    /// Nothing: it is deleted.
    value: Option<u64>,
    at: Option<i64>,
}

/// The versions of an item by what they replaced; those that replaced nothing were inserted.
#[derive(Debug, Default)]
struct Item {
    replacing: BTreeMap<Option<u64>, Vec<Version>>,
    chain: Vec<Version>,
    /// Whether the chain has all versions; it has not where two replaced the same, or an outcome is not known.
    is_whole: bool,
}

/// Adds the edges that follow from items, and collects what was not found.
pub(crate) fn add_edges<'h>(
    views: &[View<'h>],
    writes: &Writes<'h>,
    graph: &mut Graph<'h>,
    absences: &mut Vec<Absence<'h>>,
    verdict: &mut Verdict,
) {
    let items = collect(views, writes);
    for (key, item) in &items {
        item.add_writes(key, writes, graph, verdict);
    }
    let nothing = Item::default();
    for view in views {
        let reader = view.reader;
        for (key, value) in &view.items {
            let item = items.get(key).unwrap_or(&nothing);
            if value.is_none() && (item.has_deletion() || !writes.is_certain(key)) {
                absences.extend(item.absence(reader, key, Dependency::Rw, |version| version.value.is_some()));
                continue;
            }
            if let Some(author) = value.and_then(|value| writes.wrote(key, value)) {
                graph.add(author.transaction, reader, Dependency::Wr, key);
            }
            for next in item.replacing.get(value).into_iter().flatten() {
                graph.add(reader, next.writer, Dependency::Rw, key);
            }
        }
    }
    let places: BTreeSet<(i64, &'h str)> =
        items.iter().flat_map(|(key, item)| item.versions().filter_map(|version| Some((version.at?, *key)))).collect();
    for view in views {
        for range in &view.ranges {
            for key in not_found(range, &places) {
                let matches = |version: &Version| version.at.is_some_and(|at| (range.from..range.to).contains(&at));
                absences.extend(items[key].absence(view.reader, key, Dependency::RangeRw, matches));
            }
        }
    }
}

fn collect<'h>(views: &[View<'h>], writes: &Writes<'h>) -> BTreeMap<&'h str, Item> {
    let mut items: BTreeMap<&str, Item> = BTreeMap::new();
    for view in views {
        for (key, written) in &view.written {
            let version = Version { writer: view.reader, value: written.value, at: written.at };
            items.entry(key).or_default().replacing.entry(written.over).or_default().push(version);
        }
    }
    for (key, item) in &mut items {
        item.line_up(key, writes);
    }
    items
}

/// The items that were or came into a range at some time and that a read of it did not find.
fn not_found<'h>(range: &RangeRead<'h>, places: &BTreeSet<(i64, &'h str)>) -> BTreeSet<&'h str> {
    if range.from >= range.to {
        return BTreeSet::new();
    }
    let mut keys: BTreeSet<&str> = places.range((range.from, "")..(range.to, "")).map(|(_, key)| *key).collect();
    for key in range.found.iter().map(|(key, _)| key).chain(&range.own) {
        keys.remove(key);
    }
    keys
}

impl Item {
    fn versions(&self) -> impl Iterator<Item = &Version> {
        self.replacing.values().flatten()
    }

    fn has_deletion(&self) -> bool {
        self.versions().any(|version| version.value.is_none())
    }

    fn line_up(&mut self, key: &str, writes: &Writes<'_>) {
        let mut replaced = None;
        while let Some([version]) = self.replacing.get(&replaced).map(Vec::as_slice) {
            self.chain.push(*version);
            replaced = version.value;
            // A circle of versions never comes back to its first; one that is not counted has no next.
            let is_known = replaced.is_some_and(|value| writes.wrote(key, value).is_some());
            if !is_known || self.chain.len() > self.replacing.len() {
                break;
            }
        }
        self.is_whole = self.chain.len() == self.versions().count() && writes.is_certain(key);
    }

    fn add_writes<'h>(&self, key: &'h str, writes: &Writes<'h>, graph: &mut Graph<'h>, verdict: &mut Verdict) {
        for (replaced, versions) in &self.replacing {
            if let Some(author) = replaced.and_then(|value| writes.wrote(key, value)) {
                for version in versions {
                    graph.add(author.transaction, version.writer, Dependency::Ww, key);
                }
            }
            for pair in versions.windows(2) {
                let first = pair[0].writer + 1;
                let replaced = replaced.map_or("nothing".to_owned(), |value| value.to_string());
                let what = format_args!("and T{first} both replaced {replaced} in {key}");
                verdict.fault(Phenomenon::LostUpdate, pair[1].writer, what);
            }
        }
    }

    /// What it means that a reader found no version that matches; nothing where none ever did, or where the order of the
    /// versions is not known.
    fn absence<'h>(
        &self,
        reader: usize,
        key: &'h str,
        dependency: Dependency,
        matches: impl Fn(&Version) -> bool,
    ) -> Option<Absence<'h>> {
        if !self.is_whole {
            return None;
        }
        let mut gaps = vec![Gap::default()];
        for version in &self.chain {
            let Some(last) = gaps.last_mut() else { break };
            match (matches(version), last.ended_by) {
                (true, None) => last.ended_by = Some(version.writer),
                (false, Some(_)) => gaps.push(Gap { begun_by: Some(version.writer), ended_by: None }),
                (true, Some(_)) | (false, None) => {}
            }
        }
        let ever_matched = gaps.first().is_some_and(|gap| gap.ended_by.is_some());
        ever_matched.then_some(Absence { reader, key, dependency, gaps })
    }
}
