//! The key space. Every key starts with one byte that says what it is.
//!
//! | key | value |
//! |---|---|
//! | `C` | the catalog: names of collections and indexes with their numbers, as JSON |
//! | `D` collection `id` | a document as JSON text, `id` first |
//! | `I` collection index components `id` | empty: an entry of a plain index, or of a unique one with a null in it |
//! | `I` collection index components | the id: an entry of a unique index |
//! | `L` sequence | a journal entry |
//! | `M` `head` | timestamp and sequence of the last commit |
//!
//! Numbers are 32 bits (sequences 64), big endian. The id at the end of a key stands as it is.

use serde_json::{Map, Value};

use super::component::{self, BadComponent, TAG_NULL, TextOrder};
use crate::id::DocumentId;
use crate::limits::INDEX_KEY_BYTES_MAX;

/// A key as it lies in the engine.
pub type Key = Vec<u8>;

/// The key of the catalog.
pub const CATALOG: &[u8] = b"C";
/// The key of the head record.
pub const HEAD: &[u8] = b"Mhead";

const DOCUMENT: u8 = b'D';
const INDEX: u8 = b'I';
const JOURNAL: u8 = b'L';

/// The number of a collection in the catalog; never used again after the collection is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct CollectionNumber(pub u32);

/// The number of an index in the catalog, unique in the whole store; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct IndexNumber(pub u32);

/// The key of a document.
pub fn document(collection: CollectionNumber, id: &DocumentId) -> Key {
    let mut key = documents(collection);
    key.extend_from_slice(id.as_str().as_bytes());
    key
}

/// What the keys of all documents of a collection start with.
pub fn documents(collection: CollectionNumber) -> Key {
    let mut key = vec![DOCUMENT];
    key.extend_from_slice(&collection.0.to_be_bytes());
    key
}

/// What the keys of all entries of an index start with.
pub fn index(collection: CollectionNumber, index: IndexNumber) -> Key {
    let mut key = vec![INDEX];
    key.extend_from_slice(&collection.0.to_be_bytes());
    key.extend_from_slice(&index.0.to_be_bytes());
    key
}

/// What the keys of all index entries of a collection start with.
pub fn indexes(collection: CollectionNumber) -> Key {
    let mut key = vec![INDEX];
    key.extend_from_slice(&collection.0.to_be_bytes());
    key
}

/// The key of a journal entry.
pub fn journal(sequence: u64) -> Key {
    let mut key = vec![JOURNAL];
    key.extend_from_slice(&sequence.to_be_bytes());
    key
}

/// What the keys of all journal entries start with.
pub fn journal_all() -> Key {
    vec![JOURNAL]
}

/// The sequence number in the key of a journal entry.
pub fn journal_sequence(key: &[u8]) -> Option<u64> {
    let sequence = key.strip_prefix(&[JOURNAL])?;
    Some(u64::from_be_bytes(sequence.try_into().ok()?))
}

/// The first key after all that start with `prefix`; `None` if there is none (all bytes are `ff`).
pub fn after_prefix(prefix: &[u8]) -> Option<Key> {
    let mut key = prefix.to_vec();
    while let Some(last) = key.pop() {
        if last < 0xff {
            key.push(last + 1);
            return Some(key);
        }
    }
    None
}

/// An index entry of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexEntry {
    /// The key.
    pub key: Key,
    /// The value: the document's id where the key does not hold it.
    pub value: Vec<u8>,
}

/// Why a document has no entry in an index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadIndexEntry {
    /// A field cannot be encoded.
    #[error("{field}: {source}")]
    Component {
        /// The indexed field.
        field: String,
        /// Why.
        source: BadComponent,
    },
    /// The fields together are too long.
    #[error("an index key has at most {INDEX_KEY_BYTES_MAX} bytes, this one has {0}")]
    TooLong(usize),
}

/// A field of an index and how its text sorts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IndexField {
    /// The member of the document.
    pub name: String,
    /// How its text sorts.
    pub order: TextOrder,
}

/// Makes the entry of a document in an index whose keys start with `prefix`.
pub fn index_entry(
    prefix: &[u8],
    fields: &[IndexField],
    unique: bool,
    id: &DocumentId,
    document: &Map<String, Value>,
) -> Result<IndexEntry, BadIndexEntry> {
    let mut key = prefix.to_vec();
    let mut has_null = false;
    for field in fields {
        let value = document.get(&field.name).unwrap_or(&Value::Null);
        let start = key.len();
        component::encode(&mut key, value, field.order)
            .map_err(|source| BadIndexEntry::Component { field: field.name.clone(), source })?;
        has_null |= key.get(start) == Some(&TAG_NULL);
    }
    let mut value = Vec::new();
    if unique && !has_null {
        value.extend_from_slice(id.as_str().as_bytes());
    } else {
        key.extend_from_slice(id.as_str().as_bytes());
    }
    if key.len() > INDEX_KEY_BYTES_MAX { Err(BadIndexEntry::TooLong(key.len())) } else { Ok(IndexEntry { key, value }) }
}
