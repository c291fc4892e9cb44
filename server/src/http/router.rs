//! Which path goes where.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method, header, request};
use axum::response::Redirect;
use axum::routing::{get, post};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::gateway::Gateway;
use super::origin::Origins;
use super::{endpoints, graphql, pages};
use crate::admin;
use crate::admin::http::Plane;
use crate::graphql::affinity;
use crate::request_id;

/// All routes.
pub fn router(gateway: Arc<Gateway>) -> Router {
    let api = Router::new()
        .route("/graphql", get(graphql::get).post(graphql::post))
        .route("/schema.graphql", get(pages::sdl))
        .layer(cors(gateway.options.origins.clone()));
    let editor = if gateway.options.graphiql { graphiql() } else { Router::new() };
    let control_plane = if gateway.options.control_plane { control_plane(&gateway) } else { Router::new() };
    Router::new()
        .merge(api)
        .merge(editor)
        .merge(control_plane)
        .route("/healthz", get(pages::healthz))
        .route("/readyz", get(pages::readyz))
        .route("/metrics", get(pages::metrics))
        .fallback(endpoints::answer)
        .with_state(gateway)
}

/// The control plane, which no page of another origin may ask.
fn control_plane(gateway: &Arc<Gateway>) -> Router<Arc<Gateway>> {
    let schema = admin::schema(gateway.clone());
    let plane = Plane { gateway: gateway.clone(), schema };
    Router::new().route("/admin/graphql", post(admin::http::post).with_state(plane))
}

/// The query editor, which is also what there is to see at the root.
fn graphiql() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/", get(|| async { Redirect::temporary("/graphiql") }))
        .route("/graphiql", get(pages::graphiql))
        .route("/graphiql/{file}", get(pages::graphiql_file))
}

/// What pages may read of a response besides what they always may. How a request stands with its limits is added where it is
/// told.
pub(super) const EXPOSED: [HeaderName; 4] = [header::ETAG, header::RETRY_AFTER, request_id::HEADER, affinity::RELEASE];

/// How long a browser need not ask again; some ask after two hours all the same.
const ASK_AGAIN: Duration = Duration::from_secs(24 * 60 * 60);

/// Lets the pages that may call the API call it from a browser. There are no cookies, so nothing is sent that the page did
/// not put there itself.
fn cors(origins: Origins) -> CorsLayer {
    let allowed = move |origin: &HeaderValue, _: &request::Parts| origins.contains(origin);
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(allowed))
        .allow_methods([Method::GET, Method::POST])
        // Whatever its client sends: a page that may call at all may call with it.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(EXPOSED)
        .max_age(ASK_AGAIN)
        .vary([header::ORIGIN])
}
