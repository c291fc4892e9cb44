//! What clients ask for, counted for each release: functions, fields that they select, arguments that they give.
//!
//! | module | what it does |
//! |---|---|
//! | `tally` | counts what one operation asks for, all of it by one number |
//! | `kept` | writes counts to the store from time to time, and reads them |
//!
//! Rule: to count costs a call nothing that it would notice: one addition for the function, one for the operation. A crash loses what
//! was counted in the last seconds.

mod kept;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;
use weir_schema::declarations::Declarations;
use weir_schema::limits::USAGE_COORDINATES_MAX;

pub use kept::read;
pub(crate) use kept::{Usages, run};
pub use tally::{Held, Tally};

/// What clients ask for of one release.
#[derive(Default)]
pub struct Usage {
    /// That of the release; none where nothing is to be kept.
    sequence: OnceLock<u64>,
    counters: Mutex<HashMap<Box<str>, Arc<Counter>>>,
    /// Those of functions and endpoints, by their place among all that can be called.
    called: Vec<Arc<Counter>>,
    tallies: Mutex<Vec<Weak<Tally>>>,
}

/// How often one thing was asked for since it was last written down.
#[derive(Debug, Default)]
struct Counter {
    count: AtomicU64,
    /// Subscriptions that ask for it now.
    held: AtomicU64,
}

/// What was counted of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Counted {
    name: Box<str>,
    count: u64,
    is_held: bool,
}

impl Usage {
    /// Of a release with these declarations.
    pub(crate) fn of(declarations: &Declarations) -> Arc<Self> {
        let mut usage = Self::default();
        let functions = declarations.functions.keys().cloned();
        let endpoints = declarations.endpoints.iter();
        let endpoints = endpoints.map(|endpoint| format!("{} {}", endpoint.method.as_str(), endpoint.path.as_str()));
        usage.called = functions.chain(endpoints).filter_map(|name| usage.counter(name)).collect();
        Arc::new(usage)
    }

    /// What counts operations that ask for all of that.
    pub fn tally(&self, coordinates: impl IntoIterator<Item = String>) -> Arc<Tally> {
        let tally = Arc::new(Tally::of(coordinates.into_iter().filter_map(|name| self.counter(name)).collect()));
        let mut tallies = self.tallies.lock();
        // Those that are gone have been added up when they went: they are dropped here before there are as many as others.
        if tallies.len() == tallies.capacity() {
            tallies.retain(|tally| tally.strong_count() > 0);
        }
        tallies.push(Arc::downgrade(&tally));
        tally
    }

    /// That what is at a place among all that can be called was called.
    pub fn called(&self, place: usize) {
        if let Some(counter) = self.called.get(place) {
            counter.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The counter of something; none once there are too many.
    fn counter(&self, name: String) -> Option<Arc<Counter>> {
        let mut counters = self.counters.lock();
        if let Some(known) = counters.get(name.as_str()) {
            return Some(known.clone());
        }
        if counters.len() == USAGE_COORDINATES_MAX {
            return None;
        }
        Some(counters.entry(name.into()).or_default().clone())
    }

    /// What was counted since the last time.
    fn take(&self) -> Vec<Counted> {
        // What goes meanwhile adds itself up, under no lock of this.
        let tallies: Vec<Arc<Tally>> = self.tallies.lock().iter().filter_map(Weak::upgrade).collect();
        for tally in &tallies {
            tally.add_up();
        }
        drop(tallies);
        let counters = self.counters.lock();
        let counted = counters.iter().map(|(name, counter)| {
            let count = counter.count.swap(0, Ordering::Relaxed);
            Counted { name: name.clone(), count, is_held: counter.held.load(Ordering::Relaxed) > 0 }
        });
        counted.filter(|counted| counted.count > 0 || counted.is_held).collect()
    }
}
