//! How long a thread looks for what should come at once before it sleeps.
//!
//! To be woken takes longer than most answers, so it looks again for a moment and yields in between. That is only right
//! while there is a core to spare: where others compute, who yields gets its core back after their turn, milliseconds later,
//! while a sleeper is woken by what it waits for. So who has found that out sleeps at once for a time, which grows while
//! it goes on being so.

use std::thread;
use std::time::{Duration, Instant};

/// How long it looks.
const MOMENT: Duration = Duration::from_micros(30);
/// After a yield this long another has had the core.
const CROWDED: Duration = Duration::from_micros(100);
/// For how long it then sleeps at once, the first time.
const PAUSE_MIN: Duration = Duration::from_millis(4);
/// The same where the core is taken time and again: many times as long as finding it out takes.
const PAUSE_MAX: Duration = Duration::from_millis(256);

/// What a thread knows of its core.
#[derive(Debug, Clone, Copy, Default)]
pub struct Awake {
    /// Until when it sleeps at once.
    paused_until: Option<Instant>,
    /// How long that is.
    pause: Duration,
}

impl Awake {
    /// Looks until there is something, for a moment at most. `None`: time to sleep.
    pub fn look<T>(&mut self, look: impl FnMut() -> Option<T>) -> Option<T> {
        self.look_and(look, thread::yield_now, Instant::now)
    }

    fn look_and<T>(
        &mut self,
        mut look: impl FnMut() -> Option<T>,
        give_way: impl Fn(),
        now: impl Fn() -> Instant,
    ) -> Option<T> {
        let started = now();
        if self.paused_until.is_some_and(|until| started < until) {
            return look();
        }
        loop {
            if let Some(found) = look() {
                self.pause /= 2;
                return Some(found);
            }
            let before = now();
            if before - started > MOMENT {
                return None;
            }
            give_way();
            let after = now();
            if after - before > CROWDED {
                self.pause = (self.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
                self.paused_until = Some(after + self.pause);
                return look();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A thread whose time goes on only where it is told to.
    struct Thread {
        awake: Awake,
        now: Cell<Instant>,
    }

    impl Thread {
        fn new() -> Self {
            Self { awake: Awake::default(), now: Cell::new(Instant::now()) }
        }

        fn pass(&self, time: Duration) {
            self.now.set(self.now.get() + time);
        }

        /// Looks in vain, and loses its core for some time whenever it gives way; how often it looks.
        fn looks(&mut self, away: Duration) -> u32 {
            let Self { awake, now } = self;
            let mut looks = 0;
            let look = || {
                looks += 1;
                None::<()>
            };
            assert_eq!(awake.look_and(look, || now.set(now.get() + away), || now.get()), None);
            looks
        }
    }

    #[test]
    fn it_finds_what_comes_and_gives_up_what_does_not() {
        let mut thread = Thread::new();
        let mut left = 2;
        let look = || {
            left -= 1;
            (left == 0).then_some("there")
        };
        let now = thread.now.get();
        assert_eq!(thread.awake.look_and(look, || {}, || now), Some("there"));
        assert_eq!(thread.looks(MOMENT / 2), 4);
    }

    #[test]
    fn with_its_core_taken_it_sleeps_at_once_and_longer_each_time() {
        let mut thread = Thread::new();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            assert_eq!(thread.looks(2 * CROWDED), 2);
            pauses.push(thread.awake.pause.as_millis());
            thread.pass(thread.awake.pause - Duration::from_nanos(1));
            assert_eq!(thread.looks(2 * CROWDED), 1);
            thread.pass(Duration::from_nanos(1));
        }
        assert_eq!(pauses, [4, 8, 16, 32, 64, 128, 256, 256]);
        let now = thread.now.get();
        assert_eq!(thread.awake.look_and(|| Some(()), || {}, || now), Some(()));
        assert_eq!(thread.awake.pause, PAUSE_MAX / 2);
    }
}
