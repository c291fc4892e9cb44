//! What waits to be sent on one socket.
//!
//! Of each operation at most one result waits: a newer one takes the place of an older one that the client was too slow
//! to take. Of a client that takes patches the outbox knows the last value that was taken: what is sent next is told from there. An event of a stream takes no place: whoever puts it in waits until it is taken. So what waits is bounded by the
//! number of operations, whatever the clients, the commits and the streams do.

use std::collections::{HashMap, VecDeque};

use axum::extract::ws::Utf8Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

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
    /// The last value that was taken, if it was one.
    base: Option<Base>,
    end: Option<Utf8Bytes>,
}

/// A result that waits.
enum Next {
    Message(Utf8Bytes),
    Version(Version),
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
        self.fill(ticket, |slot| slot.next = Some(Next::Message(message)));
    }

    /// Puts in a value that may be sent as a patch, in place of a result that has not been sent yet.
    pub fn update(&self, ticket: &Ticket, version: Version) {
        self.fill(ticket, |slot| slot.next = Some(Next::Version(version)));
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

    fn try_take(&self) -> Option<Outgoing> {
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
    /// What is sent of a result, from what has been sent before it.
    fn take(&mut self, id: &str, next: Next) -> Outgoing {
        match next {
            Next::Message(message) => {
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Arc;

    use futures_util::future::poll_immediate;
    use serde_json::{Value, json};
    use weir_engine::content::Content;
    use weir_schema::commit::Timestamp;

    use super::*;
    use crate::graphql::plan::Key;
    use crate::graphql::response::WeirExtensions;

    fn taken(outbox: &Outbox) -> Vec<String> {
        std::iter::from_fn(|| outbox.try_take())
            .take(10)
            .map(|outgoing| match outgoing {
                Outgoing::Message(text) => text.to_string(),
                Outgoing::Update(update) => panic!("{update:?}"),
                Outgoing::Ping => "ping".into(),
                Outgoing::Close(close) => format!("close {}", close.code),
            })
            .collect()
    }

    fn outbox<const N: usize>(ids: [&str; N]) -> (Outbox, [Ticket; N]) {
        let outbox = Outbox::default();
        let tickets = ids.map(|id| outbox.open(id, 2).unwrap());
        (outbox, tickets)
    }

    #[test]
    fn a_newer_result_takes_the_place_of_an_older_one() {
        let (outbox, [a, b]) = outbox(["a", "b"]);
        outbox.next(&a, "a1".into());
        outbox.next(&b, "b1".into());
        outbox.next(&a, "a2".into());
        outbox.end(&a, "a done".into());
        assert_eq!(taken(&outbox), ["a2", "a done", "b1"]);
    }

    /// A value of a selection: a number among much else.
    fn version(form: u64, n: u64) -> Version {
        let value = json!({ "fill": "x".repeat(100), "n": n });
        let data = json!({ "v": value }).to_string().into_bytes();
        let weir = WeirExtensions { cursor: None, commit: Timestamp(n) };
        Version::new(&Key::new("v"), &Arc::new(Content::from(value)), form, data, weir)
    }

    /// What is sent next: the number of a whole value, a patch, or a message.
    async fn sent(outbox: &Outbox) -> Value {
        match outbox.try_take().unwrap() {
            Outgoing::Message(text) => text.to_string().into(),
            Outgoing::Update(update) => {
                let payload: Value =
                    serde_json::from_slice(&update.version.to_json(update.base.as_ref()).await).unwrap();
                let whole = payload.pointer("/data/v/n").or(payload.pointer("/extensions/weir/patch/0/value"));
                json!([payload.get("data").is_some(), whole])
            }
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_patch_is_to_what_was_sent_last() {
        let (outbox, [a]) = outbox(["a"]);
        let (whole, patch) = (true, false);
        outbox.update(&a, version(1, 1));
        outbox.update(&a, version(1, 2));
        assert_eq!(sent(&outbox).await, json!([whole, 2]));
        // What has been overtaken is nobody's base.
        outbox.update(&a, version(1, 3));
        outbox.update(&a, version(1, 2));
        assert_eq!(sent(&outbox).await, json!([patch, null]), "nothing has changed");
        outbox.next(&a, "error".into());
        outbox.update(&a, version(1, 4));
        assert_eq!(sent(&outbox).await, json!([patch, 4]), "the error has been overtaken");
        outbox.update(&a, version(1, 5));
        outbox.next(&a, "error".into());
        assert_eq!(sent(&outbox).await, json!("error"));
        outbox.update(&a, version(1, 6));
        assert_eq!(sent(&outbox).await, json!([whole, 6]));
        outbox.update(&a, version(2, 7));
        assert_eq!(sent(&outbox).await, json!([whole, 7]), "another selection");
        outbox.cancel("a");
        let again = outbox.open("a", 2).unwrap();
        outbox.update(&again, version(2, 8));
        outbox.end(&again, "done".into());
        assert_eq!(sent(&outbox).await, json!([whole, 8]), "another operation");
        assert_eq!(sent(&outbox).await, json!("done"));
    }

    #[tokio::test]
    async fn an_event_is_passed_when_it_is_taken() {
        let (outbox, [a, b]) = outbox(["a", "b"]);
        let mut passing = Box::pin(outbox.pass(&a, "a1".into()));
        assert!(poll_immediate(&mut passing).await.is_none());
        outbox.next(&b, "b1".into());
        assert_eq!(outbox.try_take(), Some(Outgoing::Message("a1".into())));
        assert_eq!(poll_immediate(&mut passing).await, Some(Ok(())));
        // What is not sent any more is not asked for any more.
        outbox.cancel("a");
        assert_eq!(outbox.pass(&a, "a2".into()).await, Err(Forgotten));
        assert_eq!(taken(&outbox), ["b1"]);
    }

    #[tokio::test]
    async fn a_task_that_was_stopped_does_not_speak_for_the_next_of_its_id() {
        let (outbox, [first]) = outbox(["a"]);
        outbox.next(&first, "old".into());
        outbox.cancel("a");
        let second = outbox.open("a", 2).unwrap();
        outbox.next(&first, "old".into());
        outbox.end(&first, "old done".into());
        assert_eq!(outbox.pass(&first, "old".into()).await, Err(Forgotten));
        outbox.next(&second, "new".into());
        assert_eq!(taken(&outbox), ["new"]);
    }

    #[test]
    fn an_id_is_free_again_when_its_end_has_been_sent() {
        let (outbox, [a]) = outbox(["a"]);
        outbox.end(&a, "a done".into());
        assert_eq!(outbox.open("a", 2), Err(NotOpened::Duplicate));
        assert_eq!(taken(&outbox), ["a done"]);
        assert!(outbox.open("a", 2).is_ok());
    }

    #[test]
    fn nothing_is_sent_of_a_cancelled_operation() {
        let (outbox, [a, _]) = outbox(["a", "b"]);
        assert_eq!(outbox.open("c", 2), Err(NotOpened::Full));
        outbox.next(&a, "a1".into());
        outbox.cancel("a");
        outbox.next(&a, "a2".into());
        assert_eq!(taken(&outbox), Vec::<String>::new());
        assert!(outbox.open("c", 2).is_ok());
    }

    #[test]
    fn a_close_goes_before_all_that_waits() {
        let (outbox, [a]) = outbox(["a"]);
        outbox.next(&a, "a1".into());
        outbox.close(Close::GOING_AWAY);
        outbox.close(Close::UNAUTHORIZED);
        assert_eq!(taken(&outbox).first().map(String::as_str), Some("close 1001"));
    }
}
