//! A server on loopback that is none of Weir's: what actions fetch from. It answers as its paths say.
//!
//! | path | is answered with |
//! |---|---|
//! | `/echo` | the body |
//! | `/to/URL` | a redirect there |
//! | `/raw/TEXT` | the text, percent-decoded, as the whole response |
//! | `/zeros/N` | so many bytes that are zero |
//! | `/endless` | a body that does not end |
//! | `/trickle` | a body that does not end, and takes its time |
//! | `/silent` | nothing |
//! | another | the request, as JSON |

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::json;

/// How long it waits for a client.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that runs for as long as the tests.
pub struct Outside {
    /// Where it listens.
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Outside {
    /// Starts one on a port of its own.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let requests = seen.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let requests = requests.clone();
                // Clients may go at any time.
                thread::spawn(move || answer(stream, &requests).unwrap_or_default());
            }
        });
        Self { address, seen }
    }

    /// The port alone.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// `http://127.0.0.1:PORT/path`
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How many requests have come.
    pub fn requests(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// The requests that have come to paths below this one, as they were sent.
    pub fn requests_below(&self, path: &str) -> Vec<String> {
        let is_below = |request: &&String| target(request).starts_with(path);
        self.seen.lock().unwrap().iter().filter(is_below).cloned().collect()
    }
}

/// What stands behind the method of a request.
fn target(request: &str) -> &str {
    request.split(' ').nth(1).unwrap_or_default()
}

fn answer(mut stream: TcpStream, requests: &Mutex<Vec<String>>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut request = Vec::new();
    while !is_whole(&request) {
        let mut part = [0; 4096];
        match stream.read(&mut part)? {
            0 => return Ok(()),
            read => request.extend_from_slice(&part[..read]),
        }
    }
    let text = String::from_utf8_lossy(&request).into_owned();
    let path = target(&text).to_owned();
    requests.lock().unwrap().push(text.clone());
    let (place, rest) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
    match place {
        "to" => write!(stream, "HTTP/1.1 302 Found\r\nlocation: {rest}\r\ncontent-length: 0\r\n\r\n"),
        "raw" => stream.write_all(&percent_decoded(rest)),
        "echo" => {
            let body = request.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |end| end + 4);
            stream.write_all(b"HTTP/1.1 200 OK\r\nx-echo: yes\r\n\r\n")?;
            stream.write_all(&request[body..])
        }
        "zeros" => {
            let body = vec![0; rest.parse().unwrap_or(0)];
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len())?;
            stream.write_all(&body)
        }
        "endless" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            loop {
                stream.write_all(&[b'x'; 65536])?;
            }
        }
        "trickle" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            loop {
                stream.write_all(b"x")?;
                thread::sleep(Duration::from_millis(20));
            }
        }
        // Until the client has gone, or for as long as it may take.
        "silent" => stream.read(&mut [0]).map(drop),
        _ => {
            let body = json!({ "request": text }).to_string();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ";
            write!(stream, "{head}{}\r\n\r\n{body}", body.len())
        }
    }
}

/// Whether a request has come with its body.
fn is_whole(request: &[u8]) -> bool {
    let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    request.len() >= end + 4 + length.unwrap_or(0)
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let code = behind.get(..2).filter(|_| *first == b'%').and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    bytes
}
