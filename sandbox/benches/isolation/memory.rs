//! Memory per warm isolate, and how many fit into a gibibyte: counted by what each one more takes, and tried in less.
//!
//! Isolates on threads are measured in a process of their own, since this one has done other things.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use weir_sandbox::App;
use weir_sandbox::isolate::{Isolate, Place};
use weir_sandbox::process::remote::RemoteIsolate;
use weir_sandbox::process::supervisor::Supervisor;
use weir_sandbox::process::worker::this_program;
use weir_sandbox::protocol::{CallRequest, Outcome};
use weir_sandbox::watchdog::Watchdog;

use crate::app::{ARGUMENTS, NearHost, TOTAL, app, request};

/// With this argument, a number of isolates and one of bytes the binary makes isolates on threads, until it has so many or
/// needs so much, and prints how many it has and what they take.
pub const THREADS: &str = "memory-of-threads";

const COUNTS: [usize; 4] = [1, 2, 4, 8];
/// Calls after which an isolate counts as warm.
const CALLS: usize = 500;
/// As the pool has it.
const ISOLATES_PER_WORKER: usize = 4;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TRIED: u64 = 256 * MIB;
const AIM: u64 = 5 * MIB;

pub fn run() {
    let app = app();
    let threads = COUNTS.map(|count| (count, in_threads(count, u64::MAX).1));
    let each = say("thread", &threads);
    println!("thread: fit into 1 GiB             {} isolates", (GIB - (threads[0].1 - each)) / each);
    println!("thread: tried in 256 MiB           {} isolates", in_threads(usize::MAX, TRIED).0);

    let workers = COUNTS.map(|count| {
        let isolates = Vec::from_iter(worker_of(&app, count));
        (count, private_bytes(isolates[0].worker_id()))
    });
    let each = say("process", &workers);
    let (_, full) = workers.iter().find(|(count, _)| *count == ISOLATES_PER_WORKER).unwrap();
    println!("process: a worker without isolates {:>6.1} MiB", mib(workers[0].1.saturating_sub(each)));
    println!(
        "process: fit into 1 GiB            {} isolates, {ISOLATES_PER_WORKER} to a worker",
        GIB / full * ISOLATES_PER_WORKER as u64
    );
    let (mut isolates, mut taken) = (Vec::new(), 0);
    loop {
        let worker = Vec::from_iter(worker_of(&app, ISOLATES_PER_WORKER));
        taken += private_bytes(worker[0].worker_id());
        if taken > TRIED {
            break;
        }
        isolates.extend(worker);
    }
    println!("process: tried in 256 MiB          {} isolates", isolates.len());
}

/// Says what they take; what one more takes.
fn say(mode: &str, measured: &[(usize, u64)]) -> u64 {
    for (count, bytes) in measured {
        println!("{mode}: {count} isolates                 {:>6.1} MiB of private memory", mib(*bytes));
    }
    let ((one, least), (many, most)) = (measured[0], measured[measured.len() - 1]);
    let each = most.saturating_sub(least) / (many - one) as u64;
    let kept = if each < AIM { "kept" } else { "MISSED" };
    println!("{mode}: one more isolate           {:>6.1} MiB (aim 5 MiB: {kept})", mib(each));
    each
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB as f64
}

/// What is in memory for a process and for no other: pages that no file holds. Not in `smaps`, which a worker hides.
fn private_bytes(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let anonymous =
        status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("this kernel counts no RssAnon");
    anonymous.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// The isolates of one worker, warm. Dropping them ends it.
fn worker_of(app: &Arc<App>, count: usize) -> impl Iterator<Item = RemoteIsolate> {
    let supervisor = Arc::new(Supervisor::start(this_program().unwrap(), app, count, 0).unwrap());
    let request = request(app, "total", ARGUMENTS);
    (0..count).map(move |_| {
        let mut isolate = RemoteIsolate::new(&supervisor, app).unwrap();
        for _ in 0..CALLS {
            let (done, outcome) = channel();
            isolate.call(&request, Box::new(NearHost { done, in_flight: None }));
            assert_eq!(outcome.recv().unwrap(), Outcome::Value(TOTAL.into()));
        }
        isolate
    })
}

/// How many isolates on threads there are in a process of their own, and what they take, in bytes.
fn in_threads(count: usize, within_bytes: u64) -> (u64, u64) {
    let mut command = Command::new(this_program().unwrap());
    let command = command.args([THREADS, &count.to_string(), &within_bytes.to_string()]);
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let [count, bytes] = said.split_whitespace().map(|word| word.parse().unwrap()).collect::<Vec<u64>>()[..] else {
        panic!("{said:?}");
    };
    (count, bytes)
}

/// What the binary does under [`THREADS`].
pub fn on_threads(count: usize, within_bytes: u64) {
    weir_sandbox::isolate::prepare_v8();
    let app = app();
    let own = std::process::id();
    let watchdog = Watchdog::start(|_| {}).unwrap();
    let (ready, made) = channel();
    let (mut isolates, mut bytes) = (0, 0);
    while isolates < count {
        let (app, watchdog, ready) = (app.clone(), watchdog.clone(), ready.clone());
        thread::spawn(move || {
            let place = Place::here(0, &watchdog).unwrap();
            let mut isolate = Isolate::new(&app, &place).unwrap();
            let request = request(&app, "total", ARGUMENTS);
            (0..CALLS).for_each(|_| warm(&mut isolate, &request));
            ready.send(()).unwrap();
            // With its isolate, to the end of the process.
            loop {
                thread::park();
            }
        });
        made.recv().unwrap();
        bytes = private_bytes(own);
        if bytes > within_bytes {
            break;
        }
        isolates += 1;
    }
    println!("{isolates} {bytes}");
}

fn warm(isolate: &mut Isolate, request: &CallRequest) {
    let (done, outcome) = channel();
    isolate.call(request, Box::new(NearHost { done, in_flight: None }));
    assert_eq!(outcome.recv().unwrap(), Outcome::Value(TOTAL.into()));
}
