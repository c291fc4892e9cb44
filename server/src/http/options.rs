//! Every limit and time of the server, by name.

use std::borrow::Cow;
use std::time::Duration;

use weir_engine::call::Caller;

use super::origin::Origins;
use crate::config::{ProxiesSection, RateSection};

/// How the server behaves. But for the first four and the rates the defaults suit `weir dev` and `weir serve` alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerOptions {
    /// Who somebody is who shows no token.
    pub tokenless: Caller,
    /// Whether there is the query editor.
    pub graphiql: bool,
    /// Whether there is the control plane.
    pub control_plane: bool,
    /// What is said while there is no release.
    pub nothing_served: Cow<'static, str>,
    /// Connections open at one time, WebSockets among them. Who comes when there are as many waits to be accepted.
    pub connections: u32,
    /// Each of them.
    pub connection: ConnectionOptions,
    /// The time between two looks at the files of the certificate, with TLS.
    pub certificate_interval: Duration,
    /// How often somebody may ask.
    pub rate: RateSection,
    /// Who may say for whom a connection or a request is.
    pub proxies: ProxiesSection,
    /// Web pages that may call from a browser, besides those of the server's own host and of its machine.
    pub origins: Origins,
    /// Whether only trusted documents run, whatever the app says.
    pub trusted_documents: bool,
    /// The body of a request, in bytes.
    pub body_bytes: usize,
    /// The bodies of all requests that are being read and answered, in bytes.
    pub bodies_bytes: u64,
    /// How long one may take to come, unless it is an upload.
    pub body_timeout: Duration,
    /// Places in the variables of one request that files go to.
    pub upload_files: usize,
    /// One file of a request, in bytes.
    pub upload_file_bytes: usize,
    /// Uploads of JSON lines running at one time.
    pub uploads: u32,
    /// Each of them.
    pub upload: UploadOptions,
    /// WebSockets open at one time.
    pub sockets: u32,
    /// Subscriptions running at one time, over all sockets and as server-sent events.
    pub subscriptions: u32,
    /// Results that are sent line by line at one time.
    pub json_lines: u32,
    /// How long a client may take none of their lines.
    pub line_timeout: Duration,
    /// Each answer of server-sent events.
    pub events: EventOptions,
    /// Each WebSocket.
    pub socket: SocketOptions,
    /// How long requests in flight may take after the server is told to stop.
    pub drain: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            tokenless: Caller::Developer,
            graphiql: true,
            control_plane: false,
            nothing_served: Cow::Borrowed("no release is active yet"),
            connections: 24_000,
            connection: ConnectionOptions::default(),
            certificate_interval: Duration::from_secs(10),
            rate: RateSection::off(),
            proxies: ProxiesSection::default(),
            origins: Origins::default(),
            trusted_documents: false,
            body_bytes: 16 << 20,
            bodies_bytes: 512 << 20,
            body_timeout: Duration::from_secs(120),
            upload_files: 16,
            upload_file_bytes: 8 << 20,
            uploads: 100,
            upload: UploadOptions::default(),
            sockets: 20_000,
            subscriptions: 20_000,
            json_lines: 64,
            line_timeout: Duration::from_secs(30),
            events: EventOptions::default(),
            socket: SocketOptions::default(),
            drain: Duration::from_secs(10),
        }
    }
}

/// How one connection behaves, whatever comes by it. What is to end after some time ends before that has passed twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionOptions {
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// How long the head of a request may take to come, the first one from when the connection is open.
    pub header_timeout: Duration,
    /// How long a connection may be open without a request.
    pub idle_timeout: Duration,
    /// How long a peer may take nothing of a response that waits to be sent.
    pub stalled_timeout: Duration,
    /// How long a peer may take to answer that the connection is to be closed.
    pub close_timeout: Duration,
    /// The head of a request, in bytes; 8 KiB at least.
    pub header_bytes: usize,
    /// Requests that run on one connection of HTTP/2 at one time.
    pub streams: u32,
    /// Requests that a client of HTTP/2 may take back before they have begun, and those of its that are no requests; past
    /// so many at one time the connection is closed.
    pub resets: usize,
    /// The time between pings of HTTP/2.
    pub ping_interval: Duration,
    /// How long a peer may take to answer one.
    pub ping_timeout: Duration,
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(30),
            // Longer than what stands before a server keeps its connections: who closes first loses no request.
            idle_timeout: Duration::from_secs(75),
            stalled_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_secs(2),
            header_bytes: 64 << 10,
            streams: 100,
            resets: 50,
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
        }
    }
}

/// How one WebSocket behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketOptions {
    /// How long a client may take to send `connection_init`.
    pub init_timeout: Duration,
    /// What a client may send before `connection_init` is answered, in bytes.
    pub init_bytes: usize,
    /// How many messages that may be, pings among them.
    pub init_messages: u32,
    /// The time between pings. A peer that is silent from one ping to the next is dead.
    pub ping_interval: Duration,
    /// How long a peer may take to answer a close frame.
    pub close_timeout: Duration,
    /// How long queries and mutations may take after the server is told to stop. Less than [`ServerOptions::drain`].
    pub grace: Duration,
    /// How long a peer may take nothing while something waits to be sent. It is dropped before this has passed twice.
    pub stalled_timeout: Duration,
    /// A message of a client, in bytes.
    pub message_bytes: usize,
    /// Operations running at one time.
    pub operations: usize,
    /// The id that a client gives an operation, in bytes.
    pub operation_id_bytes: usize,
    /// The payload of a ping, in bytes: it is given back.
    pub ping_bytes: usize,
    /// Answers to pings that wait for a slow client. At this many, no more messages are read until it catches up.
    pub outbox_messages: usize,
    /// Results that wait for a slow client, in bytes. Past so many, no more messages are read and no more values of subscriptions are
    /// put to them until it catches up.
    pub outbox_bytes: usize,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            init_timeout: Duration::from_secs(3),
            init_bytes: 64 << 10,
            init_messages: 8,
            ping_interval: Duration::from_secs(25),
            close_timeout: Duration::from_secs(2),
            grace: Duration::from_secs(5),
            stalled_timeout: Duration::from_secs(30),
            message_bytes: 4 << 20,
            operations: 100,
            operation_id_bytes: 256,
            ping_bytes: 4 << 10,
            outbox_messages: 64,
            outbox_bytes: 8 << 20,
        }
    }
}

/// How one answer of server-sent events behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventOptions {
    /// After so long without an event a comment is sent, so that nothing in between takes the connection for dead.
    pub keep_alive_interval: Duration,
    /// How long a client may take nothing while something waits to be sent. It is dropped before this has passed twice.
    pub stalled_timeout: Duration,
}

impl Default for EventOptions {
    fn default() -> Self {
        Self { keep_alive_interval: Duration::from_secs(15), stalled_timeout: Duration::from_secs(30) }
    }
}

/// How one upload of JSON lines behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadOptions {
    /// A line, in bytes. A longer one is answered with an error.
    pub line_bytes: usize,
    /// The time in which something has to come, and in which something has to be read where there is no more room.
    pub silence: Duration,
    /// Calls that are made before the first of them is answered.
    pub ahead_calls: usize,
    /// What their results have as JSON text, in bytes. One larger result goes alone.
    pub ahead_bytes: u32,
}

impl Default for UploadOptions {
    fn default() -> Self {
        Self { line_bytes: 4 << 20, silence: Duration::from_secs(30), ahead_calls: 256, ahead_bytes: 8 << 20 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `16 MiB`, `20,000`
    fn shown(value: u64, is_bytes: bool) -> String {
        match value {
            _ if is_bytes && value.is_multiple_of(1 << 20) => format!("{} MiB", value >> 20),
            _ if is_bytes => format!("{} KiB", value >> 10),
            1_000.. => format!("{},{:03}", value / 1_000, value % 1_000),
            _ => value.to_string(),
        }
    }

    #[test]
    fn the_page_about_limits_has_the_defaults() {
        let page = include_str!("../../../docs/graphql.md");
        let options = ServerOptions::default();
        let ServerOptions { connection, socket, upload, events, .. } = &options;
        let sizes = [
            ("body_bytes", options.body_bytes as u64),
            ("bodies_bytes", options.bodies_bytes),
            ("upload_file_bytes", options.upload_file_bytes as u64),
            ("upload.line_bytes", upload.line_bytes as u64),
            ("message_bytes", socket.message_bytes as u64),
            ("ping_bytes", socket.ping_bytes as u64),
            ("init_bytes", socket.init_bytes as u64),
            ("outbox_bytes", socket.outbox_bytes as u64),
            ("header_bytes", connection.header_bytes as u64),
        ];
        let counts = [
            ("upload_files", options.upload_files as u64),
            ("uploads", options.uploads.into()),
            ("init_messages", socket.init_messages.into()),
            ("socket_operations", socket.operations as u64),
            ("sockets", options.sockets.into()),
            ("subscriptions", options.subscriptions.into()),
            ("json_lines", options.json_lines.into()),
            ("connections", options.connections.into()),
            ("streams", connection.streams.into()),
            ("resets", connection.resets as u64),
        ];
        let times = [
            ("body_timeout", options.body_timeout),
            ("upload.silence", upload.silence),
            ("stalled_timeout", socket.stalled_timeout),
            ("stalled_timeout", events.stalled_timeout),
            ("stalled_timeout", connection.stalled_timeout),
            ("handshake_timeout", connection.handshake_timeout),
            ("header_timeout", connection.header_timeout),
            ("idle_timeout", connection.idle_timeout),
            ("drain", options.drain),
            ("grace", socket.grace),
        ];
        let sizes = sizes.map(|(name, value)| (name, shown(value, true)));
        let counts = counts.map(|(name, value)| (name, shown(value, false)));
        let times = times.map(|(name, time)| (name, format!("{} s", time.as_secs())));
        for (name, value) in sizes.into_iter().chain(counts).chain(times) {
            let row = format!("| `{name}` | {value} |");
            assert!(page.contains(&row), "docs/graphql.md has no row {row}");
        }
    }
}
