//! What clients send before anything is known of them, at random: messages of a WebSocket, bodies, addresses, headers.
//!
//! Each target is a plain function of bytes, which a fuzzer can call as it stands. Here each gets its corpus
//! (`tests/fuzz/corpus/TARGET/`), a file per case that is worth keeping, and then so many mutations of it, the same each
//! time. A target fails by a panic.

use std::path::Path;

use axum::http::{HeaderMap, HeaderValue, Uri, header};
use serde_json::{Value, json};
use weir::graphql::{GraphqlError, Request};
use weir::http::negotiate::{MediaType, accepted, accepts_events, accepts_json_lines, is_json, is_json_lines};
use weir::http::{events, graphql};
use weir::websocket::message::{self, ClientMessage};
use weir_schema::error::ErrorCode;

#[path = "../../../sandbox/tests/fuzz/throw.rs"]
mod throw;

/// What a close frame can carry.
const REASON_BYTES_MAX: usize = 123;

/// Text as a message of a WebSocket: one of the protocol's, or a reason to close that fits its frame.
fn messages(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match message::parse(text) {
        Err(close) => {
            assert_eq!(close.code, 4400);
            assert!(close.reason.len() <= REASON_BYTES_MAX && !close.reason.is_empty());
        }
        Ok(ClientMessage::Ping(payload)) => {
            assert!(payload.as_ref().is_none_or(Value::is_object));
            let pong: Value = serde_json::from_str(message::pong(payload.as_ref()).as_str()).unwrap();
            assert_eq!(pong.get("payload"), payload.as_ref());
        }
        Ok(ClientMessage::Subscribe { id, request }) => {
            assert!(!id.is_empty());
            let given: Value = serde_json::from_str(text).unwrap();
            by_get(&given["payload"], &request);
            let refused = [GraphqlError::new(ErrorCode::BadRequest, text)];
            let error: Value = serde_json::from_str(message::error(&id, &refused).as_str()).unwrap();
            assert_eq!((error["id"].as_str(), &error["type"]), (Some(id.as_str()), &json!("error")));
        }
        Ok(ClientMessage::Complete { id }) => assert!(!id.is_empty()),
        Ok(ClientMessage::ConnectionInit(init)) => {
            let given: Value = serde_json::from_str(text).unwrap();
            let payload = given["payload"].as_object();
            assert_eq!(
                init.token.is_some(),
                payload.is_some_and(|payload| {
                    ["Authorization", "authorization", "token"].iter().any(|name| payload.contains_key(*name))
                })
            );
        }
        Ok(ClientMessage::Token(token)) => {
            assert_eq!(serde_json::from_str::<Value>(text).unwrap()["payload"]["token"], token.0)
        }
        Ok(ClientMessage::Pong) => {}
    }
}

/// Bytes as a body: a request, or refused.
fn bodies(bytes: &[u8]) {
    match graphql::of_body(bytes) {
        Ok(request) => by_get(&serde_json::from_slice(bytes).unwrap(), &request),
        Err(error) => assert_eq!(error.extensions.code, ErrorCode::BadRequest),
    }
}

/// Bytes as what stands after the path of a GET: a request, or refused.
fn addresses(bytes: &[u8]) {
    let Ok(uri) = Uri::try_from([b"/graphql?", bytes].concat()) else { return };
    match graphql::of_uri(&uri) {
        Ok(request) => drop(request.idempotency_key(None)),
        Err(error) => assert_eq!(error.extensions.code, ErrorCode::BadRequest),
    }
}

/// Bytes as the value of every header that is looked at.
fn headers(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
    let mut headers = HeaderMap::new();
    for name in ["accept", "content-type", "idempotency-key", "last-event-id", "authorization"] {
        headers.insert(name, value.clone());
    }
    let best = accepted(&headers);
    let takes_none = best.is_none();
    assert!(!(takes_none && (accepts_events(&headers) || accepts_json_lines(&headers))), "{value:?}");
    assert!(best != Some(MediaType::JsonLines) || accepts_json_lines(&headers), "{value:?}");
    assert!(!(is_json(&headers) && is_json_lines(&headers)), "{value:?}");
    // What is said in two headers is said in one.
    let mut twice = headers.clone();
    twice.append(header::ACCEPT, value.clone());
    assert_eq!(accepted(&twice), best, "{value:?}");
    let request = Request::parse(json!({ "query": "" })).unwrap();
    if let Ok(request) = events::with_headers(request, &headers) {
        assert_eq!(request.weir["after"].as_str().unwrap().as_bytes(), bytes);
        assert!(request.idempotency_key(None).unwrap().is_some());
    }
}

/// What is a request by POST is the same by GET.
fn by_get(given: &Value, request: &Request) {
    let escaped = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let mut pairs = Vec::new();
    for (name, member) in given.as_object().unwrap() {
        let text = match (name.as_str(), member) {
            (_, Value::Null) => continue,
            ("variables" | "extensions", member) => member.to_string(),
            // A parameter without a value is one that is left out.
            ("operationName", Value::String(text)) if text.is_empty() => return,
            (_, Value::String(text)) => text.clone(),
            // Whatever it is, it is not looked at.
            _ => continue,
        };
        pairs.push(format!("{}={}", escaped(name), escaped(&text)));
    }
    // Longer ones are no addresses.
    if let Ok(uri) = Uri::try_from(format!("/graphql?{}", pairs.join("&"))) {
        assert_eq!(&graphql::of_uri(&uri).unwrap(), request);
    }
    let _ = request.idempotency_key(None);
}

fn fuzz(name: &str, target: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    throw::throw(&corpus, Vec::new(), target);
}

#[test]
fn any_text_is_a_message_or_a_reason_to_close() {
    fuzz("messages", messages);
}

#[test]
fn any_body_is_a_request_or_refused() {
    fuzz("bodies", bodies);
}

#[test]
fn any_address_is_a_request_or_refused() {
    fuzz("addresses", addresses);
}

#[test]
fn any_headers_are_understood_or_not() {
    fuzz("headers", headers);
}
