//! A worker process, locked down, tries to get out; and what the doctor says of it.
//!
//! The tests are about Linux. Where the kernel, or the container, has no Landlock or no seccomp they are skipped, unless
//! `WEIR_TESTS_MUST_RUN` is set.

use std::process::Command;

use serde_json::{Value, json};

use crate::apps::App;
use crate::weir::{Dev, Ended, PATIENCE, binary, finish, run, say, weir};

/// What a worker must not be able to do, so that nothing of it goes missing in the probe.
const FORBIDDEN: [&str; 39] = [
    "use descriptors of its parent",
    "read environment variables",
    "open a file for reading",
    "open a file for writing",
    "create a file",
    "list a folder",
    "see whether a file is there",
    "open its own memory as a file",
    "open the environment of its parent",
    "make a TCP socket",
    "make a UDP socket",
    "make a Unix socket",
    "make a netlink socket",
    "make a pair of sockets",
    "connect a TCP socket",
    "bind a TCP socket",
    "make a process",
    "make a thread",
    "execute a program",
    "signal its parent",
    "signal a thread of its parent",
    "get hold of its parent",
    "read the memory of its parent",
    "write the memory of its parent",
    "see how much its parent computes",
    "raise its limits",
    "use more memory than its bound",
    "become visible again",
    "mount a file system",
    "make a user namespace",
    "enter a namespace",
    "set up io_uring",
    "make a file in memory",
    "handle page faults itself",
    "load a BPF program",
    "watch the processor's counters",
    "use the kernel's keys",
    "reach a terminal",
    "trace its parent",
];

/// What the probe says, by kind.
struct Probed {
    entries: Vec<Value>,
    attempts: Vec<Value>,
    scripts: Vec<Value>,
}

/// Reads what the probe says. `None`: the test is to be skipped.
fn probed(test: &str, ended: &Ended) -> Option<Probed> {
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    let lines: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kind = |name: &str| lines.iter().filter_map(|line| line.get(name).cloned()).collect::<Vec<_>>();
    let entries = kind("lockDown")[0]["entries"].as_array().unwrap().clone();
    let is_off =
        |name: &str| entries.iter().any(|entry| entry["mechanism"] == name && entry["state"]["off"].is_string());
    if is_off("landlock") || is_off("seccomp") {
        let reason = format!("skipped: {test}: no Landlock or no seccomp here: {entries:?}");
        assert!(std::env::var_os("WEIR_TESTS_MUST_RUN").is_none(), "{reason}");
        say(&reason);
        return None;
    }
    Some(Probed { entries, attempts: kind("attempt"), scripts: kind("script") })
}

/// Runs the probe through a shell, which hands it a descriptor of the binary itself and the variables given.
fn probe(variables: &str) -> Ended {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("exec env -i {variables} \"$0\" lockdown-probe 7<\"$0\"")).arg(binary());
    finish(shell, PATIENCE)
}

#[test]
fn a_locked_down_process_reaches_nothing() {
    let Some(Probed { entries, attempts, scripts }) = probed("lockdown", &probe("TZ=UTC")) else { return };
    for entry in &entries {
        assert!(entry["state"]["off"].is_null(), "{entry}");
    }
    assert_eq!(entries.len(), 9, "{entries:?}");
    for what in FORBIDDEN {
        let attempt = attempts.iter().find(|attempt| attempt["what"] == what).unwrap_or_else(|| panic!("{what}"));
        let answer = &attempt["answer"];
        assert!(answer["refused"].is_i64() || answer == "nothing", "{attempt}");
    }
    for attempt in &attempts {
        assert!(attempt["answer"].get("letThrough").is_none(), "{attempt}");
    }
    assert_eq!(scripts.len(), 10, "{scripts:?}");
    for script in &scripts {
        assert_eq!(script["failure"], Value::Null, "{script}");
    }
}

#[test]
fn what_a_parent_leaves_in_the_environment_is_told() {
    let Some(Probed { entries, attempts, .. }) = probed("environment", &probe("SECRET=1")) else { return };
    let environment = entries.iter().find(|entry| entry["mechanism"] == "environment").unwrap();
    assert_eq!(environment["state"], json!({ "off": "1 variable was passed" }));
    let attempt = attempts.iter().find(|attempt| attempt["what"] == "read environment variables").unwrap();
    assert_eq!(attempt["answer"], json!({ "letThrough": null }));
}

#[test]
fn the_doctor_shows_the_sandbox() {
    if probed("doctor", &probe("")).is_none() {
        return;
    }
    let app = App::copy_of("examples/shop");
    assert_eq!(Dev::start(&app).stop(), Some(0));
    let data = app.data();
    let ended = finish(weir(&["doctor", "--data", data.to_str().unwrap()]), PATIENCE);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{}", ended.stdout);
    let (_, sandbox) = ended.stdout.split_once("\nsandbox of worker processes:\n").unwrap();
    let count = |kind: &str| sandbox.lines().filter(|line| line.starts_with(kind)).count();
    assert_eq!((count("on: "), count("off: "), count("works: "), count("warning: ")), (9, 0, 10, 0), "{sandbox}");
    assert!(count("refused: ") + count("nothing there: ") >= FORBIDDEN.len(), "{sandbox}");
    assert!(sandbox.ends_with("\nno warnings\n"), "{sandbox}");
}

#[test]
fn the_doctor_shows_the_sandbox_where_there_is_no_data() {
    let app = App::copy_of("examples/shop");
    let ended = run(&["doctor", "--data", app.beside("nothing").to_str().unwrap()]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.starts_with("sandbox of worker processes:\n"), "{}", ended.stdout);
    assert!(ended.stdout.contains("closed descriptors\n"), "{}", ended.stdout);
    let refusal = "/nothing is not a data folder: name one with --data, or its app with --app\n";
    assert!(ended.stderr.ends_with(refusal), "{}", ended.stderr);
}
