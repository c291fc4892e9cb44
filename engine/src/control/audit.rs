//! The end of the audit log, signed: kept elsewhere, it shows when somebody has written the log anew.

use serde::{Deserialize, Serialize};
use weir_schema::codec::audit::AuditHead;

use crate::bundle::key::{BadKey, PublicKey, SigningKey};
use crate::bundle::sign::seal;
use crate::bundle::signed::{self, BadSigned};

/// The type of the payload.
const PAYLOAD_TYPE: &str = "application/vnd.weir.audit-head+json";

/// An end of the audit log, and when it was one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignedHead {
    /// The number of the last record.
    pub number: u64,
    /// The digest of its text.
    pub digest: weir_schema::digest::Digest,
    /// When it was looked at, in milliseconds since 1970.
    pub at_ms: u64,
}

/// Why something is no signed end of an audit log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadHead {
    /// Nobody has signed it, somebody else, or it was changed.
    #[error(transparent)]
    Signed(#[from] BadSigned),
    /// What is signed is something else.
    #[error("what is signed cannot be read: {0}")]
    Malformed(String),
}

impl SignedHead {
    /// An end that was found now.
    pub fn of(head: AuditHead, at_ms: u64) -> Self {
        Self { number: head.number, digest: head.digest, at_ms }
    }

    /// The end.
    pub fn head(&self) -> AuditHead {
        AuditHead { number: self.number, digest: self.digest }
    }

    /// As a line of JSON, signed.
    pub fn sign(&self, key: &SigningKey) -> Result<Vec<u8>, BadKey> {
        // Numbers and digests always have a JSON form.
        let payload = serde_json::to_vec(self).unwrap_or_default();
        Ok(seal(PAYLOAD_TYPE, payload, std::slice::from_ref(key))?.to_json())
    }

    /// Reads what a key has signed.
    pub fn open(text: &[u8], key: &PublicKey) -> Result<Self, BadHead> {
        let payload = signed::open(text, PAYLOAD_TYPE, key)?;
        serde_json::from_slice(&payload).map_err(|error| BadHead::Malformed(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_schema::digest::Digest;

    #[test]
    fn an_end_counts_where_its_key_has_signed_it() {
        let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let head = SignedHead::of(AuditHead { number: 7, digest: Digest::of(b"x") }, 1);
        let text = head.sign(&key).unwrap();
        assert_eq!(SignedHead::open(&text, key.public()), Ok(head));
        let (found, expected) = (key.public().id(), other.public().id());
        assert_eq!(
            SignedHead::open(&text, other.public()),
            Err(BadHead::Signed(BadSigned::OtherKey { found, expected }))
        );
        for place in 0..text.len() {
            let mut changed = text.clone();
            changed[place] ^= 1;
            assert!(SignedHead::open(&changed, key.public()).is_err(), "{place}");
        }
    }
}
