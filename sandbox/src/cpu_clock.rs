//! What a thread has computed, readable from any other thread of its process.
//!
//! The limit on CPU time is kept by this clock and not by the wall's: a call that waits, for its host or for a core, uses
//! none of it up. It covers the thread of the isolate, not the engine's helpers for garbage collection and compilation.

#![allow(unsafe_code, reason = "the clock of another thread has no safe wrapper")]

use std::time::Duration;

/// The CPU clock of one thread. Reads zero once the thread has ended.
#[derive(Debug, Clone, Copy)]
pub struct CpuClock(#[cfg(target_os = "linux")] libc::clockid_t);

impl CpuClock {
    /// The clock of the thread that asks.
    #[cfg(target_os = "linux")]
    pub fn of_this_thread() -> Self {
        let mut clock = libc::CLOCK_THREAD_CPUTIME_ID;
        // SAFETY: the thread is alive, as it is this one, and `clock` outlives the call. On failure, which has no known
        // cause, the clock of whoever reads stays: it never advances past what that thread computes.
        unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &mut clock) };
        Self(clock)
    }

    /// What the thread has computed so far.
    #[cfg(target_os = "linux")]
    pub fn used(self) -> Duration {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` outlives the call, which writes nothing else; a clock of a thread that has ended is an error.
        unsafe { libc::clock_gettime(self.0, &mut time) };
        Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
    }

    /// Where no such clock is known, nothing is measured: the wall limit alone ends a call.
    #[cfg(not(target_os = "linux"))]
    pub fn of_this_thread() -> Self {
        Self()
    }

    /// Nothing, for want of a clock.
    #[cfg(not(target_os = "linux"))]
    pub fn used(self) -> Duration {
        Duration::ZERO
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::Instant;

    use super::*;

    #[test]
    fn it_advances_while_its_thread_computes_and_stands_while_it_sleeps() {
        let (tell, clock) = channel();
        let (go_on, waits) = channel::<()>();
        let thread = thread::spawn(move || {
            let own = CpuClock::of_this_thread();
            let started = Instant::now();
            while own.used() < Duration::from_millis(20) {
                std::hint::spin_loop();
            }
            tell.send((own, started.elapsed())).unwrap_or_default();
            waits.recv().unwrap_or_default();
        });
        let (clock, took) = clock.recv().unwrap_or((CpuClock::of_this_thread(), Duration::ZERO));
        // It may have computed a little before it looked at the other clock.
        assert!(took >= Duration::from_millis(15), "{took:?}");
        let before = clock.used();
        assert!(before >= Duration::from_millis(20), "{before:?}");
        thread::sleep(Duration::from_millis(50));
        assert!(clock.used() - before < Duration::from_millis(25));
        go_on.send(()).unwrap_or_default();
        assert!(thread.join().is_ok());
    }
}
