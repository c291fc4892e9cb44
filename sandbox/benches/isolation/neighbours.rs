//! What a hostile caller costs the others: one call every few milliseconds, alone and beside it.
//!
//! A call's time runs from when it was due, so that one which had to wait for others counts with its wait. A call whose
//! worker dies is made again, as the engine does. Every answer is checked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use weir_sandbox::App;
use weir_sandbox::pool::{Isolation, Pool};
use weir_sandbox::protocol::Outcome;
use weir_schema::limits::Limit;

use crate::app::{ARGUMENTS, TOTAL, app, request};
use crate::calls::{start, through};
use crate::figures::{Samples, ratio};

const EVERY: Duration = Duration::from_millis(10);
const MEASURED: Duration = Duration::from_secs(5);

struct Hostile {
    name: &'static str,
    isolation: Isolation,
    function: &'static str,
    whose: Whose,
}

/// Which app the hostile caller calls.
enum Whose {
    /// The neighbour's: they share isolates and worker.
    Same,
    /// Another: they share the machine.
    Other,
}

const HOSTILE: [Hostile; 5] = [
    Hostile {
        name: "thread, endless loop, same app",
        isolation: Isolation::Thread,
        function: "loops",
        whose: Whose::Same,
    },
    Hostile {
        name: "process, endless loop, same app",
        isolation: Isolation::Process,
        function: "loops",
        whose: Whose::Same,
    },
    Hostile {
        name: "process, endless loop, other app",
        isolation: Isolation::Process,
        function: "loops",
        whose: Whose::Other,
    },
    Hostile {
        name: "process, kills workers, same app",
        isolation: Isolation::Process,
        function: "scans",
        whose: Whose::Same,
    },
    Hostile {
        name: "process, kills workers, other app",
        isolation: Isolation::Process,
        function: "scans",
        whose: Whose::Other,
    },
];

pub fn run() {
    let app = app();
    for Hostile { name, isolation, function, whose } in HOSTILE {
        let pool = Arc::new(start(&app, isolation));
        let alone = calls(&app, &pool);
        let attacked = match whose {
            Whose::Same => pool.clone(),
            Whose::Other => Arc::new(start(&app, isolation)),
        };
        let (beside, ended) = beside(&app, &pool, &attacked, function);
        println!(
            "neighbour of: {name:<34} p50 {:>9.2?} alone, {:>9.2?} beside {ended} ended calls, {:.2} times; \
             p99 {:>9.2?}, {:>9.2?}; max {:>9.2?}; {} made again",
            alone.samples.p50(),
            beside.samples.p50(),
            ratio(beside.samples.p50(), alone.samples.p50()),
            alone.samples.p99(),
            beside.samples.p99(),
            beside.samples.max(),
            beside.again
        );
    }
}

struct Calls {
    samples: Samples,
    /// How many were made again.
    again: usize,
}

fn calls(app: &App, pool: &Pool) -> Calls {
    let request = request(app, "total", ARGUMENTS);
    let (mut samples, mut again) = (Vec::new(), 0);
    let started = Instant::now();
    let mut due = started;
    while due < started + MEASURED {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        loop {
            match through(pool, 0, &request).0 {
                Outcome::Value(value) => break assert_eq!(value, TOTAL),
                Outcome::Lost => again += 1,
                other => panic!("{other:?}"),
            }
        }
        samples.push(due.elapsed());
        due += EVERY;
    }
    Calls { samples: Samples::new(samples), again }
}

/// The same while another caller calls what must be stopped, again and again; how often it was.
fn beside(app: &Arc<App>, pool: &Pool, attacked: &Arc<Pool>, function: &str) -> (Calls, usize) {
    let (over, ended) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            let hostile = request(app, function, "{}");
            while !over.load(Ordering::Relaxed) {
                let outcome = through(attacked, 1, &hostile).0;
                assert!(matches!(outcome, Outcome::Limit(Limit::Cpu | Limit::Wall) | Outcome::Lost), "{outcome:?}");
                ended.fetch_add(1, Ordering::Relaxed);
            }
        });
        let beside = calls(app, pool);
        over.store(true, Ordering::Relaxed);
        (beside, ended.load(Ordering::Relaxed))
    })
}
