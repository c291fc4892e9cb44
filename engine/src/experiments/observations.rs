//! Who has seen which variant of which experiment, and what they have done since: in memory, and in the store a second later.
//!
//! Rule: what is in the store of a caller is whole. A kill loses what came in the last second, of both: who has been seen and what they
//! have done. So it makes experiments a little smaller and none of them wrong.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use indexmap::IndexMap;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval};
use weir_store::{KeptKey, Poisoned, Store};

use super::CallerDigest;
use super::design::{Design, DesignError};
use super::report::{ExperimentReport, Standing};
use super::state::State;
use super::statistics::sample::Sample;
use crate::engine::{Engine, Shared};

/// How often what is new is written.
const INTERVAL: Duration = Duration::from_secs(1);
/// Records that are written together.
const RECORDS_MAX: usize = 4_096;
/// Bytes of records that are read together.
const PAGE_BYTES: usize = 4 << 20;
/// Experiments that are known, those that have ended included. The one that began first goes when there are more.
pub const EXPERIMENTS_MAX: usize = 100;
/// Of these, those that run.
pub const RUNNING_MAX: usize = 8;

/// What is known of a variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VariantSummary {
    /// Its name.
    pub name: String,
    /// How many callers have seen it first.
    pub callers: u64,
    /// What they have in each metric.
    pub metrics: IndexMap<String, Sample>,
}

/// Why an experiment does not begin.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// It is no design.
    #[error(transparent)]
    Design(#[from] DesignError),
    /// It is known already as something else.
    #[error("experiment {0} has begun with another design: begin one of another number")]
    Begun(u64),
    /// It is over.
    #[error("experiment {0} has ended: begin one of another number")]
    Ended(u64),
    /// There are enough.
    #[error("{RUNNING_MAX} experiments are running: end one of them first")]
    TooMany,
    /// The store cannot keep it.
    #[error(transparent)]
    Store(#[from] Poisoned),
}

/// All experiments of a store.
#[derive(Default)]
pub struct Observations {
    experiments: RwLock<BTreeMap<u64, Arc<Mutex<State>>>>,
    /// Held from when something is taken until it is in the store, so that whoever has it afterwards finds nothing half done.
    writing: tokio::sync::Mutex<()>,
}

impl Observations {
    /// Those of a store, as it has them.
    pub fn of(store: &Store) -> Result<Self, Poisoned> {
        let (mut experiments, mut after) = (BTreeMap::new(), None);
        loop {
            let page = store.kept_experiments(None, after.as_ref(), PAGE_BYTES)?;
            for (key, text) in page.records {
                // What cannot be read was never written here. An experiment comes before its callers.
                match key {
                    KeptKey::Experiment(experiment) => {
                        if let Ok(record) = serde_json::from_slice(&text) {
                            experiments.insert(experiment, State::of(record));
                        }
                    }
                    KeptKey::Exposed(experiment, caller) => {
                        if let (Some(state), Ok(record)) =
                            (experiments.get_mut(&experiment), serde_json::from_slice(&text))
                        {
                            state.restore(CallerDigest::from_bytes(caller), record);
                        }
                    }
                    _ => {}
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let experiments = experiments.into_iter().map(|(experiment, state)| (experiment, Arc::new(Mutex::new(state))));
        Ok(Self { experiments: RwLock::new(experiments.collect()), ..Self::default() })
    }

    fn state(&self, experiment: u64) -> Option<Arc<Mutex<State>>> {
        self.experiments.read().get(&experiment).cloned()
    }

    /// Begins an experiment; it is in the store when this returns. One that has begun with the same design goes on.
    pub async fn begin(&self, store: &Store, experiment: u64, design: Design) -> Result<(), BeginError> {
        design.check()?;
        {
            let mut experiments = self.experiments.write();
            if let Some(known) = experiments.get(&experiment) {
                let known = known.lock();
                return match known.ended {
                    Some(_) => Err(BeginError::Ended(experiment)),
                    None if known.design != design => Err(BeginError::Begun(experiment)),
                    None => Ok(()),
                };
            }
            let is_running = |state: &&Arc<Mutex<State>>| state.lock().ended.is_none();
            if experiments.values().filter(is_running).count() >= RUNNING_MAX {
                return Err(BeginError::TooMany);
            }
            experiments.insert(experiment, Arc::new(Mutex::new(State::new(design))));
        }
        self.forget_old(store).await?;
        Ok(self.write(store).await?)
    }

    /// Ends an experiment: nobody is counted any more, what is known by then stays, and its callers are forgotten. One that is not known,
    /// or has ended, stays as it is.
    pub async fn end(&self, store: &Store, experiment: u64) -> Result<(), Poisoned> {
        self.stop(experiment);
        self.write(store).await
    }

    /// The same, where it is written later: with all that is new.
    pub(crate) fn stop(&self, experiment: u64) {
        if let Some(state) = self.state(experiment) {
            state.lock().end();
        }
    }

    /// A caller sees a variant, by its place in the design. The variant that it counts for, which is the one that it has seen first;
    /// `None` where it is not counted: there is no such experiment, it has ended, or too many are counted already.
    pub fn expose(&self, experiment: u64, variant: usize, caller: CallerDigest) -> Option<usize> {
        self.state(experiment)?.lock().expose(variant, caller)
    }

    /// The variant that a caller counts for.
    pub fn variant_of(&self, experiment: u64, caller: CallerDigest) -> Option<usize> {
        self.state(experiment)?.lock().variant_of(caller)
    }

    /// A caller has given something to metrics, on the release of that sequence.
    pub fn observe(&self, caller: CallerDigest, release: u64, values: &[(&str, f64)]) {
        for state in self.experiments.read().values() {
            state.lock().observe(caller, release, values);
        }
    }

    /// The numbers of all experiments.
    pub fn all(&self) -> Vec<u64> {
        self.experiments.read().keys().copied().collect()
    }

    /// What is known of the variants of an experiment; `None`: it is not known.
    pub fn summary(&self, experiment: u64) -> Option<Vec<VariantSummary>> {
        Some(self.state(experiment)?.lock().summary())
    }

    /// What may be concluded from it.
    pub fn report(&self, experiment: u64) -> Option<ExperimentReport> {
        let state = self.state(experiment)?;
        let (design, summary, standing) = {
            let state = state.lock();
            let (is_running, left_out, moved) = (state.ended.is_none(), state.left_out, state.moved);
            (state.design.clone(), state.summary(), Standing { is_running, left_out, moved })
        };
        Some(ExperimentReport::of(experiment, &design, &summary, standing))
    }

    /// Writes all that is new.
    pub async fn write(&self, store: &Store) -> Result<(), Poisoned> {
        let _writing = self.writing.lock().await;
        let all: Vec<_> = self.experiments.read().iter().map(|(number, state)| (*number, state.clone())).collect();
        for (experiment, state) in all {
            loop {
                let records = state.lock().take_changed(experiment, RECORDS_MAX);
                if records.is_empty() {
                    break;
                }
                store.keep(records).await?;
            }
            let has_leftovers = state.lock().has_leftovers;
            if has_leftovers {
                erase_callers(store, experiment).await?;
                state.lock().has_leftovers = false;
            }
        }
        Ok(())
    }

    /// Forgets those that have ended, the first first, as long as there are too many.
    async fn forget_old(&self, store: &Store) -> Result<(), Poisoned> {
        let _writing = self.writing.lock().await;
        loop {
            let oldest = {
                let mut experiments = self.experiments.write();
                let has_ended =
                    |(number, state): (&u64, &Arc<Mutex<State>>)| state.lock().ended.is_some().then_some(*number);
                let oldest = experiments.iter().find_map(has_ended).filter(|_| experiments.len() > EXPERIMENTS_MAX);
                oldest.inspect(|oldest| drop(experiments.remove(oldest)))
            };
            let Some(oldest) = oldest else { return Ok(()) };
            erase_callers(store, oldest).await?;
            store.keep(vec![(KeptKey::Experiment(oldest), None)]).await?;
        }
    }
}

/// Erases what the store has of the callers of an experiment.
async fn erase_callers(store: &Store, experiment: u64) -> Result<(), Poisoned> {
    loop {
        let page = store.kept_experiments(Some(experiment), Some(&KeptKey::Experiment(experiment)), PAGE_BYTES)?;
        let erased: Vec<_> = page.records.into_iter().map(|(key, _)| (key, None)).collect();
        if erased.is_empty() {
            return Ok(());
        }
        for erased in erased.chunks(RECORDS_MAX) {
            store.keep(erased.to_vec()).await?;
        }
    }
}

impl Engine {
    /// Writes what experiments have seen since the last time. It is done every second anyway.
    pub async fn write_observations(&self) {
        if let Err(error) = self.observations().write(self.store()).await {
            tracing::error!("what experiments have seen is not written: {error}");
        }
    }
}

/// Writes what experiments see from time to time, for as long as there is an engine.
pub(crate) async fn run(engine: Weak<Shared>) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(engine) = Engine::of(&engine) else { return };
        engine.write_observations().await;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
pub(super) mod tests {
    use weir_schema::metrics::{Goal, Metric, MetricKind};
    use weir_store::Options;

    use super::super::design::Variant;
    use super::*;

    /// Two variants on releases 7 and 8, compared in what is ordered and whether anything is.
    pub(in super::super) fn design() -> Design {
        let metric = |kind| Metric { kind, goal: Goal::Increase, function: None };
        let metrics = [("order_value", MetricKind::Mean), ("ordered", MetricKind::Conversion)];
        let variant = |name: &str, release| Variant { name: name.to_owned(), release, weight: 1 };
        Design {
            variants: vec![variant("control", 7), variant("B", 8)],
            metrics: metrics.map(|(name, kind)| (name.to_owned(), metric(kind))).into_iter().collect(),
            alpha: 0.05,
            callers_planned: 1_000,
        }
    }

    fn caller(number: u32) -> CallerDigest {
        CallerDigest::of_text(&number.to_string())
    }

    /// A thousand callers of whom some order.
    fn fill(observations: &Observations, experiment: u64, callers: std::ops::Range<u32>) {
        for number in callers {
            let variant = number as usize % 2;
            observations.expose(experiment, variant, caller(number));
            if number % 5 == 0 {
                let value = f64::from(number) / 3.0;
                observations.observe(caller(number), 7 + variant as u64, &[("order_value", value), ("ordered", 1.0)]);
            }
        }
    }

    fn callers_kept(store: &Store, experiment: u64) -> usize {
        store.kept_experiments(Some(experiment), None, usize::MAX).unwrap().records.len()
    }

    #[tokio::test]
    async fn what_was_written_is_there_again_and_nobody_counts_twice() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options::default()).unwrap();
        let observations = Observations::of(&store).unwrap();
        observations.begin(&store, 1, design()).await.unwrap();
        observations.begin(&store, 2, design()).await.unwrap();
        fill(&observations, 1, 0..10_000);
        fill(&observations, 2, 10_000..10_010);
        observations.write(&store).await.unwrap();
        // What comes after the last write is lost with a kill: this one never writes it.
        fill(&observations, 2, 10_010..10_020);
        let again = Observations::of(&store).unwrap();
        let (before, after) = (observations.summary(1).unwrap(), again.summary(1).unwrap());
        for (before, after) in before.iter().zip(&after) {
            assert_eq!((before.callers, after.callers), (5_000, 5_000));
            let (before, after) = (before.metrics["order_value"], after.metrics["order_value"]);
            // The same numbers added up in another order.
            assert!(
                (before.sum / after.sum - 1.0).abs() < 1e-12 && (before.squares / after.squares - 1.0).abs() < 1e-12
            );
        }
        assert_eq!(again.summary(2).unwrap().iter().map(|variant| variant.callers).sum::<u64>(), 10);
        fill(&again, 1, 0..10_000);
        assert_eq!(again.summary(1).unwrap()[0].callers, 5_000);
        assert_eq!(again.variant_of(1, caller(3)), Some(1));
        store.close().await;
    }

    #[tokio::test]
    async fn at_its_end_the_callers_are_forgotten_and_the_result_stays() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options::default()).unwrap();
        let observations = Observations::of(&store).unwrap();
        observations.begin(&store, 1, design()).await.unwrap();
        observations.begin(&store, 2, design()).await.unwrap();
        fill(&observations, 1, 0..100);
        fill(&observations, 2, 0..100);
        observations.write(&store).await.unwrap();
        assert_eq!(callers_kept(&store, 1), 101);
        // A kill in the middle of its end: it has ended, and the callers are still there.
        let state = observations.state(1).unwrap();
        state.lock().end();
        let records = state.lock().take_changed(1, RECORDS_MAX);
        store.keep(records).await.unwrap();
        let (result, again) = (observations.summary(1).unwrap(), Observations::of(&store).unwrap());
        assert_eq!(again.summary(1), Some(result));
        again.write(&store).await.unwrap();
        assert_eq!((callers_kept(&store, 1), callers_kept(&store, 2)), (1, 101));
        assert_eq!((again.expose(1, 0, caller(1)), again.report(1).unwrap().is_running), (None, false));
        again.end(&store, 2).await.unwrap();
        assert_eq!((callers_kept(&store, 2), again.report(2).unwrap().is_running), (1, false));
        store.close().await;
    }

    #[tokio::test]
    async fn a_design_is_fixed_and_there_are_only_so_many() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options::default()).unwrap();
        let observations = Observations::of(&store).unwrap();
        observations.begin(&store, 1, design()).await.unwrap();
        observations.begin(&store, 1, design()).await.unwrap();
        let other = Design { alpha: 0.1, ..design() };
        assert!(matches!(observations.begin(&store, 1, other).await, Err(BeginError::Begun(1))));
        for experiment in 2..=RUNNING_MAX as u64 {
            observations.begin(&store, experiment, design()).await.unwrap();
        }
        assert!(matches!(observations.begin(&store, 1_000, design()).await, Err(BeginError::TooMany)));
        for experiment in 1..=EXPERIMENTS_MAX as u64 {
            observations.end(&store, experiment).await.unwrap();
            observations.begin(&store, experiment + RUNNING_MAX as u64, design()).await.unwrap();
        }
        assert!(matches!(observations.begin(&store, 50, design()).await, Err(BeginError::Ended(50))));
        let all = observations.all();
        assert_eq!((all.len(), all[0], all[EXPERIMENTS_MAX - 1]), (EXPERIMENTS_MAX, 9, 108));
        assert_eq!(Observations::of(&store).unwrap().all(), all);
        store.close().await;
    }

    #[test]
    fn what_is_no_design_says_what_to_do() {
        type Spoil = dyn Fn(&mut Design);
        let table: [(&Spoil, &str); 8] = [
            (&|design| design.variants.truncate(1), "an experiment has 2 to 10 variants, not 1"),
            (
                &|design| design.variants = vec![design.variants[0].clone(); 11],
                "an experiment has 2 to 10 variants, not 11",
            ),
            (&|design| design.variants[1].name = "control".into(), "\"control\" is none"),
            (&|design| design.variants[1].name.clear(), "\"\" is none"),
            (&|design| design.variants[1].weight = 0, "variant B has the weight 0"),
            (&|design| design.metrics.clear(), "compares 1 to 50 metrics, not 0"),
            (&|design| design.alpha = 0.0, "alpha = 0 is not the level"),
            (&|design| design.alpha = f64::NAN, "alpha = NaN is not the level"),
        ];
        for (spoil, words) in table {
            let mut design = design();
            assert_eq!(design.check(), Ok(()));
            spoil(&mut design);
            let error = design.check().unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
