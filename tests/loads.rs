//! The load tests in their quick form: a few users and seconds, in which everything is checked and no time is bounded.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::apps::{App, root};
use crate::weir::{Ended, binary, finish, profile_folder, say};

/// The longest that a run may take, k6's installation included. Its own steps end before.
const PATIENCE_FOR_RUN: Duration = Duration::from_secs(900);
/// What `load-tests/run` ends with where k6 cannot be had.
const NO_K6: i32 = 3;

/// Whether this machine has Python and its package installer.
fn has_pip() -> bool {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    pip.status().is_ok_and(|status| status.success())
}

/// Runs the load tests of a folder in their quick form. `None`: the test is to be skipped.
fn run(test: &str, load_tests: &Path, arguments: &[&str]) -> Option<Ended> {
    let skip = |reason: &str| {
        let reason = format!("skipped: {test}: {reason}");
        assert!(std::env::var_os("WEIR_TESTS_MUST_RUN").is_none(), "{reason}");
        say(&reason);
    };
    if !has_pip() {
        skip("python3 with pip is not installed");
        return None;
    }
    let mut command = Command::new("python3");
    command.arg(load_tests.join("run")).arg("--quick").args(arguments);
    command.env("WEIR_BINARY", binary()).env("CARGO_TARGET_DIR", profile_folder().parent().unwrap());
    command.env_remove("WEIR_LOG").env_remove("WEIR_ENCRYPTION_KEYS");
    let ended = finish(command, PATIENCE_FOR_RUN);
    if ended.code == Some(NO_K6) {
        skip(&ended.stderr);
        return None;
    }
    Some(ended)
}

#[test]
fn every_load_holds_in_its_quick_form() {
    let test = "every_load_holds_in_its_quick_form";
    let Some(ended) = run(test, &root().join("load-tests"), &[]) else { return };
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    let rows: Vec<&str> = ended.stdout.lines().skip(2).collect();
    let loads = [
        "functions      each call a run ",
        "functions      a result at hand ",
        "procedures     a document of each user's own ",
        "procedures     one document of all ",
        "subscriptions  commits ",
        "subscriptions  6 held sockets ",
    ];
    assert_eq!(rows.len(), loads.len(), "{}", ended.stdout);
    for (row, load) in rows.iter().zip(loads) {
        assert!(row.starts_with(load), "{load}: {row}");
    }
}

#[test]
fn a_wrong_answer_fails_a_load() {
    let test = "a_wrong_answer_fails_a_load";
    let copy = App::copy_of("load-tests");
    copy.edit("app/functions/total.ts", "gross: net + tax", "gross: net");
    let Some(ended) = run(test, &copy.path(), &["functions", "--isolation", "process"]) else { return };
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
    for told in [
        "the total is right does not hold: {\"total\":",
        "threshold crossed: functions: checks{scenario:run}: rate==1",
        "threshold crossed: functions: checks{scenario:kept}: rate==1",
    ] {
        assert!(ended.stderr.replace('\\', "").contains(told), "{told}\n{}", ended.stderr);
    }
}
