//! Which path goes where.

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method, header, request};
use axum::response::Redirect;
use axum::routing::get;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::gateway::Gateway;
use super::{endpoints, graphql, origin, pages};

/// All routes.
pub fn router(gateway: Arc<Gateway>) -> Router {
    let api = Router::new()
        .route("/graphql", get(graphql::get).post(graphql::post))
        .route("/schema.graphql", get(pages::sdl))
        .layer(cors());
    Router::new()
        .merge(api)
        .route("/healthz", get(pages::healthz))
        .route("/readyz", get(pages::readyz))
        .route("/", get(|| async { Redirect::temporary("/graphiql") }))
        .route("/graphiql", get(pages::graphiql))
        .route("/graphiql/{file}", get(pages::graphiql_file))
        .fallback(endpoints::answer)
        .with_state(gateway)
}

/// Lets pages of the same machine call the API from a browser.
fn cors() -> CorsLayer {
    let allowed = |origin: &HeaderValue, _: &request::Parts| origin::is_loopback(origin);
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(allowed))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::CONTENT_TYPE, header::AUTHORIZATION, HeaderName::from_static("idempotency-key")])
}
