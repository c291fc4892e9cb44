//! One V8 isolate with one app in it.
//!
//! An isolate starts from the snapshot made at build time, loads the app's modules once and then answers calls until
//! one of them spoils it: a limit, a termination, a promise left pending. A plain throw does not. It must stay on the
//! thread that made it.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::{Arc, Once};
use std::task::Poll;
use std::time::{Duration, Instant};

use deno_core::error::{CoreError, CoreErrorKind, JsError};
use deno_core::{JsRuntime, ModuleSpecifier, PollEventLoopOptions, RuntimeOptions, v8};
use weir_schema::declarations::FunctionKind;
use weir_schema::limits::CallLimits;

use crate::app::App;
use crate::leftovers::Leftovers;
use crate::modules::{self, AppModules};
use crate::ops::{self, CurrentPort};
use crate::port::CallPort;
use crate::protocol::{CallRequest, Frame, Host, Outcome, ScriptError};
use crate::rejections;
use crate::watchdog::Watchdog;

static SNAPSHOT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/snapshot.bin"));

/// How much the heap may grow past its limit while a termination takes effect, in bytes. V8 aborts the process at a single
/// allocation beyond it, so it is more than the largest array that one built-in makes.
const HEAP_HEADROOM_BYTES: usize = 2 << 30;

/// The first stands for the program's name.
///
/// Unrolling goes because it drops the interrupt check of the loop: with it `for (;;) list.push(new Array(1000))` can be
/// terminated neither at the heap limit nor at the wall limit (V8 15.0, x86_64).
///
/// Sharing goes because the memory of an isolate that ends then waits for the next one, for good: a script that took
/// 270 MiB at its end would leave them to the process.
const V8_FLAGS: [&str; 4] = [
    "weir",
    "--disallow-code-generation-from-strings",
    "--no-turboshaft-loop-unrolling",
    "--no-memory-pool-share-memory-on-teardown",
];

/// Prepares V8. Must run on the main thread before any other thread is started; later calls do nothing.
pub fn prepare_v8() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        deno_core::v8_set_flags(V8_FLAGS.iter().map(|flag| (*flag).to_owned()).collect());
        JsRuntime::init_platform(None);
    });
}

/// An isolate with an app in it, warm.
pub struct Isolate {
    runtime: JsRuntime,
    tokio: tokio::runtime::Runtime,
    run: v8::Global<v8::Function>,
    start: v8::Global<v8::Function>,
    end: v8::Global<v8::Function>,
    failure_code: v8::Global<v8::Function>,
    leftovers: Leftovers,
    functions: Vec<(String, FunctionKind)>,
    limits: CallLimits,
    heap_exceeded: Rc<Cell<bool>>,
    watchdog: Watchdog,
    spoiled: bool,
}

/// Why an isolate could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IsolateError {
    /// A module of the app threw while it was loaded.
    #[error("{}", .0.message)]
    App(ScriptError),
    /// Anything else: a defect.
    #[error("{0}")]
    Internal(String),
}

impl Isolate {
    /// Makes an isolate and loads the app into it.
    pub fn new(app: &Arc<App>, watchdog: &Watchdog) -> Result<Self, IsolateError> {
        prepare_v8();
        let limits = app.manifest.limits.clone();
        let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(internal)?;
        let guard = tokio.enter();
        let mut runtime = JsRuntime::try_new(RuntimeOptions {
            module_loader: Some(Rc::new(AppModules::new(app.clone()))),
            extensions: vec![ops::weir::init()],
            startup_snapshot: Some(SNAPSHOT),
            create_params: Some(v8::CreateParams::default().heap_limits(0, limits.heap_bytes)),
            ..RuntimeOptions::default()
        })
        .map_err(internal)?;
        let heap_exceeded = limit_heap(&mut runtime, limits.heap_bytes);
        let deadline = Instant::now() + Duration::from_millis(limits.wall_ms);
        let watch = watchdog.arm(runtime.v8_isolate().thread_safe_handle(), deadline);
        let handles = load(&mut runtime, &tokio, limits.call_depth);
        rejections::watch(runtime.v8_isolate());
        if watch.disarm() {
            return Err(IsolateError::App(plain(format!(
                "loading its modules takes longer than {} ms",
                limits.wall_ms
            ))));
        }
        if heap_exceeded.get() {
            let message = format!(
                "loading its modules needs more than heap_bytes = {}: raise it in app.toml under [limits]",
                limits.heap_bytes
            );
            return Err(IsolateError::App(plain(message)));
        }
        let Handles { run, start, end, failure_code, .. } = handles?;
        let leftovers = Leftovers::of(&mut runtime).ok_or_else(|| internal("no memory for the hook of promises"))?;
        drop(guard);
        let functions = app.declarations.functions.values();
        let functions = functions.map(|function| (function.name.clone(), function.kind)).collect();
        let watchdog = watchdog.clone();
        Ok(Self {
            runtime,
            tokio,
            run,
            start,
            end,
            failure_code,
            leftovers,
            functions,
            limits,
            heap_exceeded,
            watchdog,
            spoiled: false,
        })
    }

    /// Whether it must not be used again.
    pub fn is_spoiled(&self) -> bool {
        self.spoiled
    }

    /// Runs one call to its end and gives the host the outcome.
    pub fn call(&mut self, request: &CallRequest, host: Box<dyn Host>) {
        let handle = self.runtime.v8_isolate().thread_safe_handle();
        let port = Rc::new(RefCell::new(CallPort::new(host, &self.limits, handle.clone())));
        self.runtime.op_state().borrow_mut().put(CurrentPort(Some(port.clone())));
        let deadline = Instant::now() + Duration::from_millis(self.limits.wall_ms);
        let watch = self.watchdog.arm(handle, deadline);
        let ended = match self.functions.get(request.function) {
            Some((_, FunctionKind::Action)) => self.run_action(request),
            _ => {
                let ended = self.run_sync(request);
                self.settle_leftovers(ended)
            }
        };
        let timed_out = watch.disarm();
        self.runtime.op_state().borrow_mut().put(CurrentPort(None));
        let stopped = port.borrow().stopped();
        let outcome = match ended {
            _ if self.heap_exceeded.get() => Outcome::Limit("heap_bytes"),
            _ if timed_out => Outcome::Limit("wall_ms"),
            _ if stopped.is_some() => stopped.unwrap_or(Outcome::Aborted),
            Ended::Value(text) => Outcome::Value(text),
            Ended::TooLarge => Outcome::Limit("result_bytes"),
            Ended::OutOfTime => Outcome::Limit("wall_ms"),
            Ended::NoValue => Outcome::Failed(self.said_of(request, "returned undefined where a value is declared")),
            Ended::Threw(error) => Outcome::Failed(error),
            Ended::Leftover(what) => {
                self.spoiled = true;
                Outcome::Failed(self.said_of(request, what))
            }
            Ended::Rejected(error) => {
                self.spoiled = true;
                let what = format!("left a rejected promise that nothing awaited: {}", error.message);
                Outcome::Failed(ScriptError { stack: error.stack, ..self.said_of(request, &what) })
            }
            Ended::Terminated => Outcome::Broken("terminated for no known reason".into()),
        };
        self.spoiled |= !matches!(outcome, Outcome::Value(_) | Outcome::Failed(_));
        if !self.spoiled {
            self.finish_script();
        }
        let host = port.borrow_mut().take_host();
        if let Some(host) = host {
            host.finish(outcome);
        }
    }

    /// An error that names the function, for want of a place.
    fn said_of(&self, request: &CallRequest, what: &str) -> ScriptError {
        let name = self.functions.get(request.function).map_or("the function", |(name, _)| name.as_str());
        plain(format!("{name} {what}"))
    }

    fn run_sync(&mut self, request: &CallRequest) -> Ended {
        let run = self.run.clone();
        match self.invoke(&run, request) {
            Ok(value) => self.text_of(&value),
            Err(ended) => ended,
        }
    }

    /// Runs what promises of a finished call have left to run, so that no later call pays for it. There the script can no
    /// longer reach its host. That there was anything is an error of the call.
    fn settle_leftovers(&mut self, ended: Ended) -> Ended {
        if matches!(ended, Ended::Terminated) {
            return ended;
        }
        self.finish_script();
        let has_left = {
            let _tokio = self.tokio.enter();
            self.leftovers.run(&mut self.runtime)
        };
        self.spoiled |= has_left;
        match self.or_rejected(ended) {
            Ended::Value(_) | Ended::NoValue | Ended::TooLarge if has_left => Ended::Leftover(
                "returned while promises had something left to run: database calls are done when they return, so leave \
                 promises out",
            ),
            ended => ended,
        }
    }

    /// A promise that was rejected and that nothing awaited is an error of the call.
    fn or_rejected(&mut self, ended: Ended) -> Ended {
        match (rejections::take(), ended) {
            (Some(reason), Ended::Value(_) | Ended::NoValue | Ended::TooLarge) => match self.threw(&reason) {
                Ended::Threw(error) => Ended::Rejected(error),
                other => other,
            },
            (_, ended) => ended,
        }
    }

    fn run_action(&mut self, request: &CallRequest) -> Ended {
        let start = self.start.clone();
        let promise = match self.invoke(&start, request) {
            Ok(promise) => promise,
            Err(ended) => return ended,
        };
        let runtime = &mut self.runtime;
        mark_handled(runtime, &promise);
        let settling = poll_fn(|cx| {
            let polled = runtime.poll_event_loop(cx, PollEventLoopOptions::default());
            let settled = settled(runtime, &promise);
            match (settled, polled) {
                (_, Poll::Ready(Err(_))) => Poll::Ready(Err(Ended::Terminated)),
                (Some(settled), Poll::Ready(Ok(()))) => Poll::Ready(Ok(settled)),
                (None, Poll::Pending) => Poll::Pending,
                (Some(_), Poll::Pending) => {
                    Poll::Ready(Err(Ended::Leftover("returned while calls were still running: await every call")))
                }
                (None, Poll::Ready(Ok(()))) => {
                    Poll::Ready(Err(Ended::Leftover("waits for a promise that nothing can settle")))
                }
            }
        });
        let wall = Duration::from_millis(self.limits.wall_ms);
        let settled = self.tokio.block_on(async { tokio::time::timeout(wall, settling).await });
        let ended = match settled {
            Err(_) => Ended::OutOfTime,
            Ok(Err(ended)) => ended,
            Ok(Ok(Settled::Fulfilled(value))) => self.text_of(&value),
            Ok(Ok(Settled::Rejected(reason))) => self.threw(&reason),
        };
        self.or_rejected(ended)
    }

    /// Calls `run` or `start` of the prelude: (index, arguments, caller, time, seed…).
    fn invoke(
        &mut self,
        function: &v8::Global<v8::Function>,
        request: &CallRequest,
    ) -> Result<v8::Global<v8::Value>, Ended> {
        let _tokio = self.tokio.enter();
        let exception = {
            deno_core::scope!(scope, &mut self.runtime);
            v8::tc_scope!(let scope, scope);
            let texts = [v8::String::new(scope, &request.arguments), v8::String::new(scope, &request.caller)];
            let [Some(arguments), Some(caller)] = texts else { return Err(Ended::Terminated) };
            let index = v8::Integer::new_from_unsigned(scope, u32::try_from(request.function).unwrap_or(u32::MAX));
            let now = v8::Number::new(scope, request.now_ms as f64);
            let seed = request.seed.map(|word| v8::Integer::new_from_unsigned(scope, word));
            let [seed0, seed1, seed2, seed3] = seed.map(v8::Local::<v8::Value>::from);
            let request = [index.into(), arguments.into(), caller.into(), now.into(), seed0, seed1, seed2, seed3];
            let receiver = v8::undefined(scope).into();
            let function = v8::Local::new(scope, function);
            match function.call(scope, receiver, &request) {
                Some(value) => return Ok(v8::Global::new(scope, value)),
                None if scope.has_terminated() => return Err(Ended::Terminated),
                None => match scope.exception() {
                    Some(exception) => v8::Global::new(scope, exception),
                    None => return Err(Ended::Terminated),
                },
            }
        };
        Err(self.threw(&exception))
    }

    fn text_of(&mut self, value: &v8::Global<v8::Value>) -> Ended {
        deno_core::scope!(scope, &mut self.runtime);
        let value = v8::Local::new(scope, value);
        match v8::Local::<v8::String>::try_from(value) {
            Ok(text) if text.utf8_length(scope) > self.limits.result_bytes => Ended::TooLarge,
            Ok(text) => Ended::Value(text.to_rust_string_lossy(scope)),
            Err(_) => Ended::NoValue,
        }
    }

    /// Reads an exception. Getters of the thrown value run in here, still under the watchdog.
    fn threw(&mut self, exception: &v8::Global<v8::Value>) -> Ended {
        let _tokio = self.tokio.enter();
        deno_core::scope!(scope, &mut self.runtime);
        v8::tc_scope!(let scope, scope);
        let exception = v8::Local::new(scope, exception);
        let failure_code = v8::Local::new(scope, &self.failure_code);
        let receiver = v8::undefined(scope).into();
        let code = failure_code.call(scope, receiver, &[exception]).filter(|code| code.is_string());
        let app_code = code.map(|code| code.to_rust_string_lossy(scope));
        let error = JsError::from_v8_exception(scope, exception);
        if scope.has_terminated() { Ended::Terminated } else { Ended::Threw(script_error(*error, app_code)) }
    }

    fn finish_script(&mut self) {
        let end = self.end.clone();
        deno_core::scope!(scope, &mut self.runtime);
        v8::tc_scope!(let scope, scope);
        let receiver = v8::undefined(scope).into();
        let end = v8::Local::new(scope, end);
        if end.call(scope, receiver, &[]).is_none() {
            self.spoiled = true;
        }
    }
}

/// How a script ended by itself.
enum Ended {
    Value(String),
    NoValue,
    TooLarge,
    Threw(ScriptError),
    /// It left work behind, as the words say.
    Leftover(&'static str),
    /// A promise was rejected and nothing awaited it.
    Rejected(ScriptError),
    OutOfTime,
    Terminated,
}

enum Settled {
    Fulfilled(v8::Global<v8::Value>),
    Rejected(v8::Global<v8::Value>),
}

/// The rejection of an action's own promise is its outcome, and not one that nothing awaited.
fn mark_handled(runtime: &mut JsRuntime, promise: &v8::Global<v8::Value>) {
    deno_core::scope!(scope, runtime);
    let value = v8::Local::new(scope, promise);
    if let Ok(promise) = v8::Local::<v8::Promise>::try_from(value) {
        promise.mark_as_handled();
    }
}

fn settled(runtime: &mut JsRuntime, promise: &v8::Global<v8::Value>) -> Option<Settled> {
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

/// Terminates the script when the heap nears its limit, and gives the termination room to take effect.
fn limit_heap(runtime: &mut JsRuntime, heap_bytes: usize) -> Rc<Cell<bool>> {
    let exceeded = Rc::new(Cell::new(false));
    let flag = exceeded.clone();
    let handle = runtime.v8_isolate().thread_safe_handle();
    runtime.add_near_heap_limit_callback(move |current, _initial| {
        flag.set(true);
        handle.terminate_execution();
        current.max(heap_bytes.saturating_add(HEAP_HEADROOM_BYTES))
    });
    exceeded
}

struct Handles {
    run: v8::Global<v8::Function>,
    start: v8::Global<v8::Function>,
    end: v8::Global<v8::Function>,
    failure_code: v8::Global<v8::Function>,
    bind: v8::Global<v8::Function>,
}

/// Runs between the API module and the app's own: what scripts must not reach goes, what they share is frozen.
const SEAL: &str = "{ const { fixTemporal, removeGlobals, freezeIntrinsics } = globalThis.__weir; fixTemporal(); \
                    removeGlobals(); freezeIntrinsics(); }";

/// Loads the API, seals the globals, then loads the app's modules and binds their exports.
fn load(runtime: &mut JsRuntime, tokio: &tokio::runtime::Runtime, call_depth: u32) -> Result<Handles, IsolateError> {
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
        end: function("globalThis.__weir.host.end")?,
        failure_code: function("globalThis.__weir.host.failureCode")?,
        bind: function("globalThis.__weir.host.bind")?,
    })
}

fn internal(error: impl std::fmt::Display) -> IsolateError {
    IsolateError::Internal(error.to_string())
}

fn plain(message: impl Into<String>) -> ScriptError {
    ScriptError { app_code: None, message: message.into(), stack: Vec::new() }
}

/// What the author and the caller learn of an exception: its message and the frames in the app's own files.
fn script_error(error: JsError, app_code: Option<String>) -> ScriptError {
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
    ScriptError { app_code, message, stack }
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
