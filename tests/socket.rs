//! A WebSocket that speaks `graphql-transport-ws`, as small as can be.

use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, Message, WebSocket, client};

use crate::weir::PATIENCE;

/// A socket after its handshake.
pub struct Socket(WebSocket<TcpStream>);

impl Socket {
    /// Opens one to a server at `http://HOST:PORT`.
    pub fn open(url: &str) -> Self {
        Self::over(TcpStream::connect(url.trim_start_matches("http://")).unwrap(), url).unwrap()
    }

    /// The same over a connection to it. An error says why it does not open: the server may be gone.
    pub fn over(stream: TcpStream, url: &str) -> Result<Self, String> {
        let (socket, answer) = Self::with_init(stream, url, &json!({ "type": "connection_init" }))?;
        assert_eq!(answer, r#"{"type":"connection_ack"}"#);
        Ok(socket)
    }

    /// Opens one with this payload of its first message; with the answer to that.
    pub fn showing(url: &str, payload: &Value) -> Result<(Self, Value), String> {
        let stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
        let init = json!({ "type": "connection_init", "payload": payload });
        let (socket, answer) = Self::with_init(stream, url, &init)?;
        Ok((socket, serde_json::from_str(&answer).unwrap()))
    }

    fn with_init(stream: TcpStream, url: &str, init: &Value) -> Result<(Self, String), String> {
        Self::at(stream, url.trim_start_matches("http://"), None, init)
    }

    /// Opens one over a connection, for a host and with a token in the upgrade; with the answer to its first message.
    pub fn at(stream: TcpStream, host: &str, token: Option<&str>, init: &Value) -> Result<(Self, String), String> {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut request = format!("ws://{host}/graphql").into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
        if let Some(token) = token {
            request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let (socket, _) =
            client::client_with_config(request, stream, Some(config)).map_err(|error| error.to_string())?;
        let mut socket = Self(socket);
        socket.try_send(init)?;
        let answer = socket.message()?;
        Ok((socket, answer))
    }

    /// Sends a message of the protocol.
    pub fn send(&mut self, message: &Value) {
        self.try_send(message).unwrap();
    }

    /// The same, on a socket whose server may be gone.
    pub fn try_send(&mut self, message: &Value) -> Result<(), String> {
        self.0.send(Message::text(message.to_string())).map_err(|error| error.to_string())
    }

    /// The next message of the protocol, or why there is none.
    pub fn message(&mut self) -> Result<String, String> {
        self.0.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
        self.read().map_err(|error| error.to_string())
    }

    /// The next message of the protocol, if it comes within this time. What has come of one until then is kept.
    pub fn message_within(&mut self, patience: Duration) -> Result<Option<String>, String> {
        self.0.get_ref().set_read_timeout(Some(patience)).unwrap();
        match self.read() {
            Ok(text) => Ok(Some(text)),
            Err(Error::Io(error)) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    fn read(&mut self) -> Result<String, Error> {
        loop {
            match self.0.read()? {
                Message::Text(text) => return Ok(text.to_string()),
                Message::Ping(_) => self.0.flush()?,
                Message::Pong(_) => {}
                other => return Err(Error::Io(io::Error::other(format!("{other:?}")))),
            }
        }
    }
}
