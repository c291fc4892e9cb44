//! One socket whose subscriptions come and go, and what they were sent.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Tally;
use super::model::{History, View};
use super::patch;
use crate::kills::random::Random;
use crate::socket::Socket;
use crate::weir::PATIENCE;

/// Subscriptions of one socket that are open at the same time.
const OPEN_MAX: usize = 4;
/// Between two looks at whether the writers are done.
const PATIENCE_FOR_ONE: Duration = Duration::from_millis(2);
/// What a slow reader's system takes for it: less than a value of [`View::Wide`], and no less than a segment on loopback, or
/// the sender would wait for its timers.
const SLOW_BUFFER_BYTES: usize = 64 << 10;
/// The longest that a slow reader does nothing, in milliseconds.
const SLOW_PAUSE_MS: u64 = 12;

/// One message of a subscription, patches applied.
#[derive(Debug)]
struct Got {
    /// The commit and the value; `None` where the query failed.
    value: Option<(u64, Value)>,
    patched: bool,
}

/// One subscription, from its start to its end or that of its socket.
#[derive(Debug)]
struct Watched {
    id: String,
    view: View,
    delta: bool,
    /// The newest commit that was acknowledged to anybody before it began.
    known: u64,
    /// What the client had when it began: a cursor and its value.
    held: Option<(String, Value)>,
    got: Vec<Got>,
    /// The cursors of the values that came, with the values.
    cursors: Vec<(String, Value)>,
    open: bool,
}

/// One socket after the other, and all that was subscribed to over them.
pub struct Subscriber {
    random: Random,
    name: u64,
    is_slow: bool,
    socket: Option<Socket>,
    watched: Vec<Watched>,
}

fn connect(url: &str) -> Result<TcpStream, String> {
    TcpStream::connect(url.trim_start_matches("http://")).map_err(|error| error.to_string())
}

/// A socket whose system takes little for it before it is read.
pub fn slow_socket(url: &str) -> Result<Socket, String> {
    let stream = connect(url)?;
    #[cfg(unix)]
    rustix::net::sockopt::set_socket_recv_buffer_size(&stream, SLOW_BUFFER_BYTES).unwrap();
    Socket::over(stream, url)
}

impl Subscriber {
    /// One that has not connected yet.
    pub fn new(random: Random, name: u64, is_slow: bool) -> Self {
        Self { random, name, is_slow, socket: None, watched: Vec::new() }
    }

    /// Subscribes, reads and unsubscribes until the writers are done, or the server is gone.
    pub fn run(&mut self, url: &str, known: &AtomicU64, is_over: &AtomicBool) {
        if self.connect(url, known).and_then(|()| self.go_on(known, is_over)).is_err() {
            self.socket = None;
        }
    }

    fn connect(&mut self, url: &str, known: &AtomicU64) -> Result<(), String> {
        self.socket = Some(if self.is_slow { slow_socket(url) } else { Socket::over(connect(url)?, url) }?);
        // What the last socket held goes on with what came over it.
        let lost: Vec<usize> = (0..self.watched.len()).filter(|place| self.watched[*place].open).collect();
        for place in lost {
            self.watched[place].open = false;
            let Watched { view, delta, cursors, held, .. } = &self.watched[place];
            let held = cursors.last().or(held.as_ref()).cloned();
            self.subscribe(view.clone(), *delta, held, known)?;
        }
        Ok(())
    }

    fn go_on(&mut self, known: &AtomicU64, is_over: &AtomicBool) -> Result<(), String> {
        while !is_over.load(Ordering::Acquire) {
            let open: Vec<usize> = (0..self.watched.len()).filter(|place| self.watched[*place].open).collect();
            match self.random.below(12) {
                0 | 1 if open.len() < OPEN_MAX => {
                    let view = if self.is_slow && open.is_empty() { View::Wide } else { View::draw(&mut self.random) };
                    let held = self.remembered(&view);
                    let delta = self.random.below(2) == 0;
                    self.subscribe(view, delta, held, known)?;
                }
                2 if open.len() > 1 => {
                    let ended = open[self.random.below(open.len() as u64) as usize];
                    self.watched[ended].open = false;
                    let message = json!({ "id": self.watched[ended].id, "type": "complete" });
                    self.socket()?.try_send(&message)?;
                }
                3 | 4 if self.is_slow => thread::sleep(Duration::from_millis(self.random.below(SLOW_PAUSE_MS))),
                _ => drop(self.read()?),
            }
        }
        Ok(())
    }

    /// A cursor for the view that has come earlier, now and then.
    fn remembered(&mut self, view: &View) -> Option<(String, Value)> {
        if self.random.below(4) == 0 {
            return None;
        }
        let cursors: Vec<_> =
            self.watched.iter().filter(|watched| watched.view == *view).flat_map(|watched| &watched.cursors).collect();
        // Rather of the newest: only those are left out.
        let behind = self.random.below(2) * self.random.below(1 + cursors.len() as u64);
        cursors.iter().rev().nth(behind as usize).map(|held| (*held).clone())
    }

    fn subscribe(
        &mut self,
        view: View,
        delta: bool,
        held: Option<(String, Value)>,
        known: &AtomicU64,
    ) -> Result<(), String> {
        let id = format!("{}-{}", self.name, self.watched.len());
        let mut weir = json!({});
        if delta {
            weir["delta"] = json!("json-patch");
        }
        if let Some((cursor, _)) = &held {
            weir["after"] = json!(cursor);
        }
        let known = known.load(Ordering::Acquire);
        let payload = json!({ "query": view.query(), "extensions": { "weir": weir } });
        let message = json!({ "id": id, "type": "subscribe", "payload": payload });
        self.watched.push(Watched { id, view, delta, known, held, got: Vec::new(), cursors: Vec::new(), open: true });
        self.socket()?.try_send(&message)
    }

    fn socket(&mut self) -> Result<&mut Socket, String> {
        self.socket.as_mut().ok_or_else(|| "there is no socket".to_owned())
    }

    /// Reads a message, if one comes.
    fn read(&mut self) -> Result<bool, String> {
        let Some(text) = self.socket()?.message_within(PATIENCE_FOR_ONE)? else { return Ok(false) };
        self.take(serde_json::from_str(&text).unwrap());
        Ok(true)
    }

    fn take(&mut self, mut message: Value) {
        let watched = self.watched.iter_mut().find(|watched| message["id"] == watched.id.as_str());
        let watched = watched.unwrap_or_else(|| panic!("nobody subscribed to {message}"));
        assert_eq!(message["type"], "next", "{:?}: {message}", watched.view);
        watched.take(message["payload"].take());
    }

    /// Reads until each open subscription has come to the newest value.
    pub fn settle(&mut self, url: &str, known: &AtomicU64, history: &History) {
        if self.socket.is_none() {
            self.connect(url, known).unwrap();
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let behind = self
                .watched
                .iter()
                .find(|watched| watched.open && watched.held().as_ref() != Some(&watched.view.data(history.newest())));
            let Some(behind) = behind else { break };
            if Instant::now() > deadline {
                let newest = behind.view.data(history.newest());
                panic!("{behind:#?} does not come to {newest:?}");
            }
            self.read().unwrap();
        }
        // What comes in spite of that comes before the answer to this.
        let end = json!({ "id": "end", "type": "subscribe", "payload": { "query": "{ __typename }" } });
        let mut socket = self.socket.take().unwrap();
        socket.send(&end);
        loop {
            let message: Value = serde_json::from_str(&socket.message().unwrap()).unwrap();
            match (message["id"] == "end", message["type"] == "complete") {
                (true, true) => break,
                (true, false) => {}
                (false, _) => self.take(message),
            }
        }
    }

    /// Holds all that came against what there was.
    pub fn check(&self, history: &History, tally: &mut Tally) {
        for watched in &self.watched {
            watched.check(history, tally).unwrap_or_else(|error| panic!("{error} in {watched:#?}"));
        }
    }
}

impl Watched {
    fn take(&mut self, mut payload: Value) {
        let weir = payload["extensions"]["weir"].take();
        if let Some(errors) = payload.get("errors") {
            assert_eq!(errors[0]["extensions"]["appCode"], "EMPTY", "{:?}: {payload}", self.view);
            return self.got.push(Got { value: None, patched: false });
        }
        let value = match weir.get("patch") {
            None => payload["data"].take(),
            Some(patch) => {
                assert!(payload.get("data").is_none() && self.delta, "{weir} {payload}");
                let last = self.got.last().and_then(|got| got.value.as_ref());
                let mut value = last.unwrap_or_else(|| panic!("a patch to nothing: {weir} for {self:#?}")).1.clone();
                patch::apply(&mut value, patch).unwrap_or_else(|error| panic!("{error}\n{self:#?}"));
                value
            }
        };
        let commit = weir["commit"].as_str().and_then(|commit| commit.parse().ok()).expect("a commit");
        self.cursors.push((weir["cursor"].as_str().expect("a cursor").to_owned(), value.clone()));
        self.got.push(Got { value: Some((commit, value)), patched: weir.get("patch").is_some() });
    }

    /// What the client has: a value, or that there is none. `None`: it waits for the first.
    fn held(&self) -> Option<Option<Value>> {
        match self.got.last() {
            Some(got) => Some(got.value.as_ref().map(|(_, value)| value.clone())),
            None => self.held.as_ref().map(|(_, value)| Some(value.clone())),
        }
    }

    fn check(&self, history: &History, tally: &mut Tally) -> Result<(), String> {
        let values = history.values(&self.view);
        // The last of the model's commits up to this one.
        let place = |commit: u64| values.partition_point(|(at, _)| *at <= commit).saturating_sub(1);
        let mut has = self.held.as_ref().map(|(_, value)| Some(value));
        let mut last: Option<(u64, usize)> = None;
        for (number, got) in self.got.iter().enumerate() {
            let value = got.value.as_ref().map(|(_, value)| value);
            if has == Some(value) {
                return Err(format!("message {number} says the same again"));
            }
            let now = match &got.value {
                Some((commit, _)) => (*commit, place(*commit)),
                // Errors do not say of which commit they are: the next at which it fails.
                None => {
                    let from = last.map_or_else(|| place(self.known), |(_, from)| from + 1);
                    let failing = (from..values.len()).find(|place| values[*place].1.is_none());
                    let failing = failing.ok_or_else(|| format!("message {number} is an error, and it never fails"))?;
                    (values[failing].0, failing)
                }
            };
            let (commit, place_now) = now;
            if last.is_some_and(|(last, _)| commit <= last) {
                return Err(format!("message {number} is of {commit}, after {last:?}"));
            }
            if values[place_now].1.as_ref() != value {
                return Err(format!("message {number} is not {:?}", values[place_now].1));
            }
            if number == 0 && commit < self.known && values[place(self.known)].1.as_ref() != value {
                return Err(format!("the first message is of {commit}, although {} was known", self.known));
            }
            let from = last.map_or(place_now, |(_, from)| from);
            let changes = values[from..=place_now].windows(2).filter(|pair| pair[0].1 != pair[1].1).count();
            tally.overtaken += changes.saturating_sub(1);
            tally.values += usize::from(got.value.is_some());
            tally.failures += usize::from(got.value.is_none());
            tally.patches += usize::from(got.patched);
            (has, last) = (Some(value), Some(now));
        }
        if self.got.first().is_some_and(|first| first.patched) {
            return Err("it begins with a patch".to_owned());
        }
        tally.subscriptions += 1;
        tally.resumed_in_silence += usize::from(self.held.is_some() && self.got.is_empty());
        Ok(())
    }
}
