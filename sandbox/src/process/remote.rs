//! An isolate in a worker, as its host sees it: calls go there, requests come from there.
//!
//! The thread that makes a call answers its requests, so that work on the store happens on the same threads as it does for
//! isolates of this process. A worker that keeps silent past the wall limit and the watchdog's patience is killed: its
//! own watchdog should have ended it before.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::io::Interest;
use tokio::net::UnixStream;
use weir_schema::declarations::FunctionKind;
use weir_schema::limits::Limit;

use super::channel::ChannelError;
use super::frame::{self, BadFrame, FromIsolate, ToIsolate};
use super::supervisor::{Seat, Supervisor, await_ready};
use super::worker::START_PATIENCE;
use crate::app::App;
use crate::isolate::IsolateError;
use crate::ops::{Port, Reply, Wanted};
use crate::port::CallPort;
use crate::protocol::{CallRequest, Host, Outcome};
use crate::watchdog::PATIENCE;

/// How long a worker may keep silent past what ends its call: its own watchdog has its patience, and a busy machine more.
const GRACE: Duration = Duration::from_millis(400).saturating_add(PATIENCE);

/// Answers that an action's worker has not taken yet, in bytes, before it is heard again.
const UNSENT_BYTES_MAX: usize = 1 << 20;

/// How many requests of one action are worked on at once.
const SIDE_BY_SIDE_MAX: usize = 16;

/// An isolate in a worker.
pub struct RemoteIsolate {
    seat: Seat,
    supervisor: Arc<Supervisor>,
    app: Arc<App>,
    wall: Duration,
    /// How long an action may take to its end once it has been stopped: it hears of that when it waits for an answer, and
    /// may compute until then.
    stopped_within: Duration,
    state: State,
    /// For actions; made for the first.
    tokio: Option<tokio::runtime::Runtime>,
}

/// Whether a call may give events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Events {
    /// A stream may, until it is told to return.
    Wanted,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ready,
    /// The worker makes another isolate.
    Renewing,
    /// The worker is dead.
    Lost,
}

impl RemoteIsolate {
    /// Takes a seat. Blocks until one is ready.
    pub fn new(supervisor: &Arc<Supervisor>, app: &Arc<App>) -> Result<Self, IsolateError> {
        let seat = supervisor.take()?;
        let limits = &app.manifest.limits;
        Ok(Self {
            seat,
            supervisor: supervisor.clone(),
            app: app.clone(),
            wall: Duration::from_millis(limits.wall_ms),
            stopped_within: GRACE + Duration::from_millis(limits.cpu_ms),
            state: State::Ready,
            tokio: None,
        })
    }

    /// The process that it lives in.
    pub fn worker_id(&self) -> u32 {
        self.seat.worker.id()
    }

    /// Sees to it that the next call can be made. Blocks while an isolate is being made.
    pub fn renew(&mut self) -> Result<(), IsolateError> {
        if self.state == State::Renewing {
            let deadline = Instant::now() + START_PATIENCE + self.wall;
            match await_ready(&mut self.seat.channel, deadline) {
                Ok(()) => self.state = State::Ready,
                Err(_) => self.lose(),
            }
        }
        // Dead since, or it says what it was not asked.
        if self.state == State::Ready && !matches!(self.seat.channel.try_receive(), Ok(None)) {
            self.lose();
        }
        if self.state == State::Lost || self.seat.worker.is_dead() {
            self.seat = self.supervisor.take()?;
            self.state = State::Ready;
        }
        Ok(())
    }

    /// Runs one call to its end, which its host is told.
    pub fn call(&mut self, request: &CallRequest, host: Box<dyn Host>) {
        let mut port = CallPort::new(host, &self.app.manifest.limits);
        let outcome = self.run(request, &mut port);
        port.finish(outcome);
    }

    fn run(&mut self, request: &CallRequest, port: &mut CallPort) -> Outcome {
        let kind = self.app.declarations.callable(request.function).map(|function| function.kind);
        let is_action = kind == Some(FunctionKind::Action);
        let deadline = Instant::now() + self.wall + GRACE;
        let called = match u32::try_from(request.function) {
            Ok(function) => ToIsolate::Call {
                function,
                now_ms: request.now_ms,
                seed: request.seed,
                caller: (&*request.caller).into(),
                arguments: request.arguments.as_str().into(),
            },
            Err(_) => return Outcome::Broken("no such function".to_owned()),
        };
        if is_action && self.tokio.is_none() {
            match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(tokio) => self.tokio = Some(tokio),
                Err(error) => return Outcome::Broken(format!("no poller for an action: {error}")),
            }
        }
        let _under_way = self.seat.worker.enter();
        let called = self.seat.channel.send(&called, Some(deadline));
        let ended = called.and_then(|()| match kind {
            Some(FunctionKind::Action) => self.answer_action(port, deadline),
            Some(FunctionKind::Stream) => self.answer(port, deadline, Events::Wanted),
            _ => self.answer(port, deadline, Events::None),
        });
        match ended {
            Ok((outcome, spoiled)) => {
                if spoiled {
                    self.state = State::Renewing;
                }
                outcome
            }
            Err(error) => self.outcome_of_death(&error),
        }
    }

    /// Answers requests, one after the other, until the call is over. A stream has its time for each event; what the reader
    /// of the event takes is not counted.
    fn answer(
        &mut self,
        port: &mut CallPort,
        mut deadline: Instant,
        mut events: Events,
    ) -> Result<(Outcome, bool), ChannelError> {
        let mut is_stopped = false;
        loop {
            let bytes = self.seat.channel.receive(Some(deadline))?;
            match frame::read(&bytes)? {
                FromIsolate::Ask(text) => {
                    let asked = Instant::now();
                    let reply = port.ask(&text);
                    let now = Instant::now();
                    match (reply == Reply::Stop, is_stopped) {
                        // Who is told to stop has little time, and no more for what is asked meanwhile.
                        (true, false) => deadline = now + GRACE,
                        (true, true) if deadline <= now => return Err(ChannelError::Late),
                        (true, true) => {}
                        // What the host took for its answer is not the worker's silence, and no more than that is given.
                        (false, _) => deadline += now - asked,
                    }
                    is_stopped |= reply == Reply::Stop;
                    self.seat.channel.send(&ToIsolate::Answer(reply), Some(deadline))?;
                }
                FromIsolate::Event(text) if events == Events::Wanted => {
                    let wanted = port.event(text.into_owned());
                    if wanted == Wanted::Nothing {
                        events = Events::None;
                    }
                    deadline = Instant::now() + self.wall + GRACE;
                    self.seat.channel.send(&ToIsolate::Wanted(wanted), Some(deadline))?;
                }
                FromIsolate::Ended { outcome, spoiled } => return Ok((its_own(outcome)?, spoiled)),
                other => return Err(unexpected(&other)),
            }
        }
    }

    /// The same for an action, whose requests are answered side by side.
    fn answer_action(&mut self, port: &mut CallPort, deadline: Instant) -> Result<(Outcome, bool), ChannelError> {
        let Some(tokio) = self.tokio.take() else { return Err(ChannelError::Late) };
        let answered = tokio.block_on(self.answer_side_by_side(port, deadline));
        self.tokio = Some(tokio);
        answered
    }

    async fn answer_side_by_side(
        &mut self,
        port: &mut CallPort,
        mut deadline: Instant,
    ) -> Result<(Outcome, bool), ChannelError> {
        let descriptor = self.seat.channel.descriptor().try_clone_to_owned()?;
        let socket = UnixStream::from_std(descriptor.into())?;
        let channel = &mut self.seat.channel;
        let mut under_way: FuturesUnordered<LocalBoxFuture<'static, (u32, Reply)>> = FuturesUnordered::new();
        // What is answered waits here for its turn to be sent, so only some are let begin.
        let mut waiting: VecDeque<LocalBoxFuture<'static, (u32, Reply)>> = VecDeque::new();
        let mut is_stopped = false;
        let late = tokio::time::sleep_until(deadline.into());
        tokio::pin!(late);
        loop {
            if port.is_stopped() && !is_stopped {
                is_stopped = true;
                // Its answers are for nobody.
                waiting.clear();
                deadline = deadline.min(Instant::now() + self.stopped_within);
                late.as_mut().reset(deadline.into());
            }
            while under_way.len() < SIDE_BY_SIDE_MAX
                && let Some(next) = waiting.pop_front()
            {
                under_way.push(next);
            }
            let is_sent = channel.flush()?;
            // A worker that asks and does not listen is not asked again: its answers would fill the memory here.
            let is_open = channel.queued_bytes() < UNSENT_BYTES_MAX;
            let received = if is_open { channel.try_receive()? } else { None };
            if let Some(bytes) = &received {
                match frame::read(bytes)? {
                    FromIsolate::Ask(text) => channel.queue(&ToIsolate::Answer(port.ask(&text)))?,
                    FromIsolate::Start(number, text) => match port.begin(&text) {
                        Ok(replying) => waiting.push_back(Box::pin(async move { (number, replying.await) })),
                        // Not behind what takes long: whoever asks on would have all of it kept here.
                        Err(reply) => channel.queue(&ToIsolate::Settled(number, reply))?,
                    },
                    FromIsolate::Ended { outcome, spoiled } => return Ok((its_own(outcome)?, spoiled)),
                    other => return Err(unexpected(&other)),
                }
            }
            if deadline <= Instant::now() {
                return Err(ChannelError::Late);
            }
            tokio::select! {
                biased;
                Some((number, reply)) = under_way.next(), if is_open && !under_way.is_empty() => {
                    channel.queue(&ToIsolate::Settled(number, reply))?;
                }
                // There may be more where it came from.
                () = std::future::ready(()), if received.is_some() => {}
                ready = socket.readable(), if is_open => {
                    not_ready(&socket, Interest::READABLE, ready)?;
                }
                ready = socket.writable(), if !is_sent => not_ready(&socket, Interest::WRITABLE, ready)?,
                () = &mut late => return Err(ChannelError::Late),
            }
        }
    }

    /// What a call came to whose worker is of no more use.
    fn outcome_of_death(&mut self, error: &ChannelError) -> Outcome {
        self.lose();
        match (self.seat.worker.culprit(self.seat.number), error) {
            (Some(limit), _) => Outcome::Limit(limit),
            (None, ChannelError::Late) => Outcome::Limit(Limit::Wall),
            (None, ChannelError::Closed | ChannelError::Io(_)) => Outcome::Lost,
            (None, ChannelError::TooLong { .. } | ChannelError::Bad(_)) => Outcome::Broken(error.to_string()),
        }
    }

    fn lose(&mut self) {
        self.state = State::Lost;
        self.seat.worker.bury();
    }
}

/// The channel reads and writes on its own: until it has done so, the socket counts as not ready again.
fn not_ready(socket: &UnixStream, interest: Interest, ready: io::Result<()>) -> io::Result<()> {
    ready?;
    match socket.try_io(interest, || Err::<(), _>(io::ErrorKind::WouldBlock.into())) {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(()),
    }
}

/// How a call ends is the worker's to say; what became of the worker is not.
fn its_own(outcome: Outcome) -> Result<Outcome, BadFrame> {
    match outcome {
        Outcome::Value(_) | Outcome::Failed(_) | Outcome::Limit(_) | Outcome::Aborted => Ok(outcome),
        Outcome::Broken(_) => Err(BadFrame::unexpected("Broken")),
        Outcome::Lost => Err(BadFrame::unexpected("Lost")),
        Outcome::Late { .. } => Err(BadFrame::unexpected("Late")),
    }
}

fn unexpected(frame: &FromIsolate) -> ChannelError {
    let name = match frame {
        FromIsolate::Ready => "Ready",
        FromIsolate::Unmade(_) => "Unmade",
        FromIsolate::Ask(_) => "Ask",
        FromIsolate::Start(..) => "Start",
        FromIsolate::Ended { .. } => "Ended",
        FromIsolate::Event(_) => "Event",
    };
    ChannelError::Bad(BadFrame::unexpected(name))
}
