//! Promises that a call leaves pending, and jobs that it leaves to promises: what would run after its end.
//!
//! V8 tells of each promise when it is made, when it is settled or follows another, and when a job of it starts. Code
//! without promises does not pay for that.

#![allow(unsafe_code, reason = "the type of V8's hook is unsafe")]

use std::cell::Cell;

use deno_core::v8;

thread_local! {
    /// Promises made and not settled since the start of the call. Isolates stay on their thread, one at a time.
    static UNSETTLED: Cell<i64> = const { Cell::new(0) };
    /// Jobs started since then.
    static JOBS: Cell<u64> = const { Cell::new(0) };
}

/// Starts to watch an isolate's promises.
pub fn watch(isolate: &mut v8::Isolate) {
    isolate.set_promise_hook(on_promise);
}

/// A call starts: nothing is pending.
pub fn start() {
    UNSETTLED.set(0);
    JOBS.set(0);
}

/// Whether a promise of the call is pending, or a job of one has run.
pub fn is_any() -> bool {
    is_unsettled() || JOBS.get() > 0
}

/// Whether a promise of the call is pending.
pub fn is_unsettled() -> bool {
    UNSETTLED.get() > 0
}

unsafe extern "C" fn on_promise(event: v8::PromiseHookType, _: v8::Local<v8::Promise>, _: v8::Local<v8::Value>) {
    match event {
        v8::PromiseHookType::Init => UNSETTLED.set(UNSETTLED.get() + 1),
        v8::PromiseHookType::Resolve => UNSETTLED.set(UNSETTLED.get() - 1),
        v8::PromiseHookType::Before => JOBS.set(JOBS.get() + 1),
        v8::PromiseHookType::After => {}
    }
}
