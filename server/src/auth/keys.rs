//! The keys of one issuer, by `kid`.
//!
//! Rule: a key is good for those algorithms that the issuer has pinned and that fit its type, its curve and its own `alg`; and
//! what may be meant by two keys is meant by none.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde_json::Value;
use weir_schema::digest::Digest;
use zeroize::Zeroizing;

use super::strict::Strict;
use crate::config::KeyFile;

/// The largest set of keys, in bytes.
pub const KEYS_BYTES_MAX: usize = 512 << 10;
/// The most keys of one issuer.
const KEYS_MAX: usize = 200;
/// The longest `kid`, in bytes.
pub const KID_BYTES_MAX: usize = 256;

/// A key, and what it may be used for.
#[derive(Debug)]
pub struct Key {
    /// For jsonwebtoken, which shows nothing of it.
    pub decoding: DecodingKey,
    /// By these algorithms.
    pub algorithms: Vec<Algorithm>,
    /// Of a key that is published, what tells it from others.
    digest: Option<Digest>,
}

/// The keys of one issuer.
#[derive(Debug, Default)]
pub struct KeySet {
    /// Those without a `kid` are one, for tokens without.
    by_kid: HashMap<Option<String>, Key>,
    /// Of what they were read from; of keys in files none.
    digest: Option<Digest>,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The system does not give the file out.
    #[error("{file} cannot be read: {error}")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        error: io::Error,
    },
    /// More than keys ever are.
    #[error("{0} has more than {KEYS_BYTES_MAX} bytes")]
    TooLarge(String),
    /// Others could sign with it.
    #[error("{0} is open to others: restrict it with chmod 600")]
    Open(String),
    /// What must stay with the issuer.
    #[error("{0} is a private key, which has no place here: write its public key into the file")]
    Private(String),
    /// No key.
    #[error("{0} is no key: it is PEM text that begins with -----BEGIN PUBLIC KEY-----, a JWK or a set of them")]
    NoKey(String),
    /// None that fits.
    #[error("{0} has no key for the algorithms of its issuer")]
    Unfit(String),
    /// Shorter than what it is to keep.
    #[error(
        "{file} is too short for a secret: it has {bytes} bytes, and at least {least} are needed, from a random source"
    )]
    Short {
        /// The file.
        file: String,
        /// What it has.
        bytes: usize,
        /// What the longest hash has.
        least: usize,
    },
    /// Not a set of keys.
    #[error("it is not a set of keys: {0}")]
    NoSet(&'static str),
}

impl Key {
    /// One that stays as long as the server runs.
    pub fn fixed(decoding: DecodingKey, algorithms: Vec<Algorithm>) -> Self {
        Self { decoding, algorithms, digest: None }
    }
}

impl KeySet {
    /// The key that a token's header names.
    pub fn get(&self, kid: Option<&str>) -> Option<&Key> {
        self.by_kid.get(&kid.map(str::to_owned))
    }

    /// One key.
    pub fn of_one(kid: Option<String>, key: Key) -> Self {
        Self { by_kid: HashMap::from([(kid, key)]), digest: None }
    }

    /// Those of files.
    pub fn of_files(files: &[KeyFile], pinned: &[Algorithm]) -> Result<Self, KeysError> {
        let mut keys = Vec::new();
        for KeyFile { file, kid } in files {
            let text = read(file)?;
            let name = file.display().to_string();
            let found = if text.trim_ascii_start().starts_with(b"-----BEGIN ") {
                vec![(kid.clone(), of_pem(&text, pinned, &name)?)]
            } else {
                let parsed = serde_json::from_slice::<Strict>(&text).map_err(|_| KeysError::NoKey(name.clone()))?;
                let jwks = match parsed.0 {
                    Value::Object(mut set) if set.contains_key("keys") => set.remove("keys"),
                    one => Some(Value::Array(vec![one])),
                };
                let Some(Value::Array(jwks)) = jwks else { return Err(KeysError::NoKey(name)) };
                jwks.into_iter().filter_map(|jwk| of_jwk(jwk, pinned)).collect()
            };
            if found.is_empty() {
                return Err(KeysError::Unfit(name));
            }
            keys.extend(found);
        }
        Ok(Self::of(keys))
    }

    /// One secret.
    pub fn of_secret(KeyFile { file, kid }: &KeyFile, pinned: &[Algorithm]) -> Result<Self, KeysError> {
        let name = || file.display().to_string();
        is_closed(file)?;
        let text = read(file)?;
        let secret = text.strip_suffix(b"\n").unwrap_or(&text);
        let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
        let hash = |algorithm: &Algorithm| match algorithm {
            Algorithm::HS512 => 64,
            Algorithm::HS384 => 48,
            _ => 32,
        };
        let least = pinned.iter().map(hash).max().unwrap_or(32);
        if secret.len() < least {
            return Err(KeysError::Short { file: name(), bytes: secret.len(), least });
        }
        let key = Key::fixed(DecodingKey::from_secret(secret), pinned.to_vec());
        Ok(Self::of_one(kid.clone(), key))
    }

    /// Those of a set (RFC 7517) that are for signatures by the pinned algorithms. No secret is among them: it would be one
    /// that everybody knows.
    pub fn of_jwks(text: &[u8], pinned: &[Algorithm]) -> Result<Self, KeysError> {
        let Ok(Strict(Value::Object(mut set))) = serde_json::from_slice(text) else {
            return Err(KeysError::NoSet("it is no JSON object, or has a member twice"));
        };
        let Some(Value::Array(jwks)) = set.remove("keys") else {
            return Err(KeysError::NoSet("it has no list named keys"));
        };
        if jwks.len() > KEYS_MAX {
            return Err(KeysError::NoSet("it has more than 200 keys"));
        }
        let keys = Self::of(jwks.into_iter().filter_map(|jwk| of_jwk(jwk, pinned)).collect());
        let keys = Self { digest: Some(Digest::of(text)), ..keys };
        if keys.by_kid.is_empty() {
            return Err(KeysError::NoSet("none of its keys is for the issuer's algorithms"));
        }
        Ok(keys)
    }

    fn of(keys: Vec<(Option<String>, Key)>) -> Self {
        let mut by_kid = HashMap::new();
        let mut ambiguous = Vec::new();
        for (kid, key) in keys {
            if by_kid.insert(kid.clone(), key).is_some() {
                ambiguous.push(kid);
            }
        }
        for kid in ambiguous {
            tracing::warn!("two keys of an issuer have the kid {kid:?}: neither is used");
            by_kid.remove(&kid);
        }
        Self { by_kid, digest: None }
    }

    /// Whether it has the key yet that another set has under a name, for an algorithm.
    pub fn still_has(&self, before: &Self, kid: Option<&str>, algorithm: Algorithm) -> bool {
        let (Some(before), Some(key)) = (before.get(kid), self.get(kid)) else { return false };
        key.digest == before.digest && key.algorithms.contains(&algorithm)
    }

    /// Whether both were read from the same text.
    pub fn is_same(&self, other: &Self) -> bool {
        self.digest.is_some() && self.digest == other.digest
    }
}

fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, KeysError> {
    let name = || file.display().to_string();
    let unreadable = |error| KeysError::Unreadable { file: name(), error };
    let opened = File::open(file).map_err(unreadable)?;
    // All of the room at once: a vector that grows leaves copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(KEYS_BYTES_MAX + 1));
    opened.take(KEYS_BYTES_MAX as u64 + 1).read_to_end(&mut text).map_err(unreadable)?;
    if text.len() > KEYS_BYTES_MAX { Err(KeysError::TooLarge(name())) } else { Ok(text) }
}

/// Whether only its owner can read a file.
#[cfg(unix)]
fn is_closed(file: &Path) -> Result<(), KeysError> {
    use std::os::unix::fs::PermissionsExt;

    let name = || file.display().to_string();
    let metadata = std::fs::metadata(file).map_err(|error| KeysError::Unreadable { file: name(), error })?;
    if metadata.permissions().mode() & 0o077 == 0 { Ok(()) } else { Err(KeysError::Open(name())) }
}

/// Other systems have no such bits.
#[cfg(not(unix))]
fn is_closed(_: &Path) -> Result<(), KeysError> {
    Ok(())
}

fn of_pem(text: &[u8], pinned: &[Algorithm], name: &str) -> Result<Key, KeysError> {
    let says = |words: &[u8]| text.windows(words.len()).any(|window| window == words);
    if says(b"PRIVATE KEY-----") {
        return Err(KeysError::Private(name.to_owned()));
    }
    // Of a certificate nothing but its key would be looked at.
    if !says(b"-----BEGIN PUBLIC KEY-----") && !says(b"-----BEGIN RSA PUBLIC KEY-----") {
        return Err(KeysError::NoKey(name.to_owned()));
    }
    let made = [
        DecodingKey::from_rsa_pem(text).map(|key| (key, None)),
        DecodingKey::from_ec_pem(text).map(|key| {
            let curve = match key.try_get_as_bytes().map(<[u8]>::len) {
                Ok(65) => Some(Algorithm::ES256),
                Ok(97) => Some(Algorithm::ES384),
                _ => None,
            };
            (key, curve)
        }),
        DecodingKey::from_ed_pem(text).map(|key| (key, Some(Algorithm::EdDSA))),
    ];
    let (decoding, only) = made.into_iter().find_map(Result::ok).ok_or_else(|| KeysError::NoKey(name.to_owned()))?;
    let is_rsa = decoding.family() == AlgorithmFamily::Rsa;
    let fits =
        |algorithm: &&Algorithm| algorithm.family() == decoding.family() && (is_rsa || only == Some(**algorithm));
    let algorithms: Vec<Algorithm> = pinned.iter().filter(fits).copied().collect();
    if algorithms.is_empty() { Err(KeysError::Unfit(name.to_owned())) } else { Ok(Key::fixed(decoding, algorithms)) }
}

/// A key of a set, if it is one for signatures by one of the pinned algorithms.
fn of_jwk(jwk: Value, pinned: &[Algorithm]) -> Option<(Option<String>, Key)> {
    // Whoever publishes it has none any more.
    if jwk.get("d").is_some() || jwk.get("k").is_some() {
        tracing::warn!("a set of keys has one that is private or secret: it is not used");
        return None;
    }
    let Jwk { common, algorithm } = serde_json::from_value(jwk).ok()?;
    if common.public_key_use.as_ref().is_some_and(|of| *of != PublicKeyUse::Signature)
        || common.key_operations.as_ref().is_some_and(|operations| !operations.contains(&KeyOperations::Verify))
        || common.key_id.as_ref().is_some_and(|kid| kid.is_empty() || kid.len() > KID_BYTES_MAX)
    {
        return None;
    }
    let fits = |one: &Algorithm| match &algorithm {
        AlgorithmParameters::RSA(_) => one.family() == AlgorithmFamily::Rsa,
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => *one == Algorithm::ES256,
            EllipticCurve::P384 => *one == Algorithm::ES384,
            _ => false,
        },
        AlgorithmParameters::OctetKeyPair(key) => *one == Algorithm::EdDSA && key.curve == EllipticCurve::Ed25519,
        _ => false,
    };
    let is_own = |one: &Algorithm| common.key_algorithm.is_none_or(|own| own == KeyAlgorithm::from(*one));
    let algorithms: Vec<Algorithm> = pinned.iter().copied().filter(|one| fits(one) && is_own(one)).collect();
    let jwk = Jwk { common, algorithm };
    let decoding = DecodingKey::from_jwk(&jwk).ok()?;
    let digest = Some(Digest::of(&serde_json::to_vec(&jwk.algorithm).ok()?));
    (!algorithms.is_empty()).then_some((jwk.common.key_id, Key { decoding, algorithms, digest }))
}
