//! Places in the order of a scan, and the cursors that clients keep.
//!
//! A cursor is base64url of: one byte of version, the number of the collection, the number of the index (0 for the
//! documents themselves), and the rest of the key. Both numbers are 32 bits, big endian.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use weir_schema::codec::key::{CollectionNumber, IndexNumber, Key};

const VERSION: u8 = 1;

/// The place of a row, bound to the collection and the index that it was found along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    pub(crate) collection: CollectionNumber,
    /// `None`: along the ids.
    pub(crate) index: Option<IndexNumber>,
    /// The key without what the keys of the index start with.
    pub(crate) suffix: Key,
}

/// A cursor that this scan did not make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCursor {
    /// It is not a cursor at all.
    #[error("this is not a cursor")]
    Malformed,
    /// It is one of another query, or of other arguments.
    #[error("this cursor belongs to another query, or its index has changed: start again without it")]
    Foreign,
}

impl Position {
    /// As text for clients.
    pub fn to_cursor(&self) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.collection.0.to_be_bytes());
        bytes.extend_from_slice(&self.index.map_or(0, |index| index.0).to_be_bytes());
        bytes.extend_from_slice(&self.suffix);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a cursor; the scan that gets it checks that it fits.
    pub fn parse(cursor: &str) -> Result<Self, BadCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| BadCursor::Malformed)?;
        let rest = bytes.strip_prefix(&[VERSION]).ok_or(BadCursor::Malformed)?;
        let (collection, rest) = rest.split_first_chunk().ok_or(BadCursor::Malformed)?;
        let (index, suffix) = rest.split_first_chunk().ok_or(BadCursor::Malformed)?;
        let index = u32::from_be_bytes(*index);
        Ok(Self {
            collection: CollectionNumber(u32::from_be_bytes(*collection)),
            index: (index > 0).then_some(IndexNumber(index)),
            suffix: suffix.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back() {
        for index in [None, Some(IndexNumber(9))] {
            let position = Position { collection: CollectionNumber(2), index, suffix: b"\x06abc\0\x01id".to_vec() };
            assert_eq!(Position::parse(&position.to_cursor()), Ok(position));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "AQ", "!!!!", "AgAAAAEAAAAAYQ", "AQAAAAEAAAA"] {
            assert_eq!(Position::parse(text), Err(BadCursor::Malformed), "{text:?}");
        }
    }
}
