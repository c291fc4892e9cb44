//! Connections: kept alive, counted, closed for what they wait for, HTTP/2, and how they end when the server stops.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Version};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::time::timeout;
use weir::ServerOptions;
use weir::http::options::ConnectionOptions;

use crate::app::App;
use crate::wire::{PATIENCE, Wire};

/// Long enough that nothing of a test comes near, and short enough that a test sees it pass.
const SHORT: Duration = Duration::from_millis(300);
const NEVER: Duration = Duration::from_secs(3600);

const QUERY: &str = "/graphql?query=%7B__typename%7D";
const TYPENAME: &str = r#"{"data":{"__typename":"Query"}}"#;

async fn start(connection: ConnectionOptions) -> App {
    App::start_with(ServerOptions { connection, ..ServerOptions::default() }).await
}

/// Nothing is closed for being quiet.
fn patient() -> ConnectionOptions {
    ConnectionOptions {
        header_timeout: NEVER,
        idle_timeout: NEVER,
        stalled_timeout: NEVER,
        ..ConnectionOptions::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_takes_one_request_after_the_other() {
    let app = start(patient()).await;
    let mut wire = Wire::to(app.address).await;
    for _ in 0..3 {
        wire.get(QUERY, "").await;
        assert_eq!(wire.answer().await.unwrap().text(), TYPENAME);
    }
    // Several at once, and half of one more, are answered in their order.
    let body = r#"{"query":"{ picky(most: 7) }"}"#;
    let post = format!(
        "POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let get = format!("GET {QUERY} HTTP/1.1\r\nHost: a\r\n\r\n");
    wire.send(&format!("{get}{post}GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n{}", &get[..10])).await;
    for expected in [TYPENAME, r#"{"data":{"picky":0}}"#, "ok\n"] {
        assert_eq!(wire.answer().await.unwrap().text(), expected);
    }
    wire.send(&get[10..]).await;
    assert_eq!(wire.answer().await.unwrap().text(), TYPENAME);
    // A client says that it was the last.
    wire.get(QUERY, "Connection: close\r\n").await;
    let last = wire.answer().await.unwrap();
    assert_eq!((last.header("connection"), last.text().as_str()), ("close", TYPENAME));
    assert!(wire.is_closed().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_client_keeps_its_connection_if_it_asks_to() {
    let app = start(patient()).await;
    let mut wire = Wire::to(app.address).await;
    for _ in 0..2 {
        wire.send("GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
        let answer = wire.answer().await.unwrap();
        assert_eq!((answer.header("connection"), answer.text().as_str()), ("keep-alive", "ok\n"));
    }
    wire.send("GET /healthz HTTP/1.0\r\n\r\n").await;
    assert_eq!(wire.answer().await.unwrap().text(), "ok\n");
    assert!(wire.is_closed().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_comes_within_its_time() {
    let app = start(ConnectionOptions { header_timeout: SHORT, ..patient() }).await;
    // Not a byte, a part of a head, and a part of the second.
    assert!(Wire::to(app.address).await.is_closed().await);
    let mut wire = Wire::to(app.address).await;
    wire.send("GET / HTTP/1.1\r\nHost: weir").await;
    assert!(wire.is_closed().await);
    // Not one of HTTP/2 either.
    let mut wire = Wire::to(app.address).await;
    wire.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    wire.read_to_end().await;
    // The first request has to come in that time too.
    let app = start(ConnectionOptions { header_timeout: SHORT * 15, ..patient() }).await;
    let mut wire = Wire::to(app.address).await;
    wire.get(QUERY, "").await;
    assert_eq!(wire.answer().await.unwrap().status, 200);
    wire.send("GET / HTTP/1.1\r\nHost: weir").await;
    assert!(wire.is_closed().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_comes_within_its_time() {
    let options = ServerOptions { body_timeout: SHORT, connection: patient(), ..ServerOptions::default() };
    let app = App::start_with(options).await;
    let mut wire = Wire::to(app.address).await;
    wire.send("POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
        .await;
    assert_eq!(wire.answer().await.unwrap().status, 408);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_requests_is_closed() {
    let app = start(ConnectionOptions { idle_timeout: SHORT, ..patient() }).await;
    let mut wire = Wire::to(app.address).await;
    wire.get(QUERY, "").await;
    assert_eq!(wire.answer().await.unwrap().status, 200);
    assert!(wire.is_closed().await);
    let mut client = Http2::to(&app).await;
    assert_eq!(client.get("/healthz").await, (200, "ok\n".to_owned()));
    client.ended().await;
    // A WebSocket has pings of its own.
    let mut session = app.session().await;
    tokio::time::sleep(SHORT * 4).await;
    session.send(serde_json::json!({ "type": "ping" })).await;
    assert_eq!(session.next().await, r#"{"type":"pong"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_takes_what_it_has_asked_for() {
    let connection = ConnectionOptions { stalled_timeout: SHORT, ..patient() };
    let app = App::start_with(ServerOptions { connection, connections: 1, ..ServerOptions::default() }).await;
    let mut wire = Wire::to(app.address).await;
    // Far more than the operating system keeps for a connection.
    for _ in 0..200 {
        wire.get("/graphiql/graphiql-3.9.0.min.js", "").await;
    }
    // The only place is free again when it was dropped.
    let mut next = Wire::to(app.address).await;
    next.get(QUERY, "").await;
    assert_eq!(next.answer().await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_connections_are_taken_than_there_are_places() {
    let app =
        App::start_with(ServerOptions { connections: 2, connection: patient(), ..ServerOptions::default() }).await;
    let mut wire = Wire::to(app.address).await;
    wire.get(QUERY, "").await;
    assert_eq!(wire.answer().await.unwrap().status, 200);
    // A WebSocket keeps the place that it came with.
    let session = app.session().await;
    let address = app.address;
    let waiting = tokio::spawn(async move {
        let mut third = Wire::to(address).await;
        third.get(QUERY, "").await;
        third.answer().await.unwrap().status
    });
    for _ in 0..20 {
        wire.get(QUERY, "").await;
        assert_eq!(wire.answer().await.unwrap().status, 200);
    }
    assert!(!waiting.is_finished());
    drop(session);
    assert_eq!(waiting.await.unwrap(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_have_a_bound() {
    let app = start(ConnectionOptions { header_bytes: 8 << 10, ..patient() }).await;
    let long = format!("X-Long: {}\r\n", "x".repeat(16 << 10));
    let mut wire = Wire::to(app.address).await;
    wire.get(QUERY, &long).await;
    assert_eq!(wire.answer().await.unwrap().status, 431);
    let mut client = Http2::to(&app).await;
    let request = Request::get("http://weir.test/healthz").header("x-long", "x".repeat(16 << 10));
    let answer = client.send.send_request(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.unwrap().status(), 431);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_http_2_sends_its_requests_side_by_side() {
    let app = start(patient()).await;
    let mut client = Http2::to(&app).await;
    let mut begun = Vec::new();
    for most in 0..20 {
        let body = format!(r#"{{"query":"{{ picky(most: {most}) }}"}}"#);
        let request = Request::post("http://weir.test/graphql").header("content-type", "application/json");
        begun.push(client.send.send_request(request.body(Body::from(body)).unwrap()));
    }
    for answer in begun {
        let answer = answer.await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, r#"{"data":{"picky":0}}"#);
    }
}

/// How a client of HTTP/2 begins: the preface, and no settings.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_http_2_is_told_its_bounds() {
    let app = start(ConnectionOptions { streams: 7, header_bytes: 20_000, ..patient() }).await;
    let mut wire = Wire::to(app.address).await;
    wire.send_bytes(HTTP2).await;
    let head = wire.take(9).await.unwrap();
    assert_eq!(head[3], 4, "settings come first");
    let settings = wire.take(usize::from(head[2])).await.unwrap();
    let setting = |name: u8| {
        let setting = settings.chunks(6).find(|setting| setting[1] == name).unwrap();
        u32::from_be_bytes(setting[2..].try_into().unwrap())
    };
    assert_eq!((setting(3), setting(6)), (7, 20_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_http_2_that_answers_no_ping_is_gone() {
    let app = start(ConnectionOptions { ping_interval: SHORT, ping_timeout: SHORT, ..patient() }).await;
    let mut wire = Wire::to(app.address).await;
    wire.send_bytes(HTTP2).await;
    wire.read_to_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_http_2_may_not_take_back_all_that_it_asks_for() {
    let app = start(ConnectionOptions { resets: 5, ..patient() }).await;
    let mut wire = Wire::to(app.address).await;
    let mut frames = HTTP2.to_vec();
    for request in 0..500_u32 {
        let stream = (request * 2 + 1).to_be_bytes();
        // GET / of the host `a`, at its end; and back.
        frames.extend_from_slice(&[0, 0, 6, 1, 5]);
        frames.extend_from_slice(&stream);
        frames.extend_from_slice(&[0x82, 0x86, 0x84, 0x41, 0x01, b'a']);
        frames.extend_from_slice(&[0, 0, 4, 3, 0]);
        frames.extend_from_slice(&stream);
        frames.extend_from_slice(&[0, 0, 0, 8]);
    }
    wire.send_bytes(&frames).await;
    wire.read_to_end().await;
}

/// A query that takes its time.
const SLOW: &str = r#"
import { query, type Int } from "weir";
export const slow = query((): Int => {
  let sum = 0;
  for (let n = 0; n < 20_000_000; n++) sum = (sum + n) % 1_000;
  return sum;
});
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_query_on_a_web_socket_is_finished_when_the_server_stops() {
    let mut app = start(patient()).await;
    app.activate(SLOW).await;
    let mut session = app.session().await;
    session.subscribe("q", "{ slow }").await;
    session.send(serde_json::json!({ "type": "ping" })).await;
    let mut heard = Vec::new();
    // The server has read what was sent before the ping.
    while !heard.iter().any(|message: &String| message.contains("pong")) {
        heard.push(session.next().await);
    }
    app.stop();
    while heard.last().is_none_or(|message| message != "gone") {
        heard.push(session.next().await);
    }
    heard.retain(|message| !message.contains("pong"));
    let kinds: Vec<&str> =
        heard.iter().map(|message| if message.contains("next") { "next" } else { message }).collect();
    let complete = r#"{"id":"q","type":"complete"}"#;
    assert_eq!(kinds, ["next", complete, "close 1001 The server is stopping", "gone"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_flight_is_finished_when_the_server_stops() {
    let options = ServerOptions { connection: patient(), drain: PATIENCE, ..ServerOptions::default() };
    let mut app = App::start_with(options).await;
    let body = r#"{"query":"{ picky(most: 7) }"}"#;
    let (begin, end) = body.split_at(10);
    let mut wire = Wire::to(app.address).await;
    wire.send(&format!(
        "POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Expect: 100-continue\r\n\r\n",
        body.len()
    ))
    .await;
    // It says so when it reads the body: then the request is in flight.
    assert_eq!(wire.answer().await.unwrap().status, 100);
    wire.send(begin).await;
    let mut idle = Wire::to(app.address).await;
    idle.get(QUERY, "").await;
    assert_eq!(idle.answer().await.unwrap().status, 200);
    let mut client = Http2::to(&app).await;
    let (pieces, rest) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let rest = futures_util::stream::unfold(rest, async |mut rest| Some((rest.recv().await?, rest)));
    let request = Request::post("http://weir.test/graphql").header("content-type", "application/json");
    let answer = client.send.send_request(request.body(Body::from_stream(rest)).unwrap());
    assert_eq!(client.get("/healthz").await.0, 200, "the server has seen what was sent before");

    app.stop();
    assert!(idle.is_closed().await);
    wire.send(end).await;
    let answered = wire.answer().await.unwrap();
    assert_eq!((answered.header("connection"), answered.text().as_str()), ("close", r#"{"data":{"picky":0}}"#));
    assert!(wire.is_closed().await);
    pieces.send(Ok(Bytes::from(body))).await.unwrap();
    drop(pieces);
    let answer = timeout(PATIENCE, answer).await.unwrap().unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), r#"{"data":{"picky":0}}"#);
    client.ended().await;
    timeout(PATIENCE, &mut app.server).await.expect("the server ends").unwrap().unwrap();
    assert!(TcpStream::connect(app.address).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_longer_than_the_drain_is_cut() {
    let options = ServerOptions { connection: patient(), drain: SHORT, ..ServerOptions::default() };
    let mut app = App::start_with(options).await;
    let mut wire = Wire::to(app.address).await;
    wire.send(
        "POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\
         Expect: 100-continue\r\n\r\n",
    )
    .await;
    assert_eq!(wire.answer().await.unwrap().status, 100);
    app.stop();
    timeout(PATIENCE, &mut app.server).await.expect("the server ends").unwrap().unwrap();
    assert!(wire.is_closed().await);
}

/// A connection of a client that speaks HTTP/2 from its first byte on.
struct Http2 {
    send: http2::SendRequest<Body>,
    connection: tokio::task::JoinHandle<()>,
}

impl Http2 {
    async fn to(app: &App) -> Self {
        let stream = TokioIo::new(TcpStream::connect(app.address).await.unwrap());
        let (send, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        Self { send, connection: tokio::spawn(async move { connection.await.unwrap_or_default() }) }
    }

    async fn get(&mut self, path: &str) -> (u16, String) {
        let request = Request::get(format!("http://weir.test{path}")).body(Body::empty()).unwrap();
        let answer = timeout(PATIENCE, self.send.send_request(request)).await.unwrap().unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    /// Waits until the server has closed the connection.
    async fn ended(self) {
        let Self { send, connection } = self;
        timeout(PATIENCE, connection).await.expect("the server closes the connection").unwrap();
        drop(send);
    }
}
