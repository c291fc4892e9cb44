//! Edges of the clock. That each completed transaction comes before each that began later would be an edge for every
//! pair; a chain of instants, one for each completion, says the same with three edges for each transaction.

use crate::graph::Graph;
use crate::history::Transaction;
use crate::verdict::Dependency;
use crate::writes::Writes;

/// Adds the instants and their edges.
pub(crate) fn add_edges<'h>(history: &'h [Transaction], writes: &Writes<'h>, graph: &mut Graph<'h>) {
    let mut starts: Vec<usize> = writes.counted().collect();
    starts.sort_unstable_by_key(|index| history[*index].start);
    let mut ends: Vec<usize> = writes.completed().collect();
    ends.sort_unstable_by_key(|index| history[*index].end);
    let mut ends = ends.into_iter().peekable();
    let mut instant = None;
    for starting in starts {
        // What ends at the instant at which another starts is concurrent with it.
        while let Some(ended) = ends.next_if(|ended| history[*ended].end < history[starting].start) {
            let next = graph.add_node();
            graph.add(ended, next, Dependency::RealTime, "");
            if let Some(before) = instant.replace(next) {
                graph.add(before, next, Dependency::RealTime, "");
            }
        }
        if let Some(instant) = instant {
            graph.add(instant, starting, Dependency::RealTime, "");
        }
    }
}
