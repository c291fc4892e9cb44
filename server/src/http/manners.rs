//! What every request and every response has, whatever it is about: a number, and a body no larger than need be.
//!
//! It stands around the routes and not among them: there each of its parts would be boxed once more for each request.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::{HeaderValue, Request, header};
use axum::response::Response;

use super::compression::compress;
use crate::request_id::{HEADER, RequestId};

/// What is known of a request before it is answered.
pub struct Manners {
    id: RequestId,
    accepted: Option<HeaderValue>,
}

impl Manners {
    /// Those of a request.
    pub fn of(request: &Request<Body>) -> Self {
        let headers = request.headers();
        Self { id: RequestId::of(headers), accepted: headers.get(header::ACCEPT_ENCODING).cloned() }
    }

    /// The response to it.
    pub async fn keep(self, answering: impl Future<Output = Result<Response, Infallible>>) -> Response {
        let Self { id, accepted } = self;
        let number = id.header();
        let Ok(response) = id.scope(answering).await;
        let mut response = compress(accepted, response).await;
        response.headers_mut().insert(HEADER, number);
        response
    }
}
