//! Each line of PROTOCOL.md that obliges a server, over raw sockets.

use std::time::Duration;

use expect_test::expect;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use weir::ServerOptions;
use weir::http::options::SocketOptions;

use crate::app::App;

const PROTOCOL: Option<&str> = Some("graphql-transport-ws");

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_speak_it_is_closed() {
    let app = App::start().await;
    assert_eq!(app.socket(None).await.next().await, "close 4406 Subprotocol not acceptable");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_subprotocol_is_chosen_among_several() {
    let app = App::start().await;
    let mut socket = app.socket(Some("graphql-ws, graphql-transport-ws")).await;
    socket.send(json!({ "type": "connection_init", "payload": { "token": "x" } })).await;
    assert_eq!(socket.next().await, r#"{"type":"connection_ack"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_handshake_has_a_time_limit() {
    let socket = SocketOptions { init_timeout: Duration::from_secs(2), ..SocketOptions::default() };
    let app = App::start_with(ServerOptions { socket, ..ServerOptions::default() }).await;
    let mut socket = app.socket(PROTOCOL).await;
    socket.send(json!({ "type": "ping" })).await;
    assert_eq!(socket.next().await, r#"{"type":"pong"}"#);
    assert_eq!(socket.next().await, "close 4408 Connection initialisation timeout");
    let mut session = app.session().await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert!(session.is_silent().await, "it stays open after the handshake");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_closes_the_socket() {
    let app = App::start().await;
    let long = format!("{{\"type\":\"{}\"}}", "x".repeat(300));
    let table = [
        "hello",
        "[]",
        "{}",
        r#"{"type":1}"#,
        &long,
        r#"{"type":"connection_ack"}"#,
        r#"{"type":"ping","payload":1}"#,
        r#"{"type":"connection_init","payload":"x"}"#,
        r#"{"type":"subscribe","payload":{"query":"{ todos { id } }"}}"#,
        r#"{"type":"subscribe","id":"","payload":{"query":"{ todos { id } }"}}"#,
        r#"{"type":"subscribe","id":"1"}"#,
        r#"{"type":"subscribe","id":"1","payload":{"query":1}}"#,
        r#"{"type":"subscribe","id":"1","payload":{"query":"{ todos { id } }","variables":[]}}"#,
        r#"{"type":"complete"}"#,
    ];
    let mut out = String::new();
    for message in table {
        let mut socket = app.socket(PROTOCOL).await;
        socket.send_raw(Message::text(message)).await;
        out.push_str(&format!("{}\n", socket.next().await));
    }
    let mut socket = app.session().await;
    socket.send_raw(Message::binary(vec![1, 2, 3])).await;
    out.push_str(&format!("{}\n", socket.next().await));
    expect![[r#"
        close 4400 Invalid message: not a JSON object
        close 4400 Invalid message: not a JSON object
        close 4400 Invalid message: it has no type
        close 4400 Invalid message: it has no type
        close 4400 Invalid message: its type is not one that clients send
        close 4400 Invalid message: its type is not one that clients send
        close 4400 Invalid message: its payload must be an object
        close 4400 Invalid message: its payload must be an object
        close 4400 Invalid message: it needs an id, a string
        close 4400 Invalid message: it needs an id, a string
        close 4400 Invalid message: a request is a JSON object with the member query
        close 4400 Invalid message: query must be a string
        close 4400 Invalid message: variables must be an object
        close 4400 Invalid message: it needs an id, a string
        close 4400 Invalid message: it is binary
    "#]]
    .assert_eq(&out);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_before_the_handshake_closes_the_socket() {
    let app = App::start().await;
    let mut socket = app.socket(PROTOCOL).await;
    socket.subscribe("1", "{ todos { id } }").await;
    assert_eq!(socket.next().await, "close 4401 Unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_handshake_closes_the_socket() {
    let app = App::start().await;
    let mut session = app.session().await;
    session.send(json!({ "type": "connection_init" })).await;
    assert_eq!(session.next().await, "close 4429 Too many initialisation requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_in_use_closes_the_socket() {
    let app = App::start().await;
    let mut session = app.session().await;
    session.subscribe("a", "subscription { todos { id } }").await;
    session.next().await;
    session.subscribe("a", "{ todos { id } }").await;
    assert_eq!(session.next().await, "close 4409 Subscriber for a already exists");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ping_is_answered_with_its_payload() {
    let app = App::start().await;
    let mut session = app.session().await;
    session.send(json!({ "type": "ping", "payload": { "at": [1] } })).await;
    assert_eq!(session.next().await, r#"{"type":"pong","payload":{"at":[1]}}"#);
    session.send(json!({ "type": "pong", "payload": {} })).await;
    session.send(json!({ "type": "complete", "id": "unknown" })).await;
    assert!(session.is_silent().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_and_mutations_end_with_complete() {
    let app = App::start().await;
    let mut session = app.session().await;
    session.subscribe("m", r#"mutation { a: add(text: "a", kind: to_do) { id } }"#).await;
    assert_eq!(session.next_json().await["type"], "error", "add returns an ID");
    session.subscribe("m", r#"mutation { add(text: "a", kind: to_do) }"#).await;
    assert_eq!(session.next_json().await["payload"]["data"]["add"].as_str().unwrap().len(), 26);
    assert_eq!(session.next().await, r#"{"id":"m","type":"complete"}"#);
    session.subscribe("m", "{ todos { text kind } }").await;
    let answer =
        json!({ "id": "m", "type": "next", "payload": { "data": { "todos": [{ "text": "a", "kind": "to_do" }] } } });
    assert_eq!(session.next_json().await, answer);
    assert_eq!(session.next().await, r#"{"id":"m","type":"complete"}"#);
    session.subscribe("m", "{ picky(most: 0) }").await;
    let answer = session.next_json().await;
    assert_eq!(answer["type"], "next", "a field that failed is part of a result");
    assert_eq!(answer["payload"]["errors"][0]["extensions"]["appCode"], "TOO_MANY");
    assert_eq!(session.next().await, r#"{"id":"m","type":"complete"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_run_ends_with_error_alone() {
    let app = App::start().await;
    let mut session = app.session().await;
    for query in ["{", "{ nope }", "query($x: Int!) { picky(most: $x) }", "subscription { nope }"] {
        session.subscribe("x", query).await;
        let message = session.next_json().await;
        assert_eq!((&message["type"], &message["id"]), (&json!("error"), &json!("x")), "{query}");
        assert!(message["payload"][0]["message"].is_string(), "{message}");
        assert!(session.is_silent().await, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_runs_so_many_operations() {
    let socket = SocketOptions { operations: 2, ..SocketOptions::default() };
    let app = App::start_with(ServerOptions { socket, subscriptions: 3, ..ServerOptions::default() }).await;
    let mut session = app.session().await;
    for id in ["a", "b"] {
        session.subscribe(id, "subscription { todos { id } }").await;
        session.next().await;
    }
    session.subscribe("c", "subscription { todos { id } }").await;
    let refused = session.next_json().await;
    assert_eq!(refused["payload"][0]["extensions"]["limit"], "socket_operations", "{refused}");
    session.send(json!({ "id": "a", "type": "complete" })).await;
    session.subscribe("c", "subscription { todos { id } }").await;
    assert_eq!(session.next_json().await["type"], "next");

    let mut other = app.session().await;
    other.subscribe("a", "subscription { todos { id } }").await;
    other.next().await;
    other.subscribe("b", "subscription { todos { id } }").await;
    let refused = other.next_json().await;
    assert_eq!(refused["payload"][0]["extensions"]["limit"], "subscriptions", "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_past_the_limit_closes_the_socket() {
    let socket = SocketOptions { message_bytes: 1000, ..SocketOptions::default() };
    let app = App::start_with(ServerOptions { socket, ..ServerOptions::default() }).await;
    let mut session = app.session().await;
    session.send(json!({ "type": "ping", "payload": { "x": "x".repeat(2000) } })).await;
    assert_eq!(session.next().await, "close 1009 The message is too big");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_peer_is_dead() {
    let socket = SocketOptions { ping_interval: Duration::from_secs(1), ..SocketOptions::default() };
    let app = App::start_with(ServerOptions { socket, sockets: 1, ..ServerOptions::default() }).await;
    // A client that does not read does not answer pings. Its place is free again after two of them.
    let session = app.session().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut second = app.session().await;
    second.send(json!({ "type": "ping" })).await;
    assert_eq!(second.next().await, r#"{"type":"pong"}"#);
    drop(session);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_from_elsewhere_may_not_connect() {
    use tokio_tungstenite::tungstenite::client::IntoClientRequest;
    let app = App::start().await;
    for (origin, status) in [("https://evil.example", 403), ("http://localhost:3000", 101)] {
        let mut request = format!("ws://{}/graphql", app.address).into_client_request().unwrap();
        request.headers_mut().insert("origin", origin.parse().unwrap());
        let answer = match tokio_tungstenite::connect_async(request).await {
            Ok((_, response)) => response.status().as_u16(),
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => response.status().as_u16(),
            Err(other) => panic!("{other}"),
        };
        assert_eq!(answer, status, "{origin}");
    }
}
