//! Each line of PROTOCOL.md that obliges a server, over raw sockets.

use std::time::Duration;

use expect_test::expect;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use weir::ServerOptions;
use weir::http::options::SocketOptions;
use weir::http::origin::Origins;

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
    for offered in ["graphql-transport-ws", "graphql-ws, graphql-transport-ws", "graphql-transport-ws,soap, graphql-ws"]
    {
        let mut request = format!("ws://{}/graphql", app.address).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", offered.parse().unwrap());
        let (_, response) = tokio_tungstenite::connect_async(request).await.unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], "graphql-transport-ws", "{offered}");
    }
    // A client of none of them is told why: it looks for a close code, not for a status.
    assert_eq!(app.other_protocols("graphql-ws, soap").await, "close 4406 Subprotocol not acceptable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_may_keep_to_a_range_of_versions() {
    let app = App::start().await;
    let table = [
        (json!({ "release": "^1", "visitor": "v1" }), r#"{"type":"connection_ack"}"#),
        (json!({ "release": null }), r#"{"type":"connection_ack"}"#),
        (json!({ "release": "^9" }), "close 4400 Invalid message: x-weir-release: no release is ^9"),
        (json!({ "release": 1 }), "close 4400 Invalid message: its release must be a string"),
        (
            json!({ "release": "newest" }),
            "close 4400 Invalid message: x-weir-release: \"newest\" is no range of versions: write one such as ^1, ~1.4 or =1.4.0",
        ),
        (
            json!({ "visitor": "a b" }),
            "close 4400 Invalid message: x-weir-visitor is 1 to 128 visible ASCII characters, such as a random id that the client keeps",
        ),
    ];
    for (payload, said) in table {
        let mut socket = app.socket(PROTOCOL).await;
        socket.send(json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(socket.next().await, said, "{payload}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_may_carry_a_payload() {
    let app = App::start().await;
    for payload in [json!(null), json!({}), json!({ "user": "x", "deep": [{}] })] {
        let mut socket = app.socket(PROTOCOL).await;
        socket.send(json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(socket.next().await, r#"{"type":"connection_ack"}"#, "{payload}");
    }
    // What is shown as a token has to be one, whoever else would be let in.
    let table = [
        (
            json!({ "token": "x" }),
            "close 4403 Forbidden: the token cannot be read: it has three parts with dots between",
        ),
        (json!({ "token": 1 }), "close 4400 Invalid message: it has one token, a string"),
        (
            json!({ "token": "x", "Authorization": "Bearer x" }),
            "close 4400 Invalid message: it has one token, a string",
        ),
        (
            json!({ "authorization": "Basic YTpi" }),
            "close 4403 Forbidden: send one header Authorization: Bearer, and the token after it",
        ),
    ];
    for (payload, close) in table {
        let mut socket = app.socket(PROTOCOL).await;
        socket.send(json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(socket.next().await, close, "{payload}");
    }
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
    let ping = json!({ "type": "ping", "payload": { "text": "x".repeat(4 << 10) } }).to_string();
    let table = [
        "hello",
        "[]",
        "{}",
        r#"{"type":1}"#,
        &long,
        r#"{"type":"connection_ack"}"#,
        r#"{"type":"ping","payload":1}"#,
        &ping,
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
        close 4400 Invalid message: its payload is too long
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

fn subscribe(id: &str, query: &str) -> Value {
    json!({ "id": id, "type": "subscribe", "payload": { "query": query } })
}

// On one thread, so that no query has ended before what came with it has been read.
#[tokio::test]
async fn an_id_of_a_query_that_runs_is_in_use() {
    let app = App::start().await;
    let mut session = app.session().await;
    session.send_together(&[subscribe("a", "{ todos { id } }"), subscribe("a", "subscription { todos { id } }")]).await;
    assert_eq!(session.next().await, "close 4409 Subscriber for a already exists");
}

#[tokio::test]
async fn a_result_is_not_sent_of_what_the_client_has_completed() {
    let app = App::start().await;
    let mut session = app.session().await;
    let complete = json!({ "id": "a", "type": "complete" });
    // The same, begun later: what is sent of the first comes before.
    session.send_together(&[subscribe("a", "{ todos { id } }"), complete, subscribe("b", "{ todos { id } }")]).await;
    assert_eq!(session.next_json().await["id"], "b");
    assert_eq!(session.next_json().await, json!({ "id": "b", "type": "complete" }));
    // The server has completed it too; that the client says so once more is no error.
    session.send(json!({ "id": "b", "type": "complete" })).await;
    session.send(json!({ "type": "ping" })).await;
    assert_eq!(session.next().await, r#"{"type":"pong"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_operations_share_a_socket() {
    let app = App::start().await;
    let mut session = app.session().await;
    session.subscribe("watch", "subscription { picky(most: 9) }").await;
    assert_eq!(session.next_json().await["payload"]["data"]["picky"], 0);
    let payload = json!({
        "query": "query A { todos { id } } mutation B($text: String!) { add(text: $text, kind: to_do) }",
        "operationName": "B", "variables": { "text": "a" }, "extensions": null,
    });
    session.send(json!({ "id": "add", "type": "subscribe", "payload": payload })).await;
    let mut came = Vec::new();
    for _ in 0..3 {
        let message = session.next_json().await;
        came.push(format!("{} {}", message["id"].as_str().unwrap(), message["type"].as_str().unwrap()));
    }
    // The value of the one may come before, between and after the messages of the other.
    came.retain(|message| message != "watch next");
    assert_eq!(came, ["add next", "add complete"]);
    let payload =
        json!({ "query": "{ picky(most: 9) }", "operationName": null, "variables": null, "extensions": null });
    session.send(json!({ "id": "nulls", "type": "subscribe", "payload": payload })).await;
    assert_eq!(session.next_json().await["payload"]["data"]["picky"], 1);
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
async fn little_may_be_sent_before_the_handshake() {
    let app = App::start().await;
    let long = "x".repeat(100_000);
    let mut socket = app.socket(Some("graphql-transport-ws")).await;
    socket.send(json!({ "type": "connection_init", "payload": { "x": long } })).await;
    assert_eq!(socket.next().await, "close 1009 The message is too big");
    // So it is with many that are small.
    let mut socket = app.socket(Some("graphql-transport-ws")).await;
    for _ in 0..8 {
        socket.send(json!({ "type": "ping" })).await;
        assert_eq!(socket.next().await, r#"{"type":"pong"}"#);
    }
    socket.send(json!({ "type": "ping" })).await;
    assert_eq!(socket.next().await, "close 4429 Too many messages");
    // Afterwards neither counts.
    let mut session = app.session().await;
    for _ in 0..20 {
        session.send(json!({ "type": "ping" })).await;
        assert_eq!(session.next().await, r#"{"type":"pong"}"#);
    }
    let request = json!({ "query": "{ __typename }", "extensions": { "x": long } });
    session.send(json!({ "id": "1", "type": "subscribe", "payload": request })).await;
    assert_eq!(session.next_json().await["payload"]["data"]["__typename"], "Query");
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
    let origins = Origins::and(vec!["https://app.example.com".parse().unwrap()]);
    let app = App::start_with(ServerOptions { origins, ..ServerOptions::default() }).await;
    let table = [("https://evil.example", 403), ("http://localhost:3000", 101), ("https://app.example.com", 101)];
    for (origin, status) in table {
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
