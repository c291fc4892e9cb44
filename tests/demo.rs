//! `examples/live-demo.sh` does what it says.

use std::io::ErrorKind;
use std::process::{Command, Stdio};

use crate::apps::{App, root};
use crate::weir::{Dev, PATIENCE, Process, finish, say};

/// What the script needs.
const PROGRAMS: [&str; 3] = ["bash", "curl", "python3"];

/// A command line of the script.
fn demo(dev: &Dev, arguments: &[&str]) -> Command {
    let mut command = Command::new("bash");
    command.arg(root().join("examples/live-demo.sh")).args(arguments).env("WEIR_URL", &dev.url);
    command
}

fn is_installed(program: &str) -> bool {
    match Command::new(program).arg("--version").stdout(Stdio::null()).status() {
        Ok(status) => status.success(),
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => panic!("{program}: {error}"),
    }
}

#[test]
fn one_terminal_sees_what_is_ordered_in_another() {
    if let Some(missing) = PROGRAMS.into_iter().find(|program| !is_installed(program)) {
        let reason = format!("skipped: one_terminal_sees_what_is_ordered_in_another: {missing} is not installed");
        assert!(std::env::var_os("WEIR_TESTS_MUST_RUN").is_none(), "{reason}");
        return say(&reason);
    }
    let app = App::copy_of("examples/shop");
    let dev = Dev::start(&app);
    let mut watching = demo(&dev, &["watch"]);
    watching.stdin(Stdio::null());
    // It fills the shop.
    let (_watching, shown, _) = Process::start(watching);
    let (first, _) = shown.wait_for(0, |line| line.starts_with("  2026-01-16 "));
    assert_eq!(shown.text(first), "  2026-01-16      1 orders       50.00");

    let ordered = finish(demo(&dev, &["order", "1"]), PATIENCE);
    assert_eq!((ordered.code, ordered.stderr.as_str()), (Some(0), ""), "{}", ordered.stdout);
    let told = ordered.stdout.trim_end();
    let (total, commit) = told.strip_prefix("order 1: ").and_then(|rest| rest.split_once(" at commit ")).expect(told);
    let (named, _) = shown.wait_for(first, |line| line == format!("revenueByDay at commit {commit}"));
    shown.wait_for(named, |line| line.ends_with(&format!(" 1 orders  {total:>7}.00  <- changed")));
}
