//! Subscribers, any number of them over any number of sockets, on one thread.
//!
//! A round begins with what each subscription is to get, if anything. Whatever else comes fails the benchmark: another
//! value, one twice, one too many.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::timeout;

use crate::frames::{Connection, Opcode, Side, find, put};

/// The longest that a round may take. Far more than it does.
const PATIENCE: Duration = Duration::from_secs(300);
/// Sockets that open, or subscribe, at one time.
const OPENING: usize = 16;

/// The data that a subscription is to get in a round; `None`: nothing.
type Expected = Box<dyn Fn(usize) -> Option<Rc<str>>>;

/// Subscribers, numbered from 0.
pub struct Audience {
    shared: Rc<Shared>,
    sockets: Vec<JoinHandle<()>>,
}

struct Shared {
    round: Cell<u64>,
    expected: RefCell<Expected>,
    /// The round of the last delivery, by subscription.
    delivered: RefCell<Vec<u64>>,
    outstanding: Cell<usize>,
    last: Cell<Instant>,
    failed: RefCell<Option<String>>,
    over: Notify,
}

/// Opens sockets up to the acknowledgement.
pub async fn open(address: SocketAddr, sockets: usize) -> Vec<Connection> {
    let opening = Arc::new(Semaphore::new(OPENING));
    let opened: Vec<_> = (0..sockets)
        .map(|_| {
            let opening = opening.clone();
            spawn_local(async move {
                let _permit = opening.acquire_owned().await;
                open_one(address).await.unwrap()
            })
        })
        .collect();
    let mut connections = Vec::with_capacity(sockets);
    for connection in opened {
        connections.push(connection.await.unwrap());
    }
    connections
}

async fn open_one(address: SocketAddr) -> std::io::Result<Connection> {
    let mut connection = Connection::of(TcpStream::connect(address).await?);
    let request = format!(
        "GET /graphql HTTP/1.1\r\nhost: {address}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         sec-websocket-protocol: graphql-transport-ws\r\n\r\n"
    );
    connection.write(request.as_bytes()).await?;
    let head = connection.head().await?;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let mut init = Vec::new();
    put(Side::Client, Opcode::Text, br#"{"type":"connection_init"}"#, &mut init);
    connection.write(&init).await?;
    let ack = connection.text().await?;
    assert!(ack.contains(r#""connection_ack""#), "{ack}");
    Ok(connection)
}

impl Audience {
    /// Subscribes so many times on each socket, with the payload for each number, and waits for all first values.
    pub async fn subscribe(
        connections: Vec<Connection>,
        each: usize,
        payload: impl Fn(usize) -> Value,
        first: impl Fn(usize) -> Rc<str> + 'static,
    ) -> Self {
        let count = connections.len() * each;
        let shared = Rc::new(Shared {
            round: Cell::new(1),
            expected: RefCell::new(Box::new(move |number| Some(first(number)))),
            delivered: RefCell::new(vec![0; count]),
            outstanding: Cell::new(count),
            last: Cell::new(Instant::now()),
            failed: RefCell::default(),
            over: Notify::new(),
        });
        // A few at a time: what is measured comes later.
        let subscribing = Arc::new(Semaphore::new(OPENING));
        let sockets = connections.into_iter().enumerate().map(|(index, connection)| {
            let mut frames = Vec::new();
            for id in 0..each {
                let payload = payload(index * each + id);
                let message = json!({ "id": id.to_string(), "type": "subscribe", "payload": payload });
                put(Side::Client, Opcode::Text, message.to_string().as_bytes(), &mut frames);
            }
            let (shared, subscribing) = (shared.clone(), subscribing.clone());
            spawn_local(async move {
                let permit = subscribing.acquire_owned().await.unwrap();
                if let Err(error) = shared.listen(connection, frames, index * each, each, permit).await {
                    shared.failed.replace(Some(error));
                    shared.over.notify_one();
                }
            })
        });
        let audience = Self { sockets: sockets.collect(), shared };
        audience.all().await;
        audience
    }

    /// Begins a round: so many subscriptions are to get something.
    pub fn expect(&self, outstanding: usize, expected: impl Fn(usize) -> Option<Rc<str>> + 'static) {
        self.shared.round.set(self.shared.round.get() + 1);
        *self.shared.expected.borrow_mut() = Box::new(expected);
        self.shared.outstanding.set(outstanding);
    }

    /// Waits for the last delivery of the round: when it was read.
    pub async fn all(&self) -> Instant {
        loop {
            if let Some(failed) = self.shared.failed.take() {
                panic!("{failed}");
            }
            if self.shared.outstanding.get() == 0 {
                return self.shared.last.get();
            }
            if timeout(PATIENCE, self.shared.over.notified()).await.is_err() {
                panic!("{} subscriptions got nothing within {PATIENCE:?}", self.shared.outstanding.get());
            }
        }
    }
}

impl Drop for Audience {
    fn drop(&mut self) {
        self.sockets.iter().for_each(JoinHandle::abort);
    }
}

impl Shared {
    /// Reads one socket to its end, which is an error as anything is that was not to come.
    async fn listen(
        &self,
        mut connection: Connection,
        subscribe: Vec<u8>,
        first: usize,
        mut opening: usize,
        permit: OwnedSemaphorePermit,
    ) -> Result<(), String> {
        let mut permit = Some(permit);
        connection.write(&subscribe).await.map_err(|error| error.to_string())?;
        let mut pongs = Vec::new();
        loop {
            connection.read().await.map_err(|error| format!("a socket of subscribers: {error}"))?;
            let arrived = Instant::now();
            while let Some((opcode, payload)) = connection.frame() {
                match opcode {
                    Opcode::Text => {
                        self.deliver(first, payload, arrived)?;
                        opening = opening.saturating_sub(1);
                    }
                    Opcode::Ping => put(Side::Client, Opcode::Pong, payload, &mut pongs),
                    Opcode::Pong => {}
                    Opcode::Close => return Err(format!("closed: {}", String::from_utf8_lossy(payload))),
                }
            }
            if opening == 0 {
                permit.take();
            }
            if !pongs.is_empty() {
                connection.write(&pongs).await.map_err(|error| error.to_string())?;
                pongs.clear();
            }
        }
    }

    /// Checks a message off. The first `"id"` in it is the subscription's, the first `"data"` the value.
    fn deliver(&self, first: usize, message: &[u8], arrived: Instant) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("{what}: {}", String::from_utf8_lossy(message)));
        let after = |mark: &[u8]| find(message, mark).map(|start| &message[start + mark.len()..]);
        let (Some(id), Some(data)) = (after(br#""id":""#), after(br#""data":"#)) else { return wrong("no value") };
        let digits = id.iter().take_while(|byte| byte.is_ascii_digit());
        let number = first + digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0'));
        match (self.expected.borrow())(number) {
            None => return wrong(&format!("nothing was to come for {number}")),
            Some(expected) if !data.starts_with(expected.as_bytes()) => {
                return wrong(&format!("{expected} was to come for {number}"));
            }
            Some(_) => {}
        }
        if std::mem::replace(&mut self.delivered.borrow_mut()[number], self.round.get()) == self.round.get() {
            return wrong(&format!("a second value for {number}"));
        }
        self.outstanding.set(self.outstanding.get() - 1);
        if self.outstanding.get() == 0 {
            self.last.set(arrived);
            self.over.notify_one();
        }
        Ok(())
    }
}
