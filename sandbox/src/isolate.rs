//! One V8 isolate with one app in it.
//!
//! An isolate starts from the snapshot made at build time, loads the app's modules once and then answers calls until
//! one of them spoils it: a limit, a termination, a promise left pending. A plain throw does not. It must stay on the
//! thread that made it.

mod ended;
mod load;
mod stream;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::{Arc, LazyLock, Once};
use std::task::Poll;
use std::time::Duration;

use deno_core::error::JsError;
use deno_core::{JsRuntime, PollEventLoopOptions, RuntimeOptions, v8};
use serde::{Deserialize, Serialize};
use weir_schema::declarations::FunctionKind;
use weir_schema::digest::Digest;
use weir_schema::limits::{CallLimits, Limit};

use crate::app::App;
use crate::array_buffers::ArrayBuffers;
use crate::cpu_clock::CpuClock;
use crate::imports;
use crate::locale;
use crate::modules::AppModules;
use crate::ops::{self, Doors, SharedPort, Waited};
use crate::pending;
use crate::port::CallPort;
use crate::protocol::{CallRequest, Host, Outcome, ScriptError};
use crate::rejections;
use crate::watchdog::{Watch, Watchdog, Watched};
use ended::{Ended, Settled, mark_handled, plain, script_error, settled};
use load::Handles;

static SNAPSHOT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/snapshot.bin"));

/// Of what is in every isolate before an app's code: another one where V8 or what Weir adds to it is another.
pub fn snapshot_digest() -> Digest {
    static DIGEST: LazyLock<Digest> = LazyLock::new(|| Digest::of_parts(&[SNAPSHOT]));
    *DIGEST
}

/// How much the heap may grow past its limit while a termination takes effect, in bytes. V8 aborts the process at a single
/// allocation beyond it, so it is more than the largest array that one built-in makes.
const HEAP_HEADROOM_BYTES: usize = 2 << 30;
/// V8 reserves its heap in whole pages of its own, and aborts the process where a limit is no number of those.
const HEAP_STEP_BYTES: usize = 1 << 20;

/// What is said of asynchronous code that ends before its promises do.
const PENDING: &str = "returned while a promise was pending: await every promise";

/// Stack of an isolate's thread: V8 stops scripts at about 1 MiB, the rest is for the host's side of a call.
pub const STACK_BYTES: usize = 4 << 20;

/// The first stands for the program's name.
///
/// Unrolling goes because it drops the interrupt check of the loop: with it `for (;;) list.push(new Array(1000))` can be
/// terminated neither at the heap limit nor at the wall limit (V8 15.0, x86_64).
///
/// Frozen objects take no private members either: a class whose parent returns any object could hide state in them.
///
/// Sharing goes because the memory of an isolate that ends then waits for the next one, for good: a script that took
/// 270 MiB at its end would leave them to the process.
const V8_FLAGS: [&str; 5] = [
    "weir",
    "--disallow-code-generation-from-strings",
    "--no-turboshaft-loop-unrolling",
    "--js-nonextensible-applies-to-private",
    "--no-memory-pool-share-memory-on-teardown",
];

/// Prepares V8. Must run on the main thread before any other thread is started; later calls do nothing.
pub fn prepare_v8() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        deno_core::v8_set_flags(V8_FLAGS.iter().map(|flag| (*flag).to_owned()).collect());
        // By itself V8 reads a file, which a worker process cannot open, and then draws from the clock.
        v8::V8::set_entropy_source(|bytes| getrandom::fill(bytes).is_ok());
        JsRuntime::init_platform(None);
        locale::fix();
    });
}

/// Where isolates live: one thread, one at a time.
#[derive(Clone)]
pub struct Place {
    name: usize,
    watchdog: Watchdog,
    clock: CpuClock,
    tokio: Rc<tokio::runtime::Runtime>,
}

impl Place {
    /// The thread that asks. The watchdog tells of its isolates by `name`.
    pub fn here(name: usize, watchdog: &Watchdog) -> std::io::Result<Self> {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        Ok(Self { name, watchdog: watchdog.clone(), clock: CpuClock::of_this_thread(), tokio: Rc::new(tokio) })
    }

    fn watch(&self, isolate: v8::IsolateHandle, limits: &CallLimits) -> Watch {
        self.watchdog.arm(Watched { name: self.name, isolate, clock: self.clock }, limits)
    }
}

/// An isolate with an app in it, warm.
pub struct Isolate {
    runtime: JsRuntime,
    place: Place,
    run: v8::Global<v8::Function>,
    start: v8::Global<v8::Function>,
    open: v8::Global<v8::Function>,
    next_event: v8::Global<v8::Function>,
    give_up: v8::Global<v8::Function>,
    end: v8::Global<v8::Function>,
    failure_code: v8::Global<v8::Function>,
    host_call: v8::Global<v8::Function>,
    functions: Vec<(String, FunctionKind)>,
    limits: CallLimits,
    heap_exceeded: Rc<Cell<bool>>,
    array_buffers: Arc<ArrayBuffers>,
    spoiled: bool,
}

/// Why an isolate could not be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum IsolateError {
    /// A module of the app threw while it was loaded.
    #[error("{}", .0.message)]
    App(ScriptError),
    /// Anything else: a defect.
    #[error("{0}")]
    Internal(String),
}

/// The limits that loading an app keeps to. It happens once for many calls, so it may take longer than one of them.
pub(crate) fn while_loading(limits: &CallLimits) -> CallLimits {
    let defaults = CallLimits::default();
    CallLimits {
        cpu_ms: limits.cpu_ms.max(defaults.cpu_ms),
        wall_ms: limits.wall_ms.max(defaults.wall_ms),
        ..limits.clone()
    }
}

impl IsolateError {
    /// Loading the app went past a limit.
    pub(crate) fn loading(limit: Limit, limits: &CallLimits) -> Self {
        let allowed = limits.value(limit);
        Self::App(plain(format!(
            "loading its modules needs more than {limit} = {allowed}: raise it in app.toml under [limits]"
        )))
    }
}

impl Isolate {
    /// Makes an isolate and loads the app into it.
    pub fn new(app: &Arc<App>, place: &Place) -> Result<Self, IsolateError> {
        prepare_v8();
        let limits = app.manifest.limits.clone();
        let array_buffers = ArrayBuffers::new(limits.array_buffer_bytes);
        let guard = place.tokio.enter();
        let parameters =
            v8::CreateParams::default().heap_limits(0, limits.heap_bytes.next_multiple_of(HEAP_STEP_BYTES));
        let mut runtime = JsRuntime::try_new(RuntimeOptions {
            module_loader: Some(Rc::new(AppModules::new(app.clone()))),
            extensions: vec![ops::weir::init()],
            startup_snapshot: Some(SNAPSHOT),
            create_params: Some(parameters.array_buffer_allocator(array_buffers.allocator().make_shared())),
            ..RuntimeOptions::default()
        })
        .map_err(internal)?;
        imports::refuse(runtime.v8_isolate());
        let heap_exceeded = limit_heap(&mut runtime, limits.heap_bytes);
        let handle = runtime.v8_isolate().thread_safe_handle();
        array_buffers.belong_to(handle.clone());
        let account = array_buffers.clone();
        let reserve = Box::new(move |bytes| account.reserve(bytes));
        runtime.op_state().borrow_mut().put(Doors { port: None, stopping: false, isolate: handle.clone(), reserve });
        let watch = place.watch(handle, &while_loading(&limits));
        let handles = load::load(&mut runtime, &place.tokio, limits.call_depth);
        rejections::watch(runtime.v8_isolate());
        pending::watch(runtime.v8_isolate());
        if let Some(limit) = exceeded(watch, &heap_exceeded, &array_buffers) {
            return Err(IsolateError::loading(limit, &while_loading(&limits)));
        }
        let Handles { run, start, open, next_event, give_up, end, failure_code, host_call, .. } = handles?;
        drop(guard);
        array_buffers.end_call();
        let functions = app.declarations.callables();
        let functions = functions.map(|function| (function.name.clone(), function.kind)).collect();
        Ok(Self {
            runtime,
            place: place.clone(),
            run,
            start,
            open,
            next_event,
            give_up,
            end,
            failure_code,
            host_call,
            functions,
            limits,
            heap_exceeded,
            array_buffers,
            spoiled: false,
        })
    }

    /// Whether it must not be used again.
    pub fn is_spoiled(&self) -> bool {
        self.spoiled
    }

    /// What V8 calls when it has no memory left, of this and of every other isolate. If it returns, V8 ends the process.
    pub fn on_out_of_memory(&mut self, callback: v8::OomErrorCallback) {
        self.runtime.v8_isolate().set_oom_error_handler(callback);
    }

    /// Runs one call to its end, which its host is told.
    pub fn call(&mut self, request: &CallRequest, host: Box<dyn Host>) {
        let port = Rc::new(RefCell::new(CallPort::new(host, &self.limits)));
        let outcome = self.run(request, port.clone());
        // The isolate has let go of it. If not, the host goes, and its caller is told that the call has ended.
        if let Some(port) = Rc::into_inner(port) {
            port.into_inner().finish(outcome);
        }
    }

    /// Runs one call to its end. `port` answers what the script asks meanwhile.
    pub fn run(&mut self, request: &CallRequest, port: SharedPort) -> Outcome {
        if self.functions.get(request.function).is_some_and(|(_, kind)| *kind == FunctionKind::Stream) {
            return self.run_stream(request, &port);
        }
        self.open_doors(port.clone());
        let watch = self.watch();
        let ended = match self.functions.get(request.function) {
            Some((_, FunctionKind::Action)) => match self.run_action(request, &port) {
                Ended::Value(_) | Ended::NoValue | Ended::TooLarge if self.has_pending() => Ended::Leftover(PENDING),
                ended => {
                    self.spoiled |= self.has_pending();
                    ended
                }
            },
            _ => {
                let ended = self.run_sync(request);
                self.settle_leftovers(ended)
            }
        };
        let limit = exceeded(watch, &self.heap_exceeded, &self.array_buffers);
        self.conclude(request, ended, limit)
    }

    /// Starts to watch the script's time.
    fn watch(&mut self) -> Watch {
        let handle = self.runtime.v8_isolate().thread_safe_handle();
        self.place.watch(handle, &self.limits)
    }

    /// What a call came to, and whether the isolate can be used again.
    fn conclude(&mut self, request: &CallRequest, ended: Ended, limit: Option<Limit>) -> Outcome {
        pending::forget();
        let stopping = self.close_doors();
        let outcome = match ended {
            _ if limit.is_some() => limit.map_or(Outcome::Aborted, Outcome::Limit),
            // The port knows why.
            _ if stopping => Outcome::Aborted,
            Ended::Value(text) => Outcome::Value(text),
            Ended::Done => Outcome::Value("null".to_owned()),
            Ended::TooLarge => Outcome::Limit(Limit::ResultBytes),
            Ended::OutOfTime => Outcome::Limit(Limit::Wall),
            Ended::NoValue => Outcome::Failed(self.said_of(request, "returned undefined where a value is declared")),
            Ended::Threw(error) if self.array_buffers.has_refused() && error.is_for_want_of_memory() => {
                Outcome::Limit(Limit::ArrayBuffers)
            }
            Ended::Threw(error) => Outcome::Failed(error),
            Ended::Leftover(what) => {
                self.spoiled = true;
                Outcome::Failed(self.said_of(request, what))
            }
            Ended::Rejected(error) => {
                self.spoiled = true;
                let what = format!("left a rejected promise that nothing awaited: {}", error.message);
                Outcome::Failed(ScriptError { message: self.said_of(request, &what).message, app_code: None, ..error })
            }
            Ended::Terminated => Outcome::Aborted,
        };
        self.spoiled |= !matches!(outcome, Outcome::Value(_) | Outcome::Failed(_));
        if !self.spoiled {
            self.finish_script();
            self.array_buffers.end_call();
            // A heap that was full only now has been given more, which no other call is to have.
            self.spoiled |= self.heap_exceeded.get();
        }
        outcome
    }

    fn open_doors(&mut self, port: SharedPort) {
        let state = self.runtime.op_state();
        if let Some(doors) = state.borrow_mut().try_borrow_mut::<Doors>() {
            doors.port = Some(port);
        }
    }

    /// Whether the port is stopping the call.
    fn is_stopping(&mut self) -> bool {
        let state = self.runtime.op_state();
        state.borrow().try_borrow::<Doors>().is_some_and(|doors| doors.stopping)
    }

    /// Whether the port stopped the call.
    fn close_doors(&mut self) -> bool {
        let state = self.runtime.op_state();
        state.borrow_mut().try_borrow_mut::<Doors>().is_some_and(|doors| {
            doors.port = None;
            doors.stopping
        })
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

    /// Nothing is to be left that could run later: neither a promise that waits nor a job of one. Such jobs are not run
    /// where a promise tells of them; others are, so that no later call pays for them, and can no longer reach the host.
    fn settle_leftovers(&mut self, ended: Ended) -> Ended {
        if matches!(ended, Ended::Terminated) {
            return ended;
        }
        self.finish_script();
        if !pending::is_any(self.runtime.v8_isolate()) {
            self.run_jobs();
        }
        let ended = self.or_rejected(ended);
        match (ended, pending::is_any(self.runtime.v8_isolate())) {
            (Ended::Value(_) | Ended::NoValue | Ended::TooLarge, true) => {
                Ended::Leftover("returned while a promise was pending: only actions are asynchronous")
            }
            (ended, is_any) => {
                self.spoiled |= is_any;
                ended
            }
        }
    }

    /// A promise that was rejected and that nothing awaited is an error of the call.
    fn or_rejected(&mut self, ended: Ended) -> Ended {
        match (rejections::take(), ended) {
            (Some(reason), Ended::Value(_) | Ended::NoValue | Ended::Done | Ended::TooLarge) => {
                match self.threw_at_its_end(&reason) {
                    Ended::Threw(error) => Ended::Rejected(error),
                    other => other,
                }
            }
            (_, ended) => ended,
        }
    }

    fn run_action(&mut self, request: &CallRequest, port: &SharedPort) -> Ended {
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
                (None, Poll::Pending) => {
                    if port.borrow_mut().wait() == Waited::Answered {
                        // Once the ops have taken the answer: they are tasks of their own.
                        cx.waker().wake_by_ref();
                    }
                    Poll::Pending
                }
                (Some(_), Poll::Pending) => {
                    Poll::Ready(Err(Ended::Leftover("returned while calls were still running: await every call")))
                }
                (None, Poll::Ready(Ok(()))) => {
                    Poll::Ready(Err(Ended::Leftover("waits for a promise that nothing can settle")))
                }
            }
        });
        let wall = Duration::from_millis(self.limits.wall_ms);
        let settled = self.place.tokio.block_on(async { tokio::time::timeout(wall, settling).await });
        let ended = match settled {
            Err(_) => Ended::OutOfTime,
            Ok(Err(ended)) => ended,
            Ok(Ok(Settled::Fulfilled(value))) => self.text_of(&value),
            Ok(Ok(Settled::Rejected(reason))) => self.threw_at_its_end(&reason),
        };
        self.or_rejected(ended)
    }

    /// Reads the exception with which asynchronous code has ended. Getters of the thrown value find no call, nor do the jobs
    /// that they leave, and those have run when this returns: a later call would run them as its own.
    fn threw_at_its_end(&mut self, exception: &v8::Global<v8::Value>) -> Ended {
        self.finish_script();
        let ended = self.threw(exception);
        self.run_jobs();
        ended
    }

    /// Runs the jobs that wait.
    fn run_jobs(&mut self) {
        let _tokio = self.place.tokio.enter();
        self.runtime.v8_isolate().perform_microtask_checkpoint();
    }

    /// Whether a promise of the call is pending.
    fn has_pending(&mut self) -> bool {
        pending::is_unsettled(self.runtime.v8_isolate())
    }

    /// Calls `run` or `start` of the prelude: (index, arguments, caller, time, seed…).
    fn invoke(
        &mut self,
        function: &v8::Global<v8::Function>,
        request: &CallRequest,
    ) -> Result<v8::Global<v8::Value>, Ended> {
        let _tokio = self.place.tokio.enter();
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
        let _tokio = self.place.tokio.enter();
        deno_core::scope!(scope, &mut self.runtime);
        v8::tc_scope!(let scope, scope);
        let exception = v8::Local::new(scope, exception);
        let receiver = v8::undefined(scope).into();
        let [app_code, host_call] = [&self.failure_code, &self.host_call].map(|known_of| {
            let known = v8::Local::new(scope, known_of).call(scope, receiver, &[exception]);
            known.filter(|known| known.is_string()).map(|known| known.to_rust_string_lossy(scope))
        });
        let error = JsError::from_v8_exception(scope, exception);
        if scope.has_terminated() {
            return Ended::Terminated;
        }
        Ended::Threw(ScriptError { host_call, ..script_error(*error, app_code) })
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

/// The limit that a call reached, of those that need no port. Ends the watch.
fn exceeded(watch: Watch, heap: &Cell<bool>, array_buffers: &ArrayBuffers) -> Option<Limit> {
    let time = watch.disarm();
    // V8 takes a refusal for a full heap while it looks for memory.
    let array_buffers = array_buffers.is_exceeded() || heap.get() && array_buffers.has_refused();
    match (array_buffers, heap.get()) {
        (true, _) => Some(Limit::ArrayBuffers),
        (_, true) => Some(Limit::Heap),
        _ => time,
    }
}

fn internal(error: impl std::fmt::Display) -> IsolateError {
    IsolateError::Internal(error.to_string())
}
