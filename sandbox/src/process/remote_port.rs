//! The port of a call in a worker: what the script asks goes to the host, over the isolate's channel.
//!
//! The host does not listen while too many answers are on their way, so whatever is sent to it takes those meanwhile.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use weir_schema::limits::CallLimits;

use super::channel::{Channel, ChannelError};
use super::frame::{self, BadFrame, FromIsolate, ToIsolate};
use crate::ops::{Port, Reply, Replying, Waited, Wanted};
use crate::port::{request_bytes_max, sendable, too_long};

/// The port of one call.
pub struct RemotePort {
    channel: Rc<RefCell<Channel>>,
    unanswered: Unanswered,
    next: u32,
    deadline: Instant,
    /// Longer requests are not sent: the host would take them for the worker's malice.
    request_bytes_max: usize,
    result_bytes_max: usize,
}

/// Requests of an action that are not answered yet.
#[derive(Default)]
struct Unanswered {
    /// By their numbers.
    waiting: HashMap<u32, oneshot::Sender<Reply>>,
    /// Whether one was answered that the script may not have looked at.
    has_answered: bool,
}

impl RemotePort {
    /// A port for a call within these limits.
    pub fn new(channel: &Rc<RefCell<Channel>>, limits: &CallLimits) -> Self {
        Self {
            channel: channel.clone(),
            unanswered: Unanswered::default(),
            next: 0,
            deadline: Instant::now() + Duration::from_millis(limits.wall_ms),
            request_bytes_max: request_bytes_max(limits),
            result_bytes_max: limits.result_bytes,
        }
    }

    /// Without a deadline: the host answers in its own time, and ends the worker when it will not.
    fn answer(&mut self, request: &str) -> Result<Reply, ChannelError> {
        let (mut channel, unanswered) = (self.channel.borrow_mut(), &mut self.unanswered);
        channel.send_and_take(&FromIsolate::Ask(request.into()), |bytes| unanswered.settle(bytes))?;
        loop {
            if let Some(reply) = unanswered.take(&channel.receive(None)?)? {
                return Ok(reply);
            }
        }
    }
}

impl Unanswered {
    /// Takes what the host sends; the answer to what was asked, if it is that.
    fn take(&mut self, bytes: &[u8]) -> Result<Option<Reply>, ChannelError> {
        match frame::read(bytes)? {
            ToIsolate::Answer(reply) => Ok(Some(reply)),
            ToIsolate::Settled(number, reply) => {
                if let Some(waiting) = self.waiting.remove(&number) {
                    // The script may have stopped waiting.
                    let _ = waiting.send(reply);
                    self.has_answered = true;
                }
                Ok(None)
            }
            ToIsolate::Call { .. } => Err(BadFrame::unexpected("Call").into()),
            ToIsolate::Wanted(_) => Err(BadFrame::unexpected("Wanted").into()),
        }
    }

    /// The same where nothing was asked.
    fn settle(&mut self, bytes: &[u8]) -> Result<(), ChannelError> {
        match self.take(bytes)? {
            Some(_) => Err(BadFrame::unexpected("Answer").into()),
            None => Ok(()),
        }
    }
}

/// Sends an event, and waits for as long as its reader takes.
fn pass(channel: &mut Channel, event: &str) -> Result<Wanted, ChannelError> {
    channel.send(&FromIsolate::Event(event.into()), None)?;
    match frame::read(&channel.receive(None)?)? {
        ToIsolate::Wanted(wanted) => Ok(wanted),
        _ => Err(BadFrame::unexpected("another frame than Wanted").into()),
    }
}

impl Port for RemotePort {
    fn ask(&mut self, request: &str) -> Reply {
        if let Some(request) = sendable(request, self.result_bytes_max) {
            return self.answer(request).unwrap_or(Reply::Stop);
        }
        if let Some(message) = too_long(request, self.request_bytes_max) {
            return Reply::Refused(message);
        }
        // Without its host the call is over, and the worker with it.
        self.answer(request).unwrap_or(Reply::Stop)
    }

    fn start(&mut self, request: &str) -> Replying {
        if let Some(message) = too_long(request, self.request_bytes_max) {
            return Box::pin(async { Reply::Refused(message) });
        }
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let (started, unanswered) = (FromIsolate::Start(number, request.into()), &mut self.unanswered);
        let sent = self.channel.borrow_mut().send_and_take(&started, |bytes| unanswered.settle(bytes));
        if sent.is_err() {
            return Box::pin(async { Reply::Stop });
        }
        let (waiting, reply) = oneshot::channel();
        unanswered.waiting.insert(number, waiting);
        Box::pin(async { reply.await.unwrap_or(Reply::Stop) })
    }

    fn wait(&mut self) -> Waited {
        // It came while something was sent or asked: there may be nothing more to come.
        if std::mem::take(&mut self.unanswered.has_answered) {
            return Waited::Answered;
        }
        let received = self.channel.borrow_mut().receive(Some(self.deadline));
        let settled = received.and_then(|bytes| self.unanswered.settle(&bytes));
        self.unanswered.has_answered = false;
        match settled {
            Ok(()) => Waited::Answered,
            // Past the deadline the call ends by itself; without a host it waits for the end of the process.
            Err(_) => Waited::Elsewhere,
        }
    }

    fn event(&mut self, event: String) -> Wanted {
        // Without its host nobody is left to want anything.
        pass(&mut self.channel.borrow_mut(), &event).unwrap_or(Wanted::Nothing)
    }
}
