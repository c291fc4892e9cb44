//! Experiments: what one compares, who is counted, and what comes of it.
//!
//! Rule: an experiment has the number of its rollout. It counts from before the first call goes to a variant, and until none does any
//! more; and whom it counts is decided where calls are divided, by the same, so that what is counted is what was assigned.

use std::sync::Arc;

use indexmap::IndexMap;
use weir_schema::metrics::Metric;
use weir_schema::rollout::{self, Rollout, Share, Strategy, WHOLE};

use super::conduct::RolloutError;
use super::traffic::Asker;
use crate::control::releases;
use crate::engine::Engine;
use crate::experiments::observations::{BeginError, Observations};
use crate::experiments::{CallerDigest, Design, ExperimentReport, Variant};
use crate::release::Release;

/// Why there is nothing to report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoReport {
    /// There was no experiment yet.
    #[error("there was no experiment yet: weir rollout start VERSION --experiment 50% begins one")]
    None,
    /// There is none of that number.
    #[error("rollout {0} is no experiment that is known: weir rollout list shows what each was")]
    Unknown(u64),
}

/// What is known of the experiment that a rollout of that number is; without a number, of the last one.
pub fn report(observations: &Observations, number: Option<u64>) -> Result<ExperimentReport, NoReport> {
    let asked = number.or_else(|| observations.all().pop()).ok_or(NoReport::None)?;
    observations.report(asked).ok_or(NoReport::Unknown(asked))
}

impl Engine {
    /// Somebody has made a call. Who takes part in an experiment is counted for the variant that it goes to, whatever becomes of it: if
    /// that decided, variants would be compared by different callers.
    pub fn count_caller(&self, asker: Asker<'_>) {
        let traffic = self.shared().traffic.borrow().clone();
        let variant = traffic.place(|| asker).and_then(|routed| routed.variant);
        if let (Some((experiment, variant)), Some(caller)) = (variant, CallerDigest::of_asker(asker)) {
            self.observations().expose(experiment, variant, caller);
        }
    }

    /// Loads what an experiment is to compare, and looks whether it can be.
    pub(crate) async fn ready_to_compare(&self, state: &rollout::Traffic) -> Result<(), RolloutError> {
        let Some((_, all)) = compared(state) else { return Ok(()) };
        let known = releases::list(self.store())?;
        // What is being deployed is loaded, and not on record yet.
        let all: Vec<u64> = all.into_iter().map(|(sequence, _)| sequence).collect();
        let missing: Vec<u64> = all.iter().copied().filter(|sequence| self.loaded_as(*sequence).is_none()).collect();
        self.ready_all(&known, &missing).await?;
        // None of them goes before calls go to it.
        let loaded = all.iter().filter_map(|sequence| self.loaded_as(*sequence));
        let loaded: Vec<Arc<Release>> = loaded.collect();
        let _leases: Vec<_> = loaded.iter().map(|release| release.lease(self.clock().now_ms())).collect();
        // The first is the base, whose documents they are.
        let mut migrating = loaded.iter().skip(1).filter(|release| !release.migrations().is_empty());
        if let (Some(one), Some(other)) = (migrating.next(), migrating.next()) {
            return Err(RolloutError::Migrations { one: one.name(), other: other.name() });
        }
        if let Some((_, design)) = self.design(state)? {
            design.check().map_err(BeginError::from)?;
        }
        Ok(())
    }

    /// Begins to count, where an experiment is to run; one that has begun goes on.
    pub(crate) async fn begin_experiment(&self, state: &rollout::Traffic) -> Result<(), RolloutError> {
        if state.beside().is_empty() {
            return Ok(());
        }
        if let Some((number, design)) = self.design(state)? {
            self.end_experiments(state);
            self.observations().begin(self.store(), number, design).await?;
        }
        Ok(())
    }

    /// Ends all experiments whose rollouts are over. What is known of them is written soon, as all that is new.
    pub(crate) fn end_experiments(&self, state: &rollout::Traffic) {
        let under_way = state.rollout.as_ref().map(|rollout| rollout.number);
        for experiment in self.observations().all() {
            // A later one has begun since that was the state.
            if experiment <= state.rollouts && Some(experiment) != under_way {
                self.observations().stop(experiment);
            }
        }
    }

    /// What the experiment under way compares, all of it loaded. Its number, and what is fixed when it begins.
    fn design(&self, state: &rollout::Traffic) -> Result<Option<(u64, Design)>, RolloutError> {
        let Some((rollout, all)) = compared(state) else { return Ok(None) };
        let Strategy::Experiment { compared, .. } = &rollout.strategy else { return Ok(None) };
        let loaded = |(sequence, share): &(u64, Share)| {
            let release = self.loaded_as(*sequence).ok_or_else(|| RolloutError::Unknown(sequence.to_string()))?;
            Ok::<_, RolloutError>((*sequence, release, *share))
        };
        let all = all.iter().map(loaded).collect::<Result<Vec<_>, _>>()?;
        let mut metrics = IndexMap::<String, Metric>::new();
        for (name, metric) in all.iter().flat_map(|(_, release, _)| release.metrics()) {
            // As the first declares it, which is the base wherever that does.
            metrics.entry(name.clone()).or_insert_with(|| metric.clone());
        }
        if let Some(unknown) = compared.metrics.iter().find(|name| !metrics.contains_key(*name)) {
            return Err(RolloutError::Metric(unknown.clone()));
        }
        metrics.retain(|name, _| compared.metrics.is_empty() || compared.metrics.contains(name));
        let variant = |(sequence, release, share): &(u64, Arc<Release>, Share)| {
            let is_same = |other: &&(u64, Arc<Release>, Share)| other.1.version() == release.version();
            let name = match all.iter().filter(is_same).count() {
                1 => release.version().to_string(),
                _ => format!("{} (sequence {sequence})", release.version()),
            };
            Variant { name, release: *sequence, weight: u32::from(share.hundredths()) }
        };
        let variants = all.iter().map(variant).collect();
        let alpha = f64::from(compared.alpha.hundredths()) / f64::from(WHOLE);
        let design = Design { variants, metrics, alpha, callers_planned: compared.callers_planned };
        Ok(Some((rollout.number, design)))
    }
}

/// The experiment under way with the releases that it compares and whose calls go to each, the base first. One without a base
/// compares nothing.
fn compared(state: &rollout::Traffic) -> Option<(&Rollout, Vec<(u64, Share)>)> {
    let rollout = state.rollout.as_ref()?;
    let (Strategy::Experiment { .. }, Some(base)) = (&rollout.strategy, rollout.base) else { return None };
    let variants = rollout.variants();
    let moved = variants.iter().fold(0_u16, |moved, (_, share)| moved.saturating_add(share.hundredths()));
    let stays = Share::of(WHOLE.saturating_sub(moved))?;
    Some((rollout, std::iter::once((base, stays)).chain(variants).collect()))
}

#[cfg(test)]
#[path = "experiment/tests.rs"]
mod tests;
