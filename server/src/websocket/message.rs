//! The protocol's messages, parsed and written.

use std::fmt;

use axum::extract::ws::Utf8Bytes;
use serde::Serialize;
use serde_json::{Map, Value, json};
use weir_schema::datetime::{self, Moment};

use super::close::Close;
use crate::auth;
use crate::auth::error::Unauthenticated;
use crate::graphql::{GraphqlError, Request};
use crate::operations::outbox::{End, Part};

/// What a client may send.
#[derive(Debug, PartialEq)]
pub enum ClientMessage {
    /// The handshake.
    ConnectionInit(Init),
    /// A token in place of the one before.
    Token(Token),
    /// Answered by a pong with the same payload.
    Ping(Option<Value>),
    /// A sign of life.
    Pong,
    /// Starts an operation.
    Subscribe {
        /// The client's name for it.
        id: String,
        /// What to run.
        request: Box<Request>,
    },
    /// Ends an operation.
    Complete {
        /// The client's name for it.
        id: String,
    },
}

/// What the handshake says.
#[derive(Debug, PartialEq, Eq)]
pub struct Init {
    /// Who calls.
    pub token: Option<Token>,
    /// The range of versions that it stays on.
    pub release: Option<String>,
    /// Who calls, where there is no token.
    pub visitor: Option<String>,
    /// The environment that is asked.
    pub environment: Option<String>,
}

/// A token. It shows nothing of itself.
#[derive(PartialEq, Eq)]
pub struct Token(pub String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Parses a message; anything else closes the socket.
pub fn parse(text: &str) -> Result<ClientMessage, Close> {
    let bad = Close::bad_message;
    let Ok(Value::Object(mut message)) = serde_json::from_str(text) else {
        return Err(bad("not a JSON object"));
    };
    let kind = match message.remove("type") {
        Some(Value::String(kind)) => kind,
        _ => return Err(bad("it has no type")),
    };
    match kind.as_str() {
        "connection_init" => {
            let payload = payload(&mut message)?;
            let token = token(payload.as_ref(), &["Authorization", "authorization", "token"])?;
            let said = |name| said(payload.as_ref(), name);
            let (release, visitor, environment) = (said("release")?, said("visitor")?, said("environment")?);
            Ok(ClientMessage::ConnectionInit(Init { token, release, visitor, environment }))
        }
        "ping" => {
            let payload = payload(&mut message)?;
            let token = token(payload.as_ref(), &["token"])?;
            Ok(token.map_or(ClientMessage::Ping(payload), ClientMessage::Token))
        }
        "pong" => payload(&mut message).map(|_| ClientMessage::Pong),
        "complete" => Ok(ClientMessage::Complete { id: id(&mut message)? }),
        "subscribe" => {
            let id = id(&mut message)?;
            let request = Request::parse(message.remove("payload").unwrap_or_default());
            let request = request.map_err(|error| bad(&error.message))?;
            Ok(ClientMessage::Subscribe { id, request: Box::new(request) })
        }
        _ => Err(bad("its type is not one that clients send")),
    }
}

fn id(message: &mut Map<String, Value>) -> Result<String, Close> {
    match message.remove("id") {
        Some(Value::String(id)) if !id.is_empty() => Ok(id),
        _ => Err(Close::bad_message("it needs an id, a string")),
    }
}

/// The optional payload of a message about the connection: an object.
fn payload(message: &mut Map<String, Value>) -> Result<Option<Value>, Close> {
    match message.remove("payload") {
        None | Some(Value::Null) => Ok(None),
        Some(payload @ Value::Object(_)) => Ok(Some(payload)),
        Some(_) => Err(Close::bad_message("its payload must be an object")),
    }
}

/// The token in a payload, under one of these names: by itself under `token`, as in the header of that name under the others.
fn token(payload: Option<&Value>, names: &[&str]) -> Result<Option<Token>, Close> {
    let mut found = names.iter().filter_map(|name| Some((*name, payload?.get(*name)?)));
    let Some((name, value)) = found.next() else { return Ok(None) };
    let several = found.next().is_some();
    let text = value.as_str().filter(|_| !several).ok_or(Close::bad_message("it has one token, a string"))?;
    let token = if name == "token" { Some(text) } else { auth::bearer(text) };
    match token {
        Some(token) => Ok(Some(Token(token.to_owned()))),
        None => Err(Close::forbidden(&Unauthenticated::Scheme)),
    }
}

/// What a payload says under a name.
fn said(payload: Option<&Value>, name: &str) -> Result<Option<String>, Close> {
    match payload.and_then(|payload| payload.get(name)) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Close::bad_message(&format!("its {name} must be a string"))),
    }
}

/// `connection_ack`; until when the token is good, where there is one.
pub fn ack(until_ms: Option<u64>) -> Utf8Bytes {
    match until_ms {
        Some(until_ms) => format!(r#"{{"type":"connection_ack","payload":{}}}"#, expiry(until_ms)).into(),
        None => Utf8Bytes::from_static(r#"{"type":"connection_ack"}"#),
    }
}

/// `pong`, the answer to a new token.
pub fn renewed(until_ms: u64) -> Utf8Bytes {
    format!(r#"{{"type":"pong","payload":{}}}"#, expiry(until_ms)).into()
}

/// Until when a token is good, by the server's clock.
fn expiry(until_ms: u64) -> Value {
    let seconds = i64::try_from(until_ms / 1_000).unwrap_or(i64::MAX);
    let nanoseconds = u32::try_from(until_ms % 1_000 * 1_000_000).unwrap_or_default();
    // Later than the year 9999 there is no such text.
    let at = datetime::format(Moment { seconds, nanoseconds }).ok();
    json!({ "expiresAt": at })
}

/// `pong`, with the payload of the ping.
pub fn pong(payload: Option<&Value>) -> Utf8Bytes {
    match payload {
        Some(payload) => format!(r#"{{"type":"pong","payload":{payload}}}"#).into(),
        None => Utf8Bytes::from_static(r#"{"type":"pong"}"#),
    }
}

/// What an operation sends: `next`, `error` or `complete`.
pub async fn of(id: &str, part: &Part) -> Utf8Bytes {
    let mut message = head(id);
    match part {
        Part::Next(response) => response.write(&mut message),
        Part::Update { version, base } => message.extend_from_slice(&version.to_json(base.as_ref()).await),
        Part::End(End::Complete) => return format!(r#"{{"id":{},"type":"complete"}}"#, json(id)).into(),
        Part::End(End::Refused(errors)) => return error(id, errors),
    }
    message.push(b'}');
    // JSON text is UTF-8, so that there is no other case.
    String::from_utf8(message).unwrap_or_default().into()
}

/// A `next` up to its payload.
fn head(id: &str) -> Vec<u8> {
    format!(r#"{{"id":{},"type":"next","payload":"#, json(id)).into_bytes()
}

/// `error`: the operation was refused, or ends here.
pub fn error(id: &str, errors: &[GraphqlError]) -> Utf8Bytes {
    format!(r#"{{"id":{},"type":"error","payload":{}}}"#, json(id), json(errors)).into()
}

fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".into())
}
