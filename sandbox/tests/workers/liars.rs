//! Workers that a script has taken over: whatever they send, their host keeps its limits and its wits.

use std::env;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use weir_sandbox::process::channel::Channel;
use weir_sandbox::process::descriptors;
use weir_sandbox::process::frame::{FromIsolate, Setup, read_owned};
use weir_sandbox::protocol::Outcome;
use weir_schema::declarations::FunctionKind;
use weir_schema::limits::Limit;

use super::app::{LIMITS, app, call, isolate, query, short, stream, supervise_as, value};
use super::trial;

/// What a worker does in the place of its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Says that it is ready, then sends what is no frame.
    Garbage,
    /// Announces a frame of 3 GiB.
    Huge,
    /// Sends a frame that belongs elsewhere.
    Misplaced,
    /// Gives a result past the limits.
    Boasting,
    /// Gives a result that nests without end.
    Deep,
    /// Asks for ever, whatever it is told.
    Asking,
    /// Starts requests for ever and takes no answer.
    Deaf,
    /// Starts requests that take long, and more for ever, whatever it is told.
    Insisting,
    /// Takes the call and says nothing.
    Silent,
    /// Answers before it is asked, twice.
    Hasty,
    /// Gives events whatever is wanted.
    Flooding,
    /// Gives an event past the limits.
    Bloated,
}

const LIES: [(Lie, &str); 12] = [
    (Lie::Garbage, "garbage"),
    (Lie::Huge, "huge"),
    (Lie::Misplaced, "misplaced"),
    (Lie::Boasting, "boasting"),
    (Lie::Deep, "deep"),
    (Lie::Asking, "asking"),
    (Lie::Deaf, "deaf"),
    (Lie::Insisting, "insisting"),
    (Lie::Silent, "silent"),
    (Lie::Hasty, "hasty"),
    (Lie::Flooding, "flooding"),
    (Lie::Bloated, "bloated"),
];

pub fn trials() -> Vec<Trial> {
    vec![
        trial("what_is_no_frame_ends_the_worker", what_is_no_frame_ends_the_worker),
        trial("results_past_the_limits_are_not_taken", results_past_the_limits_are_not_taken),
        trial("who_asks_for_ever_is_stopped", who_asks_for_ever_is_stopped),
        trial("who_takes_no_answer_fills_no_memory", who_takes_no_answer_fills_no_memory),
        trial("who_goes_on_when_told_to_stop_has_little_time", who_goes_on_when_told_to_stop_has_little_time),
        trial("who_keeps_silent_is_not_waited_for", who_keeps_silent_is_not_waited_for),
        trial("who_answers_before_it_is_asked_is_not_asked", who_answers_before_it_is_asked_is_not_asked),
        trial("events_come_when_they_are_wanted_or_not_at_all", events_come_when_they_are_wanted_or_not_at_all),
    ]
}

impl Lie {
    /// What the binary of this path is to do.
    pub fn of(program: &str) -> Option<Self> {
        let name = env::current_exe().ok().and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
        let name = name.unwrap_or_else(|| program.to_owned());
        LIES.iter().find(|(_, known)| *known == name).map(|(lie, _)| *lie)
    }

    /// This test binary under the name of the lie.
    fn program(self, folder: &Path) -> PathBuf {
        let name = LIES.iter().find(|(lie, _)| *lie == self).unwrap().1;
        let path = folder.join(name);
        let own = env::current_exe().unwrap();
        if std::fs::hard_link(&own, &path).is_err() {
            std::fs::copy(own, &path).unwrap();
        }
        path
    }

    /// The life of such a worker.
    pub fn tell(self) -> ExitCode {
        let control = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned().unwrap());
        let mut channels = descriptors::receive(&control).unwrap();
        let mut control = Channel::new(control, 1 << 30).unwrap();
        let _setup: Setup = read_owned(&control.receive(None).unwrap()).unwrap();
        let socket = UnixStream::from(channels.remove(0));
        let mut raw = socket.try_clone().unwrap();
        let mut channel = Channel::new(socket, 1 << 30).unwrap();
        channel.send(&FromIsolate::Ready, None).unwrap();
        let ended = |outcome| FromIsolate::Ended { outcome, spoiled: false };
        if self == Self::Hasty {
            channel.send(&ended(value("1")), None).unwrap();
            channel.send(&ended(value("2")), None).unwrap();
        }
        channel.receive(None).unwrap();
        match self {
            Self::Garbage => raw.write_all(&[3, 0, 0, 0, 255, 255, 255]).unwrap(),
            Self::Huge => raw.write_all(&(3_u32 << 30).to_le_bytes()).unwrap(),
            Self::Misplaced => channel.send(&FromIsolate::Ready, None).unwrap(),
            Self::Boasting => channel.send(&ended(value(&"x".repeat(150_000))), None).unwrap(),
            Self::Deep => channel.send(&ended(value(&"[".repeat(99_000))), None).unwrap(),
            Self::Asking => {
                let ask = r#"{"get":{"collection":"orders","id":"o1"}}"#;
                while channel.send(&FromIsolate::Ask(ask.into()), None).is_ok() && channel.receive(None).is_ok() {}
            }
            Self::Deaf => {
                let start = format!(r#"{{"call":{{"function":"other","args":{{"n":"{}"}}}}}}"#, "x".repeat(50_000));
                while channel.send(&FromIsolate::Start(0, (&*start).into()), None).is_ok() {}
            }
            Self::Insisting => {
                let start = r#"{"call":{"function":"other","args":{"after":60000}}}"#;
                while channel.send(&FromIsolate::Start(0, start.into()), None).is_ok() {}
            }
            Self::Flooding => while channel.send(&FromIsolate::Event("1".into()), None).is_ok() {},
            Self::Bloated => {
                let event = "x".repeat(150_000);
                channel.send(&FromIsolate::Event((&*event).into()), None).unwrap();
                channel.receive(None).unwrap();
                channel.send(&ended(value("null")), None).unwrap();
            }
            Self::Silent | Self::Hasty => {}
        }
        thread::sleep(Duration::from_secs(60));
        ExitCode::SUCCESS
    }
}

/// What a query comes to whose worker lies so, and how long that takes.
fn asked(lie: Lie) -> (Outcome, Duration) {
    let folder = tempfile::tempdir().unwrap();
    let app = query(&short(), "return 1");
    let workers = supervise_as(lie.program(folder.path()), &app, 1, 0);
    let mut isolate = isolate(&workers, &app).unwrap();
    let started = Instant::now();
    (call(&mut isolate), started.elapsed())
}

fn what_is_no_frame_ends_the_worker() {
    for lie in [Lie::Garbage, Lie::Huge, Lie::Misplaced] {
        let (outcome, _) = asked(lie);
        assert!(matches!(outcome, Outcome::Broken(_)), "{lie:?}: {outcome:?}");
    }
}

fn results_past_the_limits_are_not_taken() {
    assert_eq!(asked(Lie::Boasting).0, Outcome::Limit(Limit::ResultBytes));
    assert_eq!(asked(Lie::Deep).0, Outcome::Limit(Limit::ResultDepth));
}

fn who_asks_for_ever_is_stopped() {
    assert_eq!(asked(Lie::Asking).0, Outcome::Limit(Limit::HostCalls));
}

fn who_takes_no_answer_fills_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let functions = [("f", FunctionKind::Action), ("other", FunctionKind::Query)];
    let limits =
        short().replace("host_calls = 200", "host_calls = 1000000").replace("promises = 100", "promises = 1000000");
    let app = app(&limits, &functions, "export const other = query(() => 1);\nexport const f = action(() => 1);");
    let workers = supervise_as(Lie::Deaf.program(folder.path()), &app, 1, 0);
    let mut isolate = isolate(&workers, &app).unwrap();
    let before = memory_bytes();
    // Whichever comes first, by how quick the machine is.
    let outcome = call(&mut isolate);
    assert!(matches!(outcome, Outcome::Limit(Limit::Wall | Limit::OutstandingPromises)), "{outcome:?}");
    let grown = memory_bytes().saturating_sub(before);
    assert!(grown < 192 << 20, "{grown} bytes");
}

fn who_goes_on_when_told_to_stop_has_little_time() {
    let folder = tempfile::tempdir().unwrap();
    let functions = [("f", FunctionKind::Action), ("other", FunctionKind::Query)];
    let app = app(LIMITS, &functions, "export const other = query(() => 1);\nexport const f = action(() => 1);");
    let workers = supervise_as(Lie::Insisting.program(folder.path()), &app, 1, 0);
    let mut isolate = isolate(&workers, &app).unwrap();
    let (before, started) = (memory_bytes(), Instant::now());
    assert_eq!(call(&mut isolate), Outcome::Limit(Limit::OutstandingPromises));
    let (took, grown) = (started.elapsed(), memory_bytes().saturating_sub(before));
    assert!(took < Duration::from_millis(app.manifest.limits.wall_ms), "{took:?}");
    assert!(grown < 64 << 20, "{grown} bytes");
}

fn events_come_when_they_are_wanted_or_not_at_all() {
    let ask = |lie: Lie, kind, wanted, reader| {
        let folder = tempfile::tempdir().unwrap();
        let app = app(&short(), &[("f", kind)], "");
        let workers = supervise_as(lie.program(folder.path()), &app, 1, 0);
        let mut isolate = isolate(&workers, &app).unwrap();
        let before = memory_bytes();
        let (events, outcome) = stream(&mut isolate, wanted, reader);
        assert!(memory_bytes().saturating_sub(before) < 64 << 20);
        (events.len(), outcome)
    };
    // Its reader takes no more of them than it wants, and then none may come.
    let (events, outcome) = ask(Lie::Flooding, FunctionKind::Stream, 5, Duration::from_millis(50));
    assert!(events == 5 && matches!(outcome, Outcome::Broken(_)), "{events} {outcome:?}");
    // A query has no events.
    let (events, outcome) = ask(Lie::Flooding, FunctionKind::Query, 5, Duration::ZERO);
    assert!(events == 0 && matches!(outcome, Outcome::Broken(_)), "{events} {outcome:?}");
    let limit = Outcome::Limit(Limit::ResultBytes);
    assert_eq!(ask(Lie::Bloated, FunctionKind::Stream, 5, Duration::ZERO), (0, limit));
    assert_eq!(ask(Lie::Silent, FunctionKind::Stream, 5, Duration::ZERO), (0, Outcome::Limit(Limit::Wall)));
}

/// The most memory that this process has had.
fn memory_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    peak.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

fn who_keeps_silent_is_not_waited_for() {
    let (outcome, took) = asked(Lie::Silent);
    assert_eq!(outcome, Outcome::Limit(Limit::Wall));
    assert!(took >= Duration::from_secs(1), "{took:?}");
}

fn who_answers_before_it_is_asked_is_not_asked() {
    let folder = tempfile::tempdir().unwrap();
    let app = query(&short(), "return 1");
    let workers = supervise_as(Lie::Hasty.program(folder.path()), &app, 1, 0);
    // Where it is noticed too late, it can only give away its own results.
    if let Ok(mut isolate) = isolate(&workers, &app) {
        assert_eq!(call(&mut isolate), value("1"));
    }
}
