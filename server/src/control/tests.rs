//! The socket from both sides, and what strangers may send to it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that panics has failed, as it should")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream as Stream;
use std::path::PathBuf;
use std::thread;

use tempfile::TempDir;
use weir_sandbox::pool::PoolOptions;
use weir_store::{Options, Report};

use super::super::{AskError, ask};
use super::*;

/// A store that can be asked, in a folder of that name.
async fn listening(name: &str) -> (Control, Store, PathBuf, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join(name);
    let store = Store::open(&data, Options::default()).unwrap();
    let engine = Engine::start(store.clone(), PoolOptions::default()).unwrap();
    let control = Control::start(store.clone(), engine, &data, Slot::default()).unwrap();
    (control, store, data, folder)
}

async fn asked(data: &Path, request: Request) -> Result<Option<Value>, AskError> {
    let data = data.to_owned();
    tokio::task::spawn_blocking(move || ask(&data, &request, |_| {})).await.unwrap()
}

/// What comes back for some bytes.
async fn answer(data: &Path, sent: &'static [u8]) -> String {
    let socket = data.join("control");
    let answered = move || {
        let mut stream = Stream::connect(socket).unwrap();
        // It may hang up before it has read all.
        let _ = stream.write_all(sent);
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        text
    };
    tokio::task::spawn_blocking(answered).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_answered() {
    let (control, store, data, folder) = listening("data").await;
    let report: Report = serde_json::from_value(asked(&data, Request::Verify).await.unwrap().unwrap()).unwrap();
    assert_eq!((report.head, report.problem_count), (store.head(), 0));
    let to = folder.path().join("backup");
    let done = asked(&data, Request::Backup { to: to.clone() }).await.unwrap().unwrap();
    assert!(serde_json::from_value::<BackedUp>(done).unwrap().files > 0);
    let again = asked(&data, Request::Backup { to }).await.unwrap_err().to_string();
    assert!(again.ends_with("exists and is not empty: choose another folder for the backup"), "{again}");
    let relative = asked(&data, Request::Export { to: PathBuf::from("all.jsonl") }).await.unwrap_err().to_string();
    assert_eq!(relative, "all.jsonl is not an absolute path");
    let early = asked(&data, Request::Views).await.unwrap_err().to_string();
    assert_eq!(early, "no release is active yet: see the log of the server");

    let mode = fs::metadata(data.join("control")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "for its owner only");
    control.stop().await;
    assert!(!data.join("control").exists());
    assert_eq!(asked(&data, Request::Verify).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_path_is_no_obstacle() {
    let long = format!("{}/{}", "x".repeat(120), "y".repeat(120));
    let (control, _store, data, _folder) = listening(&long).await;
    assert!(asked(&data, Request::Verify).await.unwrap().is_some());
    control.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_was_left_is_replaced() {
    let (control, store, data, _folder) = listening("data").await;
    control.stop().await;
    // A socket that nobody listens on any more, as a killed process leaves it.
    drop(std::os::unix::net::UnixListener::bind(data.join("control")).unwrap());
    assert_eq!(asked(&data, Request::Verify).await.unwrap(), None);
    let engine = Engine::start(store.clone(), PoolOptions::default()).unwrap();
    let control = Control::start(store, engine, &data, Slot::default()).unwrap();
    assert!(asked(&data, Request::Verify).await.unwrap().is_some());
    control.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_answered_or_hung_up_on() {
    let (control, _store, data, _folder) = listening("data").await;
    let said = answer(&data, b"{\"request\":\"dance\"}\n").await;
    assert!(said.starts_with(r#"{"answer":"failed","reason":"the server does not know this request: "#), "{said}");
    static LONG: [u8; 2 * REQUEST_BYTES_MAX as usize] = [b'x'; 2 * REQUEST_BYTES_MAX as usize];
    assert_eq!(answer(&data, &LONG).await, "");
    assert!(asked(&data, Request::Verify).await.unwrap().is_some());
    control.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_bounded_and_silent_ones_end() {
    let (control, _store, data, _folder) = listening("data").await;
    let silent: Vec<Stream> = (0..CONNECTIONS_MAX).map(|_| Stream::connect(data.join("control")).unwrap()).collect();
    let busy = asked(&data, Request::Verify).await.unwrap_err().to_string();
    assert_eq!(busy, "too many commands are asking at once: try again");
    drop(silent);
    let answered = || async { asked(&data, Request::Verify).await.is_ok() };
    while !answered().await {
        thread::sleep(Duration::from_millis(5));
    }
    control.stop().await;
}
