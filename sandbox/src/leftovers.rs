//! What promises of a finished call still have to run.
//!
//! V8 does not tell how long its queue of jobs is, but it calls a hook before each. It is set only while what is left over
//! runs: with hooks promises are slower.

use std::cell::Cell;

use deno_core::{JsRuntime, v8};

thread_local! {
    /// Isolates stay on their thread, one at a time.
    static HAS_RUN: Cell<bool> = const { Cell::new(false) };
}

/// The hook of one isolate.
pub struct Leftovers {
    on_job: v8::Global<v8::Function>,
}

impl Leftovers {
    /// Makes the hook. `None`: the isolate has no memory left.
    pub fn of(runtime: &mut JsRuntime) -> Option<Self> {
        deno_core::scope!(scope, runtime);
        let on_job = v8::Function::new(scope, on_job)?;
        Some(Self { on_job: v8::Global::new(scope, on_job) })
    }

    /// Runs all that is left; whether there was anything.
    pub fn run(&self, runtime: &mut JsRuntime) -> bool {
        HAS_RUN.set(false);
        {
            deno_core::scope!(scope, runtime);
            let on_job = v8::Local::new(scope, &self.on_job);
            scope.set_promise_hooks(None, Some(on_job), None, None);
        }
        runtime.v8_isolate().perform_microtask_checkpoint();
        {
            deno_core::scope!(scope, runtime);
            scope.set_promise_hooks(None, None, None, None);
        }
        HAS_RUN.get()
    }
}

fn on_job(_: &mut v8::PinScope, _: v8::FunctionCallbackArguments, _: v8::ReturnValue) {
    HAS_RUN.set(true);
}
