//! HTTPS: versions, protocols, certificates that are exchanged, files that are of no use. The certificates are made as the
//! test runs.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Version};
use expect_test::expect;
use futures_util::{SinkExt, StreamExt};
use http_body_util::BodyExt;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use weir::ServerOptions;
use weir::http::options::ConnectionOptions;
use weir::http::tls::{Tls, TlsFiles};
use weir_sandbox::pool::PoolOptions;

use crate::app::App;
use crate::wire::{PATIENCE, Wire};

/// A certificate for `localhost`.
struct Certificate {
    text: String,
    bytes: CertificateDer<'static>,
    key: String,
}

impl Certificate {
    fn new() -> Self {
        let (params, key) =
            (CertificateParams::new(vec!["localhost".to_owned()]).unwrap(), KeyPair::generate().unwrap());
        let certificate = params.self_signed(&key).unwrap();
        Self { text: certificate.pem(), bytes: certificate.der().clone(), key: key.serialize_pem() }
    }

    fn write(&self, files: &TlsFiles) {
        fs::write(&files.certificate, &self.text).unwrap();
        fs::write(&files.key, &self.key).unwrap();
    }
}

fn files(folder: &TempDir) -> TlsFiles {
    TlsFiles { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") }
}

async fn start(files: TlsFiles, options: ServerOptions) -> App {
    App::start_over(Some(Tls::read(files).unwrap()), PoolOptions::default(), options).await
}

/// Shakes hands with a server of which these certificates are trusted.
async fn connect(
    address: SocketAddr,
    trusted: &[&Certificate],
    version: &'static SupportedProtocolVersion,
    protocols: &[&[u8]],
) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    for certificate in trusted {
        roots.add(certificate.bytes.clone()).unwrap();
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_protocol_versions(&[version]).unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let shaken = timeout(PATIENCE, TlsConnector::from(Arc::new(config)).connect(name, stream)).await;
    shaken.expect("the handshake ends").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_carry_both_protocols_and_web_sockets() {
    let (folder, certificate) = (tempfile::tempdir().unwrap(), Certificate::new());
    certificate.write(&files(&folder));
    let app = start(files(&folder), ServerOptions::default()).await;
    for version in [&TLS12, &TLS13] {
        let stream = connect(app.address, &[&certificate], version, &[b"h2", b"http/1.1"]).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (mut send, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::get("https://localhost/healthz").body(Body::empty()).unwrap();
        let answer = send.send_request(request).await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "ok\n");

        let stream = connect(app.address, &[&certificate], version, &[b"http/1.1"]).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let (mut send, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::get("/graphiql/graphiql-3.9.0.min.js").header("host", "localhost");
        let answer = send.send_request(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes().len(), 977_984);

        let stream = connect(app.address, &[&certificate], version, &[]).await;
        let mut request = "wss://localhost/graphql".into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
        let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
        socket.send(Message::text(r#"{"type":"connection_init"}"#)).await.unwrap();
        let answer = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(answer.into_text().unwrap().as_str(), r#"{"type":"connection_ack"}"#);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_has_its_time() {
    let (folder, certificate) = (tempfile::tempdir().unwrap(), Certificate::new());
    certificate.write(&files(&folder));
    let connection =
        ConnectionOptions { handshake_timeout: Duration::from_millis(300), ..ConnectionOptions::default() };
    let app = start(files(&folder), ServerOptions { connection, ..ServerOptions::default() }).await;
    assert!(Wire::to(app.address).await.is_closed().await);
    // Who does not speak TLS is not answered in the clear.
    let mut plain = Wire::to(app.address).await;
    plain.get("/healthz", "").await;
    plain.read_to_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_exchanged_while_the_server_runs() {
    let (folder, old, new) = (tempfile::tempdir().unwrap(), Certificate::new(), Certificate::new());
    let files = files(&folder);
    old.write(&files);
    let options = ServerOptions { certificate_interval: Duration::from_millis(20), ..ServerOptions::default() };
    let app = start(files.clone(), options).await;
    let shown = async || {
        let stream = connect(app.address, &[&old, &new], &TLS13, &[]).await;
        stream.get_ref().1.peer_certificates().unwrap()[0].clone()
    };
    assert_eq!(shown().await, old.bytes);
    // What is of no use is not shown, nor is the old one given up.
    fs::write(&files.certificate, "nothing").unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(shown().await, old.bytes);
    fs::write(&files.key, &new.key).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(shown().await, old.bytes);
    new.write(&files);
    let exchanged = async {
        while shown().await != new.bytes {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, exchanged).await.expect("the new certificate is shown");
}

#[test]
fn files_of_no_use_are_told() {
    let (folder, one, other) = (tempfile::tempdir().unwrap(), Certificate::new(), Certificate::new());
    let files = files(&folder);
    let mut told = String::new();
    let mut tell = |certificate: Option<&str>, key: Option<&str>| {
        for (file, text) in [(&files.certificate, certificate), (&files.key, key)] {
            let _ = fs::remove_file(file);
            if let Some(text) = text {
                fs::write(file, text).unwrap();
            }
        }
        let error = Tls::read(files.clone()).err().unwrap().to_string();
        told.push_str(&error.replace(folder.path().to_str().unwrap(), "DIR"));
        told.push('\n');
    };
    tell(None, None);
    tell(Some(&one.text), None);
    tell(Some(""), Some(&one.key));
    tell(Some(&one.key), Some(&one.key));
    tell(Some(&one.text), Some(&one.text));
    tell(Some(&one.text), Some(&other.key));
    tell(Some(&one.text[..100]), Some(&one.key));
    tell(Some(&one.text), Some("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"));
    expect![[r#"
        cannot read DIR/cert.pem: No such file or directory (os error 2)
        cannot read DIR/key.pem: No such file or directory (os error 2)
        DIR/cert.pem holds no certificate: it must be PEM text with BEGIN CERTIFICATE
        DIR/cert.pem holds no certificate: it must be PEM text with BEGIN CERTIFICATE
        DIR/key.pem holds no private key: it must be PEM text with BEGIN PRIVATE KEY
        the key in DIR/key.pem is not that of the certificate in DIR/cert.pem: name the one that it was made with
        DIR/cert.pem begins as PEM text and does not go on so: it may have been cut
        the certificate in DIR/cert.pem and the key in DIR/key.pem cannot be used: unexpected error: failed to parse private key as RSA, ECDSA, or EdDSA
    "#]].assert_eq(&told);
}
