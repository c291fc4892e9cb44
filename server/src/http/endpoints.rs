//! Requests to the HTTP endpoints of the active release: all that the server has no path of its own for.
//!
//! They come from anywhere, webhooks of other services for the most part, and show nothing of who sends them. So their caller
//! is anonymous in `weir dev` too, and what goes wrong is told to the log and not to them.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use weir_engine::call::{CallError, Caller};
use weir_schema::endpoints::{Routed, route};
use weir_schema::error::ErrorCode;
use weir_schema::graphql::WRITE_COST;
use weir_schema::limits::{Limit, RESPONSE_HEADER_BYTES_MAX, RESPONSE_HEADERS_MAX};

use super::body::{Unread, whole};
use super::connection;
use super::gateway::Gateway;
use super::graphql::{Refusal, service_of};
use crate::auth::Credentials;
use crate::graphql::GraphqlError;
use crate::graphql::affinity::Unrouted;
use crate::graphql::execute::{Called, TakeCall};
use crate::graphql::service::{Served, Service};

/// Headers that are the connection's.
const RESERVED: [&str; 9] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// After how long who was not served may ask again, where nothing better is known.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Answers a request by the endpoint for it.
pub async fn answer(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let service = match service_of(&gateway, &parts) {
        Ok(service) => service,
        Err(refusal) => return refusal.into_text(),
    };
    let credentials = Credentials::Tokenless(Caller::Anonymous);
    let served = match service.route(&credentials).await {
        Ok(served) => served,
        Err(Unrouted::Nothing) => return unavailable(format!("{}\n", gateway.nothing_served()), RETRY_AFTER),
        Err(error) => return Refusal::of_route(&gateway, &error).into_text(),
    };
    service.count(&credentials, Ok(()));
    let endpoints = &served.release.declarations().endpoints;
    let method = if parts.method == Method::HEAD { &Method::GET } else { &parts.method };
    let (place, parameters) = match route(endpoints, method.as_str(), parts.uri.path()) {
        Routed::To(place, parameters) => (place, parameters),
        Routed::Nowhere => return (StatusCode::NOT_FOUND, "not found\n").into_response(),
        Routed::Methods(methods) => {
            let mut allowed: Vec<&str> = methods.iter().map(|method| method.as_str()).collect();
            if allowed.contains(&"GET") {
                allowed.push("HEAD");
            }
            allowed.push("OPTIONS");
            let status = match *method {
                Method::OPTIONS => StatusCode::NO_CONTENT,
                _ => StatusCode::METHOD_NOT_ALLOWED,
            };
            return (status, [(header::ALLOW, allowed.join(", "))]).into_response();
        }
    };
    let Ok(Query(query)) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri) else {
        return (StatusCode::BAD_REQUEST, "the parameters cannot be read\n").into_response();
    };
    // The action gets it as one of its arguments: more than they may have is not even read.
    let bytes_max = gateway.options.body_bytes.min(served.release.limits().arguments_bytes);
    let mut held = gateway.bodies.hold(&connection::accepted(&parts.extensions).written);
    let body = match whole(body, bytes_max, gateway.options.body_timeout, &mut held).await {
        Ok(body) => body,
        Err(error) => {
            let status = match error {
                Unread::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                Unread::Broken => StatusCode::BAD_REQUEST,
                Unread::Late(_) => StatusCode::REQUEST_TIMEOUT,
                Unread::NoRoom(_) => return unavailable("there is no memory for the body: try again\n", RETRY_AFTER),
            };
            return (status, format!("{error}\n")).into_response();
        }
    };
    let request = json!({
        "method": parts.method.as_str(),
        "path": parts.uri.path(),
        "params": parameters,
        "query": query,
        "headers": header_list(&parts.headers),
        "body": body_value(&body),
    });
    if let Err(refused) = admit(&service, &served, place) {
        let wait = Duration::from_millis(refused.extensions.retry_after_ms.unwrap_or_default());
        return later(StatusCode::TOO_MANY_REQUESTS, "too many requests\n", wait);
    }
    match service.answer(&served, place, &request).await {
        Ok(value) => response(&value).unwrap_or_else(|error| {
            failure(&CallError::new(ErrorCode::FunctionFailed, format!("its response {error}")))
        }),
        Err(error) => refusal(&error),
    }
}

/// Lets a request to the endpoint at a place in. Policies know it by its name, and nothing of what is sent to it.
fn admit(service: &Service, served: &Served, place: usize) -> Result<(), GraphqlError> {
    let endpoint = served.release.declarations().endpoints.get(place);
    let calls = |take: TakeCall<'_>| endpoint.iter().for_each(|endpoint| take(&endpoint.function.name, &Value::Null));
    service.admit(served, &Caller::Anonymous, &Called { cost: WRITE_COST, functions: &|_| {}, calls: &calls })
}

/// Names and values; what is not ASCII comes as a character for each byte.
fn header_list(headers: &HeaderMap) -> Value {
    let text = |value: &HeaderValue| value.as_bytes().iter().map(|byte| char::from(*byte)).collect::<String>();
    headers.iter().map(|(name, value)| json!([name.as_str(), text(value)])).collect()
}

fn body_value(body: &Bytes) -> Value {
    match std::str::from_utf8(body) {
        Ok(text) => json!({ "text": text }),
        Err(_) => json!({ "base64": STANDARD.encode(body) }),
    }
}

/// Why a response cannot be sent.
#[derive(Debug, thiserror::Error)]
enum BadResponse {
    /// Not what the prelude makes: a worker that was taken over.
    #[error("has no such form")]
    Form,
    /// Too many or too long.
    #[error("has more than {RESPONSE_HEADERS_MAX} headers or {RESPONSE_HEADER_BYTES_MAX} bytes of them")]
    Headers,
    /// Not a header. It is not shown: it may be a secret that was put in the wrong place.
    #[error("has a header that is none: names are letters, digits and hyphens, values are ASCII text of one line")]
    Header,
    /// The server sets it.
    #[error("has the header {0}, which is the connection's: leave it out")]
    Reserved(HeaderName),
}

/// The response that the prelude describes.
fn response(value: &Value) -> Result<Response, BadResponse> {
    let (status, body) = status_and_body(value).ok_or(BadResponse::Form)?;
    let mut response = (status, body).into_response();
    response.headers_mut().remove(header::CONTENT_TYPE);
    for (name, value) in headers(value)? {
        response.headers_mut().append(name, value);
    }
    Ok(response)
}

fn status_and_body(value: &Value) -> Option<(StatusCode, Bytes)> {
    let status = u16::try_from(value.get("status")?.as_u64()?).ok().filter(|status| (200..=599).contains(status))?;
    let body = match value.get("body")? {
        Value::Null => Bytes::new(),
        body => match (body.get("text"), body.get("base64")) {
            (Some(text), _) => Bytes::from(text.as_str()?.to_owned()),
            (None, base64) => STANDARD.decode(base64?.as_str()?).ok()?.into(),
        },
    };
    Some((StatusCode::from_u16(status).ok()?, body))
}

fn headers(value: &Value) -> Result<Vec<(HeaderName, HeaderValue)>, BadResponse> {
    let pairs = value.get("headers").and_then(Value::as_array).ok_or(BadResponse::Form)?;
    let text = |pair: &Value, place: usize| Some(pair.get(place)?.as_str()?.to_owned());
    let pairs = pairs.iter().map(|pair| Some((text(pair, 0)?, text(pair, 1)?)));
    let pairs: Vec<(String, String)> = pairs.collect::<Option<_>>().ok_or(BadResponse::Form)?;
    let bytes: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
    // A map of headers that grows past its own limit panics.
    if pairs.len() > RESPONSE_HEADERS_MAX || bytes > RESPONSE_HEADER_BYTES_MAX {
        return Err(BadResponse::Headers);
    }
    let header = |(name, value): (String, String)| {
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| BadResponse::Header)?;
        if RESERVED.contains(&key.as_str()) {
            return Err(BadResponse::Reserved(key));
        }
        let value = if value.is_ascii() { HeaderValue::from_str(&value).ok() } else { None };
        Ok((key, value.ok_or(BadResponse::Header)?))
    };
    pairs.into_iter().map(header).collect()
}

/// What the sender of a request learns of an error: whose fault it is, and no more.
fn refusal(error: &CallError) -> Response {
    match (error.code, error.limit) {
        (ErrorCode::LimitExceeded, Some(Limit::Arguments)) => {
            (StatusCode::PAYLOAD_TOO_LARGE, "the request is too large\n").into_response()
        }
        (ErrorCode::LimitExceeded, limit) => {
            log(error);
            let is_time = matches!(limit, Some(Limit::Wall | Limit::Cpu));
            let status = if is_time { StatusCode::GATEWAY_TIMEOUT } else { StatusCode::SERVICE_UNAVAILABLE };
            (status, "past a limit\n").into_response()
        }
        // The policy of the app says so, and of which one nobody outside is told.
        (ErrorCode::Forbidden, _) => (StatusCode::FORBIDDEN, "forbidden\n").into_response(),
        (ErrorCode::Unavailable | ErrorCode::RateLimited, _) => {
            unavailable("try again in a moment\n", error.retry_after.unwrap_or(RETRY_AFTER))
        }
        _ => failure(error),
    }
}

fn failure(error: &CallError) -> Response {
    log(error);
    (StatusCode::INTERNAL_SERVER_ERROR, "the endpoint failed\n").into_response()
}

fn unavailable(text: impl Into<Cow<'static, str>>, retry_after: Duration) -> Response {
    later(StatusCode::SERVICE_UNAVAILABLE, text, retry_after)
}

fn later(status: StatusCode, text: impl Into<Cow<'static, str>>, retry_after: Duration) -> Response {
    // Whole seconds, and never none.
    let seconds = retry_after.as_millis().div_ceil(1_000).max(1).to_string();
    (status, [(header::RETRY_AFTER, seconds)], text.into()).into_response()
}

/// The author finds the message and the place in the server's log.
fn log(error: &CallError) {
    let place = error.stack.first().map(|frame| format!(" at {}:{}:{}", frame.file, frame.line, frame.column));
    let message: String = error.message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    tracing::warn!("an endpoint failed: {}: {message}{}", error.code, place.unwrap_or_default());
}
