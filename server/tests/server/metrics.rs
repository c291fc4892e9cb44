//! `/metrics`: what requests, sockets and subscriptions come to.

use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use serde_json::json;

use crate::app::App;

/// The lines of the metrics that do not stand at zero, but for sizes and times.
async fn counted(app: &App) -> String {
    let response = app.send(Request::get("/metrics").body(Body::empty()).unwrap()).await;
    let form = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
    assert_eq!(form, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let text = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let text = String::from_utf8(text.to_vec()).unwrap();
    let is_counted = |line: &str| !line.contains("_bytes ") && !line.starts_with("weir_release_call_seconds");
    let told = |line: &&str| !line.starts_with('#') && !line.ends_with(" 0") && is_counted(line);
    let mut lines: Vec<&str> = text.lines().filter(told).collect();
    lines.sort_unstable();
    lines.join("\n")
}

async fn ask(app: &App, query: &str) {
    let request = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
    app.send(request.body(Body::from(json!({ "query": query }).to_string())).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_by_kind_and_outcome() {
    let app = App::start().await;
    assert_eq!(counted(&app).await, "");
    for query in [
        "{ todos { id } }",
        "{ todos { id } }",
        "{ picky(most: -1) }",
        "{ nope }",
        "{",
        "mutation { add(text: \"a\", kind: to_do) }",
    ] {
        ask(&app, query).await;
    }
    let mut socket = app.session().await;
    socket.subscribe("1", "subscription { todos { id } }").await;
    socket.next().await;
    expect_test::expect![[r#"
        weir_plan_cache_hits_total 2
        weir_plan_cache_misses_total 6
        weir_plan_cache_operations 6
        weir_release_calls_total{release="notes 1.0.0",outcome="answered"} 5
        weir_requests_total{kind="mutation",outcome="OK"} 1
        weir_requests_total{kind="query",outcome="FUNCTION_FAILED"} 1
        weir_requests_total{kind="query",outcome="OK"} 2
        weir_requests_total{kind="subscription",outcome="OK"} 1
        weir_requests_total{kind="unknown",outcome="GRAPHQL_PARSE_FAILED"} 1
        weir_requests_total{kind="unknown",outcome="GRAPHQL_VALIDATION_FAILED"} 1
        weir_results_total{by="kept"} 1
        weir_results_total{by="run"} 2
        weir_sockets 1
        weir_subscriptions 1"#]]
    .assert_eq(&counted(&app).await);
}
