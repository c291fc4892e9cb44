//! Asks the control plane of a server over the network, with the token of an administrator.
//!
//! Rule: a token goes over TLS, to who shows a certificate that this machine trusts, or stays on this machine.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, Uri, header};
use clap::Args;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};
use weir_engine::control::administrators;
use weir_schema::tenant::{EnvironmentName, TenantName};
use zeroize::Zeroizing;

use super::{Failure, private_file};
use crate::tenants::choose::ENVIRONMENT;

/// The longest that an answer may take: a server compiles and loads what it is to serve.
const PATIENCE: Duration = Duration::from_secs(300);
/// The largest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// The largest file of a token, in bytes.
const TOKEN_FILE_BYTES_MAX: usize = 4 << 10;

/// To be flattened into the arguments of a command that may be about a server elsewhere.
#[derive(Debug, Args)]
pub struct RemoteArguments {
    /// A server elsewhere, such as https://api.example.com, in place of a data folder.
    #[arg(long, value_name = "URL", requires = "token_file", conflicts_with_all = ["data", "config"])]
    server: Option<Uri>,
    /// The token of an administrator with the permission that it needs, in a file that only you can read.
    #[arg(long, value_name = "FILE", requires = "server")]
    token_file: Option<PathBuf>,
}

impl RemoteArguments {
    /// The server elsewhere, if one is named, and the environment that is asked there.
    pub fn remote(&self, env: Option<&EnvironmentName>) -> Result<Option<Remote>, Failure> {
        let named = self.server.as_ref().zip(self.token_file.as_ref());
        let remote = named.map(|(server, token_file)| Remote::of(server, token_file)).transpose()?;
        Ok(remote.map(|remote| remote.at(env)))
    }
}

/// A server, and whose token is shown to it.
pub struct Remote {
    uri: Uri,
    host: String,
    token: Zeroizing<String>,
    env: Option<EnvironmentName>,
}

impl Remote {
    /// The server at `https://HOST[:PORT]`, and the token in a file that only its owner can read.
    pub fn of(server: &Uri, token_file: &Path) -> Result<Self, Failure> {
        let host = server.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let is_here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        match server.scheme_str() {
            Some("https") => {}
            Some("http") if is_here => {}
            Some("http") => {
                let reason = format!("{server} would have your token sent in the clear: name it with https://");
                return Err(Failure::because(reason));
            }
            _ => {
                return Err(Failure::because(format!(
                    "{server} is no server: name one such as https://api.example.com"
                )));
            }
        }
        let failure = |error: &dyn std::fmt::Display| Failure::because(format!("{} {error}", token_file.display()));
        let bytes = private_file::read(token_file, TOKEN_FILE_BYTES_MAX).map_err(|error| failure(&error))?;
        let token = std::str::from_utf8(&bytes).map_err(|_| failure(&"is not text"))?.trim();
        Ok(Self { uri: server.clone(), host, token: Zeroizing::new(token.to_owned()), env: None })
    }

    /// The same in an environment of the app; `None`: the app itself.
    pub fn at(self, env: Option<&EnvironmentName>) -> Self {
        Self { env: env.cloned(), ..self }
    }

    /// The tenant whose control plane the token is of; `None`: the server's own.
    pub fn tenant(&self) -> Option<TenantName> {
        administrators::instance_of(&self.token).and_then(|name| name.tenant().cloned())
    }

    /// The data of the answer to a request.
    pub async fn ask(&self, query: &str, variables: Value) -> Result<Value, Failure> {
        let unreachable = |error: &dyn std::fmt::Display| Failure::because(format!("{}: {error}", self.uri));
        let answer = tokio::time::timeout(PATIENCE, self.exchange(query, variables)).await;
        let late = |_| unreachable(&format!("no answer within {PATIENCE:?}"));
        let text = answer.map_err(late)?.map_err(|error| unreachable(&error))?;
        let mut answer: Value =
            serde_json::from_slice(&text).map_err(|_| unreachable(&"this is not the control plane of weir serve"))?;
        match answer.pointer("/errors/0/message").and_then(Value::as_str) {
            Some(message) => Err(Failure::because(message)),
            None => Ok(answer.get_mut("data").map(Value::take).unwrap_or_default()),
        }
    }

    async fn exchange(
        &self,
        query: &str,
        variables: Value,
    ) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        let is_tls = self.uri.scheme_str() == Some("https");
        let port = self.uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let stream = TcpStream::connect((self.host.as_str(), port)).await?;
        if !is_tls {
            return self.over(stream, query, variables).await;
        }
        let reading = tokio::task::spawn_blocking(authorities);
        let config =
            reading.await?.ok_or("this machine has no certificates of authorities: name some with SSL_CERT_FILE")?;
        let name = ServerName::try_from(self.host.clone())?;
        self.over(TlsConnector::from(config).connect(name, stream).await?, query, variables).await
    }

    async fn over(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        query: &str,
        variables: Value,
    ) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // What goes wrong on it is told by the request too.
        let connection = tokio::spawn(async move { connection.await.unwrap_or_default() });
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        let bearer = Zeroizing::new(format!("Bearer {}", self.token.as_str()));
        let mut authorization = header::HeaderValue::from_str(&bearer)?;
        authorization.set_sensitive(true);
        let mut request = Request::post("/admin/graphql")
            .header(header::HOST, authority)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, authorization)
            .body(Body::from(json!({ "query": query, "variables": variables }).to_string()))?;
        if let Some(env) = &self.env {
            request.headers_mut().insert(ENVIRONMENT, header::HeaderValue::from_str(env.as_str())?);
        }
        let response = sender.send_request(request).await?;
        let body = to_bytes(Body::new(response.into_body()), ANSWER_BYTES_MAX).await?;
        connection.abort();
        Ok(body.to_vec())
    }
}

/// The certificates that the machine trusts; `None` if there are none.
fn authorities() -> Option<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    let (good, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if good == 0 {
        return None;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().ok()?;
    Some(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}
