//! Load over HTTP: connections that are kept alive, each with one request at a time. The same for whoever answers.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const WARM_UP: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(3);

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

/// A variable of the request for that number.
pub fn number() -> u64 {
    10_u64.pow(DIGITS as u32 - 1)
}

/// A request whose number, if it has one, is counted up each time.
struct Numbered {
    text: String,
    at: Option<usize>,
    next: u64,
}

impl Numbered {
    fn new(text: &str, client: usize) -> Self {
        let at = text.find(NUMBERED).map(|at| at + NUMBERED.len());
        Self { text: text.to_owned(), at, next: number() + client as u64 * 2_000_000 }
    }

    fn next(&mut self) -> &str {
        if let Some(at) = self.at {
            self.next += 1;
            self.text.replace_range(at..at + DIGITS, &self.next.to_string());
        }
        &self.text
    }
}

/// Requests per second, over so many connections, which are dealt out to the addresses. Every answer must be the one expected.
pub async fn throughput(addresses: &[SocketAddr], connections: usize, request: &str, expected: &str) -> f64 {
    let start = Instant::now() + WARM_UP;
    let clients: Vec<_> = addresses
        .iter()
        .copied()
        .cycle()
        .take(connections)
        .enumerate()
        .map(|(client, address)| {
            let (mut request, expected) = (Numbered::new(request, client), expected.to_owned());
            tokio::spawn(async move {
                let mut connection = Connection::open(address).await;
                let mut counted = 0_u64;
                while start.elapsed() < MEASURED {
                    assert_eq!(connection.ask(request.next()).await, expected.as_bytes());
                    counted += u64::from(Instant::now() > start);
                }
                counted
            })
        })
        .collect();
    let mut sum = 0;
    for client in clients {
        sum += client.await.unwrap();
    }
    sum as f64 / MEASURED.as_secs_f64()
}
