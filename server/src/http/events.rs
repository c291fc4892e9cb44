//! Results as server-sent events: GraphQL over SSE in distinct connections mode, one operation for each request
//! (<https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md>).
//!
//! A task takes from the outbox of the operation when the connection has room for more: of a subscription so the newest
//! value. It ends with the operation, with the client, with one that takes nothing for too long, with the token, and, where the
//! operation is a subscription, with the server.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response as HttpResponse};
use futures_util::stream::unfold;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::connection::{self, Stalled, Written};
use super::gateway::Gateway;
use super::graphql::{Refusal, bad, key};
use super::negotiate::MediaType;
use crate::auth::error::Unauthenticated;
use crate::auth::sessions::over;
use crate::auth::{Credentials, Presented};
use crate::graphql::plan::OperationKind;
use crate::graphql::service::Service;
use crate::graphql::{GraphqlError, Request, Response};
use crate::operations::operation::Operation;
use crate::operations::outbox::{End, Outbox, Outgoing, Part};
use crate::request_id::RequestId;

/// A comment: a sign of life that no client shows.
const COMMENT: Bytes = Bytes::from_static(b":\n\n");

/// Browsers hand an event to nobody that has no `data`.
const COMPLETE: &[u8] = b"event: complete\ndata:\n\n";

/// Runs an operation and answers with its results as they come.
pub fn answer(
    gateway: &Arc<Gateway>,
    service: Service,
    kind: OperationKind,
    request: Request,
    parts: &Parts,
    credentials: &Credentials,
) -> HttpResponse {
    let mut session = match gateway.auth.session(credentials) {
        Ok(session) => session,
        Err(error) => return Refusal::from(&Unauthenticated::from(error)).into_response(MediaType::EventStream),
    };
    let accepted = connection::accepted(&parts.extensions);
    let (outbox, ticket) = Outbox::of_one();
    let outbox = Arc::new(outbox);
    let presented = Presented::new(credentials.clone());
    let operation = Operation::new(ticket, gateway.clone(), service, outbox.clone(), presented);
    let held = gateway.bodies.hold(&accepted.written);
    let (send, receive) = mpsc::channel(1);
    let (gateway, gone) = (gateway.clone(), send.clone());
    tokio::spawn(RequestId::carry(async move {
        let running = async {
            operation.run(request, held).await;
            // What it has said last is still to be sent.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = send_all(&gateway, &outbox, &send, &accepted.written) => {}
            () = gone.closed() => {}
            () = stopped(&gateway, kind) => {}
            () = running => {}
            // What has not been given out by now is not.
            error = over(&mut session) => {
                let end = refusal(vec![GraphqlError::from(&error)]);
                let _ = timeout(gateway.options.events.stalled_timeout, send.send(end)).await;
            }
        }
    }));
    let events = unfold(receive, async |mut receive: mpsc::Receiver<Bytes>| {
        let event = receive.recv().await?;
        Some((Ok::<_, Infallible>(event), receive))
    });
    response(Body::from_stream(events))
}

/// A request that was refused before it ran: its errors, and the end.
pub fn refused(errors: Vec<GraphqlError>) -> HttpResponse {
    response(Body::from(refusal(errors)))
}

/// An answer that ends before anything came: after it a browser asks again, as it does after no status but 200.
pub fn nothing_yet() -> HttpResponse {
    response(Body::from(COMMENT))
}

/// The request with what its headers say: an idempotency key, and the last event that a browser has got, which it tells by
/// itself when it comes back.
pub fn with_headers(mut request: Request, headers: &HeaderMap) -> Result<Request, GraphqlError> {
    let key = key(headers)?;
    request.idempotency_key(key)?;
    if let Some(key) = key {
        request.weir.insert("idempotencyKey".into(), Value::from(key));
    }
    if let Some(last) = headers.get("last-event-id") {
        let cursor = last.to_str().map_err(|_| bad("Last-Event-ID must be the id of an event, or left out"))?;
        request.weir.insert("after".into(), Value::from(cursor));
    }
    Ok(request)
}

fn response(events: Body) -> HttpResponse {
    let headers = [
        (header::CONTENT_TYPE, MediaType::EventStream.header()),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // nginx would gather events until it has a buffer full of them.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (headers, events).into_response()
}

/// Sends what the outbox holds, to the end of the operation.
async fn send_all(gateway: &Gateway, outbox: &Outbox<Infallible>, send: &mpsc::Sender<Bytes>, written: &Written) {
    let options = &gateway.options.events;
    // Some browsers and proxies pass nothing on before something has come. There is room for it: it is the first.
    let _ = send.try_send(COMMENT);
    loop {
        let room = match written.advancing(options.stalled_timeout, send.reserve()).await {
            Ok(Ok(room)) => room,
            Ok(Err(_)) => return,
            Err(Stalled) => {
                tracing::debug!("a client has taken nothing for {:?} and is dropped", options.stalled_timeout);
                return written.cut();
            }
        };
        match timeout(options.keep_alive_interval, outbox.take()).await {
            Ok(Outgoing::Operation { part, .. }) => {
                room.send(event(&part).await);
                if matches!(*part, Part::End(_)) {
                    return;
                }
            }
            Ok(Outgoing::Control(never)) => match never {},
            Err(_) => room.send(COMMENT),
        }
    }
}

/// Waits until the server ends the operation. Others than subscriptions have time to end by themselves.
async fn stopped(gateway: &Gateway, kind: OperationKind) {
    if kind != OperationKind::Subscription {
        return std::future::pending().await;
    }
    // An error means that the server is gone.
    let _ = gateway.stopping.clone().wait_for(|stopping| *stopping).await;
}

/// What an operation sends, as events.
async fn event(part: &Part) -> Bytes {
    match part {
        Part::Next(response) => next(response),
        Part::Update { version, base } => {
            let mut event = head(version.cursor());
            event.extend_from_slice(&version.to_json(base.as_ref()).await);
            event.extend_from_slice(b"\n\n");
            event.into()
        }
        Part::End(End::Complete) => Bytes::from_static(COMPLETE),
        Part::End(End::Refused(errors)) => refusal(errors.clone()),
    }
}

fn refusal(errors: Vec<GraphqlError>) -> Bytes {
    let mut events = Vec::from(next(&Response::refused(errors)));
    events.extend_from_slice(COMPLETE);
    events.into()
}

fn next(response: &Response) -> Bytes {
    let cursor = response.weir.as_ref().and_then(|weir| weir.cursor.as_deref());
    // After an error a browser has no value, so that it must not resume from the one before.
    let cursor = cursor.or((!response.errors.is_empty()).then_some(""));
    let mut event = head(cursor);
    // JSON text of one line: there is no other here.
    response.write(&mut event);
    event.extend_from_slice(b"\n\n");
    event.into()
}

/// An event up to its data. Its id is the cursor, where there is one.
fn head(cursor: Option<&str>) -> Vec<u8> {
    match cursor {
        Some("") => b"event: next\nid:\ndata: ".to_vec(),
        Some(cursor) => format!("event: next\nid: {cursor}\ndata: ").into_bytes(),
        None => b"event: next\ndata: ".to_vec(),
    }
}
