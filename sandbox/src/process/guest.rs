//! The worker's own side: its main, its isolates, and what it does when it cannot go on.
//!
//! The order is what makes it safe: nothing of the app is looked at before the process is locked down. That takes two
//! steps, since all threads that the worker ever has are started in between.

use std::cell::{Cell, RefCell};
use std::ffi::c_char;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread;

use deno_core::v8;
use parking_lot::Mutex;
use weir_schema::limits::Limit;

use super::channel::{Channel, ChannelError};
use super::descriptors;
use super::frame::{self, BadFrame, FromIsolate, Report, Setup, ToIsolate};
use super::remote_port::RemotePort;
use super::signals;
use crate::app::App;
use crate::isolate::{Isolate, IsolateError, Place, STACK_BYTES, prepare_v8};
use crate::lockdown::{self, Bounds, Halfway};
use crate::protocol::CallRequest;
use crate::watchdog::{Ignored, Watchdog};

/// The argument with which the binary becomes a worker.
pub const ARGUMENT: &str = "isolate-worker";

/// All that a worker has as its environment. The time zone is what a script sees as local.
pub const ENVIRONMENT: [(&str, &str); 1] = [("TZ", "UTC")];

/// The longest frame from the host, in bytes: rows that a script asked for. The host is trusted; a mistake is not.
const FROM_HOST_BYTES_MAX: usize = 2 << 30;

/// Where the watchdog and V8 tell for whose fault the process ends.
static CONTROL: OnceLock<Mutex<Channel>> = OnceLock::new();

/// Whether V8 has found a mistake of its own.
static HAS_MISTAKE: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// The isolate of this thread.
    static OWN: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Why a worker cannot work.
#[derive(Debug, thiserror::Error)]
enum WorkerError {
    #[error("this command is for weir itself: it has no host on stdin ({0})")]
    Host(io::Error),
    #[error(transparent)]
    Channel(#[from] ChannelError),
    #[error("not an app: {0}")]
    App(#[from] serde_json::Error),
    #[error("no thread: {0}")]
    Thread(io::Error),
    #[error("started twice")]
    Twice,
}

/// A worker from its start to its end, which comes with its host's: for so many isolates, with so much memory for each.
/// To be called first thing on the main thread.
pub fn main(isolates: u64, bytes_each: u64) -> ExitCode {
    signals::ignore_requests_to_end();
    let halfway = lockdown::before_threads(&Bounds::for_isolates(isolates, bytes_each));
    match work(halfway) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weir: {error}");
            ExitCode::FAILURE
        }
    }
}

fn work(halfway: Halfway) -> Result<(), WorkerError> {
    let control = io::stdin().as_fd().try_clone_to_owned().map_err(WorkerError::Host)?;
    let control = UnixStream::from(control);
    let channels = descriptors::receive(&control).map_err(WorkerError::Host)?;
    let watched = control.try_clone().map_err(WorkerError::Host)?;
    let mut control = Channel::new(control, FROM_HOST_BYTES_MAX).map_err(WorkerError::Host)?;
    let setup: Setup = frame::read_owned(&control.receive(None)?).map_err(ChannelError::from)?;

    prepare_v8();
    v8::V8::set_fatal_error_handler(note_mistake);
    signals::on_trap(end_for_size);
    let watchdog = Watchdog::start(end_for_ignoring).map_err(WorkerError::Thread)?;
    let (mut doors, mut settled) = (Vec::new(), Vec::new());
    for (number, descriptor) in (0..).zip(channels) {
        let (open, opened) = channel();
        let (settle, is_settled) = channel();
        let watchdog = watchdog.clone();
        let named = thread::Builder::new().name(format!("weir-isolate-{number}")).stack_size(STACK_BYTES);
        let living = named.spawn(move || live(number, descriptor, &watchdog, &settle, &opened));
        living.map_err(WorkerError::Thread)?;
        doors.push(open);
        settled.push(is_settled);
    }
    // All threads have what they need to open.
    settled.iter().for_each(|is_settled| is_settled.recv().unwrap_or_default());

    control.send(&Report::LockedDown(halfway.all_threads()), None)?;
    CONTROL.set(Mutex::new(control)).map_err(|_| WorkerError::Twice)?;
    let app: Arc<App> = Arc::new(serde_json::from_str(&setup.app)?);
    doors.iter().for_each(|door: &Sender<Arc<App>>| door.send(app.clone()).unwrap_or_default());
    await_end(&watched);
    Ok(())
}

/// Returns when the host has gone: it says nothing more on the control channel.
fn await_end(control: &UnixStream) {
    use rustix::event::{PollFd, PollFlags, poll};
    // Hanging up is told without being asked for.
    while let Ok(0) | Err(rustix::io::Errno::INTR) = poll(&mut [PollFd::new(control, PollFlags::empty())], None) {}
}

/// The life of one isolate's thread. The app comes once the process is locked down.
fn live(number: u32, descriptor: OwnedFd, watchdog: &Watchdog, settled: &Sender<()>, app: &Receiver<Arc<App>>) {
    OWN.set(Some(number));
    let name = usize::try_from(number).unwrap_or(usize::MAX);
    let place = Place::here(name, watchdog).map_err(|error| IsolateError::Internal(error.to_string()));
    let channel = Channel::new(UnixStream::from(descriptor), FROM_HOST_BYTES_MAX);
    // Nobody is left to tell if not even the main thread waits.
    let _ = settled.send(());
    let (Ok(channel), Ok(app)) = (channel, app.recv()) else { return };
    let channel = Rc::new(RefCell::new(channel));
    // Ends with its host, which has closed the channel: nobody is left to tell.
    let _ = serve(&app, place, &channel);
}

fn serve(
    app: &Arc<App>,
    place: Result<Place, IsolateError>,
    channel: &Rc<RefCell<Channel>>,
) -> Result<(), ChannelError> {
    loop {
        let mut isolate = match place.as_ref().map_err(Clone::clone).and_then(|place| Isolate::new(app, place)) {
            Ok(isolate) => isolate,
            Err(error) => return channel.borrow_mut().send(&FromIsolate::Unmade(error), None),
        };
        isolate.on_out_of_memory(end_for_memory);
        channel.borrow_mut().send(&FromIsolate::Ready, None)?;
        while !isolate.is_spoiled() {
            let bytes = channel.borrow_mut().receive(None)?;
            let Some(request) = request(&bytes)? else { continue };
            let outcome = isolate.run(&request, Rc::new(RefCell::new(RemotePort::new(channel, &app.manifest.limits))));
            let spoiled = isolate.is_spoiled();
            // Answers that an action has ended without are taken, or the host would not listen.
            channel.borrow_mut().send_and_take(&FromIsolate::Ended { outcome, spoiled }, late)?;
        }
    }
}

/// The next call, if it is one.
fn request(bytes: &[u8]) -> Result<Option<CallRequest>, BadFrame> {
    match frame::read(bytes)? {
        ToIsolate::Call { function, now_ms, seed, caller, arguments } => Ok(Some(CallRequest {
            function: usize::try_from(function).unwrap_or(usize::MAX),
            arguments: arguments.into_owned(),
            now_ms,
            seed,
            caller: caller.into(),
        })),
        ToIsolate::Answer(_) => Err(BadFrame::unexpected("Answer")),
        ToIsolate::Wanted(_) => Err(BadFrame::unexpected("Wanted")),
        // An action has ended without it. All of them come before the next call.
        ToIsolate::Settled(..) => Ok(None),
    }
}

/// What comes while the end of a call is told: the next call cannot.
fn late(bytes: &[u8]) -> Result<(), ChannelError> {
    match frame::read(bytes)? {
        ToIsolate::Settled(..) => Ok(()),
        _ => Err(BadFrame::unexpected("another frame than Settled").into()),
    }
}

/// A script computes on after it was told to end: the process ends.
fn end_for_ignoring(ignored: Ignored) {
    end(u32::try_from(ignored.isolate).ok(), ignored.limit);
}

/// V8 has no memory left: the process ends.
extern "C" fn end_for_memory(_location: *const c_char, _details: &v8::OomDetails) {
    // Threads of V8's own have no isolate: then nobody is named.
    end(OWN.get(), Limit::Heap);
}

/// V8 has found a mistake of its own, and ends the process after this.
fn note_mistake(_file: &str, _line: i32, _message: &str) {
    HAS_MISTAKE.store(true, Ordering::Relaxed);
}

/// V8 ends the process where a script asks for an array that is larger than any may be, whatever memory there is, and says so
/// to nobody ("Fatal JavaScript invalid size error"). It does the same after a mistake of its own.
extern "C" fn end_for_size(_signal: libc::c_int) {
    if !HAS_MISTAKE.load(Ordering::Relaxed) {
        end(OWN.get(), Limit::Heap);
    }
    std::process::abort()
}

/// Ends the process at once; nothing of it is worth a last turn.
fn end(isolate: Option<u32>, limit: Limit) -> ! {
    if let (Some(isolate), Some(control)) = (isolate, CONTROL.get()) {
        // Unheard, the host takes it for an end without a cause.
        let _ = control.lock().send(&Report::Culprit { isolate, limit }, None);
    }
    std::process::abort()
}
