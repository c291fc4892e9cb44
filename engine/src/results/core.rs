//! Which results are there and what becomes of them: the rules alone. Who runs functions and who waits is not known here.
//!
//! A result is good until a commit touches what its run read. Each is an [`Entry`], kept under what was asked and so much of
//! the caller as the run looked at. An entry that nobody watches goes with the commit that touches it; one that is watched is
//! due for another run, and those who watch it get what that gives.
//!
//! A result may depend on those of views that its run has read ([`edges`]). A commit that touches one of these puts what depends
//! on it in doubt; the views are run first, and where they give the same as before all that depends on them is good again.

mod asked;
mod classes;
mod edges;
mod saving;
mod views;

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use indexmap::{IndexMap, IndexSet};
use tokio::sync::watch;
use weir_sandbox::protocol::ScriptCaller;
use weir_schema::commit::Timestamp;
use weir_store::{Head, Notice, ReadIndex};

use self::asked::Asked;
use self::classes::Habits;
use self::saving::Saving;
pub(crate) use self::saving::{Unsaved, Unwritten};
pub(crate) use self::views::KeptView;
use super::entry::{Dependency, ENTRY_BYTES, Entry, Feed, Published, Standing};
use super::flight::{Departure, Flight, Flights, Landing, RunEnd};
use super::key::{Claims, Class, QueryKey};

/// The first wait before a watched entry is run again that failed for a reason that may pass; each further one doubles it.
const AGAIN_MIN: Duration = Duration::from_secs(1);
/// So often: up to a minute.
const AGAIN_DOUBLINGS: u32 = 6;
/// Entries that are compared for which one goes.
const EVICTION_SAMPLE: usize = 16;

/// All results. `S` is who a watched one is run for.
pub(crate) struct Core<S> {
    // Whatever grows under the lock must be quick to move: so there are boxes, and hashes are not made again.
    entries: HashMap<u64, Box<Entry<S>>>,
    /// Those that may be found by who asks the same.
    listed: IndexMap<(QueryKey, Class), u64>,
    /// What runs of a function have looked at so far, by release and function.
    habits: HashMap<(u64, usize), Habits>,
    index: ReadIndex,
    /// The last commit that is taken into account.
    applied: Head,
    flights: Flights,
    /// Watched entries that nobody has started to run yet.
    due: Vec<u64>,
    /// Entries that may have become due: to be looked at when all is known that a commit or a run has changed.
    doubtful: Vec<u64>,
    /// Watched entries that are to be run again after a time, whatever is committed, with what they gave.
    again: Vec<(u64, Duration, Arc<Published>)>,
    /// Nobody watches these, nothing depends on them, and no run of theirs is in progress.
    idle: IndexSet<u64>,
    retired: HashSet<u64>,
    asked: Asked,
    next_id: u64,
    bytes: usize,
    bytes_max: usize,
    /// The priority of the last that went: what comes later is worth at least that.
    inflation: f64,
    random: u64,
    saving: Saving,
}

/// The end of a run, and what is known of its result.
struct Settled<S> {
    end: RunEnd<S>,
    /// The entries of the views that it has read.
    dependencies: Vec<Dependency>,
    /// The first commit known to have changed what it was computed from.
    touched_at: Option<u64>,
}

/// What becomes of a question.
pub(crate) enum Reading {
    /// It was answered before.
    There(Arc<Published>),
    /// Somebody runs it; what comes of it has to [serve](Landing::serves) who arrived after this commit.
    Joined(Arc<Flight>, Head),
    /// Whoever asks runs it.
    Run(Departure),
}

/// Somebody's part in a watched entry.
pub(crate) struct Watching {
    pub(crate) id: u64,
    pub(crate) feed: watch::Receiver<Feed>,
    /// What there is already.
    pub(crate) first: Option<Arc<Published>>,
    /// The commit after which it began.
    pub(crate) arrival: Head,
}

impl Watching {
    /// Whether a result is one for who began to watch then, and as of which commit.
    pub(crate) fn takes(&self, published: &Published) -> Option<Timestamp> {
        let is_outdated = published.touched_at.is_some_and(|at| at <= self.arrival.sequence);
        (!is_outdated).then(|| published.commit.max(self.arrival.timestamp))
    }
}

impl<S: Clone> Core<S> {
    /// No results, as of a commit.
    pub(crate) fn new(applied: Head, bytes_max: usize) -> Self {
        Self {
            entries: HashMap::new(),
            listed: IndexMap::new(),
            habits: HashMap::new(),
            index: ReadIndex::default(),
            applied,
            flights: Flights::default(),
            due: Vec::new(),
            doubtful: Vec::new(),
            again: Vec::new(),
            idle: IndexSet::new(),
            retired: HashSet::new(),
            asked: Asked::default(),
            next_id: 0,
            bytes: 0,
            bytes_max,
            inflation: 0.0,
            random: 0x9e37_79b9_7f4a_7c15,
            saving: Saving::default(),
        }
    }

    /// The last commit that is taken into account.
    pub(crate) fn applied(&self) -> Head {
        self.applied
    }

    /// How much memory the results take, roughly, in bytes.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The watched entries that have become due for a run since this was last asked.
    pub(crate) fn take_due(&mut self) -> Vec<u64> {
        mem::take(&mut self.due)
    }

    /// Those that failed for a reason that may pass since this was last asked: when to [try](Self::try_again) again.
    pub(crate) fn take_again(&mut self) -> Vec<(u64, Duration, Arc<Published>)> {
        mem::take(&mut self.again)
    }

    /// A watched entry that gave this is due for another run, if it has given nothing else since.
    pub(crate) fn try_again(&mut self, id: u64, failed: &Arc<Published>) {
        let Some(entry) = self.entries.get(&id) else { return };
        let is_last = entry.kept.as_ref().is_some_and(|kept| kept.result == failed.result);
        if is_last && entry.is_fresh() {
            self.grow_stale(id);
            self.ripen();
        }
    }

    /// Takes a commit into account. They come in order.
    pub(crate) fn apply(&mut self, notice: &Arc<Notice>) {
        if notice.sequence <= self.applied.sequence {
            return;
        }
        self.applied.sequence = notice.sequence;
        self.applied.timestamp = notice.timestamp;
        for id in self.index.touched(notice) {
            self.grow_stale(id);
        }
        self.ripen();
        self.flights.note(notice.sequence, Some(notice));
    }

    /// Notices up to a commit were missed: nothing is known to be good.
    pub(crate) fn miss(&mut self, head: Head) {
        if head.sequence <= self.applied.sequence {
            return;
        }
        self.applied = head;
        self.flights.note(head.sequence, None);
        for id in self.entries.keys().copied().collect::<Vec<u64>>() {
            self.grow_stale(id);
        }
        self.ripen();
    }

    /// Looks for an answer as of the last commit.
    pub(crate) fn read(&mut self, key: &QueryKey, caller: &ScriptCaller) -> Reading {
        if self.is_volatile(key) {
            return Reading::Run(self.depart(None));
        }
        let id = self.find(key, caller).unwrap_or_else(|| self.open(key, caller, true));
        let applied = self.applied;
        let Some(entry) = self.entries.get_mut(&id) else { return Reading::Run(self.depart(None)) };
        if entry.is_fresh()
            && let Some(published) = entry.current(applied)
            && published.result.is_ok()
        {
            entry.priority = self.inflation + entry.worth();
            return Reading::There(published);
        }
        match &entry.flight {
            Some(flight) => Reading::Joined(flight.clone(), applied),
            // A failure that is watched is not an answer for others.
            None if entry.is_fresh() => Reading::Run(self.depart(None)),
            None => Reading::Run(self.depart(Some(id))),
        }
    }

    /// Leave for a run that others cannot wait for.
    pub(crate) fn depart_alone(&mut self) -> Departure {
        self.depart(None)
    }

    /// Who a watched entry is run for.
    pub(crate) fn sponsor(&self, id: u64) -> Option<S> {
        self.entries.get(&id)?.sponsor.clone()
    }

    /// Leave for the run that a watched entry is due for, and who it is for; `None` if it is no longer due.
    pub(crate) fn depart_for(&mut self, id: u64) -> Option<(Departure, S)> {
        let entry = self.entries.get(&id)?;
        if entry.is_fresh() || entry.flight.is_some() {
            return None;
        }
        let sponsor = entry.sponsor.clone()?;
        Some((self.depart(Some(id)), sponsor))
    }

    /// Takes the end of a run. All commits that it saw are applied.
    pub(crate) fn land(
        &mut self,
        departure: Departure,
        key: &QueryKey,
        caller: &ScriptCaller,
        mut end: RunEnd<S>,
    ) -> Arc<Landing> {
        let (owed, reads) = self.place_views(mem::take(&mut end.views), &end.read, caller, end.head);
        let touched_at = self.flights.touched_since(end.head, &end.reads);
        let touched_at = touched_at.into_iter().chain(owed.touched_at).min();
        end.reads.merge(reads);
        let end = Settled { end, dependencies: owed.dependencies, touched_at };
        self.flights.end(&departure);
        let Departure { id, flight, .. } = departure;
        let Settled { end: RunEnd { result, head, looked, may_pass, .. }, .. } = &end;
        let landing = Arc::new(Landing {
            result: result.clone(),
            commit: head.timestamp,
            class: Class::of(caller, if *may_pass { Claims::ALL } else { looked.claims }),
            is_volatile: looked.is_volatile,
            touched_at,
        });
        if !may_pass && !self.retired.contains(&key.release) {
            let habits = self.habits.entry((key.release, key.function)).or_default();
            habits.is_volatile = looked.is_volatile;
        }
        let id = match id {
            Some(id) => {
                self.settle(id, caller, end);
                Some(id)
            }
            None => self.admit(key, caller, end),
        };
        flight.land(Some(landing.clone()));
        self.ripen();
        self.admit_again(id, key);
        self.evict();
        landing
    }

    /// A run has ended without a result. Says which entry is due for another: who gives up sees to it.
    pub(crate) fn give_up(&mut self, departure: Departure) -> Option<u64> {
        self.flights.end(&departure);
        let Departure { id, flight, .. } = departure;
        flight.land(None);
        let id = id?;
        let entry = self.entries.get_mut(&id)?;
        entry.flight = None;
        if entry.is_needed() {
            return Some(id);
        }
        self.let_go(id);
        self.ripen();
        None
    }

    /// Begins to watch. What is not there yet becomes due, for `sponsor`.
    pub(crate) fn watch(&mut self, key: &QueryKey, caller: &ScriptCaller, sponsor: S) -> Watching {
        let is_shared = !self.is_volatile(key);
        let found = if is_shared { self.find(key, caller) } else { None };
        let id = found.unwrap_or_else(|| self.open(key, caller, is_shared));
        let applied = self.applied;
        self.idle.swap_remove(&id);
        let Some(entry) = self.entries.get_mut(&id) else {
            let (_, feed) = watch::channel(Feed::Moved);
            return Watching { id, feed, first: None, arrival: applied };
        };
        let was_needed = entry.is_needed();
        entry.watchers += 1;
        entry.sponsor.get_or_insert(sponsor);
        let first = if entry.is_fresh() { entry.current(applied) } else { None };
        entry.is_owed |= first.is_none();
        let feed = entry.feed.get_or_insert_with(|| watch::channel(Feed::Nothing).0).subscribe();
        if !entry.is_fresh() && entry.flight.is_none() {
            self.due.push(id);
        }
        if !was_needed {
            self.need_views(id);
        }
        Watching { id, feed, first, arrival: applied }
    }

    /// Watches no longer.
    pub(crate) fn unwatch(&mut self, id: u64) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.watchers = entry.watchers.saturating_sub(1);
        if entry.watchers > 0 {
            return;
        }
        entry.feed = None;
        entry.is_owed = false;
        if entry.is_needed() {
            return;
        }
        self.unneed_views(id);
        self.let_go(id);
        self.ripen();
        self.evict();
    }

    /// Those releases are left: nothing more is kept of the others but what is watched.
    pub(crate) fn retire_all_but(&mut self, releases: &[u64]) {
        let others = self.habits.keys().map(|(release, _)| *release);
        let others = others.chain(self.entries.values().map(|entry| entry.key.release));
        let others: Vec<u64> = others.filter(|other| !releases.contains(other)).collect();
        self.retired.extend(others);
        self.habits.retain(|(other, _), _| releases.contains(other));
        // What these alone depend on goes with them.
        let gone: Vec<u64> = self.idle.iter().copied().collect();
        for id in gone {
            if self.entries.get(&id).is_some_and(|entry| !releases.contains(&entry.key.release)) {
                self.remove(id);
            }
        }
    }

    fn depart(&mut self, id: Option<u64>) -> Departure {
        let departure = self.flights.depart(id, self.applied.sequence);
        if let Some(id) = id
            && let Some(entry) = self.entries.get_mut(&id)
        {
            entry.flight = Some(departure.flight.clone());
            self.idle.swap_remove(&id);
        }
        departure
    }

    /// Keeps what a run that nobody could wait for came to, if somebody else may ask for it.
    fn admit(&mut self, key: &QueryKey, caller: &ScriptCaller, settled: Settled<S>) -> Option<u64> {
        let Settled { end, touched_at, .. } = &settled;
        let is_kept = end.result.is_ok()
            && !end.looked.is_volatile
            && touched_at.is_none()
            && !self.retired.contains(&key.release)
            && self.find(key, caller).is_none();
        is_kept.then(|| {
            let id = self.open(key, caller, true);
            self.settle(id, caller, settled);
            id
        })
    }

    /// Where there is no room without others going, lets only what was asked before make them go.
    fn admit_again(&mut self, id: Option<u64>, key: &QueryKey) {
        if self.bytes > self.bytes_max
            && let Some(id) = id
            && self.idle.contains(&id)
            && !self.asked.before(key)
        {
            self.remove(id);
        }
    }

    /// Ends the run of an entry, and gives it the result.
    fn settle(&mut self, id: u64, caller: &ScriptCaller, settled: Settled<S>) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.flight = None;
        }
        self.fill(id, caller, settled);
    }

    /// Gives an entry a result, and to those who watch it if it is another than they have.
    fn fill(&mut self, id: u64, caller: &ScriptCaller, settled: Settled<S>) {
        let Settled { end, dependencies, touched_at } = settled;
        let is_sure = |view: &Dependency| self.entries.get(&view.id).is_some_and(|entry| entry.is_fresh());
        let is_sure = dependencies.iter().all(is_sure);
        let touched_at = touched_at.or_else(|| (!is_sure).then_some(end.head.sequence + 1));
        let RunEnd { result, head, reads, looked, cost, may_pass, .. } = end;
        let is_outdone = self
            .entries
            .get(&id)
            .is_some_and(|entry| entry.is_fresh() || (entry.kept.is_some() && entry.since > head.sequence));
        if is_outdone {
            // What it gave is known by a run for somebody else, or that has seen more.
            self.doubtful.push(id);
            return;
        }
        // What such a run has looked at is not all that its function looks at.
        if !may_pass && !self.fits(id, caller, looked) {
            self.dissolve(id);
            return;
        }
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let is_kept = entry.is_needed()
            || (result.is_ok()
                && touched_at.is_none()
                && entry.is_listed
                && !self.retired.contains(&entry.key.release));
        if !is_kept {
            self.remove(id);
            return;
        }
        let published = Arc::new(Published { result, commit: head.timestamp, touched_at });
        entry.publish(&published);
        entry.failures = if may_pass { entry.failures + 1 } else { 0 };
        if may_pass {
            let wait = AGAIN_MIN.saturating_mul(1 << (entry.failures - 1).min(AGAIN_DOUBLINGS));
            self.again.push((id, wait, published));
        }
        entry.cost = cost;
        self.unregister(id);
        self.depend(id, dependencies);
        let since = self.views_since(id).max(head.sequence);
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.standing = if touched_at.is_none() { Standing::Fresh } else { Standing::Stale };
        entry.since = since;
        if entry.is_fresh() {
            self.index.insert(id, &reads);
            entry.reads = reads;
            self.saving.note(id, &entry.key);
        } else if entry.flight.is_none() {
            self.due.push(id);
        }
        self.measure(id);
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.priority = self.inflation + entry.worth();
        }
        self.let_go(id);
        self.inform(id);
    }

    /// An entry that is not the same for all who have it: they have to look for theirs.
    fn dissolve(&mut self, id: u64) {
        let Some(entry) = self.entries.get(&id) else { return };
        if let Some(feed) = &entry.feed {
            feed.send_replace(Feed::Moved);
        }
        for dependent in entry.dependents.iter().copied().collect::<Vec<u64>>() {
            self.grow_stale(dependent);
        }
        self.remove(id);
    }

    /// Its result is not known to be good any more.
    fn grow_stale(&mut self, id: u64) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.standing == Standing::Stale {
            return;
        }
        self.unregister(id);
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.standing = Standing::Stale;
        }
        // Without its read set.
        self.measure(id);
        self.doubtful.push(id);
        self.doubt_dependents(id);
        self.let_go(id);
    }

    /// No commit wakes it any more.
    fn unregister(&mut self, id: u64) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        self.saving.note_gone(id, &entry.key, &entry.class);
        let reads = mem::take(&mut entry.reads);
        if entry.standing != Standing::Stale {
            self.index.remove(id, &reads);
        }
    }

    /// Sees how much memory an entry takes now.
    fn measure(&mut self, id: u64) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let bytes = entry.measure();
        self.bytes = self.bytes.saturating_sub(mem::replace(&mut entry.bytes, bytes)).saturating_add(bytes);
    }

    /// Entries that nobody needs and nobody runs are kept for who may ask, or go, and with them what they alone depend on.
    fn let_go(&mut self, id: u64) {
        let mut next = vec![id];
        while let Some(id) = next.pop() {
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            if entry.is_needed() || entry.flight.is_some() {
                continue;
            }
            let is_worth_keeping = entry.is_listed
                && entry.is_fresh()
                && entry.kept.as_ref().is_some_and(|kept| kept.result.is_ok())
                && !self.retired.contains(&entry.key.release);
            if !is_worth_keeping {
                next.extend(self.take_out(id));
            } else if entry.dependents.is_empty() {
                self.idle.insert(id);
            }
        }
    }

    fn remove(&mut self, id: u64) {
        for view in self.take_out(id) {
            self.let_go(view);
        }
    }

    /// Removes an entry. Gives the views that may have to go with it.
    fn take_out(&mut self, id: u64) -> Vec<u64> {
        let Some(entry) = self.entries.remove(&id) else { return Vec::new() };
        self.saving.note_gone(id, &entry.key, &entry.class);
        if entry.standing != Standing::Stale {
            self.index.remove(id, &entry.reads);
        }
        let views = self.detach(id, &entry);
        if entry.is_listed {
            self.listed.swap_remove(&(entry.key, entry.class));
        }
        self.idle.swap_remove(&id);
        self.bytes = self.bytes.saturating_sub(entry.bytes);
        views
    }

    /// Makes room. Of some that nobody watches the one goes whose bytes are the cheapest to compute again and that has not
    /// been asked for since others went (GreedyDual-Size, Cao and Irani 1997, on a sample).
    fn evict(&mut self) {
        while self.bytes > self.bytes_max && !self.idle.is_empty() {
            let mut least: Option<(f64, u64)> = None;
            for _ in 0..EVICTION_SAMPLE {
                let at = self.draw() % self.idle.len();
                let Some(id) = self.idle.get_index(at).copied() else { continue };
                let priority = self.entries.get(&id).map_or(0.0, |entry| entry.priority);
                if least.is_none_or(|(lowest, _)| priority < lowest) {
                    least = Some((priority, id));
                }
            }
            let Some((priority, id)) = least else { return };
            self.inflation = self.inflation.max(priority);
            self.remove(id);
        }
    }

    /// The next number of xorshift64 (Marsaglia 2003): which entries are looked at is nobody's secret.
    fn draw(&mut self) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random >> 32).unwrap_or_default()
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]
mod tests;
