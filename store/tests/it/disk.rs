//! A process on a disk that fails: builds `tests/faults/shim.c` and runs the workload behind it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::workload::{Task, Told};

/// Longer than any process takes; one that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// The n-th operation of a kind on a kind of file, and what happens to it: see `shim.c`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub operation: String,
    pub file: String,
    pub nth: u64,
    pub effect: &'static str,
}

impl Fault {
    /// Whether the store cannot write its log any more, and so has to stop.
    pub fn takes_the_log(&self) -> bool {
        let needs_it = matches!(self.operation.as_str(), "open" | "write" | "sync");
        needs_it && self.file == "wal" && !matches!(self.effect, "half" | "cut" | "tear")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} {} {}", self.operation, self.file, self.nth, self.effect)
    }
}

/// The built shim. `None`: the test is to be skipped.
pub fn shim(test: &str) -> Option<&'static Path> {
    static SHIM: OnceLock<Result<(TempDir, PathBuf), String>> = OnceLock::new();
    match SHIM.get_or_init(build) {
        Ok((_, path)) => Some(path),
        Err(reason) => {
            let reason = format!("skipped: {test}: {reason}");
            assert!(std::env::var_os("WEIR_TESTS_MUST_RUN").is_none(), "{reason}");
            eprintln!("{reason}");
            None
        }
    }
}

fn build() -> Result<(TempDir, PathBuf), String> {
    if !cfg!(target_os = "linux") {
        return Err("needs LD_PRELOAD and /proc, that is Linux".to_owned());
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shim.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/shim.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread", "-o"]);
    match compiler.arg(&path).arg(&source).output() {
        Ok(output) if output.status.success() => Ok((folder, path)),
        Ok(output) => panic!("{} does not compile: {}", source.display(), String::from_utf8_lossy(&output.stderr)),
        Err(error) => Err(format!("cc, the C compiler, cannot be started: {error}")),
    }
}

/// How a process on a failing disk ended.
pub struct Run {
    /// Has `data`, and what the process wrote about itself.
    pub folder: TempDir,
    pub told: Told,
    /// Whether the fault came to pass.
    pub fired: bool,
    /// How often each operation was made on each kind of file; not if the power was cut.
    pub counts: BTreeMap<(String, String), u64>,
    /// What is wrong with the run itself.
    pub trouble: Option<String>,
}

/// Runs the workload on a copy of a data folder, or on a new one.
pub fn run(shim: &Path, base: Option<&Path>, task: Task, fault: Option<&Fault>) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    fs::create_dir(path.join("shadow")).unwrap();
    match base {
        Some(base) => copy(base, &path.join("data")),
        None => fs::create_dir(path.join("data")).unwrap(),
    }
    let output = File::create(path.join("output")).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "workload::process", "--ignored", "--nocapture"])
        .env("LD_PRELOAD", shim)
        .env("WEIR_FAULT_FOLDER", &path)
        .env(Task::VARIABLE, task.to_text())
        .env_remove("WEIR_FAULT")
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output);
    if let Some(fault) = fault {
        command.env("WEIR_FAULT", fault.to_string());
    }
    let mut process = command.spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        match process.try_wait().unwrap() {
            Some(status) => break Some(status),
            None if Instant::now() > deadline => {
                process.kill().unwrap();
                process.wait().unwrap();
                break None;
            }
            None => thread::sleep(Duration::from_millis(3)),
        }
    };
    let log = fs::read_to_string(path.join("shim.log")).unwrap_or_default();
    let fired = log.lines().any(|line| line == "fired");
    let cut = fired && fault.is_some_and(|fault| matches!(fault.effect, "cut" | "tear"));
    let trouble = match status.map(|status| status.code()) {
        None => Some("it hangs".to_owned()),
        Some(Some(77)) if cut => None,
        Some(Some(0)) if !cut => None,
        Some(code) => {
            let output = fs::read_to_string(path.join("output")).unwrap_or_default();
            Some(format!("it ended with {code:?}: {log} {output}"))
        }
    };
    let counts = log.lines().filter_map(|line| {
        let words: Vec<&str> = line.strip_prefix("count ")?.split(' ').collect();
        Some(((words[0].to_owned(), words[1].to_owned()), words[2].parse().unwrap()))
    });
    Run { told: Told::read(&path, task), fired, counts: counts.collect(), trouble, folder }
}

/// Copies a folder with all it has.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
