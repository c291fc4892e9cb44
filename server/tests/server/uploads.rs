//! Uploads of JSON lines: what each line comes to, and how an upload ends.

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Request, Response, StatusCode, header};
use expect_test::{Expect, expect};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use weir::ServerOptions;
use weir::http::options::UploadOptions;

use crate::app::App;

fn upload(body: Body) -> Request<Body> {
    Request::post("/graphql").header(header::CONTENT_TYPE, "application/jsonl").body(body).unwrap()
}

fn add(text: &str) -> String {
    json!({ "function": "add", "args": { "text": text, "kind": "to-do" } }).to_string() + "\n"
}

/// The status, and the lines of the answer without ids and commits.
async fn show(app: &App, request: Request<Body>) -> String {
    let response = app.send(request).await;
    let mut shown = vec![response.status().to_string()];
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    for line in String::from_utf8(body.to_vec()).unwrap().lines() {
        let mut line: Value = serde_json::from_str(line).unwrap();
        if line["value"].is_string() {
            assert_ne!(line["commit"], json!(null));
            line["value"] = json!("<id>");
            line["commit"] = json!("<commit>");
        }
        shown.push(line.to_string());
    }
    shown.join("\n")
}

async fn check(app: &App, request: Request<Body>, expected: Expect) {
    expected.assert_eq(&show(app, request).await);
}

fn options(upload: UploadOptions) -> ServerOptions {
    ServerOptions { upload, ..ServerOptions::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_is_answered_in_its_place() {
    let app = App::start_with(options(UploadOptions { line_bytes: 100, ..UploadOptions::default() })).await;
    let lines = [
        add("milk").as_str(),
        "\n  \n",
        "{\n",
        "[]\n{\"args\":{}}\n{\"function\":1}\n",
        r#"{"function":"add","arguments":{}}"#,
        "\n",
        r#"{"function":"add"}"#,
        "\n",
        r#"{"function":"add","args":{"text":"x","kind":"to_do"}}"#,
        "\n",
        r#"{"function":"todos"}"#,
        "\n",
        r#"{"function":"batch","args":{"calls":[]}}"#,
        "\n",
        &add(&"long".repeat(30)),
        "{\"function\":\"\u{fffd}\"}\n",
        add("tea").trim_end(),
    ]
    .concat();
    check(&app, upload(Body::from(lines)), expect![[r#"
        200 OK
        {"place":0,"commit":"<commit>","value":"<id>","error":null}
        {"place":1,"commit":null,"value":null,"error":{"code":"BAD_REQUEST","message":"the line is not {\"function\": …, \"args\": …}: EOF while parsing an object at line 1 column 3","appCode":null}}
        {"place":2,"commit":null,"value":null,"error":{"code":"BAD_REQUEST","message":"the line is not {\"function\": …, \"args\": …}: no object","appCode":null}}
        {"place":3,"commit":null,"value":null,"error":{"code":"BAD_REQUEST","message":"the line is not {\"function\": …, \"args\": …}: function is missing","appCode":null}}
        {"place":4,"commit":null,"value":null,"error":{"code":"BAD_REQUEST","message":"the line is not {\"function\": …, \"args\": …}: function is no string","appCode":null}}
        {"place":5,"commit":null,"value":null,"error":{"code":"BAD_REQUEST","message":"the line is not {\"function\": …, \"args\": …}: arguments is not a member here","appCode":null}}
        {"place":6,"commit":null,"value":null,"error":{"code":"BAD_ARGUMENTS","message":"args.text: missing; declared as a string","appCode":null}}
        {"place":7,"commit":null,"value":null,"error":{"code":"BAD_ARGUMENTS","message":"args.kind: expected AddKind (\"plain\" | \"to-do\"), got \"to_do\"","appCode":null}}
        {"place":8,"commit":null,"value":null,"error":{"code":"NOT_FOUND","message":"Mutation has no function todos","appCode":null}}
        {"place":9,"commit":null,"value":null,"error":{"code":"NOT_FOUND","message":"Mutation has no function batch","appCode":null}}
        {"place":10,"commit":null,"value":null,"error":{"code":"LIMIT_EXCEEDED","message":"the line has more than line_bytes = 100 bytes","appCode":null}}
        {"place":11,"commit":null,"value":null,"error":{"code":"NOT_FOUND","message":"Mutation has no function �","appCode":null}}
        {"place":12,"commit":"<commit>","value":"<id>","error":null}"#]]).await;
    check(&app, upload(Body::empty()), expect!["200 OK"]).await;
    let mut refused = upload(Body::from(add("x")));
    refused.headers_mut().insert(header::ACCEPT, "application/json".parse().unwrap());
    check(
        &app,
        refused,
        expect![[r#"
        406 Not Acceptable
        {"errors":[{"message":"JSON lines are answered as application/jsonl","extensions":{"code":"BAD_REQUEST"}}]}"#]],
    )
    .await;
    let mut refused = upload(Body::from(add("x")));
    refused.headers_mut().insert("idempotency-key", "".parse().unwrap());
    check(&app, refused, expect![[r#"
        400 Bad Request
        {"errors":[{"message":"Idempotency-Key: an idempotency key has 1 to 255 bytes and no control characters","extensions":{"code":"BAD_REQUEST"}}]}"#]]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_repeated_whole_with_its_key() {
    let app = App::start().await;
    let keyed = |lines: String| {
        let mut request = upload(Body::from(lines));
        request.headers_mut().insert("idempotency-key", "k".parse().unwrap());
        request
    };
    let read = async |request| to_bytes(app.send(request).await.into_body(), 1 << 20).await.unwrap();
    let first = read(keyed(add("a") + &add("b"))).await;
    let again = read(keyed(add("a") + &add("b") + &add("c"))).await;
    assert!(again.starts_with(&first) && again.len() > first.len(), "{first:?} {again:?}");
    let other = String::from_utf8(read(keyed(add("a") + &add("x"))).await.to_vec()).unwrap();
    assert!(other.lines().nth(1).unwrap().contains("CONFLICT"), "{other}");
    let todos = r#"{"query":"{ todos { text } }"}"#;
    let todos = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json").body(Body::from(todos));
    let todos = to_bytes(app.send(todos.unwrap()).await.into_body(), 1 << 20).await.unwrap();
    assert_eq!(todos, r#"{"data":{"todos":[{"text":"a"},{"text":"b"},{"text":"c"}]}}"#);
}

/// A body that is written as the test goes on.
fn open_body() -> (mpsc::Sender<String>, Body) {
    let (write, read) = mpsc::channel::<String>(1);
    let pieces = stream::unfold(read, async |mut read: mpsc::Receiver<String>| {
        let piece = read.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(piece)), read))
    });
    (write, Body::from_stream(pieces))
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_come_while_the_request_is_being_sent() {
    let app = App::start().await;
    let (write, body) = open_body();
    let mut answers = app.send(upload(body)).await.into_body().into_data_stream();
    for place in 0..20 {
        write.send(add("one")).await.unwrap();
        let answer: Value = serde_json::from_slice(&answers.next().await.unwrap().unwrap()).unwrap();
        assert_eq!(answer["place"], place);
    }
    drop(write);
    assert!(answers.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_not_read_from() {
    let upload_options = UploadOptions { ahead_calls: 8, silence: Duration::from_secs(2), ..UploadOptions::default() };
    let app = App::start_with(options(upload_options)).await;
    let (write, body) = open_body();
    let mut answers = app.send(upload(body)).await.into_body().into_data_stream();
    let mut sent = 0;
    while tokio::time::timeout(Duration::from_secs(5), write.send(add("one"))).await.is_ok_and(|sent| sent.is_ok()) {
        sent += 1;
        assert!(sent < 30, "more is read than there is room for");
    }
    assert!(sent >= 8, "{sent}");
    // What was made is told, and then that it is not all.
    let mut told = 0;
    let error = loop {
        match answers.next().await.expect("the end is an error") {
            Ok(lines) => told += lines.iter().filter(|byte| **byte == b'\n').count(),
            Err(error) => break error,
        }
    };
    assert!(told >= 8, "{told}: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn results_wait_within_a_limit_on_their_bytes() {
    let upload_options = UploadOptions { ahead_bytes: 64, silence: Duration::from_secs(2), ..UploadOptions::default() };
    let app = App::start_with(options(upload_options)).await;
    let (write, body) = open_body();
    let _answers = app.send(upload(body)).await;
    let mut sent = 0;
    while tokio::time::timeout(Duration::from_secs(5), write.send(add("one"))).await.is_ok_and(|sent| sent.is_ok()) {
        sent += 1;
        // An id has 28 bytes as JSON.
        assert!(sent < 10, "more is made than there is room for");
    }
}

/// An upload that has a place: that of the one before is free a moment after its end.
async fn admitted(app: &App) -> (mpsc::Sender<String>, Response<Body>) {
    loop {
        let (write, body) = open_body();
        let response = app.send(upload(body)).await;
        if response.status() == StatusCode::OK {
            return (write, response);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_nothing_or_goes_away_or_is_one_too_many_ends() {
    let upload_options = UploadOptions { silence: Duration::from_secs(3), ..UploadOptions::default() };
    let mut app = App::start_with(ServerOptions { uploads: 1, ..options(upload_options) }).await;
    let (write, body) = open_body();
    let mut answers = app.send(upload(body)).await.into_body().into_data_stream();
    write.send(add("one")).await.unwrap();
    assert!(answers.next().await.unwrap().is_ok());
    let refused = show(&app, upload(Body::from(add("two")))).await;
    assert!(refused.starts_with("503") && refused.contains("UNAVAILABLE"), "{refused}");
    assert!(answers.next().await.unwrap().is_err(), "silence");

    let (write, response) = admitted(&app).await;
    drop(response);
    // Its reader has gone, and with it the one who reads the request.
    write.closed().await;

    let (_write, response) = admitted(&app).await;
    let mut answers = response.into_body().into_data_stream();
    app.stop();
    assert!(answers.next().await.unwrap().is_err(), "stopping");
}
