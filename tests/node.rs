//! What is borrowed from npm: real clients, the official compiler, real data; other runtimes, for benchmarks alone.
//!
//! The packages of `tests/clients/package.json` are installed once, into the target folder. A test that needs them
//! says so with [`packages`]; where Node is missing it is skipped, unless `WEIR_TESTS_MUST_RUN` is set.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use crate::apps::root;
use crate::weir::{Ended, Lines, PATIENCE, Process, finish, profile_folder, say};

/// Registries answer late now and then.
const INSTALL_ATTEMPTS: usize = 3;
const INSTALL_PATIENCE: Duration = Duration::from_secs(120);

/// The folder with the scripts of `tests/clients` and `node_modules`. `None`: the test is to be skipped.
pub fn packages(test: &str) -> Option<&'static Path> {
    static PACKAGES: OnceLock<PathBuf> = OnceLock::new();
    let install = || install("tests/clients", "npm").unwrap_or_else(|error| panic!("{error}"));
    if must_skip(test) {
        return None;
    }
    Some(PACKAGES.get_or_init(install))
}

/// A package of the source tree, copied and with all that it needs installed. `None`: the test is to be skipped.
pub fn package(test: &str, source: &str, name: &str) -> Option<PathBuf> {
    if must_skip(test) {
        return None;
    }
    Some(install(source, name).unwrap_or_else(|error| panic!("{error}")))
}

/// Whether Node is missing; says so, and fails where nothing may be skipped.
fn must_skip(test: &str) -> bool {
    let missing = !has_node();
    if missing {
        skip(test, "node is not installed");
    }
    missing
}

/// Says that a test is skipped, and fails where nothing may be.
pub fn skip(test: &str, reason: &str) {
    let reason = format!("skipped: {test}: {reason}");
    assert!(std::env::var_os("WEIR_TESTS_MUST_RUN").is_none(), "{reason}");
    say(&reason);
}

/// Whether this machine has Node.
pub fn has_node() -> bool {
    match Command::new("node").arg("--version").stdout(Stdio::null()).status() {
        Ok(status) => status.success(),
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => panic!("node: {error}"),
    }
}

/// Installs the packages that a folder of the source tree names, unless they are there, into a folder of the target folder,
/// and copies the other files there, to where they find them, with the folders in which they are.
pub fn install(source: &str, name: &str) -> Result<PathBuf, String> {
    let folder = profile_folder().parent().unwrap().join("system-tests").join(name);
    fs::create_dir_all(&folder).unwrap();
    let lock = File::create(folder.join(".lock")).unwrap();
    lock.lock().unwrap();
    let source = root().join(source);
    copy(&source, &folder);
    let wanted = fs::read(source.join("package-lock.json")).unwrap();
    let installed = folder.join("package-lock.json");
    // Written last: it is there only where the installation came to its end.
    if fs::read(&installed).ok().as_deref() != Some(&wanted) {
        install_packages(&folder, &wanted)?;
    }
    Ok(folder)
}

/// Copies what is written by hand.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (name, kind) = (entry.file_name(), entry.file_type().unwrap());
        if kind.is_dir() && name != "node_modules" && name != "dist" {
            copy(&entry.path(), &to.join(name));
        } else if kind.is_file() && name != "package-lock.json" {
            let text = fs::read(entry.path()).unwrap();
            // Other tests may be reading it.
            if fs::read(to.join(&name)).ok().as_ref() != Some(&text) {
                fs::write(to.join(name), text).unwrap();
            }
        }
    }
}

fn install_packages(folder: &Path, lock: &[u8]) -> Result<(), String> {
    let mut said = String::new();
    for _ in 0..INSTALL_ATTEMPTS {
        fs::write(folder.join("package-lock.json"), lock).unwrap();
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts"]).current_dir(folder);
        let ended = finish(npm, INSTALL_PATIENCE);
        if ended.code == Some(0) {
            return Ok(());
        }
        fs::remove_file(folder.join("package-lock.json")).unwrap();
        said = ended.stdout + &ended.stderr;
    }
    Err(format!("npm ci fails:\n{said}"))
}

/// Runs a script of `tests/clients` to its end.
pub fn run(packages: &Path, script: &str, arguments: &[&str]) -> Ended {
    let mut node = Command::new("node");
    node.arg(packages.join(script)).args(arguments);
    finish(node, PATIENCE)
}

/// Starts a script of `tests/clients` that is told what to do on stdin and answers on stdout.
pub fn start(packages: &Path, script: &str, arguments: &[&str]) -> (Process, Lines, Lines) {
    let mut node = Command::new("node");
    node.arg(packages.join(script)).args(arguments).stdin(Stdio::piped());
    Process::start(node)
}
