//! One limit: so many in a time, so many at once, for each key. It is the generic cell rate algorithm (GCRA, ITU-T I.371), by
//! `governor`, over a [`Table`].

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::middleware::StateInformationMiddleware;
use governor::{Quota, RateLimiter};
use weir_schema::rate::Rate;

use super::Limit;
use super::clock::Clock;
use super::standing::Standing;
use super::table::{At, Part, Table};

/// One limit.
#[derive(Debug)]
pub struct Limiter {
    limit: Limit,
    rate: Rate,
    table: Arc<Table>,
    cells: RateLimiter<At, Part, Clock, StateInformationMiddleware>,
}

/// Too often, or too much.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It may be tried again.
    #[error(transparent)]
    Limited(#[from] Limited),
    /// More at once than the limit ever allows.
    #[error("{asked} {} at once, where no more than {burst} are ever allowed: ask for less at a time", .limit.what())]
    TooMuch {
        /// The limit.
        limit: Limit,
        /// How much was asked.
        asked: u64,
        /// How much may be asked at once.
        burst: u32,
    },
}

/// Too often.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("too many {}: try again in {} ms", .limit.what(), .retry_after.as_millis())]
pub struct Limited {
    /// The limit.
    pub limit: Limit,
    /// After how long the same is allowed, if nothing else is asked until then: whole milliseconds, and at least one.
    pub retry_after: Duration,
    /// How the limit stands, where it is one of a time.
    pub standing: Option<Standing>,
}

impl Limited {
    /// More than so many are held: who knows when one goes.
    pub fn held(limit: Limit) -> Self {
        Self { limit, retry_after: HELD_RETRY, standing: None }
    }
}

/// When it may be worth another try where too many are held.
const HELD_RETRY: Duration = Duration::from_secs(1);

impl Limiter {
    /// A limit whose keys have their places in a table, perhaps with those of other limits.
    pub fn new(limit: Limit, rate: Rate, table: &Arc<Table>, clock: &Clock) -> Self {
        // An interval is at least a nanosecond, so that there is a quota.
        let quota = Quota::with_period(rate.interval()).unwrap_or(Quota::per_second(rate.burst()));
        let part = Part { table: table.clone(), began: clock.nanoseconds() };
        let cells = RateLimiter::new(quota.allow_burst(rate.burst()), part, clock.clone());
        Self { limit, rate, table: table.clone(), cells }
    }

    /// What it counts.
    pub fn limit(&self) -> Limit {
        self.limit
    }

    /// Counts so many of a key, or none of them.
    pub fn check(&self, key: u64, many: NonZeroU32) -> Result<Standing, Refused> {
        let burst = self.rate.burst();
        let too_much = Refused::TooMuch { limit: self.limit, asked: u64::from(many.get()), burst: burst.get() };
        // Asked here and not there, where the product of so many and an interval may be past all numbers.
        if many > burst {
            return Err(too_much);
        }
        let at = At { key, now: self.cells.clock().nanoseconds() };
        match self.cells.check_key_n(&at, many).map_err(|_| too_much)? {
            Ok(snapshot) => Ok(self.standing(snapshot.remaining_burst_capacity())),
            Err(until) => {
                let wait = until.wait_time_from(governor::clock::Clock::now(self.cells.clock()));
                Err(Refused::Limited(self.limited(wait)))
            }
        }
    }

    /// Counts one of a key.
    pub fn once(&self, key: u64) -> Result<Standing, Limited> {
        match self.check(key, NonZeroU32::MIN) {
            Ok(standing) => Ok(standing),
            Err(Refused::Limited(limited)) => Err(limited),
            // Every burst allows one.
            Err(Refused::TooMuch { .. }) => Err(self.limited(self.rate.interval())),
        }
    }

    /// Takes back one that was counted of a key.
    pub fn give_back(&self, key: u64) {
        self.table.give_back(key, u64::try_from(self.rate.interval().as_nanos()).unwrap_or(u64::MAX));
    }

    fn limited(&self, wait: Duration) -> Limited {
        let milliseconds = wait.as_nanos().div_ceil(1_000_000).max(1);
        let retry_after = Duration::from_millis(u64::try_from(milliseconds).unwrap_or(u64::MAX));
        Limited { limit: self.limit, retry_after, standing: Some(self.standing(0)) }
    }

    fn standing(&self, remaining: u32) -> Standing {
        let (burst, interval) = (self.rate.burst().get(), self.rate.interval());
        Standing {
            limit: self.limit,
            quota: burst,
            window: self.rate.refill(),
            remaining,
            reset: interval.saturating_mul(burst.saturating_sub(remaining)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(rate: &str, keys: usize) -> (Limiter, Clock) {
        let clock = Clock::paused();
        let rate = rate.parse().unwrap_or_else(|error| panic!("{error}"));
        (Limiter::new(Limit::CallerRequests, rate, &Arc::new(Table::new(keys)), &clock), clock)
    }

    fn ask(limiter: &Limiter, key: u64, many: u32) -> Result<u32, u128> {
        let many = NonZeroU32::new(many).unwrap_or(NonZeroU32::MIN);
        match limiter.check(key, many) {
            Ok(standing) => Ok(standing.remaining),
            Err(Refused::Limited(limited)) => Err(limited.retry_after.as_millis()),
            Err(Refused::TooMuch { .. }) => Err(u128::MAX),
        }
    }

    #[test]
    fn a_burst_is_allowed_and_comes_back_one_by_one() {
        let (limiter, clock) = limiter("10/s burst 3", 64);
        assert_eq!([ask(&limiter, 1, 1), ask(&limiter, 1, 1), ask(&limiter, 1, 1)], [Ok(2), Ok(1), Ok(0)]);
        assert_eq!(ask(&limiter, 1, 1), Err(100));
        // What is refused costs nothing, and another key owes nothing.
        assert_eq!((ask(&limiter, 1, 1), ask(&limiter, 2, 1)), (Err(100), Ok(2)));
        clock.advance(Duration::from_millis(99));
        assert_eq!(ask(&limiter, 1, 1), Err(1));
        clock.advance(Duration::from_millis(1));
        assert_eq!((ask(&limiter, 1, 1), ask(&limiter, 1, 1)), (Ok(0), Err(100)));
        clock.advance(Duration::from_secs(3_600));
        assert_eq!(ask(&limiter, 1, 1), Ok(2));
    }

    #[test]
    fn many_are_counted_together_or_not_at_all() {
        let (limiter, clock) = limiter("10/s burst 10", 64);
        assert_eq!((ask(&limiter, 1, 8), ask(&limiter, 1, 3), ask(&limiter, 1, 2)), (Ok(2), Err(100), Ok(0)));
        assert_eq!(ask(&limiter, 1, 11), Err(u128::MAX));
        clock.advance(Duration::from_millis(500));
        assert_eq!((ask(&limiter, 1, 6), ask(&limiter, 1, 5)), (Err(100), Ok(0)));
    }

    #[test]
    fn whoever_began_when_the_clock_was_late_is_counted_the_same() {
        let clock = Clock::paused();
        clock.advance(Duration::from_secs(1_000_000));
        let rate = "1/s burst 2".parse().unwrap_or_else(|error| panic!("{error}"));
        let table = Arc::new(Table::new(8));
        let first = Limiter::new(Limit::CallerRequests, rate, &table, &clock);
        clock.advance(Duration::from_secs(500));
        // A limiter of a new release goes on where the one before was.
        let second = Limiter::new(Limit::CallerRequests, rate, &table, &clock);
        assert_eq!((ask(&first, 1, 1), ask(&second, 1, 1), ask(&first, 1, 1)), (Ok(1), Ok(0), Err(1_000)));
        assert_eq!(ask(&second, 1, 1), Err(1_000));
    }

    #[test]
    fn what_is_given_back_was_never_counted() {
        let (limiter, clock) = limiter("1/m burst 2", 64);
        for _ in 0..10 {
            assert_eq!(ask(&limiter, 1, 1), Ok(1));
            limiter.give_back(1);
        }
        assert_eq!((ask(&limiter, 1, 1), ask(&limiter, 1, 1), ask(&limiter, 1, 1)), (Ok(1), Ok(0), Err(60_000)));
        limiter.give_back(1);
        limiter.give_back(2);
        assert_eq!((ask(&limiter, 1, 1), ask(&limiter, 1, 1), ask(&limiter, 2, 2)), (Ok(0), Err(60_000), Ok(0)));
        clock.advance(Duration::from_secs(60));
        assert_eq!(ask(&limiter, 1, 1), Ok(0));
    }

    #[test]
    fn it_stands_as_its_headers_say() {
        let (limiter, clock) = limiter("10/s burst 20", 64);
        let standing = limiter.check(1, NonZeroU32::MIN).unwrap_or_else(|refused| panic!("{refused:?}"));
        assert_eq!((standing.quota, standing.window, standing.remaining), (20, Duration::from_secs(2), 19));
        assert_eq!(standing.reset, Duration::from_millis(100));
        clock.advance(Duration::from_millis(50));
        assert_eq!(ask(&limiter, 1, 20), Err(50));
    }
}
