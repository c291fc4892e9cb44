//! Runs the `weir` binary: commands that end by themselves, and servers that end with their test.
//!
//! The binary is built once, with the profile and into the target folder of the tests themselves. `WEIR_TESTS_BINARY`
//! names another one instead, from the root of the source tree: `WEIR_TESTS_BINARY=target/release/weir`.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::apps::{App, root};
use crate::graphql::Client;

/// The longest that anything may take that is not an import. Far more than it does: machines may be busy.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The longest that an import of real data may take.
const PATIENCE_FOR_IMPORT: Duration = Duration::from_secs(600);
/// Between two looks at something that is waited for.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// The binary under test.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<Option<PathBuf>> = OnceLock::new();
    let named = || env::var_os("WEIR_TESTS_BINARY").map(|path| root().join(path));
    BINARY.get_or_init(|| named().or_else(build)).as_deref().expect("the binary does not build")
}

/// Whether the binary was compiled with optimization, as far as its path tells.
pub fn is_release() -> bool {
    binary().components().any(|part| part.as_os_str() == "release")
}

/// The folder of this profile: `target/debug`.
pub fn profile_folder() -> PathBuf {
    let test = env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().to_owned()
}

/// Builds the binary: nothing to do where it is fresh. `None`: it does not build, and cargo has said why.
fn build() -> Option<PathBuf> {
    let folder = profile_folder();
    cargo_build(&folder, &["--bin", "weir"]).then(|| folder.join("weir"))
}

fn cargo_build(folder: &Path, what: &[&str]) -> bool {
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let mut cargo = Command::new(env!("CARGO"));
    // Build scripts look at these and would run again, and with them half of the workspace, there and back each time.
    let of_this_crate = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_this_crate)) {
        cargo.env_remove(name);
    }
    let status = cargo
        // The whole workspace, as `cargo test --workspace` does: with other features everything would be compiled again.
        .args(["build", "--workspace"])
        .args(what)
        .args(["--profile", profile, "--target-dir"])
        .arg(folder.parent().unwrap())
        .current_dir(root())
        .status()
        .unwrap();
    status.success()
}

/// An example of the workspace, built as the binary is.
pub fn example(name: &str) -> PathBuf {
    let folder = profile_folder();
    assert!(cargo_build(&folder, &["--example", name]), "the example {name} does not build");
    folder.join("examples").join(name)
}

/// How a command ended.
pub struct Ended {
    /// 0, 1 or 2; `None` after a signal.
    pub code: Option<i32>,
    /// What it wrote on stdout.
    pub stdout: String,
    /// What it wrote on stderr.
    pub stderr: String,
}

/// Runs a command of the binary to its end.
pub fn run(arguments: &[&str]) -> Ended {
    finish(weir(arguments), PATIENCE)
}

/// Runs a command of the binary that loads data.
pub fn run_import(arguments: &[&str]) -> Ended {
    finish(weir(arguments), PATIENCE_FOR_IMPORT)
}

/// A command line of the binary.
pub fn weir(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments).env_remove("WEIR_LOG").env_remove("WEIR_ENCRYPTION_KEYS");
    command
}

/// Runs a command to its end; kills it when that takes too long.
pub fn finish(mut command: Command, patience: Duration) -> Ended {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = Process(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")));
    let read = |mut pipe: Box<dyn Read + Send>| {
        thread::spawn(move || {
            let mut text = Vec::new();
            pipe.read_to_end(&mut text).unwrap();
            String::from_utf8_lossy(&text).into_owned()
        })
    };
    let stdout = read(Box::new(process.0.stdout.take().unwrap()));
    let stderr = read(Box::new(process.0.stderr.take().unwrap()));
    let status = process.wait(patience);
    // Its pipes end with it.
    let _ = process.0.kill();
    let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
    let Some(status) = status else {
        panic!("{command:?} did not end within {patience:?}\n{stdout}{stderr}");
    };
    Ended { code: status.code(), stdout, stderr }
}

/// Looks until something is there.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        thread::sleep(BETWEEN_LOOKS);
    }
}

/// Says something to whoever runs the tests. Not `eprintln!`, which the test runner keeps to itself.
pub fn say(text: &str) {
    io::stderr().write_all(format!("{}\n", text.trim_end()).as_bytes()).unwrap();
}

/// A process that is killed with its value.
pub struct Process(Child);

impl Process {
    /// Starts a command whose output is read line by line.
    pub fn start(mut command: Command) -> (Self, Lines, Lines) {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = Lines::of(child.stdout.take().unwrap());
        let stderr = Lines::of(child.stderr.take().unwrap());
        (Self(child), stdout, stderr)
    }

    /// Its number in the system.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Writes a line to its stdin.
    pub fn tell(&mut self, line: &str) {
        let stdin = self.0.stdin.as_mut().expect("stdin is piped");
        writeln!(stdin, "{line}").unwrap();
        stdin.flush().unwrap();
    }

    /// Asks it to stop, as a supervisor does.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.0.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Waits for its end, at most so long.
    pub fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return Some(status);
            }
            if Instant::now() > deadline {
                return None;
            }
            thread::sleep(BETWEEN_LOOKS);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The lines that a process writes, as they come.
#[derive(Clone)]
pub struct Lines {
    shared: Arc<(Mutex<Written>, Condvar)>,
}

#[derive(Default)]
struct Written {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let lines = Self { shared: Arc::default() };
        let writer = lines.clone();
        thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                writer.shared.0.lock().unwrap().lines.push(line);
                writer.shared.1.notify_all();
            }
            writer.shared.0.lock().unwrap().ended = true;
            writer.shared.1.notify_all();
        });
        lines
    }

    /// The first line from number `from` on that is looked for, and its number. Panics when none comes.
    pub fn wait_for(&self, from: usize, looked_for: impl Fn(&str) -> bool) -> (usize, String) {
        let found = self.find(from, looked_for);
        found.unwrap_or_else(|| panic!("the line did not come:\n{}", self.text(0)))
    }

    /// The same; `None` when the process has closed its end before, or takes too long.
    pub fn find(&self, from: usize, looked_for: impl Fn(&str) -> bool) -> Option<(usize, String)> {
        let deadline = Instant::now() + PATIENCE;
        let (written, changed) = &*self.shared;
        let mut written = written.lock().unwrap();
        loop {
            let found = written.lines.iter().enumerate().skip(from).find(|(_, line)| looked_for(line));
            if let Some((number, line)) = found {
                return Some((number, line.clone()));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if written.ended || left.is_zero() {
                return None;
            }
            written = changed.wait_timeout(written, left).unwrap().0;
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.shared.0.lock().unwrap().lines.len()
    }

    /// Those from number `from` on, as text.
    pub fn text(&self, from: usize) -> String {
        self.shared.0.lock().unwrap().lines[from..].join("\n")
    }

    /// All of them, once the process has closed its end.
    pub fn all(&self) -> Vec<String> {
        eventually("the end of the output", || {
            let written = self.shared.0.lock().unwrap();
            written.ended.then(|| written.lines.clone())
        })
    }
}

/// A running `weir dev`.
pub struct Dev {
    /// The process.
    pub process: Process,
    /// Its log.
    pub log: Lines,
    /// The rest of what it writes on stdout.
    pub stdout: Lines,
    /// `http://127.0.0.1:PORT`
    pub url: String,
}

impl Dev {
    /// Starts it on an app and waits until it is ready.
    pub fn start(app: &App) -> Self {
        Self::starting(app).ready()
    }

    /// Starts it on an app that may not be ready yet.
    pub fn starting(app: &App) -> Starting {
        Self::starting_with(app, &[])
    }

    /// The same with more arguments.
    pub fn starting_with(app: &App, arguments: &[&str]) -> Starting {
        Self::starting_at(app, "127.0.0.1:0", arguments)
    }

    fn starting_at(app: &App, address: &str, arguments: &[&str]) -> Starting {
        let mut command = weir(&["dev", "--listen", address]);
        command.args(arguments).arg("--data").arg(app.data()).arg(app.path()).stdin(Stdio::null());
        let (process, stdout, log) = Process::start(command);
        Starting { process, stdout, log }
    }

    /// Starts it where another one has been, at `http://HOST:PORT`, and waits until it is ready. While something else has
    /// the port, which anything on this machine may draw, it tries again.
    pub fn start_again(app: &App, url: &str) -> Self {
        eventually("the port", || {
            let starting = Self::starting_at(app, url.trim_start_matches("http://"), &[]);
            if starting.stdout.find(0, Starting::is_listening).is_some() {
                return Some(starting.ready());
            }
            let log = starting.log.all().join("\n");
            assert!(log.contains("is taken"), "{log}");
            None
        })
    }

    /// One whose command line is the test's own: what [`Process::start`] gave. Waits until it is ready.
    pub fn of((process, stdout, log): (Process, Lines, Lines)) -> Self {
        Starting { process, stdout, log }.ready()
    }

    /// A client of it.
    pub fn client(&self) -> Client {
        Client::of(&self.url)
    }

    /// Stops it as a supervisor does; its exit code.
    pub fn stop(mut self) -> Option<i32> {
        self.process.terminate();
        self.process.wait(PATIENCE).expect("it stops on SIGTERM").code()
    }
}

/// A `weir dev` that may not be ready yet.
pub struct Starting {
    /// The process.
    pub process: Process,
    /// Its log.
    pub log: Lines,
    stdout: Lines,
}

impl Starting {
    /// Waits until it listens.
    pub fn ready(self) -> Dev {
        let (_, line) = self.stdout.wait_for(0, Self::is_listening);
        let url = line.trim_start_matches("listening on ").to_owned();
        Dev { process: self.process, log: self.log, stdout: self.stdout, url }
    }

    fn is_listening(line: &str) -> bool {
        line.starts_with("listening on ")
    }
}

/// Starts an import that the test will not see to its end, with one line of its log for every commit.
pub fn start_import(app: &App, file: &Path, procedure: &str) -> (Process, Lines) {
    let mut command = weir(&["import", "--with", procedure]);
    command.arg(file).arg("--app").arg(app.path()).arg("--data").arg(app.data());
    command.env("WEIR_LOG", "debug").stdin(Stdio::null());
    let (process, _, log) = Process::start(command);
    (process, log)
}
