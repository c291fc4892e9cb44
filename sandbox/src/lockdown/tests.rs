//! Processes that lock themselves down and then have to die, and one that does not lock itself down.
//!
//! A test starts this same test program again, for the one test that is ignored otherwise: [`child`].

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;
use std::{env, process, thread};

use super::probe::scripts::{Function, prepare_for};
use super::probe::{Attempt, attempts};
use super::{Bounds, Report, before_threads};
use crate::isolate::prepare_v8;

/// What the child is to do.
const ROLE: &str = "WEIR_TEST_ROLE";
/// The longest that a child may take. Far more than any does.
const PATIENCE: Duration = Duration::from_secs(60);

/// Twice 256 MiB, and as much for both together.
const BOMB: &str = "import { query } from \"weir\";
    export const bomb = query((): number => {
      const half = new Array(2 ** 25).fill(1);
      return half.concat(new Array(2 ** 25).fill(2)).length;
    });";
const BOMBS: &[Function] = &[("bomb", "use too much memory", "67108864")];

#[test]
#[ignore = "the others start it"]
fn child() {
    match env::var(ROLE).as_deref() {
        Ok("free") => println!("\n{}", serde_json::to_string(&attempts()).unwrap()),
        Ok("abort") => {
            lock_down(|| ());
            process::abort();
        }
        Ok("overflow") => {
            lock_down(|| ());
            println!("{}", overflow(0));
        }
        Ok("bomb") => {
            let prepared = lock_down(|| {
                prepare_v8();
                prepare_for(BOMB, BOMBS)
            });
            println!("{:?}", prepared.run());
        }
        _ => {}
    }
}

fn lock_down<T>(prepare: impl FnOnce() -> T) -> T {
    let halfway = before_threads(&Bounds::for_isolates(1, 256 << 20));
    let prepared = prepare();
    let report: Report = halfway.all_threads();
    println!("{report}");
    prepared
}

#[expect(unconditional_recursion, reason = "it is to overflow")]
fn overflow(depth: u64) -> u64 {
    std::hint::black_box(overflow(std::hint::black_box(depth) + 1)) + 1
}

/// Starts the child in a role and waits for its end.
fn end_of(role: &str) -> Output {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "lockdown::tests::child", "--test-threads=1", "--nocapture"]);
    command.env_clear().env(ROLE, role).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let id = child.id();
    let (done, ended) = channel();
    thread::spawn(move || done.send(child.wait_with_output().unwrap()));
    ended.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        let _ = Command::new("kill").args(["-9", &id.to_string()]).status();
        panic!("the child does not end as {role}")
    })
}

/// The signal that ended the child.
fn death_of(role: &str) -> i32 {
    let output = end_of(role);
    let said = String::from_utf8_lossy(&output.stdout);
    output.status.signal().unwrap_or_else(|| panic!("{role}: {:?}\n{said}", output.status))
}

#[test]
fn a_locked_down_process_can_die() {
    assert_eq!(death_of("abort"), libc::SIGABRT);
    assert_eq!(death_of("overflow"), libc::SIGABRT);
    // V8 ends itself by an instruction that is none.
    assert!([libc::SIGTRAP, libc::SIGILL].contains(&death_of("bomb")));
}

/// What is refused after a lock-down is refused because of it.
#[test]
fn a_free_process_is_refused_nothing() {
    let output = end_of("free");
    let said = String::from_utf8(output.stdout).unwrap();
    let line = said.lines().find(|line| line.starts_with('[')).unwrap_or_else(|| panic!("{said}"));
    let attempts: Vec<Attempt> = serde_json::from_str(line).unwrap();
    let refused = attempts.iter().filter(|attempt| !attempt.answer.is_let_through());
    let refused: BTreeSet<&str> = refused.map(|attempt| attempt.what.as_str()).collect();
    // Kernels and containers differ in these.
    let by_machine = BTreeSet::from([
        "get hold of its parent",
        "handle page faults itself",
        "load a BPF program",
        "make a user namespace",
        "mount a file system",
        "raise its limits",
        "read the memory of its parent",
        "set up io_uring",
        "trace its parent",
        "use the kernel's keys",
        "watch the processor's counters",
        "write the memory of its parent",
    ]);
    assert!(refused.is_subset(&by_machine), "{refused:?}");
    assert!(attempts.len() > by_machine.len() + 20, "{attempts:?}");
}
