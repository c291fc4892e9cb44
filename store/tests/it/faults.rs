//! Failing, short and lost writes, failing syncs, a full disk and power cuts, at every kind of call that the store makes.
//!
//! Each fault point is one process on one copy of a data folder. Afterwards the folder is opened on a sound disk and
//! has to have all that was acknowledged and nothing else.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use tempfile::TempDir;
use weir_store::Store;

use crate::disk::{Fault, Run, copy, run, shim};
use crate::support::{id, put_all};
use crate::workload::{End, MEMTABLE_BYTES, Task, goes_on, options, verify, verify_journal};

/// Processes at a time.
const SIDE_BY_SIDE: usize = 2;

/// A new folder: it is created, declared and filled.
const NEW: Task = Task { done: 0, steps: 6, end: End::Close, memtable_bytes: MEMTABLE_BYTES };
/// The same with a log that is written into zeros, and no table before the end.
const NEW_AHEAD: Task = Task { done: 0, steps: 4, end: End::Close, memtable_bytes: 16 << 20 };
/// A folder that a killed process left: the log is replayed, and the work goes on.
const USED: Task = Task { done: 12, steps: 16, end: End::Close, memtable_bytes: MEMTABLE_BYTES };

/// What is done to an operation, and at how many of its calls.
fn effects(operation: &str) -> &'static [(&'static str, u64)] {
    match operation {
        "open" => &[("once", 3), ("full", 2), ("cut", 3), ("tear", 2)],
        "read" => &[("once", 4), ("broken", 2)],
        "write" => &[("once", 3), ("full", 3), ("half", 2), ("short", 2), ("cut", 4), ("tear", 3)],
        "sync" => &[("once", 3), ("broken", 2), ("lost", 3), ("cut", 6), ("tear", 6)],
        _ => &[("once", 2), ("broken", 1), ("cut", 3), ("tear", 2)],
    }
}

/// At most so many numbers from 1 to `count`, evenly spread, the last included.
fn spread(count: u64, most: u64) -> Vec<u64> {
    let most = most.min(count);
    (1..=most).map(|step| (step * count).div_ceil(most)).collect()
}

/// Runs without a fault, before others.
const SOUND_RUNS: usize = 2;

fn points(counts: &BTreeMap<(String, String), u64>) -> Vec<Fault> {
    let mut points = Vec::new();
    for ((operation, file), count) in counts {
        for (effect, most) in effects(operation) {
            points.extend(spread(*count, *most).into_iter().map(|nth| Fault {
                operation: operation.clone(),
                file: file.clone(),
                nth,
                effect,
            }));
        }
    }
    points
}

/// How the process took a fault.
fn reaction(run: &Run) -> &'static str {
    match () {
        () if !run.fired => "not reached",
        () if run.told.has("refused") => "refuses to open",
        () if run.told.has("failed") => "stops",
        () if run.told.has("closed") => "goes on",
        () => "power cut",
    }
}

/// A file system may keep the folder of the log and lose that of the manifest, if the power is cut while both are
/// created. Nothing was acknowledged by then, but the engine cannot know.
fn may_be_refused(run: &Run, task: Task, fault: Option<&Fault>, message: &str) -> bool {
    let tears = fault.is_some_and(|fault| fault.effect == "tear");
    tears && task.done == 0 && !run.told.has("declared") && message.contains("Manifest missing")
}

/// Opens what a process left and looks at all of it.
fn judge(run: &Run, task: Task, fault: Option<&Fault>) -> Result<(), String> {
    if let Some(trouble) = &run.trouble {
        return Err(trouble.clone());
    }
    if let Some(fault) = fault.filter(|fault| run.fired && fault.takes_the_log() && !run.told.is_complete(task)) {
        let acknowledges = matches!(fault.operation.as_str(), "write" | "sync");
        let stopped = if acknowledges { run.told.has("failed unknown") } else { run.told.has("failed") };
        if !stopped && !run.told.has("refused") && !run.told.has("failed declaring") {
            return Err("it went on without a log".to_owned());
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = match Store::open(&run.folder.path().join("data"), options(task.memtable_bytes)) {
            Ok(store) => store,
            Err(error) if may_be_refused(run, task, fault, &error.to_string()) => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        let verdict = match verify(&store, &run.told, task) {
            Ok(()) => verify_journal(&store, &run.told).await,
            Err(error) => Err(error),
        };
        let verdict = match verdict {
            Ok(()) => goes_on(&store).await,
            Err(error) => Err(error),
        };
        store.close().await;
        verdict
    })
}

/// Counts the calls of sound runs and makes some of each kind fail.
///
/// How many calls a run makes depends on how its commits fall into groups: the fewest of several runs are what nearly
/// every run makes.
fn try_all(shim: &Path, base: Option<&Path>, task: Task) {
    let mut fewest: Option<BTreeMap<(String, String), u64>> = None;
    for _ in 0..SOUND_RUNS {
        let sound = run(shim, base, task, None);
        assert_eq!(judge(&sound, task, None), Ok(()), "without a fault: {:#?}", sound.told.lines);
        let counts = sound.counts;
        fewest = Some(match fewest {
            None => counts,
            Some(fewest) => fewest
                .into_iter()
                .filter_map(|(kind, count)| counts.get(&kind).map(|other| (kind, count.min(*other))))
                .collect(),
        });
    }
    try_points(shim, base, task, points(&fewest.unwrap_or_default()))
}

fn try_points(shim: &Path, base: Option<&Path>, task: Task, points: Vec<Fault>) {
    let tried = points.len();
    assert!(tried > 0);
    let on_disk = |fault: &Fault| run(shim, base, task, Some(fault));
    let queue = Mutex::new(VecDeque::from(points));
    let reactions = Mutex::new(BTreeMap::<String, BTreeMap<&'static str, usize>>::new());
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                loop {
                    let Some(mut fault) = queue.lock().unwrap().pop_front() else { return };
                    let mut run = on_disk(&fault);
                    // This run made fewer calls: an earlier one it is.
                    while !run.fired && run.trouble.is_none() && fault.nth > 1 {
                        fault.nth = fault.nth * 2 / 3;
                        run = on_disk(&fault);
                    }
                    let kind = format!("{} {} {}", fault.operation, fault.file, fault.effect);
                    *reactions.lock().unwrap().entry(kind).or_default().entry(reaction(&run)).or_default() += 1;
                    if let Err(error) = judge(&run, task, Some(&fault)) {
                        let last =
                            run.told.lines.iter().rev().take(6).rev().cloned().collect::<Vec<_>>().join("\n    ");
                        wrong.lock().unwrap().push(format!("{fault}: {error}\n    {last}"));
                    }
                }
            });
        }
    });
    let reactions = reactions.into_inner().unwrap();
    for (kind, reactions) in &reactions {
        println!("{kind}: {reactions:?}");
    }
    // Some calls are made in few runs only, say the merge of a table that happens to be due.
    let missed: usize = reactions.values().filter_map(|reactions| reactions.get("not reached")).sum();
    assert!(missed * 20 < tried, "{missed} of {tried} faults did not come to pass");
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {tried} faults had wrong ends:\n{}", wrong.len(), wrong.join("\n"));
}

/// What a process leaves that is killed after some steps.
fn left_by(shim: &Path, steps: usize) -> TempDir {
    let task = Task { done: 0, steps, end: End::Leave, memtable_bytes: MEMTABLE_BYTES };
    let before = run(shim, None, task, None);
    assert_eq!(before.trouble, None);
    let base = tempfile::tempdir().unwrap();
    copy(&before.folder.path().join("data"), base.path());
    base
}

#[test]
fn a_new_folder_on_a_failing_disk() {
    let Some(shim) = shim("a_new_folder_on_a_failing_disk") else { return };
    try_all(shim, None, NEW);
}

#[test]
fn a_log_written_ahead_on_a_failing_disk() {
    let Some(shim) = shim("a_log_written_ahead_on_a_failing_disk") else { return };
    try_all(shim, None, NEW_AHEAD);
}

#[test]
fn a_used_folder_on_a_failing_disk() {
    let Some(shim) = shim("a_used_folder_on_a_failing_disk") else { return };
    let base = left_by(shim, USED.done);
    try_all(shim, Some(base.path()), USED);
}

/// An error while the log is read is not the end of the log: nothing may be cut off because of it.
#[tokio::test]
async fn a_log_that_cannot_be_read_once_loses_nothing() {
    let Some(shim) = shim("a_log_that_cannot_be_read_once_loses_nothing") else { return };
    let (used, base) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let task = Task { done: 0, steps: 0, end: End::Close, memtable_bytes: 1 << 20 };
    let store = Store::open(used.path(), options(task.memtable_bytes)).unwrap();
    goes_on(&store).await.unwrap();
    // Larger than a block of the log: where the last block cannot be read, this commit alone is lost.
    let text = "x".repeat(40_000);
    put_all(&store, "things", &[("large", &format!(r#"{{"padding":"{text}"}}"#))]).await.unwrap();
    copy(used.path(), base.path());
    store.close().await;

    let reads = run(shim, Some(base.path()), task, None).counts[&("read".to_owned(), "wal".to_owned())];
    for nth in 1..=reads {
        let fault = Fault { operation: "read".to_owned(), file: "wal".to_owned(), nth, effect: "once" };
        let run = run(shim, Some(base.path()), task, Some(&fault));
        assert_eq!((run.fired, run.trouble), (true, None), "{fault}");
        // What remembers the last acknowledged commit would notice; here it must not have to.
        fs::remove_file(run.folder.path().join("data/ACKNOWLEDGED")).unwrap();
        let store = Store::open(&run.folder.path().join("data"), options(task.memtable_bytes)).unwrap();
        let found = store.begin().unwrap().get("things", &id("large")).unwrap();
        assert!(found.is_some(), "{fault} cost the last commit: {:?}", run.told.lines);
        store.close().await;
    }
}
