//! The releases that were taken back after calls went to them. What they have written is still there, and need not have the types of the
//! release that is active again: whoever takes over the documents next has to look.
//!
//! Rule: a release is forgotten when another one is promoted, which all documents were found to have the types of.

use super::{Phase, Rollout, Traffic};

impl Traffic {
    /// Those that there are once a rollout is over.
    pub(super) fn strays_after(&self, ended: &Rollout) -> Vec<u64> {
        let is_promoted = ended.phase == Phase::Promoted;
        let known = if is_promoted { Vec::new() } else { self.strays.clone() };
        let beside = self.beside().into_iter().map(|(sequence, _)| sequence);
        and(known, beside.filter(|sequence| !is_promoted || *sequence != ended.candidate))
    }

    /// Those that there are once the active release is taken back.
    pub(super) fn strays_without_active(&self) -> Vec<u64> {
        and(self.strays.clone(), self.active())
    }
}

fn and(mut strays: Vec<u64>, more: impl IntoIterator<Item = u64>) -> Vec<u64> {
    for sequence in more {
        if !strays.contains(&sequence) {
            strays.push(sequence);
        }
    }
    strays
}
