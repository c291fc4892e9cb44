//! Counts what one operation asks for: it is known once, when the operation is planned, and each time that it runs is one addition.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Counter;

/// How often an operation has run since it was last added up.
#[derive(Debug)]
pub struct Tally {
    uses: AtomicU64,
    counters: Box<[Arc<Counter>]>,
}

impl Tally {
    pub(super) fn of(counters: Box<[Arc<Counter>]>) -> Self {
        Self { uses: AtomicU64::new(0), counters }
    }

    /// That it runs once.
    pub fn add(&self) {
        self.uses.fetch_add(1, Ordering::Relaxed);
    }

    /// The same of what goes on for as long as the value is held.
    pub fn hold(self: &Arc<Self>) -> Held {
        self.add();
        for counter in &self.counters {
            counter.held.fetch_add(1, Ordering::Relaxed);
        }
        Held(self.clone())
    }

    /// Adds it to all that it asks for.
    pub(super) fn add_up(&self) {
        let uses = self.uses.swap(0, Ordering::Relaxed);
        if uses > 0 {
            for counter in &self.counters {
                counter.count.fetch_add(uses, Ordering::Relaxed);
            }
        }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.add_up();
    }
}

/// An operation that goes on: a subscription.
#[derive(Debug)]
pub struct Held(Arc<Tally>);

impl Drop for Held {
    fn drop(&mut self) {
        for counter in &self.0.counters {
            counter.held.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
