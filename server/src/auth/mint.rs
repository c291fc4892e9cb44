//! Tokens for development: a key of the data folder's own, and tokens that are signed with it.
//!
//! Rule: the key is made by the first `weir dev` on a folder, only its owner can read it, and `weir serve` knows nothing of it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Map, Value, json};
use weir_engine::call::TokenKind;
use zeroize::Zeroizing;

use super::keys::{Key, KeySet};
use crate::config::{IssuerSection, Keys, KindOf};

/// `iss` of such tokens.
pub const ISSUER: &str = "weir-dev";
/// `aud` of such tokens.
pub const AUDIENCE: &str = "weir";
/// The claim that says for whom one was made.
const KIND: &str = "kind";
/// The key's file in a data folder.
const FILE: &str = "dev-token-key";
/// The largest key, in bytes.
const KEY_BYTES_MAX: u64 = 1_024;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// The system.
    #[error("the key of development's tokens, {}: {error}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Nobody has started `weir dev` on the folder.
    #[error("{} has no key for tokens yet: start weir dev once", .0.display())]
    None(PathBuf),
    /// Others can read it.
    #[error("{} is open to others: restrict it with chmod 600, or remove it and start weir dev for a new one", .0.display())]
    Open(PathBuf),
    /// Not a key.
    #[error("{} is no key: remove it and start weir dev for a new one", .0.display())]
    NoKey(PathBuf),
    /// The system gives no randomness.
    #[error("the system gives no randomness")]
    Randomness,
}

/// The key of a data folder.
pub struct DevKey {
    pair: Ed25519KeyPair,
}

/// What a token is to say.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// `sub`
    pub subject: String,
    /// For whom.
    pub kind: TokenKind,
    /// `roles`
    pub roles: Vec<String>,
    /// `scope`
    pub scopes: Vec<String>,
    /// Others.
    pub claims: Map<String, Value>,
    /// For how long it is good, in seconds.
    pub expires_s: u64,
}

impl DevKey {
    /// The one of a data folder, made if there is none.
    pub fn open_or_make(data: &Path) -> Result<Self, MintError> {
        match Self::open(data) {
            Err(MintError::None(file)) => {
                let document =
                    Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| MintError::Randomness)?;
                match write_new(&file, document.as_ref()) {
                    // Somebody else was faster.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    written => written.map_err(|error| MintError::File { file, error })?,
                }
                Self::open(data)
            }
            opened => opened,
        }
    }

    /// The one of a data folder.
    pub fn open(data: &Path) -> Result<Self, MintError> {
        let file = data.join(FILE);
        let failed = |error| MintError::File { file: file.clone(), error };
        let opened = match File::open(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(MintError::None(file)),
            opened => opened.map_err(failed)?,
        };
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;

            if opened.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
                return Err(MintError::Open(file));
            }
        }
        let mut document = Zeroizing::new(Vec::with_capacity(KEY_BYTES_MAX as usize));
        opened.take(KEY_BYTES_MAX).read_to_end(&mut document).map_err(failed)?;
        let pair = Ed25519KeyPair::from_pkcs8(&document).map_err(|_| MintError::NoKey(file.clone()))?;
        Ok(Self { pair })
    }

    /// A token, made at a time in milliseconds since 1970.
    pub fn mint(&self, wanted: &Wanted, now_ms: u64) -> Result<String, MintError> {
        let mut id = [0; 16];
        SystemRandom::new().fill(&mut id).map_err(|_| MintError::Randomness)?;
        let made_s = now_ms / 1_000;
        let mut claims = wanted.claims.clone();
        let own = json!({
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": wanted.subject,
            "iat": made_s,
            "exp": made_s.saturating_add(wanted.expires_s),
            "jti": URL_SAFE_NO_PAD.encode(id),
            "roles": wanted.roles,
            "scope": wanted.scopes.join(" "),
            KIND: wanted.kind.name(),
        });
        claims.extend(own.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())));
        let header = json!({ "typ": "JWT", "alg": "EdDSA" });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(&Value::Object(claims)));
        let signature = self.pair.sign(message.as_bytes());
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// What checks its tokens.
    pub fn keys(&self) -> KeySet {
        let decoding = DecodingKey::from_ed_der(self.pair.public_key().as_ref());
        KeySet::of_one(None, Key::fixed(decoding, vec![Algorithm::EdDSA]))
    }

    /// How its tokens are taken.
    pub fn issuer() -> IssuerSection {
        IssuerSection {
            issuer: ISSUER.to_owned(),
            algorithms: vec![Algorithm::EdDSA],
            audience: vec![AUDIENCE.to_owned()],
            keys: Keys::Files(Vec::new()),
            required: Vec::new(),
            roles: vec!["roles".to_owned()],
            scopes: vec!["scope".to_owned()],
            kind: KindOf::Claim(KIND.to_owned()),
            tenant_claim: None,
        }
    }
}

/// Writes a file that only its owner can read, and that was not there.
fn write_new(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;

        options.mode(0o600);
    }
    let mut opened = options.open(file)?;
    let written = opened.write_all(bytes).and_then(|()| opened.sync_all());
    if written.is_err() {
        // Half a key would be in the way of the next start.
        let _ = fs::remove_file(file);
    }
    written
}
