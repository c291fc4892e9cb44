//! Who means harm by asking: slow heads, floods of messages, floods of addresses. Each attacks until it is told to end.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Between two bytes of a head that is never ended.
const DRIP: Duration = Duration::from_millis(500);
/// Requests that are sent before their answers are read.
const PIPELINED: u32 = 250;
/// How long the server may take nothing, or say nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// An attack that goes on.
pub struct Attack {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Attack {
    fn start(threads: usize, attack: impl Fn(usize, &AtomicBool, &AtomicU64) + Send + Sync + 'static) -> Self {
        let (stop, done, attack) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default(), Arc::new(attack));
        let thread = |number| {
            let (stop, done, attack) = (stop.clone(), done.clone(), attack.clone());
            thread::spawn(move || attack(number, &stop, &done))
        };
        let threads = (0..threads).map(thread).collect();
        Self { stop, done, threads }
    }

    /// How much of it was done until now.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Whether it has come to its end by itself.
    pub fn is_over(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Ends it; how much of it was done.
    pub fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("an attacker fails");
        }
        self.done.load(Ordering::Relaxed)
    }
}

/// So many connections that each send the head of a request byte after byte, and never to its end. What is done is how many
/// there are.
pub fn slow_heads(address: &str, sockets: usize) -> Attack {
    let address = address.to_owned();
    Attack::start(1, move |_, stop, done| {
        let connect = || {
            let mut stream = TcpStream::connect(&address).ok()?;
            stream.write_all(b"GET /graphql HTTP/1.1\r\nHost: weir\r\nX-").ok()?;
            done.fetch_add(1, Ordering::Relaxed);
            Some(stream)
        };
        let mut open: Vec<TcpStream> = (0..sockets).filter_map(|_| connect()).collect();
        while !stop.load(Ordering::Relaxed) {
            // Who is thrown out comes back.
            for stream in &mut open {
                if stream.write_all(b"a").is_err()
                    && let Some(again) = connect()
                {
                    *stream = again;
                }
            }
            thread::sleep(DRIP);
        }
    })
}

/// So many WebSockets that send what has to be answered as fast as it is taken. What is done is messages.
pub fn flood_of_messages(address: &str, sockets: usize) -> Attack {
    let address = address.to_owned();
    Attack::start(sockets, move |number, stop, done| {
        // One text message of a client, masked by zeros.
        let frame = |text: &str| {
            let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap_or(125), 0, 0, 0, 0];
            frame.extend_from_slice(text.as_bytes());
            frame
        };
        let messages = if number % 2 == 0 {
            frame(r#"{"type":"ping"}"#).repeat(100)
        } else {
            let operation = |place: usize| {
                let operation =
                    format!(r#"{{"id":"{place}","type":"subscribe","payload":{{"query":"{{__typename}}"}}}}"#);
                frame(&operation)
            };
            (0..100).flat_map(operation).collect()
        };
        while !stop.load(Ordering::Relaxed) {
            let Ok(mut stream) = TcpStream::connect(&address) else { continue };
            let _ = stream.set_read_timeout(Some(Duration::from_millis(1)));
            let _ = stream.set_write_timeout(Some(Duration::from_millis(100)));
            let head = format!(
                "GET /graphql HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                 sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                 sec-websocket-protocol: graphql-transport-ws\r\n\r\n"
            );
            let begins = [head.as_bytes(), &frame(r#"{"type":"connection_init"}"#)].concat();
            if stream.write_all(&begins).is_err() {
                continue;
            }
            let mut sink = [0; 64 << 10];
            while !stop.load(Ordering::Relaxed) {
                // A part of a message cannot be sent again: one that is not taken whole ends the socket, and another follows.
                if stream.write_all(&messages).is_err() {
                    break;
                }
                done.fetch_add(100, Ordering::Relaxed);
                match stream.read(&mut sink) {
                    Ok(0) => break,
                    Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                    _ => {}
                }
            }
        }
    })
}

/// A request of each of so many addresses, as a proxy says that it asks for them. What is done is requests that were answered.
/// It ends by itself.
pub fn flood_of_addresses(address: &str, keys: u32) -> Attack {
    const THREADS: usize = 4;
    let address = address.to_owned();
    Attack::start(THREADS, move |thread, stop, done| {
        let mut stream = TcpStream::connect(&address).expect("the server takes connections");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time");
        let mut next = thread as u32;
        while next < keys && !stop.load(Ordering::Relaxed) {
            let mut requests = String::new();
            let mut sent = 0;
            while next < keys && sent < PIPELINED {
                let [_, b, c, d] = next.to_be_bytes();
                let client = format!("11.{b}.{c}.{d}");
                requests.push_str(&format!("GET /nothing HTTP/1.1\r\nHost: weir\r\nX-Forwarded-For: {client}\r\n\r\n"));
                next += THREADS as u32;
                sent += 1;
            }
            stream.write_all(requests.as_bytes()).expect("the server takes requests");
            let (mut seen, mut answers) = (Vec::new(), 0);
            while answers < sent {
                let mut bytes = [0; 64 << 10];
                let read = stream.read(&mut bytes).expect("the server answers");
                assert!(read > 0, "the server closes the connection of the proxy");
                seen.extend_from_slice(&bytes[..read]);
                answers = seen.windows(9).filter(|window| *window == b"HTTP/1.1 ").count() as u32;
            }
            done.fetch_add(u64::from(sent), Ordering::Relaxed);
            // The rest of the last answer is read with the next: it holds no beginning of one.
        }
    })
}
