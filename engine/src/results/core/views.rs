//! Views that other functions read: entries of their own, whoever has computed them.

use std::collections::BTreeSet;
use std::sync::Arc;

use weir_sandbox::protocol::ScriptCaller;
use weir_store::{Head, ReadSet};

use super::{Core, Dependency, Settled};
use crate::content::{Content, ValueDigest};
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
#[derive(Default, Clone)]
pub(super) struct Owed {
    pub(super) dependencies: Vec<Dependency>,
    /// Views that have no entry of their own, by their places among those of the run: what they have read counts.
    unplaced: BTreeSet<usize>,
    /// The first commit known to have changed what one of them was computed from.
    pub(super) touched_at: Option<u64>,
}

impl Owed {
    fn touched_at(sequence: u64) -> Self {
        Self { touched_at: Some(sequence), ..Self::default() }
    }

    fn add(&mut self, other: &Self) {
        let is_new = |new: &&Dependency| self.dependencies.iter().all(|old| old.id != new.id);
        let new: Vec<Dependency> = other.dependencies.iter().filter(is_new).copied().collect();
        self.dependencies.extend(new);
        self.unplaced.extend(&other.unplaced);
        self.touched_at = self.touched_at.into_iter().chain(other.touched_at).min();
    }
}

/// The views of a run, one after the other.
struct Placing<'r> {
    caller: &'r ScriptCaller,
    head: Head,
    /// What each has read by itself.
    reads: Vec<ReadSet>,
    owed: Vec<Owed>,
}

impl Placing<'_> {
    fn sum(&self, read: &[usize]) -> Owed {
        let mut sum = Owed::default();
        for owed in read.iter().filter_map(|at| self.owed.get(*at)) {
            sum.add(owed);
        }
        sum
    }

    /// What views without entries have read.
    fn reads_of(&self, unplaced: &BTreeSet<usize>) -> ReadSet {
        let mut all = ReadSet::default();
        for reads in unplaced.iter().filter_map(|at| self.reads.get(*at)) {
            all.merge(reads.clone());
        }
        all
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

    /// Gives the views that a run has read entries of their own. Says what the run owes to those it has read itself, and what
    /// those of them have read that have no entry.
    pub(super) fn place_views(
        &mut self,
        views: Vec<ViewRead<S>>,
        read: &[usize],
        caller: &ScriptCaller,
        head: Head,
    ) -> (Owed, ReadSet) {
        let mut placing = Placing { caller, head, reads: Vec::new(), owed: Vec::new() };
        for view in views {
            let owed = self.place(&mut placing, view);
            placing.owed.push(owed);
        }
        let owed = placing.sum(read);
        let reads = placing.reads_of(&owed.unplaced);
        (owed, reads)
    }

    fn place(&mut self, placing: &mut Placing<'_>, view: ViewRead<S>) -> Owed {
        let ViewRead { key, sponsor, content, source } = view;
        let (digest, head) = (content.digest(), placing.head);
        let ViewRun { reads, read, looked, cost } = match source {
            ViewSource::Run(run) => run,
            ViewSource::Kept(id) => {
                placing.reads.push(ReadSet::default());
                let kept = self.depend_on(id, digest, None, sponsor);
                // By which commit it was changed, and whether back again, is not known any more.
                let is_same = self.entries.get(&id).is_some_and(|entry| entry.since <= head.sequence);
                return kept.filter(|_| is_same).unwrap_or_else(|| Owed::touched_at(head.sequence + 1));
            }
        };
        let mut owed = placing.sum(&read);
        let touched_at = self.flights.touched_since(head, &reads);
        owed.touched_at = owed.touched_at.into_iter().chain(touched_at).min();
        placing.reads.push(reads);
        let mut unplaced = owed.clone();
        unplaced.unplaced.insert(placing.reads.len() - 1);
        if owed.touched_at.is_some() || looked.is_volatile || self.retired.contains(&key.release) {
            return unplaced;
        }
        let id = self.find(&key, placing.caller).unwrap_or_else(|| self.open(&key, placing.caller, true));
        let end = RunEnd {
            result: Ok(content),
            head,
            reads: placing.reads_of(&unplaced.unplaced),
            views: Vec::new(),
            read: Vec::new(),
            looked,
            cost,
            may_pass: false,
        };
        self.fill(id, placing.caller, Settled { end, dependencies: owed.dependencies, touched_at: None });
        self.depend_on(id, digest, Some(looked.claims), sponsor).unwrap_or(unplaced)
    }

    /// Has a result depend on an entry that gives this and is good, and that is the same for all callers who agree on these claims.
    fn depend_on(&mut self, id: u64, digest: ValueDigest, claims: Option<Claims>, sponsor: S) -> Option<Owed> {
        let entry = self.entries.get_mut(&id)?;
        let is_for_all = claims.is_none_or(|claims| entry.class.claims.are_among(claims));
        if !entry.is_fresh() || entry.digest() != Some(digest) || !is_for_all {
            return None;
        }
        entry.sponsor.get_or_insert(sponsor);
        Some(Owed { dependencies: vec![Dependency { id, digest }], ..Owed::default() })
    }
}
