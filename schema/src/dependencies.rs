//! Which functions of an app use which collections and each other, as far as its source shows it.
//!
//! Found by the compiler, without running anything: what code could do, not what a call does. What a store looks at by
//! itself, such as whether the document that a reference leads to is there, is not in it.

mod dot;
mod text;

use std::collections::BTreeSet;

use crate::declarations::{Declarations, FunctionKind};
use crate::manifest::Cron;
use crate::references::OnDelete;

pub use dot::dot;
pub use text::text;

/// Functions and collections, and what the former do with the latter and with each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DependencyGraph {
    /// Functions and what answers HTTP requests, by module and in the order of their exports.
    pub functions: Vec<FunctionNode>,
    /// Collections in the order of the declarations.
    pub collections: Vec<CollectionNode>,
}

/// A function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionNode {
    /// The exported name, which no other function or endpoint has.
    pub name: String,
    /// What it may do.
    pub kind: FunctionKind,
    /// Where it is exported: `functions/orders.ts:7`.
    pub place: String,
    /// The requests that it answers, if it is an endpoint: `POST /hooks/pay`.
    pub answers: Option<String>,
    /// When it is called again and again: schedules as `app.toml` writes them.
    pub crons: Vec<String>,
    /// What it uses.
    pub uses: BTreeSet<Use>,
}

/// A collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionNode {
    /// The exported name, which no other collection has.
    pub name: String,
    /// The module that exports it: `collections.ts`.
    pub place: String,
}

/// What a function does with a collection or another function.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// What it does.
    pub relation: Relation,
    /// The exported name of the collection or function.
    pub target: String,
    /// Whether the source shows it.
    pub certainty: Certainty,
}

/// What can be done with a collection or a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relation {
    /// A view groups what a collection holds.
    Over,
    /// Reads a collection.
    Reads,
    /// Writes into a collection, or deletes what takes documents of it along.
    Writes,
    /// Calls a function.
    Calls,
    /// Has a function called later.
    Schedules,
}

impl Relation {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 5] = [Self::Over, Self::Reads, Self::Writes, Self::Calls, Self::Schedules];

    /// As a verb.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Over => "over",
            Self::Reads => "reads",
            Self::Writes => "writes",
            Self::Calls => "calls",
            Self::Schedules => "schedules",
        }
    }

    /// Whether the target is a collection rather than a function.
    pub fn is_of_collections(self) -> bool {
        matches!(self, Self::Over | Self::Reads | Self::Writes)
    }

    /// Whether functions of a kind can do it at all. What they share with others may have code for it.
    fn is_open_to(self, kind: FunctionKind) -> bool {
        match self {
            Self::Over | Self::Calls => true,
            Self::Reads => kind != FunctionKind::Action,
            Self::Writes | Self::Schedules => kind == FunctionKind::Procedure,
        }
    }
}

/// Whether the source shows what is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// It does: `orders.insert(…)`.
    Shown,
    /// What is used is passed on as a value, which could come to that.
    Possible,
}

impl FunctionNode {
    /// Adds a use, unless functions of this kind cannot do it. What the source shows hides what is possible.
    pub fn add(&mut self, relation: Relation, target: &str, certainty: Certainty) {
        if !relation.is_open_to(self.kind) {
            return;
        }
        let of = |certainty| Use { relation, target: target.to_owned(), certainty };
        match certainty {
            Certainty::Shown => {
                self.uses.remove(&of(Certainty::Possible));
                self.uses.insert(of(Certainty::Shown));
            }
            Certainty::Possible if self.uses.contains(&of(Certainty::Shown)) => {}
            Certainty::Possible => {
                self.uses.insert(of(Certainty::Possible));
            }
        }
    }

    /// What it does in one way, in the order of the names.
    pub fn used(&self, relation: Relation) -> impl Iterator<Item = &Use> {
        self.uses.iter().filter(move |used| used.relation == relation)
    }
}

impl DependencyGraph {
    /// Notes what `app.toml` calls again and again.
    pub fn add_crons(&mut self, crons: &[Cron]) {
        for Cron { schedule, call, .. } in crons {
            let called = self.functions.iter_mut().filter(|function| function.name == *call);
            called.for_each(|function| function.crons.push(schedule.to_string()));
        }
    }

    /// Who does one thing with a collection or function, in the order of the functions.
    pub fn users(&self, relation: Relation, target: &str) -> impl Iterator<Item = (&FunctionNode, Certainty)> {
        self.functions.iter().filter_map(move |function| {
            let used = function.used(relation).find(|used| used.target == target)?;
            Some((function, used.certainty))
        })
    }
}

/// The collections into which the deletion of a document writes: its own, and those whose documents go with it or lose
/// their reference.
pub fn written_by_deletion<'d>(declarations: &'d Declarations, collection: &'d str) -> BTreeSet<&'d str> {
    let mut written = BTreeSet::from([collection]);
    let mut emptied = vec![collection];
    let mut seen = written.clone();
    while let Some(target) = emptied.pop() {
        for other in declarations.collections.values() {
            for reference in other.references.iter().filter(|reference| reference.target == target) {
                if reference.on_delete != OnDelete::Restrict {
                    written.insert(&other.name);
                }
                if reference.on_delete == OnDelete::Cascade && seen.insert(&other.name) {
                    emptied.push(&other.name);
                }
            }
        }
    }
    written
}
