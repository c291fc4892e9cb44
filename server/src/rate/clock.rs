//! The time by which limits go: that of the system, or one that tests put forward.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use governor::clock::Clock as Ticking;
use governor::nanos::Nanos;

/// A clock that only goes forward. Clones are one clock.
#[derive(Debug, Clone)]
pub enum Clock {
    /// Since a moment when the process started.
    System(Instant),
    /// It stands still but for who puts it forward: for tests.
    Paused(Arc<AtomicU64>),
}

impl Clock {
    /// That of the system.
    pub fn system() -> Self {
        Self::System(Instant::now())
    }

    /// One that stands still.
    pub fn paused() -> Self {
        Self::Paused(Arc::default())
    }

    /// Puts a clock forward that stands still; that of the system goes as it goes.
    pub fn advance(&self, by: Duration) {
        if let Self::Paused(now) = self {
            now.fetch_add(nanoseconds(by), Ordering::Relaxed);
        }
    }

    /// Nanoseconds since it began, and never none: so that nothing that happened is as old as what never did.
    pub fn nanoseconds(&self) -> u64 {
        let since = match self {
            Self::System(began) => nanoseconds(began.elapsed()),
            Self::Paused(now) => now.load(Ordering::Relaxed),
        };
        since.saturating_add(1)
    }
}

impl Ticking for Clock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.nanoseconds())
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
