//! Document ids: short strings, in time order where Weir makes them.

use std::borrow::Borrow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest id in bytes.
pub const ID_BYTES_MAX: usize = 128;

/// The alphabet of generated ids: Crockford's base 32 in lower case, whose byte order is its numeric order.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The id of a document: 1 to [`ID_BYTES_MAX`] bytes of text without control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct DocumentId(String);

/// Why a string is not a document id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an id has 1 to {ID_BYTES_MAX} bytes and no control characters")]
pub struct BadDocumentId;

impl DocumentId {
    /// Takes a caller's string as an id.
    pub fn parse(text: impl Into<String>) -> Result<Self, BadDocumentId> {
        let text = text.into();
        let good = !text.is_empty() && text.len() <= ID_BYTES_MAX && !text.chars().any(char::is_control);
        if good { Ok(Self(text)) } else { Err(BadDocumentId) }
    }

    /// Makes an id of 26 characters from a time and 80 bits of randomness, laid out as a ULID
    /// (<https://github.com/ulid/spec>): ids of a later millisecond sort later.
    pub fn generate(unix_ms: u64, random: u128) -> Self {
        let bits = (u128::from(unix_ms) & 0xffff_ffff_ffff) << 80 | random & ((1 << 80) - 1);
        let text = (0..26)
            .rev()
            .map(|place| {
                let digit = (bits >> (place * 5)) & 31;
                ALPHABET.get(digit as usize).copied().map_or('0', char::from)
            })
            .collect();
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for DocumentId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for DocumentId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_ids_sort_by_time() {
        let earlier = DocumentId::generate(1_700_000_000_000, u128::MAX);
        let later = DocumentId::generate(1_700_000_000_001, 0);
        assert!(earlier < later);
        assert_eq!(earlier.as_str().len(), 26);
    }

    #[test]
    fn odd_ids_are_refused() {
        let longest = "x".repeat(ID_BYTES_MAX);
        let too_long = "x".repeat(ID_BYTES_MAX + 1);
        for (text, good) in
            [("a", true), ("CH/Zürich", true), (&longest, true), ("", false), ("a\n", false), (&too_long, false)]
        {
            assert_eq!(DocumentId::parse(text).is_ok(), good, "{text:?}");
        }
    }
}
