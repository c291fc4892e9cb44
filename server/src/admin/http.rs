//! `POST /admin/graphql`, for who shows the token of an administrator.
//!
//! Rule: nothing of a request is read before it is known whose it is.

use std::sync::Arc;

use async_graphql::Request as GraphqlRequest;
use axum::body::Body;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use weir_engine::Engine;
use weir_engine::control::administrators::{self, Administrator};
use weir_engine::control::refusals::{Kind, Refused};
use weir_schema::bundle::BUNDLE_BYTES_MAX;
use weir_schema::error::ErrorCode;

use super::{AdminSchema, Peer};
use crate::http::body::{Unread, whole};
use crate::http::gateway::Gateway;
use crate::http::negotiate::is_json;
use crate::http::{caching, connection, too_many};
use crate::rate::Limited;

/// What is said to who shows no token of an administrator.
pub const UNAUTHENTICATED: &str = "this is for administrators: send Authorization: Bearer and the token of one";

/// The largest request: a bundle as base64, and something around it.
const BODY_BYTES_MAX: usize = BUNDLE_BYTES_MAX / 3 * 4 + (64 << 10);

/// What the route knows.
#[derive(Clone)]
pub struct Plane {
    /// Limits, times, and the pages that may ask.
    pub gateway: Arc<Gateway>,
    /// What is asked.
    pub schema: AdminSchema,
}

/// Answers an administrator.
pub async fn post(State(plane): State<Plane>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let options = &plane.gateway.options;
    let address = connection::accepted(&parts.extensions).address;
    if let Err(foreign) = options.origins.may_ask(&parts) {
        return refusal(StatusCode::FORBIDDEN, ErrorCode::Forbidden, &foreign.to_string());
    }
    let administrator = match administrator(&plane.gateway, &parts) {
        Ok(administrator) => administrator,
        Err(NotAdministrator::TooMany(limited)) => {
            return too_many::response(&options.origins, limited, &parts.headers);
        }
        Err(NotAdministrator::Nobody) => {
            let mut response = refusal(StatusCode::UNAUTHORIZED, ErrorCode::Unauthenticated, UNAUTHENTICATED);
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return response;
        }
        Err(NotAdministrator::Unknown(unavailable)) => {
            return refusal(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable, &unavailable);
        }
    };
    let bad = |status, message: &str| refusal(status, ErrorCode::BadRequest, message);
    if !is_json(&parts.headers) {
        return bad(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send the request as application/json in UTF-8");
    }
    let mut held = plane.gateway.bodies.hold(&connection::accepted(&parts.extensions).written);
    let body = match whole(body, BODY_BYTES_MAX, options.body_timeout, &mut held).await {
        Ok(body) => body,
        Err(error @ Unread::TooLarge) => return bad(StatusCode::PAYLOAD_TOO_LARGE, &error.to_string()),
        Err(error @ Unread::Broken) => return bad(StatusCode::BAD_REQUEST, &error.to_string()),
        Err(error @ Unread::Late(_)) => return bad(StatusCode::REQUEST_TIMEOUT, &error.to_string()),
        Err(error @ Unread::NoRoom(_)) => {
            return refusal(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable, &error.to_string());
        }
    };
    let request: GraphqlRequest = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => return bad(StatusCode::BAD_REQUEST, &format!("the body is no GraphQL request: {error}")),
    };
    drop(body);
    let response = plane.schema.execute(request.data(administrator).data(Peer(address))).await;
    answer(StatusCode::OK, serde_json::to_vec(&response).unwrap_or_default())
}

/// Why a request is none of an administrator.
pub enum NotAdministrator {
    /// So many tokens of its address were none that this one is not looked up.
    TooMany(Limited),
    /// It shows none, or that of nobody.
    Nobody,
    /// It cannot be looked up now.
    Unknown(String),
}

/// Which administrator sends a request. Past its limit an address has no token looked up: administrators are few, and none of
/// them guesses.
pub fn administrator(gateway: &Gateway, parts: &Parts) -> Result<Administrator, NotAdministrator> {
    let address = connection::accepted(&parts.extensions).address;
    let login = gateway.rates.login(address, || false).map_err(NotAdministrator::TooMany)?;
    match looked_up(gateway, &parts.headers) {
        Ok(Some(administrator)) => Ok(administrator),
        Ok(None) => {
            login.is_guess();
            let (actor, outcome) = ("anonymous".to_owned(), "no token of an administrator".to_owned());
            let from = Some(address.to_string());
            let (kind, person, target) = (Kind::Control, None, String::new());
            let refused = Refused { kind, actor, person, action: "adminLogin", target, from, outcome };
            gateway.service.engine().refused(refused);
            Err(NotAdministrator::Nobody)
        }
        Err(unavailable) => Err(NotAdministrator::Unknown(unavailable)),
    }
}

fn looked_up(gateway: &Gateway, headers: &HeaderMap) -> Result<Option<Administrator>, String> {
    let mut shown = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(header), None) = (shown.next(), shown.next()) else { return Ok(None) };
    let Some((scheme, token)) = header.to_str().ok().and_then(|text| text.split_once(' ')) else { return Ok(None) };
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Ok(None);
    }
    let of = |engine: &Engine| administrators::authenticate(engine.store(), token.trim());
    let found = match (of(gateway.service.engine()), gateway.auth.app()) {
        // Who administers an app administers its environments.
        (Ok(None), Some(app)) => of(app).map(|found| found.map(Administrator::of_app)),
        (found, _) => found,
    };
    found.map_err(|error| error.to_string())
}

fn refusal(status: StatusCode, code: ErrorCode, message: &str) -> Response {
    let body = json!({ "errors": [{ "message": message, "extensions": { "code": code.as_str() } }] });
    answer(status, body.to_string().into_bytes())
}

fn answer(status: StatusCode, body: Vec<u8>) -> Response {
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    (status, [(header::CONTENT_TYPE, json), (header::CACHE_CONTROL, caching::NEVER)], body).into_response()
}
