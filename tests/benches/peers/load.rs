//! Load over HTTP: connections that are kept alive, each with one request at a time. The same for whoever answers.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const WARM_UP: Duration = Duration::from_secs(1);
/// How long it is measured.
pub const MEASURED: Duration = Duration::from_secs(3);

/// The bytes of a request.
pub fn request(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// One connection, and what has arrived on it.
struct Connection {
    stream: TcpStream,
    arrived: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, arrived: Vec::new() }
    }

    /// Sends a request; the answer's body.
    async fn ask(&mut self, request: &str) -> &[u8] {
        self.arrived.clear();
        self.stream.write_all(request.as_bytes()).await.unwrap();
        loop {
            let read = self.stream.read_buf(&mut self.arrived).await.unwrap();
            assert!(read > 0, "closed: {}", String::from_utf8_lossy(&self.arrived));
            let Some(head_bytes) = self.arrived.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { continue };
            let head = std::str::from_utf8(&self.arrived[..head_bytes]).unwrap();
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            let (body, length) = (head_bytes + 4, content_length(head));
            if self.arrived.len() >= body + length {
                return &self.arrived[body..];
            }
        }
    }
}

fn content_length(head: &str) -> usize {
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
    };
    head.lines().find_map(field).expect("an answer says how long it is")
}

/// One answer's body.
pub async fn answer(address: SocketAddr, request: &str) -> String {
    let mut connection = Connection::open(address).await;
    String::from_utf8(connection.ask(request).await.to_vec()).unwrap()
}

/// What stands before the number that no two requests have the same, where they are not to be answered from what is kept.
const NUMBERED: &str = "\"call\":";
/// Digits of that number.
const DIGITS: usize = 9;
const FIRST: u64 = 10_u64.pow(DIGITS as u32 - 1);

/// Numbers that no request of this program has had.
static NEXT: AtomicU64 = AtomicU64::new(FIRST);

/// A variable of the request for that number.
pub fn number() -> u64 {
    FIRST
}

/// So many numbers that no other request has: the first of them.
pub fn reserve(count: u64) -> u64 {
    let first = NEXT.fetch_add(count, Ordering::Relaxed);
    assert!(first + count < FIRST * 10, "a number has {DIGITS} digits");
    first
}

/// What is sent.
#[derive(Clone, Copy)]
pub enum Request<'a> {
    /// Each time the same.
    Same(&'a str),
    /// With another number each time.
    Counted(&'a str),
}

/// The text of a request, and where its number is, if it is counted.
struct Text {
    text: String,
    at: Option<usize>,
}

impl Text {
    fn of(request: Request<'_>) -> Self {
        match request {
            Request::Same(text) => Self { text: text.to_owned(), at: None },
            Request::Counted(text) => {
                let at = text.find(NUMBERED).expect("there is a number") + NUMBERED.len();
                Self { text: text.to_owned(), at: Some(at) }
            }
        }
    }

    fn next(&mut self) -> &str {
        if let Some(at) = self.at {
            self.text.replace_range(at..at + DIGITS, &reserve(1).to_string());
        }
        &self.text
    }
}

/// Requests per second, over so many connections, which are dealt out to the addresses. Every answer must be the one expected.
pub async fn throughput(addresses: &[SocketAddr], connections: usize, request: Request<'_>, expected: &str) -> f64 {
    times(addresses, connections, request, expected).await.len() as f64 / MEASURED.as_secs_f64()
}

/// The same: how long each answer took, within the time that is measured.
pub async fn times(
    addresses: &[SocketAddr],
    connections: usize,
    request: Request<'_>,
    expected: &str,
) -> Vec<Duration> {
    let start = Instant::now() + WARM_UP;
    let clients: Vec<_> = addresses
        .iter()
        .copied()
        .cycle()
        .take(connections)
        .map(|address| {
            let (mut text, expected) = (Text::of(request), expected.to_owned());
            tokio::spawn(async move {
                let mut connection = Connection::open(address).await;
                let mut times = Vec::new();
                loop {
                    let asked = Instant::now();
                    if asked >= start + MEASURED {
                        return times;
                    }
                    assert_eq!(connection.ask(text.next()).await, expected.as_bytes());
                    if asked >= start {
                        times.push(asked.elapsed());
                    }
                }
            })
        })
        .collect();
    let mut all = Vec::new();
    for client in clients {
        all.extend(client.await.unwrap());
    }
    all
}
