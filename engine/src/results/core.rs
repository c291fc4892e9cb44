//! Which results are there and what becomes of them: the rules alone. Who runs functions and who waits is not known here.
//!
//! A result is good until a commit touches what its run read. Each is an [`Entry`], kept under what was asked and so much of
//! the caller as the run looked at. An entry that nobody watches goes with the commit that touches it; one that is watched is
//! due for another run, and those who watch it get what that gives.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexSet;
use tokio::sync::{SetOnce, watch};
use weir_sandbox::protocol::ScriptCaller;
use weir_schema::commit::Timestamp;
use weir_schema::error::ErrorCode;
use weir_store::{Head, Notice, ReadIndex, ReadSet};

use super::key::{Claims, Class, Looked, QueryKey};
use crate::call::CallError;
use crate::content::Content;

/// What an entry takes besides its value, its arguments and what it read, in bytes.
const ENTRY_BYTES: usize = 1_024;
/// How much memory a value takes per byte of its JSON text, with the forms in which it was sent.
const VALUE_FACTOR: usize = 6;
/// Entries that are compared for which one goes.
const EVICTION_SAMPLE: usize = 16;

/// All results. `S` is who a watched one is run for.
pub(crate) struct Core<S> {
    entries: HashMap<u64, Entry<S>>,
    /// Those that may be found by who asks the same.
    listed: HashMap<(QueryKey, Class), u64>,
    /// What runs of a function have looked at so far, by release and function.
    habits: HashMap<(u64, usize), Habits>,
    index: ReadIndex,
    /// The last commit that is taken into account.
    applied: Head,
    /// Commits that runs in progress may not have seen, in order; `None` for all before one that nothing is known of.
    recent: VecDeque<(u64, Option<Arc<Notice>>)>,
    /// For each sequence how many runs began after it.
    departures: BTreeMap<u64, usize>,
    /// Watched entries that nobody has started to run yet.
    due: Vec<u64>,
    /// Nobody watches these and no run of theirs is in progress.
    idle: IndexSet<u64>,
    retired: HashSet<u64>,
    next_id: u64,
    bytes: usize,
    bytes_max: usize,
    /// The priority of the last that went: what comes later is worth at least that.
    inflation: f64,
    random: u64,
}

/// What runs of a function have looked at.
#[derive(Default)]
struct Habits {
    /// The sets of claims by which results are told apart.
    claims: Vec<Claims>,
    /// Whether the last run looked at the time or at randomness.
    is_volatile: bool,
}

/// One result.
struct Entry<S> {
    key: QueryKey,
    class: Class,
    is_listed: bool,
    /// Whether a run has shown which claims matter.
    is_settled: bool,
    kept: Option<Arc<Published>>,
    /// Whether no commit has touched what it read.
    is_fresh: bool,
    reads: ReadSet,
    flight: Option<Arc<Flight>>,
    watchers: usize,
    sponsor: Option<S>,
    feed: Option<watch::Sender<Feed>>,
    /// Whether somebody watches who has not got anything yet.
    is_owed: bool,
    cost: Duration,
    bytes: usize,
    priority: f64,
}

/// A result as of a commit.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) result: Result<Arc<Content>, CallError>,
    pub(crate) commit: Timestamp,
}

/// What those who watch see of an entry.
#[derive(Debug, Clone)]
pub(crate) enum Feed {
    /// No result yet.
    Nothing,
    /// The newest.
    Published(Arc<Published>),
    /// This entry is not theirs any more: another one is.
    Moved,
}

/// A run in progress, which others may wait for.
#[derive(Default)]
pub(crate) struct Flight {
    landing: SetOnce<Option<Arc<Landing>>>,
}

impl Flight {
    /// Waits for the end; `None` where there is no result to be had.
    pub(crate) async fn landing(&self) -> Option<Arc<Landing>> {
        self.landing.wait().await.clone()
    }
}

/// Leave to run something: notices are kept until it lands or is given up.
pub(crate) struct Departure {
    /// The entry that it is for, if others can know of it.
    id: Option<u64>,
    flight: Arc<Flight>,
    since: u64,
}

/// The end of a run.
pub(crate) struct RunEnd {
    pub(crate) result: Result<Arc<Content>, CallError>,
    /// The state that it saw.
    pub(crate) head: Head,
    pub(crate) reads: ReadSet,
    pub(crate) looked: Looked,
    pub(crate) cost: Duration,
}

/// What a run came to, for whoever waited for it.
pub(crate) struct Landing {
    pub(crate) result: Result<Arc<Content>, CallError>,
    pub(crate) commit: Timestamp,
    class: Class,
    is_volatile: bool,
    /// The first commit known then that changed what it read.
    touched_at: Option<u64>,
}

impl Landing {
    /// Whether it is the answer for somebody who asked after `arrival`, a commit.
    pub(crate) fn serves(&self, caller: &ScriptCaller, arrival: u64) -> bool {
        let is_shared = match &self.result {
            Ok(_) => true,
            // The function's own doing, whoever called.
            Err(error) => matches!(error.code, ErrorCode::FunctionFailed | ErrorCode::LimitExceeded),
        };
        is_shared && !self.is_volatile && self.class.has(caller) && self.touched_at.is_none_or(|at| at > arrival)
    }
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
}

impl<S> Core<S> {
    /// No results, as of a commit.
    pub(crate) fn new(applied: Head, bytes_max: usize) -> Self {
        Self {
            entries: HashMap::new(),
            listed: HashMap::new(),
            habits: HashMap::new(),
            index: ReadIndex::default(),
            applied,
            recent: VecDeque::new(),
            departures: BTreeMap::new(),
            due: Vec::new(),
            idle: IndexSet::new(),
            retired: HashSet::new(),
            next_id: 0,
            bytes: 0,
            bytes_max,
            inflation: 0.0,
            random: 0x9e37_79b9_7f4a_7c15,
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
        if !self.departures.is_empty() {
            self.recent.push_back((notice.sequence, Some(notice.clone())));
        }
    }

    /// Notices up to a commit were missed: nothing is known to be good.
    pub(crate) fn miss(&mut self, head: Head) {
        if head.sequence <= self.applied.sequence {
            return;
        }
        self.applied = head;
        if !self.departures.is_empty() {
            self.recent.push_back((head.sequence, None));
        }
        let fresh: Vec<u64> = self.entries.iter().filter(|(_, entry)| entry.is_fresh).map(|(id, _)| *id).collect();
        for id in fresh {
            self.grow_stale(id);
        }
    }

    /// Looks for an answer as of the last commit.
    pub(crate) fn read(&mut self, key: &QueryKey, caller: &ScriptCaller) -> Reading {
        if self.is_volatile(key) {
            return Reading::Run(self.depart(None));
        }
        let id = self.find(key, caller).unwrap_or_else(|| self.open(key, caller, true));
        let applied = self.applied;
        let Some(entry) = self.entries.get_mut(&id) else { return Reading::Run(self.depart(None)) };
        if entry.is_fresh
            && let Some(published) = entry.current(applied)
            && published.result.is_ok()
        {
            entry.priority = self.inflation + entry.worth();
            return Reading::There(published);
        }
        match &entry.flight {
            Some(flight) => Reading::Joined(flight.clone(), applied),
            // A failure that is watched is not an answer for others.
            None if entry.is_fresh => Reading::Run(self.depart(None)),
            None => Reading::Run(self.depart(Some(id))),
        }
    }

    /// Leave for a run that others cannot wait for.
    pub(crate) fn depart_alone(&mut self) -> Departure {
        self.depart(None)
    }

    /// Leave for the run that a watched entry is due for, and who it is for; `None` if it is no longer due.
    pub(crate) fn depart_for(&mut self, id: u64) -> Option<(Departure, S)>
    where
        S: Clone,
    {
        let entry = self.entries.get(&id)?;
        if entry.is_fresh || entry.flight.is_some() {
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
        end: RunEnd,
    ) -> Arc<Landing> {
        let touched_at = self.touched_since(&end);
        let Departure { id, flight, since } = departure;
        self.end_departure(since);
        let landing = Arc::new(Landing {
            result: end.result.clone(),
            commit: end.head.timestamp,
            class: Class::of(caller, end.looked.claims),
            is_volatile: end.looked.is_volatile,
            touched_at,
        });
        if !self.retired.contains(&key.release) {
            let habits = self.habits.entry((key.release, key.function)).or_default();
            habits.is_volatile = end.looked.is_volatile;
        }
        match id {
            Some(id) => self.settle(id, caller, end, touched_at),
            None => self.admit(key, caller, end, touched_at),
        }
        // Never set before: a flight lands once.
        let _ = flight.landing.set(Some(landing.clone()));
        self.evict();
        landing
    }

    /// A run has ended without a result. Says which entry is due for another: who gives up sees to it.
    pub(crate) fn give_up(&mut self, departure: Departure) -> Option<u64> {
        let Departure { id, flight, since } = departure;
        self.end_departure(since);
        let _ = flight.landing.set(None);
        let id = id?;
        let entry = self.entries.get_mut(&id)?;
        entry.flight = None;
        if entry.watchers == 0 {
            self.remove(id);
            return None;
        }
        Some(id)
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
            return Watching { id, feed, first: None };
        };
        entry.watchers += 1;
        entry.sponsor.get_or_insert(sponsor);
        let first = if entry.is_fresh { entry.current(applied) } else { None };
        entry.is_owed |= first.is_none();
        let feed = entry.feed.get_or_insert_with(|| watch::channel(Feed::Nothing).0).subscribe();
        if !entry.is_fresh && entry.flight.is_none() {
            self.due.push(id);
        }
        Watching { id, feed, first }
    }

    /// Watches no longer.
    pub(crate) fn unwatch(&mut self, id: u64) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.watchers = entry.watchers.saturating_sub(1);
        if entry.watchers > 0 {
            return;
        }
        entry.sponsor = None;
        entry.feed = None;
        entry.is_owed = false;
        if entry.flight.is_some() {
            return;
        }
        let is_worth_keeping = entry.is_listed
            && entry.is_fresh
            && entry.kept.as_ref().is_some_and(|kept| kept.result.is_ok())
            && !self.retired.contains(&entry.key.release);
        if is_worth_keeping {
            self.idle.insert(id);
            self.evict();
        } else {
            self.remove(id);
        }
    }

    /// Another release is active now: nothing more is kept of the others but what is watched.
    pub(crate) fn retire_all_but(&mut self, release: u64) {
        let others = self.habits.keys().map(|(release, _)| *release);
        let others = others.chain(self.entries.values().map(|entry| entry.key.release));
        let others: Vec<u64> = others.filter(|other| *other != release).collect();
        self.retired.extend(others);
        self.habits.retain(|(other, _), _| *other == release);
        let gone: Vec<u64> = self.idle.iter().copied().collect();
        for id in gone {
            if self.entries.get(&id).is_some_and(|entry| entry.key.release != release) {
                self.remove(id);
            }
        }
    }

    fn is_volatile(&self, key: &QueryKey) -> bool {
        self.habits.get(&(key.release, key.function)).is_some_and(|habits| habits.is_volatile)
    }

    /// The entry that answers a caller's question.
    fn find(&self, key: &QueryKey, caller: &ScriptCaller) -> Option<u64> {
        let known = self.habits.get(&(key.release, key.function)).map_or(&[][..], |habits| &habits.claims);
        let known = known.iter().chain((!known.contains(&Claims::ALL)).then_some(&Claims::ALL));
        known.into_iter().find_map(|claims| self.listed.get(&(key.clone(), Class::of(caller, *claims))).copied())
    }

    /// A new entry without a result. Until a run has shown better it is for callers who agree on all that earlier runs of the
    /// function looked at.
    fn open(&mut self, key: &QueryKey, caller: &ScriptCaller, is_listed: bool) -> u64 {
        let habits = self.habits.get(&(key.release, key.function));
        let known = habits.filter(|habits| !habits.claims.is_empty());
        let claims = known.map_or(Claims::ALL, |habits| habits.claims.iter().fold(Claims::NONE, |all, one| all | *one));
        let class = Class::of(caller, claims);
        let id = self.next_id;
        self.next_id += 1;
        if is_listed {
            self.listed.insert((key.clone(), class.clone()), id);
        }
        self.bytes += ENTRY_BYTES;
        self.entries.insert(id, Entry::new(key.clone(), class, is_listed));
        id
    }

    fn depart(&mut self, id: Option<u64>) -> Departure {
        let since = self.applied.sequence;
        *self.departures.entry(since).or_default() += 1;
        let flight = Arc::<Flight>::default();
        if let Some(id) = id
            && let Some(entry) = self.entries.get_mut(&id)
        {
            entry.flight = Some(flight.clone());
            self.idle.swap_remove(&id);
        }
        Departure { id, flight, since }
    }

    fn end_departure(&mut self, since: u64) {
        if let Some(count) = self.departures.get_mut(&since) {
            *count -= 1;
            if *count == 0 {
                self.departures.remove(&since);
            }
        }
        let needed_after = self.departures.keys().next().copied().unwrap_or(u64::MAX);
        while self.recent.front().is_some_and(|(sequence, _)| *sequence <= needed_after) {
            self.recent.pop_front();
        }
    }

    /// The first commit after a run's state that changed what it read.
    fn touched_since(&self, end: &RunEnd) -> Option<u64> {
        let mut later = self.recent.iter().filter(|(sequence, _)| *sequence > end.head.sequence);
        let touched = later.find(|(_, notice)| notice.as_ref().is_none_or(|notice| end.reads.touches(notice)));
        touched.map(|(sequence, _)| *sequence)
    }

    /// Keeps what a run that nobody could wait for came to, if somebody else may ask for it.
    fn admit(&mut self, key: &QueryKey, caller: &ScriptCaller, end: RunEnd, touched_at: Option<u64>) {
        let is_kept = end.result.is_ok()
            && !end.looked.is_volatile
            && touched_at.is_none()
            && !self.retired.contains(&key.release)
            && self.find(key, caller).is_none();
        if is_kept {
            let id = self.open(key, caller, true);
            self.settle(id, caller, end, touched_at);
        }
    }

    /// Gives an entry the result of a run, and to those who watch it if it is another than they have.
    fn settle(&mut self, id: u64, caller: &ScriptCaller, end: RunEnd, touched_at: Option<u64>) {
        let RunEnd { result, head, reads, looked, cost } = end;
        if !self.fits(id, caller, looked) {
            self.dissolve(id);
            return;
        }
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.flight = None;
        let is_kept = entry.watchers > 0
            || (result.is_ok()
                && touched_at.is_none()
                && entry.is_listed
                && !self.retired.contains(&entry.key.release));
        if !is_kept {
            self.remove(id);
            return;
        }
        let published = Arc::new(Published { result, commit: head.timestamp });
        entry.publish(&published);
        entry.cost = cost;
        entry.is_fresh = touched_at.is_none();
        if entry.is_fresh {
            self.index.insert(id, &reads);
            entry.reads = reads;
        } else {
            self.due.push(id);
        }
        let bytes = entry.measure();
        self.bytes = self.bytes.saturating_sub(mem::replace(&mut entry.bytes, bytes)).saturating_add(bytes);
        entry.priority = self.inflation + entry.worth();
        if entry.watchers == 0 {
            self.idle.insert(id);
        }
    }

    /// Whether a run of one of an entry's callers speaks for all of them. The first tells who they are.
    fn fits(&mut self, id: u64, caller: &ScriptCaller, looked: Looked) -> bool {
        let Some(entry) = self.entries.get_mut(&id) else { return false };
        if looked.is_volatile {
            return !entry.is_listed;
        }
        let is_narrower = !entry.is_settled && entry.is_listed && looked.claims != entry.class.claims;
        if looked.claims.are_among(entry.class.claims) {
            entry.is_settled = true;
            if is_narrower {
                let class = Class::of(caller, looked.claims);
                let wider = mem::replace(&mut entry.class, class.clone());
                let key = entry.key.clone();
                self.listed.remove(&(key.clone(), wider));
                let place = self.listed.entry((key, class));
                if let std::collections::hash_map::Entry::Occupied(_) = place {
                    // Another has come to the same.
                    entry.is_listed = false;
                    return false;
                }
                place.or_insert(id);
            }
        }
        let is_among = looked.claims.are_among(entry.class.claims);
        let (place, claims) = ((entry.key.release, entry.key.function), entry.class.claims | looked.claims);
        if !self.retired.contains(&place.0) {
            let habits = self.habits.entry(place).or_default();
            if !habits.claims.contains(&claims) {
                habits.claims.push(claims);
            }
        }
        is_among
    }

    /// An entry that is not the same for all who have it: they have to look for theirs.
    fn dissolve(&mut self, id: u64) {
        if let Some(entry) = self.entries.get(&id)
            && let Some(feed) = &entry.feed
        {
            feed.send_replace(Feed::Moved);
        }
        self.remove(id);
    }

    fn grow_stale(&mut self, id: u64) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.is_fresh = false;
        let reads = mem::take(&mut entry.reads);
        self.index.remove(id, &reads);
        if entry.watchers > 0 {
            // Without its read set.
            let bytes = entry.measure();
            self.bytes = self.bytes.saturating_sub(mem::replace(&mut entry.bytes, bytes)).saturating_add(bytes);
            self.due.push(id);
        } else {
            self.remove(id);
        }
    }

    fn remove(&mut self, id: u64) {
        let Some(entry) = self.entries.remove(&id) else { return };
        if entry.is_fresh {
            self.index.remove(id, &entry.reads);
        }
        if entry.is_listed {
            self.listed.remove(&(entry.key, entry.class));
        }
        self.idle.swap_remove(&id);
        self.bytes = self.bytes.saturating_sub(entry.bytes);
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

impl<S> Entry<S> {
    fn new(key: QueryKey, class: Class, is_listed: bool) -> Self {
        Self {
            key,
            class,
            is_listed,
            is_settled: false,
            kept: None,
            is_fresh: false,
            reads: ReadSet::default(),
            flight: None,
            watchers: 0,
            sponsor: None,
            feed: None,
            is_owed: false,
            cost: Duration::ZERO,
            bytes: ENTRY_BYTES,
            priority: 0.0,
        }
    }

    /// A fresh result is one of the last commit, whenever it was computed.
    fn current(&mut self, applied: Head) -> Option<Arc<Published>> {
        let kept = self.kept.as_mut()?;
        if kept.commit < applied.timestamp {
            *kept = Arc::new(Published { result: kept.result.clone(), commit: applied.timestamp });
        }
        Some(kept.clone())
    }

    /// Replaces what is kept; those who watch are woken if they do not have it.
    fn publish(&mut self, published: &Arc<Published>) {
        let is_new = match (&self.kept, &published.result) {
            (Some(kept), Ok(new)) => !kept.result.as_ref().is_ok_and(|old| old.digest() == new.digest()),
            (Some(kept), Err(new)) => kept.result.as_ref().err() != Some(new),
            (None, _) => true,
        };
        self.kept = Some(published.clone());
        let wakes = mem::take(&mut self.is_owed) || is_new;
        if let Some(feed) = &self.feed {
            feed.send_if_modified(|feed| {
                *feed = Feed::Published(published.clone());
                wakes
            });
        }
    }

    fn measure(&self) -> usize {
        let value = self.kept.as_ref().and_then(|kept| kept.result.as_ref().ok()).map_or(0, |value| value.bytes());
        ENTRY_BYTES + 2 * self.key.arguments.len() + VALUE_FACTOR * value + self.reads.bytes()
    }

    /// What it costs to compute a byte again, in microseconds.
    #[allow(clippy::cast_precision_loss, reason = "a comparison of magnitudes")]
    fn worth(&self) -> f64 {
        self.cost.as_micros() as f64 / self.bytes.max(1) as f64
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
