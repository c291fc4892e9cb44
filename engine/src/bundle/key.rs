//! Keys for signing: Ed25519 (<https://www.rfc-editor.org/rfc/rfc8032>), written down as OpenSSL does: the private part as PKCS#8,
//! the public part as `SubjectPublicKeyInfo`, both as PEM text.
//!
//! Rule: of a private key only the seed is kept, in memory that is wiped, and it is never shown.

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use weir_schema::bundle::envelope::KeyId;
use zeroize::Zeroizing;

use super::pem;

const PRIVATE_LABEL: &str = "PRIVATE KEY";
const PUBLIC_LABEL: &str = "PUBLIC KEY";

/// What stands before the seed: version 0, Ed25519 (<https://www.rfc-editor.org/rfc/rfc8410>).
const PRIVATE_HEAD: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
/// What stands before the bytes of a public key.
const PUBLIC_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// A private key.
pub struct SigningKey {
    /// Boxed, so that moving the key leaves no copy behind.
    seed: Box<Zeroizing<[u8; 32]>>,
    public: PublicKey,
}

/// A public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

/// Why something is no key. No message repeats anything of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// No private key.
    #[error("holds no Ed25519 key for signing: `weir keys generate` makes one")]
    NotPrivate,
    /// No public key.
    #[error("holds no Ed25519 public key: give what `weir keys generate` has printed")]
    NotPublic,
    /// What must not leave who signs.
    #[error(
        "holds a private key, which is nobody else's to see: give the public part, which `weir keys public` prints"
    )]
    Secret,
    /// The operating system gives no randomness.
    #[error("no key can be made, the system has no randomness: {0}")]
    NoRandomness(String),
}

impl SigningKey {
    /// Makes a new one.
    pub fn generate() -> Result<Self, BadKey> {
        let mut seed = Box::new(Zeroizing::new([0; 32]));
        getrandom::fill(seed.as_mut_slice()).map_err(|error| BadKey::NoRandomness(error.to_string()))?;
        Self::of(seed)
    }

    fn of(seed: Box<Zeroizing<[u8; 32]>>) -> Result<Self, BadKey> {
        let public = pair(&seed)?.public_key().as_ref().try_into().map_err(|_| BadKey::NotPrivate)?;
        Ok(Self { seed, public: PublicKey(public) })
    }

    /// Reads PEM text, which is the caller's to wipe.
    pub fn parse(text: &str) -> Result<Self, BadKey> {
        let der = pem::read(PRIVATE_LABEL, text).ok_or(BadKey::NotPrivate)?;
        let seed = der.strip_prefix(&PRIVATE_HEAD).filter(|seed| seed.len() == 32).ok_or(BadKey::NotPrivate)?;
        let mut own = Box::new(Zeroizing::new([0; 32]));
        own.copy_from_slice(seed);
        Self::of(own)
    }

    /// As PEM text.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let mut der = Zeroizing::new(Vec::with_capacity(PRIVATE_HEAD.len() + self.seed.len()));
        der.extend_from_slice(&PRIVATE_HEAD);
        der.extend_from_slice(self.seed.as_slice());
        pem::write(PRIVATE_LABEL, &der)
    }

    /// What may be shown of it.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, BadKey> {
        Ok(pair(&self.seed)?.sign(message).as_ref().to_vec())
    }
}

fn pair(seed: &[u8; 32]) -> Result<Ed25519KeyPair, BadKey> {
    Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| BadKey::NotPrivate)
}

impl PublicKey {
    /// Takes the bytes of one.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Reads PEM text.
    pub fn parse(text: &str) -> Result<Self, BadKey> {
        if text.contains(PRIVATE_LABEL) {
            return Err(BadKey::Secret);
        }
        let der = pem::read(PUBLIC_LABEL, text).ok_or(BadKey::NotPublic)?;
        der.strip_prefix(&PUBLIC_HEAD).and_then(Self::of).ok_or(BadKey::NotPublic)
    }

    /// As PEM text.
    pub fn to_pem(&self) -> String {
        pem::write(PUBLIC_LABEL, &[PUBLIC_HEAD.as_slice(), &self.0].concat()).to_string()
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What it is known by.
    pub fn id(&self) -> KeyId {
        KeyId::of(&self.0)
    }

    /// Whether a signature of a message is by this key.
    pub(crate) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).is_ok()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// The first test vector of RFC 8032, 7.1.
    const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    const PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    const SIGNATURE: &str = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2).unwrap(), 16).unwrap()).collect()
    }

    #[test]
    fn signatures_are_those_of_the_specification() {
        let der = [PRIVATE_HEAD.as_slice(), &bytes(SEED)].concat();
        let key = SigningKey::parse(&pem::write(PRIVATE_LABEL, &der)).unwrap();
        assert_eq!(key.public().as_bytes().to_vec(), bytes(PUBLIC));
        assert_eq!(key.sign(b"").unwrap(), bytes(SIGNATURE));
        assert!(key.public().has_signed(b"", &bytes(SIGNATURE)));
        assert!(!key.public().has_signed(b"x", &bytes(SIGNATURE)));
    }

    #[test]
    fn keys_are_read_as_they_were_written() {
        let key = SigningKey::generate().unwrap();
        let again = SigningKey::parse(&key.to_pem()).unwrap();
        assert_eq!(again.public(), key.public());
        let public = key.public().to_pem();
        assert_eq!(PublicKey::parse(&format!("key {}\n{public}", key.public().id())), Ok(*key.public()));
        assert_eq!(PublicKey::parse(&key.to_pem()), Err(BadKey::Secret));
        for text in
            ["", "x", &public.replace("PUBLIC", "OTHER"), &public.replace("MC", "MD"), &public.replace('\n', "")]
        {
            assert!(SigningKey::parse(text).is_err());
        }
        assert_eq!(PublicKey::parse(""), Err(BadKey::NotPublic));
        assert!(SigningKey::parse(&pem::write(PRIVATE_LABEL, &PRIVATE_HEAD)).is_err(), "without a seed");
    }
}
