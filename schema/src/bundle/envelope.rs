//! The envelope of signatures: DSSE (<https://github.com/secure-systems-lab/dsse/blob/master/protocol.md>), as JSON.
//!
//! Signed is the pre-authentication encoding of the payload with its type, so that a payload is never taken for one of another
//! kind.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::base64;
use crate::digest::Digest;

/// The type of the payload of bundles.
pub const PAYLOAD_TYPE: &str = "application/vnd.weir.bundle+json";
/// The longest envelope, in bytes.
const ENVELOPE_BYTES_MAX: usize = 64 << 10;
/// Signatures of one envelope.
pub const SIGNATURES_MAX: usize = 16;

/// A payload and who has signed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Envelope {
    /// What the payload is.
    pub payload_type: String,
    /// Its bytes.
    #[serde(with = "base64")]
    pub payload: Vec<u8>,
    /// At least one.
    pub signatures: Vec<Signature>,
}

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// Whose it is said to be.
    pub keyid: KeyId,
    /// Its bytes.
    #[serde(with = "base64")]
    pub sig: Vec<u8>,
}

/// What a key is known by: the first half of the SHA-256 of its public part, as 32 digits of hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 16]);

/// Why something is no envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEnvelope {
    /// It is too long.
    #[error("the envelope has more than {ENVELOPE_BYTES_MAX} bytes")]
    TooLong,
    /// It is not what its JSON should be.
    #[error("the envelope cannot be read: {0}")]
    Malformed(String),
    /// It is one of something else.
    #[error("the envelope is one of {found:?}, not of {expected:?}")]
    Type {
        /// What it is of.
        found: String,
        /// What it should be of.
        expected: &'static str,
    },
    /// Too few signatures, or too many.
    #[error("an envelope has 1 to {SIGNATURES_MAX} signatures, this one has {0}")]
    Signatures(usize),
}

impl Envelope {
    /// Reads the JSON of an envelope of a payload of this type.
    pub fn parse(text: &[u8], payload_type: &'static str) -> Result<Self, BadEnvelope> {
        if text.len() > ENVELOPE_BYTES_MAX {
            return Err(BadEnvelope::TooLong);
        }
        let envelope: Self = serde_json::from_slice(text).map_err(|error| BadEnvelope::Malformed(error.to_string()))?;
        if envelope.payload_type != payload_type {
            return Err(BadEnvelope::Type { found: envelope.payload_type, expected: payload_type });
        }
        match envelope.signatures.len() {
            1..=SIGNATURES_MAX => Ok(envelope),
            count => Err(BadEnvelope::Signatures(count)),
        }
    }

    /// Its JSON, in one line.
    pub fn to_json(&self) -> Vec<u8> {
        // Text and lists of it always have a JSON form.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// What its signatures are of.
    pub fn signed(&self) -> Vec<u8> {
        pre_authentication_encoding(&self.payload_type, &self.payload)
    }
}

/// `PAE` of the specification.
pub fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

impl KeyId {
    /// That of a public key.
    pub fn of(public: &[u8; 32]) -> Self {
        let digest = Digest::of(public);
        let mut half = [0; 16];
        half.iter_mut().zip(digest.as_bytes()).for_each(|(to, from)| *to = *from);
        Self(half)
    }

    /// Reads 32 digits of hex, of which there is one spelling.
    pub fn parse(text: &str) -> Option<Self> {
        let mut half = [0; 16];
        if text.len() != 32 || text.bytes().any(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        for (index, byte) in half.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
        }
        Some(Self(half))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("the id of a key has 32 digits of hex"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_as_the_specification_has_it() {
        let encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world");
        assert_eq!(encoded, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
        assert_eq!(pre_authentication_encoding("", b""), b"DSSEv1 0  0 ");
    }

    #[test]
    fn envelopes_have_one_meaning() {
        let id = KeyId::of(&[7; 32]);
        let good = format!(
            r#"{{"payloadType":"{PAYLOAD_TYPE}","payload":"e30=","signatures":[{{"keyid":"{id}","sig":"AAA="}}]}}"#
        );
        let parsed = Envelope::parse(good.as_bytes(), PAYLOAD_TYPE).map(|envelope| envelope.to_json());
        assert_eq!(parsed, Ok(good.clone().into_bytes()));
        let table = [
            ("e30=", "e31=", "malformed base64, or trailing bits"),
            ("\"e30=\"", "\"e30\"", "no padding"),
            ("bundle+json", "other+json", "another type"),
            ("\"signatures\"", "\"payload\":\"e30=\",\"signatures\"", "a member twice"),
            ("\"signatures\"", "\"more\":1,\"signatures\"", "a member that nobody knows"),
            ("\"keyid\"", "\"sig\":\"AAA=\",\"keyid\"", "a member of a signature twice"),
        ];
        for (from, to, what) in table {
            assert!(Envelope::parse(good.replace(from, to).as_bytes(), PAYLOAD_TYPE).is_err(), "{what}");
        }
        let shouted = good.replace(&id.to_string(), &id.to_string().to_uppercase());
        assert!(shouted == good || Envelope::parse(shouted.as_bytes(), PAYLOAD_TYPE).is_err());
        let none = format!(r#"{{"payloadType":"{PAYLOAD_TYPE}","payload":"e30=","signatures":[]}}"#);
        assert_eq!(Envelope::parse(none.as_bytes(), PAYLOAD_TYPE), Err(BadEnvelope::Signatures(0)));
        let long = " ".repeat(ENVELOPE_BYTES_MAX + 1);
        assert_eq!(Envelope::parse(long.as_bytes(), PAYLOAD_TYPE), Err(BadEnvelope::TooLong));
    }
}
