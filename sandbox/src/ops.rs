//! The ops: the only doors out of V8, all of them text in and text out.
//!
//! The build script compiles this file too, since the startup snapshot holds the ops by their order here.

#[path = "ops/bytes.rs"]
mod bytes;

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;

use deno_core::{OpState, op2, v8};
use deno_error::JsErrorBox;
use serde::{Deserialize, Serialize};

use bytes::{op_hmac, op_same_bytes, op_utf8_length, op_utf8_read, op_utf8_write};

/// What comes back of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// JSON text.
    Answer(String),
    /// Thrown in the script, with this message.
    Refused(String),
    /// The call ends, whatever the script does.
    Stop,
}

/// A reply in its own time.
pub type Replying = Pin<Box<dyn Future<Output = Reply>>>;

/// Whether an answer to an action may have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// One has come: look again.
    Answered,
    /// What waits for one is woken by it.
    Elsewhere,
}

/// What answers the ops of the call at hand.
pub trait Port {
    /// Answers one request, a `HostCall` as JSON.
    fn ask(&mut self, request: &str) -> Reply;
    /// The same for the requests of actions, which do not block the script.
    fn start(&mut self, request: &str) -> Replying;
    /// Waits for the next answer to any of those.
    fn wait(&mut self) -> Waited;
    /// Hands over an event of a stream; waits until it is taken and more is wanted, or nothing.
    fn event(&mut self, event: String) -> Wanted;
}

/// What is wanted of a stream after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wanted {
    /// The next one.
    Next,
    /// No more: the generator is told to return.
    Nothing,
}

/// A port that ops and the call share.
pub type SharedPort = Rc<RefCell<dyn Port>>;

/// What the ops of an isolate work with.
pub struct Doors {
    /// The port of the call at hand; `None` between calls.
    pub port: Option<SharedPort>,
    /// Whether the call at hand is being stopped.
    pub stopping: bool,
    /// Ends the script.
    pub isolate: v8::IsolateHandle,
    /// Takes the size of a resizable array buffer off the allowance.
    pub reserve: Box<dyn Fn(usize) -> bool>,
}

const NO_CALL: &str = "the call has ended";

/// What ops answer once the call is being stopped. Not an error: the engine would make an exception of it, in which the
/// termination gets lost, and a script that catches everything would go on.
const STOPPING: &str = "null";

fn port(state: &OpState) -> Result<SharedPort, JsErrorBox> {
    state.try_borrow::<Doors>().and_then(|doors| doors.port.clone()).ok_or_else(|| JsErrorBox::generic(NO_CALL))
}

fn stop(state: &mut OpState) {
    if let Some(doors) = state.try_borrow_mut::<Doors>() {
        doors.stopping = true;
        doors.isolate.terminate_execution();
    }
}

#[op2]
#[string]
fn op_host(state: &mut OpState, #[string] request: &str) -> Result<String, JsErrorBox> {
    let reply = port(state)?.borrow_mut().ask(request);
    match reply {
        Reply::Answer(answer) => Ok(answer),
        Reply::Refused(message) => Err(JsErrorBox::generic(message)),
        Reply::Stop => {
            stop(state);
            Ok(STOPPING.to_owned())
        }
    }
}

#[op2]
#[string]
async fn op_host_start(state: Rc<RefCell<OpState>>, #[string] request: String) -> Result<String, JsErrorBox> {
    let replying = port(&state.borrow())?.borrow_mut().start(&request);
    match replying.await {
        Reply::Answer(answer) => Ok(answer),
        Reply::Refused(message) => Err(JsErrorBox::generic(message)),
        Reply::Stop => {
            stop(&mut state.borrow_mut());
            Ok(STOPPING.to_owned())
        }
    }
}

/// A resizable array buffer is about to be made, of at most so many bytes.
#[op2(fast)]
fn op_reserve(state: &mut OpState, bytes: f64) {
    let Some(doors) = state.try_borrow::<Doors>() else { return };
    // A cast of a float saturates; V8 refuses what is no length.
    if !(doors.reserve)(bytes as usize) {
        doors.isolate.terminate_execution();
    }
}

/// Which kind of object a value is, for those that are more than their properties, by the numbers of `prelude/kinds.js`.
/// No code of the script can pretend to it or notices.
#[op2(fast)]
#[smi]
fn op_kind(value: v8::Local<v8::Value>) -> u32 {
    match value {
        _ if value.is_proxy() => 12,
        _ if value.is_array() || value.is_function() => 0,
        _ if value.is_module_namespace_object() => 1,
        _ if value.is_reg_exp() => 2,
        _ if value.is_map() => 3,
        _ if value.is_set() => 4,
        _ if value.is_weak_map() => 5,
        _ if value.is_weak_set() => 6,
        _ if value.is_date() => 7,
        _ if value.is_array_buffer() || value.is_shared_array_buffer() => 8,
        _ if value.is_array_buffer_view() => 9,
        _ if value.is_generator_object() => 10,
        _ if value.is_promise() => 11,
        _ if value.is_map_iterator() || value.is_set_iterator() => 13,
        _ if value.is_native_error() => 14,
        _ => 0,
    }
}

deno_core::extension!(
    weir,
    ops = [
        op_host,
        op_host_start,
        op_reserve,
        op_kind,
        op_utf8_length,
        op_utf8_write,
        op_utf8_read,
        op_hmac,
        op_same_bytes
    ],
    esm_entry_point = "ext:weir/main.js",
    esm = [
        dir "src/prelude",
        "call.js",
        "determinism.js",
        "buffers.js",
        "freeze.js",
        "kinds.js",
        "constants.js",
        "values.js",
        "seal.js",
        "failing.js",
        "arguments.js",
        "elements.js",
        "collections.js",
        "functions.js",
        "streams.js",
        "exact.js",
        "scalars.js",
        "aggregates.js",
        "sources.js",
        "groups.js",
        "schedule.js",
        "bytes.js",
        "cursors.js",
        "paging.js",
        "indexes.js",
        "fetch.js",
        "http.js",
        "weir.js",
        "main.js"
    ],
);
