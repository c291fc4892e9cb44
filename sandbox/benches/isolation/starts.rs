//! Starts: an isolate from the snapshot, a worker from nothing, and the next answer after a worker's death.

use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use weir_sandbox::App;
use weir_sandbox::isolate::{Isolate, Place};
use weir_sandbox::process::remote::RemoteIsolate;
use weir_sandbox::process::supervisor::Supervisor;
use weir_sandbox::process::worker::this_program;
use weir_sandbox::protocol::Outcome;
use weir_sandbox::watchdog::Watchdog;

use crate::app::{ARGUMENTS, NearHost, TOTAL, app, request};
use crate::bare::Bare;
use crate::figures::{Samples, against, ratio};

/// With this argument the binary ends at once.
pub const NOTHING: &str = "nothing";

const STARTS: usize = 30;
/// Fewer than a supervisor starts at once.
const DEATHS: usize = 11;
/// For the next spare to be there.
const BETWEEN_DEATHS: Duration = Duration::from_millis(400);

const ISOLATE: Duration = Duration::from_millis(5);
const WORKER: Duration = Duration::from_millis(40);
/// What "at once" means.
const SPARE: Duration = Duration::from_millis(1);

pub fn run(bare: &Bare) {
    let app = app();
    let here = thread::scope(|scope| scope.spawn(|| isolates_here(&app)).join().unwrap());
    println!("thread: isolate from the snapshot  {} ({})", say(&here, bare), against(here.p50(), ISOLATE));
    let there = isolates_there(&app);
    println!("process: the same, in a worker     {} ({})", say(&there, bare), against(there.p50(), ISOLATE));
    let nothing = Samples::of(STARTS, || {
        let started = Instant::now();
        assert!(Command::new(this_program().unwrap()).arg(NOTHING).status().unwrap().success());
        started.elapsed()
    });
    println!("a process alone, start to end      p50 {:>9.2?}", nothing.p50());
    let worker = Samples::of(STARTS, || worker(&app));
    println!("process: worker to first answer    {} ({})", say(&worker, bare), against(worker.p50(), WORKER));
    for (name, spare) in [("no spare", 0), ("a warm spare", 1)] {
        let (noticed, answered) = deaths(&app, spare);
        let kept = if spare > 0 { format!(" ({})", against(answered.p50(), SPARE)) } else { String::new() };
        println!(
            "process: with {name}, killed to noticed p50 {:>9.2?}, noticed to next answer p50 {:>9.2?}  max {:>9.2?}{kept}",
            noticed.p50(),
            answered.p50(),
            answered.max()
        );
    }
}

fn say(samples: &Samples, bare: &Bare) -> String {
    format!(
        "p50 {:>9.2?}  max {:>9.2?}, {:.2} of bare V8",
        samples.p50(),
        samples.max(),
        ratio(samples.p50(), bare.start.p50())
    )
}

fn isolates_here(app: &Arc<App>) -> Samples {
    let place = Place::here(0, &Watchdog::start(|_| {}).unwrap()).unwrap();
    Samples::of(STARTS, || {
        let started = Instant::now();
        let isolate = Isolate::new(app, &place).unwrap();
        let took = started.elapsed();
        drop(isolate);
        took
    })
}

/// From a call that spoils its isolate until the worker has made another.
fn isolates_there(app: &Arc<App>) -> Samples {
    let supervisor = supervise(app, 0);
    let mut isolate = RemoteIsolate::new(&supervisor, app).unwrap();
    Samples::of(STARTS, || {
        assert!(matches!(call(&mut isolate, app, "spoils"), Outcome::Failed(_)));
        let started = Instant::now();
        isolate.renew().unwrap();
        started.elapsed()
    })
}

fn supervise(app: &App, spare: usize) -> Arc<Supervisor> {
    Arc::new(Supervisor::start(this_program().unwrap(), app, 1, spare).unwrap())
}

fn call(isolate: &mut RemoteIsolate, app: &App, function: &str) -> Outcome {
    let (done, outcome) = channel();
    isolate.call(&request(app, function, ARGUMENTS), Box::new(NearHost { done, in_flight: None }));
    outcome.recv().unwrap()
}

fn worker(app: &Arc<App>) -> Duration {
    let started = Instant::now();
    let supervisor = supervise(app, 0);
    let mut isolate = RemoteIsolate::new(&supervisor, app).unwrap();
    assert_eq!(call(&mut isolate, app, "total"), Outcome::Value(TOTAL.into()));
    started.elapsed()
}

/// From the signal that kills a worker until its call has ended, and from then to the next answer of whoever had an
/// isolate in it. The kernel takes a process's memory away before it closes what the other side looks at.
fn deaths(app: &Arc<App>, spare: usize) -> (Samples, Samples) {
    let supervisor = supervise(app, spare);
    let mut isolate = RemoteIsolate::new(&supervisor, app).unwrap();
    let samples = (0..DEATHS).map(|_| {
        thread::sleep(BETWEEN_DEATHS);
        assert_eq!(call(&mut isolate, app, "total"), Outcome::Value(TOTAL.into()));
        let worker = Pid::from_raw(isolate.worker_id().try_into().unwrap()).unwrap();
        let killed = Instant::now();
        kill_process(worker, Signal::KILL).unwrap();
        while call(&mut isolate, app, "total") != Outcome::Lost {}
        let noticed = Instant::now();
        isolate.renew().unwrap();
        assert_eq!(call(&mut isolate, app, "total"), Outcome::Value(TOTAL.into()));
        (noticed - killed, noticed.elapsed())
    });
    let (noticed, answered) = samples.unzip();
    (Samples::new(noticed), Samples::new(answered))
}
