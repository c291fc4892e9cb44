//! `[server]`: where is served, from which folder, and how functions run.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use weir_engine::engine::RESULTS_BYTES_MAX;
use weir_sandbox::pool;

use crate::http::origin::Origin;

/// `[server]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerSection {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// The data folder, which the command line names where this does not.
    pub data: Option<PathBuf>,
    /// Where functions run.
    pub isolation: Isolation,
    /// Speak HTTPS.
    pub tls: Option<TlsSection>,
    /// Web pages that may call from a browser, besides those of the server's own host.
    #[serde(deserialize_with = "origins")]
    pub allow_origins: Vec<Origin>,
    /// The file of the encryption keys; those in the environment without.
    pub encryption_keys: Option<PathBuf>,
    /// The file of the app's secrets; those in the environment without.
    pub secrets: Option<PathBuf>,
    /// How much memory kept results may take, roughly, in MiB.
    pub results_mib: usize,
    /// Whether only trusted documents run, whatever the app says.
    pub trusted_documents: bool,
}

impl Default for ServerSection {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 4000)),
            data: None,
            isolation: Isolation::Process,
            tls: None,
            allow_origins: Vec::new(),
            encryption_keys: None,
            secrets: None,
            results_mib: RESULTS_BYTES_MAX >> 20,
            trusted_documents: false,
        }
    }
}

impl ServerSection {
    /// Takes paths for those of this folder.
    pub(super) fn resolve(&mut self, folder: &Path) {
        let tls = self.tls.iter_mut().flat_map(|tls| [&mut tls.certificate, &mut tls.key]);
        let others = [&mut self.data, &mut self.encryption_keys, &mut self.secrets];
        for path in tls.chain(others.into_iter().flatten()) {
            *path = folder.join(&*path);
        }
    }
}

/// `[server.tls]`: files of PEM text, read again when they change.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSection {
    /// The certificate of the server, then those that lead to an authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Where functions run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// In worker processes that are locked down and can be killed.
    Process,
    /// On threads of the server: for those who trust their own code.
    Thread,
}

impl From<Isolation> for pool::Isolation {
    fn from(isolation: Isolation) -> Self {
        match isolation {
            Isolation::Thread => Self::Thread,
            Isolation::Process => Self::Process,
        }
    }
}

fn origins<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Origin>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
}
