//! Promises that were rejected and that nothing awaited, during the call at hand.
//!
//! deno_core keeps the same list, but shows it only through a turn of its event loop, which would cost each call of a
//! query or procedure more than the call itself.

#![allow(unsafe_code, reason = "V8 hands over a rejection without a scope; making one is unsafe")]

use std::cell::RefCell;

use deno_core::v8;

thread_local! {
    /// Isolates stay on their thread, one at a time.
    static REJECTED: RefCell<Vec<Rejected>> = const { RefCell::new(Vec::new()) };
}

struct Rejected {
    promise: v8::Global<v8::Promise>,
    reason: v8::Global<v8::Value>,
}

/// Starts to watch an isolate's promises, in place of whatever did so before.
pub fn watch(isolate: &mut v8::Isolate) {
    forget();
    isolate.set_promise_reject_callback(on_reject);
}

/// The reason of the first rejection that nothing awaited, if any; the list is empty afterwards.
pub fn take() -> Option<v8::Global<v8::Value>> {
    REJECTED.with_borrow_mut(|rejected| rejected.drain(..).next().map(|first| first.reason))
}

/// Empties the list.
pub fn forget() {
    REJECTED.with_borrow_mut(Vec::clear);
}

extern "C" fn on_reject(message: v8::PromiseRejectMessage) {
    // SAFETY: V8 calls this inside the isolate and context of the promise, which is what a callback scope asks for.
    v8::callback_scope!(unsafe scope, &message);
    let promise = v8::Global::new(scope, message.get_promise());
    match message.get_event() {
        v8::PromiseRejectEvent::PromiseRejectWithNoHandler => {
            if let Some(reason) = message.get_value() {
                let reason = v8::Global::new(scope, reason);
                REJECTED.with_borrow_mut(|rejected| rejected.push(Rejected { promise, reason }));
            }
        }
        v8::PromiseRejectEvent::PromiseHandlerAddedAfterReject => {
            REJECTED.with_borrow_mut(|rejected| rejected.retain(|known| known.promise != promise));
        }
        _ => {}
    }
}
