//! What time it is, and waiting until it is later.
//!
//! Jobs are due by the wall clock, which is set now and then. A timer knows nothing of that, so a long wait looks at the
//! clock again in between.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio::time::sleep;

/// How late a job may be because the clock was put forward.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// The clock of the system, which tests put forward. Clones are one clock.
#[derive(Debug, Clone)]
pub struct Clock {
    ahead_ms: Arc<watch::Sender<u64>>,
}

impl Clock {
    /// The clock of the system.
    pub fn system() -> Self {
        Self { ahead_ms: Arc::new(watch::channel(0).0) }
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX).saturating_add(*self.ahead_ms.borrow())
    }

    /// Puts the clock forward. For tests: nothing else has time to spare.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.ahead_ms.send_modify(|ahead| *ahead = ahead.saturating_add(by));
    }

    /// Waits until a time, in milliseconds since 1970.
    pub async fn until(&self, at_ms: u64) {
        let mut ahead = self.ahead_ms.subscribe();
        loop {
            let left = Duration::from_millis(at_ms.saturating_sub(self.now_ms()));
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = sleep(left.min(LOOK_AGAIN)) => {}
                // The sender lives as long as the clock does.
                _ = ahead.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_is_woken_when_the_clock_is_put_forward() {
        let clock = Clock::system();
        let at_ms = clock.now_ms() + 86_400_000;
        let waiting = tokio::spawn({
            let clock = clock.clone();
            async move { clock.until(at_ms).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        clock.advance(Duration::from_secs(86_400));
        waiting.await.unwrap_or_else(|error| panic!("{error}"));
    }
}
