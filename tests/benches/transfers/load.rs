//! Transfers over HTTP: connections that are kept alive, each with one request at a time. The same for whoever answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::figures::Figures;
use crate::workload::{Draw, Transfer};

pub const CONNECTIONS: usize = 64;
const WARM_UP: Duration = Duration::from_secs(2);
const MEASURED: Duration = Duration::from_secs(5);

const QUERY: &str = "mutation Transfer($source: ID!, $target: ID!, $amount: Int!) { \
    transfer(source: $source, target: $target, amount: $amount) }";

/// What came of one run.
pub struct Ran {
    pub figures: Figures,
    /// Answers, those of the warm-up included, that say anything else than that the transfer was made.
    pub errors: u64,
    /// The last of them.
    pub error: Option<String>,
}

/// Transfers over all connections, which are dealt out to the addresses. Numbers go on from run to run.
pub async fn run(addresses: &[SocketAddr], draw: &Arc<Draw>, numbers: &Arc<AtomicU64>) -> Ran {
    let start = Instant::now() + WARM_UP;
    let clients: Vec<_> = addresses
        .iter()
        .copied()
        .cycle()
        .take(CONNECTIONS)
        .map(|address| tokio::spawn(client(address, draw.clone(), numbers.clone(), start)))
        .collect();
    let (mut times, mut errors, mut error) = (Vec::new(), 0, None);
    for client in clients {
        let (its_times, its_errors, its_error) = client.await.unwrap();
        times.extend(its_times);
        errors += its_errors;
        error = its_error.or(error);
    }
    Ran { figures: Figures::of(&times, MEASURED), errors, error }
}

async fn client(
    address: SocketAddr,
    draw: Arc<Draw>,
    numbers: Arc<AtomicU64>,
    start: Instant,
) -> (Vec<Duration>, u64, Option<String>) {
    let mut connection = Connection::open(address).await;
    let (mut times, mut errors, mut error) = (Vec::new(), 0, None);
    loop {
        let request = request(draw.transfer(numbers.fetch_add(1, Ordering::Relaxed)));
        let asked = Instant::now();
        if asked >= start + MEASURED {
            return (times, errors, error);
        }
        let answer = connection.ask(&request).await;
        let answered = Instant::now();
        if !answer.contains(r#""transfer":true"#) {
            errors += 1;
            error = Some(answer);
        } else if answered >= start && answered < start + MEASURED {
            times.push(answered - asked);
        }
    }
}

fn request(Transfer { source, target, amount }: Transfer) -> String {
    let body =
        format!(r#"{{"query":"{QUERY}","variables":{{"source":"{source}","target":"{target}","amount":{amount}}}}}"#);
    let length = body.len();
    format!(
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
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
    async fn ask(&mut self, request: &str) -> String {
        self.arrived.clear();
        self.stream.write_all(request.as_bytes()).await.unwrap();
        loop {
            let read = self.stream.read_buf(&mut self.arrived).await.unwrap();
            assert!(read > 0, "closed: {}", String::from_utf8_lossy(&self.arrived));
            let Some(head_bytes) = self.arrived.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { continue };
            let head = std::str::from_utf8(&self.arrived[..head_bytes]).unwrap();
            let body = head_bytes + 4;
            if self.arrived.len() >= body + content_length(head) {
                return String::from_utf8_lossy(&self.arrived[body..]).into_owned();
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
