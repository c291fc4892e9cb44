//! What one call gives to metrics: taken while its function runs, and counted when, and only when, what the function did counts.
//!
//! Of a procedure that is its commit, however often it had to run for it; of an action its end without an error. What an attempt takes
//! back gives nothing. In queries, views and streams there is no metric: what they give is kept and shared, so that nobody can tell how
//! often it would count.

use std::sync::Arc;

use weir_sandbox::protocol::HostError;
use weir_schema::declarations::FunctionKind;
use weir_schema::limits::{Limit, METRIC_NAME_BYTES_MAX, METRIC_VALUE_MAX};
use weir_schema::metrics::is_name;

use super::CallerDigest;
use super::counts::{Counted, Measurement};
use crate::call::Caller;
use crate::engine::Engine;
use crate::host::RunHost;
use crate::release::Release;

/// What a transaction gives to metrics once it is committed.
pub(crate) struct Measured {
    engine: Engine,
    release: Arc<Release>,
    caller: Caller,
    values: Vec<Measurement>,
}

impl Measured {
    /// What calls of one caller have given; `None` if that is nothing.
    pub(crate) fn of(
        engine: &Engine,
        release: &Arc<Release>,
        caller: &Caller,
        values: Vec<Measurement>,
    ) -> Option<Box<Self>> {
        if values.is_empty() {
            return None;
        }
        let (engine, release, caller) = (engine.clone(), release.clone(), caller.clone());
        Some(Box::new(Self { engine, release, caller, values }))
    }

    /// It is committed.
    pub(crate) fn count(self) {
        self.engine.count_measured(&self.release, &self.caller, &self.values);
    }
}

impl Engine {
    /// What was given to metrics of each loaded release since it was loaded: the name of the metric, the release, and the numbers.
    pub fn app_metrics(&self) -> Vec<(String, String, Counted)> {
        let loaded = self.loaded().borrow().clone();
        let of = |release: &Arc<Release>| {
            let all = release.counts().all().into_iter();
            all.map(|(name, counted)| (name, release.name(), counted)).collect::<Vec<_>>()
        };
        loaded.iter().flat_map(of).collect()
    }

    /// Counts what a call has given to metrics: for its release, and for the experiments that its caller is part of.
    pub(crate) fn count_measured(&self, release: &Release, caller: &Caller, measured: &[Measurement]) {
        if measured.is_empty() {
            return;
        }
        let counts = release.counts();
        counts.count(measured);
        let visitor = || self.origin().visitor.filter(|_| matches!(caller, Caller::Anonymous));
        if let (Some(caller), Some(sequence)) = (CallerDigest::of(caller).or_else(visitor), release.sequence()) {
            let named = |(place, value): &Measurement| Some((counts.name(*place)?, *value));
            let named: Vec<(&str, f64)> = measured.iter().filter_map(named).collect();
            self.observations().observe(caller, sequence, &named);
        }
    }
}

impl RunHost {
    /// `metric(name, value)`.
    pub(crate) fn measure(&mut self, name: &str, value: f64) -> Result<String, HostError> {
        let refused = |message: String| Err(HostError::Refused(message));
        match self.running() {
            FunctionKind::Procedure | FunctionKind::Action => {}
            kind => {
                return refused(format!(
                    "metric(name, value) counts in procedures and actions only: what a {} gives is kept and shared, so that nobody \
                     can tell how often it would count",
                    kind.as_str()
                ));
            }
        }
        if !is_name(name) {
            return refused(format!(
                "the name of a metric has 1 to {METRIC_NAME_BYTES_MAX} lower-case letters, digits and underscores, and starts with a \
                 letter"
            ));
        }
        let Some(place) = self.release.counts().place(name) else {
            return refused(format!(
                "app.toml declares no metric {name:?}: add [metrics.{name}] with kind = \"mean\" or kind = \"conversion\""
            ));
        };
        // A number that is none comes of no script, and a worker may send what it likes.
        if !value.is_finite() || value.abs() > METRIC_VALUE_MAX {
            return refused(format!(
                "the value of a metric is a number between -{METRIC_VALUE_MAX:e} and {METRIC_VALUE_MAX:e}"
            ));
        }
        self.used.metrics_emitted = self.used.metrics_emitted.saturating_add(1);
        if self.used.metrics_emitted > self.release.limits().metrics_emitted {
            return Err(HostError::Limit(Limit::MetricsEmitted));
        }
        self.measured.push((place, value));
        Ok("null".to_owned())
    }
}
