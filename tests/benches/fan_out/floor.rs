//! The least that a server has to do: it holds one value in memory and writes it to each subscription of each socket, with
//! one system call per socket. No function runs, nothing is stored, no document is read.
//!
//! It is a process of its own, as the others are: each may have only so many files open.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::watch;
use tungstenite::handshake::derive_accept_key;

use crate::frames::{Connection, Opcode, Side, put};
use crate::servers::{POINTS_FIRST, board};

/// What this program is told to be this server.
pub const ARGUMENT: &str = "floor";

/// Serves until it is killed. It says where on stdout.
pub fn run() {
    let runtime = Builder::new_current_thread().enable_io().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("listening on {}", listener.local_addr().unwrap());
        let (value, _) = watch::channel(Arc::from(board(POINTS_FIRST)));
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // The end of a socket is an error of reading, and no more.
            let value = value.clone();
            tokio::spawn(async move { serve(stream, value).await.ok() });
        }
    });
}

async fn serve(stream: TcpStream, value: watch::Sender<Arc<str>>) -> std::io::Result<()> {
    let mut connection = Connection::of(stream);
    let head = connection.head().await?;
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim().to_owned())
    });
    let accept = derive_accept_key(key.unwrap_or_default().as_bytes());
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-protocol: graphql-transport-ws\r\nsec-websocket-accept: {accept}\r\n\r\n"
    );
    connection.write(response.as_bytes()).await?;
    let (mut changes, mut subscriptions, mut out) = (value.subscribe(), Vec::new(), Vec::new());
    loop {
        while let Some((opcode, payload)) = connection.frame() {
            if opcode == Opcode::Text {
                answer(&serde_json::from_slice(payload)?, &value, &mut subscriptions, &mut out);
            }
        }
        connection.write(&out).await?;
        out.clear();
        tokio::select! {
            read = connection.read() => read?,
            changed = changes.changed() => {
                if changed.is_err() {
                    return Ok(());
                }
                let value = changes.borrow_and_update().clone();
                subscriptions.iter().for_each(|id| next(id, &value, &mut out));
            }
        }
    }
}

fn answer(message: &Value, value: &watch::Sender<Arc<str>>, subscriptions: &mut Vec<String>, out: &mut Vec<u8>) {
    if message["type"] == "connection_init" {
        return put(Side::Server, Opcode::Text, br#"{"type":"connection_ack"}"#, out);
    }
    let Some(id) = message["id"].as_str() else { return };
    let payload = &message["payload"];
    if let Some(new) = payload["variables"]["points"].as_u64() {
        value.send_replace(board(new).into());
        return next(id, &json!({ "score": new }).to_string(), out);
    }
    subscriptions.push(id.to_owned());
    next(id, &value.borrow(), out);
}

fn next(id: &str, data: &str, out: &mut Vec<u8>) {
    let message = format!(r#"{{"id":"{id}","type":"next","payload":{{"data":{data}}}}}"#);
    put(Side::Server, Opcode::Text, message.as_bytes(), out);
}
