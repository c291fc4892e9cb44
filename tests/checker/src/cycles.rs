//! Finds cycles and gives them their names.
//!
//! One phenomenon after the other, gravest first: each is an edge that must be on the cycle and the edges that may lead
//! back. One cycle, a short one, is shown for each component and phenomenon.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::graph::{Edge, Graph};
use crate::history::{Operation, Transaction};
use crate::verdict::{Anomaly, Dependency, Phenomenon};

/// Edges of a component from which a way back is looked for, to find a short one.
const TRIED_MAX: usize = 200;
/// Operations of a transaction that are shown whatever they are about.
const SHOWN_MAX: usize = 6;

/// How a phenomenon looks.
struct Shape {
    phenomenon: Phenomenon,
    /// One of these is on the cycle.
    first: &'static [Dependency],
    /// These may be.
    back: &'static [Dependency],
}

const SHAPES: [Shape; 6] = {
    use Dependency::{RangeRw, RangeWr, RealTime, Rw, Wr, Ww};
    [
        Shape { phenomenon: Phenomenon::G0, first: &[Ww], back: &[Ww] },
        Shape { phenomenon: Phenomenon::G1c, first: &[Wr, RangeWr], back: &[Ww, Wr, RangeWr] },
        Shape { phenomenon: Phenomenon::GSingle, first: &[Rw], back: &[Ww, Wr, RangeWr] },
        Shape { phenomenon: Phenomenon::G2Item, first: &[Rw], back: &[Ww, Wr, RangeWr, Rw] },
        Shape { phenomenon: Phenomenon::G2, first: &[RangeRw], back: &[Ww, Wr, RangeWr, Rw, RangeRw] },
        Shape { phenomenon: Phenomenon::RealTime, first: &[RealTime], back: &[Ww, Wr, RangeWr, Rw, RangeRw, RealTime] },
    ]
};

type Cycle<'h> = Vec<(usize, Edge<'h>)>;

/// The cycles of a graph.
pub(crate) fn find(history: &[Transaction], graph: &Graph<'_>) -> Vec<Anomaly> {
    let mut anomalies = Vec::new();
    for shape in &SHAPES {
        for cycle in shape.cycles(graph) {
            let explanation = explain(history, &cycle);
            anomalies.push(Anomaly { phenomenon: shape.phenomenon, explanation });
        }
    }
    anomalies
}

impl Shape {
    fn cycles<'h>(&self, graph: &Graph<'h>) -> Vec<Cycle<'h>> {
        let kinds: Vec<Dependency> = self.first.iter().chain(self.back).copied().collect();
        let components = graph.components(&kinds);
        let tangles = components.members.iter().filter(|members| members.len() > 1);
        tangles
            .filter_map(|members| {
                let mut members = members.clone();
                members.sort_unstable();
                let inside =
                    members.iter().flat_map(|from| graph.edges_of(*from).iter().map(move |edge| (*from, *edge)));
                let first = inside
                    .filter(|(_, edge)| self.first.contains(&edge.dependency))
                    .filter(|(from, edge)| components.of[*from] == components.of[edge.to]);
                let cycles = first.take(TRIED_MAX).filter_map(|(from, edge)| {
                    let mut cycle = vec![(from, edge)];
                    cycle.extend(graph.path(edge.to, from, self.back, &components)?);
                    self.is_named_for(&cycle).then_some(cycle)
                });
                cycles.min_by_key(Vec::len)
            })
            .collect()
    }

    /// A cycle with one anti-dependency has a name of its own.
    fn is_named_for(&self, cycle: &Cycle<'_>) -> bool {
        let is_rw = |(_, edge): &&(usize, Edge<'_>)| edge.dependency == Dependency::Rw;
        self.phenomenon != Phenomenon::G2Item || cycle.iter().filter(is_rw).count() > 1
    }
}

/// The cycle in one line, and the transactions on it with what they did there.
fn explain(history: &[Transaction], cycle: &Cycle<'_>) -> String {
    // Instants are no transactions: what leads from one transaction to the next through them is one edge.
    let is_transaction = |node: usize| node < history.len();
    let begin = cycle.iter().position(|(from, _)| is_transaction(*from)).unwrap_or(0);
    let turned = cycle[begin..].iter().chain(&cycle[..begin]);
    let mut text = String::new();
    let mut members = Vec::new();
    let mut keys = BTreeSet::new();
    for (from, edge) in turned {
        if is_transaction(*from) {
            members.push(*from);
            let _ = write!(text, "T{} ", from + 1);
        }
        if is_transaction(edge.to) {
            let about = if edge.key.is_empty() { String::new() } else { format!(" {}", edge.key) };
            let _ = write!(text, "-{}{about}-> ", edge.dependency);
            keys.insert(edge.key);
        }
    }
    if let Some(first) = members.first() {
        let _ = write!(text, "T{}", first + 1);
    }
    for member in members {
        let transaction = &history[member];
        let shown = transaction.operations.iter().filter(|operation| concerns(operation, &keys));
        let left_out = transaction.operations.len() > SHOWN_MAX;
        let operations = if left_out { shown.cloned().collect() } else { transaction.operations.clone() };
        let shown = Transaction { operations, ..transaction.clone() };
        let _ = write!(text, "\n  T{} {shown}", member + 1);
    }
    text
}

fn concerns(operation: &Operation, keys: &BTreeSet<&str>) -> bool {
    match operation {
        Operation::Append { key, .. }
        | Operation::List { key, .. }
        | Operation::Read { key, .. }
        | Operation::Write { key, .. }
        | Operation::Delete { key, .. } => keys.contains(key.as_str()),
        Operation::Range { .. } => true,
    }
}
