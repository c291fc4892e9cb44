//! What was not found: a reader saw one of the versions that do not match, and which one has to be worked out.
//!
//! The versions of an item alternate between matching and not. A stretch of versions that do not match is a *gap*: before
//! the item was inserted, while it was elsewhere, after it was deleted. With one gap the reader comes before the
//! transaction that ended it. With several, those are ruled out that contradict what is known already: the reader comes
//! after the end of a gap, or before its beginning. What remains bounds the reader from both sides. New edges may rule
//! out more, so this is repeated. Where several gaps are left to the end, only what holds for all of them is an edge:
//! nothing is reported that need not be so.

use std::collections::BTreeSet;

use crate::graph::{Graph, Reach};
use crate::verdict::Dependency;

/// How often gaps are ruled out anew.
const ROUNDS_MAX: usize = 20;

/// Versions of an item, one after the other, that do not match.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Gap {
    /// Who wrote the first; nobody: the item was not yet there.
    pub(crate) begun_by: Option<usize>,
    /// Who wrote the next that matches, if there is one.
    pub(crate) ended_by: Option<usize>,
}

/// An item that a reader did not find.
#[derive(Debug, Clone)]
pub(crate) struct Absence<'h> {
    pub(crate) reader: usize,
    pub(crate) key: &'h str,
    /// `Rw` or `RangeRw`: what the reader is to who ended the gap.
    pub(crate) dependency: Dependency,
    /// In order, at least one.
    pub(crate) gaps: Vec<Gap>,
}

/// Adds the edges that follow from absences. Gaps are ruled out by paths of the given kinds.
pub(crate) fn resolve<'h>(graph: &mut Graph<'h>, absences: &[Absence<'h>], kinds: &[Dependency]) {
    let (open, certain): (Vec<_>, Vec<_>) = absences.iter().partition(|absence| absence.gaps.len() > 1);
    for absence in certain {
        absence.add_bounds(graph, &absence.gaps);
    }
    let mut chosen: BTreeSet<usize> = open.iter().map(|absence| absence.reader).collect();
    chosen.extend(open.iter().flat_map(|absence| &absence.gaps).flat_map(|gap| gap.begun_by));
    for _ in 0..ROUNDS_MAX {
        let reach = Reach::new(graph, kinds, &chosen);
        let mut grown = 0;
        for absence in &open {
            grown += absence.narrow(graph, &reach);
        }
        if grown == 0 {
            break;
        }
    }
}

impl<'h> Absence<'h> {
    /// Rules out gaps; returns how many edges this adds.
    fn narrow(&self, graph: &mut Graph<'h>, reach: &Reach) -> usize {
        let reader = self.reader;
        let is_over = |gap: &Gap| gap.ended_by.is_some_and(|end| end != reader && reach.reaches(end, reader));
        let is_to_come = |gap: &Gap| gap.begun_by.is_some_and(|begin| reach.reaches(reader, begin));
        let first = self.gaps.iter().position(|gap| !is_over(gap)).unwrap_or(self.gaps.len());
        // The first gap has no beginning, so it is never to come.
        let last = self.gaps.iter().rposition(|gap| !is_to_come(gap)).unwrap_or(0);
        match self.gaps.get(first..=last) {
            Some(left) if !left.is_empty() => self.add_bounds(graph, left),
            // All are ruled out: the item was there all the while. Inside of a cycle everything is before and after
            // everything, which says nothing.
            _ if reach.is_cyclic(reader) => 0,
            _ => self.add_bounds(graph, &self.gaps[first - 1..first]),
        }
    }

    fn add_bounds(&self, graph: &mut Graph<'h>, left: &[Gap]) -> usize {
        let (after, before) = match self.dependency {
            Dependency::RangeRw => (Dependency::RangeWr, Dependency::RangeRw),
            _ => (Dependency::Wr, Dependency::Rw),
        };
        let begin = left.first().and_then(|gap| gap.begun_by);
        let end = left.last().and_then(|gap| gap.ended_by);
        let begin = begin.filter(|begin| graph.add(*begin, self.reader, after, self.key));
        let end = end.filter(|end| graph.add(self.reader, *end, before, self.key));
        begin.into_iter().chain(end).count()
    }
}
