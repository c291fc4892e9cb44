//! What waits to be sent to one client.
//!
//! Of each operation at most one result waits: a newer one takes the place of an older one that the client was too slow
//! to take. Of a client that takes patches the last value that was taken is kept: the next is told from there. An event of
//! a stream takes no place: whoever puts it in waits until it is taken. So what waits is bounded by the number of
//! operations, whatever the clients, the commits and the streams do.
//!
//! It is bounded by its size as well: past that a subscription keeps its newest value to itself until there is room, and no more
//! requests are read. What has run already, each operation's one result, is put in all the same.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use weir_engine::content::ValueDigest;

use crate::graphql::delta::{Base, Version};
use crate::graphql::{GraphqlError, Response};

/// What is sent next.
#[derive(Debug, PartialEq)]
pub enum Outgoing<C> {
    /// Of an operation.
    Operation {
        /// What the client calls it.
        id: String,
        /// What it is sent.
        part: Box<Part>,
    },
    /// About the connection.
    Control(C),
}

/// A part of what an operation sends.
#[derive(Debug, PartialEq)]
pub enum Part {
    /// A result.
    Next(Response),
    /// A value of a subscription to a client that takes patches.
    Update {
        /// What it gets.
        version: Version,
        /// What it has.
        base: Option<Base>,
    },
    /// Its end.
    End(End),
}

/// How an operation ends.
#[derive(Debug, PartialEq)]
pub enum End {
    /// All of it has been sent.
    Complete,
    /// It was refused, or can go on no longer.
    Refused(Vec<GraphqlError>),
}

/// What waits to be sent to one client. Shared by who sends it and the operations.
///
/// `C` is what is said about the connection itself; nothing ([`Infallible`]) where it carries
/// one operation and no more.
pub struct Outbox<C> {
    bytes_max: usize,
    state: Mutex<State<C>>,
    filled: Notify,
    emptied: Notify,
    /// A result was taken or is wanted no more.
    taken: Notify,
    /// Something was taken, or an operation has ended or turned out to go on.
    settling: Notify,
}

struct State<C> {
    queue: VecDeque<Entry<C>>,
    /// Messages about the connection in the queue.
    controls: usize,
    /// Bytes of the results that wait.
    bytes: usize,
    operations: HashMap<String, Slot>,
    /// How many there have been.
    opened: u64,
    last: Option<C>,
}

enum Entry<C> {
    Control(C),
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

/// There is no room for a value now.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

/// Nothing more is sent of the operation.
#[derive(Debug, PartialEq, Eq)]
pub struct Forgotten;

/// An operation that has started and whose end has not been sent.
#[derive(Default)]
struct Slot {
    number: u64,
    task: Option<AbortHandle>,
    /// Whether it is a subscription, with no end of its own; `None` until that is known.
    goes_on: Option<bool>,
    queued: bool,
    next: Option<Next>,
    /// The last value that was taken, if it was one that patches may follow.
    base: Option<Base>,
    /// What the client has, or will have when all that was taken has come.
    has: Option<Held>,
    end: Option<End>,
}

/// What the client of a watched query has.
#[derive(PartialEq)]
enum Held {
    Value(ValueDigest),
    /// Why there is none.
    Error(Vec<GraphqlError>),
}

/// What an error takes besides its message.
const ERROR_BYTES: usize = 256;

/// A result that waits.
enum Next {
    /// With the value in it, if it is one of a watched query.
    Response(Box<Response>, Option<ValueDigest>),
    /// It says why a watched query has no value.
    Error(Box<Response>),
    Version(Box<Version>),
}

impl Next {
    /// The bytes that it takes, about.
    fn bytes(&self) -> usize {
        match self {
            Self::Response(response, _) | Self::Error(response) => {
                let errors = response.errors.iter().map(|error| ERROR_BYTES + error.message.len());
                response.data.as_ref().map_or(0, Vec::len) + errors.sum::<usize>()
            }
            Self::Version(version) => version.bytes(),
        }
    }

    /// What the client has with it.
    fn held(&self) -> Option<Held> {
        match self {
            Self::Response(_, value) => value.map(Held::Value),
            Self::Error(response) => Some(Held::Error(response.errors.clone())),
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

impl<C> Outbox<C> {
    /// With room for results of so many bytes. A larger one waits alone.
    pub fn new(bytes_max: usize) -> Self {
        let (queue, operations) = (VecDeque::new(), HashMap::new());
        let state = State { queue, controls: 0, bytes: 0, operations, opened: 0, last: None };
        Self {
            bytes_max,
            state: Mutex::new(state),
            filled: Notify::new(),
            emptied: Notify::new(),
            taken: Notify::new(),
            settling: Notify::new(),
        }
    }
}

impl Outbox<Infallible> {
    /// One for a connection that carries a single operation, which needs no name.
    pub fn of_one() -> (Self, Ticket) {
        // Its one result waits alone.
        let outbox = Self::new(1);
        let ticket = outbox.state.lock().open("");
        (outbox, ticket)
    }
}

impl<C: Clone> Outbox<C> {
    /// Makes room for an operation.
    pub fn open(&self, id: &str, operations_max: usize) -> Result<Ticket, NotOpened> {
        let mut state = self.state.lock();
        if state.operations.contains_key(id) {
            return Err(NotOpened::Duplicate);
        }
        if state.operations.len() >= operations_max {
            return Err(NotOpened::Full);
        }
        Ok(state.open(id))
    }

    /// Says which task works for an operation.
    pub fn run(&self, ticket: &Ticket, task: AbortHandle) {
        if let Some(slot) = self.state.lock().slot(ticket) {
            slot.task = Some(task);
        }
    }

    /// Forgets an operation and stops its task. Nothing more is sent of it.
    pub fn cancel(&self, id: &str) {
        let slot = self.state.lock().remove(id);
        if let Some(task) = slot.and_then(|slot| slot.task) {
            task.abort();
        }
        self.made_room();
        self.settling.notify_waiters();
    }

    /// Ends all operations that have no end of their own, or of which that is not known yet, and says why. What waits of them is
    /// dropped.
    pub fn end_subscriptions(&self, errors: &[GraphqlError]) {
        let mut state = self.state.lock();
        let State { operations, queue, bytes, .. } = &mut *state;
        for (id, slot) in operations.iter_mut().filter(|(_, slot)| slot.goes_on != Some(false) && slot.end.is_none()) {
            if let Some(task) = &slot.task {
                task.abort();
            }
            // No ticket has it: whoever works for it speaks for nobody any more.
            slot.number = 0;
            *bytes -= slot.bytes();
            slot.next = None;
            slot.end = Some(End::Refused(errors.to_vec()));
            if !std::mem::replace(&mut slot.queued, true) {
                queue.push_back(Entry::Operation(id.clone()));
            }
        }
        drop(state);
        self.filled.notify_one();
        self.made_room();
    }

    /// Says that an operation has no end of its own.
    pub fn goes_on(&self, ticket: &Ticket) {
        if let Some(slot) = self.state.lock().slot(ticket) {
            slot.goes_on = Some(true);
        }
        self.settling.notify_waiters();
    }

    /// Says that an operation ends by itself.
    pub fn ends(&self, ticket: &Ticket) {
        if let Some(slot) = self.state.lock().slot(ticket) {
            slot.goes_on = Some(false);
        }
    }

    /// Waits until nothing waits to be sent and nothing runs but what has no end of its own.
    pub async fn settled(&self) {
        loop {
            let mut settling = std::pin::pin!(self.settling.notified());
            // Counts from here on, also before it is awaited.
            settling.as_mut().enable();
            if self.state.lock().is_settled() {
                return;
            }
            settling.await;
        }
    }

    /// Puts in a result, in place of one that has not been sent yet.
    pub fn next(&self, ticket: &Ticket, response: Response) {
        self.fill(ticket, |slot| slot.next = Some(Next::Response(Box::new(response), None)));
    }

    /// Says what value the client of a subscription has from before.
    pub fn has(&self, ticket: &Ticket, value: ValueDigest) {
        if let Some(slot) = self.state.lock().slot(ticket) {
            slot.has = Some(Held::Value(value));
        }
    }

    /// Puts in a value of a subscription, in place of a result that has not been sent yet. If the client has this one, then
    /// neither is sent. Where others have taken all room it is for the caller to keep.
    pub fn value(&self, ticket: &Ticket, response: Response, value: ValueDigest) -> Result<(), Full> {
        self.offer(ticket, Next::Response(Box::new(response), Some(value)))
    }

    /// The same with an error of a watched query, which goes on.
    pub fn error(&self, ticket: &Ticket, response: Response) -> Result<(), Full> {
        self.offer(ticket, Next::Error(Box::new(response)))
    }

    /// The same with a value that may be sent as a patch.
    pub fn update(&self, ticket: &Ticket, version: Version) -> Result<(), Full> {
        self.offer(ticket, Next::Version(Box::new(version)))
    }

    fn offer(&self, ticket: &Ticket, next: Next) -> Result<(), Full> {
        let mut state = self.state.lock();
        if !state.has_room_for(ticket, self.bytes_max) {
            return Err(Full);
        }
        self.fill_in(&mut state, ticket, |slot| slot.put(next));
        Ok(())
    }

    /// Waits until there is room for a value of a subscription.
    pub async fn has_room_for(&self, ticket: &Ticket) {
        loop {
            let mut taken = std::pin::pin!(self.taken.notified());
            // Counts from here on, also before it is awaited.
            taken.as_mut().enable();
            if self.state.lock().has_room_for(ticket, self.bytes_max) {
                return;
            }
            taken.await;
        }
    }

    /// Puts in an event of a stream, and waits until it is being sent.
    pub async fn pass(&self, ticket: &Ticket, event: Response) -> Result<(), Forgotten> {
        self.next(ticket, event);
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

    /// Takes back a result that has not been sent yet.
    pub fn withdraw(&self, ticket: &Ticket) {
        let mut state = self.state.lock();
        let Some(slot) = state.slot(ticket) else { return };
        let bytes = slot.bytes();
        slot.next = None;
        state.bytes -= bytes;
        drop(state);
        self.made_room();
    }

    /// Puts in the end of an operation; it is sent after a result that still waits.
    pub fn end(&self, ticket: &Ticket, end: End) {
        self.fill(ticket, |slot| slot.end = Some(end));
    }

    fn fill(&self, ticket: &Ticket, fill: impl FnOnce(&mut Slot)) {
        self.fill_in(&mut self.state.lock(), ticket, fill);
    }

    fn fill_in(&self, state: &mut State<C>, ticket: &Ticket, fill: impl FnOnce(&mut Slot)) {
        let Some(slot) = state.slot(ticket) else { return };
        let before = slot.bytes();
        fill(slot);
        let (after, queued) = (slot.bytes(), std::mem::replace(&mut slot.queued, true));
        state.bytes = state.bytes - before + after;
        if !queued {
            state.queue.push_back(Entry::Operation(ticket.id.clone()));
            self.filled.notify_one();
        }
    }

    /// Puts in a message about the connection.
    pub fn control(&self, control: C) {
        let mut state = self.state.lock();
        state.queue.push_back(Entry::Control(control));
        state.controls += 1;
        self.filled.notify_one();
    }

    /// Waits until fewer than so many messages about the connection wait, and results of fewer bytes than there is room for.
    pub async fn has_room(&self, messages_max: usize) {
        loop {
            let emptied = self.emptied.notified();
            let is_free = |state: &State<C>| state.controls < messages_max && state.bytes < self.bytes_max;
            if is_free(&self.state.lock()) {
                return;
            }
            emptied.await;
        }
    }

    /// A result waits no longer.
    fn made_room(&self) {
        self.taken.notify_waiters();
        self.emptied.notify_one();
    }

    /// Drops all that waits: this is next, and last.
    pub fn close(&self, last: C) {
        self.state.lock().last.get_or_insert(last);
        self.filled.notify_one();
    }

    /// Waits for what is to be sent next.
    pub async fn take(&self) -> Outgoing<C> {
        loop {
            let filled = self.filled.notified();
            if let Some(outgoing) = self.try_take() {
                return outgoing;
            }
            filled.await;
        }
    }

    /// What is to be sent next, if something waits.
    pub fn try_take(&self) -> Option<Outgoing<C>> {
        let taken = self.take_waiting();
        // Also where what waited came to nothing.
        self.settling.notify_waiters();
        taken
    }

    fn take_waiting(&self) -> Option<Outgoing<C>> {
        let mut state = self.state.lock();
        let state = &mut *state;
        if let Some(last) = &state.last {
            return Some(Outgoing::Control(last.clone()));
        }
        loop {
            match state.queue.pop_front()? {
                Entry::Control(control) => {
                    state.controls -= 1;
                    self.emptied.notify_one();
                    return Some(Outgoing::Control(control));
                }
                Entry::Operation(id) => {
                    let Some(slot) = state.operations.get_mut(&id) else { continue };
                    slot.queued = false;
                    state.bytes -= slot.bytes();
                    match (slot.next.take(), slot.end.is_some()) {
                        (Some(next), ended) => {
                            self.made_room();
                            slot.queued = ended;
                            let part = Box::new(slot.take(next));
                            if ended {
                                state.queue.push_front(Entry::Operation(id.clone()));
                            }
                            return Some(Outgoing::Operation { id, part });
                        }
                        (None, true) => {
                            let end = state.remove(&id).and_then(|slot| slot.end)?;
                            return Some(Outgoing::Operation { id, part: Box::new(Part::End(end)) });
                        }
                        (None, false) => {}
                    }
                }
            }
        }
    }
}

impl Slot {
    /// Of the result that waits.
    fn bytes(&self) -> usize {
        self.next.as_ref().map_or(0, Next::bytes)
    }

    fn put(&mut self, next: Next) {
        self.next = Some(next).filter(|next| self.has.is_none() || next.held() != self.has);
    }

    /// What is sent of a result, from what has been sent before it.
    fn take(&mut self, next: Next) -> Part {
        self.has = next.held();
        match next {
            Next::Response(response, _) | Next::Error(response) => {
                self.base = None;
                Part::Next(*response)
            }
            Next::Version(version) => {
                let base = self.base.replace(version.base());
                Part::Update { version: *version, base }
            }
        }
    }
}

impl<C> State<C> {
    fn open(&mut self, id: &str) -> Ticket {
        self.opened += 1;
        self.operations.insert(id.to_owned(), Slot { number: self.opened, ..Slot::default() });
        Ticket { id: id.to_owned(), number: self.opened }
    }

    fn remove(&mut self, id: &str) -> Option<Slot> {
        let slot = self.operations.remove(id)?;
        self.bytes -= slot.bytes();
        Some(slot)
    }

    /// Whether others leave room for a result of an operation. One that is there no more needs none.
    fn has_room_for(&mut self, ticket: &Ticket, bytes_max: usize) -> bool {
        let all = self.bytes;
        self.slot(ticket).is_none_or(|slot| all - slot.bytes() < bytes_max)
    }

    fn is_settled(&self) -> bool {
        self.queue.is_empty() && self.operations.values().all(|slot| slot.goes_on == Some(true))
    }

    fn slot(&mut self, ticket: &Ticket) -> Option<&mut Slot> {
        self.operations.get_mut(&ticket.id).filter(|slot| slot.number == ticket.number)
    }
}
