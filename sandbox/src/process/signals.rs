//! What a worker does with signals.
//!
//! When its host is told to stop: nothing.
//!
//! Whoever stops a service often signals all of its processes, as systemd does with a control group. The host then ends
//! its calls first, for which it needs its workers; they end with it, when their control channel closes.

#![allow(unsafe_code, reason = "what is done with a signal has no safe wrapper")]

/// Ignores what asks a process to end. Who wants the end of a worker, its host included, kills it.
pub fn ignore_requests_to_end() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        // SAFETY: no handler is installed, so none can run at a bad time. A signal that exists cannot be refused.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Has a thread that V8 brings down (`int3`) do something first, which must not return.
pub fn on_trap(end: extern "C" fn(libc::c_int)) {
    // SAFETY: the trap is the thread's own doing, at a place of V8's where it holds no lock that `end` takes.
    unsafe { libc::signal(libc::SIGTRAP, end as *const () as libc::sighandler_t) };
}
