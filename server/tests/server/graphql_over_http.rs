//! Methods, content types, statuses.

use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use expect_test::{Expect, expect};
use serde_json::json;
use weir::ServerOptions;
use weir::http::origin::Origins;

use crate::app::App;

const GRAPHQL: &str = "application/graphql-response+json";

/// Sends a request and shows status, content type, `Allow` and body.
async fn show(app: &App, request: Request<Body>) -> String {
    let response = app.send(request).await;
    let text = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let mut shown = response.status().as_u16().to_string();
    for part in [text(header::CONTENT_TYPE), text(header::ALLOW)].into_iter().flatten() {
        shown.push_str(&format!(" {part}"));
    }
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    format!("{shown}\n{}\n", String::from_utf8_lossy(&body))
}

fn post(content: &str, accept: &str, body: &str) -> Request<Body> {
    let request = Request::post("/graphql").header(header::CONTENT_TYPE, content).header(header::ACCEPT, accept);
    request.body(Body::from(body.to_owned())).unwrap()
}

fn get(query: &str) -> Request<Body> {
    Request::get(format!("/graphql?{query}")).header(header::ACCEPT, GRAPHQL).body(Body::empty()).unwrap()
}

async fn check(app: &App, requests: impl IntoIterator<Item = Request<Body>>, expected: Expect) {
    let mut shown = String::new();
    for request in requests {
        shown.push_str(&show(app, request).await);
    }
    expected.assert_eq(&shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_have_their_statuses() {
    let app = App::start().await;
    let json = "application/json";
    check(
        &app,
        [
            post(json, GRAPHQL, r#"{"query":"{ todos { id } }"}"#),
            post(json, json, r#"{"query":"{ todos { id } }"}"#),
            post(json, "*/*", r#"{"query":"{ nope }"}"#),
            post(json, GRAPHQL, r#"{"query":"{ nope }"}"#),
            post(json, GRAPHQL, r#"{"query":"query($m: Int!) { picky(most: $m) }"}"#),
            post(json, GRAPHQL, r#"{"query":"{ picky(most: -1) }"}"#),
            post(json, GRAPHQL, r#"{"query":"subscription { todos { id } }"}"#),
        ],
        expect![[r#"
            200 application/graphql-response+json; charset=utf-8
            {"data":{"todos":[]}}
            200 application/json; charset=utf-8
            {"data":{"todos":[]}}
            200 application/json; charset=utf-8
            {"errors":[{"message":"Unknown field \"nope\" on type \"Query\".","locations":[{"line":1,"column":3}],"extensions":{"code":"GRAPHQL_VALIDATION_FAILED"}}]}
            400 application/graphql-response+json; charset=utf-8
            {"errors":[{"message":"Unknown field \"nope\" on type \"Query\".","locations":[{"line":1,"column":3}],"extensions":{"code":"GRAPHQL_VALIDATION_FAILED"}}]}
            400 application/graphql-response+json; charset=utf-8
            {"errors":[{"message":"$m: no value given; expected Int!","locations":[{"line":1,"column":7}],"extensions":{"code":"BAD_ARGUMENTS"}}]}
            200 application/graphql-response+json; charset=utf-8
            {"errors":[{"message":"too many to-dos","locations":[{"line":1,"column":3}],"path":["picky"],"extensions":{"code":"FUNCTION_FAILED","appCode":"TOO_MANY","stack":["functions/notes.ts:8:26"]}}],"data":{"picky":null}}
            400 application/graphql-response+json; charset=utf-8
            {"errors":[{"message":"subscriptions run over WebSocket, with the subprotocol graphql-transport-ws, or as server-sent events, with Accept: text/event-stream","extensions":{"code":"BAD_REQUEST"}}]}
        "#]],
    )
    .await;
    check(
        &app,
        [
            post(json, json, "{"),
            post(json, json, ""),
            post(json, json, "[]"),
            post(json, json, r#"{"query":1}"#),
            post("text/plain", json, r#"{"query":"{ __typename }"}"#),
            post(json, "text/html", r#"{"query":"{ __typename }"}"#),
            post(json, json, &format!(r#"{{"query":"{{ __typename }}{}"}}"#, " ".repeat(5000))),
            Request::put("/graphql").body(Body::empty()).unwrap(),
        ],
        expect![[r#"
            400 application/json; charset=utf-8
            {"errors":[{"message":"the body is not JSON: EOF while parsing an object at line 1 column 1","extensions":{"code":"BAD_REQUEST"}}]}
            400 application/json; charset=utf-8
            {"errors":[{"message":"the body is not JSON: EOF while parsing a value at line 1 column 0","extensions":{"code":"BAD_REQUEST"}}]}
            400 application/json; charset=utf-8
            {"errors":[{"message":"send one request, not an array of them: one document may have several root fields, and many calls go into the root field batch of mutations or into lines of application/jsonl","extensions":{"code":"BAD_REQUEST"}}]}
            400 application/json; charset=utf-8
            {"errors":[{"message":"query must be a string","extensions":{"code":"BAD_REQUEST"}}]}
            415 application/json; charset=utf-8
            {"errors":[{"message":"send the request as application/json in UTF-8, or many calls as application/jsonl","extensions":{"code":"BAD_REQUEST"}}]}
            406 application/json; charset=utf-8
            {"errors":[{"message":"responses are application/graphql-response+json, application/json, application/jsonl or text/event-stream","extensions":{"code":"BAD_REQUEST"}}]}
            413 application/json; charset=utf-8
            {"errors":[{"message":"the body has more than 4096 bytes","extensions":{"code":"LIMIT_EXCEEDED","limit":"body_bytes"}}]}
            405 GET,HEAD,POST

        "#]],
    )
    .await;
    check(
        &app,
        [
            get("query=%7B%20todos%20%7B%20id%20%7D%20%7D"),
            get("query=query%20A(%24m:Int!)%7Bpicky(most:%24m)%7D%20query%20B%7B__typename%7D&operationName=A&variables=%7B%22m%22:2%7D"),
            get("query=mutation%7Badd(text:%22a%22,kind:plain)%7D"),
            get("query=%7B__typename%7D&variables=%7B"),
            get(""),
        ],
        expect![[r#"
            200 application/graphql-response+json; charset=utf-8
            {"data":{"todos":[]}}
            200 application/graphql-response+json; charset=utf-8
            {"data":{"picky":0}}
            405 application/graphql-response+json; charset=utf-8 POST
            {"errors":[{"message":"GET runs queries only: send mutations with POST","extensions":{"code":"BAD_REQUEST"}}]}
            400 application/graphql-response+json; charset=utf-8
            {"errors":[{"message":"variables is not JSON: EOF while parsing an object at line 1 column 1","extensions":{"code":"BAD_REQUEST"}}]}
            400 application/graphql-response+json; charset=utf-8
            {"errors":[{"message":"the request has no query","extensions":{"code":"BAD_REQUEST"}}]}
        "#]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mutation_carries_its_commit() {
    let app = App::start().await;
    let body = r#"{"query":"mutation { add(text: \"a\", kind: to_do) }"}"#;
    let response = app.send(post("application/json", GRAPHQL, body)).await;
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let commit = body["extensions"]["weir"]["commit"].as_str().unwrap();
    assert!(commit.parse::<u64>().unwrap() > 0, "{body}");
    assert!(body["extensions"]["weir"].get("cursor").is_none());
    assert_eq!(body["data"]["add"].as_str().unwrap().len(), 26);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_release_is_served_whole() {
    let app = App::start().await;
    let picky = || post("application/json", GRAPHQL, r#"{"query":"{ picky(most: 1) }"}"#);
    assert_eq!(app.send(picky()).await.status(), 200);
    app.activate(crate::app::NOTES_CHANGED).await;
    let refused = async {
        while app.send(picky()).await.status() == 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(5), refused).await.unwrap();
}

/// A server that pages of one origin may call.
async fn start_for_a_page() -> App {
    let origins = Origins::and(vec!["https://app.example.com".parse().unwrap()]);
    App::start_with(ServerOptions { origins, ..ServerOptions::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_this_machine_and_of_named_origins_may_call_from_a_browser() {
    let app = start_for_a_page().await;
    let origins = [("http://localhost:3000", true), ("https://app.example.com", true), ("https://evil.example", false)];
    for (origin, allowed) in origins {
        let request = Request::options("/graphql")
            .header(header::ORIGIN, origin)
            .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
            .header(header::ACCESS_CONTROL_REQUEST_HEADERS, SENT_BY_CLIENTS);
        let response = app.send(request.body(Body::empty()).unwrap()).await;
        let text = |name| response.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(text(header::ACCESS_CONTROL_ALLOW_ORIGIN), allowed.then_some(origin), "{origin}");
        assert_eq!(text(header::ACCESS_CONTROL_ALLOW_HEADERS), Some(SENT_BY_CLIENTS));
        assert_eq!(text(header::ACCESS_CONTROL_MAX_AGE), Some("86400"));
        assert_eq!(text(header::VARY), Some("origin"));
        let mut request = post("application/json", "*/*", r#"{"query":"{ __typename }"}"#);
        request.headers_mut().insert(header::ORIGIN, origin.parse().unwrap());
        let response = app.send(request).await;
        let text = |name| response.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(text(header::ACCESS_CONTROL_ALLOW_ORIGIN), allowed.then_some(origin), "{origin}");
        assert_eq!(text(header::ACCESS_CONTROL_EXPOSE_HEADERS), Some("etag,retry-after,x-request-id,x-weir-release"));
    }
}

/// What clients of GraphQL send, and the server's own.
const SENT_BY_CLIENTS: &str = "content-type,authorization,idempotency-key,x-weir-release,apollo-require-preflight,\
                               x-requested-with,last-event-id,if-none-match,x-request-id,content-encoding";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_page_of_another_site_sends_unasked_is_not_run() {
    let app = start_for_a_page().await;
    let cross = [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")];
    let page = [("sec-fetch-site", "cross-site"), ("origin", "https://app.example.com")];
    let image = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")];
    let with = |mut request: Request<Body>, headers: &[(&'static str, &'static str)]| {
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        request
    };
    let query = || get("query=%7B__typename%7D");
    let form = |content: &str| post(content, "*/*", r#"{"query":"mutation { add(text: \"a\", kind: to_do) }"}"#);
    let table = [
        (query(), 200),
        (with(query(), &page), 200),
        (with(query(), &cross), 403),
        (with(query(), &image), 403),
        // All that a form or a script can send without asking first.
        (form("text/plain"), 415),
        (form("application/x-www-form-urlencoded"), 415),
        // Files come so, from who has been asked first.
        (form("multipart/form-data; boundary=x"), 400),
        (form("text/plain; application/json"), 415),
        (with(form("text/plain"), &cross), 415),
    ];
    for (request, status) in table {
        let shown = format!("{request:?}");
        assert_eq!(app.send(request).await.status(), status, "{shown}");
    }
    let no_type = Request::post("/graphql").body(Body::from(r#"{"query":"{ __typename }"}"#)).unwrap();
    assert_eq!(app.send(no_type).await.status(), 415);
    check(&app, [with(query(), &image), get("query=%7Btodos%7Btext%7D%7D")], expect![[r#"
        403 application/graphql-response+json; charset=utf-8
        {"errors":[{"message":"a page of another origin has sent this unasked: start the server with --allow-origin and its origin, or have it send a POST with application/json or the header X-Requested-With","extensions":{"code":"FORBIDDEN"}}]}
        200 application/graphql-response+json; charset=utf-8
        {"data":{"todos":[]}}
    "#]]).await;
}

/// A mutation with an `Idempotency-Key`.
fn keyed(key: &str, query: &str) -> Request<Body> {
    let body = json!({ "query": query }).to_string();
    let mut request = post("application/json", "application/json", &body);
    request.headers_mut().insert("idempotency-key", key.parse().unwrap());
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_with_the_same_idempotency_key_gets_the_first_answer() {
    let app = App::start().await;
    let add = r#"mutation { add(text: "milk", kind: to_do) }"#;
    let first = show(&app, keyed("k-1", add)).await;
    assert_eq!(show(&app, keyed("k-1", add)).await, first);
    // The same key as a structured field, and in the extensions.
    assert_eq!(show(&app, keyed("\"k-1\"", add)).await, first);
    let extensions = json!({ "query": add, "extensions": { "weir": { "idempotencyKey": "k-1" } } }).to_string();
    assert_eq!(show(&app, post("application/json", "application/json", &extensions)).await, first);
    // Another name in the response is another call, and so is another key.
    let twice = r#"mutation { a: add(text: "milk", kind: to_do) b: add(text: "milk", kind: to_do) }"#;
    let two = show(&app, keyed("k-1", twice)).await;
    assert_eq!(show(&app, keyed("k-1", twice)).await, two);
    assert_ne!(show(&app, keyed("k-2", add)).await, first);
    let todos = show(&app, post("application/json", "application/json", r#"{"query":"{ todos { text } }"}"#)).await;
    assert_eq!(todos.matches("milk").count(), 4);

    let batch = r#"mutation { batch(atomic: false, calls: [
        { function: "add", args: { text: "tea", kind: "plain" } }, { function: "add", args: { text: "tea", kind: "plain" } }
    ]) { value } }"#;
    let both = show(&app, keyed("k-3", batch)).await;
    assert_eq!(show(&app, keyed("k-3", batch)).await, both);

    check(
        &app,
        [keyed("k-1", r#"mutation { add(text: "tea", kind: to_do) }"#), keyed("", add), keyed(&"k".repeat(256), add)],
        expect![[r#"
            200 application/json; charset=utf-8
            {"errors":[{"message":"this idempotency key was used for another request: make a new key for each request","locations":[{"line":1,"column":12}],"path":["add"],"extensions":{"code":"CONFLICT"}}],"data":{"add":null}}
            400 application/json; charset=utf-8
            {"errors":[{"message":"Idempotency-Key or extensions.weir.idempotencyKey: an idempotency key has 1 to 255 bytes and no control characters","extensions":{"code":"BAD_REQUEST"}}]}
            400 application/json; charset=utf-8
            {"errors":[{"message":"Idempotency-Key or extensions.weir.idempotencyKey: an idempotency key has 1 to 255 bytes and no control characters","extensions":{"code":"BAD_REQUEST"}}]}
        "#]],
    )
    .await;
}
