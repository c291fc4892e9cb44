//! Turns: transactions that would conflict run one after the other, all others beside them.
//!
//! After a conflict a transaction reserves the footprint of its last attempt. Two footprints collide where one writes
//! what the other reads or writes; of those that collide the earlier comes first. Whoever has its turn is protected: the
//! committer refuses what would invalidate its reads. A turn lasts until its commit is admitted, at most for its limit.
//!
//! Rule: a reservation waits only for earlier ones, so there are no deadlocks, and everybody's turn comes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;
use weir_schema::codec::key::Key;

use crate::read_set::{Interval, ReadSet};

/// What an attempt read and touched.
#[derive(Debug, Clone, Default)]
pub(crate) struct Footprint {
    pub(crate) reads: ReadSet,
    /// Sorted.
    pub(crate) touched: Vec<Key>,
}

impl Footprint {
    /// Collides with everything that writes.
    pub(crate) fn everything() -> Self {
        let mut reads = ReadSet::default();
        reads.add_interval(Interval { start: Vec::new(), end: vec![0xff] });
        Self { reads, touched: Vec::new() }
    }

    /// Adds what a further attempt read and touched.
    pub(crate) fn widen(&mut self, other: Self) {
        self.reads.merge(other.reads);
        self.touched.extend(other.touched);
        self.touched.sort_unstable();
        self.touched.dedup();
    }
}

/// All reservations.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    table: Mutex<Table>,
    /// Granted reservations, so that the committer need not look while there are none.
    granted: AtomicUsize,
}

#[derive(Debug, Default)]
struct Table {
    numbered: u64,
    active: HashMap<u64, Reservation>,
    /// Who was the last to reserve a key.
    keys: BTreeMap<Key, Claimants>,
    /// Intervals that are read, by reservation.
    intervals: Vec<(u64, Interval)>,
    /// Keys that granted reservations read.
    protected: HashMap<Key, BTreeSet<u64>>,
    /// How many are granted.
    granted: usize,
}

/// Those whose end the next one of a key has to wait for.
#[derive(Debug, Default)]
struct Claimants {
    writer: Option<u64>,
    /// Since the writer.
    readers: BTreeSet<u64>,
}

#[derive(Debug)]
struct Reservation {
    footprint: Arc<Footprint>,
    limit: Duration,
    /// Earlier ones that it waits for.
    blockers: usize,
    /// Later ones that wait for it.
    blocked: Vec<u64>,
    state: State,
}

#[derive(Debug)]
enum State {
    Waiting(oneshot::Sender<()>),
    /// Its caller has gone. It keeps its place until it would be granted, since others wait behind it for those before.
    GivenUp,
    Granted(Instant),
}

/// A granted reservation. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) number: u64,
    turns: Arc<Turns>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.end(self.number);
    }
}

impl Turns {
    /// Waits for the turn of a footprint; once granted it lasts for `limit` at most.
    pub(crate) async fn reserve(self: &Arc<Self>, footprint: Footprint, limit: Duration) -> Turn {
        let (grant, granted) = oneshot::channel();
        let number = {
            let mut table = self.table.lock();
            let number = table.add(footprint, limit, grant);
            self.count(&table);
            number
        };
        // From here on dropping the future ends the reservation.
        let turn = Turn { number, turns: self.clone() };
        // The sender goes away only with the reservation, and then the commit finds no protection: that is all.
        let _ = granted.await;
        turn
    }

    /// Whether a commit that touches these keys leaves alone what others were promised.
    pub(crate) fn permit(&self, own: Option<u64>, touched: &[Key]) -> bool {
        if self.granted.load(Ordering::Acquire) == 0 {
            return true;
        }
        let table = self.table.lock();
        let is_others = |number: &u64| Some(*number) != own;
        let is_granted = |number: &u64| {
            table.active.get(number).is_some_and(|reservation| matches!(reservation.state, State::Granted(_)))
        };
        touched.iter().all(|key| {
            let protected = table.protected.get(key).is_some_and(|numbers| numbers.iter().any(is_others));
            let inside = |(number, interval): &(u64, Interval)| {
                is_others(number) && interval.contains(key) && is_granted(number)
            };
            !protected && !table.intervals.iter().any(inside)
        })
    }

    /// Whether the turn still lasts and covers all that was read, so that nothing of it can have changed.
    pub(crate) fn protects(&self, number: u64, reads: &ReadSet) -> bool {
        let footprint = match self.table.lock().active.get(&number) {
            Some(Reservation { state: State::Granted(_), footprint, .. }) => footprint.clone(),
            _ => return false,
        };
        footprint.reads.includes(reads)
    }

    /// Ends a turn, or a reservation whose turn has not come.
    pub(crate) fn end(&self, number: u64) {
        let mut table = self.table.lock();
        match table.active.get_mut(&number) {
            Some(reservation @ Reservation { state: State::Waiting(_), .. }) => reservation.state = State::GivenUp,
            Some(Reservation { state: State::Granted(_), .. }) => table.remove(number),
            Some(Reservation { state: State::GivenUp, .. }) | None => {}
        }
        self.count(&table);
    }

    /// Ends the turns that last too long; says how many there were.
    pub(crate) fn expire(&self) -> usize {
        let mut table = self.table.lock();
        let is_over = |reservation: &Reservation| matches!(reservation.state, State::Granted(since) if since.elapsed() > reservation.limit);
        let over: Vec<u64> = table.active.iter().filter(|(_, it)| is_over(it)).map(|(number, _)| *number).collect();
        over.iter().for_each(|number| table.remove(*number));
        self.count(&table);
        over.len()
    }

    fn count(&self, table: &Table) {
        self.granted.store(table.granted, Ordering::Release);
    }
}

impl Table {
    fn add(&mut self, footprint: Footprint, limit: Duration, grant: oneshot::Sender<()>) -> u64 {
        self.numbered += 1;
        let number = self.numbered;
        let blockers = self.blockers(&footprint);
        for blocker in &blockers {
            if let Some(earlier) = self.active.get_mut(blocker) {
                earlier.blocked.push(number);
            }
        }
        self.claim(number, &footprint);
        let state = State::Waiting(grant);
        let blockers = blockers.len();
        let footprint = Arc::new(footprint);
        self.active.insert(number, Reservation { footprint, limit, blockers, blocked: Vec::new(), state });
        if blockers == 0 {
            self.grant(number);
        }
        number
    }

    /// The earlier ones that collide; of a row of writers of one key the last, which waits for those before it.
    fn blockers(&self, footprint: &Footprint) -> BTreeSet<u64> {
        let mut found = BTreeSet::new();
        for key in &footprint.touched {
            if let Some(claimants) = self.keys.get(key) {
                found.extend(claimants.writer);
                found.extend(&claimants.readers);
            }
            found.extend(self.intervals.iter().filter(|(_, interval)| interval.contains(key)).map(|(other, _)| other));
        }
        for key in footprint.reads.points() {
            found.extend(self.keys.get(key).and_then(|claimants| claimants.writer));
        }
        for interval in footprint.reads.intervals() {
            let inside = (Bound::Included(&interval.start), Bound::Excluded(&interval.end));
            found.extend(self.keys.range::<Key, _>(inside).filter_map(|(_, claimants)| claimants.writer));
        }
        found
    }

    fn claim(&mut self, number: u64, footprint: &Footprint) {
        for key in footprint.reads.points() {
            self.keys.entry(key.clone()).or_default().readers.insert(number);
        }
        for key in &footprint.touched {
            self.keys.insert(key.clone(), Claimants { writer: Some(number), readers: BTreeSet::new() });
        }
        self.intervals.extend(footprint.reads.intervals().map(|interval| (number, interval)));
    }

    /// Gives one its turn; false where its caller has gone.
    fn grant(&mut self, number: u64) -> bool {
        let Some(reservation) = self.active.get_mut(&number) else { return true };
        if matches!(reservation.state, State::GivenUp) {
            return false;
        }
        let waiting = std::mem::replace(&mut reservation.state, State::Granted(Instant::now()));
        let footprint = reservation.footprint.clone();
        self.granted += 1;
        for key in footprint.reads.points() {
            self.protected.entry(key.clone()).or_default().insert(number);
        }
        if let State::Waiting(grant) = waiting {
            // Who no longer waits drops its turn, and with it the reservation.
            let _ = grant.send(());
        }
        true
    }

    /// Removes one, grants those that only waited for it, and removes those of them whose callers have gone.
    fn remove(&mut self, number: u64) {
        let mut over = vec![number];
        while let Some(number) = over.pop() {
            let Some(Reservation { footprint, blocked, state, .. }) = self.active.remove(&number) else { continue };
            if matches!(state, State::Granted(_)) {
                self.granted -= 1;
            }
            self.unclaim(number, &footprint);
            for later in blocked {
                let Some(reservation) = self.active.get_mut(&later) else { continue };
                reservation.blockers = reservation.blockers.saturating_sub(1);
                if reservation.blockers == 0 && !self.grant(later) {
                    over.push(later);
                }
            }
        }
    }

    fn unclaim(&mut self, number: u64, footprint: &Footprint) {
        for key in footprint.reads.points().chain(&footprint.touched) {
            if let Some(claimants) = self.keys.get_mut(key) {
                claimants.readers.remove(&number);
                claimants.writer = claimants.writer.filter(|writer| *writer != number);
                if claimants.writer.is_none() && claimants.readers.is_empty() {
                    self.keys.remove(key);
                }
            }
            if let Some(numbers) = self.protected.get_mut(key) {
                numbers.remove(&number);
                if numbers.is_empty() {
                    self.protected.remove(key);
                }
            }
        }
        self.intervals.retain(|(other, _)| *other != number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    /// `r:a w:b i:c-e`
    fn footprint(text: &str) -> Footprint {
        let mut footprint = Footprint::default();
        for part in text.split_whitespace() {
            match part.split_once(':') {
                Some(("r", key)) => footprint.reads.add_point(key.as_bytes().to_vec()),
                Some(("w", key)) => footprint.touched.push(key.as_bytes().to_vec()),
                Some(("i", keys)) => {
                    let (start, end) = keys.split_once('-').unwrap();
                    let interval = Interval { start: start.into(), end: end.into() };
                    footprint.reads.add_interval(interval);
                }
                _ => panic!("{part}"),
            }
        }
        footprint.touched.sort_unstable();
        footprint
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn those_that_collide_wait_and_others_do_not() {
        let table = [
            ("r:a w:a", "r:a w:a", true),
            ("r:a w:a", "r:b w:b", false),
            ("r:a w:b", "r:a w:c", false),
            ("r:a w:b", "r:b w:c", true),
            ("r:a w:b", "r:c w:a", true),
            ("i:a-c w:z", "r:b w:b", true),
            ("i:a-c w:z", "r:c w:c", false),
            ("r:b w:b", "i:a-c w:z", true),
            ("i:a-c w:x", "i:a-c w:y", false),
            ("i:a-c w:b", "i:a-c w:y", true),
            ("w:a", "w:a", true),
        ];
        for (first, second, collide) in table {
            let turns = Arc::new(Turns::default());
            let first_turn = turns.reserve(footprint(first), LONG).now_or_never().unwrap();
            let mut waiting = Box::pin(turns.reserve(footprint(second), LONG));
            assert_eq!((&mut waiting).now_or_never().is_none(), collide, "{first} and {second}");
            drop(first_turn);
            if collide {
                assert!(waiting.now_or_never().is_some(), "{first} then {second}");
            }
            assert!(turns.table.lock().active.is_empty());
            assert!(turns.table.lock().keys.is_empty());
            assert!(turns.table.lock().protected.is_empty());
        }
    }

    #[test]
    fn the_earlier_one_comes_first_and_who_gives_up_is_passed_over() {
        let turns = Arc::new(Turns::default());
        let first = turns.reserve(footprint("r:a w:a"), LONG).now_or_never().unwrap();
        let mut second = Box::pin(turns.reserve(footprint("r:a w:a"), LONG));
        let mut third = Box::pin(turns.reserve(footprint("r:a w:a"), LONG));
        let mut fourth = Box::pin(turns.reserve(footprint("r:a w:a"), LONG));
        for waiting in [&mut second, &mut third, &mut fourth] {
            assert!(waiting.now_or_never().is_none());
        }
        drop(third);
        assert!((&mut fourth).now_or_never().is_none());
        drop(first);
        assert!((&mut fourth).now_or_never().is_none());
        drop(second.now_or_never().unwrap());
        assert!(fourth.now_or_never().is_some());
    }

    #[test]
    fn what_is_read_in_a_turn_is_protected_from_others() {
        let turns = Arc::new(Turns::default());
        let turn = turns.reserve(footprint("r:a i:c-e w:x"), LONG).now_or_never().unwrap();
        let touches = |key: &str| vec![key.as_bytes().to_vec()];
        for (key, permitted) in [("a", false), ("b", true), ("c", false), ("d", false), ("e", true), ("x", true)] {
            assert_eq!(turns.permit(None, &touches(key)), permitted, "{key}");
            assert!(turns.permit(Some(turn.number), &touches(key)), "own {key}");
        }
        assert!(turns.protects(turn.number, &footprint("r:a r:d").reads));
        assert!(!turns.protects(turn.number, &footprint("r:a r:x").reads));
        drop(turn);
        assert!(turns.permit(None, &touches("a")));
    }

    #[test]
    fn a_turn_that_lasts_too_long_ends() {
        let turns = Arc::new(Turns::default());
        let first = turns.reserve(footprint("r:a w:a"), Duration::ZERO).now_or_never().unwrap();
        let mut second = Box::pin(turns.reserve(footprint("r:a w:a"), LONG));
        assert!((&mut second).now_or_never().is_none());
        std::thread::sleep(Duration::from_millis(1));
        assert_eq!(turns.expire(), 1);
        assert!(second.now_or_never().is_some());
        assert!(!turns.protects(first.number, &footprint("r:a").reads));
    }
}
