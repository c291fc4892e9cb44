//! What every request and every response has, whatever it is about: a body no larger than need be.
//!
//! It stands around the routes and not among them: there each of its parts would be boxed once more for each request.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::{HeaderValue, Request, header};
use axum::response::Response;

use super::compression::compress;

/// What is known of a request before it is answered.
pub struct Manners {
    accepted: Option<HeaderValue>,
}

impl Manners {
    /// Those of a request.
    pub fn of(request: &Request<Body>) -> Self {
        Self { accepted: request.headers().get(header::ACCEPT_ENCODING).cloned() }
    }

    /// The response to it.
    pub async fn keep(self, answering: impl Future<Output = Result<Response, Infallible>>) -> Response {
        let Ok(response) = answering.await;
        compress(self.accepted, response).await
    }
}
