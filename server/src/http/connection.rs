//! Which connection a request came by: its calls wait in a line of their own.

use std::io;

use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::http::Extensions;
use axum::serve::{IncomingStream, Listener};
use tokio::net::{TcpListener, TcpStream};
use weir_engine::origin::Connection;

/// Numbers the connections that it accepts.
pub struct Numbering {
    listener: TcpListener,
    accepted: u64,
}

/// A connection that was accepted.
#[derive(Debug, Clone, Copy)]
pub struct Accepted(Connection);

impl Numbering {
    /// The first is number 1.
    pub fn of(listener: TcpListener) -> Self {
        Self { listener, accepted: 0 }
    }
}

impl Listener for Numbering {
    type Io = TcpStream;
    type Addr = Accepted;

    async fn accept(&mut self) -> (TcpStream, Accepted) {
        let (stream, _) = Listener::accept(&mut self.listener).await;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("TCP_NODELAY: {error}");
        }
        self.accepted += 1;
        (stream, Accepted(Connection(self.accepted)))
    }

    /// No peer of ours: number 0.
    fn local_addr(&self) -> io::Result<Accepted> {
        self.listener.local_addr().map(|_| Accepted(Connection::default()))
    }
}

impl Connected<IncomingStream<'_, Numbering>> for Accepted {
    fn connect_info(stream: IncomingStream<'_, Numbering>) -> Self {
        *stream.remote_addr()
    }
}

/// The connection of a request. All that come by no listener of ours are one.
pub fn of(extensions: &Extensions) -> Connection {
    extensions.get::<ConnectInfo<Accepted>>().map_or(Connection::default(), |ConnectInfo(accepted)| accepted.0)
}
