//! Memory, open files and the data folder stay bounded however many commits there are.
//!
//! In a process of its own: other tests use memory too. Each bound is far below what it would take to keep one kibibyte
//! of each commit.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use weir_store::{Options, Store};

use crate::support::{declare, id, memory_folder};

const COMMITS: u64 = 20_000;
/// Commits before the first look: caches and the conflict window are full by then.
const WARM_UP: u64 = 8_000;
/// Commits between two looks.
const STRETCH: u64 = 4_000;
/// Documents that are written over and over.
const DOCUMENTS: u64 = 400;
const SIDE_BY_SIDE: u64 = 40;
/// What memory may grow by after the warm-up, where a leak of 1 KiB for each commit would be 12 MiB.
const GROWTH_MAX: u64 = 8 << 20;
/// What the folder may hold: journal and history are kept for a moment only. All that is written is more than 50 MiB.
const FOLDER_MAX: u64 = 24 << 20;
/// Tables, logs and the runtime's own: level 0 has up to 12 tables, the next about as many.
const FILES_MAX: usize = 80;

const VARIABLE: &str = "WEIR_TEST_SOAK";

fn options() -> Options {
    Options {
        conflict_window_commits_max: 2_000,
        conflict_window_keys_max: 20_000,
        block_cache_bytes: 1 << 20,
        memtable_bytes: 512 << 10,
        transaction_age_max: Duration::from_millis(500),
        history: Duration::from_millis(200),
        journal_age_max: Duration::from_millis(200),
        journal_bytes_max: 1 << 20,
        upkeep_interval: Duration::from_millis(50),
        worker_threads: 2,
        ..Options::default()
    }
}

#[test]
fn memory_and_open_files_stay_bounded_in_a_soak() {
    if !cfg!(target_os = "linux") {
        let reason = "skipped: memory_and_open_files_stay_bounded_in_a_soak: needs /proc, that is Linux";
        assert!(std::env::var_os("WEIR_TESTS_MUST_RUN").is_none(), "{reason}");
        eprintln!("{reason}");
        return;
    }
    let folder = memory_folder();
    let mut process = Command::new(std::env::current_exe().unwrap());
    process.args(["--exact", "soak::process", "--ignored", "--nocapture"]).env(VARIABLE, folder.path());
    let output = process.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// The process itself.
#[test]
#[ignore = "started by another test, as a process of its own"]
fn process() {
    let folder = std::env::var(VARIABLE).expect("started by another test only");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(soak(Path::new(&folder)));
}

async fn soak(folder: &Path) {
    let store = Store::open(folder, options()).unwrap();
    store.apply_collections(&declare(&["things:tag name padding; tag tag+name !name"])).await.unwrap();
    let mut after_warm_up = 0;
    for round in 0..COMMITS / SIDE_BY_SIDE {
        let commits: Vec<_> =
            (0..SIDE_BY_SIDE).map(|one| tokio::spawn(change(store.clone(), round * SIDE_BY_SIDE + one))).collect();
        for commit in commits {
            commit.await.unwrap();
        }
        let done = (round + 1) * SIDE_BY_SIDE;
        if done == WARM_UP {
            after_warm_up = memory();
        }
        if done >= WARM_UP && done.is_multiple_of(STRETCH) {
            let (memory, files, bytes) = (memory(), open_files(), size(folder));
            println!("after {done} commits: {memory} bytes of memory, {files} files, {bytes} bytes in the folder");
            assert!(memory < after_warm_up + GROWTH_MAX, "memory grows: {after_warm_up}, then {memory}");
            assert!(files < FILES_MAX, "{files} files are open");
            assert!(bytes < FOLDER_MAX, "the folder has {bytes} bytes");
        }
    }
    assert_eq!(store.begin().unwrap().count("things", &Default::default()).unwrap(), DOCUMENTS * 9 / 10);
    store.close().await;
}

/// Writes one document anew with other index entries; every tenth is deleted instead.
async fn change(store: Store, number: u64) {
    let place = number % DOCUMENTS;
    let mut transaction = store.begin().unwrap();
    let name = id(&format!("thing{place}"));
    if place.is_multiple_of(10) && (number / DOCUMENTS) % 2 == 1 {
        transaction.delete("things", &name).unwrap();
    } else {
        let document = json!({
            "tag": format!("tag{}", number % 7),
            "name": format!("{place} in round {}", number / DOCUMENTS),
            "padding": format!("{number:08}").repeat(128),
        });
        transaction.put("things", &name, document.as_object().unwrap().clone()).unwrap();
    }
    store.commit(transaction).await.unwrap();
}

/// Bytes that the process has in memory.
fn memory() -> u64 {
    let pages: u64 = fs::read_to_string("/proc/self/statm").unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4_096
}

fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size(&entry.path()),
            Ok(metadata) => metadata.len(),
            // Removed meanwhile.
            Err(_) => 0,
        })
        .sum()
}
