//! Lists as newline-delimited JSON: a line for each element, and a last one that says how it ended.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response, StatusCode, header};
use futures_util::StreamExt;
use serde_json::{Value, json};
use weir::ServerOptions;

use crate::app::App;

const LISTS: &str = r#"
import { collection, procedure, query, type Doc, type ID, type Int } from "weir";
export interface Note { text: string; kind: "plain" | "to-do" }
export const notes = collection<Note>({ index: ["kind"] });
export const todos = query((): Doc<Note>[] => notes.where("kind", "to-do"));
export const texts = query((): string[] => notes.where("kind", "to-do").all().map((note) => note.text));
export const matrix = query((args: { rows?: Int }): (Int[] | null)[] | null =>
  args.rows === undefined ? null : Array.from({ length: args.rows }, (_, n) => (n === 1 ? null : [n, n])));
export const failing = query((): Int[] => { throw new Error("no list"); });
export const first = query((): Doc<Note> | null => notes.where("kind", "to-do").first());
export const add = procedure((args: { text: string; kind: "plain" | "to-do" }): ID => notes.insert(args).id);
export const addAll = procedure((args: { n: Int; bytes: Int }): ID[] =>
  Array.from({ length: args.n }, (_, n) => notes.insert({ text: `${n} `.padEnd(args.bytes, "x"), kind: "to-do" }).id));
"#;

async fn start(options: ServerOptions) -> App {
    let app = App::start_with(options).await;
    let mut served = app.engine.releases();
    app.activate(LISTS).await;
    served.borrow_and_update();
    let lists = async {
        // The schema follows the release.
        while lines(&app, "{ matrix }").await.0 != StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), lists).await.unwrap();
    app
}

fn request(query: &str) -> Request<Body> {
    Request::post("/graphql")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/jsonl")
        .body(Body::from(json!({ "query": query }).to_string()))
        .unwrap()
}

async fn ask(app: &App, query: &str) -> Response<Body> {
    app.send(request(query)).await
}

/// The status and the lines of an answer, without commits and places in the document.
async fn lines(app: &App, query: &str) -> (StatusCode, Vec<Value>) {
    let response = ask(app, query).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/jsonl");
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    assert!(text.ends_with('\n'), "{text}");
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    if let Some(weir) = lines.last_mut().and_then(|last| last.pointer_mut("/extensions/weir/commit")) {
        assert!(weir.as_str().unwrap().bytes().all(|byte| byte.is_ascii_digit()));
        *weir = json!("C");
    }
    (status, lines)
}

fn end(elements: impl Into<Value>) -> Value {
    json!({ "extensions": { "weir": { "commit": "C", "elements": elements.into() } } })
}

#[tokio::test(flavor = "multi_thread")]
async fn each_element_is_a_line() {
    let app = start(ServerOptions::default()).await;
    for text in ["a", "b"] {
        app.add(text).await;
    }
    let table = [
        (
            "{ notes: todos { kind words: text __typename } }",
            vec![
                json!({ "data": { "kind": "to_do", "words": "a", "__typename": "Note" } }),
                json!({ "data": { "kind": "to_do", "words": "b", "__typename": "Note" } }),
                end(2),
            ],
        ),
        ("{ texts }", vec![json!({ "data": "a" }), json!({ "data": "b" }), end(2)]),
        ("{ matrix(rows: 2) }", vec![json!({ "data": [0, 0] }), json!({ "data": null }), end(2)]),
        ("{ matrix(rows: 0) }", vec![end(0)]),
        ("{ matrix }", vec![end(Value::Null)]),
        (
            "query { todos { id @skip(if: true) text @include(if: false) kind } }",
            vec![json!({ "data": { "kind": "to_do" } }), json!({ "data": { "kind": "to_do" } }), end(2)],
        ),
    ];
    for (query, expected) in table {
        assert_eq!(lines(&app, query).await, (StatusCode::OK, expected), "{query}");
    }
    let (status, failed) = lines(&app, "{ failing }").await;
    assert_eq!((status, failed.len()), (StatusCode::OK, 1));
    let error = &failed[0]["errors"][0];
    assert_eq!((&error["message"], &error["path"]), (&json!("no list"), &json!(["failing"])));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_list_is_refused_with_what_would_do() {
    let app = start(ServerOptions::default()).await;
    for (query, part) in [
        ("{ first { text } }", "one root field whose type is a list: this one's is not"),
        ("{ __typename }", "this one's is not"),
        ("{ invoke(function: \"texts\") }", "this one's is not"),
        ("{ texts todos { text } }", "send one request for each"),
        ("mutation { addAll(n: 1, bytes: 1) }", "this is a mutation, ask for application/json"),
        ("subscription { texts }", "this is a subscription, ask for text/event-stream or open a WebSocket"),
        ("{ texts(x: 1) }", "Unknown argument"),
        ("{ nothing", "expected"),
    ] {
        let (status, refused) = lines(&app, query).await;
        let message = refused[0]["errors"][0]["message"].as_str().unwrap();
        assert!(status == StatusCode::BAD_REQUEST && message.contains(part), "{query}: {status} {message}");
    }
    let mut html = request("{ texts }");
    html.headers_mut().insert(header::ACCEPT, "text/html".parse().unwrap());
    assert_eq!(app.send(html).await.status(), StatusCode::NOT_ACCEPTABLE);
    let mut large = request("{ texts }");
    large.headers_mut().insert(header::CONTENT_LENGTH, "99999999".parse().unwrap());
    let refused = app.send(large).await;
    assert_eq!(
        (refused.status(), &refused.headers()[header::CONTENT_TYPE]),
        (StatusCode::PAYLOAD_TOO_LARGE, &"application/jsonl".parse().unwrap())
    );
}

/// An app with as many bytes of notes as no buffer takes.
async fn with_large_list(options: ServerOptions) -> App {
    let app = start(options).await;
    let release = app.engine.releases().borrow().clone().unwrap();
    let caller = weir_engine::call::Caller::Developer;
    for _ in 0..4 {
        let arguments = json!({ "n": 40, "bytes": 10_000 });
        app.engine.call(&release, &caller, "addAll", arguments).await.unwrap();
    }
    app
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_ends_the_walk() {
    let app = with_large_list(ServerOptions { json_lines: 1, ..ServerOptions::default() }).await;
    let mut body = ask(&app, "{ todos { text } }").await.into_body().into_data_stream();
    assert!(body.next().await.unwrap().unwrap().starts_with(b"{\"data\":{\"text\":\"0 x"));
    let (status, refused) = lines(&app, "{ todos { text } }").await;
    assert_eq!(
        (status, &refused[0]["errors"][0]["extensions"]["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("UNAVAILABLE"))
    );
    drop(body);
    let whole = async {
        loop {
            let (status, lines) = lines(&app, "{ todos { text } }").await;
            if status == StatusCode::OK {
                return lines;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert_eq!(tokio::time::timeout(Duration::from_secs(10), whole).await.unwrap().last(), Some(&end(160)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_nothing_is_not_waited_for() {
    let options = ServerOptions { line_timeout: Duration::from_millis(100), ..ServerOptions::default() };
    let app = with_large_list(options).await;
    let mut body = ask(&app, "{ todos { text } }").await.into_body().into_data_stream();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let mut text = Vec::new();
    while let Some(Ok(chunk)) = body.next().await {
        text.extend_from_slice(&chunk);
    }
    // Whole lines, and none that says it were all.
    let lines: Vec<Value> = text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert!(!lines.is_empty() && lines.len() < 160 && lines.iter().all(|line| line.get("data").is_some()));
}
