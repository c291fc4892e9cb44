//! One connection that is kept open for many requests, and whose end is an answer too: the server was killed.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};

use serde_json::Value;

use crate::weir::PATIENCE;

fn text_of(request: &Value, key: Option<&str>) -> String {
    let body = request.to_string();
    let key = key.map(|key| format!("idempotency-key: \"{key}\"\r\n")).unwrap_or_default();
    format!(
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{key}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A connection to a server.
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects to a server at `http://HOST:PORT`.
    pub fn open(url: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(url.trim_start_matches("http://"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Posts a GraphQL request. An error says that no whole answer came, not that nothing was done.
    pub fn post(&mut self, request: &Value, key: Option<&str>) -> io::Result<Value> {
        // In one piece, so that a kill falls rather between requests than within one.
        self.stream.get_mut().write_all(text_of(request, key).as_bytes())?;
        let status = self.line()?;
        let mut length = None;
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = Some(value.trim().parse().unwrap());
            }
        }
        let mut body = vec![0; length.expect("an answer has a length")];
        self.stream.read_exact(&mut body)?;
        let body = String::from_utf8(body).unwrap();
        assert!(status.starts_with("HTTP/1.1 200 "), "{status}: {body}");
        Ok(serde_json::from_str(&body).unwrap())
    }

    /// Sends a part of a request, in thousandths, and cuts the connection.
    pub fn cut(mut self, request: &Value, key: Option<&str>, part: usize) {
        let text = text_of(request, key);
        let sent = &text.as_bytes()[..text.len() * part.min(1_000) / 1_000];
        // The server may have gone, which is as good a cut.
        let _ = self.stream.get_mut().write_all(sent);
        let _ = self.stream.get_mut().shutdown(Shutdown::Both);
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let whole = line.strip_suffix("\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(whole.to_owned())
    }
}
