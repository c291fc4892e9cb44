//! A connection that is kept alive, with one request at a time.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::weir::PATIENCE;

/// What is said in each request of whoever asks.
pub struct Connection {
    stream: TcpStream,
    arrived: Vec<u8>,
}

/// What was answered.
pub struct Answer {
    /// Which release has, as `x-weir-release` says.
    pub release: Option<String>,
    pub body: String,
}

/// The bytes of a GraphQL request; the administrator's where there is a token.
pub fn request(path: &str, token: Option<&str>, body: &Value) -> String {
    let (body, token) = (body.to_string(), token.map(|token| format!("authorization: Bearer {token}\r\n")));
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{}content-length: {}\r\n\r\n{body}",
        token.unwrap_or_default(),
        body.len()
    )
}

impl Connection {
    /// To a server at `http://HOST:PORT`.
    pub fn open(url: &str) -> Self {
        let stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream, arrived: Vec::with_capacity(4 << 10) }
    }

    /// Sends a request and waits for its answer, which has to be one without errors.
    pub fn ask(&mut self, request: &str) -> Answer {
        self.stream.write_all(request.as_bytes()).unwrap();
        self.arrived.clear();
        let mut bytes = [0; 4 << 10];
        loop {
            let read = self.stream.read(&mut bytes).unwrap();
            assert!(read > 0, "closed: {}", String::from_utf8_lossy(&self.arrived));
            self.arrived.extend_from_slice(&bytes[..read]);
            let Some(head_bytes) = self.arrived.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { continue };
            let head = std::str::from_utf8(&self.arrived[..head_bytes]).unwrap();
            let length: usize = field(head, "content-length").expect("an answer says how long it is").parse().unwrap();
            let body = head_bytes + 4;
            if self.arrived.len() < body + length {
                continue;
            }
            let release = field(head, "x-weir-release").map(str::to_owned);
            let text = String::from_utf8(self.arrived[body..].to_vec()).unwrap();
            assert!(head.starts_with("HTTP/1.1 200") && !text.contains("\"errors\""), "{head}\n{text}");
            return Answer { release, body: text };
        }
    }
}

fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
