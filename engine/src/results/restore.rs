//! Results that outlast the process: what of them is to be written, and how they come back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use weir_store::Head;

use super::core::Unsaved;
use super::flight::RunEnd;
use super::key::{Looked, QueryKey};
use crate::call::CallError;
use crate::engine::Engine;
use crate::keep::record::Record;
use crate::release::Release;

impl Engine {
    /// From now on results of these functions of a release are to be written, and no others.
    pub(crate) fn save_results_of(&self, release: u64, functions: BTreeSet<usize>) {
        self.on_results(|core| core.save(release, functions));
    }

    /// What has changed of them since this was last asked, as of a commit that is not before `needed`.
    pub(crate) async fn unsaved_results(&self, needed: Head) -> Result<Unsaved, CallError> {
        self.take_into_account(needed).await?;
        Ok(self.on_results(|core| core.take_unsaved()))
    }

    /// Whether there is anything to write.
    pub(crate) fn has_unsaved_results(&self) -> bool {
        self.on_results(|core| core.has_unsaved())
    }

    /// These have not been written after all.
    pub(crate) fn leave_results_unsaved(&self, ids: Vec<u64>) {
        self.on_results(|core| core.leave_unsaved(ids));
    }

    /// The results of a function are not good any more: those that are watched are computed again.
    pub(crate) fn forget_results(&self, release: &Release, function: usize) {
        self.on_results(|core| core.forget(release.number(), function));
        self.results().timed.forget(release.number(), function);
    }

    /// Answers of a function with a schedule are good no longer that somebody has asked for.
    pub(crate) fn forget_asked(&self, release: &Release, function: usize) {
        self.results().timed.forget_asked(release.number(), function);
    }

    /// What there is of a function in memory: results, those of them that are good, and their bytes.
    pub(crate) fn count_results(&self, release: &Release, function: usize) -> (usize, usize, usize) {
        self.on_results(|core| core.count(release.number(), function))
    }

    /// Brings back results that were kept as of a commit, as far as nothing has touched them since. Says of each whether it is
    /// back, in order.
    pub(crate) async fn restore_results(
        &self,
        release: &Arc<Release>,
        since: Option<Head>,
        records: &[&Record],
    ) -> Result<Vec<bool>, CallError> {
        // Commits from here on are not forgotten before all is in its place.
        let guard = self.on_results(|core| core.depart_alone());
        let restored = self.restore_guarded(release, since, records).await;
        self.on_results(|core| core.give_up(guard));
        restored
    }

    async fn restore_guarded(
        &self,
        release: &Arc<Release>,
        since: Option<Head>,
        records: &[&Record],
    ) -> Result<Vec<bool>, CallError> {
        let reads: Vec<_> = records.iter().map(|record| &record.reads).collect();
        let untouched = match since {
            Some(since) => self.store().untouched_since(since, &reads).map_err(CallError::unavailable)?,
            None => None,
        };
        let Some((head, untouched)) = untouched else { return Ok(vec![false; records.len()]) };
        self.take_into_account(head).await?;
        let mut restored = Vec::with_capacity(records.len());
        for (record, is_untouched) in records.iter().zip(untouched) {
            restored.push(is_untouched && self.restore_result(release, record, head));
        }
        Ok(restored)
    }

    /// As if a run that saw that commit ended now. False where its result is not kept: it has been touched meanwhile, or another
    /// is there for the same callers.
    fn restore_result(&self, release: &Release, record: &Record, head: Head) -> bool {
        let Some((function, _)) = release.function(&record.header.function) else { return false };
        let arguments = record.header.arguments.as_str().into();
        let key = QueryKey { release: release.number(), function, arguments, within: None };
        let Some(caller) = record.header.class.caller() else { return false };
        let end = RunEnd {
            result: Ok(record.value.clone()),
            head,
            reads: record.reads.clone(),
            // It counts as read by itself what these have read.
            views: Vec::new(),
            read: Vec::new(),
            looked: Looked { claims: record.header.class.claims, is_volatile: false },
            cost: Duration::from_micros(record.header.cost_us),
            may_pass: false,
        };
        self.on_results(|core| {
            let departure = core.depart_alone();
            core.land(departure, &key, &caller, end);
            core.has(&key, &record.header.class)
        })
    }
}
