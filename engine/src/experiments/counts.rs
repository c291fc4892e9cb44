//! What was given to the metrics of one release since it was loaded, whoever called: for `/metrics`, and for whoever watches a release.

use std::collections::{BTreeMap, HashMap};

use parking_lot::Mutex;
use weir_schema::declarations::Declarations;
use weir_schema::manifest::Manifest;
use weir_schema::rollout::watch::MetricTotal;

/// What a call has given to a metric: its place among those of the release, and the value.
pub type Measurement = (usize, f64);

/// What was given to a metric.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Counted {
    /// How many values.
    pub values: u64,
    /// Their sum.
    pub sum: f64,
    /// The sum of their squares.
    pub squares: f64,
}

/// The metrics that a release declares, in the order of their names.
#[derive(Debug)]
pub struct ReleaseCounts {
    names: Vec<String>,
    /// The metrics of which callers convert by a function, by its place in the declarations.
    by_function: HashMap<usize, Vec<usize>>,
    counted: Mutex<Vec<Counted>>,
    /// The same by calls, since it was taken last.
    lately: Mutex<Vec<MetricTotal>>,
}

impl ReleaseCounts {
    /// Those of an app, to which nothing was given yet.
    pub fn of(manifest: &Manifest, declarations: &Declarations) -> Self {
        let mut by_function = HashMap::<usize, Vec<usize>>::new();
        for (place, metric) in manifest.metrics.values().enumerate() {
            let function = metric.function.as_ref().and_then(|name| declarations.functions.get_index_of(name));
            if let Some(function) = function {
                by_function.entry(function).or_default().push(place);
            }
        }
        let names: Vec<String> = manifest.metrics.keys().cloned().collect();
        let counted = Mutex::new(vec![Counted::default(); names.len()]);
        let lately = Mutex::new(vec![MetricTotal::default(); names.len()]);
        Self { names, by_function, counted, lately }
    }

    /// The place of a metric; `None` if it is not declared.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.names.binary_search_by(|known| known.as_str().cmp(name)).ok()
    }

    /// The name of a metric.
    pub fn name(&self, place: usize) -> Option<&str> {
        self.names.get(place).map(String::as_str)
    }

    /// What a success of a function gives.
    pub fn conversions(&self, function: usize) -> impl Iterator<Item = Measurement> {
        self.by_function.get(&function).into_iter().flatten().map(|place| (*place, 1.0))
    }

    /// Counts what a call has given.
    pub fn count(&self, measured: &[Measurement]) {
        let mut counted = self.counted.lock();
        for (place, value) in measured {
            if let Some(counted) = counted.get_mut(*place) {
                counted.values += 1;
                counted.sum += value;
                counted.squares += value * value;
            }
        }
        drop(counted);
        let mut lately = self.lately.lock();
        for (place, lately) in lately.iter_mut().enumerate() {
            let own = measured.iter().filter(|(of, _)| *of == place);
            let (values, sum) = own.fold((0, 0.0), |(values, sum), (_, value)| (values + 1, sum + value));
            if values > 0 {
                *lately = lately.and(&MetricTotal::of_call(values, sum));
            }
        }
    }

    /// What calls have given since it was taken last, by the name of the metric.
    pub fn lately(&self) -> BTreeMap<String, MetricTotal> {
        self.named(&self.lately.lock())
    }

    /// The same, from now on counted anew.
    pub fn take_lately(&self) -> BTreeMap<String, MetricTotal> {
        let mut lately = self.lately.lock();
        let taken = self.named(&lately);
        lately.fill(MetricTotal::default());
        taken
    }

    fn named(&self, totals: &[MetricTotal]) -> BTreeMap<String, MetricTotal> {
        let given = self.names.iter().zip(totals).filter(|(_, total)| total.calls > 0);
        given.map(|(name, total)| (name.clone(), *total)).collect()
    }

    /// All that was given, by the name of the metric.
    pub fn all(&self) -> Vec<(String, Counted)> {
        self.names.iter().cloned().zip(self.counted.lock().iter().copied()).collect()
    }
}
