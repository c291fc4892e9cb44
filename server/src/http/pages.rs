//! GraphiQL, the SDL, health.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use weir_schema::codec::control::Permission;

use super::caching::{self, Tagged};
use super::gateway::Gateway;
use super::too_many;
use crate::admin;
use crate::admin::http::NotAdministrator;
use crate::metrics::CONTENT_TYPE;

/// What a browser is told about files that never change under their name.
const FOREVER: &str = "public, max-age=31536000, immutable";

/// `GET /healthz`: the process is there.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: a release is served, and the store takes commits.
pub async fn readyz(State(gateway): State<Arc<Gateway>>) -> Response {
    if let Err(stopped) = gateway.service.is_ready() {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("{stopped}\n")).into_response();
    }
    match gateway.service.current() {
        Some(_) => "ready\n".into_response(),
        None => no_release(&gateway),
    }
}

/// `GET /metrics`: what is counted, for Prometheus. Where there is a control plane it is for administrators.
pub async fn metrics(State(gateway): State<Arc<Gateway>>, parts: Parts) -> Response {
    if let Err(foreign) = gateway.options.origins.may_ask(&parts) {
        return (StatusCode::FORBIDDEN, format!("{foreign}\n")).into_response();
    }
    if gateway.options.control_plane {
        match admin::http::administrator(&gateway, &parts) {
            Ok(administrator) if administrator.may(Permission::Read) => {}
            Err(NotAdministrator::TooMany(limited)) => {
                return too_many::response(&gateway.options.origins, limited, &parts.headers);
            }
            Ok(_) | Err(NotAdministrator::Nobody) => {
                let needs = "this is for administrators with the permission read: send Authorization: Bearer and the token of one\n";
                return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], needs).into_response();
            }
            Err(NotAdministrator::Unknown(unavailable)) => {
                return (StatusCode::SERVICE_UNAVAILABLE, format!("{unavailable}\n")).into_response();
            }
        }
    }
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], gateway.metrics()).into_response()
}

/// `GET /schema.graphql`: the schema of the active release.
pub async fn sdl(State(gateway): State<Arc<Gateway>>, parts: Parts) -> Response {
    if let Err(foreign) = gateway.options.origins.may_ask(&parts) {
        return (StatusCode::FORBIDDEN, format!("{foreign}\n")).into_response();
    }
    match gateway.service.current() {
        Some(served) if !served.schema.settings.introspection => {
            (StatusCode::NOT_FOUND, "the app does not tell its schema: introspection is off in its app.toml\n")
                .into_response()
        }
        Some(served) => {
            let media = HeaderValue::from_static("application/graphql; charset=utf-8");
            caching::answer(&parts.headers, media, served.schema.sdl.clone().into_bytes())
        }
        None => no_release(&gateway),
    }
}

fn no_release(gateway: &Gateway) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", gateway.nothing_served())).into_response()
}

/// A file of GraphiQL, as `assets/graphiql/README.md` tells.
struct Asset {
    name: &'static str,
    content_type: &'static str,
    /// Whether its name changes with its content.
    versioned: bool,
    bytes: &'static [u8],
}

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

const ASSETS: [Asset; 5] = [
    Asset {
        name: "graphiql-3.9.0.min.js",
        content_type: JAVASCRIPT,
        versioned: true,
        bytes: include_bytes!("../../assets/graphiql/graphiql-3.9.0.min.js"),
    },
    Asset {
        name: "graphiql-3.9.0.min.css",
        content_type: "text/css; charset=utf-8",
        versioned: true,
        bytes: include_bytes!("../../assets/graphiql/graphiql-3.9.0.min.css"),
    },
    Asset {
        name: "react-18.3.1.min.js",
        content_type: JAVASCRIPT,
        versioned: true,
        bytes: include_bytes!("../../assets/graphiql/react-18.3.1.min.js"),
    },
    Asset {
        name: "react-dom-18.3.1.min.js",
        content_type: JAVASCRIPT,
        versioned: true,
        bytes: include_bytes!("../../assets/graphiql/react-dom-18.3.1.min.js"),
    },
    Asset {
        name: "app.js",
        content_type: JAVASCRIPT,
        versioned: false,
        bytes: include_bytes!("../../assets/graphiql/app.js"),
    },
];

/// What the query editor consists of and whom it asks is this server, and nobody lays something over it that is clicked in
/// its place. Its libraries write styles into the page as they run, and have fonts in their style sheet.
const GRAPHIQL_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src data:; \
    img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `GET /graphiql`: the query editor, with the name of the app.
pub async fn graphiql(State(gateway): State<Arc<Gateway>>) -> Response {
    let served = gateway.service.current();
    // Names and versions consist of letters, digits and punctuation that HTML takes as it is.
    let app = served.map_or_else(|| "Weir".to_owned(), |served| served.release.name());
    let page = include_str!("../../assets/graphiql/index.html").replace("{app}", &app);
    let headers = [
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, GRAPHIQL_POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, Html(page)).into_response()
}

/// `GET /graphiql/{file}`: what the query editor consists of.
pub async fn graphiql_file(Path(file): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == file) else {
        return (StatusCode::NOT_FOUND, "no such file\n").into_response();
    };
    // The bytes are part of the binary: their entity tag is their hash, the same in every process of it.
    let mut hasher = DefaultHasher::new();
    asset.bytes.hash(&mut hasher);
    let etag = format!("\"{:016x}\"", hasher.finish());
    let caching = if asset.versioned { FOREVER } else { "no-cache" };
    let caching = HeaderValue::from_static(caching);
    if let Some(known) = caching::known(&headers, &etag) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, known), (header::CACHE_CONTROL, caching)]).into_response();
    }
    let content = [(header::CONTENT_TYPE, asset.content_type), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    let mut response =
        ([(header::CACHE_CONTROL, caching)], [(header::ETAG, etag)], content, asset.bytes).into_response();
    response.extensions_mut().insert(Tagged);
    response
}
