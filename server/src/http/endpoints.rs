//! Requests to the HTTP endpoints of the active release: all that the server has no path of its own for.
//!
//! They come from anywhere, webhooks of other services for the most part, and show nothing of who sends them. So their caller
//! is anonymous in `weir dev` too, and what goes wrong is told to the log and not to them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use weir_engine::call::CallError;
use weir_schema::endpoints::{Routed, route};
use weir_schema::error::ErrorCode;
use weir_schema::limits::Limit;

use super::body::{Unread, whole};
use super::connection;
use super::gateway::Gateway;

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

/// The most that a response may have.
const HEADERS_MAX: usize = 100;

/// After how long who was not served may ask again, where nothing better is known.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Answers a request by the endpoint for it.
pub async fn answer(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let Some(served) = gateway.service.current() else {
        return unavailable("no release is active yet\n", RETRY_AFTER);
    };
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
    let body = match whole(body, bytes_max, gateway.options.body_timeout).await {
        Ok(body) => body,
        Err(error) => {
            let status = match error {
                Unread::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                Unread::Late(_) => StatusCode::REQUEST_TIMEOUT,
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
    match gateway.service.on(connection::of(&parts.extensions)).answer(&served, place, &request).await {
        Ok(value) => response(&value).unwrap_or_else(|| {
            let message = "its response has a status outside of 200 to 599, more than 100 headers, a header that is none, or one \
                           that is the connection's";
            failure(&CallError::new(ErrorCode::FunctionFailed, message))
        }),
        Err(error) => refusal(&error),
    }
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

/// The response that the prelude describes; `None` where it is none that can be sent.
fn response(value: &Value) -> Option<Response> {
    let status = u16::try_from(value.get("status")?.as_u64()?).ok().filter(|status| (200..600).contains(status))?;
    let status = StatusCode::from_u16(status).ok()?;
    let body = match value.get("body")? {
        Value::Null => Bytes::new(),
        body => match (body.get("text"), body.get("base64")) {
            (Some(text), _) => Bytes::from(text.as_str()?.to_owned()),
            (None, base64) => STANDARD.decode(base64?.as_str()?).ok()?.into(),
        },
    };
    let mut response = (status, body).into_response();
    response.headers_mut().remove(header::CONTENT_TYPE);
    let headers = value.get("headers")?.as_array().filter(|headers| headers.len() <= HEADERS_MAX)?;
    for pair in headers {
        let name = HeaderName::from_bytes(pair.get(0)?.as_str()?.as_bytes()).ok()?;
        if RESERVED.contains(&name.as_str()) {
            return None;
        }
        let value = pair.get(1)?.as_str().filter(|value| value.is_ascii())?;
        response.headers_mut().append(name, HeaderValue::from_str(value).ok()?);
    }
    Some(response)
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

fn unavailable(text: &'static str, retry_after: Duration) -> Response {
    // Whole seconds, and never none.
    let seconds = retry_after.as_millis().div_ceil(1_000).max(1).to_string();
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, seconds)], text).into_response()
}

/// The author finds the message and the place in the server's log.
fn log(error: &CallError) {
    let place = error.stack.first().map(|frame| format!(" at {}:{}:{}", frame.file, frame.line, frame.column));
    let message: String = error.message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    tracing::warn!("an endpoint failed: {}: {message}{}", error.code, place.unwrap_or_default());
}
