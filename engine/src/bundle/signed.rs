//! Reads what one key has signed: an envelope of which nothing is believed before its signature is checked.

use weir_schema::bundle::envelope::{BadEnvelope, Envelope, KeyId};

use super::key::PublicKey;

/// Why something was not signed by a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSigned {
    /// It is no envelope.
    #[error(transparent)]
    Envelope(#[from] BadEnvelope),
    /// Somebody else has signed it.
    #[error("it is signed by key {found}, not by key {expected}: give the key of who has signed it")]
    OtherKey {
        /// Who has.
        found: KeyId,
        /// Who should have.
        expected: KeyId,
    },
    /// It was changed.
    #[error("it was changed since key {0} has signed it")]
    Changed(KeyId),
}

/// The payload of an envelope that a key has signed.
pub fn open(text: &[u8], payload_type: &'static str, key: &PublicKey) -> Result<Vec<u8>, BadSigned> {
    let envelope = Envelope::parse(text, payload_type)?;
    let (message, expected) = (envelope.signed(), key.id());
    let mut own = envelope.signatures.iter().filter(|signature| signature.keyid == expected).peekable();
    if own.peek().is_none() {
        // An envelope has one signature or more.
        let found = envelope.signatures.first().map_or(expected, |signature| signature.keyid);
        return Err(BadSigned::OtherKey { found, expected });
    }
    if own.any(|signature| key.has_signed(&message, &signature.sig)) {
        Ok(envelope.payload)
    } else {
        Err(BadSigned::Changed(expected))
    }
}
