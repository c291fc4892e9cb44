//! What every request and every response has, whatever it is about: a number, how it stands with
//! its limits, and a body no larger than need be.
//!
//! It stands around the routes and not among them: there each of its parts would be boxed once more for each request.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::body::Body;
use axum::http::{HeaderValue, Request, header};
use axum::response::Response;

use super::compression::compress;
use crate::rate::standing::{Standing, watched};
use crate::request_id::{HEADER, RequestId};

/// What is known of a request before it is answered.
pub struct Manners {
    id: RequestId,
    accepted: Option<HeaderValue>,
    client: IpAddr,
}

impl Manners {
    /// Those of a request of a client.
    pub fn of(request: &Request<Body>, client: IpAddr) -> Self {
        let headers = request.headers();
        Self { id: RequestId::of(headers), accepted: headers.get(header::ACCEPT_ENCODING).cloned(), client }
    }

    /// The response to it, which tells how the request stands with its limits: at first as is said here.
    pub async fn keep(
        self,
        standing: Option<Standing>,
        answering: impl Future<Output = Result<Response, Infallible>>,
    ) -> Response {
        let Self { id, accepted, client } = self;
        let number = id.header();
        let (Ok(response), standing) = watched(standing, id.scope(client, answering)).await;
        let mut response = compress(accepted, response).await;
        response.headers_mut().insert(HEADER, number);
        if let Some(standing) = standing {
            standing.tell(response.headers_mut());
        }
        response
    }
}
