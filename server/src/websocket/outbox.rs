//! What waits to be sent on one socket.
//!
//! Of each operation at most one result waits: a newer one takes the place of an older one that the client was too slow
//! to take. Of a client that takes patches the last value that was taken is kept: the next is told from there. An event of
//! a stream takes no place: whoever puts it in waits until it is taken. So what waits is bounded by the number of
//! operations, whatever the clients, the commits and the streams do.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};

use axum::extract::ws::Utf8Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use weir_engine::content::ValueDigest;

use super::close::Close;
use crate::graphql::delta::{Base, Version};

/// What is sent next.
#[derive(Debug, PartialEq)]
pub enum Outgoing {
    /// A message of the protocol.
    Message(Utf8Bytes),
    /// A value of a subscription to a client that takes patches.
    Update(Box<Update>),
    /// A ping of the WebSocket.
    Ping,
    /// The last frame.
    Close(Close),
}

/// A value of a subscription, and what the client has of it.
#[derive(Debug, PartialEq)]
pub struct Update {
    /// What the client calls the subscription.
    pub id: String,
    /// What it gets.
    pub version: Version,
    /// What it has.
    pub base: Option<Base>,
}

/// What waits to be sent on one socket. Shared by the socket's session and its operations.
#[derive(Default)]
pub struct Outbox {
    state: Mutex<State>,
    filled: Notify,
    emptied: Notify,
    /// An event of a stream was taken.
    taken: Notify,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Entry>,
    /// Messages about the connection in the queue.
    controls: usize,
    operations: HashMap<String, Slot>,
    /// How many there have been.
    opened: u64,
    close: Option<Close>,
}

enum Entry {
    Control(Outgoing),
    /// The operation of this id has something to send.
    Operation(String),
}

/// One operation among those that have its id one after the other: a task that has not noticed yet that it was stopped must
/// not speak for the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    id: String,
    number: u64,
}

impl Ticket {
    /// What the client calls it.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// Nothing more is sent of the operation.
#[derive(Debug, PartialEq, Eq)]
pub struct Forgotten;

/// An operation that has started and whose end has not been sent.
#[derive(Default)]
struct Slot {
    number: u64,
    task: Option<AbortHandle>,
    queued: bool,
    next: Option<Next>,
    /// The last value that was taken, if it was one that patches may follow.
    base: Option<Base>,
    /// What the client has, or will have when all that was taken has come.
    has: Option<Held>,
    end: Option<Utf8Bytes>,
}

/// What the client of a watched query has.
#[derive(PartialEq)]
enum Held {
    Value(ValueDigest),
    /// The message that says why there is none.
    Error(Utf8Bytes),
}

/// A result that waits.
enum Next {
    /// As it is sent; with the value in it, if it is one of a watched query.
    Message(Utf8Bytes, Option<ValueDigest>),
    /// Why a watched query has no value.
    Error(Utf8Bytes),
    Version(Version),
}

impl Next {
    /// What the client has with it.
    fn held(&self) -> Option<Held> {
        match self {
            Self::Message(_, value) => value.map(Held::Value),
            Self::Error(message) => Some(Held::Error(message.clone())),
            Self::Version(version) => Some(Held::Value(version.digest())),
        }
    }
}

/// Why an operation does not start.
#[derive(Debug, PartialEq, Eq)]
pub enum NotOpened {
    /// One of this id has started and not ended.
    Duplicate,
    /// There are as many as may be.
    Full,
}

impl Outbox {
    /// Makes room for an operation.
    pub fn open(&self, id: &str, operations_max: usize) -> Result<Ticket, NotOpened> {
        let mut state = self.state.lock();
        if state.operations.contains_key(id) {
            return Err(NotOpened::Duplicate);
        }
        if state.operations.len() >= operations_max {
            return Err(NotOpened::Full);
        }
        state.opened += 1;
        let number = state.opened;
        state.operations.insert(id.to_owned(), Slot { number, ..Slot::default() });
        Ok(Ticket { id: id.to_owned(), number })
    }

    /// Says which task works for an operation.
    pub fn run(&self, ticket: &Ticket, task: AbortHandle) {
        if let Some(slot) = self.state.lock().slot(ticket) {
            slot.task = Some(task);
        }
    }

    /// Forgets an operation and stops its task. Nothing more is sent of it.
    pub fn cancel(&self, id: &str) {
        let slot = self.state.lock().operations.remove(id);
        if let Some(task) = slot.and_then(|slot| slot.task) {
            task.abort();
        }
    }

    /// Puts in a result, in place of one that has not been sent yet.
    pub fn next(&self, ticket: &Ticket, message: Utf8Bytes) {
        self.fill(ticket, |slot| slot.next = Some(Next::Message(message, None)));
    }

    /// Says what value the client of a subscription has from before.
    pub fn has(&self, ticket: &Ticket, value: ValueDigest) {
        if let Some(slot) = self.state.lock().slot(ticket) {
            slot.has = Some(Held::Value(value));
        }
    }

    /// Puts in a value of a subscription, in place of a result that has not been sent yet. If the client has this one, then
    /// neither is sent.
    pub fn value(&self, ticket: &Ticket, message: Utf8Bytes, value: ValueDigest) {
        self.fill(ticket, |slot| slot.put(Next::Message(message, Some(value))));
    }

    /// The same with an error of a watched query, which goes on.
    pub fn error(&self, ticket: &Ticket, message: Utf8Bytes) {
        self.fill(ticket, |slot| slot.put(Next::Error(message)));
    }

    /// The same with a value that may be sent as a patch.
    pub fn update(&self, ticket: &Ticket, version: Version) {
        self.fill(ticket, |slot| slot.put(Next::Version(version)));
    }

    /// Puts in an event of a stream, and waits until it is being sent.
    pub async fn pass(&self, ticket: &Ticket, message: Utf8Bytes) -> Result<(), Forgotten> {
        self.next(ticket, message);
        loop {
            let mut taken = std::pin::pin!(self.taken.notified());
            // Counts from here on, also before it is awaited.
            taken.as_mut().enable();
            match self.state.lock().slot(ticket) {
                None => return Err(Forgotten),
                Some(slot) if slot.next.is_none() => return Ok(()),
                Some(_) => {}
            }
            taken.await;
        }
    }

    /// Puts in the last message of an operation; it is sent after a result that still waits.
    pub fn end(&self, ticket: &Ticket, message: Utf8Bytes) {
        self.fill(ticket, |slot| slot.end = Some(message));
    }

    fn fill(&self, ticket: &Ticket, fill: impl FnOnce(&mut Slot)) {
        let mut state = self.state.lock();
        let Some(slot) = state.slot(ticket) else { return };
        fill(slot);
        if !std::mem::replace(&mut slot.queued, true) {
            state.queue.push_back(Entry::Operation(ticket.id.clone()));
            self.filled.notify_one();
        }
    }

    /// Puts in a message about the connection.
    pub fn control(&self, message: Outgoing) {
        let mut state = self.state.lock();
        state.queue.push_back(Entry::Control(message));
        state.controls += 1;
        self.filled.notify_one();
    }

    /// Waits until fewer than so many messages about the connection wait.
    pub async fn has_room(&self, messages_max: usize) {
        loop {
            let emptied = self.emptied.notified();
            if self.state.lock().controls < messages_max {
                return;
            }
            emptied.await;
        }
    }

    /// Drops all that waits: the close frame is next, and last.
    pub fn close(&self, close: Close) {
        self.state.lock().close.get_or_insert(close);
        self.filled.notify_one();
    }

    /// Waits for what is to be sent next.
    pub async fn take(&self) -> Outgoing {
        loop {
            let filled = self.filled.notified();
            if let Some(outgoing) = self.try_take() {
                return outgoing;
            }
            filled.await;
        }
    }

    /// What is to be sent next, if something waits.
    pub fn try_take(&self) -> Option<Outgoing> {
        let mut state = self.state.lock();
        if let Some(close) = &state.close {
            return Some(Outgoing::Close(close.clone()));
        }
        loop {
            match state.queue.pop_front()? {
                Entry::Control(message) => {
                    state.controls -= 1;
                    self.emptied.notify_one();
                    return Some(message);
                }
                Entry::Operation(id) => {
                    let Some(slot) = state.operations.get_mut(&id) else { continue };
                    slot.queued = false;
                    match (slot.next.take(), slot.end.is_some()) {
                        (Some(next), ended) => {
                            self.taken.notify_waiters();
                            slot.queued = ended;
                            let outgoing = slot.take(&id, next);
                            if ended {
                                state.queue.push_front(Entry::Operation(id));
                            }
                            return Some(outgoing);
                        }
                        (None, true) => {
                            let end = state.operations.remove(&id).and_then(|slot| slot.end);
                            return end.map(Outgoing::Message);
                        }
                        (None, false) => {}
                    }
                }
            }
        }
    }
}

impl Slot {
    fn put(&mut self, next: Next) {
        self.next = Some(next).filter(|next| self.has.is_none() || next.held() != self.has);
    }

    /// What is sent of a result, from what has been sent before it.
    fn take(&mut self, id: &str, next: Next) -> Outgoing {
        self.has = next.held();
        match next {
            Next::Message(message, _) | Next::Error(message) => {
                self.base = None;
                Outgoing::Message(message)
            }
            Next::Version(version) => {
                let base = self.base.replace(version.base());
                Outgoing::Update(Box::new(Update { id: id.to_owned(), version, base }))
            }
        }
    }
}

impl State {
    fn slot(&mut self, ticket: &Ticket) -> Option<&mut Slot> {
        self.operations.get_mut(&ticket.id).filter(|slot| slot.number == ticket.number)
    }
}
