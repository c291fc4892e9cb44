//! What a client may keep of a response, and when it gets nothing because it has all.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, header};

use crate::app::App;

/// The status, the headers and the body of a GET.
async fn get(app: &App, path: &str, headers: &[(&'static str, &str)]) -> (u16, HeaderMap, String) {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = app.send(request.body(Body::empty()).unwrap()).await;
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    (parts.status.as_u16(), parts.headers, String::from_utf8_lossy(&body).into_owned())
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> String {
    let values = headers.get_all(name).iter().map(|value| value.to_str().unwrap());
    values.collect::<Vec<_>>().join(" | ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_by_get_has_a_tag_that_changes_with_its_body_alone() {
    let app = App::start().await;
    let todos = "/graphql?query=%7Btodos%7Btext%7D%7D";
    let (status, headers, body) = get(&app, todos, &[]).await;
    assert_eq!((status, body.as_str()), (200, r#"{"data":{"todos":[]}}"#));
    assert_eq!(text(&headers, header::CACHE_CONTROL), "private, no-cache");
    assert_eq!(
        text(&headers, header::VARY),
        "accept, accept-encoding, authorization, x-weir-environment, x-weir-release, x-weir-visitor | origin"
    );
    let tag = text(&headers, header::ETAG);
    // It is the same again, also after a commit that does not change it, and for a client that has several.
    app.add_note("tea", "plain").await;
    for known in [tag.clone(), format!("\"other\", W/{tag}"), "*".to_owned()] {
        let (status, headers, body) = get(&app, todos, &[("if-none-match", &known)]).await;
        assert_eq!((status, body.as_str(), text(&headers, header::ETAG)), (304, "", tag.clone()), "{known}");
        assert_eq!(text(&headers, header::CACHE_CONTROL), "private, no-cache");
        assert_eq!(
            text(&headers, header::VARY),
            "accept, accept-encoding, authorization, x-weir-environment, x-weir-release, x-weir-visitor | origin"
        );
        assert_eq!(text(&headers, header::CONTENT_TYPE), "");
    }
    app.add("milk").await;
    let (status, headers, body) = get(&app, todos, &[("if-none-match", &tag)]).await;
    assert_eq!((status, body.as_str()), (200, r#"{"data":{"todos":[{"text":"milk"}]}}"#));
    assert_ne!(text(&headers, header::ETAG), tag);
    // In another type it is another.
    let other = [("accept", "application/graphql-response+json")];
    assert_ne!(text(&get(&app, todos, &other).await.1, header::ETAG), text(&headers, header::ETAG));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_answer_to_a_query_by_get_is_kept_nowhere() {
    let app = App::start().await;
    for (path, status) in [
        ("/graphql?query=%7Bpicky(most:-1)%7D", 200),
        ("/graphql?query=%7Bnope%7D", 200),
        ("/graphql?query=%7B", 200),
        ("/graphql", 400),
        ("/graphql?query=mutation%7Badd(text:%22a%22,kind:plain)%7D", 405),
    ] {
        let (found, headers, _) = get(&app, path, &[("if-none-match", "*")]).await;
        assert_eq!((found, text(&headers, header::CACHE_CONTROL)), (status, "no-store".to_owned()), "{path}");
        assert_eq!(text(&headers, header::ETAG), "", "{path}");
    }
    let mutation = Body::from(r#"{"query":"mutation { add(text: \"a\", kind: to_do) }"}"#);
    let request = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json").body(mutation).unwrap();
    let response = app.send(request).await;
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    assert!(!response.headers().contains_key(header::ETAG));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_and_the_files_of_pages_have_tags() {
    let app = App::start().await;
    for path in ["/schema.graphql", "/graphiql/app.js", "/graphiql/graphiql-3.9.0.min.css"] {
        let (status, headers, _) = get(&app, path, &[]).await;
        let tag = text(&headers, header::ETAG);
        assert_eq!(status, 200, "{path}");
        let coded = format!("{}-gzip\"", tag.strip_suffix('"').unwrap());
        for known in [tag, coded] {
            let (status, headers, body) = get(&app, path, &[("if-none-match", &known)]).await;
            assert_eq!((status, text(&headers, header::ETAG), body.as_str()), (304, known, ""), "{path}");
        }
    }
}
