//! What a view is made of, as of the commit that it has reached and as of a few before it. What the last commits changed is
//! remembered, and is taken back for as long as somebody looks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;

use weir_schema::id::DocumentId;
use weir_store::Head;

use super::kept::{Declared, Kept};
use super::view::Contributed;
use super::{Contribution, Packed, Scalar};
use crate::call::CallError;
use crate::results::may_pass;

/// How many steps can be taken back.
const STEPS_MAX: usize = 64;
/// How much all of these have changed together: documents, what they contribute, and each [`TEXT_WEIGHT`] bytes of text in that.
const WEIGHT_MAX: usize = 65_536;
/// How many bytes of text count as one scalar.
const TEXT_WEIGHT: usize = 64;

/// How many documents that have failed are asked for again at once.
const PASSING_MAX: usize = 100;

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
    /// The commit since which it is as it is now, by its sequence.
    since: u64,
    /// The last steps that have changed something, the oldest first.
    steps: VecDeque<Step>,
    weight: usize,
}

/// One or several commits that were taken into account at once.
struct Step {
    /// The commit before them.
    before: Head,
    /// The one since which all was as it was then.
    since: u64,
    changes: Vec<Change>,
    weight: usize,
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
        let (failed, steps) = (BTreeMap::new(), VecDeque::new());
        Self { kept: Kept::new(declared), failed, head: None, since: 0, steps, weight: 0 }
    }

    /// Takes documents into account while the view is built.
    pub(super) fn build(&mut self, contributed: Vec<(DocumentId, Contributed)>) {
        for (document, contributed) in contributed {
            self.set(document, contributed);
        }
    }

    /// Takes all into account that commits have changed, up to one.
    pub(super) fn advance(&mut self, contributed: Vec<(DocumentId, Contributed)>, head: Head) {
        let set = |(document, contributed)| self.set(document, contributed);
        let changes: Vec<Change> = contributed.into_iter().map(set).collect();
        let before = self.head.replace(head);
        if changes.is_empty() && before.is_some() {
            return;
        }
        let since = mem::replace(&mut self.since, head.sequence);
        if let Some(before) = before {
            let weight = changes.iter().map(Change::weight).sum();
            self.weight += weight;
            self.steps.push_back(Step { before, since, changes, weight });
        }
        while self.steps.len() > STEPS_MAX || self.weight > WEIGHT_MAX {
            let Some(step) = self.steps.pop_front() else { return };
            self.weight -= step.weight;
        }
    }

    /// Looks at it as of a commit; `None` if that is not known. To look back takes time in what was changed since.
    pub(super) fn look<T>(&mut self, at: At, look: impl FnOnce(&Self, Head) -> T) -> Option<T> {
        let head = self.head?;
        let (back, head) = match at {
            At::From(sequence) => (head.sequence >= sequence).then_some((0, head))?,
            At::Exactly(sequence) if (self.since..=head.sequence).contains(&sequence) => (0, head),
            At::Exactly(sequence) => {
                let is_of = |step: &Step| (step.since..=step.before.sequence).contains(&sequence);
                let (back, step) = self.steps.iter().rev().enumerate().find(|(_, step)| is_of(step))?;
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

    /// All of these documents.
    pub(super) fn known(&self) -> Vec<DocumentId> {
        let mut known = self.kept.known();
        known.extend(self.failed.keys().cloned());
        known
    }

    /// What one of them contributes; `None` if that is not known.
    pub(super) fn contributed(&self, document: &DocumentId) -> Option<Vec<Contribution>> {
        (!self.failed.contains_key(document)).then(|| self.kept.unpacked(document))
    }

    /// Some of the documents that have failed for a reason that may pass.
    pub(super) fn passing(&self) -> BTreeSet<DocumentId> {
        let passing = self.failed.iter().filter(|(_, error)| may_pass(error)).take(PASSING_MAX);
        passing.map(|(document, _)| document.clone()).collect()
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
}

impl Change {
    fn weight(&self) -> usize {
        let text = |scalar: &Scalar| if let Scalar::Text(text) = scalar { text.len() / TEXT_WEIGHT } else { 0 };
        1 + self.contributed.iter().map(|scalar| 1 + text(scalar)).sum::<usize>()
    }
}

#[cfg(test)]
mod tests;
