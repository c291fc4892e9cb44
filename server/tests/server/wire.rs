//! HTTP/1 as it goes over a connection: requests as text, responses taken apart as far as tests look.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// The longest that anything may take. Far more than it does: machines may be busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A connection of a client.
pub struct Wire {
    stream: TcpStream,
    /// What has come and was not looked at.
    rest: Vec<u8>,
}

/// A response.
pub struct Answer {
    pub status: u16,
    /// The status line and the headers.
    head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        let header = self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        });
        header.unwrap_or_default()
    }

    /// All values of a header that may be there more than once.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let pairs = self.head.lines().filter_map(|line| line.split_once(": "));
        pairs.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Wire {
    pub async fn to(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), rest: Vec::new() }
    }

    /// The same from another address of this machine.
    pub async fn from(local: &str, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(local.parse().unwrap(), 0)).unwrap();
        Self { stream: socket.connect(address).await.unwrap(), rest: Vec::new() }
    }

    /// Sends text as it is. The server may have closed already; what it said is read next.
    pub async fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes()).await;
    }

    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = timeout(PATIENCE, self.stream.write_all(bytes)).await.expect("the server takes what is sent");
    }

    /// Sends a GET with more headers, each line with its end.
    pub async fn get(&mut self, path: &str, headers: &str) {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: weir.test\r\n{headers}\r\n")).await;
    }

    /// The next response, whose body has a length or chunks. `None` at the end of the connection.
    pub async fn answer(&mut self) -> Option<Answer> {
        timeout(PATIENCE, self.read_answer()).await.expect("the server answers")
    }

    async fn read_answer(&mut self) -> Option<Answer> {
        let end = self.read_until(b"\r\n\r\n").await?;
        let head = String::from_utf8_lossy(&self.rest[..end]).into_owned();
        self.rest.drain(..end);
        let status = head[9..12].parse().unwrap();
        let mut answer = Answer { status, head, body: Vec::new() };
        if answer.header("transfer-encoding") == "chunked" {
            loop {
                let end = self.read_until(b"\r\n").await?;
                let size = String::from_utf8_lossy(&self.rest[..end - 2]).into_owned();
                let size = usize::from_str_radix(&size, 16).unwrap();
                self.rest.drain(..end);
                let chunk = self.take(size + 2).await?;
                answer.body.extend_from_slice(&chunk[..size]);
                if size == 0 {
                    return Some(answer);
                }
            }
        }
        let length = answer.header("content-length").parse().unwrap_or(0);
        answer.body = self.take(length).await?;
        Some(answer)
    }

    /// Whether the server closes the connection without another byte.
    pub async fn is_closed(&mut self) -> bool {
        let closed = async { self.rest.is_empty() && !self.read_more().await };
        timeout(PATIENCE, closed).await.expect("the server closes the connection")
    }

    /// Reads whatever comes, to the end of the connection.
    pub async fn read_to_end(&mut self) {
        let end = async { while self.read_more().await {} };
        timeout(PATIENCE, end).await.expect("the server closes the connection");
    }

    pub async fn take(&mut self, bytes: usize) -> Option<Vec<u8>> {
        while self.rest.len() < bytes {
            if !self.read_more().await {
                return None;
            }
        }
        Some(self.rest.drain(..bytes).collect())
    }

    async fn read_until(&mut self, end: &[u8]) -> Option<usize> {
        loop {
            if let Some(place) = self.rest.windows(end.len()).position(|window| window == end) {
                return Some(place + end.len());
            }
            if !self.read_more().await {
                return None;
            }
        }
    }

    async fn read_more(&mut self) -> bool {
        // A reset is an end too.
        self.stream.read_buf(&mut self.rest).await.unwrap_or(0) > 0
    }
}
