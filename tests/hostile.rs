//! Scripts that mean harm: each is stopped as it says, its neighbours do not notice, and nothing of it stays.
//!
//! The scripts are the functions in `tests/hostile/app`; their comments say what must come of them
//! ([`specification`]). While they run, one after the other, neighbours call the same app ([`neighbours`]): in the process
//! mode that is on the same workers. After each, the next calls must see what the first call saw, and the memory must be
//! what it was. How much slower the neighbours were than those of a second server is printed.
//!
//! `WEIR_HOSTILE_ONLY=depth` runs the scripts of one category, or one script by its name, and tells what each took; so does
//! `all`.

mod loading;
mod neighbours;
mod specification;
mod stage;

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use neighbours::Neighbours;
use specification::{APP, Expected, Script, scripts};
use stage::{Stage, THINGS, call, tells_a_secret};

use crate::apps::root;
use crate::weir::say;

/// The neighbours of each server.
const NEIGHBOURS: usize = 2;
/// How long they are alone at first.
const UNDISTURBED: Duration = Duration::from_secs(2);
/// How much more memory than at first may be in use after a script, in bytes: isolates keep what their limits allow until
/// they collect garbage, and allocators keep some for later.
const MEMORY_SLACK: u64 = 384 << 20;
/// How long the memory may take to get back.
const MEMORY_PATIENCE: Duration = Duration::from_secs(5);
/// How often the next call is made: each isolate is to have its turn.
const NEXT_CALLS: usize = 2;
/// No answer is longer, in bytes: errors are for people.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// What contains the scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Isolates are threads of the server.
    Thread,
    /// Isolates are in processes of their own.
    Process,
}

impl Mode {
    fn arguments(self) -> Vec<&'static str> {
        match self {
            Self::Thread => vec!["--isolation", "thread"],
            Self::Process => vec!["--isolation", "process"],
        }
    }

    fn contains(self, script: &Script) -> bool {
        self == Self::Process || script.thread.is_none()
    }
}

/// The modes one after the other: each wants the machine for itself.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn threads_contain_what_they_promise() {
    run(Mode::Thread);
}

#[test]
fn processes_contain_every_script() {
    run(Mode::Process);
}

#[test]
fn threads_do_not_load_what_does_harm() {
    loading::run(Mode::Thread);
}

#[test]
fn processes_do_not_load_what_does_harm() {
    loading::run(Mode::Process);
}

#[test]
fn every_limit_has_a_script_that_reaches_it_alone() {
    let manifest = fs::read_to_string(root().join(APP).join("app.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let all = scripts();
    for limit in manifest["limits"].as_table().unwrap().keys() {
        let expected = [Expected::Limit(Some(limit.clone()))];
        let is_alone = all.iter().any(|script| script.expected == expected);
        // Functions that nest too deep throw, and whether the heap is full first or which time is over is the machine's to say.
        let told_elsewhere = ["call_depth", "heap_bytes", "wall_ms"];
        assert!(is_alone || told_elsewhere.contains(&limit.as_str()), "no script expects just {limit}");
    }
}

/// What the first calls saw, and what they took.
struct First {
    seen: Value,
    seen_in_action: Value,
    seen_in_stream: Value,
    memory: u64,
}

impl First {
    fn of(stage: &mut Stage) -> Self {
        let ask = |root, function| call(stage.url(), root, function, &json!({})).unwrap()["data"]["invoke"].clone();
        let first = Self {
            seen: ask("query", "seen"),
            seen_in_action: ask("mutation", "seenInAction"),
            seen_in_stream: ask("subscription", "seenInStream"),
            memory: 0,
        };
        assert!(first.seen.is_string() && first.seen_in_action.is_string() && first.seen_in_stream[0].is_string());
        Self { memory: stage.memory(), ..first }
    }
}

/// Whether the memory of processes can be read here. If not, the tests are skipped, and say so.
fn has_proc() -> bool {
    let has = Path::new("/proc/self/smaps_rollup").exists();
    if !has {
        let reason = "skipped: hostile: there is no /proc/self/smaps_rollup";
        assert!(std::env::var_os("WEIR_TESTS_MUST_RUN").is_none(), "{reason}");
        say(reason);
    }
    has
}

/// Runs all scripts that the mode contains.
fn run(mode: Mode) {
    if !has_proc() {
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let started = Instant::now();
    let only = std::env::var("WEIR_HOSTILE_ONLY").ok();
    let is_wanted = |script: &Script| {
        only.as_ref().is_none_or(|only| only == "all" || [&script.name, &script.category].contains(&only))
    };
    let wanted = scripts().into_iter().filter(is_wanted);
    let (played, left_out): (Vec<Script>, Vec<Script>) = wanted.partition(|script| mode.contains(script));
    assert!(!played.is_empty() || !left_out.is_empty(), "there is no such script");
    let mut wrong = Vec::new();
    let control = Stage::set(mode);
    let mut stage = Stage::set(mode);
    let alone = Neighbours::arrive(stage.url(), NEIGHBOURS);
    std::thread::sleep(UNDISTURBED);
    let (alone, complaints) = alone.leave();
    wrong.extend(complaints);
    let controls = Neighbours::arrive(control.url(), NEIGHBOURS);
    let mut beside = Vec::new();
    let mut neighbours = Neighbours::arrive(stage.url(), NEIGHBOURS);
    let mut first = First::of(&mut stage);
    for script in &played {
        let before = Instant::now();
        let (mut complaints, lost) = match play(&mut stage, &first, script) {
            Ok(complaints) => (complaints, false),
            Err(silence) => (vec![silence], true),
        };
        complaints.extend(neighbours.wrong().into_iter().map(|wrong| format!("a neighbour: {wrong}")));
        if lost
            || complaints
                .iter()
                .any(|complaint| complaint.contains("of memory in use") || complaint.contains("the next call"))
        {
            let ended = stage.ended().map_or("hangs".to_owned(), |ended| format!("ended: {ended}"));
            complaints.push(format!("the server {ended}\n{}", stage.last_words()));
            stage = Stage::set(mode);
            beside.extend(std::mem::replace(&mut neighbours, Neighbours::arrive(stage.url(), NEIGHBOURS)).leave().0);
            first = First::of(&mut stage);
        }
        if only.is_some() {
            say(&format!("{} {} {:?} {}", script.category, script.name, before.elapsed(), complaints.join("; ")));
        }
        let told = complaints.iter().map(|complaint| format!("{}/{}: {complaint}", script.category, script.name));
        wrong.extend(told);
    }
    let (took, complaints) = neighbours.leave();
    beside.extend(took);
    beside.sort_unstable();
    wrong.extend(complaints);
    let (controls, complaints) = controls.leave();
    wrong.extend(complaints);
    wrong.extend(stage.secrets_told().into_iter().map(|line| format!("the log tells a secret: {line}")));
    wrong.extend(stage.trespasses().into_iter().map(|request| format!("a request that was to be refused: {request}")));
    let zombies = stage.zombies();
    let orphans = stage.strike();
    if !zombies.is_empty() || !orphans.is_empty() {
        wrong.push(format!("zombies {zombies:?}, orphans {orphans:?}"));
    }
    let report = report(mode, &played, &left_out, [("alone", alone), ("elsewhere", controls), ("beside them", beside)]);
    say(&format!("{report}  took {:?}", started.elapsed()));
    assert!(wrong.is_empty(), "{} complaints:\n{}", wrong.len(), wrong.join("\n"));
}

/// Runs one script and looks at what it leaves: what is wrong with it, or how the server fell silent.
fn play(stage: &mut Stage, first: &First, script: &Script) -> Result<Vec<String>, String> {
    let answer = call(stage.url(), &script.root, &script.name, &script.arguments)?;
    let mut wrong = Vec::from_iter(script.judge(&answer));
    if tells_a_secret(&answer.to_string()) {
        wrong.push(format!("it tells a secret: {answer}"));
    }
    let length = answer.to_string().len();
    if length > ANSWER_BYTES_MAX {
        wrong.push(format!("an answer of {length} bytes"));
    }
    for _ in 0..NEXT_CALLS {
        let mut next = |root, function, expected: &Value| -> Result<(), String> {
            let answer = call(stage.url(), root, function, &json!({}))?;
            if answer["data"]["invoke"] != *expected {
                wrong.push(format!("the next call, {function}: expected {expected}, got {answer}"));
            }
            Ok(())
        };
        next("query", "seen", &first.seen)?;
        next("query", "counted", &json!(THINGS))?;
        match script.maker.as_str() {
            "action" | "http" => next("mutation", "seenInAction", &first.seen_in_action)?,
            "stream" => next("subscription", "seenInStream", &first.seen_in_stream)?,
            _ => {}
        }
    }
    let deadline = Instant::now() + MEMORY_PATIENCE;
    loop {
        let memory = stage.memory();
        if memory <= first.memory + MEMORY_SLACK {
            return Ok(wrong);
        }
        if Instant::now() > deadline {
            wrong.push(format!("{} MiB of memory in use, {} at first", memory >> 20, first.memory >> 20));
            return Ok(wrong);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn report(mode: Mode, played: &[Script], left_out: &[Script], neighbours: [(&str, Vec<Duration>); 3]) -> String {
    let mut text = format!("hostile scripts, {mode:?} mode: {} run", played.len());
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for script in played {
        match counts.last_mut() {
            Some((category, count)) if *category == script.category => *count += 1,
            _ => counts.push((&script.category, 1)),
        }
    }
    for (category, count) in counts {
        write!(text, ", {category} {count}").unwrap();
    }
    text += "\n  a neighbour's call:\n";
    for (when, took) in neighbours {
        let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
        let (calls, median, slow, slowest) = (took.len(), at(0.5), at(0.99), at(1.0));
        writeln!(text, "    {when:<12} {calls:>6} calls, median {median:?}, 99% {slow:?}, slowest {slowest:?}")
            .unwrap();
    }
    if !left_out.is_empty() {
        writeln!(text, "  {} not run, since this mode cannot contain them:", left_out.len()).unwrap();
        for script in left_out {
            writeln!(text, "    {}: {}", script.name, script.thread.as_deref().unwrap_or_default()).unwrap();
        }
    }
    text
}
