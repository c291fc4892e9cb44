//! Results as newline-delimited JSON, sent as fast as the client takes them.
//!
//! A task makes the lines and waits whenever a chunk of them is not taken: so at most one chunk waits and one is made, of a
//! list however long. It ends with the client, and with one that takes nothing for too long.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response as HttpResponse};
use futures_util::stream::unfold;
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio::time::timeout;
use weir_engine::call::{Answer, Caller};
use weir_engine::content::Places;
use weir_engine::lines::Elements;
use weir_schema::commit::Timestamp;

use super::caching;
use super::connection::{Stalled, Written};
use super::gateway::Gateway;
use super::graphql::{Refusal, Shown};
use super::negotiate::MediaType;
use crate::auth::error::Unauthenticated;
use crate::auth::sessions::over;
use crate::graphql::GraphqlError;
use crate::graphql::document::Operation;
use crate::graphql::lines::{Listed, list, write_end, write_errors};
use crate::graphql::service::{Served, Service};
use crate::request_id::RequestId;

/// The least that is sent at once, but for the end.
const CHUNK_BYTES: usize = 64 << 10;

/// Calls what a query asks for and answers with a line for each element.
pub async fn answer(
    gateway: &Arc<Gateway>,
    (service, written): (&Service, Written),
    served: &Arc<Served>,
    operation: &Operation,
    variables: Map<String, Value>,
    shown: Shown<'_>,
) -> HttpResponse {
    let service = service.clone();
    let listed = match list(&served.schema, operation, variables) {
        Ok(listed) => listed,
        Err(errors) => return refused(StatusCode::BAD_REQUEST, &errors),
    };
    let Shown { caller, credentials } = shown;
    let call = (listed.function.as_str(), &listed.arguments);
    let admitted = service.admit_call(served, &caller, operation.kind, listed.cost, call);
    if let Err(error) = admitted {
        let status = super::graphql::status_of(&error);
        return Refusal { status, error }.into_response(MediaType::JsonLines);
    }
    let mut session = match gateway.auth.session(credentials) {
        Ok(session) => session,
        Err(error) => return Refusal::from(&Unauthenticated::from(error)).into_response(MediaType::JsonLines),
    };
    let place = match service.place(&gateway.json_lines, &caller, "results in lines") {
        Ok(place) => place,
        Err(error) => {
            let refusal = Refusal::unavailable(GraphqlError::of_call(error, &caller));
            return refusal.into_response(MediaType::JsonLines);
        }
    };
    let (send, receive) = mpsc::channel(1);
    let (chunk, gone, last) = (Vec::new(), send.clone(), send.clone());
    let stalled = gateway.options.line_timeout;
    let (others, who, shown) = (service.clone(), caller.clone(), credentials.clone());
    let sender = Sender { stalled, written, service, listed, caller, chunk, send };
    let served = served.clone();
    tokio::spawn(RequestId::carry(async move {
        let _place = place;
        let over = async {
            tokio::select! {
                error = over(&mut session) => GraphqlError::from(&error),
                error = others.other_policies(&served, &who, &shown) => error,
            }
        };
        // Who has gone hears nothing, and wants nothing: not even what has not begun to be sent.
        tokio::select! {
            _ = sender.send_list(&served) => {}
            () = gone.closed() => {}
            error = over => {
                let mut line = Vec::new();
                write_errors(&mut line, &[error]);
                // Who takes nothing is not told either.
                let _ = timeout(stalled, last.send(line.into())).await;
            }
        }
    }));
    let chunks = unfold(receive, async |mut receive: mpsc::Receiver<Bytes>| {
        let chunk = receive.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(chunk), receive))
    });
    let headers = [(header::CONTENT_TYPE, MediaType::JsonLines.header()), (header::CACHE_CONTROL, caching::NEVER)];
    (StatusCode::OK, headers, Body::from_stream(chunks)).into_response()
}

/// A request that was refused before it ran: a single line.
pub fn refused(status: StatusCode, errors: &[GraphqlError]) -> HttpResponse {
    let mut line = Vec::new();
    write_errors(&mut line, errors);
    let headers = [(header::CONTENT_TYPE, MediaType::JsonLines.header()), (header::CACHE_CONTROL, caching::NEVER)];
    (status, headers, line).into_response()
}

/// The client has gone, or takes nothing.
struct Gone;

/// Makes the lines of one result.
struct Sender {
    /// How long the client may take nothing.
    stalled: Duration,
    written: Written,
    service: Service,
    listed: Listed,
    caller: Caller,
    /// Lines that are not sent yet.
    chunk: Vec<u8>,
    send: mpsc::Sender<Bytes>,
}

impl Sender {
    async fn send_list(mut self, served: &Served) -> Result<(), Gone> {
        match self.service.elements(served, &self.listed, &self.caller).await {
            Ok(Elements::There(Answer { value, commit, .. })) => {
                let hidden = value.hidden().clone();
                let elements = match value.take() {
                    Value::Array(elements) => Some(elements),
                    _ => None,
                };
                let all = elements.as_deref().unwrap_or_default().iter().map(|element| (element, &hidden));
                let sent = self.send_elements(0, all).await?;
                self.finish(sent.map(|()| (commit, elements.map(|elements| elements.len())))).await
            }
            Ok(Elements::Rows(walk)) => {
                let (commit, mut rest, mut count) = (walk.commit(), Some(*walk), 0);
                while let Some(walk) = rest {
                    let piece = match walk.piece().await {
                        Ok(piece) => piece,
                        Err(error) => {
                            let errors = self.listed.failed(error, &self.caller);
                            return self.finish(Err(errors)).await;
                        }
                    };
                    if let Err(errors) = self
                        .send_elements(count, piece.elements.iter().map(|given| (&given.value, &given.hidden)))
                        .await?
                    {
                        return self.finish(Err(errors)).await;
                    }
                    count += piece.elements.len();
                    rest = piece.rest;
                }
                self.finish(Ok((commit, Some(count)))).await
            }
            Err(error) => {
                let errors = self.listed.failed(error, &self.caller);
                self.finish(Err(errors)).await
            }
        }
    }

    /// Sends lines, but for a rest that is no whole chunk.
    async fn send_elements<'e>(
        &mut self,
        first: usize,
        elements: impl Iterator<Item = (&'e Value, &'e Places)>,
    ) -> Result<Result<(), Vec<GraphqlError>>, Gone> {
        for (index, (element, hidden)) in elements.enumerate() {
            if let Err(errors) = self.listed.write(&mut self.chunk, first + index, element, hidden) {
                return Ok(Err(errors));
            }
            if self.chunk.len() >= CHUNK_BYTES {
                self.flush().await?;
            }
        }
        Ok(Ok(()))
    }

    /// Sends what is left, and how it ended.
    async fn finish(mut self, ended: Result<(Timestamp, Option<usize>), Vec<GraphqlError>>) -> Result<(), Gone> {
        match ended {
            Ok((commit, elements)) => write_end(&mut self.chunk, commit, elements),
            Err(errors) => write_errors(&mut self.chunk, &errors),
        }
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), Gone> {
        let chunk = Bytes::from(std::mem::take(&mut self.chunk));
        match self.written.advancing(self.stalled, self.send.send(chunk)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Gone),
            Err(Stalled) => {
                tracing::info!("a result is cut: its client took nothing of it for {:?}", self.stalled);
                self.written.cut();
                Err(Gone)
            }
        }
    }
}
