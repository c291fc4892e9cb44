//! The catalog: collections and indexes with the numbers that stand for them in keys.
//!
//! It lies as JSON under the key `C`. Every transaction that uses it has that key in its read set, so a change of the
//! catalog is a conflict for those under way and invalidates what was read before it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use weir_schema::codec::component::TextOrder;
use weir_schema::codec::key::{self, BadIndexEntry, CollectionNumber, IndexField, IndexNumber, Key};
use weir_schema::id::DocumentId;

use crate::error::UniqueViolation;

/// All collections that were ever declared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Catalog {
    /// Rises with every change.
    pub(crate) version: u64,
    /// The last number given to a collection.
    pub(crate) collections_numbered: u32,
    /// The last number given to an index.
    pub(crate) indexes_numbered: u32,
    pub(crate) collections: BTreeMap<String, Collection>,
}

/// One collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Collection {
    pub(crate) number: CollectionNumber,
    /// Whether the applied declarations have it. Documents of others are kept and cannot be reached.
    pub(crate) declared: bool,
    /// The members of its documents without `id`.
    pub(crate) fields: BTreeMap<String, FieldKind>,
    pub(crate) indexes: Vec<Index>,
}

/// What an index can make of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum FieldKind {
    /// A scalar that sorts as JSON has it: text by code point.
    Plain,
    /// A `DateTime`.
    Moment,
    /// A list.
    List,
    /// An object or a union of objects.
    Object,
    /// Any JSON.
    Json,
}

impl FieldKind {
    /// How its text sorts, or what it is if it has no order.
    pub(crate) fn order(self) -> Result<TextOrder, &'static str> {
        match self {
            Self::Plain => Ok(TextOrder::CodePoint),
            Self::Moment => Ok(TextOrder::Moment),
            Self::List => Err("a list"),
            Self::Object => Err("an object"),
            Self::Json => Err("JSON"),
        }
    }
}

/// One index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Index {
    pub(crate) number: IndexNumber,
    pub(crate) fields: Vec<IndexField>,
    pub(crate) unique: bool,
    pub(crate) state: IndexState,
}

/// How far an index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum IndexState {
    /// Commits write its entries, those of older documents are being added. Not read.
    Building,
    /// Complete.
    Ready,
    /// Its entries are being removed. Neither written nor read.
    Dropping,
}

/// An index entry of a document at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) index: IndexNumber,
    pub(crate) key: Key,
    /// At most one document may have the key.
    pub(crate) exclusive: bool,
}

impl Catalog {
    /// The collection, if it is declared.
    pub(crate) fn collection(&self, name: &str) -> Option<&Collection> {
        self.collections.get(name).filter(|collection| collection.declared)
    }

    /// The violation of a unique index, in the words of its declaration.
    pub(crate) fn violation(&self, index: IndexNumber, id: DocumentId, other: DocumentId) -> UniqueViolation {
        let mut found = UniqueViolation { collection: String::new(), fields: Vec::new(), id, other };
        for (name, collection) in &self.collections {
            if let Some(index) = collection.indexes.iter().find(|candidate| candidate.number == index) {
                found.collection.clone_from(name);
                found.fields = index.field_names();
            }
        }
        found
    }
}

impl Collection {
    /// The entries of a document in all indexes that are kept.
    pub(crate) fn entries(&self, id: &DocumentId, document: &Map<String, Value>) -> Result<Vec<Entry>, BadIndexEntry> {
        let kept = self.indexes.iter().filter(|index| index.state != IndexState::Dropping);
        kept.map(|index| index.entry(self.number, id, document)).collect()
    }

    /// The entries that a stored document can have. One that does not fit an index still being built has none there.
    pub(crate) fn stored_entries(&self, id: &DocumentId, document: &Map<String, Value>) -> Vec<Entry> {
        let kept = self.indexes.iter().filter(|index| index.state != IndexState::Dropping);
        kept.filter_map(|index| index.entry(self.number, id, document).ok()).collect()
    }

    /// Whether writing a document has to know what its members were.
    pub(crate) fn has_indexes(&self) -> bool {
        self.indexes.iter().any(|index| index.state != IndexState::Dropping)
    }
}

impl Index {
    pub(crate) fn prefix(&self, collection: CollectionNumber) -> Key {
        key::index(collection, self.number)
    }

    pub(crate) fn entry(
        &self,
        collection: CollectionNumber,
        id: &DocumentId,
        document: &Map<String, Value>,
    ) -> Result<Entry, BadIndexEntry> {
        let entry = key::index_entry(&self.prefix(collection), &self.fields, self.unique, id, document)?;
        Ok(Entry { index: self.number, key: entry.key, exclusive: !entry.value.is_empty() })
    }

    pub(crate) fn field_names(&self) -> Vec<String> {
        self.fields.iter().map(|field| field.name.clone()).collect()
    }
}
