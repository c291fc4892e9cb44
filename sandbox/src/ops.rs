//! The ops: the only doors out of V8, all of them text in and text out.
//!
//! The build script compiles this file too, since the startup snapshot holds the ops by their order here.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;

use deno_core::{OpState, op2, v8};
use deno_error::JsErrorBox;

/// What answers the ops of the call at hand.
pub trait Port {
    /// Answers one request (a `HostCall` as JSON) with JSON text; an error is thrown in the script.
    fn ask(&mut self, request: &str) -> Result<String, String>;
    /// The same for the requests of actions, which do not block the script.
    fn start(&mut self, request: &str) -> Pin<Box<dyn Future<Output = Result<String, String>>>>;
}

/// The port of the call at hand; `None` between calls.
pub struct CurrentPort(pub Option<Rc<RefCell<dyn Port>>>);

const NO_CALL: &str = "the call has ended";

fn port(state: &OpState) -> Result<Rc<RefCell<dyn Port>>, JsErrorBox> {
    state.try_borrow::<CurrentPort>().and_then(|port| port.0.clone()).ok_or_else(|| JsErrorBox::generic(NO_CALL))
}

#[op2]
#[string]
fn op_host(state: &mut OpState, #[string] request: &str) -> Result<String, JsErrorBox> {
    port(state)?.borrow_mut().ask(request).map_err(JsErrorBox::generic)
}

#[op2]
#[string]
async fn op_host_start(state: Rc<RefCell<OpState>>, #[string] request: String) -> Result<String, JsErrorBox> {
    let answer = port(&state.borrow())?.borrow_mut().start(&request);
    answer.await.map_err(JsErrorBox::generic)
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
    ops = [op_host, op_host_start, op_kind],
    esm_entry_point = "ext:weir/main.js",
    esm = [
        dir "src/prelude",
        "determinism.js",
        "freeze.js",
        "kinds.js",
        "constants.js",
        "values.js",
        "seal.js",
        "weir.js",
        "main.js"
    ],
);
