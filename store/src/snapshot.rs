//! What a transaction reads from: a snapshot that is taken away when it gets too old, and what lies over it.
//!
//! Rule: whoever holds a snapshot holds back compaction, so nobody holds one for longer than `transaction_age_max`. A
//! reader that is cut finds out at its next operation; one that is under way ends first.

use std::iter::Peekable;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use weir_schema::codec::key::Key;
use weir_schema::commit::Timestamp;

use crate::engine::{Live, Versions};
use crate::error::{Poisoned, SnapshotCut};
use crate::merge::Merge;
use crate::pending::PendingView;
use crate::read_set::Interval;
use crate::scan::Direction;

/// The snapshots that are open, to find those that are too old.
#[derive(Default)]
pub(crate) struct Readers {
    slots: Mutex<Slots>,
}

#[derive(Default)]
struct Slots {
    open: Vec<Option<Reader>>,
    free: Vec<usize>,
}

struct Reader {
    since: Instant,
    slot: Arc<Slot>,
    when_cut: WhenCut,
}

/// What a reader does when its state is taken away.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WhenCut {
    /// It fails.
    Fails,
    /// It opens another.
    Reopens,
}

/// The state that one snapshot reads; gone once it is cut.
type Slot = RwLock<Option<Live>>;

impl Readers {
    /// Registers a snapshot.
    pub(crate) fn open(self: &Arc<Self>, live: Live) -> Snapshot {
        self.open_since(live, Instant::now())
    }

    /// The same for one whose state has been held by somebody for longer.
    fn open_since(self: &Arc<Self>, live: Live, since: Instant) -> Snapshot {
        let slot = Arc::new(RwLock::new(Some(live)));
        let reader = Reader { since, slot: slot.clone(), when_cut: WhenCut::Fails };
        let mut slots = self.slots.lock();
        let place = match slots.free.pop() {
            Some(place) => place,
            None => {
                slots.open.push(None);
                slots.open.len() - 1
            }
        };
        if let Some(free) = slots.open.get_mut(place) {
            *free = Some(reader);
        }
        Snapshot { slot, place, readers: self.clone() }
    }

    /// Takes their state away from all snapshots that are older; says how many there were whose readers fail now.
    pub(crate) fn cut(&self, age_max: Duration) -> usize {
        let old: Vec<(Arc<Slot>, WhenCut)> = {
            let slots = self.slots.lock();
            let old = slots.open.iter().flatten().filter(|reader| reader.since.elapsed() > age_max);
            old.map(|reader| (reader.slot.clone(), reader.when_cut)).collect()
        };
        let taken = old.into_iter().filter(|(slot, _)| slot.write().take().is_some());
        taken.filter(|(_, when_cut)| *when_cut == WhenCut::Fails).count()
    }

    fn expect_cut(&self, place: usize) {
        if let Some(Some(reader)) = self.slots.lock().open.get_mut(place) {
            reader.when_cut = WhenCut::Reopens;
        }
    }

    fn since(&self, place: usize) -> Option<Instant> {
        Some(self.slots.lock().open.get(place)?.as_ref()?.since)
    }

    fn close(&self, place: usize) {
        let mut slots = self.slots.lock();
        if let Some(open) = slots.open.get_mut(place) {
            *open = None;
            slots.free.push(place);
        }
    }
}

/// One state of the database, until it is cut.
pub(crate) struct Snapshot {
    slot: Arc<Slot>,
    place: usize,
    readers: Arc<Readers>,
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        self.readers.close(self.place);
    }
}

/// What a transaction reads from, its own writes left aside.
pub(crate) struct Base {
    snapshot: Snapshot,
    /// Commits on top of the snapshot that are not durable yet.
    pending: Option<PendingView>,
    /// Not the newest state that the snapshot has but an earlier one.
    at: Option<Timestamp>,
}

impl Base {
    /// The snapshot as it is.
    pub(crate) fn durable(snapshot: Snapshot) -> Self {
        Self { snapshot, pending: None, at: None }
    }

    /// The snapshot and what has been admitted since.
    pub(crate) fn ahead(snapshot: Snapshot, pending: PendingView) -> Self {
        Self { snapshot, pending: Some(pending), at: None }
    }

    /// The state at a time before the snapshot.
    pub(crate) fn past(snapshot: Snapshot, at: Timestamp) -> Self {
        Self { snapshot, pending: None, at: Some(at) }
    }

    /// Another reader of the same state, which is taken away from both at the same time.
    pub(crate) fn twin(&self) -> Result<Self, SnapshotCut> {
        let Snapshot { slot, place, readers } = &self.snapshot;
        let (live, since) = (slot.read().clone().ok_or(SnapshotCut)?, readers.since(*place).ok_or(SnapshotCut)?);
        Ok(Self { snapshot: readers.open_since(live, since), pending: self.pending.clone(), at: self.at })
    }

    /// Its reader opens another when the state is taken away.
    pub(crate) fn expect_cut(&self) {
        self.snapshot.readers.expect_cut(self.snapshot.place);
    }

    /// The state, for the length of one operation.
    pub(crate) fn state(&self) -> Result<State<'_>, SnapshotCut> {
        let live = self.snapshot.slot.read().clone().ok_or(SnapshotCut)?;
        Ok(State { live, pending: self.pending.as_ref(), at: self.at })
    }
}

/// A state at hand: it cannot be taken away.
pub(crate) struct State<'a> {
    live: Live,
    pending: Option<&'a PendingView>,
    at: Option<Timestamp>,
}

/// The states of keys from the greatest down: of each key the last version that the engine tells is the newest.
struct Downwards<'a> {
    versions: Peekable<Versions<'a>>,
}

impl Iterator for Downwards<'_> {
    type Item = Result<(Key, Bytes), Poisoned>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let version = match self.versions.next()? {
                Ok(version) => version,
                Err(poisoned) => return Some(Err(poisoned)),
            };
            let is_newest = !matches!(self.versions.peek(), Some(Ok(newer)) if newer.key == version.key);
            if is_newest && let Some(value) = version.value {
                return Some(Ok((version.key, value)));
            }
        }
    }
}

/// Entries in order.
type Entries<'a> = Box<dyn Iterator<Item = Result<(Key, Bytes), Poisoned>> + 'a>;

impl State<'_> {
    /// A state that is nobody's snapshot.
    pub(crate) fn of(live: Live) -> Self {
        Self { live, pending: None, at: None }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Poisoned> {
        if let Some(at) = self.at {
            return self.live.get_at(key, at);
        }
        match self.pending.and_then(|pending| pending.get(key)) {
            Some(written) => Ok(written),
            None => self.live.get(key),
        }
    }

    /// The entries of an interval, one after the other.
    pub(crate) fn entries(&self, interval: &Interval, direction: Direction) -> Result<Entries<'_>, Poisoned> {
        if let Some(at) = self.at {
            return self.entries_at(interval, direction, at);
        }
        let below = self.live.entries(interval, direction)?;
        let written = self.pending.map_or_else(Vec::new, |pending| pending.entries(interval));
        if written.is_empty() {
            return Ok(Box::new(below));
        }
        let written: Box<dyn Iterator<Item = (Key, Option<Bytes>)>> = match direction {
            Direction::Asc => Box::new(written.into_iter()),
            Direction::Desc => Box::new(written.into_iter().rev()),
        };
        Ok(Box::new(Merge::new(below, written, direction)))
    }

    /// The engine tells versions key by key; the newest of each key is its state.
    fn entries_at(&self, interval: &Interval, direction: Direction, at: Timestamp) -> Result<Entries<'_>, Poisoned> {
        let versions = self.live.versions(interval, direction, at)?;
        match direction {
            Direction::Asc => {
                let mut last: Option<Key> = None;
                Ok(Box::new(versions.filter_map(move |version| match version {
                    Ok(version) if last.as_ref() == Some(&version.key) => None,
                    Ok(version) => {
                        last = Some(version.key.clone());
                        version.value.map(|value| Ok((version.key, value)))
                    }
                    Err(poisoned) => Some(Err(poisoned)),
                })))
            }
            Direction::Desc => Ok(Box::new(Downwards { versions: versions.peekable() })),
        }
    }

    /// The engine's own view, for what is never pending.
    pub(crate) fn live(&self) -> &Live {
        &self.live
    }

    /// Fails the store over data that contradicts itself.
    pub(crate) fn damaged(&self, what: impl std::fmt::Display) -> Poisoned {
        self.live.damaged(what)
    }
}
