//! What comes from a worker, thrown at the host at random: frames, and the texts in them.
//!
//! Each target is a plain function of bytes, which a fuzzer can call as it stands. Here each gets its corpus
//! (`tests/fuzz/corpus/TARGET/`), a file per case that is worth keeping, and then so many mutations of it, the same each
//! time. A target fails by a panic.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "test code"
)]

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;

#[path = "fuzz/throw.rs"]
mod throw;

use throw::throw;
use weir_sandbox::ops::{Port, Reply};
use weir_sandbox::port::CallPort;
use weir_sandbox::process::channel::{Channel, ChannelError};
use weir_sandbox::process::frame::{FromIsolate, Report, ToIsolate, read, read_owned, write};
use weir_sandbox::protocol::{Answering, Host, HostCall, HostError, Outcome, ScriptError};
use weir_schema::limits::{CallLimits, Limit};

/// The longest frame that the channel under test allows.
const FRAME_BYTES_MAX: usize = 1 << 16;

/// Bytes as a frame of any kind: what is read is written as it was.
fn frames(bytes: &[u8]) {
    if let Ok(frame) = read::<FromIsolate>(bytes) {
        let again = write(&frame, Vec::new()).unwrap();
        assert_eq!(read::<FromIsolate>(&again).unwrap(), frame);
    }
    if let Ok(frame) = read::<ToIsolate>(bytes) {
        let again = write(&frame, Vec::new()).unwrap();
        assert_eq!(read::<ToIsolate>(&again).unwrap(), frame);
    }
    if let Ok(report) = read_owned::<Report>(bytes) {
        let again = write(&report, Vec::new()).unwrap();
        assert_eq!(read_owned::<Report>(&again).unwrap(), report);
    }
}

/// Bytes as they arrive on a socket: frames, then the end or an error.
fn channel(bytes: &[u8]) {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let mut channel = Channel::new(ours, FRAME_BYTES_MAX).unwrap();
    theirs.write_all(bytes).unwrap();
    drop(theirs);
    let mut received = 0;
    let end = loop {
        match channel.receive(None) {
            Ok(frame) => {
                assert!(frame.len() <= FRAME_BYTES_MAX);
                received += frame.len() + 4;
            }
            Err(error) => break error,
        }
    };
    assert!(received <= bytes.len());
    assert!(matches!(end, ChannelError::Closed | ChannelError::TooLong { .. }), "{end}");
}

/// Text as a request of a script: refused, or what the host is asked.
fn requests(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let limits = CallLimits::default();
    let mut port = CallPort::new(Box::new(Echo), &limits);
    let reply = port.ask(text);
    assert!(matches!(reply, Reply::Answer(_) | Reply::Refused(_) | Reply::Stop));
    drop(port.start(text));
}

/// Text as a result: within the limits, or not a value.
fn results(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let limits = CallLimits { result_bytes: 1000, result_depth: 20, ..CallLimits::default() };
    for outcome in [
        Outcome::Value(text.into()),
        Outcome::Failed(ScriptError {
            app_code: Some(text.into()),
            message: text.into(),
            host_call: Some(text.into()),
            stack: vec![],
        }),
    ] {
        CallPort::new(Box::new(Echo), &limits).finish(outcome);
    }
}

/// Takes everything, and looks at what it gets.
struct Echo;

impl Host for Echo {
    fn ask(&mut self, call: HostCall) -> Result<String, HostError> {
        Ok(format!("{call:?}"))
    }

    fn start(&mut self, call: HostCall) -> Answering {
        Box::pin(async move { Ok(format!("{call:?}")) })
    }

    fn finish(self: Box<Self>, outcome: Outcome) {
        match outcome {
            Outcome::Value(text) => {
                assert!(text.len() <= 1000);
                // What may be as deep as this is read without an end of the stack.
                let _ = serde_json::from_str::<serde_json::Value>(&text);
            }
            Outcome::Failed(error) => assert!(error.message.len() <= 10_000 && error.app_code.unwrap().len() <= 10_000),
            Outcome::Limit(limit) => assert!(matches!(limit, Limit::ResultBytes | Limit::ResultDepth)),
            other => panic!("{other:?}"),
        }
    }
}

/// What each corpus starts from: one of each kind.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let bytes = |frame: &FromIsolate| write(frame, Vec::new()).unwrap();
    let outcomes = [
        Outcome::Value("{\"a\":[1,2.5,null]}".into()),
        Outcome::Failed(ScriptError {
            app_code: Some("NO".into()),
            message: "no".into(),
            host_call: None,
            stack: vec![],
        }),
        Outcome::Limit(Limit::Heap),
        Outcome::Aborted,
        Outcome::Broken("broken".into()),
        Outcome::Lost,
        Outcome::Late { retry_after: std::time::Duration::from_millis(10) },
    ];
    let from_isolate = || {
        let mut frames = vec![
            bytes(&FromIsolate::Ready),
            bytes(&FromIsolate::Ask("{\"count\":{}}".into())),
            bytes(&FromIsolate::Start(7, "{}".into())),
        ];
        frames.extend(
            outcomes.iter().map(|outcome| bytes(&FromIsolate::Ended { outcome: outcome.clone(), spoiled: true })),
        );
        frames
    };
    match name {
        "frames" => {
            let mut frames = from_isolate();
            let call =
                ToIsolate::Call { function: 3, now_ms: 5, seed: [1; 4], caller: "{}".into(), arguments: "{}".into() };
            frames.push(write(&call, Vec::new()).unwrap());
            frames.push(write(&ToIsolate::Settled(1, Reply::Refused("no".into())), Vec::new()).unwrap());
            frames.push(write(&Report::Culprit { isolate: 1, limit: Limit::Cpu }, Vec::new()).unwrap());
            frames
        }
        "channel" => {
            let framed = |frame: &Vec<u8>| [&(frame.len() as u32).to_le_bytes()[..], frame].concat();
            let each: Vec<Vec<u8>> = from_isolate().iter().map(framed).collect();
            let all = each.concat();
            each.into_iter().chain([all]).collect()
        }
        _ => Vec::new(),
    }
}

fn fuzz(name: &str, target: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    throw(&corpus, seeds(name), target);
}

#[test]
fn any_bytes_are_a_frame_or_an_error() {
    fuzz("frames", frames);
}

#[test]
fn any_stream_is_frames_and_an_end() {
    fuzz("channel", channel);
}

#[test]
fn any_text_is_a_request_or_refused() {
    fuzz("requests", requests);
}

#[test]
fn any_text_is_a_result_within_limits_or_none() {
    fuzz("results", results);
}
