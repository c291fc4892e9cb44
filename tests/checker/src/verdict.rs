//! What a check found: phenomena by their names, each with a counter-example to read.

use std::collections::BTreeMap;
use std::fmt;

use crate::graph::Graph;
use crate::history::{Outcome, Transaction};
use crate::writes::Writes;

/// Anomalies of one phenomenon that are explained; the others are counted.
const EXPLAINED_MAX: usize = 5;

/// Ways in which a history is not serializable. The names of cycles are Adya's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phenomenon {
    /// A read of what nobody wrote.
    Unwritten,
    /// A transaction did not see its own writes.
    Internal,
    /// A range held an item that is elsewhere, or held one twice.
    Misplaced,
    /// Reads of one list that no order of appends explains.
    Order,
    /// A read of what an aborted transaction wrote.
    G1a,
    /// A read of what its writer replaced before it committed.
    G1b,
    /// Two transactions replaced the same version.
    LostUpdate,
    /// Writes in a circle.
    G0,
    /// Writes and reads of them in a circle.
    G1c,
    /// A circle with one item that was read before it was replaced: read skew.
    GSingle,
    /// A circle with several of them: write skew.
    G2Item,
    /// A circle with a range that was read before something came into it: a phantom.
    G2,
    /// Serializable, but in no order that agrees with the clock: a stale read.
    RealTime,
}

/// What makes one transaction come before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dependency {
    /// The second replaced what the first wrote.
    Ww,
    /// The second read what the first wrote.
    Wr,
    /// The first read what the second replaced.
    Rw,
    /// The second did not find what the first took out of its range.
    RangeWr,
    /// The first did not find what the second brought into its range.
    RangeRw,
    /// The second began when the first was complete.
    RealTime,
}

/// Something that no serial execution explains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anomaly {
    /// Its name.
    pub phenomenon: Phenomenon,
    /// The transactions that show it, in a few lines.
    pub explanation: String,
}

/// What was found in a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The first few of each phenomenon, gravest first.
    pub anomalies: Vec<Anomaly>,
    /// How many there are of each; of cycles, how many tangles of transactions have one.
    pub found: BTreeMap<Phenomenon, usize>,
    /// How many transactions ended in each way.
    pub outcomes: BTreeMap<Outcome, usize>,
    /// How many transactions were judged.
    pub judged: usize,
    /// How many dependencies were found: a history without any proves nothing.
    pub dependencies: BTreeMap<Dependency, usize>,
}

impl Verdict {
    pub(crate) fn new(history: &[Transaction], writes: &Writes<'_>) -> Self {
        let mut outcomes = BTreeMap::new();
        for transaction in history {
            *outcomes.entry(transaction.outcome).or_default() += 1;
        }
        let judged = writes.counted().count();
        Self { anomalies: Vec::new(), found: BTreeMap::new(), outcomes, judged, dependencies: BTreeMap::new() }
    }

    /// Whether some serial execution that agrees with the clock gives all the answers of the history.
    pub fn is_strictly_serializable(&self) -> bool {
        self.found.is_empty()
    }

    /// Adds what a transaction shows by itself.
    pub(crate) fn fault(&mut self, phenomenon: Phenomenon, transaction: usize, what: fmt::Arguments<'_>) {
        self.add(phenomenon, || format!("T{} {what}", transaction + 1));
    }

    pub(crate) fn extend(&mut self, anomalies: Vec<Anomaly>) {
        for Anomaly { phenomenon, explanation } in anomalies {
            self.add(phenomenon, || explanation);
        }
    }

    fn add(&mut self, phenomenon: Phenomenon, explain: impl FnOnce() -> String) {
        let found = self.found.entry(phenomenon).or_default();
        *found += 1;
        if *found > EXPLAINED_MAX {
            return;
        }
        let place = self.anomalies.partition_point(|anomaly| anomaly.phenomenon <= phenomenon);
        self.anomalies.insert(place, Anomaly { phenomenon, explanation: explain() });
    }

    /// Notes the dependencies that a verdict rests on.
    pub(crate) fn count(&mut self, graph: &Graph<'_>) {
        self.dependencies.clear();
        for (_, edge) in graph.edges() {
            *self.dependencies.entry(edge.dependency).or_default() += 1;
        }
    }
}

impl fmt::Display for Phenomenon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unwritten => "unwritten value",
            Self::Internal => "own write not seen",
            Self::Misplaced => "misplaced row",
            Self::Order => "incompatible order",
            Self::G1a => "G1a (aborted read)",
            Self::G1b => "G1b (intermediate read)",
            Self::LostUpdate => "lost update",
            Self::G0 => "G0 (write cycle)",
            Self::G1c => "G1c (circular information flow)",
            Self::GSingle => "G-single (read skew)",
            Self::G2Item => "G2-item (write skew)",
            Self::G2 => "G2 (phantom)",
            Self::RealTime => "real time (stale read)",
        })
    }
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ww => "ww",
            Self::Wr => "wr",
            Self::Rw => "rw",
            Self::RangeWr => "range wr",
            Self::RangeRw => "range rw",
            Self::RealTime => "real time",
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_strictly_serializable() {
            write!(f, "strictly serializable")?;
        }
        for (number, Anomaly { phenomenon, explanation }) in self.anomalies.iter().enumerate() {
            write!(f, "{}{phenomenon}: {explanation}", if number > 0 { "\n" } else { "" })?;
        }
        for (phenomenon, found) in &self.found {
            if *found > EXPLAINED_MAX {
                write!(f, "\n{phenomenon}: {} more", found - EXPLAINED_MAX)?;
            }
        }
        Ok(())
    }
}
