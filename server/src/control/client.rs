//! The side of a command: asks, shows how far it is, and waits. It blocks.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::Value;
use weir_store::progress::Progress;

use super::AskError;
use super::address::Address;
use super::message::{ANSWER_BYTES_MAX, Answer, Request};

/// Asks the process that has a data folder open. `None`: nobody listens there.
pub fn ask(data: &Path, request: &Request, mut show: impl FnMut(Progress)) -> Result<Option<Value>, AskError> {
    let unreachable = |reason| AskError::Unreachable { folder: data.display().to_string(), reason };
    let stream = match Address::of(data).and_then(|address| UnixStream::connect(address.socket())) {
        Ok(stream) => stream,
        // No socket, or one that a killed process has left.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => return Ok(None),
        Err(error) => return Err(unreachable(error)),
    };
    send(&stream, request).map_err(unreachable)?;
    let mut lines = BufReader::new(&stream);
    loop {
        match receive(&mut lines) {
            Some(Answer::Progress(progress)) => show(progress),
            Some(Answer::Done { outcome }) => return Ok(Some(outcome)),
            Some(Answer::Failed { reason }) => return Err(AskError::Failed(reason)),
            None => return Err(AskError::NoAnswer),
        }
    }
}

fn send(mut stream: &UnixStream, request: &Request) -> io::Result<()> {
    let mut text = serde_json::to_vec(request)?;
    text.push(b'\n');
    match stream.write_all(&text) {
        // It has hung up, and perhaps said why.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// The next line of the answer; `None` where there is none, or none that makes sense.
fn receive(lines: &mut impl BufRead) -> Option<Answer> {
    let mut text = Vec::new();
    lines.take(ANSWER_BYTES_MAX).read_until(b'\n', &mut text).ok()?;
    serde_json::from_slice(&text).ok()
}
