//! An isolate in a worker, as its host sees it: calls go there, requests come from there.
//!
//! The thread that makes a call answers its requests, so that work on the store happens on the same threads as it does for
//! isolates of this process. A worker that keeps silent past the wall limit and the watchdog's patience is killed: its
//! own watchdog should have ended it before.

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
use super::frame::{self, FromIsolate, ToIsolate};
use super::supervisor::{Seat, Supervisor, await_ready};
use super::worker::START_PATIENCE;
use crate::app::App;
use crate::isolate::IsolateError;
use crate::ops::{Port, Reply};
use crate::port::CallPort;
use crate::protocol::{CallRequest, Outcome};
use crate::watchdog::PATIENCE;

/// How long a worker may be silent past its call's wall limit and the patience of its own watchdog.
const SILENCE: Duration = Duration::from_millis(400);

/// An isolate in a worker.
pub struct RemoteIsolate {
    seat: Seat,
    supervisor: Arc<Supervisor>,
    app: Arc<App>,
    wall: Duration,
    state: State,
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
        let wall = Duration::from_millis(app.manifest.limits.wall_ms);
        Ok(Self { seat, supervisor: supervisor.clone(), app: app.clone(), wall, state: State::Ready })
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
        if self.state == State::Lost || self.seat.worker.is_dead() {
            self.seat = self.supervisor.take()?;
            self.state = State::Ready;
        }
        Ok(())
    }

    /// Runs one call to its end. `port` answers what the script asks meanwhile.
    pub fn call(&mut self, request: &CallRequest, port: &mut CallPort) -> Outcome {
        let function = self.app.declarations.functions.get_index(request.function);
        let is_action = function.is_some_and(|(_, function)| function.kind == FunctionKind::Action);
        let called = match u32::try_from(request.function) {
            Ok(function) => self.seat.channel.send(&ToIsolate::Call {
                function,
                now_ms: request.now_ms,
                seed: request.seed,
                caller: (&*request.caller).into(),
                arguments: request.arguments.as_str().into(),
            }),
            Err(_) => return Outcome::Broken("no such function".to_owned()),
        };
        let ended = called.and_then(|()| match is_action {
            true => self.answer_action(port),
            false => self.answer(port),
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

    /// Answers requests, one after the other, until the call is over.
    fn answer(&mut self, port: &mut CallPort) -> Result<(Outcome, bool), ChannelError> {
        let deadline = Instant::now() + self.wall + PATIENCE + SILENCE;
        let mut heard = Instant::now();
        loop {
            // What the host took for its answers is not the worker's silence.
            let silent_until = deadline.max(heard + PATIENCE + SILENCE);
            let bytes = self.seat.channel.receive(Some(silent_until))?;
            match frame::read(&bytes)? {
                FromIsolate::Ask(text) => {
                    let reply = port.ask(&text);
                    self.seat.channel.send(&ToIsolate::Answer(reply))?;
                    heard = Instant::now();
                }
                FromIsolate::Ended { outcome, spoiled } => return Ok((outcome, spoiled)),
                other => return Err(unexpected(&other)),
            }
        }
    }

    /// The same for an action, whose requests are answered side by side.
    fn answer_action(&mut self, port: &mut CallPort) -> Result<(Outcome, bool), ChannelError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let patience = self.wall + PATIENCE + SILENCE;
        runtime.block_on(async {
            let answering = self.answer_side_by_side(port);
            tokio::time::timeout(patience, answering).await.unwrap_or(Err(ChannelError::Late))
        })
    }

    async fn answer_side_by_side(&mut self, port: &mut CallPort) -> Result<(Outcome, bool), ChannelError> {
        let descriptor = self.seat.channel.descriptor().try_clone_to_owned()?;
        let socket = UnixStream::from_std(descriptor.into())?;
        let channel = &mut self.seat.channel;
        let mut under_way: FuturesUnordered<LocalBoxFuture<'static, (u32, Reply)>> = FuturesUnordered::new();
        loop {
            while let Some(bytes) = channel.try_receive()? {
                match frame::read(&bytes)? {
                    FromIsolate::Ask(text) => channel.queue(&ToIsolate::Answer(port.ask(&text)))?,
                    FromIsolate::Start(number, text) => {
                        let replying = port.start(&text);
                        under_way.push(Box::pin(async move { (number, replying.await) }));
                    }
                    FromIsolate::Ended { outcome, spoiled } => return Ok((outcome, spoiled)),
                    other => return Err(unexpected(&other)),
                }
            }
            let is_sent = channel.flush()?;
            tokio::select! {
                Some((number, reply)) = under_way.next(), if !under_way.is_empty() => {
                    channel.queue(&ToIsolate::Settled(number, reply))?;
                }
                ready = socket.readable() => not_ready(&socket, Interest::READABLE, ready)?,
                ready = socket.writable(), if !is_sent => not_ready(&socket, Interest::WRITABLE, ready)?,
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

fn unexpected(frame: &FromIsolate) -> ChannelError {
    let name = match frame {
        FromIsolate::Ready => "Ready",
        FromIsolate::Unmade(_) => "Unmade",
        FromIsolate::Ask(_) => "Ask",
        FromIsolate::Start(..) => "Start",
        FromIsolate::Ended { .. } => "Ended",
    };
    ChannelError::Bad(frame::BadFrame::unexpected(name))
}
