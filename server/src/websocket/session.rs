//! One socket from its first message to its last.
//!
//! Reading, writing and pinging go on side by side in one task; what they share is the [`Outbox`]. The operations run in
//! tasks of their own, which end with the session.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::ws::{Message, Utf8Bytes, WebSocket};
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at, sleep_until, timeout, timeout_at};
use tracing::Instrument;
use weir_engine::call::Caller;
use weir_schema::caller::CallerSettings;
use weir_schema::error::ErrorCode;

use super::close::Close;
use super::message::{self, ClientMessage, Init, Token};
use crate::auth::error::{TokenError, Unauthenticated};
use crate::auth::sessions::{Session as TokenSession, over};
use crate::auth::{Credentials, Presented};
use crate::graphql::affinity::{Affinity, Unrouted};
use crate::graphql::service::{Service, Source};
use crate::graphql::{GraphqlError, Request};
use crate::http::bodies::{Held, NoRoom};
use crate::http::connection::{Accepted, Stalled, Written};
use crate::http::gateway::{Gateway, Permit};
use crate::operations::operation::Operation;
use crate::operations::outbox::{self, NotOpened, Outbox, Outgoing};
use crate::rate::rates::Holds;
use crate::request_id::RequestId;
use crate::tenants::choose::{Chosen, Look};

/// What is sent about the connection itself.
#[derive(Debug, Clone)]
enum Control {
    /// A message of the protocol.
    Message(Utf8Bytes),
    /// A ping of the WebSocket.
    Ping,
    /// The last frame.
    Close(Close),
}

/// Runs a session to its end.
pub async fn run(
    gateway: Arc<Gateway>,
    accepted: Accepted,
    credentials: Credentials,
    affinity: Option<Arc<Affinity>>,
    socket: WebSocket,
) {
    let spoken = socket.protocol().and_then(|spoken| spoken.to_str().ok()) == Some(super::SUBPROTOCOL);
    let (sink, mut stream) = socket.split();
    let outbox = Arc::new(Outbox::new(gateway.options.socket.outbox_bytes));
    if !spoken {
        outbox.close(Control::Close(Close::SUBPROTOCOL));
    }
    let options = gateway.options.socket.clone();
    let init_deadline = Instant::now() + options.init_timeout;
    // The size of a message is the library's to bound, once for all of a socket.
    accepted.written.allow(options.init_bytes);
    let (service, operations) = (gateway.service.on(accepted.source()), JoinSet::new());
    let gateway_stopping = gateway.stopping.clone();
    let mut session = Session {
        gateway,
        service,
        outbox: outbox.clone(),
        operations,
        init_deadline,
        acknowledged: false,
        presented: Presented::new(credentials),
        heard: 0,
        written: accepted.written.clone(),
        token: None,
        source: accepted.source(),
        affinity,
        stopping: gateway_stopping,
        _permit: None,
        counted: Caller::Anonymous,
        _held: Holds::default(),
    };
    let heard = AtomicBool::new(true);
    let writing = write(sink, &outbox, &accepted.written, options.stalled_timeout);
    tokio::pin!(writing);
    let (end, closing) = tokio::select! {
        end = session.read(&mut stream, &heard) => {
            let closing = match &end {
                End::Gone => false,
                // The answer is sent as reading goes on.
                End::Closed => true,
                End::Close(close) | End::Unreadable(close) => {
                    outbox.close(Control::Close(close.clone()));
                    timeout(options.close_timeout, &mut writing).await.unwrap_or(false)
                }
            };
            (end, closing)
        }
        close_sent = &mut writing => (End::Close(Close::SUBPROTOCOL), close_sent),
        () = ping(options.ping_interval, &heard, &outbox) => (End::Gone, false),
    };
    session.operations.shutdown().await;
    // Dropped at once, a connection with unread bytes is reset, and the peer never sees the close frame.
    if closing {
        let answered = async {
            while let Some(Ok(_)) = stream.next().await {}
            if matches!(end, End::Unreadable(_)) {
                std::future::pending::<()>().await;
            }
        };
        let _ = timeout(options.close_timeout, answered).await;
    }
}

/// How reading ends.
enum End {
    /// The peer is gone.
    Gone,
    /// The peer has closed.
    Closed,
    /// The session is over.
    Close(Close),
    /// So it is, and nothing more can be read.
    Unreadable(Close),
}

/// Sends what the outbox holds. Returns whether the last of it was a close frame: otherwise the peer is gone, or has taken
/// nothing for too long while something waited. What it has not taken of a message stands before any close frame.
async fn write(
    mut sink: SplitSink<WebSocket, Message>,
    outbox: &Outbox<Control>,
    written: &Written,
    stalled: Duration,
) -> bool {
    loop {
        let first = outbox.take().await;
        match written.advancing(stalled, send(&mut sink, outbox, first)).await {
            Ok(Ok(Sent::Last)) => return true,
            Ok(Ok(Sent::Waiting)) => {}
            Ok(Err(_)) => return false,
            Err(Stalled) => {
                tracing::debug!("a peer has taken nothing for {stalled:?} and is dropped");
                return false;
            }
        }
    }
}

/// What has been sent.
enum Sent {
    /// All that waited.
    Waiting,
    /// The close frame.
    Last,
}

/// Sends a message and those that wait behind it, as many to a write as the buffer of the socket holds.
async fn send(
    sink: &mut SplitSink<WebSocket, Message>,
    outbox: &Outbox<Control>,
    first: Outgoing<Control>,
) -> Result<Sent, axum::Error> {
    let mut next = Some(first);
    while let Some(outgoing) = next {
        let message = match outgoing {
            Outgoing::Operation { id, part } => Message::Text(message::of(&id, &part).await),
            Outgoing::Control(Control::Message(text)) => Message::Text(text),
            Outgoing::Control(Control::Ping) => Message::Ping(Bytes::new()),
            Outgoing::Control(Control::Close(close)) => {
                sink.send(Message::Close(Some(close.frame()))).await?;
                return Ok(Sent::Last);
            }
        };
        sink.feed(message).await?;
        next = outbox.try_take();
    }
    sink.flush().await?;
    Ok(Sent::Waiting)
}

/// Pings the peer. Returns when it was silent from one ping to the next.
async fn ping(every: Duration, heard: &AtomicBool, outbox: &Outbox<Control>) {
    let mut ticks = interval_at(Instant::now() + every, every);
    loop {
        ticks.tick().await;
        if !heard.swap(false, Ordering::Relaxed) {
            return;
        }
        outbox.control(Control::Ping);
    }
}

struct Session {
    gateway: Arc<Gateway>,
    service: Service,
    outbox: Arc<Outbox<Control>>,
    operations: JoinSet<()>,
    init_deadline: Instant,
    acknowledged: bool,
    /// Messages that came before.
    heard: u32,
    written: Written,
    /// What was shown last, which operations go by too.
    presented: Presented,
    /// How long that is good; with the handshake, if it is a token.
    token: Option<TokenSession>,
    /// Where it comes from.
    source: Source,
    /// What came with the upgrade of where its calls should go.
    affinity: Option<Arc<Affinity>>,
    /// Turns true when who serves it is told to stop.
    stopping: watch::Receiver<bool>,
    /// Its place with the tenant that its token has led to.
    _permit: Option<Permit>,
    /// As whom its messages count, which is known with the handshake.
    counted: Caller,
    /// Its part of what its caller may hold.
    _held: Holds,
}

impl Session {
    /// Reads messages until the session ends.
    async fn read(&mut self, stream: &mut SplitStream<WebSocket>, heard: &AtomicBool) -> End {
        loop {
            let next = async {
                self.outbox.has_room(self.gateway.options.socket.outbox_messages).await;
                stream.next().await
            };
            let message = tokio::select! {
                message = next => Some(message),
                () = sleep_until(self.init_deadline), if !self.acknowledged => return End::Close(Close::INIT_TIMEOUT),
                _ = self.stopping.wait_for(|stopping| *stopping) => None,
                error = over(&mut self.token) => return End::Close(Close::forbidden(&error.into())),
            };
            let Some(message) = message else {
                // What runs is finished and sent first, as requests over HTTP are.
                let _ = timeout(self.gateway.grace(), self.outbox.settled()).await;
                return End::Close(Close::GOING_AWAY);
            };
            heard.store(true, Ordering::Relaxed);
            if let Some(Ok(_)) = &message
                && self.service.message(&self.counted).is_err()
            {
                return End::Close(Close::TOO_MANY_MESSAGES);
            }
            if !self.acknowledged {
                self.heard += 1;
                if self.written.is_over() {
                    return End::Unreadable(Close::TOO_BIG);
                }
                if self.heard > self.gateway.options.socket.init_messages {
                    return End::Close(Close::TOO_MANY_MESSAGES);
                }
            }
            let text = match message {
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Binary(_))) => return End::Close(Close::bad_message("it is binary")),
                Some(Ok(Message::Close(_))) => return End::Closed,
                None => return End::Gone,
                Some(Err(error)) => return End::Unreadable(Close::unreadable(&error)),
            };
            let mut held = self.gateway.bodies.hold(&self.written);
            let room = held.grow_for_parsed(text.as_bytes()).map(|()| held);
            let handled = match message::parse(&text) {
                Ok(message) => self.handle(message, room).await,
                Err(close) => Err(close),
            };
            if let Err(close) = handled {
                return End::Close(close);
            }
        }
    }

    /// `room` is that of the message among the bodies of requests.
    async fn handle(&mut self, message: ClientMessage, room: Result<Held, NoRoom>) -> Result<(), Close> {
        match message {
            ClientMessage::ConnectionInit(_) if self.acknowledged => return Err(Close::INIT_TWICE),
            ClientMessage::ConnectionInit(init) => self.begin(init).await?,
            ClientMessage::Token(_) if !self.acknowledged => return Err(Close::UNAUTHORIZED),
            ClientMessage::Token(token) => self.go_on_with(token).await?,
            ClientMessage::Ping(payload) => {
                let pong = message::pong(payload.as_ref());
                if pong.len() > self.gateway.options.socket.ping_bytes {
                    return Err(Close::bad_message("its payload is too long"));
                }
                self.outbox.control(Control::Message(pong));
            }
            ClientMessage::Pong => {}
            ClientMessage::Subscribe { .. } if !self.acknowledged => return Err(Close::UNAUTHORIZED),
            ClientMessage::Subscribe { id, request } => self.subscribe(id, *request, room)?,
            ClientMessage::Complete { id } => self.outbox.cancel(&id),
        }
        Ok(())
    }

    /// The handshake: what it shows counts more than what came with the upgrade.
    async fn begin(&mut self, Init { token, release, visitor, environment }: Init) -> Result<(), Close> {
        let refused = |error| Close::forbidden(&Unauthenticated::Token(error));
        if let Some(Token(token)) = token {
            timeout_at(self.init_deadline, self.go_where_it_leads(&token)).await.map_err(|_| Close::INIT_TIMEOUT)??;
            self.go_to(environment.as_deref())?;
            let verified = timeout_at(self.init_deadline, self.gateway.verified(self.source.address, &token)).await;
            let verified = verified.map_err(|_| Close::INIT_TIMEOUT)?;
            self.presented.replace(Credentials::Token(verified.map_err(|error| Close::forbidden(&error))?));
        } else {
            self.go_to(environment.as_deref())?;
        }
        let affinity = Affinity::after(self.affinity.as_ref(), release.as_deref(), visitor.as_deref());
        let affinity = affinity.map_err(|error| self.unrouted(&error))?;
        self.service = self.service.with(affinity);
        let credentials = self.presented.credentials();
        self.service.route(&credentials).await.map_err(|error| self.unrouted(&error))?;
        self.counted = credentials.caller(&CallerSettings::default()).map_err(refused)?;
        self._held = self.service.hold_socket(&self.counted).map_err(|_| Close::TOO_MANY_SOCKETS)?;
        self.token = self.gateway.auth.session(&credentials).map_err(refused)?;
        self.acknowledged = true;
        self.written.allow_all();
        let until_ms = credentials.token().map(|verified| verified.until_ms());
        self.outbox.control(Control::Message(message::ack(until_ms)));
        Ok(())
    }

    /// There is no release to answer with.
    fn unrouted(&self, unrouted: &Unrouted) -> Close {
        match unrouted {
            Unrouted::Nothing => Close::not_yet(self.gateway.nothing_served()),
            unrouted if unrouted.is_clients() => Close::bad_message(&unrouted.to_string()),
            unrouted => Close::not_yet(&GraphqlError::from(unrouted).message),
        }
    }

    /// Goes on with the tenant that a token names. Nothing has been asked yet.
    async fn go_where_it_leads(&mut self, token: &str) -> Result<(), Close> {
        let Some(tenants) = self.gateway.tenants.get() else { return Ok(()) };
        self.go_on_at(tenants.of_token(token, self.source.address, Look::Again).await)
    }

    /// Goes on in the environment of a name; without one, where it is.
    fn go_to(&mut self, environment: Option<&str>) -> Result<(), Close> {
        match environment {
            None => Ok(()),
            Some(name) => self.go_on_at(self.gateway.environments.choose(name)),
        }
    }

    fn go_on_at(&mut self, chosen: Chosen) -> Result<(), Close> {
        let served = match chosen {
            Chosen::Own => return Ok(()),
            Chosen::Tenant(served) => served,
            Chosen::Refused(refused) => return Err(Close::of_choice(refused)),
        };
        let gateway = served.gateway().clone();
        // Among all sockets it counts already.
        self._permit = Some(gateway.sockets.take_over().ok_or(Close::TOO_MANY_SOCKETS)?);
        self.service = gateway.service.on(self.source);
        self.stopping = gateway.stopping.clone();
        self.gateway = gateway;
        Ok(())
    }

    /// Another token of the same caller, before the one before is over.
    async fn go_on_with(&mut self, Token(token): Token) -> Result<(), Close> {
        let refused = |error| Close::forbidden(&Unauthenticated::Token(error));
        let credentials = self.presented.credentials();
        let (Some(before), Some(session)) = (credentials.token(), &mut self.token) else {
            return Err(refused(TokenError::Another));
        };
        let verified = tokio::select! {
            verified = self.gateway.verified(self.source.address, &token) => verified.map_err(|error| Close::forbidden(&error))?,
            error = session.over() => return Err(refused(error)),
        };
        if !verified.is_of_the_same_as(before) {
            return Err(refused(TokenError::Another));
        }
        session.goes_on_with(verified.clone());
        self.gateway.auth.is_good(&verified).map_err(refused)?;
        // What runs goes by it too: a release to come may declare what it says otherwise than the one before.
        self.presented.replace(Credentials::Token(verified.clone()));
        // What runs began with what the token before said.
        let served = self.service.route(&Credentials::Token(verified.clone())).await;
        if served.is_ok_and(|served| !verified.says_the_same_as(before, served.release.caller())) {
            self.outbox.end_subscriptions(&[GraphqlError::from(&TokenError::Changed)]);
        }
        self.outbox.control(Control::Message(message::renewed(verified.until_ms())));
        Ok(())
    }

    fn subscribe(&mut self, id: String, request: Request, room: Result<Held, NoRoom>) -> Result<(), Close> {
        let options = &self.gateway.options.socket;
        if id.len() > options.operation_id_bytes {
            return Err(Close::bad_message("its id is too long"));
        }
        let ticket = match self.outbox.open(&id, options.operations) {
            Ok(ticket) => ticket,
            Err(NotOpened::Duplicate) => return Err(Close::duplicate(&id)),
            Err(NotOpened::Full) => {
                let message = format!("the socket has {} operations running already", options.operations);
                let error = GraphqlError::limit("socket_operations", message);
                self.outbox.control(Control::Message(message::error(&id, &[error])));
                return Ok(());
            }
        };
        let held = match room {
            Ok(held) => held,
            Err(no_room) => {
                let error = GraphqlError::new(ErrorCode::Unavailable, no_room.to_string());
                self.outbox.end(&ticket, outbox::End::Refused(vec![error]));
                return Ok(());
            }
        };
        // Those that have ended are only counted by the outbox.
        while self.operations.try_join_next().is_some() {}
        let (gateway, service) = (self.gateway.clone(), self.service.clone());
        let presented = self.presented.clone();
        let operation = Operation::new(ticket.clone(), gateway, service, self.outbox.clone(), presented);
        let running = operation.run(request, held).instrument(self.gateway.span.clone());
        let task = self.operations.spawn(RequestId::carry(running));
        self.outbox.run(&ticket, task);
        Ok(())
    }
}
