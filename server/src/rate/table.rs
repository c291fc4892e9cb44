//! What each key owes, in memory that does not grow however many keys come.
//!
//! A limit of the GCRA kind needs one number of a key: the time at which it owes nothing any more. A table has a fixed number of
//! places for these, in sets of [`WAYS`]; a key belongs to one set. A place is given to another key when its own owes nothing
//! any more: then there is nothing to forget. Where all of a set owe something, keys that have no place share one more, the
//! set's overflow.
//!
//! Rule: nobody gets rid of what they owe by making the table forget it. To have it full takes as many requests as all places
//! allow together: a place is taken only for as long as its key owes something.

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
    overflowed: AtomicU64,
}

#[derive(Debug, Default)]
struct Set {
    places: [Place; WAYS],
    overflow: u64,
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
        Self { sets: (0..sets).map(|_| Mutex::default()).collect(), overflowed: AtomicU64::new(0) }
    }

    /// How many keys have places.
    pub fn places(&self) -> usize {
        self.sets.len() * WAYS
    }

    /// The memory that it takes, and will ever take, in bytes.
    pub fn bytes(&self) -> usize {
        self.sets.len() * size_of::<Mutex<Set>>()
    }

    /// How often a key had to share the overflow of its set.
    pub fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }

    /// When a key owes nothing any more, where that is known of it.
    pub fn free_at(&self, key: u64) -> Option<u64> {
        let set = self.set(key)?.lock();
        set.places.iter().find(|place| place.key == key).map(|place| place.free_at)
    }

    /// Has `change` say from what a key owed until now what it owes from now on.
    fn change<T, E>(&self, At { key, now }: At, change: impl Fn(Option<u64>) -> Result<(T, u64), E>) -> Result<T, E> {
        let Some(set) = self.set(key) else { return change(None).map(|(given, _)| given) };
        let mut set = set.lock();
        let Set { places, overflow } = &mut *set;
        let own = places.iter().position(|place| place.key == key);
        let own = own.or_else(|| places.iter().position(|place| place.free_at <= now));
        match own.and_then(|own| places.get_mut(own)) {
            Some(place) => {
                let owed = (place.key == key).then_some(place.free_at);
                let (given, free_at) = change(owed)?;
                *place = Place { key, free_at };
                Ok(given)
            }
            None => {
                self.overflowed.fetch_add(1, Ordering::Relaxed);
                let (given, free_at) = change(Some(*overflow))?;
                *overflow = free_at;
                Ok(given)
            }
        }
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
        self.table.change(*at, |owed| {
            let owed = owed.map(|free_at| Nanos::new(free_at.saturating_sub(self.began)));
            let (given, free_at) = measure(owed)?;
            Ok((given, free_at.as_u64().saturating_add(self.began)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds to what a key owes, if it owes no more than 100; gives what it owed.
    fn charge(table: &Table, key: u64, now: u64, owes: u64) -> Result<u64, u64> {
        table.change(At { key, now }, |free_at| {
            let owed = free_at.unwrap_or(0).saturating_sub(now);
            if owed > 100 { Err(owed) } else { Ok((owed, now + owed + owes)) }
        })
    }

    #[test]
    fn what_is_owed_is_remembered_until_it_is_not_owed_any_more() {
        let table = Table::new(1);
        assert_eq!(table.places(), WAYS);
        for key in 1..=8 {
            assert_eq!(charge(&table, key, 10, 101), Ok(0));
        }
        for key in 1..=8 {
            assert_eq!(charge(&table, key, 10, 1), Err(101), "{key}");
        }
        // All others share what is left.
        assert_eq!((charge(&table, 9, 10, 101), charge(&table, 10, 10, 1)), (Ok(0), Err(101)));
        assert_eq!(table.overflowed(), 2);
        // A flood of others has nobody forgotten.
        for key in 11..10_000 {
            let _ = charge(&table, key, 10, 1);
        }
        for key in 1..=8 {
            assert_eq!(charge(&table, key, 10, 1), Err(101), "{key}");
        }
        // Who owes nothing any more makes room.
        assert_eq!(charge(&table, 11, 111, 101), Ok(0));
        assert_eq!(table.free_at(11), Some(212));
        assert_eq!(charge(&table, 11, 111, 1), Err(101));
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
        assert!(table.overflowed() > 0);
    }
}
