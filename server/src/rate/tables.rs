//! Where it is kept who owes what, for the limits of one sort: of addresses, of callers, of an app.
//!
//! Limits share a table where a full burst takes about the same time to come back. So a key that begins with what others owe in a
//! full set owes it for about as long as it could owe by itself: nobody is kept from asking ten times in a second by those who have
//! used up what they may do in an hour.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use weir_schema::rate::{REFILL_MAX, Rate};

use super::Limit;
use super::clock::Clock;
use super::limiter::Limiter;
use super::table::Table;

/// The times of a table's limits differ by a factor of at most two to this, but for the first, which has all below eight seconds.
const FACTOR_BITS: u32 = 3;

/// As many as a time has up to [`REFILL_MAX`].
const TABLES: usize = (REFILL_MAX.as_secs().ilog2() / FACTOR_BITS) as usize + 1;

/// Tables by the time that a burst takes to come back, each made once somebody may owe something there.
#[derive(Debug)]
pub struct Tables {
    clock: Clock,
    keys: usize,
    by_refill: [OnceLock<Arc<Table>>; TABLES],
}

impl Tables {
    /// Each for so many keys.
    pub fn new(keys: usize, clock: Clock) -> Self {
        Self { clock, keys, by_refill: std::array::from_fn(|_| OnceLock::new()) }
    }

    /// By which time they go.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// A limit whose keys have their places here.
    pub fn limiter(&self, limit: Limit, rate: Rate) -> Limiter {
        let new = || Arc::new(Table::new(self.keys));
        let table = self.by_refill.get(place(rate.refill())).map_or_else(new, |table| table.get_or_init(new).clone());
        Limiter::new(limit, rate, &table, &self.clock)
    }

    /// Those that there are.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.by_refill.iter().filter_map(OnceLock::get)
    }

    /// How often a key was put out that still owed something.
    pub fn displaced(&self) -> u64 {
        self.all().map(|table| table.displaced()).sum()
    }
}

fn place(refill: Duration) -> usize {
    (refill.as_secs().max(1).ilog2() / FACTOR_BITS) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_share_a_table_where_they_take_about_as_long() {
        let of = |rate: &str| place(rate.parse::<Rate>().unwrap_or_else(|error| panic!("{error}")).refill());
        assert_eq!([of("1000/s"), of("1000/s burst 5000"), of("1/m burst 1"), of("30/m burst 60")], [0, 0, 1, 2]);
        assert_eq!([of("3/h"), of("1/h burst 2"), of("1/h burst 720")], [3, 4, TABLES - 1]);
        let tables = Tables::new(64, Clock::paused());
        assert_eq!(tables.all().count(), 0);
        for (rate, made) in [("10/s", 1), ("20/s burst 30", 1), ("3/h", 2), ("1/h burst 720", 3)] {
            tables.limiter(Limit::Function, rate.parse().unwrap_or_else(|error| panic!("{error}")));
            assert_eq!(tables.all().count(), made, "{rate}");
        }
    }
}
