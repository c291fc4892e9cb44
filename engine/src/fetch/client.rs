//! One request over one connection of its own, to an address that was checked.
//!
//! There is no pool, no cookie, no proxy, no cache and no decompression: nothing of one request is there for the next, and
//! nothing of the server's environment changes where it goes.

use std::error::Error;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{self, HeaderValue};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, RootCertStore, crypto};
use url::{Host, Position};
use weir_schema::limits::{FETCH_CONNECT_MS_MAX, FETCH_HEADER_BYTES_MAX, FETCH_HEADERS_MAX};

use super::error::FetchError;
use super::hosts::Target;
use super::request::Outgoing;

/// How certificates are checked. Read once: the authorities do not change while the server runs.
static TLS: OnceCell<Option<Arc<ClientConfig>>> = OnceCell::const_new();

/// A response whose body is still to be read.
pub struct Responding {
    /// Its status and headers.
    pub response: Response<Incoming>,
    /// Reads it. Ends with the value.
    _connection: Connection,
}

/// What reads and writes on a connection. Dropping it closes the connection.
struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sends a request to the first of the addresses that takes a connection.
pub async fn send(target: &Target, addresses: &[SocketAddr], outgoing: &Outgoing) -> Result<Responding, FetchError> {
    let connect_max = Duration::from_millis(FETCH_CONNECT_MS_MAX);
    let late = |_| FetchError::Timeout { host: target.name(), ms: FETCH_CONNECT_MS_MAX };
    let stream = tokio::time::timeout(connect_max, connect(target, addresses)).await.map_err(late)??;
    if !target.tls {
        return exchange(target, stream, outgoing).await;
    }
    let config = TLS.get_or_init(authorities).await.clone().ok_or(FetchError::NoAuthorities)?;
    let name = match &target.host {
        Host::Domain(name) => ServerName::try_from(name.clone()).map_err(|error| no_connection(target, error))?,
        Host::Ipv4(address) => ServerName::from(std::net::IpAddr::from(*address)),
        Host::Ipv6(address) => ServerName::from(std::net::IpAddr::from(*address)),
    };
    let stream = TlsConnector::from(config).connect(name, stream).await;
    exchange(target, stream.map_err(|error| no_handshake(target, &error))?, outgoing).await
}

async fn connect(target: &Target, addresses: &[SocketAddr]) -> Result<TcpStream, FetchError> {
    let mut failure = FetchError::Unknown(target.name());
    for (tried, address) in addresses.iter().enumerate() {
        // What takes no connection must leave time for the others.
        let left = u32::try_from(addresses.len() - tried).unwrap_or(1).max(1);
        let patience = Duration::from_millis(FETCH_CONNECT_MS_MAX) / left;
        match tokio::time::timeout(patience, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failure = no_connection(target, error),
            Err(_) => failure = FetchError::Timeout { host: target.name(), ms: FETCH_CONNECT_MS_MAX },
        }
    }
    Err(failure)
}

fn no_connection(target: &Target, error: impl std::fmt::Display) -> FetchError {
    FetchError::Connect { host: target.name(), because: error.to_string() }
}

/// What is wrong with a certificate is told in words of its own: there is something to do about it.
fn no_handshake(target: &Target, error: &io::Error) -> FetchError {
    let host = target.name();
    match error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(bad)) => match bad {
            CertificateError::UnknownIssuer => FetchError::Authority(host),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                FetchError::CertificateName(host)
            }
            other => FetchError::Certificate { host, because: other.to_string() },
        },
        _ => no_connection(target, error),
    }
}

/// The certificates that the machine trusts; `None` if there are none.
fn authorities() -> impl Future<Output = Option<Arc<ClientConfig>>> + Send {
    let reading = tokio::task::spawn_blocking(|| {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!("certificates of authorities: {error}");
        }
        let mut roots = RootCertStore::empty();
        let (good, _) = roots.add_parsable_certificates(found.certs);
        if good == 0 {
            return None;
        }
        let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .ok()?;
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Some(Arc::new(config))
    });
    async move { reading.await.ok().flatten() }
}

async fn exchange(
    target: &Target,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    outgoing: &Outgoing,
) -> Result<Responding, FetchError> {
    let bad = |error: hyper::Error| unreadable(target, &error);
    let mut builder = http1::Builder::new();
    builder.max_headers(FETCH_HEADERS_MAX).max_buf_size(FETCH_HEADER_BYTES_MAX);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(bad)?;
    // What goes wrong on it is told by the request too.
    let connection = Connection(tokio::spawn(async move { connection.await.unwrap_or_default() }));
    let request = request(target, outgoing)?;
    let response = sender.send_request(request).await.map_err(bad)?;
    Ok(Responding { response, _connection: connection })
}

/// The request as it is sent over a connection to its host.
fn request(target: &Target, outgoing: &Outgoing) -> Result<Request<Full<Bytes>>, FetchError> {
    let url = &outgoing.url;
    let impossible =
        |error: hyper::http::Error| FetchError::Connect { host: target.name(), because: error.to_string() };
    let body = Full::new(outgoing.body.clone().unwrap_or_default());
    let mut request = Request::builder()
        .method(outgoing.method.clone())
        .uri(&url[Position::BeforePath..Position::AfterQuery])
        .body(body)
        .map_err(impossible)?;
    *request.headers_mut() = outgoing.headers.clone();
    let host = HeaderValue::from_str(&url[Position::BeforeHost..Position::AfterPort]);
    request.headers_mut().insert(header::HOST, host.map_err(|error| impossible(error.into()))?);
    request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    if outgoing.body.as_ref().is_some_and(Bytes::is_empty) {
        request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    Ok(request)
}

fn unreadable(target: &Target, error: &hyper::Error) -> FetchError {
    // What is wrong with a body stands behind the error.
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    let is_cut = source.is_some_and(|source| source.kind() == io::ErrorKind::UnexpectedEof);
    let because = match source {
        _ if error.is_parse_too_large() => "its headers are too many or too long".to_owned(),
        _ if error.is_parse() => "it is not HTTP".to_owned(),
        _ if error.is_incomplete_message() || is_cut => "it ends too early".to_owned(),
        Some(source) => source.to_string(),
        None => error.to_string(),
    };
    FetchError::Response { host: target.name(), because }
}

/// Reads a body to its end; `admit` is asked for each part of it.
pub async fn read(
    target: &Target,
    responding: Responding,
    mut admit: impl FnMut(usize) -> Result<(), FetchError>,
) -> Result<Vec<u8>, FetchError> {
    let mut body = responding.response.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|error| unreadable(target, &error))?.into_data() {
            admit(data.len())?;
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}
