//! What a view is made of, as of the commit that it has reached and as of a few before it. What the last commits changed is
//! remembered, and is taken back for as long as somebody looks.

use std::collections::{BTreeMap, VecDeque};
use std::mem;

use weir_schema::id::DocumentId;
use weir_store::Head;

use super::kept::{Declared, Kept};
use super::view::Contributed;
use super::{Contribution, Packed};
use crate::call::CallError;

/// How many steps can be taken back.
const STEPS_MAX: usize = 64;
/// How many documents all of these have changed together.
const CHANGES_MAX: usize = 4_096;

/// As of which commit somebody wants to look.
#[derive(Debug, Clone, Copy)]
pub(super) enum At {
    /// This one or any later one.
    From(u64),
    /// Exactly this one.
    Exactly(u64),
}

/// A view at its last commits.
pub(super) struct Recent {
    kept: Kept,
    /// Documents whose contributions cannot be computed.
    failed: BTreeMap<DocumentId, CallError>,
    /// The commit that it is as of; `None` while it is being built.
    head: Option<Head>,
    /// The last steps, the oldest first.
    steps: VecDeque<Step>,
}

/// One or several commits that were taken into account at once.
struct Step {
    /// The commit before them.
    before: Head,
    changes: Vec<Change>,
}

/// What a document contributes, or why that is not known, before a step; while somebody looks back, after it.
struct Change {
    document: DocumentId,
    contributed: Packed,
    failed: Option<CallError>,
}

impl Recent {
    /// Nothing is known yet.
    pub(super) fn new(declared: &Declared) -> Self {
        Self { kept: Kept::new(declared), failed: BTreeMap::new(), head: None, steps: VecDeque::new() }
    }

    /// Takes documents into account while the view is built.
    pub(super) fn build(&mut self, contributed: Vec<(DocumentId, Contributed)>) {
        for (document, contributed) in contributed {
            self.set(document, contributed);
        }
    }

    /// Takes all into account that commits have changed, up to one.
    pub(super) fn advance(&mut self, contributed: Vec<(DocumentId, Contributed)>, head: Head) {
        let changes = contributed.into_iter().map(|(document, contributed)| self.set(document, contributed)).collect();
        if let Some(before) = self.head.replace(head) {
            self.steps.push_back(Step { before, changes });
        }
        while self.steps.len() > STEPS_MAX || self.changes() > CHANGES_MAX {
            self.steps.pop_front();
        }
    }

    /// Looks at it as of a commit; `None` if that is not known. To look back takes time in what was changed since.
    pub(super) fn look<T>(&mut self, at: At, look: impl FnOnce(&Self, Head) -> T) -> Option<T> {
        let head = self.head?;
        let (back, head) = match at {
            At::From(sequence) => (head.sequence >= sequence).then_some((0, head))?,
            At::Exactly(sequence) if head.sequence == sequence => (0, head),
            At::Exactly(sequence) => {
                let (back, step) =
                    self.steps.iter().rev().enumerate().find(|(_, step)| step.before.sequence == sequence)?;
                (back + 1, step.before)
            }
        };
        let mut steps = mem::take(&mut self.steps);
        for change in steps.iter_mut().rev().take(back).flat_map(|step| step.changes.iter_mut().rev()) {
            self.exchange(change);
        }
        let seen = look(self, head);
        let stayed = steps.len() - back;
        for change in steps.iter_mut().skip(stayed).flat_map(|step| &mut step.changes) {
            self.exchange(change);
        }
        self.steps = steps;
        Some(seen)
    }

    /// Whether commits up to this one are yet to be taken into account, by who keeps up with them.
    pub(super) fn is_behind(&self, sequence: u64) -> bool {
        self.head.is_some_and(|head| head.sequence < sequence)
    }

    /// What is kept.
    pub(super) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// The commit that it is as of; `None` while it is being built.
    pub(super) fn head(&self) -> Option<Head> {
        self.head
    }

    /// Of how many documents something is known: what they contribute, or why that is not.
    pub(super) fn documents(&self) -> usize {
        self.kept.size().0 + self.failed.len()
    }

    /// Why what some document contributes is not known.
    pub(super) fn error(&self) -> Option<&CallError> {
        self.failed.values().next()
    }

    /// Replaces what a document contributes. Gives what it was.
    fn set(&mut self, document: DocumentId, contributed: Result<Vec<Contribution>, CallError>) -> Change {
        let (contributed, failed) = match contributed {
            Ok(contributions) => (self.kept.pack(contributions), None),
            Err(error) => (Packed::default(), Some(error)),
        };
        let mut change = Change { document, contributed, failed };
        self.exchange(&mut change);
        change
    }

    /// Exchanges what a document contributes for what it did, or the other way round.
    fn exchange(&mut self, Change { document, contributed, failed }: &mut Change) {
        *contributed = self.kept.put(document, mem::take(contributed));
        *failed = match failed.take() {
            Some(error) => self.failed.insert(document.clone(), error),
            None => self.failed.remove(document),
        };
    }

    fn changes(&self) -> usize {
        self.steps.iter().map(|step| step.changes.len()).sum()
    }
}

#[cfg(test)]
mod tests;
