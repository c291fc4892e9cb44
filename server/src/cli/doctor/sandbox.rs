//! The doctor's look at the sandbox: a process that locks itself down as workers do (`weir lockdown-probe`) tells what it
//! could still do.

use std::io::{self, BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use weir_sandbox::lockdown::probe::{Answer, Attempt, Finding, Script};

/// The longest that the probe may take. It takes less than a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// Findings that wait to be read. There are some fifty.
const FINDINGS_MAX: usize = 100;

/// Prints what a worker process can do here, and warns of what it should not.
pub fn look() {
    anstream::println!("sandbox of worker processes:");
    let warnings = match probe() {
        Ok(findings) => {
            findings.iter().for_each(print);
            warnings(&findings)
        }
        Err(error) => vec![format!("how they are locked down cannot be seen: {error}")],
    };
    for warning in &warnings {
        anstream::println!("warning: {warning}");
    }
    if warnings.is_empty() {
        anstream::println!("no warnings");
    }
}

/// Runs the probe to its end.
fn probe() -> io::Result<Vec<Finding>> {
    let mut command = Command::new(std::env::current_exe()?);
    // What it says on stderr is for those who look for a defect in the probe itself.
    command.arg("lockdown-probe").env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let stdout = child.stdout.take().ok_or_else(|| io::Error::other("it has no output"))?;
    let (sender, lines) = mpsc::sync_channel(FINDINGS_MAX);
    let reading = thread::spawn(move || {
        let lines = BufReader::new(stdout).lines().map_while(Result::ok);
        lines.map(|line| serde_json::from_str(&line)).try_for_each(|finding| sender.send(finding))
    });
    let mut findings = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    let ended = loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Ok(finding)) => findings.push(finding),
            Ok(Err(error)) => break Err(io::Error::from(error)),
            Err(RecvTimeoutError::Disconnected) => break Ok(()),
            Err(RecvTimeoutError::Timeout) => break Err(io::Error::other("the process does not come to its end")),
        }
    };
    if ended.is_err() {
        child.kill()?;
    }
    drop(lines);
    let status = child.wait()?;
    // It has nothing to say: it stops where its channel is closed.
    let _ = reading.join();
    ended?;
    if status.success() { Ok(findings) } else { Err(io::Error::other(format!("the process ended with {status}"))) }
}

fn print(finding: &Finding) {
    let said_of = |error: i32| io::Error::from_raw_os_error(error);
    match finding {
        Finding::LockDown(report) => {
            for entry in &report.entries {
                anstream::println!("{}: {entry}", if entry.is_off() { "off" } else { "on" });
            }
        }
        Finding::Attempt(Attempt { what, answer }) => match answer {
            Answer::Refused(error) => anstream::println!("refused: {what}: {}", said_of(*error)),
            Answer::Nothing => anstream::println!("nothing there: {what}"),
            Answer::LetThrough(None) => anstream::println!("let through: {what}"),
            Answer::LetThrough(Some(error)) => anstream::println!("let through: {what}: {}", said_of(*error)),
        },
        Finding::Script(Script { what, failure: None }) => anstream::println!("works: {what}"),
        Finding::Script(Script { what, failure: Some(failure) }) => anstream::println!("fails: {what}: {failure}"),
    }
}

/// One for each kind of finding that should not be, with what to do.
fn warnings(findings: &[Finding]) -> Vec<String> {
    let (mut off, mut let_through, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for finding in findings {
        match finding {
            Finding::LockDown(report) => off.extend(report.without()),
            Finding::Attempt(Attempt { what, answer }) if answer.is_let_through() => let_through.push(what.clone()),
            Finding::Script(Script { what, failure: Some(_) }) => failed.push(what.clone()),
            Finding::Attempt(_) | Finding::Script(_) => {}
        }
    }
    let help = "run only code that you trust, or see docs/operations.md, Worker processes";
    let kinds = [
        ("without", off, help),
        ("a worker process can", let_through, help),
        ("a worker process cannot", failed, "report it with the version of the kernel"),
    ];
    let said = kinds.into_iter().filter(|(_, found, _)| !found.is_empty());
    said.map(|(what, found, help)| format!("{what} {}: {help}", found.join(", "))).collect()
}
