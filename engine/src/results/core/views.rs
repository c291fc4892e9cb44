//! Views that other functions read: entries of their own, whoever has computed them.

use std::sync::Arc;

use weir_sandbox::protocol::ScriptCaller;
use weir_store::{Head, ReadSet};

use super::{Core, Dependency, Settled};
use crate::content::Content;
use crate::results::flight::{RunEnd, ViewRead, ViewRun, ViewSource};
use crate::results::key::{Claims, QueryKey};

/// A view's result that is kept.
pub(crate) struct KeptView {
    pub(crate) id: u64,
    pub(crate) content: Arc<Content>,
    /// So much of the caller as it depends on.
    pub(crate) claims: Claims,
}

/// What a result owes to views.
#[derive(Default)]
pub(super) struct Owed {
    pub(super) dependencies: Vec<Dependency>,
    /// What those have read that are not kept by themselves.
    pub(super) reads: ReadSet,
    /// The first commit known to have changed what one of them was computed from.
    pub(super) touched_at: Option<u64>,
}

impl Owed {
    fn add(&mut self, other: &Self) {
        let is_new = |new: &&Dependency| self.dependencies.iter().all(|old| old.id != new.id);
        let new: Vec<Dependency> = other.dependencies.iter().filter(is_new).copied().collect();
        self.dependencies.extend(new);
        self.reads.merge(other.reads.clone());
        self.touched_at = self.touched_at.into_iter().chain(other.touched_at).min();
    }
}

impl<S: Clone> Core<S> {
    /// A view's result on the state after a commit, if it is kept.
    pub(crate) fn view(&mut self, key: &QueryKey, caller: &ScriptCaller, sequence: u64) -> Option<KeptView> {
        let id = self.find(key, caller)?;
        let is_known = self.applied.sequence >= sequence;
        let entry =
            self.entries.get_mut(&id).filter(|entry| is_known && entry.is_fresh() && entry.since <= sequence)?;
        let content = entry.kept.as_ref()?.result.as_ref().ok()?.clone();
        entry.priority = self.inflation + entry.worth();
        Some(KeptView { id, content, claims: entry.class.claims })
    }

    /// Gives the views that a run has read entries of their own, and says what the run owes to those it has read itself.
    pub(super) fn place_views(
        &mut self,
        views: Vec<ViewRead<S>>,
        read: &[usize],
        caller: &ScriptCaller,
        head: Head,
    ) -> Owed {
        let mut placed: Vec<Owed> = Vec::with_capacity(views.len());
        for ViewRead { key, sponsor, content, source } in views {
            let owed = match source {
                ViewSource::Kept(id) => self.owe_kept(id, sponsor, &content, head),
                ViewSource::Run(run) => {
                    let owed = sum(&placed, &run.read);
                    self.place(&key, sponsor, content, run, owed, caller, head)
                }
            };
            placed.push(owed);
        }
        sum(&placed, read)
    }

    /// Of a result that was kept: whether it still is.
    fn owe_kept(&mut self, id: u64, sponsor: S, content: &Content, head: Head) -> Owed {
        let digest = content.digest();
        match self.entries.get_mut(&id) {
            Some(entry) if entry.is_fresh() && entry.digest() == Some(digest) => {
                entry.sponsor.get_or_insert(sponsor);
                Owed { dependencies: vec![Dependency { id, digest }], ..Owed::default() }
            }
            // By which commit it was changed is not known any more.
            _ => Owed { touched_at: Some(head.sequence + 1), ..Owed::default() },
        }
    }

    /// Gives a view that was computed as part of a run an entry of its own, if it can have one.
    #[allow(clippy::too_many_arguments, reason = "all that is known of one run")]
    fn place(
        &mut self,
        key: &QueryKey,
        sponsor: S,
        content: Arc<Content>,
        run: ViewRun,
        owed: Owed,
        caller: &ScriptCaller,
        head: Head,
    ) -> Owed {
        let ViewRun { mut reads, looked, cost, .. } = run;
        let digest = content.digest();
        reads.merge(owed.reads);
        let touched_at = owed.touched_at.into_iter().chain(self.flights.touched_since(head, &reads)).min();
        let unplaced = Owed { dependencies: owed.dependencies, reads, touched_at };
        if touched_at.is_some() || looked.is_volatile || self.retired.contains(&key.release) {
            return unplaced;
        }
        let id = self.find(key, caller).unwrap_or_else(|| self.open(key, caller, true));
        let end = RunEnd {
            result: Ok(content),
            head,
            reads: unplaced.reads.clone(),
            views: Vec::new(),
            read: Vec::new(),
            looked,
            cost,
            may_pass: false,
        };
        self.fill(id, caller, Settled { end, dependencies: unplaced.dependencies.clone(), touched_at });
        match self.entries.get_mut(&id) {
            Some(entry) if entry.is_fresh() && entry.digest() == Some(digest) => {
                entry.sponsor.get_or_insert(sponsor);
                Owed { dependencies: vec![Dependency { id, digest }], ..Owed::default() }
            }
            _ => unplaced,
        }
    }
}

fn sum(placed: &[Owed], read: &[usize]) -> Owed {
    let mut sum = Owed::default();
    for owed in read.iter().filter_map(|at| placed.get(*at)) {
        sum.add(owed);
    }
    sum
}
