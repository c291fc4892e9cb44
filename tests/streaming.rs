//! A million documents leave the server, by the line and by the page, and its memory stays flat.
//!
//! Memory is what the system says of the server and of all of its workers together, looked at all the while. The lines are
//! compared with what they have after a start and one small call of each kind, when no cache is filled; the pages with what
//! they have after the lines, when the store's cache of blocks, which has a fixed bound, is full.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::apps::App;
use crate::socket::Socket;
use crate::weir::{Dev, PATIENCE, run_import, say};

const DOCUMENTS: usize = 1_000_000;
/// What memory may grow by while they are sent.
const GROWTH_BYTES_MAX: u64 = 64 << 20;
/// Between two looks at it.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

const READINGS: &str = r#"
import { collection, query, stream, type Doc, type Int, type Page } from "weir";
export interface Reading { n: Int; label: string }
export const readings = collection<Reading>();

/** All of them: rows that nobody looks into. */
export const all = query((): Doc<Reading>[] => readings.orderBy("id"));
export const few = query((): Doc<Reading>[] => readings.orderBy("id").take(3));

/** All of them, by the page. */
export const pages = stream(async function* (args: { by: Int; most?: Int }): AsyncGenerator<Doc<Reading>[]> {
  let after: string | undefined;
  for (let page = 0; page < (args.most ?? Infinity); page++) {
    const { edges, pageInfo }: Page<Doc<Reading>> = readings.orderBy("id").page({ first: args.by, after });
    yield edges.map((edge) => edge.node);
    if (!pageInfo.hasNextPage || pageInfo.endCursor === null) return;
    after = pageInfo.endCursor;
  }
});
"#;

#[derive(Deserialize)]
struct Reading {
    id: String,
    n: usize,
}

fn id(n: usize) -> String {
    format!("r{n:07}")
}

/// Counts readings, which come in order and each once.
#[derive(Default)]
struct Counted(usize);

impl Counted {
    #[track_caller]
    fn count(&mut self, reading: &Reading) {
        assert_eq!((reading.id.as_str(), reading.n), (id(self.0).as_str(), self.0));
        self.0 += 1;
    }
}

#[test]
fn a_million_documents_keep_memory_flat() {
    if !cfg!(target_os = "linux") {
        return say("skipped: a_million_documents_keep_memory_flat: memory is read from /proc");
    }
    let app = App::of(READINGS);
    load(&app);
    // As in production: what a script takes is in another process, and counts.
    let dev = Dev::starting_with(&app, &["--isolation", "process"]).ready();
    assert_eq!(dev.client().data("{ few { n } }")["few"].as_array().unwrap().len(), 3);
    let mut socket = Socket::open(&dev.url);
    subscribe(&mut socket, "subscription { pages(by: 1, most: 2) { id n } }");
    assert_eq!(pages(&mut socket).count(), 2);
    drop(socket);

    let server = dev.process.id();
    for (name, send) in [("lines", by_line as fn(&Dev)), ("pages", by_page)] {
        let idle = memory_bytes(server);
        assert!(idle > 0, "its memory cannot be read");
        let watch = Watch::start(server);
        let started = Instant::now();
        send(&dev);
        let (took, peak) = (started.elapsed(), watch.end());
        let mib = |bytes: u64| bytes >> 20;
        say(&format!("{name}: {took:.1?}, {} MiB at most, {} MiB when idle", mib(peak), mib(idle)));
        let grown = peak.saturating_sub(idle);
        assert!(grown <= GROWTH_BYTES_MAX, "{name}: memory has grown by {} MiB", mib(grown));
    }
}

fn load(app: &App) {
    let file = app.beside("readings.jsonl");
    let mut rows = BufWriter::new(File::create(&file).unwrap());
    for n in 0..DOCUMENTS {
        writeln!(rows, r#"{{"id":"{}","n":{n},"label":"reading {n}"}}"#, id(n)).unwrap();
    }
    rows.into_inner().unwrap().sync_all().unwrap();
    let (folder, data) = (app.path(), app.data());
    let [file, folder, data] = [&file, &folder, &data].map(|path| path.to_str().unwrap());
    let loaded = run_import(&["import", file, "--into", "readings", "--app", folder, "--data", data]);
    assert_eq!(loaded.code, Some(0), "{}", loaded.stderr);
    say(loaded.stdout.trim_end());
}

/// Reads the lines of a list as they come.
fn by_line(dev: &Dev) {
    let address = dev.url.trim_start_matches("http://");
    let body = json!({ "query": "{ all { id n label } }" }).to_string();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // In version 1.0 a body ends with its connection.
    write!(
        stream,
        "POST /graphql HTTP/1.0\r\ncontent-type: application/json\r\naccept: application/jsonl\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().contains("200 OK"));
    let headers: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    assert!(headers.iter().any(|header| header == "content-type: application/jsonl"), "{headers:?}");

    #[derive(Deserialize)]
    struct Line {
        data: Option<Reading>,
        extensions: Option<Value>,
    }
    let mut counted = Counted::default();
    let mut end = Value::Null;
    for line in lines {
        assert!(end.is_null(), "there is a line after the last");
        let parsed: Line = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        match (parsed.data, parsed.extensions) {
            (Some(reading), None) => counted.count(&reading),
            (None, Some(extensions)) => end = extensions,
            _ => panic!("{line}"),
        }
    }
    assert_eq!((counted.0, &end["weir"]["elements"]), (DOCUMENTS, &json!(DOCUMENTS)));
}

/// Reads the pages of a stream.
fn by_page(dev: &Dev) {
    let mut socket = Socket::open(&dev.url);
    subscribe(&mut socket, "subscription { pages(by: 1000) { id n label } }");
    let mut counted = Counted::default();
    for page in pages(&mut socket) {
        page.iter().for_each(|reading| counted.count(reading));
    }
    assert_eq!(counted.0, DOCUMENTS);
}

fn subscribe(socket: &mut Socket, query: &str) {
    socket.send(&json!({ "id": "s", "type": "subscribe", "payload": { "query": query } }));
}

/// The pages of a subscription, to its end.
fn pages(socket: &mut Socket) -> impl Iterator<Item = Vec<Reading>> {
    #[derive(Deserialize)]
    struct Next {
        r#type: String,
        payload: Option<Payload>,
    }
    #[derive(Deserialize)]
    struct Payload {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        pages: Vec<Reading>,
    }
    std::iter::from_fn(|| {
        let text = socket.message().unwrap();
        let next: Next = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        match (next.r#type.as_str(), next.payload) {
            ("next", Some(payload)) => Some(payload.data.pages),
            ("complete", None) => None,
            _ => panic!("{text}"),
        }
    })
}

/// Looks at the memory of a server and its workers until its end, and remembers the most.
struct Watch {
    ended: Arc<AtomicBool>,
    peak: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Watch {
    fn start(server: u32) -> Self {
        let (ended, peak) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (until, most) = (ended.clone(), peak.clone());
        let thread = thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                most.fetch_max(memory_bytes(server), Ordering::Relaxed);
                thread::sleep(BETWEEN_LOOKS);
            }
        });
        Self { ended, peak, thread }
    }

    fn end(self) -> u64 {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.peak.load(Ordering::Relaxed)
    }
}

/// What a process and its children have in memory.
fn memory_bytes(process: u32) -> u64 {
    let status_of = |process: u32| fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let field = |status: &str, name: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        value.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default()
    };
    let all = fs::read_dir("/proc").unwrap().flatten();
    let all = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let statuses = all.map(|id| (id, status_of(id)));
    let own = statuses.filter(|(id, status)| *id == process || field(status, "PPid:") == u64::from(process));
    own.map(|(_, status)| field(&status, "VmRSS:") << 10).sum()
}
