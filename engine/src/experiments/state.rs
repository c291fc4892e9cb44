//! What is known of one experiment, in memory.
//!
//! Rule: a caller counts for the variant that it has seen first and for no other, and what it does counts on the release of that variant.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use bytes::Bytes;
use weir_schema::metrics::MetricKind;
use weir_store::{KeptKey, KeptRecord};

use super::design::Design;
use super::observations::VariantSummary;
use super::records::{CallerRecord, ExperimentRecord};
use super::statistics::comparison::{CALLERS_MIN, CARRIERS_MIN};
use super::statistics::sample::Sample;
use super::{CallerDigest, records};

/// Callers that one experiment counts. Those who come later see their variant and are not counted.
pub const CALLERS_MAX: usize = 1_000_000;

/// An experiment.
pub(super) struct State {
    pub(super) design: Design,
    callers: HashMap<CallerDigest, Seen>,
    /// By variant, then by metric. A variant has as many callers without any metric.
    samples: Vec<Vec<Sample>>,
    exposed: Vec<u64>,
    /// Exposures of callers that are not counted, as there were too many.
    pub(super) left_out: u64,
    /// Exposures of callers to another variant than the one that they count for.
    pub(super) moved: u64,
    /// What was known at the end of one that has ended.
    pub(super) ended: Option<Vec<VariantSummary>>,
    /// Callers of whom the store does not know the last.
    changed: Vec<CallerDigest>,
    /// Whether the store does not know the last of the experiment itself.
    is_changed: bool,
    /// Whether the store may still have its callers, though it has ended.
    pub(super) has_leftovers: bool,
    callers_max: usize,
}

/// What is known of a caller.
struct Seen {
    variant: u16,
    /// Whether it is among those that the store does not know the last of.
    is_changed: bool,
    /// The metrics to which something was given, in their order, and what: of all that there may be most callers have few.
    values: Box<[(u8, f64)]>,
}

impl Seen {
    fn values(&self) -> impl Iterator<Item = (usize, f64)> {
        self.values.iter().map(|(metric, value)| (usize::from(*metric), *value))
    }
}

impl State {
    pub(super) fn new(design: Design) -> Self {
        let samples = vec![vec![Sample::default(); design.metrics.len()]; design.variants.len()];
        let exposed = vec![0; design.variants.len()];
        Self {
            design,
            callers: HashMap::new(),
            samples,
            exposed,
            left_out: 0,
            moved: 0,
            ended: None,
            changed: Vec::new(),
            is_changed: true,
            has_leftovers: false,
            callers_max: CALLERS_MAX,
        }
    }

    /// As the store has it.
    pub(super) fn of(record: ExperimentRecord) -> Self {
        let ExperimentRecord { design, left_out, moved, ended } = record;
        let has_leftovers = ended.is_some();
        Self { left_out, moved, ended, has_leftovers, is_changed: false, ..Self::new(design) }
    }

    /// Takes back a caller whom the store has.
    pub(super) fn restore(&mut self, caller: CallerDigest, record: CallerRecord) {
        let CallerRecord(variant, values) = record;
        if self.ended.is_some() || self.join(caller, usize::from(variant), false).is_none() {
            return;
        }
        for (metric, value) in values.into_iter().enumerate() {
            if let Some(value) = value {
                self.set(caller, metric, |_| value);
            }
        }
    }

    /// A caller sees a variant: the one that it counts for, or `None` where it is not counted.
    pub(super) fn expose(&mut self, variant: usize, caller: CallerDigest) -> Option<usize> {
        if self.ended.is_some() || variant >= self.exposed.len() {
            return None;
        }
        if let Some(seen) = self.callers.get(&caller) {
            let first = usize::from(seen.variant);
            if first != variant {
                self.moved += 1;
                self.is_changed = true;
            }
            return Some(first);
        }
        if self.callers.len() >= self.callers_max {
            self.left_out += 1;
            self.is_changed = true;
            return None;
        }
        self.join(caller, variant, true)
    }

    fn join(&mut self, caller: CallerDigest, variant: usize, is_changed: bool) -> Option<usize> {
        let number = u16::try_from(variant).ok()?;
        let exposed = self.exposed.get_mut(variant)?;
        let Entry::Vacant(place) = self.callers.entry(caller) else { return None };
        place.insert(Seen { variant: number, is_changed, values: Box::default() });
        *exposed += 1;
        if is_changed {
            self.changed.push(caller);
        }
        self.samples.get_mut(variant)?.iter_mut().for_each(Sample::join);
        Some(variant)
    }

    /// The variant that a caller counts for.
    pub(super) fn variant_of(&self, caller: CallerDigest) -> Option<usize> {
        self.callers.get(&caller).map(|seen| usize::from(seen.variant))
    }

    /// A caller has given something to metrics, on a release.
    pub(super) fn observe(&mut self, caller: CallerDigest, release: u64, values: &[(&str, f64)]) {
        let variant = self.variant_of(caller).and_then(|variant| self.design.variants.get(variant));
        if variant.is_none_or(|variant| variant.release != release) {
            return;
        }
        for (name, value) in values {
            let Some((metric, _, declared)) = self.design.metrics.get_full(*name) else { continue };
            match declared.kind {
                MetricKind::Mean => self.add(caller, metric, |before| before + value),
                MetricKind::Conversion => self.add(caller, metric, |_| 1.0),
            }
        }
    }

    /// What a caller has in a metric becomes something else, which the store is to know.
    fn add(&mut self, caller: CallerDigest, metric: usize, value: impl FnOnce(f64) -> f64) {
        if self.set(caller, metric, value)
            && let Some(seen) = self.callers.get_mut(&caller)
            && !seen.is_changed
        {
            seen.is_changed = true;
            self.changed.push(caller);
        }
    }

    /// Whether it was something else before.
    fn set(&mut self, caller: CallerDigest, metric: usize, value: impl FnOnce(f64) -> f64) -> bool {
        let Some(seen) = self.callers.get_mut(&caller) else { return false };
        let sample = self.samples.get_mut(usize::from(seen.variant)).and_then(|samples| samples.get_mut(metric));
        let (Ok(metric), Some(sample)) = (u8::try_from(metric), sample) else { return false };
        let place = seen.values.binary_search_by_key(&metric, |(metric, _)| *metric);
        let known = place.ok().and_then(|place| seen.values.get_mut(place));
        let before = known.as_ref().map_or(0.0, |(_, value)| *value);
        let after = value(before);
        match (known, place) {
            (Some((_, known)), _) if *known == after => return false,
            (Some((_, known)), _) => *known = after,
            (None, Ok(place) | Err(place)) => {
                let mut values = std::mem::take(&mut seen.values).into_vec();
                values.reserve_exact(1);
                values.insert(place, (metric, after));
                seen.values = values.into();
            }
        }
        sample.change(before, after);
        true
    }

    /// What is known of each variant.
    pub(super) fn summary(&self) -> Vec<VariantSummary> {
        if let Some(ended) = &self.ended {
            return ended.clone();
        }
        let samples = self.samples();
        let of = |((variant, exposed), samples): ((&super::Variant, &u64), &Vec<Sample>)| VariantSummary {
            name: variant.name.clone(),
            callers: *exposed,
            metrics: self.design.metrics.keys().cloned().zip(samples.iter().copied()).collect(),
        };
        self.design.variants.iter().zip(&self.exposed).zip(&*samples).map(of).collect()
    }

    /// What is known of the callers. Where few seem to carry all the variance, somebody may only have been far from the others for a
    /// while, as with an order that was taken back: then it is computed from what callers have now.
    fn samples(&self) -> Cow<'_, [Vec<Sample>]> {
        let is_odd = |sample: &Sample| {
            sample.callers >= CALLERS_MIN && sample.greatest > sample.least && sample.carriers() < CARRIERS_MIN
        };
        if !self.samples.iter().flatten().any(is_odd) {
            return Cow::Borrowed(&self.samples);
        }
        let mut samples = vec![vec![Sample::default(); self.design.metrics.len()]; self.design.variants.len()];
        for (samples, exposed) in samples.iter_mut().zip(&self.exposed) {
            samples.iter_mut().for_each(|sample| sample.callers = *exposed);
        }
        for seen in self.callers.values() {
            let Some(samples) = samples.get_mut(usize::from(seen.variant)) else { continue };
            for (metric, value) in seen.values() {
                samples.get_mut(metric).into_iter().for_each(|sample| sample.change(0.0, value));
            }
        }
        Cow::Owned(samples)
    }

    /// From now on nobody is counted, and of the callers nothing is known any more.
    pub(super) fn end(&mut self) {
        if self.ended.is_none() {
            self.ended = Some(self.summary());
            self.callers = HashMap::new();
            self.changed = Vec::new();
            (self.is_changed, self.has_leftovers) = (true, true);
        }
    }

    /// Some of what the store does not know, at most so many records; none: it knows all.
    pub(super) fn take_changed(&mut self, experiment: u64, count_max: usize) -> Vec<KeptRecord> {
        let mut records = Vec::new();
        if std::mem::take(&mut self.is_changed) {
            let Self { design, left_out, moved, ended, .. } = self;
            let (design, ended) = (design.clone(), ended.clone());
            let record = ExperimentRecord { design, left_out: *left_out, moved: *moved, ended };
            records.push((KeptKey::Experiment(experiment), Some(records::text(&record))));
        }
        let rest = self.changed.len().saturating_sub(count_max);
        for caller in self.changed.split_off(rest) {
            if let Some(seen) = self.callers.get_mut(&caller) {
                seen.is_changed = false;
                // As many as there are up to the last one.
                let mut values = Vec::new();
                for (metric, value) in seen.values() {
                    values.resize(metric, None);
                    values.push(Some(value));
                }
                let text: Bytes = records::text(&CallerRecord(seen.variant, values));
                records.push((KeptKey::Exposed(experiment, *caller.as_bytes()), Some(text)));
            }
        }
        records
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::super::observations::tests::design;
    use super::*;

    fn caller(number: u32) -> CallerDigest {
        CallerDigest::of_text(&number.to_string())
    }

    #[test]
    fn a_caller_counts_once_for_the_variant_that_it_has_seen_first() {
        let mut state = State::new(design());
        assert_eq!(state.expose(0, caller(1)), Some(0));
        assert_eq!(state.expose(0, caller(1)), Some(0));
        assert_eq!(state.expose(1, caller(1)), Some(0), "it has seen the other before");
        assert_eq!(state.expose(1, caller(2)), Some(1));
        assert_eq!(state.expose(2, caller(3)), None, "there is no such variant");
        let callers: Vec<u64> = state.summary().iter().map(|variant| variant.callers).collect();
        assert_eq!((callers.as_slice(), state.moved), ([1, 1].as_slice(), 1));
    }

    #[test]
    fn the_value_of_a_caller_is_its_total_and_a_conversion_counts_once() {
        let mut state = State::new(design());
        for number in 1..=3 {
            state.expose(1, caller(number));
        }
        state.observe(caller(1), 8, &[("order_value", 10.0), ("ordered", 1.0)]);
        state.observe(caller(1), 8, &[("order_value", 5.0), ("ordered", 1.0), ("unknown", 3.0)]);
        state.observe(caller(2), 8, &[("order_value", -1.0), ("ordered", 0.0)]);
        state.observe(caller(3), 7, &[("order_value", 100.0)]);
        state.observe(caller(4), 8, &[("order_value", 100.0)]);
        let summary = state.summary();
        let value = summary[1].metrics["order_value"];
        assert_eq!(
            (value.callers, value.sum, value.squares),
            (3, 14.0, 226.0),
            "the release of the other, and a stranger"
        );
        assert_eq!((value.least, value.greatest), (-1.0, 15.0));
        let ordered = summary[1].metrics["ordered"];
        assert_eq!((ordered.callers, ordered.sum, ordered.squares), (3, 2.0, 2.0));
        assert_eq!(summary[0].metrics["ordered"], Sample::default());
    }

    #[test]
    fn an_order_that_was_taken_back_is_as_if_it_had_not_been() {
        let (mut state, mut plain) = (State::new(design()), State::new(design()));
        for number in 0..100 {
            for state in [&mut state, &mut plain] {
                state.expose(1, caller(number));
                state.observe(caller(number), 8, &[("order_value", f64::from(number) / 8.0)]);
            }
        }
        state.observe(caller(1), 8, &[("order_value", 1e15)]);
        assert!(state.summary()[1].metrics["order_value"].carriers() < 3.0);
        state.observe(caller(1), 8, &[("order_value", -1e15)]);
        let [after, before] = [&state, &plain].map(|state| state.summary()[1].metrics["order_value"]);
        assert_eq!((after.callers, after.least, after.greatest), (before.callers, before.least, before.greatest));
        assert!((after.variance() / before.variance() - 1.0).abs() < 1e-9, "{after:?} {before:?}");
    }

    #[test]
    fn who_comes_when_there_are_too_many_is_not_counted() {
        let mut state = State { callers_max: 2, ..State::new(design()) };
        for number in 0..5 {
            let counted = state.expose(0, caller(number)).is_some();
            assert_eq!(counted, number < 2);
        }
        state.observe(caller(4), 7, &[("ordered", 1.0)]);
        let summary = state.summary();
        assert_eq!((summary[0].callers, summary[0].metrics["ordered"].sum, state.left_out), (2, 0.0, 3));
        assert_eq!(state.expose(0, caller(1)), Some(0), "who was there is still known");
    }

    #[test]
    fn the_store_is_told_of_each_change_once() {
        let mut state = State::new(design());
        assert_eq!(state.take_changed(1, 10).len(), 1, "the experiment");
        for number in 0..5 {
            state.expose(0, caller(number));
        }
        assert_eq!([3, 3, 3].map(|count| state.take_changed(1, count).len()), [3, 2, 0]);
        state.observe(caller(1), 7, &[("ordered", 1.0), ("order_value", 2.0)]);
        assert_eq!(state.take_changed(1, 10).len(), 1);
        state.observe(caller(1), 7, &[("ordered", 1.0)]);
        assert!(state.take_changed(1, 10).is_empty(), "nothing is new");
        state.end();
        assert_eq!((state.take_changed(1, 10).len(), state.expose(0, caller(9))), (1, None));
        assert_eq!(state.summary()[0].callers, 5, "what was known stays");
    }
}
