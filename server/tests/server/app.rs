//! A small app, served.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tower::ServiceExt;
use weir::auth::Tokens;
use weir::graphql::Schema;
use weir::http::options::{EventOptions, SocketOptions};
use weir::http::tls::Tls;
use weir::rate::clock::Clock;
use weir::{Server, ServerOptions};
use weir_engine::Engine;
use weir_sandbox::compile::{Sources, compile};
use weir_sandbox::pool::PoolOptions;
use weir_schema::graphql::GraphqlSettings;
use weir_store::{Options, Store};

/// Notes that can be added, listed and failed on.
pub const NOTES: &str = r#"
import { collection, fail, procedure, query, type Doc, type ID, type Int } from "weir";
export interface Note { text: string; kind: "plain" | "to-do" }
export const notes = collection<Note>({ index: ["kind"] });
export const todos = query((): Doc<Note>[] => notes.where("kind", "to-do").all());
export const picky = query((args: { most: Int }): Int => {
  const found = notes.where("kind", "to-do").count();
  if (found > args.most) fail("TOO_MANY", "too many to-dos");
  return found;
});
export const add = procedure((args: { text: string; kind: "plain" | "to-do" }): ID => notes.insert(args).id);
"#;

/// The same, but without `picky` and with another order of `todos`.
pub const NOTES_CHANGED: &str = r#"
import { collection, procedure, query, type Doc, type ID } from "weir";
export interface Note { text: string; kind: "plain" | "to-do" }
export const notes = collection<Note>({ index: ["kind"] });
export const todos = query((): Doc<Note>[] => notes.where("kind", "to-do").all().reverse());
export const add = procedure((args: { text: string; kind: "plain" | "to-do" }): ID => notes.insert(args).id);
"#;

/// A served app. Dropping it leaves its tasks to the runtime's end.
pub struct App {
    pub engine: Engine,
    pub address: SocketAddr,
    pub server: JoinHandle<std::io::Result<()>>,
    pub router: axum::Router,
    stop: Option<oneshot::Sender<()>>,
    _folder: TempDir,
}

impl App {
    /// Serves [`NOTES`], with small bodies.
    pub async fn start() -> Self {
        // However busy the machine is.
        let socket = SocketOptions { init_timeout: Duration::from_secs(60), ..SocketOptions::default() };
        let events = EventOptions { stalled_timeout: Duration::from_secs(600), ..EventOptions::default() };
        Self::start_with(ServerOptions { socket, events, body_bytes: 4096, ..ServerOptions::default() }).await
    }

    pub async fn start_with(options: ServerOptions) -> Self {
        Self::start_on(PoolOptions::default(), options).await
    }

    pub async fn start_on(pool: PoolOptions, options: ServerOptions) -> Self {
        Self::start_over(None, pool, options).await
    }

    pub async fn start_over(tls: Option<Tls>, pool: PoolOptions, options: ServerOptions) -> Self {
        Self::start_by(Clock::system(), tls, pool, options).await
    }

    /// Serves with limits that go by a clock.
    pub async fn start_by(clock: Clock, tls: Option<Tls>, pool: PoolOptions, mut options: ServerOptions) -> Self {
        // What a test says nothing of takes as long as a busy machine needs.
        let (usual, long) = (ServerOptions::default(), Duration::from_secs(60));
        let times = [
            (&mut options.socket.init_timeout, usual.socket.init_timeout),
            (&mut options.socket.grace, usual.socket.grace),
            (&mut options.drain, usual.drain),
        ];
        for (time, usual) in times {
            if *time == usual {
                *time = long;
            }
        }
        weir_sandbox::isolate::prepare_v8();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let store = tokio::task::spawn_blocking(move || Store::open(&path, Options::default())).await.unwrap().unwrap();
        let engine = Engine::start(store, pool).unwrap();
        let server = Server::start_by(clock, engine.clone(), options, Tokens::default());
        let server = match tls {
            Some(tls) => server.with_tls(tls),
            None => server,
        };
        let router = server.router();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ready = server.ready();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(server.serve(listener, async {
            let _ = stopped.await;
        }));
        let app = Self { engine, address, server, router, stop: Some(stop), _folder: folder };
        app.activate(NOTES).await;
        ready.await;
        app
    }

    /// Makes another text of the one module the active release, and waits until its schema is served.
    pub async fn activate(&self, module: &str) {
        self.activate_with("", module).await;
    }

    /// The same with more in its `app.toml`. Its schema has to be another than that of the one before.
    pub async fn activate_with(&self, more: &str, module: &str) {
        self.activate_texts(more, &[("functions/notes.ts", module)]).await;
    }

    /// The same of several files.
    pub async fn activate_texts(&self, more: &str, files: &[(&str, &str)]) {
        let manifest = format!("name = \"notes\"\nversion = \"1.0.0\"\n{more}");
        let texts = [("app.toml", manifest.as_str())].into_iter().chain(files.iter().copied());
        let texts = texts.map(|(path, text)| (path.to_owned(), text.to_owned()));
        let app = compile(&Sources::from_texts(texts)).unwrap();
        let sdl = Schema::build(&app.declarations, &GraphqlSettings::default()).unwrap().sdl;
        self.engine.activate(app).await.unwrap();
        let served = async {
            while self.sdl().await != sdl {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), served).await.expect("the schema is served");
    }

    async fn sdl(&self) -> String {
        let response = self.send(Request::get("/schema.graphql").body(Body::empty()).unwrap()).await;
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        String::from_utf8_lossy(&body).into_owned()
    }

    /// Tells the server to stop.
    pub fn stop(&mut self) {
        drop(self.stop.take());
    }

    pub async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Adds a to-do.
    pub async fn add(&self, text: &str) {
        self.add_note(text, "to-do").await;
    }

    /// Adds a note.
    pub async fn add_note(&self, text: &str, kind: &str) {
        let release = self.engine.releases().borrow().clone().unwrap();
        let caller = weir_engine::call::Caller::Developer;
        let arguments = json!({ "text": text, "kind": kind });
        self.engine.call(&release, &caller, "add", arguments).await.unwrap();
    }

    /// Adds a note that has a text alone.
    pub async fn engine_add(&self) {
        let release = self.engine.releases().borrow().clone().unwrap();
        let caller = weir_engine::call::Caller::Developer;
        self.engine.call(&release, &caller, "add", json!({ "text": "a" })).await.unwrap();
    }

    /// Opens a WebSocket.
    pub async fn socket(&self, subprotocol: Option<&str>) -> Socket {
        let mut request = format!("ws://{}/graphql", self.address).into_client_request().unwrap();
        if let Some(subprotocol) = subprotocol {
            request.headers_mut().insert("sec-websocket-protocol", subprotocol.parse().unwrap());
        }
        Socket { stream: connect_async(request).await.unwrap().0 }
    }

    /// The first message on a WebSocket whose client offers protocols that the server does not speak, and goes on all the same.
    pub async fn other_protocols(&self, offered: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!(
            "GET /graphql HTTP/1.1\r\nhost: weir\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: {offered}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut response = Vec::new();
        while !response.ends_with(b"\r\n\r\n") {
            response.push(stream.read_u8().await.unwrap());
        }
        assert!(response.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&response));
        let stream = MaybeTlsStream::Plain(stream);
        let stream = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
        Socket { stream }.next().await
    }

    /// Whether a WebSocket can be opened.
    pub async fn has_room(&self) -> bool {
        connect_async(format!("ws://{}/graphql", self.address)).await.is_ok()
    }

    /// Opens a WebSocket and shakes hands.
    pub async fn session(&self) -> Socket {
        let mut socket = self.socket(Some("graphql-transport-ws")).await;
        socket.send(json!({ "type": "connection_init" })).await;
        assert_eq!(socket.next().await, r#"{"type":"connection_ack"}"#);
        socket
    }
}

/// A WebSocket of a client.
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Socket {
    pub async fn send(&mut self, message: Value) {
        self.send_raw(Message::text(message.to_string())).await;
    }

    pub async fn send_raw(&mut self, message: Message) {
        // The server may have closed already; what it said is read next.
        let _ = self.stream.send(message).await;
    }

    /// Sends messages so that they come at once.
    pub async fn send_together(&mut self, messages: &[Value]) {
        for message in messages {
            self.stream.feed(Message::text(message.to_string())).await.unwrap();
        }
        self.stream.flush().await.unwrap();
    }

    pub async fn subscribe(&mut self, id: &str, query: &str) {
        self.send(json!({ "id": id, "type": "subscribe", "payload": { "query": query } })).await;
    }

    /// The next message as text, a close as `close CODE REASON`, the end as `gone`.
    pub async fn next(&mut self) -> String {
        let waited = tokio::time::timeout(Duration::from_secs(60), async {
            loop {
                match self.stream.next().await {
                    Some(Ok(Message::Text(text))) => return text.to_string(),
                    Some(Ok(Message::Close(Some(frame)))) => {
                        return format!("close {} {}", u16::from(frame.code), frame.reason);
                    }
                    Some(Ok(Message::Close(None))) => return format!("close {}", u16::from(CloseCode::Status)),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return "gone".into(),
                }
            }
        });
        waited.await.expect("the server sends nothing")
    }

    /// The next message as JSON, without what differs from run to run.
    pub async fn next_json(&mut self) -> Value {
        let text = self.next().await;
        let mut message: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        if let Some(payload) = message.get_mut("payload").and_then(Value::as_object_mut) {
            payload.shift_remove("extensions");
        }
        message
    }

    /// The next frame, whatever it is.
    pub async fn next_raw(&mut self) -> Option<Message> {
        let waited = tokio::time::timeout(Duration::from_secs(60), self.stream.next()).await;
        waited.expect("the server sends nothing")?.ok()
    }

    /// Whether nothing comes for a while.
    pub async fn is_silent(&mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(150), self.stream.next()).await.is_err()
    }
}

/// Whoever has been told that it is ready is answered, also where the release was active before anybody could serve it. On one thread:
/// nothing is done in between but what is waited for.
#[tokio::test]
async fn what_is_ready_answers() {
    weir_sandbox::isolate::prepare_v8();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let store = tokio::task::spawn_blocking(move || Store::open(&path, Options::default())).await.unwrap().unwrap();
    let engine = Engine::start(store, PoolOptions::default()).unwrap();
    let texts = [("app.toml", "name = \"notes\"\nversion = \"1.0.0\"\n"), ("functions/notes.ts", NOTES)];
    let texts = texts.map(|(path, text)| (path.to_owned(), text.to_owned()));
    engine.activate(compile(&Sources::from_texts(texts)).unwrap()).await.unwrap();
    let server = Server::start_by(Clock::system(), engine, ServerOptions::default(), Tokens::default());
    server.ready().await;
    let response = server.router().oneshot(Request::get("/readyz").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
}
