//! Sealing with AES-256-GCM (NIST SP 800-38D) under random nonces, and digests under a key (HMAC-SHA-256, RFC 2104).

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use zeroize::Zeroizing;

/// Bytes of a key.
pub(crate) const KEY_BYTES: usize = 32;
/// Bytes of a digest under a key: as many as make a coincidence out of the question.
pub(crate) const DIGEST_BYTES: usize = 16;

/// A key, in memory that is wiped once it is no longer used. Boxed, so that moving it leaves no copy behind.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SealingKey(Box<Zeroizing<[u8; KEY_BYTES]>>);

/// The operating system gives no randomness, or what is to be sealed is too long for the cipher.
#[derive(Debug, thiserror::Error)]
#[error("nothing can be sealed: the system gives no randomness")]
pub(crate) struct Unsealable;

impl SealingKey {
    /// A new one.
    pub(crate) fn draw() -> Result<Self, Unsealable> {
        let mut key = Self(Box::new(Zeroizing::new([0; KEY_BYTES])));
        getrandom::fill(key.0.as_mut_slice()).map_err(|_| Unsealable)?;
        Ok(key)
    }

    /// One that was written down.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let mut key = Self(Box::new(Zeroizing::new([0; KEY_BYTES])));
        if bytes.len() != KEY_BYTES {
            return None;
        }
        key.0.copy_from_slice(bytes);
        Some(key)
    }

    /// To be written down, sealed.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// Seals a text that is good only together with what it is bound to: a nonce, and the text with its tag.
    pub(crate) fn seal(&self, text: &[u8], bound: &[u8]) -> Result<Vec<u8>, Unsealable> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|_| Unsealable)?;
        let mut sealed = text.to_vec();
        let nonce_of = Nonce::assume_unique_for_key(nonce);
        self.cipher()
            .ok_or(Unsealable)?
            .seal_in_place_append_tag(nonce_of, Aad::from(bound), &mut sealed)
            .map_err(|_| Unsealable)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what was sealed by this key, and bound to this.
    pub(crate) fn open(&self, sealed: &[u8], bound: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = Zeroizing::new(sealed.to_vec());
        let length = self.cipher()?.open_in_place(nonce, Aad::from(bound), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }

    /// A digest that nobody can make without the key.
    pub(crate) fn digest(&self, text: &[u8]) -> [u8; DIGEST_BYTES] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, self.bytes()), text);
        let mut digest = [0; DIGEST_BYTES];
        digest.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        digest
    }

    fn cipher(&self) -> Option<LessSafeKey> {
        UnboundKey::new(&AES_256_GCM, self.bytes()).ok().map(LessSafeKey::new)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_its_key_where_it_belongs_and_unchanged() {
        let (key, other) = (SealingKey::draw().unwrap(), SealingKey::draw().unwrap());
        let sealed = key.seal(b"ada", b"here").unwrap();
        assert_eq!(key.open(&sealed, b"here").unwrap().as_slice(), b"ada");
        assert_ne!(sealed, key.seal(b"ada", b"here").unwrap(), "no two are alike");
        assert!(other.open(&sealed, b"here").is_none() && key.open(&sealed, b"there").is_none());
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(key.open(&changed, b"here").is_none(), "{place}");
            assert!(key.open(&sealed[..place], b"here").is_none(), "{place}");
        }
        let again = SealingKey::of(key.bytes()).unwrap();
        assert_eq!(again.digest(b"ada"), key.digest(b"ada"));
        assert_ne!(other.digest(b"ada"), key.digest(b"ada"));
        assert!(SealingKey::of(b"short").is_none());
    }
}
