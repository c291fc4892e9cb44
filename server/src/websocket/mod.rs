//! The `graphql-transport-ws` protocol (<https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>).
//!
//! | module | what it does |
//! |---|---|
//! | [`message`] | the protocol's messages, parsed and written |
//! | [`close`] | why a socket is closed |
//! | [`session`] | one socket from its first message to its last |

pub mod close;
pub mod message;
pub mod session;

use std::sync::Arc;

use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use tracing::Instrument;

use crate::graphql::affinity::Affinity;
use crate::http::gateway::Gateway;
use crate::http::graphql::Refusal;
use crate::http::negotiate::MediaType;
use crate::http::{connection, too_many};
use crate::request_id::RequestId;

/// The one subprotocol spoken.
pub const SUBPROTOCOL: &str = "graphql-transport-ws";

/// Bytes read from a socket at a time. The default of the library, 128 KiB, is held by each idle socket.
const READ_BUFFER_BYTES: usize = 4 << 10;

/// Bytes of messages that leave a socket in one write. Where many wait, ten subscriptions of one socket touched by one commit,
/// a write for each would cost more than all else.
const WRITE_BUFFER_BYTES: usize = 4 << 10;

/// Accepts a WebSocket and runs its session, or refuses it with a status.
pub async fn upgrade(gateway: Arc<Gateway>, upgrade: WebSocketUpgrade, parts: &Parts) -> Response {
    if let Err(foreign) = gateway.options.origins.may_connect(parts) {
        return (StatusCode::FORBIDDEN, format!("{foreign}\n")).into_response();
    }
    // Whose it is may be said by the token that comes with the handshake.
    let is_open = gateway.tenants.get().is_some() && gateway.auth.has_tenant_claims();
    if gateway.service.current().is_none() && !is_open {
        // Not accepted, so that clients try again: an operation that is refused they would take for ended.
        let reason = format!("{}\n", gateway.nothing_served());
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], reason).into_response();
    }
    // Programs can send a header, which browsers cannot: they show their token in `connection_init`.
    let credentials = match gateway.credentials(parts).await {
        Ok(credentials) => credentials,
        Err(error) => return Refusal::from(&error).into_response(MediaType::Json),
    };
    let affinity = match Affinity::of_headers(&parts.headers) {
        Ok(affinity) => affinity,
        Err(error) => return Refusal::of_route(&gateway, &error).into_response(MediaType::Json),
    };
    let Some(permit) = gateway.sockets.take() else {
        let retry_after = [(header::RETRY_AFTER, "1")];
        return (StatusCode::SERVICE_UNAVAILABLE, retry_after, "all sockets are taken\n").into_response();
    };
    let accepted = connection::accepted(&parts.extensions);
    let held = match gateway.rates.socket(accepted.address) {
        Ok(held) => held,
        Err(limited) => return too_many::response(&gateway.options.origins, limited, &parts.headers),
    };
    let message_bytes = gateway.options.socket.message_bytes;
    let request = RequestId::current_of_client();
    upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_message_size(message_bytes)
        .max_frame_size(message_bytes)
        .on_failed_upgrade(|error| tracing::debug!("WebSocket upgrade: {error}"))
        .on_upgrade(async move |socket: WebSocket| {
            let span = gateway.span.clone();
            let session = session::run(gateway, accepted, credentials, affinity, socket).instrument(span);
            RequestId::under(request, session).await;
            drop((permit, held));
        })
}
