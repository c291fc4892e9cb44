//! Documents and index entries, each found by way of the other: every document has exactly the entries that the catalog
//! asks for. Two documents with the same values in a unique index would have the same entry there, so the one that the
//! entry does not lead to is found as well. What documents refer to is looked up too.

use std::collections::HashMap;

use serde_json::{Map, Value};
use weir_schema::codec::key::{self, CollectionNumber, IndexNumber};
use weir_schema::id::DocumentId;

use super::{Examination, VerifyError};
use crate::catalog::{Collection, Entry, Index, IndexState, Reference, ReferenceState};
use crate::error::Poisoned;
use crate::read_set::Interval;
use crate::references;
use crate::scan::Direction;

impl Examination<'_> {
    /// Every document can be read, is where its id says, has its entries and refers to what is there.
    pub(super) fn documents(&mut self) -> Result<(), VerifyError> {
        let (live, catalog) = (self.live, self.catalog);
        let collections: HashMap<CollectionNumber, (&String, &Collection)> =
            catalog.collections.iter().map(|named| (named.1.number, named)).collect();
        for entry in live.entries(&Interval::prefix(key::documents_all()), Direction::Asc)? {
            let (key, text) = entry?;
            self.meter.add(1)?;
            self.report.documents += 1;
            let found = key::document_collection(&key).and_then(|number| collections.get(&number));
            let Some((name, collection)) = found else {
                let key = key.escape_ascii();
                self.report.problem(format_args!("document {key}: it belongs to no collection"));
                continue;
            };
            let Some(id) = key::document_id(&key::documents(collection.number), &key) else {
                self.report.problem(format_args!("{name}: the key {} has no id", key.escape_ascii()));
                continue;
            };
            let document = match parse(&id, &text) {
                Ok(document) => document,
                Err(problem) => {
                    self.report.problem(format_args!("{name} {id}: {problem}"));
                    continue;
                }
            };
            for index in collection.indexes.iter().filter(|index| index.state == IndexState::Ready) {
                self.has_entries(name, collection, index, &id, &document)?;
            }
            for reference in collection.references.iter().filter(|it| it.state == ReferenceState::Ready) {
                self.leads_to_documents(name, reference, &id, &document)?;
            }
        }
        Ok(())
    }

    fn has_entries(
        &mut self,
        name: &str,
        collection: &Collection,
        index: &Index,
        id: &DocumentId,
        document: &Map<String, Value>,
    ) -> Result<(), Poisoned> {
        let fields = index.describe();
        let entries = match index.entries(collection.number, id, document) {
            Ok(entries) => entries,
            Err(error) => {
                self.report.problem(format_args!("{name} {id}: it does not fit the index {fields}: {error}"));
                return Ok(());
            }
        };
        for entry in entries {
            match self.live.get(&entry.key)? {
                None => self.report.problem(format_args!("{name} {id}: its entry in the index {fields} is missing")),
                Some(value) if value != value_of(&entry, id) => {
                    let value = value.escape_ascii();
                    self.report.problem(format_args!("{name} {id}: its entry in the index {fields} leads to {value}"));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// What a document refers to is there.
    fn leads_to_documents(
        &mut self,
        name: &str,
        reference: &Reference,
        id: &DocumentId,
        document: &Map<String, Value>,
    ) -> Result<(), Poisoned> {
        let (member, target) = (&reference.ids.member, &reference.target);
        for missing in reference.ids.of(document) {
            let is_there = match references::target_key(self.catalog, target, missing) {
                Some(key) => self.live.get(&key)?.is_some(),
                None => false,
            };
            if !is_there {
                self.report.problem(format_args!(
                    "{name} {id}: its {member} leads to {target} {missing:?}, which is not there"
                ));
            }
        }
        Ok(())
    }

    /// Every entry is one that its document asks for.
    pub(super) fn index_entries(&mut self) -> Result<(), VerifyError> {
        let (live, catalog) = (self.live, self.catalog);
        let mut indexes: HashMap<(CollectionNumber, IndexNumber), (&String, &Index)> = HashMap::new();
        for (name, collection) in &catalog.collections {
            indexes.extend(collection.indexes.iter().map(|index| ((collection.number, index.number), (name, index))));
        }
        for entry in live.entries(&Interval::prefix(key::indexes_all()), Direction::Asc)? {
            let (key, value) = entry?;
            self.meter.add(1)?;
            self.report.index_entries += 1;
            let found = key::index_numbers(&key).and_then(|numbers| Some((numbers.0, indexes.get(&numbers)?)));
            let Some((collection, (name, index))) = found else {
                let key = key.escape_ascii();
                self.report.problem(format_args!("index entry {key}: it belongs to no index"));
                continue;
            };
            // One that is being dropped is not kept up to date.
            if index.state != IndexState::Dropping
                && let Some(problem) = self.contradiction(collection, index, &key, &value)?
            {
                let fields = index.describe();
                let key = key.strip_prefix(index.prefix(collection).as_slice()).unwrap_or_default().escape_ascii();
                self.report.problem(format_args!("{name}: the entry {key} in the index {fields} {problem}"));
            }
        }
        Ok(())
    }

    /// What is wrong with an index entry.
    fn contradiction(
        &self,
        collection: CollectionNumber,
        index: &Index,
        key: &[u8],
        value: &[u8],
    ) -> Result<Option<String>, Poisoned> {
        let Some(id) = key::index_entry_id(&index.prefix(collection), index.components(), key, value) else {
            return Ok(Some("leads to no document".to_owned()));
        };
        let Some(text) = self.live.get(&key::document(collection, &id))? else {
            return Ok(Some(format!("leads to {id}, which is not there")));
        };
        // A document that cannot be read has been told of already.
        let Ok(document) = parse(&id, &text) else { return Ok(None) };
        let belongs = index
            .entries(collection, &id, &document)
            .is_ok_and(|entries| entries.iter().any(|entry| entry.key == key && value_of(entry, &id) == value));
        Ok((!belongs).then(|| format!("leads to {id}, which has other values")))
    }
}

fn parse(id: &DocumentId, text: &[u8]) -> Result<Map<String, Value>, String> {
    let document: Map<String, Value> =
        serde_json::from_slice(text).map_err(|error| format!("it cannot be read: {error}"))?;
    match document.get("id").and_then(Value::as_str) {
        Some(own) if own == id.as_str() => Ok(document),
        Some(other) => Err(format!("it says that its id is {other:?}")),
        None => Err("it has no id".to_owned()),
    }
}

/// The value of an index entry.
fn value_of<'a>(entry: &Entry, id: &'a DocumentId) -> &'a [u8] {
    if entry.exclusive { id.as_str().as_bytes() } else { &[] }
}
