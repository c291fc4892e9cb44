//! Finds what is not serializable in a recorded history of transactions. Plain data in, verdict out; for tests only.
//!
//! Clients note what they asked and what they were answered, [`check`] looks for an order of the transactions that
//! explains all answers. It knows nothing of how the store works, so it can judge any: see `store/tests/it/histories`.
//!
//! The method is that of Adya's thesis: transactions are nodes, and three kinds of dependencies are edges. `ww`: a
//! transaction replaced the version that another wrote. `wr`: it read that version. `rw`: it read a version that another
//! replaced. A cycle is an anomaly, and the kinds of its edges give it a name. As in Elle, versions need no numbers from
//! the store: histories are made of operations whose answers betray them. Lists that are only appended to show all of
//! their past; every value is written once; every write says which value it replaced. Predicates are ranges of one field:
//! a row that a range does not hold was read as one of its versions outside the range (`absences`).
//!
//! Edges of real time, from each transaction to those that began after it was complete, tell whether the order also
//! respects the clock.
//!
//! | module | what it does |
//! |---|---|
//! | [`history`] | what is recorded, also as JSON lines |
//! | `writes` | who wrote which value, and which transactions count |
//! | `view` | what one transaction saw of the others |
//! | `lists`, `items` | versions in order, and the edges that follow |
//! | `absences` | the edges that follow from what was not found |
//! | `real_time` | edges of the clock, as many as there are transactions |
//! | `graph` | components and shortest paths |
//! | `cycles` | cycles and their names |
//! | [`verdict`] | what was found, with a counter-example to read |
//!
//! Sources: A. Adya, *Weak Consistency: A Generalized Theory and Optimistic Implementations for Distributed
//! Transactions*, MIT 1999 (the phenomena G0 to G2). K. Kingsbury and P. Alvaro, *Elle: Inferring Isolation Anomalies
//! from Experimental Observations*, PVLDB 14(3), 2020 (versions out of answers). C. H. Papadimitriou, *The
//! Serializability of Concurrent Database Updates*, JACM 26(4), 1979 (real time). R. Tarjan, *Depth-First Search and
//! Linear Graph Algorithms*, SIAM J. Comput. 1(2), 1972 (components).

#![allow(clippy::indexing_slicing, reason = "test code: a checker that panics has failed, as it should")]

mod absences;
mod cycles;
mod graph;
pub mod history;
mod items;
mod lists;
mod real_time;
pub mod verdict;
mod view;
mod writes;

pub use history::{BadHistory, Operation, Outcome, Transaction};
pub use verdict::{Anomaly, Dependency, Phenomenon, Verdict};

use crate::absences::Absence;
use crate::graph::Graph;
use crate::view::View;
use crate::writes::Writes;

/// Looks for everything in a history that no serial execution explains. The order of the transactions does not matter.
///
/// Reads of aborted transactions are not judged, and transactions of unknown outcome count if somebody read what they
/// wrote. A result without anomalies says that this history has an order, no more.
pub fn check(history: &[Transaction]) -> Result<Verdict, BadHistory> {
    history::validate(history)?;
    let writes = Writes::new(history)?;
    let mut verdict = Verdict::new(history, &writes);
    let mut views = Vec::new();
    for reader in writes.counted() {
        let view = View::new(history, reader, &mut verdict);
        writes.judge(&view, &mut verdict);
        views.push(view);
    }

    let mut graph = Graph::new(history.len());
    let mut absences: Vec<Absence> = Vec::new();
    lists::add_edges(&views, &writes, &mut graph, &mut verdict);
    items::add_edges(&views, &writes, &mut graph, &mut absences, &mut verdict);

    for pass in [Pass::Visible, Pass::Serial, Pass::Strict] {
        let mut graph = graph.clone();
        if let Pass::Strict = pass {
            real_time::add_edges(history, &writes, &mut graph);
        }
        absences::resolve(&mut graph, &absences, pass.kinds());
        verdict.count(&graph);
        let cycles = cycles::find(history, &graph);
        if !cycles.is_empty() {
            verdict.extend(cycles);
            break;
        }
    }
    Ok(verdict)
}

/// What a search for cycles supposes. Each is made if the one before has found none: what contradicts itself tells
/// nothing, and the first names are the truest.
#[derive(Debug, Clone, Copy)]
enum Pass {
    /// A transaction comes after those whose writes it saw or replaced. This holds without serializability.
    Visible,
    /// There is an order of all transactions.
    Serial,
    /// That order agrees with the clock.
    Strict,
}

impl Pass {
    /// What tells that one transaction comes before another.
    fn kinds(self) -> &'static [Dependency] {
        use Dependency::{RangeRw, RangeWr, RealTime, Rw, Wr, Ww};
        match self {
            Self::Visible => &[Ww, Wr, RangeWr],
            Self::Serial => &[Ww, Wr, RangeWr, Rw, RangeRw],
            Self::Strict => &[Ww, Wr, RangeWr, Rw, RangeRw, RealTime],
        }
    }
}
