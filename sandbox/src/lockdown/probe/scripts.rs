//! Shows that V8 and tokio do after the lock-down what workers need of them.
//!
//! As in a worker, threads and pollers are made before the last step; isolates are also made after it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use std::{io, thread};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};

use super::Script;
use crate::app::App;
use crate::compile::{Sources, compile};
use crate::isolate::{Isolate, Place, STACK_BYTES};
use crate::protocol::{Answering, CallRequest, Host, HostCall, HostError, Outcome, ScriptCaller};
use crate::watchdog::Watchdog;

/// How long one thing may take. Far more than any does.
const PATIENCE: Duration = Duration::from_secs(30);

const MANIFEST: &str = "name = \"probe\"\nversion = \"1.0.0\"\n[limits]\ncpu_ms = 20000\nwall_ms = 20000\n";

/// Scripts that make V8 do what it does less often than computing.
const SOURCE: &str = include_str!("scripts.ts");

/// A function of a source, what it does and the value that it must give.
pub type Function = (&'static str, &'static str, &'static str);

/// Those of the source above.
const FUNCTIONS: &[Function] = &[
    ("fillHeap", "collect garbage", "20"),
    ("warmUp", "compile what runs often", "49995000"),
    ("matchText", "match a regular expression", "\"example\""),
    ("formatNumber", "format a number for a language", "\"1.234,5\""),
    ("multiply", "compute with BigInts", "\"107150860718626732094842504906\""),
    ("overflow", "overflow the stack", "\"RangeError\""),
    ("wait", "wait for promises", "3"),
];

/// What is ready to run once the process is locked down.
pub struct Prepared(Result<Parts, String>);

struct Parts {
    locked: Sender<()>,
    scripts: Receiver<Vec<Script>>,
    poller: Poller,
}

/// A tokio runtime and a pair of its sockets.
struct Poller {
    runtime: Runtime,
    here: UnixStream,
    there: UnixStream,
}

/// Makes threads, pollers and a first isolate for the scripts of this module.
pub fn prepare() -> Prepared {
    prepare_for(SOURCE, FUNCTIONS)
}

/// The same for others.
pub fn prepare_for(source: &str, functions: &'static [Function]) -> Prepared {
    Prepared(parts(source, functions))
}

fn parts(source: &str, functions: &'static [Function]) -> Result<Parts, String> {
    let files = [("app.toml", MANIFEST), ("functions/probe.ts", source)];
    let sources = Sources::from_texts(files.map(|(path, text)| (path.to_owned(), text.to_owned())));
    let app = compile(&sources).map_err(|diagnostics| format!("{diagnostics:?}"))?;
    let watchdog = Watchdog::start(|_| ()).map_err(|error| error.to_string())?;
    let poller = Poller::new().map_err(|error| error.to_string())?;
    let (ready, is_ready) = channel();
    let (locked, is_locked) = channel();
    let (done, scripts) = channel();
    thread::Builder::new()
        .name("weir-isolate".into())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let trial = Trial { app: Arc::new(app), functions, watchdog };
            trial.serve(&ready, &is_locked, &done);
        })
        .map_err(|error| error.to_string())?;
    is_ready.recv().map_err(|_| "the thread of the isolates ended".to_owned())??;
    Ok(Parts { locked, scripts, poller })
}

impl Prepared {
    /// Runs everything.
    pub fn run(self) -> Vec<Script> {
        let parts = match self.0 {
            Ok(parts) => parts,
            Err(failure) => return vec![script("be prepared", Some(failure))],
        };
        // The thread waits for it, or has ended and says nothing.
        let _ = parts.locked.send(());
        let mut scripts =
            parts.scripts.recv_timeout(PATIENCE).unwrap_or_else(|error| vec![script("run", Some(error.to_string()))]);
        scripts
            .push(script("wait for sockets and clocks", parts.poller.try_out().err().map(|error| error.to_string())));
        scripts
    }
}

fn script(what: &str, failure: Option<String>) -> Script {
    Script { what: what.to_owned(), failure }
}

/// What the thread of the isolates works with.
struct Trial {
    app: Arc<App>,
    functions: &'static [Function],
    watchdog: Watchdog,
}

impl Trial {
    /// Runs all functions in an isolate from before the lock-down, and again in one from after it.
    fn serve(&self, ready: &Sender<Result<(), String>>, locked: &Receiver<()>, done: &Sender<Vec<Script>>) {
        let place = Place::here(0, &self.watchdog).map_err(|error| error.to_string());
        let first = place.as_ref().map_err(Clone::clone).and_then(|place| self.isolate(place));
        let report = first.as_ref().map(|_| ()).map_err(Clone::clone);
        if ready.send(report).is_err() || locked.recv().is_err() {
            return;
        }
        let (Ok(place), Ok(mut first)) = (place, first) else { return };
        let each = self.functions.iter();
        let mut scripts: Vec<Script> =
            each.map(|function| script(function.1, self.run(&mut first, function).err())).collect();
        drop(first);
        let again = self
            .isolate(&place)
            .and_then(|mut second| self.functions.iter().try_for_each(|function| self.run(&mut second, function)));
        scripts.push(script("run in a new isolate", again.err()));
        // Who does not wait any longer has said so.
        let _ = done.send(scripts);
    }

    fn isolate(&self, place: &Place) -> Result<Isolate, String> {
        Isolate::new(&self.app, place).map_err(|error| error.to_string())
    }

    fn run(&self, isolate: &mut Isolate, (name, _, expected): &Function) -> Result<(), String> {
        let place = self.app.declarations.functions.values().position(|function| function.name == *name);
        let request = CallRequest {
            function: place.ok_or_else(|| format!("no function {name}"))?,
            arguments: "{}".into(),
            now_ms: 1_700_000_000_000,
            seed: [1, 2, 3, 4],
            caller: ScriptCaller::without_token("developer").text(),
        };
        let (done, outcome) = channel();
        isolate.call(&request, Box::new(NoHost(done)));
        match outcome.recv() {
            Ok(Outcome::Value(value)) if value == *expected => Ok(()),
            Ok(other) => Err(format!("{name}: {other:?}")),
            Err(_) => Err(format!("{name}: no outcome")),
        }
    }
}

/// A host that has nothing.
struct NoHost(Sender<Outcome>);

impl Host for NoHost {
    fn ask(&mut self, _call: HostCall) -> Result<String, HostError> {
        Err(HostError::Refused("there is nothing here".into()))
    }

    fn start(&mut self, _call: HostCall) -> Answering {
        Box::pin(async { Err(HostError::Refused("there is nothing here".into())) })
    }

    fn finish(self: Box<Self>, outcome: Outcome) {
        // Who does not wait any longer has said so.
        let _ = self.0.send(outcome);
    }
}

impl Poller {
    fn new() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (here, there) = {
            let _entered = runtime.enter();
            UnixStream::pair()?
        };
        Ok(Self { runtime, here, there })
    }

    /// A byte over the pair, sent after a while.
    fn try_out(self) -> io::Result<()> {
        let Self { runtime, mut here, mut there } = self;
        runtime.block_on(async {
            let sending = async {
                tokio::time::sleep(Duration::from_millis(5)).await;
                here.write_all(b"w").await
            };
            let mut byte = [0_u8];
            let (sent, received) = tokio::join!(sending, there.read_exact(&mut byte));
            sent.and(received.map(drop))
        })
    }
}
