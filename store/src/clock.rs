//! The clock of commits: a hybrid logical clock in nanoseconds.

use std::time::{SystemTime, UNIX_EPOCH};

use weir_schema::commit::Timestamp;

/// The timestamp after `last`: the time of day, or one more than `last` where that is not later. `last` is persisted
/// with every commit, so that timestamps rise even if the time of day is set back across a restart.
pub(crate) fn next(last: Timestamp, now_ns: u64) -> Timestamp {
    Timestamp(now_ns.max(last.0.saturating_add(1)))
}

/// Nanoseconds since 1970.
pub(crate) fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_rise_whatever_the_time_of_day_does() {
        assert_eq!(next(Timestamp(10), 100), Timestamp(100));
        assert_eq!(next(Timestamp(100), 100), Timestamp(101));
        assert_eq!(next(Timestamp(200), 100), Timestamp(201));
    }
}
