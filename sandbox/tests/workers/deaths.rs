//! What ends a worker, what becomes of those who were in it, and that none outlives its host.

use std::fs;
use std::thread;
use std::time::Duration;

use libtest_mimic::Trial;
use weir_sandbox::protocol::Outcome;
use weir_schema::declarations::FunctionKind;
use weir_schema::limits::Limit;

use super::app::{LIMITS, app, call, call_at, isolate, query, supervise, value};
use super::trial;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("built_ins_that_cannot_be_interrupted_end_their_worker", uninterruptible),
        trial("memory_that_is_not_there_ends_the_worker", out_of_memory),
        trial("a_neighbour_in_the_same_worker_may_run_again", a_neighbour_may_run_again),
        trial("a_worker_that_is_killed_is_replaced", killed),
        trial("a_worker_goes_on_when_all_processes_are_asked_to_end", asked_to_end),
        trial("no_worker_outlives_its_supervisor", no_worker_outlives_its_supervisor),
    ]
}

fn uninterruptible() {
    let app = query(LIMITS, "if (args.ok) return 1; return Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1)");
    let workers = supervise(&app, 1, 1);
    let mut isolate = isolate(&workers, &app).unwrap();
    for _ in 0..3 {
        assert_eq!(call(&mut isolate), Outcome::Limit(Limit::Cpu));
        isolate.renew().unwrap();
        assert_eq!(call_at(&mut isolate, 0, r#"{"ok":true}"#), value("1"));
    }
}

fn out_of_memory() {
    let roomy = LIMITS.replace("cpu_ms = 500", "cpu_ms = 10000");
    for code in ["[...'x'.repeat(2 ** 28)].length", "new Array(2 ** 28).fill(0).map((_, i) => ({ i })).length"] {
        let app = query(&roomy, &format!("if (args.ok) return 1; return {code}"));
        let workers = supervise(&app, 1, 1);
        let mut isolate = isolate(&workers, &app).unwrap();
        assert_eq!(call(&mut isolate), Outcome::Limit(Limit::Heap), "{code}");
        isolate.renew().unwrap();
        assert_eq!(call_at(&mut isolate, 0, r#"{"ok":true}"#), value("1"), "{code}");
    }
}

fn a_neighbour_may_run_again() {
    let app = app(
        LIMITS,
        &[("hostile", FunctionKind::Query), ("slow", FunctionKind::Query)],
        "export const hostile = query(() => Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1));
         export const slow = query(() => { for (let i = 0; i < 4; i++) orders.get('slow'); return orders.get('o1'); });",
    );
    let workers = supervise(&app, 2, 0);
    let [mut hostile, mut slow] = [isolate(&workers, &app).unwrap(), isolate(&workers, &app).unwrap()];
    let neighbour = {
        thread::spawn(move || {
            let lost = call_at(&mut slow, 1, "{}");
            slow.renew().unwrap();
            (lost, call_at(&mut slow, 1, "{}"))
        })
    };
    thread::sleep(Duration::from_millis(200));
    assert_eq!(call_at(&mut hostile, 0, "{}"), Outcome::Limit(Limit::Cpu));
    let (lost, again) = neighbour.join().unwrap();
    assert_eq!(lost, Outcome::Lost);
    assert_eq!(again, value(r#"{"id":"o1"}"#));
}

fn killed() {
    let app = query(LIMITS, "return 1");
    let workers = supervise(&app, 1, 0);
    let mut isolate = isolate(&workers, &app).unwrap();
    assert_eq!(call(&mut isolate), value("1"));
    let seat = isolate.worker_id();
    signal("-KILL", seat);
    assert_eq!(call(&mut isolate), Outcome::Lost);
    isolate.renew().unwrap();
    assert_ne!(isolate.worker_id(), seat);
    assert_eq!(call(&mut isolate), value("1"));
}

fn signal(name: &str, process: u32) {
    let status = std::process::Command::new("kill").args([name, &process.to_string()]).status().unwrap();
    assert!(status.success());
}

fn asked_to_end() {
    let app = query(LIMITS, "return 1");
    let workers = supervise(&app, 1, 0);
    let mut isolate = isolate(&workers, &app).unwrap();
    let seat = isolate.worker_id();
    for name in ["-TERM", "-INT", "-HUP"] {
        signal(name, seat);
        assert_eq!(call(&mut isolate), value("1"), "{name}");
    }
    isolate.renew().unwrap();
    assert_eq!(isolate.worker_id(), seat);
}

fn no_worker_outlives_its_supervisor() {
    let app = query(LIMITS, "return 1");
    let workers = supervise(&app, 1, 1);
    let isolate = isolate(&workers, &app).unwrap();
    let id = isolate.worker_id();
    let is_there = || fs::exists(format!("/proc/{id}")).unwrap();
    assert!(is_there());
    drop(isolate);
    assert!(!is_there(), "the worker of a seat ends with it");
}
