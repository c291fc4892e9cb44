//! Uploads of JSON lines through the real binary: many calls, a slow reader, bounded memory, and clients that go away.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::apps::App;
use crate::weir::{Dev, PATIENCE, eventually, say};

/// Calls in one request.
const CALLS: usize = 20_000;
/// How much of the answer the slow reader takes at once, and how long it waits after that.
const SIP_BYTES: usize = 64 << 10;
const SIP_PAUSE: Duration = Duration::from_millis(20);
/// What a server may grow by while it takes an upload, by its resident memory. Documents are kept in memory for a while,
/// and so is what conflicts are looked for in: what an upload itself may take is a small part of this.
const GROWTH_BYTES_MAX: u64 = 160 << 20;
/// A piece of a chunked body.
const PIECE_LINES: usize = 50;

const APP: &str = r#"
    import { collection, fail, procedure, query, type Int } from "weir";
    export interface Note { n: Int; text: string }
    export const notes = collection<Note>({ unique: ["n"] });
    export const add = procedure((args: { n: Int; text: string }): Int => {
      if (args.n % 1000 === 999) fail("UNLUCKY", "not this one");
      notes.insert(args);
      return args.n;
    });
    export const all = query((): Int => notes.count());
"#;

fn line(n: usize) -> String {
    json!({ "function": "add", "args": { "n": n, "text": "x".repeat(100) } }).to_string() + "\n"
}

/// Opens an upload with a chunked body.
fn open(dev: &Dev, key: Option<&str>) -> TcpStream {
    let mut stream = TcpStream::connect(dev.url.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let key = key.map(|key| format!("idempotency-key: {key}\r\n")).unwrap_or_default();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/jsonl\r\n{key}transfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

/// Writes lines; false when nobody takes them any more.
fn write(stream: &mut TcpStream, lines: std::ops::Range<usize>) -> bool {
    let lines: Vec<usize> = lines.collect();
    lines.chunks(PIECE_LINES).all(|piece| {
        let text: String = piece.iter().map(|n| line(*n)).collect();
        stream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).is_ok()
    })
}

fn end(stream: &mut TcpStream) {
    stream.write_all(b"0\r\n\r\n").unwrap();
}

/// Reads the answer, so much at a time, and then waits; the lines, and whether they are all.
fn read(stream: TcpStream, sip: usize, pause: Duration) -> (Vec<Value>, bool) {
    let mut stream = BufReader::with_capacity(sip, stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(stream.read_line(&mut head).unwrap() > 0, "{head}");
    }
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let (mut text, mut taken, mut is_whole) = (Vec::new(), 0, false);
    loop {
        let mut size = String::new();
        if stream.read_line(&mut size).unwrap_or(0) == 0 {
            break;
        }
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let before = text.len();
        text.resize(before + size, 0);
        if stream.read_exact(&mut text[before..]).is_err() || stream.read_exact(&mut [0; 2]).is_err() {
            text.truncate(before);
            break;
        }
        if size == 0 {
            is_whole = true;
            break;
        }
        taken += size;
        if taken >= sip {
            taken = 0;
            thread::sleep(pause);
        }
    }
    let text = String::from_utf8(text).unwrap();
    (text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), is_whole)
}

/// The resident memory of a process, where that can be asked.
fn resident(dev: &Dev) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", dev.process.id())).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? << 10)
}

fn check(answers: &[Value]) {
    for (place, answer) in answers.iter().enumerate() {
        assert_eq!(answer["place"], json!(place));
        if place % 1000 == 999 {
            assert_eq!(answer["error"]["appCode"], "UNLUCKY", "{answer}");
        } else {
            assert_eq!(answer["value"], json!(place), "{answer}");
            assert!(answer["commit"].is_string(), "{answer}");
        }
    }
}

#[test]
fn many_calls_pass_in_one_request_with_a_slow_reader_and_bounded_memory() {
    let app = App::of(APP);
    let dev = Dev::start(&app);
    // What is made at the first call is there before.
    let mut warm = open(&dev, None);
    assert!(write(&mut warm, CALLS..CALLS + 100));
    end(&mut warm);
    assert!(read(warm, SIP_BYTES, Duration::ZERO).1);
    let before = resident(&dev);
    let mut stream = open(&dev, Some("whole"));
    let reader = stream.try_clone().unwrap();
    let (answers, is_whole, most) = thread::scope(|scope| {
        let reading = scope.spawn(move || read(reader, SIP_BYTES, SIP_PAUSE));
        scope.spawn(move || {
            assert!(write(&mut stream, 0..CALLS));
            end(&mut stream);
        });
        let mut most = 0;
        while !reading.is_finished() {
            most = most.max(resident(&dev).unwrap_or_default());
            thread::sleep(Duration::from_millis(50));
        }
        let (answers, is_whole) = reading.join().unwrap();
        (answers, is_whole, most)
    });
    assert!(is_whole && answers.len() == CALLS, "{} answers", answers.len());
    check(&answers);
    let count = dev.client().data("{ all }")["all"].clone();
    assert_eq!(count, json!(CALLS - CALLS / 1000 + 100));
    if let Some(before) = before {
        let growth = most.saturating_sub(before);
        say(&format!("uploads: {} MiB before, at most {} MiB more", before >> 20, growth >> 20));
        assert!(growth < GROWTH_BYTES_MAX, "{growth} bytes");
    }
}

#[test]
fn who_goes_away_in_the_middle_repeats_the_whole() {
    let app = App::of(APP);
    let mut dev = Dev::start(&app);
    // One is cut off while it sends, one while nobody reads, one by a kill of the server.
    let mut cut = open(&dev, Some("k"));
    assert!(write(&mut cut, 0..500));
    cut.shutdown(Shutdown::Both).unwrap();
    drop(cut);
    let mut deaf = open(&dev, Some("k"));
    assert!(write(&mut deaf, 0..800));
    drop(deaf);
    let mut killed = open(&dev, Some("k"));
    assert!(write(&mut killed, 0..1_000));
    eventually("some calls to be made", || (dev.client().data("{ all }")["all"].as_u64().unwrap() > 400).then_some(()));
    dev.process.kill();
    let (told, is_whole) = read(killed, SIP_BYTES, Duration::ZERO);
    assert!(!is_whole);
    check(&told);
    let dev = Dev::start(&app);
    let there = dev.client().data("{ all }")["all"].as_u64().unwrap();
    let kept = told.iter().filter(|answer| answer["error"].is_null()).count() as u64;
    assert!(there >= kept, "{kept} calls were acknowledged, {there} are there");

    let mut whole = open(&dev, Some("k"));
    let reader = whole.try_clone().unwrap();
    let (answers, is_whole) = thread::scope(|scope| {
        let reading = scope.spawn(move || read(reader, SIP_BYTES, Duration::ZERO));
        assert!(write(&mut whole, 0..1_200));
        end(&mut whole);
        reading.join().unwrap()
    });
    assert!(is_whole && answers.len() == 1_200, "{} answers", answers.len());
    check(&answers);
    assert_eq!(answers[..told.len()], told, "another answer than the first");
    assert_eq!(dev.client().data("{ all }")["all"], json!(1_199));
}
