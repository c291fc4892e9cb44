//! TLS 1.2 and 1.3 with the certificate and the key of two files, which are read again when they change.
//!
//! Rule: what is in the files when the server starts is good, or it does not start. Later what is not good is told in the log,
//! and the last that was goes on being shown.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::time::{Instant, interval_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, InconsistentKeys, ServerConfig};
use zeroize::{Zeroize, Zeroizing};

/// What is spoken inside, the best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Where the certificate and its key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM text: the certificate of the server, then those that lead to an authority.
    pub certificate: PathBuf,
    /// PEM text: the private key of the first of them.
    pub key: PathBuf,
}

/// Why the files are of no use.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The system does not give it out.
    #[error("cannot read {}: {error}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is no such thing in it.
    #[error("{} holds no {what}: it must be PEM text with {label}", file.display())]
    Missing {
        /// The file.
        file: PathBuf,
        /// What is looked for.
        what: &'static str,
        /// How it begins.
        label: &'static str,
    },
    /// It begins as PEM text and goes on otherwise.
    #[error("{} begins as PEM text and does not go on so: it may have been cut", .0.display())]
    Malformed(PathBuf),
    /// They do not belong together.
    #[error("the key in {} is not that of the certificate in {}: name the one that it was made with", .0.key.display(), .0.certificate.display())]
    Mismatch(TlsFiles),
    /// They cannot be used.
    #[error("the certificate in {} and the key in {} cannot be used: {error}", files.certificate.display(), files.key.display())]
    Unusable {
        /// The files.
        files: TlsFiles,
        /// Why.
        error: rustls::Error,
    },
}

/// A certificate that is shown to clients.
pub struct Tls {
    acceptor: TlsAcceptor,
    shown: Arc<Shown>,
    files: TlsFiles,
    /// What was in the files when they were looked at last.
    seen: Contents,
}

/// What is in both files.
#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

/// The certificate for handshakes that begin now.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().clone())
    }
}

impl Tls {
    /// Reads the files. Blocks.
    pub fn read(files: TlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let seen = contents(&files)?;
        let shown = Arc::new(Shown(RwLock::new(Arc::new(certified(&files, &seen)?))));
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|error| TlsError::Unusable { files: files.clone(), error })?;
        let mut config = config.with_no_client_auth().with_cert_resolver(shown.clone());
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), shown, files, seen })
    }

    /// What shakes hands with clients, always with the certificate of the moment.
    pub fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }

    /// Looks at the files every so often. New connections get the new certificate.
    pub async fn follow_files(mut self, every: Duration) {
        let mut looks = interval_at(Instant::now() + every, every);
        loop {
            looks.tick().await;
            let (files, shown) = (self.files.clone(), self.shown.clone());
            let looking = tokio::task::spawn_blocking(move || {
                let told = look(&files, &mut self.seen, &shown);
                (self, told)
            });
            let Ok((looked, told)) = looking.await else { return };
            self = looked;
            match told {
                Ok(Changed::No) => {}
                Ok(Changed::Yes) => tracing::info!("{} is read anew", self.files.certificate.display()),
                Err(error) => tracing::warn!("the certificate stays as it was: {error}"),
            }
        }
    }
}

/// Whether another certificate is shown than before.
enum Changed {
    Yes,
    No,
}

/// One look at the files. The same mistake is told once.
fn look(files: &TlsFiles, seen: &mut Contents, shown: &Shown) -> Result<Changed, TlsError> {
    let now = match contents(files) {
        Ok(now) => now,
        Err(error) => {
            // While it is being exchanged a file may not be there.
            tracing::debug!("{error}");
            return Ok(Changed::No);
        }
    };
    if now == *seen {
        return Ok(Changed::No);
    }
    *seen = now;
    let certified = certified(files, seen)?;
    *shown.0.write() = Arc::new(certified);
    Ok(Changed::Yes)
}

fn contents(files: &TlsFiles) -> Result<Contents, TlsError> {
    let read = |file: &Path| fs::read(file).map_err(|error| TlsError::Unreadable { file: file.to_owned(), error });
    Ok(Contents { certificate: read(&files.certificate)?, key: Zeroizing::new(read(&files.key)?) })
}

fn certified(files: &TlsFiles, contents: &Contents) -> Result<CertifiedKey, TlsError> {
    let chain = CertificateDer::pem_slice_iter(&contents.certificate).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|_| TlsError::Malformed(files.certificate.clone()))?;
    if chain.is_empty() {
        let file = files.certificate.clone();
        return Err(TlsError::Missing { file, what: "certificate", label: "BEGIN CERTIFICATE" });
    }
    let mut key = PrivateKeyDer::from_pem_slice(&contents.key).map_err(|error| {
        let file = files.key.clone();
        match error {
            pem::Error::NoItemsFound => TlsError::Missing { file, what: "private key", label: "BEGIN PRIVATE KEY" },
            _ => TlsError::Malformed(file),
        }
    })?;
    let unusable = |error| TlsError::Unusable { files: files.clone(), error };
    // What is taken out of the text is wiped; the library keeps what it signs with.
    let signing = ring::sign::any_supported_type(&key);
    key.zeroize();
    let certified = CertifiedKey::new(chain, signing.map_err(unusable)?);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) => Err(TlsError::Mismatch(files.clone())),
        Err(error) => Err(unusable(error)),
    }
}
