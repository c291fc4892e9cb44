//! The catalog: collections and indexes with the numbers that stand for them in keys.
//!
//! It lies as JSON under the key `C`. Every transaction that uses it has that key in its read set, so a change of the
//! catalog is a conflict for those under way and invalidates what was read before it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use weir_schema::codec::component::TextOrder;
use weir_schema::codec::key::{self, BadIndexEntry, CollectionNumber, IndexField, IndexNumber, Key};
use weir_schema::id::DocumentId;
use weir_schema::narrowing::Narrowing;
use weir_schema::references::{self, OnDelete, Places};

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
    /// What its documents refer to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) references: Vec<Reference>,
    /// The types that all documents have, whoever writes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) held: Vec<Held>,
}

/// A type that all documents have, for the sake of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) release: String,
    pub(crate) narrowing: Narrowing,
    /// The releases whose writers are held to it.
    #[serde(default)]
    pub(crate) writers: BTreeSet<String>,
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
    /// The ids that it holds in place of fields: it only finds who refers to a document, and scans never see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ids: Option<Ids>,
    pub(crate) state: IndexState,
}

/// The ids in a member of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ids {
    pub(crate) member: String,
    pub(crate) places: Places,
}

/// A reference from the documents of a collection to those of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reference {
    pub(crate) ids: Ids,
    /// The name of the other collection.
    pub(crate) target: String,
    pub(crate) on_delete: OnDelete,
    /// The index, of the collection that refers, that finds who refers to a document.
    pub(crate) index: IndexNumber,
    pub(crate) state: ReferenceState,
}

/// How far a reference is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ReferenceState {
    /// New documents are held to it, those that were there before are being looked through. Nothing is deleted or
    /// changed on account of it yet, only kept from being deleted.
    Checking,
    /// All documents keep to it.
    Ready,
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
        let entries = kept.map(|index| index.entries(self.number, id, document));
        entries.collect::<Result<Vec<_>, _>>().map(|entries| entries.into_iter().flatten().collect())
    }

    /// The entries that a stored document can have. One that does not fit an index still being built has none there.
    pub(crate) fn stored_entries(&self, id: &DocumentId, document: &Map<String, Value>) -> Vec<Entry> {
        let kept = self.indexes.iter().filter(|index| index.state != IndexState::Dropping);
        kept.filter_map(|index| index.entries(self.number, id, document).ok()).flatten().collect()
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

    /// The entries of a document: one, or one for each document that it refers to.
    pub(crate) fn entries(
        &self,
        collection: CollectionNumber,
        id: &DocumentId,
        document: &Map<String, Value>,
    ) -> Result<Vec<Entry>, BadIndexEntry> {
        let prefix = self.prefix(collection);
        let Some(ids) = &self.ids else {
            let entry = key::index_entry(&prefix, &self.fields, self.unique, id, document)?;
            return Ok(vec![Entry { index: self.number, key: entry.key, exclusive: !entry.value.is_empty() }]);
        };
        let targets = ids.of(document).into_iter().filter_map(|target| DocumentId::parse(target).ok());
        let entry = |target| Entry { index: self.number, key: key::referrer(&prefix, &target, id), exclusive: false };
        Ok(targets.map(entry).collect())
    }

    /// How many components its keys have.
    pub(crate) fn components(&self) -> usize {
        if self.ids.is_some() { 1 } else { self.fields.len() }
    }

    /// What it is by, in words.
    pub(crate) fn describe(&self) -> String {
        match &self.ids {
            Some(ids) => format!("of references in {}", ids.member),
            None => self.field_names().join(", "),
        }
    }

    pub(crate) fn field_names(&self) -> Vec<String> {
        self.fields.iter().map(|field| field.name.clone()).collect()
    }
}

impl Reference {
    /// As it is declared.
    pub(crate) fn declaration(&self) -> references::Reference {
        let Ids { member, places } = self.ids.clone();
        references::Reference { member, places, target: self.target.clone(), on_delete: self.on_delete }
    }
}

impl Ids {
    /// The ids, each once.
    pub(crate) fn of<'d>(&self, document: &'d Map<String, Value>) -> BTreeSet<&'d str> {
        document.get(&self.member).map(|value| self.places.ids(value)).unwrap_or_default()
    }
}
