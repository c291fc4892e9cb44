//! How scripts end, and what the author and the caller learn of it.

use deno_core::error::JsError;
use deno_core::{JsRuntime, v8};

use crate::modules;
use crate::protocol::{Frame, ScriptError};

/// How a script ended by itself.
pub enum Ended {
    Value(String),
    NoValue,
    /// A stream has come to its end.
    Done,
    TooLarge,
    Threw(ScriptError),
    /// It left work behind, as the words say.
    Leftover(&'static str),
    /// A promise was rejected and nothing awaited it.
    Rejected(ScriptError),
    OutOfTime,
    Terminated,
}

/// What became of a promise.
pub enum Settled {
    Fulfilled(v8::Global<v8::Value>),
    Rejected(v8::Global<v8::Value>),
}

/// The rejection of an action's own promise is its outcome, and not one that nothing awaited.
pub fn mark_handled(runtime: &mut JsRuntime, promise: &v8::Global<v8::Value>) {
    deno_core::scope!(scope, runtime);
    let value = v8::Local::new(scope, promise);
    if let Ok(promise) = v8::Local::<v8::Promise>::try_from(value) {
        promise.mark_as_handled();
    }
}

/// What became of a promise; `None` while it is pending.
pub fn settled(runtime: &mut JsRuntime, promise: &v8::Global<v8::Value>) -> Option<Settled> {
    deno_core::scope!(scope, runtime);
    let value = v8::Local::new(scope, promise);
    let promise = v8::Local::<v8::Promise>::try_from(value).ok()?;
    match promise.state() {
        v8::PromiseState::Pending => None,
        v8::PromiseState::Fulfilled => {
            let result = promise.result(scope);
            Some(Settled::Fulfilled(v8::Global::new(scope, result)))
        }
        v8::PromiseState::Rejected => {
            let reason = promise.result(scope);
            Some(Settled::Rejected(v8::Global::new(scope, reason)))
        }
    }
}

/// An error without a place.
pub fn plain(message: impl Into<String>) -> ScriptError {
    ScriptError { app_code: None, message: message.into(), host_call: None, stack: Vec::new() }
}

/// What the author and the caller learn of an exception: its message and the frames in the app's own files.
pub fn script_error(error: JsError, app_code: Option<String>) -> ScriptError {
    let stack = error.frames.iter().filter_map(frame).collect();
    let thrown = error.message.filter(|message| !message.is_empty());
    let message = match (error.name, thrown) {
        (Some(name), Some(message)) if app_code.is_none() && name != "Error" => format!("{name}: {message}"),
        (_, Some(message)) => message,
        (Some(name), None) => name,
        (None, None) => match error.exception_message.trim_start_matches("Uncaught ") {
            "[object Object]" | "#<Object>" => "threw an object that is no Error".to_owned(),
            thrown => thrown.to_owned(),
        },
    };
    ScriptError { app_code, message, host_call: None, stack }.cut()
}

fn frame(frame: &deno_core::error::JsStackFrame) -> Option<Frame> {
    let file = modules::path_of(frame.file_name.as_deref()?)?;
    Some(Frame {
        function: frame.function_name.clone().filter(|name| !name.is_empty()),
        file: file.to_owned(),
        line: u32::try_from(frame.line_number?).ok()?,
        column: u32::try_from(frame.column_number?).ok()?,
    })
}

impl ScriptError {
    /// Whether V8 threw it when an array buffer got no memory.
    pub(super) fn is_for_want_of_memory(&self) -> bool {
        self.message.ends_with("Array buffer allocation failed")
    }
}
