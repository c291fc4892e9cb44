//! Where a server listens, with which certificate, and to which pages: from arguments or from `weir.toml`.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use tokio::net::TcpListener;

use super::Failure;
use crate::http::origin::{Origin, Origins, Reach};
use crate::http::tls::{Tls, TlsFiles};

/// Where is listened.
#[derive(Debug)]
pub struct Listening {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// The certificate and its key; `None`: plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Pages that may call from a browser.
    pub allow_origins: Vec<Origin>,
}

/// To be flattened into the arguments of a command.
#[derive(Debug, Args)]
pub struct ListeningArguments {
    /// Where to listen; port 0 picks a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4000")]
    listen: SocketAddr,
    /// Speak HTTPS with the certificate in this file: PEM text, the server's first. Read again when it changes.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The private key of the certificate, PEM text.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Web pages that may call from a browser, such as https://app.example.com; may be given several times. Those of the
    /// server's own host and of this machine may anyway.
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<Origin>,
}

impl From<ListeningArguments> for Listening {
    fn from(arguments: ListeningArguments) -> Self {
        let ListeningArguments { listen, tls_cert, tls_key, allow_origin } = arguments;
        // Each of the two requires the other.
        let tls = tls_cert.zip(tls_key).map(|(certificate, key)| TlsFiles { certificate, key });
        Self { listen, tls, allow_origins: allow_origin }
    }
}

impl Listening {
    /// The certificate; `None`: plain HTTP.
    pub fn tls(&self) -> Result<Option<Tls>, Failure> {
        self.tls.clone().map(Tls::read).transpose().map_err(Failure::because)
    }

    /// The pages that may call from a browser.
    pub fn origins(&self) -> Origins {
        let reach = if self.listen.ip().is_loopback() { Reach::Machine } else { Reach::Anywhere };
        Origins::and(self.allow_origins.clone()).reached_from(reach)
    }

    /// Takes the port.
    pub async fn bind(&self) -> Result<TcpListener, Failure> {
        let listen = self.listen;
        TcpListener::bind(listen).await.map_err(|error| {
            Failure::because(match error.kind() {
                ErrorKind::AddrInUse => format!(
                    "port {} is taken: stop what listens there, or choose another with --listen {}:0",
                    listen.port(),
                    listen.ip()
                ),
                _ => format!("cannot listen on {listen}: {error}"),
            })
        })
    }
}
