//! Promises that a call leaves pending, and jobs that it leaves to promises: what would run after its end.
//!
//! V8 tells of each promise when it is made, and when a job of it starts. Whether it is pending is asked of the promise: of
//! those that follow another V8 tells more than once that they are resolved. So each is kept until a look finds it settled,
//! and looks are as far apart as the list is long. Code without promises does not pay for that.

#![allow(unsafe_code, reason = "V8's hook is unsafe, and hands over a promise without a scope")]

use std::cell::{Cell, RefCell};

use deno_core::v8;

/// How many events there are at least from one look to the next. Until then what a promise was settled with stays in memory.
const LOOK_AFTER_MIN: usize = 32;

thread_local! {
    /// Promises of the call at hand. Isolates stay on their thread, one at a time.
    static MADE: RefCell<Made> = const { RefCell::new(Made { promises: Vec::new(), events: 0, look_after: LOOK_AFTER_MIN }) };
    /// Jobs started since its start.
    static JOBS: Cell<u64> = const { Cell::new(0) };
}

/// Those that were pending at the last look, and those made since then.
struct Made {
    promises: Vec<v8::Global<v8::Promise>>,
    /// Promises made, and told to be resolved, since the last look.
    events: usize,
    /// After how many of them the next look is due.
    look_after: usize,
}

/// Starts to watch an isolate's promises, in place of those of the isolate that was here before.
pub fn watch(isolate: &mut v8::Isolate) {
    forget();
    isolate.set_promise_hook(on_promise);
}

/// A call starts, or has ended: nothing is pending.
pub fn forget() {
    MADE.with_borrow_mut(|made| {
        made.promises.clear();
        made.looked();
    });
    JOBS.set(0);
}

/// Whether a promise of the call is pending, or a job of one has run.
pub fn is_any(isolate: &mut v8::Isolate) -> bool {
    JOBS.get() > 0 || is_unsettled(isolate)
}

/// Whether a promise of the call is pending.
pub fn is_unsettled(isolate: &mut v8::Isolate) -> bool {
    MADE.with_borrow(|made| made.promises.iter().any(|promise| is_pending(promise, isolate)))
}

fn is_pending(promise: &v8::Global<v8::Promise>, isolate: &mut v8::Isolate) -> bool {
    promise.open(isolate).state() == v8::PromiseState::Pending
}

impl Made {
    fn note(&mut self, isolate: &mut v8::Isolate) {
        self.events += 1;
        if self.events >= self.look_after {
            self.promises.retain(|promise| is_pending(promise, isolate));
            self.looked();
        }
    }

    fn looked(&mut self) {
        self.events = 0;
        self.look_after = self.promises.len().max(LOOK_AFTER_MIN);
    }
}

unsafe extern "C" fn on_promise(event: v8::PromiseHookType, promise: v8::Local<v8::Promise>, _: v8::Local<v8::Value>) {
    match event {
        v8::PromiseHookType::Init => {
            // SAFETY: V8 calls this inside the isolate of the promise, which is what a callback scope asks for.
            v8::callback_scope!(unsafe scope, promise);
            let promise = v8::Global::new(scope, promise);
            MADE.with_borrow_mut(|made| {
                made.note(scope);
                made.promises.push(promise);
            });
        }
        v8::PromiseHookType::Resolve => {
            // SAFETY: as above.
            v8::callback_scope!(unsafe scope, promise);
            MADE.with_borrow_mut(|made| made.note(scope));
        }
        v8::PromiseHookType::Before => JOBS.set(JOBS.get() + 1),
        v8::PromiseHookType::After => {}
    }
}
