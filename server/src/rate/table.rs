//! What each key owes, in memory that does not grow however many keys come.
//!
//! A limit of the GCRA kind needs one number of a key: the time at which it owes nothing any more. A table has a fixed number of
//! places for these, in sets of [`WAYS`]; a key belongs to one set. A key that comes to a set takes the place of the one that
//! owes least. If that one still owes something, the set keeps how much that was at most, its *floor*, and whoever comes to the
//! set from then on begins with a debt of that: it may be a key that was put out. It is the algorithm Space-Saving (Metwally,
//! Agrawal, El Abbadi 2005), with debts that time takes away in the place of counts.
//!
//! Rule: no key ever owes less than it has asked for, so nobody gets rid of what they owe by a flood of other keys. What a key
//! owes for others is at most what the least of a full set owes: to raise that, all of a set have to ask for as much.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use governor::nanos::Nanos;
use governor::state::StateStore;
use parking_lot::Mutex;

/// Keys of one set.
pub const WAYS: usize = 8;

/// A table. [`governor::RateLimiter`] asks it through a [`Part`].
#[derive(Debug)]
pub struct Table {
    sets: Box<[Mutex<Set>]>,
    displaced: AtomicU64,
}

#[derive(Debug, Default)]
struct Set {
    places: [Place; WAYS],
    /// When the last of those that were put out owes nothing any more.
    floor: u64,
}

/// A key, and when it owes nothing any more. Before anybody has it, that is long ago.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    key: u64,
    free_at: u64,
}

impl Table {
    /// A table with places for at least so many keys.
    pub fn new(keys: usize) -> Self {
        let sets = keys.div_ceil(WAYS).max(1);
        Self { sets: (0..sets).map(|_| Mutex::default()).collect(), displaced: AtomicU64::new(0) }
    }

    /// How many keys have places.
    pub fn places(&self) -> usize {
        self.sets.len() * WAYS
    }

    /// The memory that it takes, and will ever take, in bytes.
    pub fn bytes(&self) -> usize {
        self.sets.len() * size_of::<Mutex<Set>>()
    }

    /// How often a key was put out that still owed something.
    pub fn displaced(&self) -> u64 {
        self.displaced.load(Ordering::Relaxed)
    }

    /// Takes back so many nanoseconds of what a key owes. Once it was put out there is nothing to take back: others owe it too.
    pub fn give_back(&self, key: u64, nanoseconds: u64) {
        let Some(set) = self.set(key) else { return };
        if let Some(place) = set.lock().places.iter_mut().find(|place| place.key == key) {
            place.free_at = place.free_at.saturating_sub(nanoseconds);
        }
    }

    /// Has `change` say from what a key owed until now what it owes from now on.
    fn change<T, E>(&self, At { key, now }: At, change: impl Fn(u64) -> Result<(T, u64), E>) -> Result<T, E> {
        let Some(set) = self.set(key) else { return change(0).map(|(given, _)| given) };
        let mut set = set.lock();
        let Set { places, floor } = &mut *set;
        if let Some(place) = places.iter_mut().find(|place| place.key == key) {
            let (given, free_at) = change(place.free_at)?;
            place.free_at = free_at;
            return Ok(given);
        }
        let (given, free_at) = change(*floor)?;
        if let Some(least) = places.iter_mut().min_by_key(|place| place.free_at) {
            if least.free_at > now {
                self.displaced.fetch_add(1, Ordering::Relaxed);
                *floor = least.free_at.max(*floor);
            }
            *least = Place { key, free_at };
        }
        Ok(given)
    }

    /// Keys are random numbers: their upper half says which set.
    fn set(&self, key: u64) -> Option<&Mutex<Set>> {
        let place = (u128::from(key) * self.sets.len() as u128) >> 64;
        self.sets.get(usize::try_from(place).ok()?)
    }
}

/// A key at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct At {
    /// A random number.
    pub key: u64,
    /// By the clock of the limits, in nanoseconds.
    pub now: u64,
}

/// A table as one limiter sees it, which counts from its own beginning.
#[derive(Debug)]
pub struct Part {
    /// The table.
    pub table: Arc<Table>,
    /// When the limiter began.
    pub began: u64,
}

impl StateStore for Part {
    type Key = At;

    fn measure_and_replace<V, F, E>(&self, at: &At, measure: F) -> Result<V, E>
    where
        F: Fn(Option<Nanos>) -> Result<(V, Nanos), E>,
    {
        self.table.change(*at, |free_at| {
            let (given, free_at) = measure(Some(Nanos::new(free_at.saturating_sub(self.began))))?;
            Ok((given, free_at.as_u64().saturating_add(self.began)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Table {
        /// When a key owes nothing any more.
        fn free_at(&self, key: u64) -> u64 {
            let set = self.set(key).map(Mutex::lock);
            let own = |set: &Set| set.places.iter().find(|place| place.key == key).map(|place| place.free_at);
            set.map_or(0, |set| own(&set).unwrap_or(set.floor))
        }
    }

    /// Adds to what a key owes, if it owes no more than 100; gives what it owed.
    fn charge(table: &Table, key: u64, now: u64, owes: u64) -> Result<u64, u64> {
        table.change(At { key, now }, |free_at| {
            let owed = free_at.saturating_sub(now);
            if owed > 100 { Err(owed) } else { Ok((owed, now + owed + owes)) }
        })
    }

    #[test]
    fn what_is_owed_is_remembered_until_it_is_not_owed_any_more() {
        let table = Table::new(1);
        assert_eq!(table.places(), WAYS);
        for key in 1..=8 {
            assert_eq!(charge(&table, key, 10, 110), Ok(0));
        }
        for key in 1..=8 {
            assert_eq!(charge(&table, key, 10, 1), Err(110), "{key}");
        }
        // The first that comes in the place of another may ask; who comes then may have been that one.
        assert_eq!((charge(&table, 9, 10, 1), table.displaced()), (Ok(0), 1));
        assert_eq!([charge(&table, 1, 10, 1), charge(&table, 10, 10, 1)], [Err(110); 2]);
        assert_eq!((charge(&table, 9, 10, 1), table.free_at(9), table.free_at(10)), (Ok(1), 12, 120));
        // A flood of others has nobody forgotten.
        for key in 11..10_000 {
            assert_eq!(charge(&table, key, 10, 1), Err(110), "{key}");
        }
        for key in 1..=8 {
            assert_eq!(charge(&table, key, 10, 1), Err(110), "{key}");
        }
        assert_eq!(table.displaced(), 1);
        // Who owes nothing any more makes room.
        assert_eq!(charge(&table, 11, 120, 101), Ok(0));
        assert_eq!((table.free_at(11), table.displaced()), (221, 1));
        assert_eq!(charge(&table, 11, 120, 1), Err(101));
    }

    #[test]
    fn what_is_given_back_is_owed_no_more() {
        let table = Table::new(1);
        assert_eq!((charge(&table, 1, 10, 60), charge(&table, 1, 10, 60)), (Ok(0), Ok(60)));
        table.give_back(1, 60);
        table.give_back(2, 60);
        assert_eq!((table.free_at(1), table.free_at(2)), (70, 0));
        table.give_back(1, 60);
        assert_eq!(charge(&table, 1, 10, 60), Ok(0));
    }

    #[test]
    fn no_key_is_ever_allowed_more_than_if_all_were_remembered() {
        use std::collections::HashMap;
        let table = Table::new(4 * WAYS);
        let mut exact = HashMap::<u64, u64>::new();
        let (mut random, mut now, mut allowed) = (0x2545_F491_4F6C_DD1D_u64, 1, 0);
        for _ in 0..200_000 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            // A thousand keys for 32 places, some of them much busier than others.
            let number = if random.is_multiple_of(3) { random >> 8 & 15 } else { random >> 8 & 1_023 };
            let key = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            now += u64::from(random >> 32 & 7 == 0);
            let free_at = exact.get(&key).copied().unwrap_or(0);
            if charge(&table, key, now, 1 + (random >> 40 & 31)).is_ok() {
                let owed = free_at.saturating_sub(now);
                assert!(owed <= 100, "{number} was let in owing {owed}");
                exact.insert(key, now + owed + 1 + (random >> 40 & 31));
                allowed += 1;
                // Some of it is given back.
                if random >> 50 & 3 == 0 {
                    table.give_back(key, 1);
                    exact.entry(key).and_modify(|free_at| *free_at -= 1);
                }
            }
            assert!(table.free_at(key) >= exact.get(&key).copied().unwrap_or(0), "{number}");
        }
        assert!(allowed > 10_000 && table.displaced() > 1_000, "{allowed} {}", table.displaced());
    }

    #[test]
    fn memory_does_not_grow_with_keys() {
        let table = Table::new(131_072);
        let bytes = table.bytes();
        assert!(bytes < 3 << 20, "{bytes}");
        for key in 0..1_000_000_u64 {
            let _ = charge(&table, key.wrapping_mul(0x9E37_79B9_7F4A_7C15), 1, 1);
        }
        assert_eq!(table.bytes(), bytes);
        assert!(table.displaced() > 0);
    }
}
