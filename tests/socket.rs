//! A WebSocket that speaks `graphql-transport-ws`, as small as can be.

use std::net::TcpStream;

use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, WebSocket, client};

use crate::weir::PATIENCE;

/// A socket after its handshake.
pub struct Socket(WebSocket<TcpStream>);

impl Socket {
    /// Opens one to a server at `http://HOST:PORT`.
    pub fn open(url: &str) -> Self {
        let address = url.trim_start_matches("http://");
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut request = format!("ws://{address}/graphql").into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let (socket, _) = client::client_with_config(request, stream, Some(config)).unwrap();
        let mut socket = Self(socket);
        socket.send(&json!({ "type": "connection_init" }));
        assert_eq!(socket.message().unwrap(), r#"{"type":"connection_ack"}"#);
        socket
    }

    /// Sends a message of the protocol.
    pub fn send(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string())).unwrap();
    }

    /// The next message of the protocol, or why there is none.
    pub fn message(&mut self) -> Result<String, String> {
        loop {
            match self.0.read().map_err(|error| error.to_string())? {
                Message::Text(text) => return Ok(text.to_string()),
                Message::Ping(_) => self.0.flush().map_err(|error| error.to_string())?,
                Message::Pong(_) => {}
                other => return Err(format!("{other:?}")),
            }
        }
    }
}
