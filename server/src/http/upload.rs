//! `POST /graphql` in JSON lines: a call in each line, answered line by line while the request is still being read.
//!
//! The calls run in a row (`weir_engine::row`): each is a transaction that sees those before, and many share one sync. One
//! task reads lines and makes the calls; the response gives out what they came to, in order, each when it is durable.
//! Between the two is room for so many results and so many bytes of them. A client that does not read fills it, and then
//! nothing more is read from it.
//!
//! Rule: nothing of an upload is in memory but a line, what one read brought, and results up to the limits. A response
//! that ends without an error has an answer for every line; one that cannot be so is broken off.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response as HttpResponse};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, stream};
use serde_json::{Value, json};
use tokio::sync::mpsc::error::SendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use weir_engine::call::{Call, CallError, Caller};
use weir_engine::idempotency::IdempotencyKey;
use weir_engine::row::{Row, Sealed};
use weir_schema::error::ErrorCode;

use super::body_lines::{BrokenOff, Line, Lines};
use super::caching;
use super::compression::{Coding, coding};
use super::gateway::Gateway;
use super::graphql::{Refusal, bad, key, service_of};
use super::negotiate::{MediaType, accepts_json_lines};
use super::options::UploadOptions;
use crate::auth::Credentials;
use crate::auth::error::{TokenError, Unauthenticated};
use crate::auth::sessions::over;
use crate::graphql::GraphqlError;
use crate::graphql::call::call_result;
use crate::graphql::execute::has_function;
use crate::graphql::plan::OperationKind;
use crate::graphql::service::{Served, Service};
use crate::request_id::RequestId;

/// The most bytes of answers that are given out at once, if it is more than one.
const CHUNK_BYTES: usize = 32 << 10;

/// An upload that is being read.
struct Upload {
    service: Service,
    served: Arc<Served>,
    row: Row,
    caller: Caller,
    credentials: Credentials,
    key: Option<IdempotencyKey>,
    lines: Lines,
    options: UploadOptions,
    /// Bytes of results for which there is room.
    room: Arc<Semaphore>,
    answers: mpsc::Sender<Given>,
}

/// What goes from the task to the response.
enum Given {
    /// What a line came to.
    Answer(Box<Answer>),
    /// The last line is answered. Without this the response is not whole.
    End,
}

/// What a line came to.
struct Answer {
    place: u64,
    sealed: Result<Sealed, CallError>,
    /// Its part of the room.
    room: Option<OwnedSemaphorePermit>,
}

/// Why not all lines are answered.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Reading(#[from] BrokenOff),
    #[error("no answer was read for {0:?}")]
    Unread(Duration),
    #[error("the client has gone")]
    Gone,
    #[error("the server is stopping")]
    Stopping,
    #[error(transparent)]
    Token(TokenError),
    #[error("only trusted documents run now")]
    Trusted,
}

/// Answers an upload.
pub async fn post(gateway: Arc<Gateway>, parts: &Parts, body: Body, credentials: &Credentials) -> HttpResponse {
    if !accepts_json_lines(&parts.headers) {
        let error = bad("JSON lines are answered as application/jsonl");
        return Refusal { status: StatusCode::NOT_ACCEPTABLE, error }.into_response(MediaType::Json);
    }
    if coding(&parts.headers) != Some(Coding::Identity) {
        let error = bad("JSON lines are read as they come: send them without Content-Encoding");
        return Refusal { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, error }.into_response(MediaType::JsonLines);
    }
    start(&gateway, parts, body, credentials)
        .await
        .unwrap_or_else(|refusal| refusal.into_response(MediaType::JsonLines))
}

async fn start(
    gateway: &Arc<Gateway>,
    parts: &Parts,
    body: Body,
    credentials: &Credentials,
) -> Result<HttpResponse, Refusal> {
    let key = match key(&parts.headers).and_then(|key| key.map(parse_key).transpose()) {
        Ok(key) => key,
        Err(error) => return Err(Refusal { status: StatusCode::BAD_REQUEST, error }),
    };
    let service = service_of(gateway, parts)?;
    let served = service.route(credentials).await.map_err(|error| Refusal::of_route(gateway, &error))?;
    service.count(credentials, Ok(()));
    if gateway.service.is_trusted_only(&served) {
        let message = "only trusted documents run here: send the documentId of one instead of calls";
        let error = GraphqlError::new(ErrorCode::Forbidden, message);
        return Err(Refusal { status: StatusCode::FORBIDDEN, error });
    }
    let refused = |error| Refusal::from(&Unauthenticated::from(error));
    let caller = credentials.caller(served.release.caller()).map_err(refused)?;
    let mut session = gateway.auth.session(credentials).map_err(refused)?;
    // What its lines call is counted line by line.
    let place = service.place(&gateway.uploads, &caller, "uploads");
    let place = place.map_err(|error| Refusal::unavailable(GraphqlError::of_call(error, &caller)))?;
    let options = gateway.options.upload.clone();
    let (answers, given) = mpsc::channel(options.ahead_calls);
    let upload = Upload {
        row: service.row(&served, &caller),
        key: key.map(|key| service.own_key(&key, &caller)),
        service,
        served,
        caller,
        credentials: credentials.clone(),
        lines: Lines::of(body, options.line_bytes, options.silence),
        room: Arc::new(Semaphore::new(options.ahead_bytes as usize)),
        options,
        answers,
    };
    let mut stopping = gateway.stopping.clone();
    let task = Task(tokio::spawn(RequestId::carry(async move {
        let _place = place;
        let ended = tokio::select! {
            ended = upload.run() => ended,
            _ = stopping.wait_for(|stopping| *stopping) => Err(Ended::Stopping),
            error = over(&mut session) => Err(Ended::Token(error)),
        };
        if let Err(ended) = ended {
            tracing::debug!("an upload is broken off: {ended}");
        }
    })));
    let chunks =
        stream::unfold(Answers { given, waiting: None, state: State::Going, _task: task }, |mut answers| async {
            answers.chunk().await.map(|chunk| (chunk, answers))
        });
    let headers = [(header::CONTENT_TYPE, MediaType::JsonLines.header()), (header::CACHE_CONTROL, caching::NEVER)];
    Ok((StatusCode::OK, headers, Body::from_stream(chunks)).into_response())
}

fn parse_key(text: &str) -> Result<IdempotencyKey, GraphqlError> {
    IdempotencyKey::parse(text).map_err(|error| bad(format!("Idempotency-Key: {error}")))
}

impl Upload {
    /// Makes the calls, one line after the other, until the body ends.
    async fn run(mut self) -> Result<(), Ended> {
        let mut place = 0;
        while let Some(line) = self.lines.next().await? {
            self.follow().await?;
            let asked = self.read(&line);
            drop(line);
            let sealed = match asked {
                Ok(call) => {
                    let scope = self.key.as_ref().map(|key| key.scope(&self.caller, &format!("[{place}]")));
                    Ok(self.row.call(call, scope).await)
                }
                Err(error) => Err(error),
            };
            let bytes = sealed.as_ref().map_or(0, Sealed::bytes);
            let given = async {
                let wanted = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.options.ahead_bytes);
                let room = self.room.clone().acquire_many_owned(wanted).await.ok();
                self.answers.send(Given::Answer(Box::new(Answer { place, sealed, room }))).await
            };
            in_time(self.options.silence, given).await?;
            place += 1;
        }
        in_time(self.options.silence, self.answers.send(Given::End)).await
    }

    /// Goes on with the release that its calls go to now: what it denies is not to be had through an upload that began before.
    async fn follow(&mut self) -> Result<(), Ended> {
        let served = self.service.route(&self.credentials).await;
        let Some(served) = served.ok().filter(|served| !Arc::ptr_eq(served, &self.served)) else { return Ok(()) };
        if self.service.is_trusted_only(&served) {
            return Err(Ended::Trusted);
        }
        self.caller = self.credentials.caller(served.release.caller()).map_err(Ended::Token)?;
        self.row = self.service.row(&served, &self.caller);
        self.served = served;
        Ok(())
    }

    /// The call of a line.
    fn read(&self, line: &Line) -> Result<Call, CallError> {
        let Line::Whole(line) = line else {
            let message = format!("the line has more than line_bytes = {} bytes", self.options.line_bytes);
            return Err(CallError::new(ErrorCode::LimitExceeded, message));
        };
        let call = serde_json::from_slice(line).map_err(|error| error.to_string()).and_then(call_of);
        let Call { function, args } = call.map_err(|why| {
            let message = format!("the line is not {{\"function\": …, \"args\": …}}: {why}");
            CallError::new(ErrorCode::BadRequest, message)
        })?;
        if !has_function(&self.served.schema.api.mutation, &function) {
            return Err(CallError::new(ErrorCode::NotFound, format!("Mutation has no function {function}")));
        }
        let cost = self.served.schema.cost_of_call(&function);
        let called = (function.as_str(), &args);
        let admitted = self.service.admit_call(&self.served, &self.caller, OperationKind::Mutation, cost, called);
        admitted.map_err(|refused| CallError::new(refused.extensions.code, refused.message))?;
        Ok(Call { function, args })
    }
}

/// The call that a `CallInput` says; or why it is none.
fn call_of(given: Value) -> Result<Call, String> {
    let Value::Object(mut given) = given else { return Err("no object".to_owned()) };
    let function = match given.remove("function") {
        Some(Value::String(function)) => function,
        Some(_) => return Err("function is no string".to_owned()),
        None => return Err("function is missing".to_owned()),
    };
    let args = given.remove("args").unwrap_or_default();
    match given.keys().next() {
        Some(unknown) => Err(format!("{unknown} is not a member here")),
        None => Ok(Call { function, args }),
    }
}

/// Gives something to the response, unless nobody reads that.
async fn in_time(silence: Duration, given: impl Future<Output = Result<(), SendError<Given>>>) -> Result<(), Ended> {
    let given = tokio::time::timeout(silence, given).await.map_err(|_| Ended::Unread(silence))?;
    given.map_err(|_| Ended::Gone)
}

/// The task of an upload, which ends with the response.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The answers as they are given out.
struct Answers {
    given: mpsc::Receiver<Given>,
    /// The next, begun to be waited for.
    waiting: Option<BoxFuture<'static, String>>,
    state: State,
    _task: Task,
}

/// Whether there are more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Going,
    Ended,
}

impl Answers {
    /// The next answers: as soon as there is one, with those that are durable besides; `None` at the end.
    async fn chunk(&mut self) -> Option<io::Result<Bytes>> {
        let first = match self.waiting.take() {
            Some(waiting) => waiting,
            None if self.state == State::Ended => return None,
            None => match self.given.recv().await {
                Some(Given::Answer(answer)) => answer.write(),
                Some(Given::End) => return None,
                None => {
                    self.state = State::Ended;
                    return Some(Err(io::Error::other("the upload is broken off")));
                }
            },
        };
        let mut text = first.await;
        while text.len() < CHUNK_BYTES {
            let mut next = match self.given.try_recv() {
                Ok(Given::Answer(answer)) => answer.write(),
                Ok(Given::End) => {
                    self.state = State::Ended;
                    break;
                }
                Err(_) => break,
            };
            match (&mut next).now_or_never() {
                Some(line) => text.push_str(&line),
                // Those before it are told first.
                None => {
                    self.waiting = Some(next);
                    break;
                }
            }
        }
        Some(Ok(text.into()))
    }
}

impl Answer {
    /// The line of the response, once it may be told.
    fn write(self) -> BoxFuture<'static, String> {
        async move {
            let Self { place, sealed, room } = self;
            let outcome = match sealed {
                Ok(sealed) => sealed.opened().await,
                Err(error) => Err(error),
            };
            let commit = outcome.as_ref().ok().map(|answer| answer.commit.to_string());
            let mut line = json!({ "place": place, "commit": commit });
            if let (Value::Object(line), Value::Object(result)) = (&mut line, call_result(outcome)) {
                line.extend(result);
            }
            drop(room);
            format!("{line}\n")
        }
        .boxed()
    }
}
