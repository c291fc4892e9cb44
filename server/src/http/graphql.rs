//! GraphQL over HTTP (<https://graphql.github.io/graphql-over-http/draft/>): POST, and GET for queries.
//!
//! What is no GraphQL request at all has its own status (400, 405, 406, 413, 415, 503), and so has what is asked too often (429).
//! All else is answered with 200, or 400 if it was refused before it ran and the client asked for
//! `application/graphql-response+json`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Request as HttpRequest, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response as HttpResponse};
use serde_json::{Map, Value};
use weir_engine::call::Caller;
use weir_schema::error::ErrorCode;

use super::bodies::{Held, NoRoom};
use super::body::{Unread, whole};
use super::compression::{self, Coding, Undecoded};
use super::connection;
use super::gateway::Gateway;
use super::negotiate::{MediaType, accepted, accepts_events, is_json, is_json_lines};
use super::origin::Foreign;
use super::{ServerOptions, caching, events, lines, multipart, upload};
use crate::auth::Credentials;
use crate::auth::error::Unauthenticated;
use crate::graphql::affinity::{self, Affinity, Unrouted};
use crate::graphql::plan::OperationKind;
use crate::graphql::service::{Served, Service};
use crate::graphql::{GraphqlError, Request, Response};
use crate::websocket;

/// What a client that finds nobody ready is told, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// How the body of a request in JSON may be coded.
const CODINGS_READ: HeaderValue = HeaderValue::from_static("gzip");

/// A request that is not answered by execution.
pub(crate) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) error: GraphqlError,
}

/// `POST /graphql`.
pub async fn post(State(gateway): State<Arc<Gateway>>, request: HttpRequest<Body>) -> HttpResponse {
    let (parts, body) = request.into_parts();
    if let Err(foreign) = gateway.options.origins.may_ask(&parts) {
        return Refusal::foreign(foreign).into_response(MediaType::Json);
    }
    let media = accepted(&parts.headers);
    // Before anything else of the request is looked at.
    let credentials = match gateway.credentials(&parts).await {
        Ok(credentials) => credentials,
        Err(error) => return Refusal::from(&error).into_response(media.unwrap_or(MediaType::Json)),
    };
    if is_json_lines(&parts.headers) {
        return upload::post(gateway, &parts, body, &credentials).await;
    }
    let Some(media) = media else { return not_acceptable() };
    if multipart::is_multipart(&parts.headers) {
        return multipart::post(&gateway, &parts, body, media, &credentials).await;
    }
    let mut held = gateway.bodies.hold(&connection::accepted(&parts.extensions).written);
    let request = match read(&parts.headers, body, &gateway.options, &mut held).await {
        Ok(request) => request,
        Err(refusal) => return refusal.into_response(media),
    };
    answer(&gateway, request, &parts, &credentials, media, Method::Post).await
}

/// `GET /graphql`: a query, or a WebSocket.
pub async fn get(State(gateway): State<Arc<Gateway>>, request: HttpRequest<Body>) -> HttpResponse {
    let (mut parts, _) = request.into_parts();
    // Another protocol that a client would like to speak is not spoken.
    let upgrade = parts.headers.get(header::UPGRADE);
    if upgrade.is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket")) {
        return match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
            Ok(upgrade) => websocket::upgrade(gateway, upgrade, &parts).await,
            Err(rejection) => rejection.into_response(),
        };
    }
    let Some(media) = accepted(&parts.headers) else { return not_acceptable() };
    if let Err(foreign) = gateway.options.origins.may_get(&parts) {
        return Refusal::foreign(foreign).into_response(media);
    }
    let credentials = match gateway.credentials(&parts).await {
        Ok(credentials) => credentials,
        Err(error) => return Refusal::from(&error).into_response(media),
    };
    match of_uri(&parts.uri) {
        Ok(request) => answer(&gateway, request, &parts, &credentials, media, Method::Get).await,
        Err(error) => Refusal { status: StatusCode::BAD_REQUEST, error }.into_response(media),
    }
}

/// How the request came.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Post,
}

pub(super) async fn answer(
    gateway: &Arc<Gateway>,
    request: Request,
    parts: &Parts,
    credentials: &Credentials,
    media: MediaType,
    method: Method,
) -> HttpResponse {
    let service = match service_of(gateway, parts) {
        Ok(service) => service,
        Err(refusal) => return refusal.into_response(media),
    };
    let served = match service.route(credentials).await {
        Ok(served) => served,
        Err(Unrouted::Nothing) if media == MediaType::EventStream && method == Method::Get => {
            return events::nothing_yet();
        }
        Err(error) => return Refusal::of_route(gateway, &error).into_response(media),
    };
    let mut response = answer_by(gateway, &service, &served, request, parts, credentials, (media, method)).await;
    response.headers_mut().insert(affinity::RELEASE, version(&served));
    response
}

/// The way to the engine for a client that sends a request.
pub(super) fn service_of(gateway: &Gateway, parts: &Parts) -> Result<Service, Refusal> {
    let affinity = Affinity::of_headers(&parts.headers).map_err(|error| Refusal::of_route(gateway, &error))?;
    let service = gateway.service.on(connection::source(&parts.extensions));
    Ok(if affinity.is_some() { service.with(affinity) } else { service })
}

/// The version of a release as a header has it.
fn version(served: &Served) -> HeaderValue {
    // Versions are letters, digits and punctuation of ASCII.
    HeaderValue::from_str(&served.release.version().to_string()).unwrap_or(HeaderValue::from_static("0.0.0"))
}

async fn answer_by(
    gateway: &Arc<Gateway>,
    service: &Service,
    served: &Arc<Served>,
    request: Request,
    parts: &Parts,
    credentials: &Credentials,
    (media, method): (MediaType, Method),
) -> HttpResponse {
    let caller = match credentials.caller(served.release.caller()) {
        Ok(caller) => caller,
        Err(error) => return Refusal::from(&Unauthenticated::from(error)).into_response(media),
    };
    let prepared = service.prepare(served, &request).await;
    service.count(credentials, prepared.as_ref().map(drop).map_err(Vec::as_slice));
    let operation = match prepared {
        Ok(operation) => operation,
        Err(errors) => return write(media, &Response::refused(errors)),
    };
    match (operation.kind, method) {
        _ if media == MediaType::JsonLines => {
            let written = connection::accepted(&parts.extensions).written;
            let shown = Shown { caller, credentials };
            lines::answer(gateway, (service, written), served, &operation, request.variables, shown).await
        }
        (OperationKind::Mutation, Method::Get) => {
            let error = bad("GET runs queries only: send mutations with POST");
            let mut response = Refusal { status: StatusCode::METHOD_NOT_ALLOWED, error }.into_response(media);
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
            response
        }
        (kind, _) if media == MediaType::EventStream || accepts_subscription(kind, &parts.headers) => {
            match events::with_headers(request, &parts.headers) {
                Ok(request) => events::answer(gateway, service.clone(), kind, request, parts, credentials),
                Err(error) => Refusal { status: StatusCode::BAD_REQUEST, error }.into_response(media),
            }
        }
        (OperationKind::Subscription, _) => {
            let error = bad(
                "subscriptions run over WebSocket, with the subprotocol graphql-transport-ws, or as server-sent events, \
                 with Accept: text/event-stream",
            );
            write(media, &Response::refused(vec![error]))
        }
        (OperationKind::Query | OperationKind::Mutation, _) => {
            let key = match key(&parts.headers).and_then(|header| request.idempotency_key(header)) {
                Ok(key) => key,
                Err(error) => return Refusal { status: StatusCode::BAD_REQUEST, error }.into_response(media),
            };
            let response = service.execute(served, &operation, request.variables, &caller, key.as_ref()).await;
            match method {
                Method::Get if response.data.is_some() && response.errors.is_empty() => {
                    caching::answer(&parts.headers, media.header(), response.to_json())
                }
                _ => write(media, &response),
            }
        }
    }
}

/// The header `Idempotency-Key` (<https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>), with or
/// without the quotes of a structured field.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<&str>, GraphqlError> {
    let mut all = headers.get_all("idempotency-key").iter();
    let Some(header) = all.next() else { return Ok(None) };
    if all.next().is_some() {
        return Err(bad("Idempotency-Key is there more than once; send one"));
    }
    let text = header.to_str().map_err(|_| bad("Idempotency-Key must be ASCII text"))?;
    Ok(Some(text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)))
}

/// Whether a subscription can be answered, whatever the client likes better.
fn accepts_subscription(kind: OperationKind, headers: &HeaderMap) -> bool {
    kind == OperationKind::Subscription && accepts_events(headers)
}

pub(super) fn write(media: MediaType, response: &Response) -> HttpResponse {
    match media {
        MediaType::JsonLines => return lines::refused(media.refused(), &response.errors),
        MediaType::EventStream => return events::refused(response.errors.clone()),
        MediaType::Json | MediaType::GraphqlResponse => {}
    }
    let status = match limited(&response.errors) {
        _ if response.data.is_some() => StatusCode::OK,
        Some(_) => StatusCode::TOO_MANY_REQUESTS,
        None => media.refused(),
    };
    let headers = [(header::CONTENT_TYPE, media.header()), (header::CACHE_CONTROL, caching::NEVER)];
    let mut written = (status, headers, response.to_json()).into_response();
    tell_when(&mut written, &response.errors);
    written
}

/// After how many milliseconds what was refused for being asked too often may be asked again.
pub(super) fn limited(errors: &[GraphqlError]) -> Option<u64> {
    let limited = errors.iter().find(|error| error.extensions.code == ErrorCode::RateLimited)?;
    Some(limited.extensions.retry_after_ms.unwrap_or_default())
}

/// The status of what was refused for being asked too often, or too much at once.
pub(super) fn status_of(refused: &GraphqlError) -> StatusCode {
    match refused.extensions.code {
        ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// Says in the header of a response of status 429 when to come back: whole seconds, and never none.
pub(super) fn tell_when(response: &mut HttpResponse, errors: &[GraphqlError]) {
    if response.status() == StatusCode::TOO_MANY_REQUESTS
        && let Some(milliseconds) = limited(errors)
    {
        response.headers_mut().insert(header::RETRY_AFTER, milliseconds.div_ceil(1_000).max(1).into());
    }
}

/// Who calls, and by what that is known.
pub struct Shown<'a> {
    /// Who calls.
    pub caller: Caller,
    /// What was shown.
    pub credentials: &'a Credentials,
}

impl From<&Unauthenticated> for Refusal {
    fn from(error: &Unauthenticated) -> Self {
        let error = GraphqlError::from(error);
        match error.extensions.code {
            ErrorCode::Unavailable => Self::unavailable(error),
            ErrorCode::RateLimited => Self { status: StatusCode::TOO_MANY_REQUESTS, error },
            ErrorCode::NotFound => Self { status: StatusCode::NOT_FOUND, error },
            _ => Self { status: StatusCode::UNAUTHORIZED, error },
        }
    }
}

impl Refusal {
    /// An error with its status.
    pub(crate) fn new(status: StatusCode, error: GraphqlError) -> Self {
        Self { status, error }
    }

    /// It may be tried again.
    pub(super) fn unavailable(error: GraphqlError) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, error }
    }

    /// What a browser may have been made to send.
    fn foreign(foreign: Foreign) -> Self {
        let error = GraphqlError::new(ErrorCode::Forbidden, foreign.to_string());
        Self { status: StatusCode::FORBIDDEN, error }
    }

    pub(super) fn no_room(no_room: NoRoom) -> Self {
        Self::unavailable(GraphqlError::new(ErrorCode::Unavailable, no_room.to_string()))
    }

    /// There is no release to answer with.
    pub(crate) fn of_route(gateway: &Gateway, unrouted: &Unrouted) -> Self {
        match unrouted {
            Unrouted::Nothing => Self::no_release(gateway),
            unrouted if unrouted.is_clients() => Self { status: StatusCode::BAD_REQUEST, error: unrouted.into() },
            unrouted => Self::unavailable(unrouted.into()),
        }
    }

    fn no_release(gateway: &Gateway) -> Self {
        Self::unavailable(GraphqlError::new(ErrorCode::Unavailable, gateway.nothing_served()))
    }

    /// For who does not speak GraphQL.
    pub(super) fn into_text(self) -> HttpResponse {
        let mut response = (self.status, format!("{}\n", self.error.message)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }

    pub(crate) fn into_response(self, media: MediaType) -> HttpResponse {
        let challenge = (self.status == StatusCode::UNAUTHORIZED).then(|| challenge(&self.error.message));
        let errors = [self.error];
        let mut response = match media {
            MediaType::JsonLines => lines::refused(self.status, &errors),
            // What is no request, or cannot be run now, has no events: clients look at the status first.
            MediaType::EventStream => {
                let [error] = errors;
                return Self { status: self.status, error }.into_response(MediaType::Json);
            }
            MediaType::Json | MediaType::GraphqlResponse => {
                let body = Response::refused(errors.to_vec()).to_json();
                let headers = [(header::CONTENT_TYPE, media.header()), (header::CACHE_CONTROL, caching::NEVER)];
                (self.status, headers, body).into_response()
            }
        };
        if let Some(challenge) = challenge {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        match self.status {
            StatusCode::TOO_MANY_REQUESTS => tell_when(&mut response, &errors),
            StatusCode::SERVICE_UNAVAILABLE => {
                response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
            }
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                response.headers_mut().insert(header::ACCEPT_ENCODING, CODINGS_READ);
            }
            _ => {}
        }
        response
    }
}

/// How one is to say who one is, and what was wrong with that (RFC 6750, 3).
fn challenge(why: &str) -> HeaderValue {
    // What may stand between quotes.
    let why: String = why.chars().filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\')).collect();
    let text = format!("Bearer realm=\"weir\", error=\"invalid_token\", error_description=\"{why}\"");
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("Bearer realm=\"weir\""))
}

fn not_acceptable() -> HttpResponse {
    let error = bad(
        "responses are application/graphql-response+json, application/json, application/jsonl or text/event-stream",
    );
    Refusal { status: StatusCode::NOT_ACCEPTABLE, error }.into_response(MediaType::Json)
}

async fn read(headers: &HeaderMap, body: Body, options: &ServerOptions, held: &mut Held) -> Result<Request, Refusal> {
    let bytes_max = options.body_bytes;
    if !is_json(headers) {
        let error = bad("send the request as application/json in UTF-8, or many calls as application/jsonl");
        return Err(Refusal { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, error });
    }
    let too_large = || {
        let error = GraphqlError::limit("body_bytes", format!("the body has more than {bytes_max} bytes"));
        Refusal { status: StatusCode::PAYLOAD_TOO_LARGE, error }
    };
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|announced: usize| announced > bytes_max) {
        return Err(too_large());
    }
    let body = whole(body, bytes_max, options.body_timeout, held).await.map_err(|error| match error {
        Unread::TooLarge => too_large(),
        Unread::Broken => Refusal { status: StatusCode::BAD_REQUEST, error: bad(error.to_string()) },
        Unread::Late(_) => Refusal { status: StatusCode::REQUEST_TIMEOUT, error: bad(error.to_string()) },
        Unread::NoRoom(no_room) => Refusal::no_room(no_room),
    })?;
    let Some(coding) = compression::coding(headers) else {
        let error = bad("send the body as it is, or with Content-Encoding: gzip");
        return Err(Refusal { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, error });
    };
    let body = compression::decode(coding, body, bytes_max).await.map_err(|error| match error {
        Undecoded::TooLarge => too_large(),
        Undecoded::Malformed => Refusal { status: StatusCode::BAD_REQUEST, error: bad(error.to_string()) },
    })?;
    if coding != Coding::Identity {
        held.grow(body.len()).map_err(Refusal::no_room)?;
    }
    held.grow_for_parsed(&body).map_err(Refusal::no_room)?;
    of_body(&body).map_err(|error| Refusal { status: StatusCode::BAD_REQUEST, error })
}

/// Takes the parameters of a POST: a JSON object.
pub fn of_body(body: &[u8]) -> Result<Request, GraphqlError> {
    let malformed = |error: serde_json::Error| bad(format!("the body is not JSON: {error}"));
    serde_json::from_slice(body).map_err(malformed).and_then(Request::parse)
}

/// Takes the parameters of a GET: `variables` and `extensions` are JSON text.
pub fn of_uri(uri: &Uri) -> Result<Request, GraphqlError> {
    let Query(given) = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|error| bad(error.body_text()))?;
    let mut parameters = Map::new();
    for (name, text) in given {
        let value = match name.as_str() {
            "variables" | "extensions" if text.is_empty() => Value::Null,
            "variables" | "extensions" => {
                serde_json::from_str(&text).map_err(|error| bad(format!("{name} is not JSON: {error}")))?
            }
            "operationName" if text.is_empty() => Value::Null,
            _ => Value::String(text),
        };
        parameters.insert(name, value);
    }
    Request::parse(Value::Object(parameters))
}

pub(super) fn bad(message: impl Into<String>) -> GraphqlError {
    GraphqlError::new(ErrorCode::BadRequest, message)
}
