//! WebSockets below the messages: frames, closing, pings.

use std::time::Duration;

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};
use weir::ServerOptions;
use weir::http::options::SocketOptions;

use crate::app::App;

const TODOS: &str = "subscription { todos { id } }";

fn frame(payload: &[u8], opcode: Data, is_final: bool) -> Message {
    Message::Frame(Frame::message(payload.to_vec(), OpCode::Data(opcode), is_final))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_may_come_in_frames() {
    let app = App::start().await;
    let mut session = app.session().await;
    let message = json!({ "type": "ping", "payload": { "name": "Zoë" } }).to_string();
    // Each byte by itself, also those of one character.
    let (last, bytes) = message.as_bytes().split_last().unwrap();
    for (place, byte) in bytes.iter().enumerate() {
        let opcode = if place == 0 { Data::Text } else { Data::Continue };
        session.send_raw(frame(&[*byte], opcode, false)).await;
    }
    session.send_raw(frame(&[*last], Data::Continue, true)).await;
    assert_eq!(session.next().await, r#"{"type":"pong","payload":{"name":"Zoë"}}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_of_websocket_closes_the_socket() {
    let init_timeout = Duration::from_secs(60);
    let socket = SocketOptions { message_bytes: 1000, init_timeout, ..SocketOptions::default() };
    let app = App::start_with(ServerOptions { socket, ..ServerOptions::default() }).await;
    let reserved = FrameHeader { rsv1: true, opcode: OpCode::Data(Data::Text), ..FrameHeader::default() };
    let spaces = [b' '; 1001];
    let table = [
        (vec![frame(b"\"\xff\"", Data::Text, true)], "close 1007 The text is not UTF-8"),
        (vec![Message::Frame(Frame::from_payload(reserved, "{}".into()))], "close 1002 Protocol error"),
        (vec![frame(b"{}", Data::Continue, true)], "close 1002 Protocol error"),
        (vec![frame(b"{", Data::Text, false), frame(b"}", Data::Text, true)], "close 1002 Protocol error"),
        (vec![frame(&spaces, Data::Text, true)], "close 1009 The message is too big"),
        (
            vec![frame(&spaces[..600], Data::Text, false), frame(&spaces[..600], Data::Continue, false)],
            "close 1009 The message is too big",
        ),
    ];
    for (frames, expected) in table {
        let mut session = app.session().await;
        for frame in &frames {
            session.send_raw(frame.clone()).await;
        }
        assert_eq!(session.next().await, expected, "{frames:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_closes_is_answered_and_its_operations_end() {
    let app = App::start_with(ServerOptions { subscriptions: 1, ..ServerOptions::default() }).await;
    let mut session = app.session().await;
    session.subscribe("a", TODOS).await;
    assert_eq!(session.next_json().await["type"], "next");
    let normal = CloseFrame { code: CloseCode::Normal, reason: "done".into() };
    session.send_raw(Message::Close(Some(normal))).await;
    assert_eq!(session.next().await, "close 1000 done");
    assert_eq!(session.next().await, "gone");
    let mut other = app.session().await;
    let freed = async {
        loop {
            other.subscribe("b", TODOS).await;
            if other.next_json().await["type"] == "next" {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), freed).await.expect("the place of its subscription is free");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_pings_and_who_answers_stays() {
    let socket = SocketOptions { ping_interval: Duration::from_secs(5), ..SocketOptions::default() };
    let app = App::start_with(ServerOptions { socket, ..ServerOptions::default() }).await;
    let mut session = app.session().await;
    // Reading answers the first; that the second comes shows that it was heard.
    for _ in 0..2 {
        assert_eq!(session.next_raw().await, Some(Message::Ping(Vec::new().into())));
    }
    // A ping of the client is answered with what it carries.
    session.send_raw(Message::Ping("here".into())).await;
    assert_eq!(session.next_raw().await, Some(Message::Pong("here".into())));
    session.send(json!({ "type": "ping" })).await;
    assert_eq!(session.next().await, r#"{"type":"pong"}"#);
}
