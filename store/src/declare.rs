//! From what is declared to what the catalog has to become. Pure: [`crate::indexing`] carries it out.

use std::collections::BTreeMap;

use weir_schema::codec::key::{CollectionNumber, IndexField, IndexNumber};
use weir_schema::declarations::{self, Declarations};
use weir_schema::shape::{self, Definitions, Shape};

use crate::catalog::{Catalog, Collection, FieldKind, Index, IndexState};
use crate::error::CatalogError;

/// One collection as it is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    fields: BTreeMap<String, FieldKind>,
    indexes: Vec<(Vec<IndexField>, bool)>,
}

/// All collections as they are declared.
pub(crate) type AllWanted = BTreeMap<String, Wanted>;

/// Reads the declarations.
pub(crate) fn wanted(declarations: &Declarations) -> Result<AllWanted, CatalogError> {
    declarations
        .collections
        .values()
        .map(|collection| Ok((collection.name.clone(), one(collection, &declarations.definitions)?)))
        .collect()
}

fn one(collection: &declarations::Collection, definitions: &Definitions) -> Result<Wanted, CatalogError> {
    let members = shape::object(definitions, &collection.value).map(|object| object.members.as_slice());
    let fields: BTreeMap<String, FieldKind> =
        members.unwrap_or_default().iter().map(|member| (member.name.clone(), kind(&member.slot.shape))).collect();
    Wanted::new(&collection.name, fields, &collection.indexes)
}

impl Wanted {
    /// A collection with these fields and indexes.
    pub(crate) fn new(
        collection: &str,
        fields: BTreeMap<String, FieldKind>,
        declared: &[declarations::Index],
    ) -> Result<Self, CatalogError> {
        let mut indexes = Vec::new();
        for index in declared {
            let bad = |field: &String, problem| CatalogError::BadField {
                collection: collection.to_owned(),
                field: field.clone(),
                problem,
            };
            let mut chosen = Vec::new();
            for name in &index.fields {
                let kind = fields.get(name).ok_or_else(|| bad(name, "there is no such field"))?;
                let order = kind.order().map_err(|_| bad(name, "its type has no order"))?;
                chosen.push(IndexField { name: name.clone(), order });
            }
            let wanted = (chosen, index.unique);
            if !indexes.contains(&wanted) {
                indexes.push(wanted);
            }
        }
        Ok(Self { fields, indexes })
    }
}

fn kind(shape: &Shape) -> FieldKind {
    match shape {
        Shape::String
        | Shape::Boolean
        | Shape::Int
        | Shape::Float
        | Shape::Id
        | Shape::Ref(_)
        | Shape::Bytes
        | Shape::Enum(_) => FieldKind::Plain,
        Shape::DateTime => FieldKind::Moment,
        Shape::List(_) => FieldKind::List,
        Shape::Object(_) | Shape::Union(_) => FieldKind::Object,
        Shape::Json => FieldKind::Json,
    }
}

/// Whether the catalog is as declared, nothing half done.
pub(crate) fn is_done(catalog: &Catalog, all: &AllWanted) -> bool {
    let declared = catalog.collections.iter().filter(|(_, collection)| collection.declared);
    declared.clone().count() == all.len()
        && declared
            .clone()
            .all(|(name, collection)| all.get(name).is_some_and(|wanted| is_as_wanted(collection, wanted)))
        && catalog.collections.values().all(|collection| collection.declared || collection.indexes.is_empty())
}

fn is_as_wanted(collection: &Collection, wanted: &Wanted) -> bool {
    collection.fields == wanted.fields
        && collection.indexes.len() == wanted.indexes.len()
        && collection.indexes.iter().zip(&wanted.indexes).all(|(index, (fields, unique))| {
            index.state == IndexState::Ready && index.fields == *fields && index.unique == *unique
        })
}

/// First: collections get numbers, new indexes are written by every commit from now on. Nothing changes for readers.
pub(crate) fn started(catalog: &Catalog, all: &AllWanted) -> Catalog {
    let mut next = catalog.clone();
    next.version += 1;
    let Catalog { collections, collections_numbered, indexes_numbered, .. } = &mut next;
    for (name, wanted) in all {
        let collection = collections.entry(name.clone()).or_insert_with(|| {
            *collections_numbered += 1;
            Collection {
                number: CollectionNumber(*collections_numbered),
                declared: false,
                fields: wanted.fields.clone(),
                indexes: Vec::new(),
            }
        });
        for (fields, unique) in &wanted.indexes {
            if find(collection, fields, *unique).is_none() {
                *indexes_numbered += 1;
                collection.indexes.push(Index {
                    number: IndexNumber(*indexes_numbered),
                    fields: fields.clone(),
                    unique: *unique,
                    state: IndexState::Building,
                });
            }
        }
    }
    next
}

/// Then, once what is being built is complete: what is declared is there, what is not is being dropped.
pub(crate) fn switched(catalog: &Catalog, all: &AllWanted) -> Catalog {
    let mut next = catalog.clone();
    next.version += 1;
    for (name, collection) in &mut next.collections {
        let wanted = all.get(name);
        collection.declared = wanted.is_some();
        let mut indexes = Vec::new();
        if let Some(wanted) = wanted {
            collection.fields = wanted.fields.clone();
            for (fields, unique) in &wanted.indexes {
                if let Some(place) = find(collection, fields, *unique) {
                    indexes.push(Index { state: IndexState::Ready, ..collection.indexes.remove(place) });
                }
            }
        }
        indexes.extend(collection.indexes.drain(..).map(|index| Index { state: IndexState::Dropping, ..index }));
        collection.indexes = indexes;
    }
    next
}

/// Or, if it could not be completed: what was being built is being dropped, all else stays.
pub(crate) fn given_up(catalog: &Catalog) -> Catalog {
    let mut next = catalog.clone();
    next.version += 1;
    for index in next.collections.values_mut().flat_map(|collection| &mut collection.indexes) {
        if index.state == IndexState::Building {
            index.state = IndexState::Dropping;
        }
    }
    next
}

/// Last: what was being dropped is gone.
pub(crate) fn swept(catalog: &Catalog) -> Catalog {
    let mut next = catalog.clone();
    next.version += 1;
    for collection in next.collections.values_mut() {
        collection.indexes.retain(|index| index.state != IndexState::Dropping);
    }
    next
}

fn find(collection: &Collection, fields: &[IndexField], unique: bool) -> Option<usize> {
    collection
        .indexes
        .iter()
        .position(|index| index.state != IndexState::Dropping && index.fields == fields && index.unique == unique)
}
