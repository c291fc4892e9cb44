//! Jobs through the real binary: each procedure runs once and each action at least once, whatever kills the server in
//! between; and `weir jobs` lists, cancels and retries them, served or not.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::apps::App;
use crate::graphql::Client;
use crate::weir::{Dev, Ended, eventually, run, say};

const FIXTURE: &str = "tests/fixtures/jobs";
/// Procedures that are called later.
const JOBS: i64 = 10_000;
/// How many of these one call schedules.
const AT_ONCE: i64 = 1_000;
/// How many have run when the server is killed.
const KILLS_AFTER: [i64; 3] = [100, 3_000, 6_000];
/// Actions that are called later.
const ACTIONS: i64 = 400;
/// How long all of them may take: far longer than they do.
const ALL_MAX: Duration = Duration::from_secs(600);

fn jobs(data: &Path, arguments: &[&str]) -> Ended {
    run(&[&["jobs"], arguments, &["--data", data.to_str().unwrap()]].concat())
}

/// What `weir jobs list --json` says.
#[track_caller]
fn listed(data: &Path, arguments: &[&str]) -> Vec<Value> {
    let ended = jobs(data, &[&["list", "--json"], arguments].concat());
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The jobs that come from no entry of `[[cron]]`.
fn left(data: &Path) -> usize {
    listed(data, &[]).iter().filter(|job| job["cron"].is_null()).count()
}

fn number(client: &Client, of: &str) -> i64 {
    client.data("{ counts { runs acts } }")["counts"][of].as_i64().unwrap()
}

fn numbers(client: &Client, of: &str) -> Vec<i64> {
    serde_json::from_value(client.data(&format!("{{ {of} }}"))[of].clone()).unwrap()
}

/// In a folder that is not served: the jobs that come from no entry of `[[cron]]`, and the runs.
fn exported(app: &App) -> (i64, i64) {
    let (file, data) = (app.beside("all.jsonl"), app.data());
    let ended = run(&["export", file.to_str().unwrap(), "--data", data.to_str().unwrap()]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let text = fs::read_to_string(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let lines = || text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let jobs = lines().filter(|line| line["record"] == "job" && line["job"]["cron"].is_null()).count();
    let runs = lines().filter(|line| line["record"] == "document" && line["collection"] == "runs").count();
    (jobs as i64, runs as i64)
}

#[track_caller]
fn sound(data: &Path) {
    let ended = run(&["doctor", "--data", data.to_str().unwrap()]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{}", ended.stdout);
}

/// Waits until so many are there. Much of it may be left to do.
fn until(client: &Client, of: &str, least: i64) {
    let deadline = Instant::now() + ALL_MAX;
    while number(client, of) < least {
        assert!(Instant::now() < deadline, "{} of {least} {of}", number(client, of));
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn ten_thousand_jobs_run_once_each_over_kills() {
    let app = App::copy_of(FIXTURE);
    let mut dev = Dev::start(&app);
    let client = dev.client();
    let started = Instant::now();
    for from in (0..JOBS).step_by(AT_ONCE as usize) {
        client.data(&format!("mutation {{ runLater(from: {from}, to: {}) }}", from + AT_ONCE));
    }
    for ran in KILLS_AFTER {
        until(&dev.client(), "runs", ran);
        dev.process.kill();
        // Nobody serves it: the command opens the folder itself. What has run is no job any more, and nothing else is.
        let (waiting, runs) = exported(&app);
        assert_eq!(waiting + runs, JOBS, "{waiting} waited, {runs} have run");
        assert!(waiting > 0, "the kill came too late");
        sound(&app.data());
        dev = Dev::start(&app);
    }
    until(&dev.client(), "runs", JOBS);
    eventually("no jobs", || (left(&app.data()) == 0).then_some(()));
    let ran = numbers(&dev.client(), "ran");
    let twice = ran.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert_eq!(twice, 0, "{twice} ran twice");
    assert_eq!(ran, (0..JOBS).collect::<Vec<_>>());
    say(&format!("jobs: {JOBS} in {:.1?}, with {} kills", started.elapsed(), KILLS_AFTER.len()));
    assert_eq!(dev.stop(), Some(0));
    sound(&app.data());
}

#[test]
fn actions_run_at_least_once_over_a_kill() {
    let app = App::copy_of(FIXTURE);
    let mut dev = Dev::start(&app);
    dev.client().data(&format!("mutation {{ actLater(from: 0, to: {ACTIONS}) }}"));
    until(&dev.client(), "acts", ACTIONS / 4);
    dev.process.kill();
    let waiting = left(&app.data());
    assert!(waiting > 0, "the kill came too late");
    dev = Dev::start(&app);
    eventually("no jobs", || (left(&app.data()) == 0).then_some(()));
    let acted = numbers(&dev.client(), "acted");
    assert_eq!(acted.iter().copied().collect::<BTreeSet<_>>(), (0..ACTIONS).collect());
    say(&format!("jobs: of {ACTIONS} actions {} ran again after a kill", acted.len() as i64 - ACTIONS));
    assert_eq!(dev.stop(), Some(0));
    sound(&app.data());
}

#[test]
fn jobs_are_listed_cancelled_and_retried_served_or_not() {
    let app = App::copy_of(FIXTURE);
    let data = app.data();
    let dev = Dev::start(&app);
    let client = dev.client();
    let doubted = client.data("mutation { doubtLater(n: 7) }")["doubtLater"].as_str().unwrap().to_owned();
    client.data(r#"mutation { runLater(from: 1, to: 3, after: "7d") }"#);
    let dead = eventually("a dead letter", || listed(&data, &["--state", "dead"]).pop());
    assert_eq!((&dead["id"], &dead["function"], &dead["attempts"]), (&json!(doubted), &json!("doubt"), &json!(2)));
    assert_eq!(dead["error"], json!({ "code": "FUNCTION_FAILED", "message": "nothing has run so far" }));
    assert_eq!(listed(&data, &["--state", "running"]), Vec::<Value>::new());
    let waiting = listed(&data, &["--state", "waiting", "--function", "run", "--limit", "1"]);
    assert_eq!((waiting.len(), &waiting[0]["args"]), (1, &json!({ "n": 1 })));
    let first = waiting[0]["id"].as_str().unwrap();
    let table = jobs(&data, &["list"]).stdout;
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["ID", "STATE", "FUNCTION", "DUE", "FAILED", "LAST", "ERROR"]);
    assert_eq!(lines[1][..3], [doubted.as_str(), "dead", "doubt"]);
    assert_eq!(lines[1][4..], ["2", "FUNCTION_FAILED:", "nothing", "has", "run", "so", "far"]);
    assert_eq!(lines[4][..3], ["cron:yearly", "waiting", "run"]);
    assert!(lines[4][3].ends_with("-01-01T00:00:00.000Z"), "{table}");

    // While it is served.
    let cancelled = jobs(&data, &["cancel", first]);
    assert_eq!((cancelled.code, cancelled.stdout), (Some(0), format!("cancelled {first}, a call of run\n")));
    let again = jobs(&data, &["cancel", first]);
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.starts_with(&format!("weir: there is no job \"{first}\"")), "{}", again.stderr);
    let refused = jobs(&data, &["cancel", "cron:yearly"]);
    assert_eq!(refused.stderr, "weir: cron:yearly comes from app.toml: remove its entry of [[cron]] there\n");
    let yearly = jobs(&data, &["retry", "cron:yearly"]);
    assert_eq!((yearly.code, yearly.stdout.as_str()), (Some(0), "cron:yearly, a call of run, is due now\n"));
    eventually("the run of the cron", || (numbers(&client, "ran") == [-1]).then_some(()));
    assert_eq!(dev.stop(), Some(0));

    // While it is not. All of it is in an export, and in what is made of it.
    let second = listed(&data, &["--function", "run"])[0]["id"].as_str().unwrap().to_owned();
    let retried = jobs(&data, &["retry", &doubted]);
    assert_eq!((retried.code, retried.stdout), (Some(0), format!("{doubted}, a call of doubt, is due now\n")));
    let before = listed(&data, &[]);
    let (export, copy) = (app.beside("all.jsonl"), app.beside("copy"));
    for arguments in [
        vec!["export", export.to_str().unwrap(), "--data", data.to_str().unwrap()],
        vec!["import", export.to_str().unwrap(), "--all", "--data", copy.to_str().unwrap()],
    ] {
        assert_eq!(run(&arguments).code, Some(0), "{arguments:?}");
    }
    assert_eq!(listed(&copy, &[]), before);
    sound(&copy);
    assert_eq!(jobs(&data, &["cancel", &second]).code, Some(0));
    sound(&data);
    let dev = Dev::start(&app);
    let client = dev.client();
    eventually("the run that was asked for", || (numbers(&client, "ran") == [-1, 7]).then_some(()));
    assert_eq!(left(&data), 0);
    assert_eq!(dev.stop(), Some(0));
}
