//! What each of several has used of something that they share, and who of those that wait has used least.
//!
//! All is measured against [`Accounts::reached`]: what whoever had the last turn had used before it. Nobody who waits is
//! further behind than the lag or further ahead.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// What each has used, by number, in nanoseconds.
pub struct Accounts {
    used: HashMap<u64, u64>,
    /// Those who wait: what they have used, and their number.
    waiting: BTreeSet<(u64, u64)>,
    /// Those who are known for what they have used alone.
    resting: BTreeSet<(u64, u64)>,
    reached: u64,
    lag_max: u64,
    resting_max: usize,
}

impl Accounts {
    /// Nobody yet. `lag_max` is how far behind or ahead of others one can be, `resting_max` how many are remembered.
    pub fn new(lag_max: Duration, resting_max: usize) -> Self {
        Self {
            used: HashMap::new(),
            waiting: BTreeSet::new(),
            resting: BTreeSet::new(),
            reached: 0,
            lag_max: nanoseconds(lag_max),
            resting_max,
        }
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.used.len()
    }

    /// Whether this one is known.
    pub fn knows(&self, number: u64) -> bool {
        self.used.contains_key(&number)
    }

    /// Those who wait, who has used least first.
    pub fn waiting(&self) -> impl Iterator<Item = u64> {
        self.waiting.iter().map(|(_, number)| *number)
    }

    /// Whether nobody waits or is having a turn.
    pub fn is_resting(&self) -> bool {
        self.used.len() == self.resting.len()
    }

    /// One waits from now on. Who was away has saved nothing up.
    pub fn wait(&mut self, number: u64) {
        let used = self.used.entry(number).or_insert(self.reached);
        if self.resting.remove(&(*used, number)) {
            *used = (*used).max(self.reached);
        }
        self.waiting.insert((*used, number));
    }

    /// One waits no longer.
    pub fn stop_waiting(&mut self, number: u64) {
        if let Some(used) = self.used.get(&number) {
            self.waiting.remove(&(*used, number));
        }
    }

    /// One has a turn, which may cost so much.
    pub fn turn(&mut self, number: u64, estimate: Duration) {
        let (reached, lag_max) = (self.reached, self.lag_max);
        let before = self.used.get(&number).copied().unwrap_or(reached).max(reached.saturating_sub(lag_max));
        self.set(number, before.saturating_add(nanoseconds(estimate)));
        self.reached = reached.max(before);
        // Debts that others have caught up with.
        while let Some((used, number)) = self.resting.first().copied().filter(|(used, _)| *used <= self.reached) {
            self.resting.remove(&(used, number));
            self.used.remove(&number);
        }
    }

    /// A turn has cost so much, and not what was estimated.
    pub fn charge(&mut self, number: u64, cost: Duration, estimate: Duration) {
        let Some(used) = self.used.get(&number).copied() else { return };
        let used = used.saturating_add(nanoseconds(cost)).saturating_sub(nanoseconds(estimate));
        self.set(number, used.min(self.reached.saturating_add(self.lag_max)));
    }

    /// One neither waits nor has a turn: it is remembered if it is in debt, those with the least debt first forgotten.
    pub fn rest(&mut self, number: u64) {
        let Some(used) = self.used.get(&number).copied() else { return };
        if used <= self.reached {
            self.used.remove(&number);
            return;
        }
        self.resting.insert((used, number));
        if self.resting.len() > self.resting_max
            && let Some((_, forgotten)) = self.resting.pop_first()
        {
            self.used.remove(&forgotten);
        }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.used.clear();
        self.waiting.clear();
        self.resting.clear();
        self.reached = 0;
    }

    fn set(&mut self, number: u64, used: u64) {
        let before = self.used.insert(number, used);
        if let Some(before) = before
            && self.waiting.remove(&(before, number))
        {
            self.waiting.insert((used, number));
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
