//! Why a socket is closed.

use std::borrow::Cow;

use axum::extract::ws::{CloseFrame, Utf8Bytes};

use crate::auth::error::Unauthenticated;
use crate::graphql::GraphqlError;
use crate::tenants::choose::Refused;

/// Why the server closes a socket: a code, and a reason for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// The close code.
    pub code: u16,
    /// At most 123 bytes, as the WebSocket protocol demands.
    pub reason: Cow<'static, str>,
}

impl Close {
    /// The server stops.
    pub const GOING_AWAY: Self = Self::of(1001, "The server is stopping");
    /// What came breaks the WebSocket protocol.
    pub const PROTOCOL: Self = Self::of(1002, "Protocol error");
    /// A text that is none.
    pub const NOT_UTF8: Self = Self::of(1007, "The text is not UTF-8");
    /// A message is larger than the server takes.
    pub const TOO_BIG: Self = Self::of(1009, "The message is too big");
    /// An operation before the handshake.
    pub const UNAUTHORIZED: Self = Self::of(4401, "Unauthorized");
    /// The client does not speak `graphql-transport-ws`.
    pub const SUBPROTOCOL: Self = Self::of(4406, "Subprotocol not acceptable");
    /// No `connection_init` in time.
    pub const INIT_TIMEOUT: Self = Self::of(4408, "Connection initialisation timeout");
    /// A second `connection_init`.
    pub const INIT_TWICE: Self = Self::of(4429, "Too many initialisation requests");

    /// Messages came too often.
    pub const TOO_MANY_MESSAGES: Self = Self::of(4429, "Too many messages");
    /// Too many tokens of the address were not taken.
    pub const TOO_MANY_LOGINS: Self = Self::of(4429, "Too many tokens that were not accepted");
    /// Whoever has opened it has as many as one may.
    pub const TOO_MANY_SOCKETS: Self = Self::of(4429, "Too many sockets");

    const fn of(code: u16, reason: &'static str) -> Self {
        Self { code, reason: Cow::Borrowed(reason) }
    }

    /// A message that is none of the protocol's.
    pub fn bad_message(why: &str) -> Self {
        Self { code: 4400, reason: cut(format!("Invalid message: {why}")) }
    }

    /// What came is no message at all.
    pub fn unreadable(error: &axum::Error) -> Self {
        // The library's errors have no public type here; this is how it names them.
        match error.to_string() {
            error if error.contains("too long") => Self::TOO_BIG,
            error if error.starts_with("UTF-8") => Self::NOT_UTF8,
            _ => Self::PROTOCOL,
        }
    }

    /// A token that is not taken, or is good no longer.
    pub fn forbidden(error: &Unauthenticated) -> Self {
        match error {
            Unauthenticated::TooMany(_) => Self::TOO_MANY_LOGINS,
            error => Self { code: 4403, reason: cut(format!("Forbidden: {error}")) },
        }
    }

    /// There is nothing to be asked yet. Clients try again after this.
    pub fn not_yet(why: &str) -> Self {
        Self { code: 1013, reason: cut(why.to_owned()) }
    }

    /// What a token leads to is not there, or not now.
    pub fn of_choice(refused: Refused) -> Self {
        let error = GraphqlError::from(refused);
        match refused {
            Refused::Unavailable => Self::not_yet(&error.message),
            Refused::NoEnvironment | Refused::AmbiguousEnvironment => Self::bad_message(&error.message),
            Refused::Nowhere | Refused::Ambiguous => {
                Self { code: 4403, reason: cut(format!("Forbidden: {}", error.message)) }
            }
        }
    }

    /// An operation of this id is still running.
    pub fn duplicate(id: &str) -> Self {
        Self { code: 4409, reason: cut(format!("Subscriber for {id} already exists")) }
    }

    /// As it is sent.
    pub fn frame(self) -> CloseFrame {
        CloseFrame { code: self.code, reason: Utf8Bytes::from(self.reason.into_owned()) }
    }
}

/// Cuts a reason to what a close frame can carry.
fn cut(mut reason: String) -> Cow<'static, str> {
    const REASON_BYTES_MAX: usize = 123;
    let end = reason.char_indices().map(|(start, c)| start + c.len_utf8()).take_while(|end| *end <= REASON_BYTES_MAX);
    let end = end.last().unwrap_or(0);
    reason.truncate(end);
    Cow::Owned(reason)
}
