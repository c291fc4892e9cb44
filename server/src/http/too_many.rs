//! The answer to who asks too often, before it is known what for.
//!
//! It stands before the routes and their rules for browsers, as other refusals do, so it says itself that a page may read it which
//! may call.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;

use super::graphql::Refusal;
use super::negotiate::MediaType;
use super::origin::Origins;
use super::router::EXPOSED;
use crate::rate::Limited;

/// 429, with when to come back.
pub fn response(origins: &Origins, limited: Limited, headers: &HeaderMap) -> Response {
    let refusal = Refusal { status: StatusCode::TOO_MANY_REQUESTS, error: limited.into() };
    readable(origins, headers, refusal.into_response(MediaType::Json))
}

/// Lets a page read an answer that may call.
pub fn readable(origins: &Origins, headers: &HeaderMap, mut response: Response) -> Response {
    if let Some(origin) = headers.get(header::ORIGIN).filter(|origin| origins.contains(origin)) {
        let answer = response.headers_mut();
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        answer.insert(header::VARY, HeaderValue::from_static("origin"));
        for exposed in EXPOSED {
            answer.append(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed.into());
        }
    }
    response
}
