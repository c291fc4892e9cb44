//! Warm calls: with an isolate in hand, through a pool alone and among others, and what a call of the host adds.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use weir_sandbox::App;
use weir_sandbox::isolate::{Isolate, Place};
use weir_sandbox::pool::{Isolation, Pool, PoolOptions, Share};
use weir_sandbox::process::remote::RemoteIsolate;
use weir_sandbox::process::supervisor::Supervisor;
use weir_sandbox::process::worker::this_program;
use weir_sandbox::protocol::{CallRequest, Outcome};
use weir_sandbox::watchdog::Watchdog;

use crate::app::{ARGUMENTS, MODES, NearHost, TOTAL, app, request};
use crate::bare::Bare;
use crate::figures::{Samples, against, ratio};

const CALLS: usize = 20_000;
const CALLERS: usize = 16;
/// Calls of the host in one call.
const ASKS: u32 = 200;
/// How long the engine looks for the end of a call before it sleeps, where no worker needs the core.
const AWAKE: Duration = Duration::from_micros(20);

struct Aims {
    call: Duration,
    ask: Duration,
}

fn aims(isolation: Isolation) -> Aims {
    match isolation {
        Isolation::Thread => Aims { call: Duration::from_micros(10), ask: Duration::from_micros(3) },
        Isolation::Process => Aims { call: Duration::from_micros(40), ask: Duration::from_micros(15) },
    }
}

pub fn run(bare: &Bare) {
    let app = app();
    for (name, isolation) in MODES {
        let aims = aims(isolation);
        let bare = bare.call.p50();
        let in_hand = thread::scope(|scope| scope.spawn(|| in_hand(&app, isolation)).join().unwrap());
        println!(
            "{name}: isolate in hand            {}, {:.1} of bare V8",
            say(&in_hand.calls),
            ratio(in_hand.calls.p50(), bare)
        );
        let ask = in_hand.ask;
        println!(
            "{name}: one call of the host       p50 {ask:>9.2?}, {:.1} of bare V8 ({})",
            ratio(ask, bare),
            against(ask, aims.ask)
        );
        let pool = Arc::new(start(&app, isolation));
        let alone = Samples::of(CALLS, || through(&pool, 0, &request(&app, "total", ARGUMENTS)).1);
        println!(
            "{name}: pool, one caller           {}, {:.1} of bare V8 ({})",
            say(&alone),
            ratio(alone.p50(), bare),
            against(alone.p50(), aims.call)
        );
        let (among, per_second) = among(&app, &pool);
        println!("{name}: pool, {CALLERS} callers           {}, {per_second:.0} calls/s", say(&among));
    }
}

fn say(samples: &Samples) -> String {
    format!("p50 {:>9.2?}  p99 {:>9.2?}", samples.p50(), samples.p99())
}

/// A pool as `weir dev` has it.
pub fn start(app: &Arc<App>, isolation: Isolation) -> Pool {
    let watchdog = Watchdog::start(|_| {}).unwrap();
    Pool::start(app, &watchdog, &PoolOptions { isolation, ..PoolOptions::default() }).unwrap()
}

struct InHand {
    calls: Samples,
    ask: Duration,
}

/// Without a pool: on the isolate's own thread, or on the one that its worker answers to.
fn in_hand(app: &Arc<App>, isolation: Isolation) -> InHand {
    match isolation {
        Isolation::Thread => {
            let place = Place::here(0, &Watchdog::start(|_| {}).unwrap()).unwrap();
            let mut isolate = Isolate::new(app, &place).unwrap();
            measure(app, |request| {
                let (done, outcome) = channel();
                isolate.call(request, Box::new(NearHost { done, in_flight: None }));
                outcome.recv().unwrap()
            })
        }
        Isolation::Process => {
            let supervisor = Arc::new(Supervisor::start(this_program().unwrap(), app, 1, 0).unwrap());
            let mut isolate = RemoteIsolate::new(&supervisor, app).unwrap();
            measure(app, |request| {
                let (done, outcome) = channel();
                isolate.call(request, Box::new(NearHost { done, in_flight: None }));
                outcome.recv().unwrap()
            })
        }
    }
}

fn measure(app: &App, mut call: impl FnMut(&CallRequest) -> Outcome) -> InHand {
    let mut timed = |request: &CallRequest, expected: &str| {
        let started = Instant::now();
        let outcome = call(request);
        let took = started.elapsed();
        assert_eq!(outcome, Outcome::Value(expected.into()));
        took
    };
    let total = request(app, "total", ARGUMENTS);
    let calls = Samples::of(CALLS, || timed(&total, TOTAL));
    let [none, many] = [0, ASKS].map(|count| {
        let asking = request(app, "asks", &format!("{{\"count\":{count}}}"));
        Samples::of(CALLS / 50, || timed(&asking, &count.to_string())).p50()
    });
    InHand { calls, ask: many.saturating_sub(none) / ASKS }
}

/// One call through a pool, as the engine makes it, and how long it took.
pub fn through(pool: &Pool, caller: u64, request: &CallRequest) -> (Outcome, Duration) {
    let (done, outcome) = channel();
    let request = request.clone();
    let started = Instant::now();
    let host = NearHost { done, in_flight: Some(pool.enter()) };
    assert!(pool.call(Share { tenant: 0, caller }, request, Box::new(host)).is_ok(), "the queue is full");
    let outcome = wait(pool, &outcome, started);
    (outcome, started.elapsed())
}

fn wait(pool: &Pool, outcome: &Receiver<Outcome>, started: Instant) -> Outcome {
    while pool.isolation() == Isolation::Thread && pool.calls_in_flight() <= 1 && started.elapsed() < AWAKE {
        if let Ok(outcome) = outcome.try_recv() {
            return outcome;
        }
        std::hint::spin_loop();
    }
    outcome.recv().unwrap()
}

/// Many callers at once, each of which waits for its answer before it calls again.
fn among(app: &Arc<App>, pool: &Arc<Pool>) -> (Samples, f64) {
    let started = Instant::now();
    let callers: Vec<_> = (0..CALLERS as u64)
        .map(|caller| {
            let (app, pool) = (app.clone(), pool.clone());
            thread::spawn(move || {
                let request = request(&app, "total", ARGUMENTS);
                let call = || {
                    let (outcome, took) = through(&pool, caller, &request);
                    assert_eq!(outcome, Outcome::Value(TOTAL.into()));
                    took
                };
                std::iter::repeat_with(call).take(CALLS / 4).collect::<Vec<_>>()
            })
        })
        .collect();
    let samples: Vec<Duration> = callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect();
    let per_second = samples.len() as f64 / started.elapsed().as_secs_f64();
    (Samples::new(samples), per_second)
}
