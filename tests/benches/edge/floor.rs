//! The least that a server of this kind has to do, on the same HTTP library as Weir: it takes the request's JSON apart, computes
//! and writes the answer; and it greets WebSockets. No document is read, no function runs, no type is checked.
//!
//! It is a process of its own, as the others are.

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Of a WebSocket, as Weir has it. The library's own would be 128 KiB for reading, of which most lies idle.
const BUFFER_BYTES: usize = 4 << 10;

/// What this program is told to be this server.
pub const ARGUMENT: &str = "floor";

/// Serves until it is killed. It says where on stdout.
pub fn run() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("listening on http://{}", listener.local_addr().unwrap());
        axum::serve(listener, Router::new().route("/graphql", post(total).get(greet))).await.unwrap();
    });
}

async fn total(Json(request): Json<Value>) -> Json<Value> {
    let variables = &request["variables"];
    let items = variables["items"].as_array().unwrap();
    let amount = |item: &Value| item["price"].as_f64().unwrap() * item["quantity"].as_f64().unwrap();
    let net: f64 = items.iter().map(amount).sum();
    let tax = net * variables["rate"].as_f64().unwrap();
    Json(json!({ "data": { "total": { "net": net, "tax": tax, "gross": net + tax } } }))
}

async fn greet(upgrade: WebSocketUpgrade) -> axum::response::Response {
    let upgrade = upgrade.read_buffer_size(BUFFER_BYTES).write_buffer_size(BUFFER_BYTES);
    upgrade.protocols(["graphql-transport-ws"]).on_upgrade(hold)
}

/// Acknowledges whatever comes, until the socket ends.
async fn hold(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        let ack = Message::text(r#"{"type":"connection_ack"}"#);
        if matches!(message, Message::Text(_)) && socket.send(ack).await.is_err() {
            return;
        }
    }
}
