//! The arguments of every command that signs a bundle: with which keys, and what is said of it besides.

use std::path::{Path, PathBuf};

use clap::Args;
use weir_engine::bundle::key::SigningKey;
use weir_engine::bundle::sign::{Terms, sign};
use weir_engine::jobs::Clock;
use weir_schema::duration::parse_ms;
use weir_schema::manifest::Manifest;
use weir_schema::tenant::TenantName;

use super::Failure;
use super::private_file;

/// The largest file of a key, in bytes.
const KEY_FILE_BYTES_MAX: usize = 16 << 10;

/// To be flattened into the arguments of a command.
#[derive(Debug, Args)]
pub struct SigningArguments {
    /// Sign with the key in this file, which only you can read (weir keys generate); may be given several times.
    #[arg(long, value_name = "KEYFILE")]
    key: Vec<PathBuf>,
    /// The place of the bundle among those of the app: the one with the highest number is the newest. [default: the time, in
    /// milliseconds since 1970]
    #[arg(long, value_name = "NUMBER", requires = "key")]
    sequence: Option<u64>,
    /// For how long the bundle may be deployed: a number and a unit, such as 12h or 90d.
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = milliseconds)]
    expires: u64,
}

/// Reads a length of time.
pub fn milliseconds(text: &str) -> Result<u64, String> {
    parse_ms(text).filter(|ms| *ms > 0).ok_or_else(|| "write a number and a unit, such as 12h or 90d".to_owned())
}

impl SigningArguments {
    /// Whether somebody is to sign.
    pub fn has_keys(&self) -> bool {
        !self.key.is_empty()
    }

    /// Signs a bundle of the app with this manifest, for a tenant or the server itself.
    pub fn sign(&self, bundle: &[u8], manifest: &Manifest, tenant: Option<&TenantName>) -> Result<Vec<u8>, Failure> {
        let keys = self.key.iter().map(|file| read_key(file)).collect::<Result<Vec<_>, _>>()?;
        let now_ms = Clock::system().now_ms();
        let sequence = self.sequence.unwrap_or(now_ms);
        let terms = Terms { tenant, sequence, expires_ms: now_ms.saturating_add(self.expires) };
        sign(bundle, manifest, terms, &keys).map_err(Failure::because)
    }
}

/// Reads a private key.
pub fn read_key(file: &Path) -> Result<SigningKey, Failure> {
    let failure = |error: &dyn std::fmt::Display| Failure::because(format!("{} {error}", file.display()));
    let bytes = private_file::read(file, KEY_FILE_BYTES_MAX).map_err(|error| failure(&error))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| failure(&"is not text: give a key as PEM text"))?;
    SigningKey::parse(text).map_err(|error| failure(&error))
}
