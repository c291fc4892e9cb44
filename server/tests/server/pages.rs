//! GraphiQL, the SDL, health.

use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use sha2::{Digest, Sha256};

use crate::app::App;

async fn get(app: &App, path: &str) -> (u16, String, Vec<u8>) {
    let response = app.send(Request::get(path).body(Body::empty()).unwrap()).await;
    let content = response.headers().get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    (status, content.unwrap_or_default(), to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_graphiql_names_is_served() {
    let app = App::start().await;
    let (status, content, page) = get(&app, "/graphiql").await;
    assert_eq!((status, content.as_str()), (200, "text/html; charset=utf-8"));
    let page = String::from_utf8(page).unwrap();
    let response = app.send(Request::get("/graphiql").body(Body::empty()).unwrap()).await;
    let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; ") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    let named: Vec<&str> = page.split('"').filter(|part| part.starts_with("/graphiql/")).collect();
    assert_eq!(named.len(), 5, "{named:?}");
    for path in named {
        let (status, content, bytes) = get(&app, path).await;
        assert_eq!(status, 200, "{path}");
        assert!(content.starts_with("text/javascript") || content.starts_with("text/css"), "{path}: {content}");
        assert!(!bytes.is_empty());
    }
    assert!(!page.contains("https://"), "nothing comes from elsewhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_file_is_not_sent_again() {
    let app = App::start().await;
    for path in ["/graphiql/app.js", "/graphiql/react-18.3.1.min.js"] {
        let first = app.send(Request::get(path).body(Body::empty()).unwrap()).await;
        let etag = first.headers().get(header::ETAG).unwrap().clone();
        let again = Request::get(path).header(header::IF_NONE_MATCH, etag).body(Body::empty()).unwrap();
        assert_eq!(app.send(again).await.status(), 304, "{path}");
    }
    assert_eq!(get(&app, "/graphiql/README.md").await.0, 404);
}

#[test]
fn the_files_from_elsewhere_are_those_that_were_taken() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/graphiql");
    let sums = std::fs::read_to_string(folder.join("SHA256SUMS")).unwrap();
    assert_eq!(sums.lines().count(), 4);
    for line in sums.lines() {
        let (sum, name) = line.split_once("  ").unwrap();
        let digest = Sha256::digest(std::fs::read(folder.join(name)).unwrap());
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, sum, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_schema_are_served() {
    let app = App::start().await;
    assert_eq!(get(&app, "/healthz").await.0, 200);
    assert_eq!(get(&app, "/readyz").await.0, 200);
    let (status, content, sdl) = get(&app, "/schema.graphql").await;
    assert_eq!((status, content.as_str()), (200, "application/graphql; charset=utf-8"));
    assert!(String::from_utf8(sdl).unwrap().starts_with("type Query {\n  todos: [Note!]\n"));
    let response = app.send(Request::get("/").body(Body::empty()).unwrap()).await;
    assert_eq!(response.headers()[header::LOCATION], "/graphiql");
}
