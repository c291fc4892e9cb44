//! Which results are to be kept beyond this process, and which of them have changed since that was last asked.

use std::collections::{BTreeSet, HashSet};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use weir_schema::commit::Timestamp;
use weir_store::{Head, ReadSet};

use super::super::key::{Class, QueryKey};
use super::{Core, Standing};
use crate::content::Content;

/// Results of some functions of one release.
#[derive(Default)]
pub(super) struct Saving {
    /// The release, and which of its functions.
    of: Option<(u64, BTreeSet<usize>)>,
    changed: BTreeSet<u64>,
    gone: HashSet<(QueryKey, Class)>,
}

impl Saving {
    fn has(&self, key: &QueryKey) -> bool {
        self.of
            .as_ref()
            .is_some_and(|(release, functions)| *release == key.release && functions.contains(&key.function))
    }

    /// There is a result, or another one.
    pub(super) fn note(&mut self, id: u64, key: &QueryKey) {
        if self.has(key) {
            self.changed.insert(id);
        }
    }

    /// It is not good any more, or not there.
    pub(super) fn note_gone(&mut self, id: u64, key: &QueryKey, class: &Class) {
        if self.has(key) {
            self.changed.remove(&id);
            self.gone.insert((key.clone(), class.clone()));
        }
    }
}

/// What has changed.
pub(crate) struct Unsaved {
    /// The commit that all of it is as of.
    pub(crate) as_of: Head,
    pub(crate) changed: Vec<Unwritten>,
    /// What is not good any more, or not there.
    pub(crate) gone: Vec<(QueryKey, Class)>,
}

/// A good result.
pub(crate) struct Unwritten {
    pub(crate) id: u64,
    pub(crate) key: QueryKey,
    pub(crate) class: Class,
    pub(crate) value: Arc<Content>,
    pub(crate) commit: Timestamp,
    pub(crate) reads: ReadSet,
    pub(crate) cost: Duration,
}

impl<S: Clone> Core<S> {
    /// From now on results of these functions of a release are asked for, and no others.
    pub(crate) fn save(&mut self, release: u64, functions: BTreeSet<usize>) {
        self.saving = Saving { of: Some((release, functions)), ..Saving::default() };
    }

    /// What has changed since this was last asked. All that is not named is as it was.
    pub(crate) fn take_unsaved(&mut self) -> Unsaved {
        let gone = mem::take(&mut self.saving.gone).into_iter().collect();
        let changed = mem::take(&mut self.saving.changed);
        let changed = changed.into_iter().filter_map(|id| self.unwritten(id)).collect();
        Unsaved { as_of: self.applied, changed, gone }
    }

    /// These have not been written after all.
    pub(crate) fn leave_unsaved(&mut self, ids: impl IntoIterator<Item = u64>) {
        let entries = &self.entries;
        self.saving.changed.extend(ids.into_iter().filter(|id| entries.contains_key(id)));
    }

    /// Whether anything has changed.
    pub(crate) fn has_unsaved(&self) -> bool {
        !self.saving.changed.is_empty() || !self.saving.gone.is_empty()
    }

    /// The results of a function are not good any more, whatever is committed.
    pub(crate) fn forget(&mut self, release: u64, function: usize) {
        let of = |key: &QueryKey| key.release == release && key.function == function;
        let entries = self.entries.iter().filter(|(_, entry)| of(&entry.key) && entry.standing != Standing::Stale);
        let ids: Vec<u64> = entries.map(|(id, _)| *id).collect();
        ids.into_iter().for_each(|id| self.grow_stale(id));
        self.ripen();
    }

    /// Whether there is a good result for exactly these callers.
    pub(crate) fn has(&self, key: &QueryKey, class: &Class) -> bool {
        let entry = self.listed.get(&(key.clone(), class.clone())).and_then(|id| self.entries.get(id));
        entry.is_some_and(|entry| entry.is_fresh() && entry.digest().is_some())
    }

    /// What there is of a function: results, those that are good, and their bytes.
    pub(crate) fn count(&self, release: u64, function: usize) -> (usize, usize, usize) {
        let of = |key: &QueryKey| key.release == release && key.function == function;
        let entries = self.entries.values().filter(|entry| of(&entry.key));
        entries.fold((0, 0, 0), |(all, good, bytes), entry| {
            let is_good = entry.is_fresh() && entry.kept.as_ref().is_some_and(|kept| kept.result.is_ok());
            (all + 1, good + usize::from(is_good), bytes + entry.bytes)
        })
    }

    fn unwritten(&self, id: u64) -> Option<Unwritten> {
        let entry = self.entries.get(&id).filter(|entry| entry.is_fresh() && entry.is_listed && entry.is_settled)?;
        let kept = entry.kept.as_ref()?;
        Some(Unwritten {
            id,
            key: entry.key.clone(),
            class: entry.class.clone(),
            value: kept.result.as_ref().ok()?.clone(),
            commit: kept.commit,
            reads: self.all_reads(id)?,
            cost: entry.cost,
        })
    }

    /// What an entry has read, and all views that it was computed from, directly or not; `None` where one of them is in doubt.
    fn all_reads(&self, id: u64) -> Option<ReadSet> {
        let mut reads = ReadSet::default();
        let (mut seen, mut next) = (BTreeSet::from([id]), vec![id]);
        while let Some(id) = next.pop() {
            let entry = self.entries.get(&id).filter(|entry| entry.is_fresh())?;
            reads.merge(entry.reads.clone());
            next.extend(entry.views().into_iter().filter(|view| seen.insert(*view)));
        }
        Some(reads)
    }
}
