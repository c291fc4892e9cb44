//! Loads the API and an app's modules into a fresh isolate, and binds what they export.

use deno_core::error::{CoreError, CoreErrorKind, JsError};
use deno_core::{JsRuntime, ModuleSpecifier, PollEventLoopOptions, v8};

use super::ended::script_error;
use super::{IsolateError, internal};
use crate::modules;

/// What the host calls in the prelude.
pub struct Handles {
    /// Runs a query, view or procedure.
    pub run: v8::Global<v8::Function>,
    /// Runs an action.
    pub start: v8::Global<v8::Function>,
    /// Begins a stream and runs to its first event.
    pub open: v8::Global<v8::Function>,
    /// Runs a stream to its next event.
    pub next_event: v8::Global<v8::Function>,
    /// Has a stream return.
    pub give_up: v8::Global<v8::Function>,
    /// Ends a call.
    pub end: v8::Global<v8::Function>,
    /// The code that a thrown value carries.
    pub failure_code: v8::Global<v8::Function>,
    /// What was asked of the host, if that is why a value was thrown.
    pub host_call: v8::Global<v8::Function>,
    bind: v8::Global<v8::Function>,
}

/// Runs between the API module and the app's own: what scripts must not reach goes, what they share is frozen.
const SEAL: &str = "globalThis.__weir.seal();";

/// Loads the API, seals the globals, then loads the app's modules and binds their exports.
pub fn load(
    runtime: &mut JsRuntime,
    tokio: &tokio::runtime::Runtime,
    call_depth: u32,
) -> Result<Handles, IsolateError> {
    let handles = take_handles(runtime)?;
    load_module(runtime, tokio, modules::API)?;
    runtime.execute_script("weir:seal", SEAL).map_err(|error| internal(error.to_string()))?;
    let entry = load_module(runtime, tokio, modules::ENTRY)?;
    let exports = runtime.get_module_namespace(entry).map_err(internal)?;
    let exception = {
        deno_core::scope!(scope, runtime);
        v8::tc_scope!(let scope, scope);
        let receiver = v8::undefined(scope).into();
        let exports = v8::Local::new(scope, exports);
        let bind = v8::Local::new(scope, &handles.bind);
        let call_depth = v8::Integer::new_from_unsigned(scope, call_depth);
        if bind.call(scope, receiver, &[exports.into(), call_depth.into()]).is_some() {
            return Ok(handles);
        }
        let exception = scope.exception().map(|exception| JsError::from_v8_exception(scope, exception));
        exception.ok_or_else(|| internal("binding the exports was terminated"))?
    };
    Err(IsolateError::App(script_error(*exception, None)))
}

fn load_module(
    runtime: &mut JsRuntime,
    tokio: &tokio::runtime::Runtime,
    specifier: &str,
) -> Result<usize, IsolateError> {
    let specifier = ModuleSpecifier::parse(specifier).map_err(internal)?;
    let loading = async {
        let module = runtime.load_side_es_module(&specifier).await?;
        let evaluated = runtime.mod_evaluate(module);
        runtime.run_event_loop(PollEventLoopOptions::default()).await?;
        evaluated.await?;
        Ok(module)
    };
    tokio.block_on(loading).map_err(|error: CoreError| match error.into_kind() {
        CoreErrorKind::Js(error) => IsolateError::App(script_error(*error, None)),
        other => internal(other),
    })
}

fn take_handles(runtime: &mut JsRuntime) -> Result<Handles, IsolateError> {
    let mut function = |path: &'static str| -> Result<v8::Global<v8::Function>, IsolateError> {
        let value = runtime.execute_script("weir:handle", path).map_err(|error| internal(error.to_string()))?;
        deno_core::scope!(scope, runtime);
        let value = v8::Local::new(scope, value);
        let function = v8::Local::<v8::Function>::try_from(value).map_err(internal)?;
        Ok(v8::Global::new(scope, function))
    };
    Ok(Handles {
        run: function("globalThis.__weir.host.run")?,
        start: function("globalThis.__weir.host.start")?,
        open: function("globalThis.__weir.host.open")?,
        next_event: function("globalThis.__weir.host.nextEvent")?,
        give_up: function("globalThis.__weir.host.giveUpStream")?,
        end: function("globalThis.__weir.host.end")?,
        failure_code: function("globalThis.__weir.host.failureCode")?,
        host_call: function("globalThis.__weir.host.hostCall")?,
        bind: function("globalThis.__weir.host.bind")?,
    })
}
