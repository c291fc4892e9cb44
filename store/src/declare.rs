//! From what is declared to what the catalog has to become. Pure: [`crate::indexing`] carries it out.

use std::collections::BTreeMap;

use weir_schema::codec::key::{CollectionNumber, IndexField, IndexNumber};
use weir_schema::declarations::{self, Declarations};
use weir_schema::references::{OnDelete, Reference};
use weir_schema::shape::{self, Definitions, Shape};

use crate::catalog::{self, Catalog, Collection, FieldKind, Held, Ids, Index, IndexState, ReferenceState};
use crate::error::CatalogError;

pub(crate) mod unite;

/// One collection as it is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    fields: BTreeMap<String, FieldKind>,
    /// Those that are declared, then those that references need besides.
    indexes: Vec<WantedIndex>,
    references: Vec<WantedReference>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct WantedIndex {
    fields: Vec<IndexField>,
    unique: bool,
    ids: Option<Ids>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct WantedReference {
    ids: Ids,
    target: String,
    on_delete: OnDelete,
    /// The place of its index in [`Wanted::indexes`].
    index: usize,
}

/// All collections as they are declared.
pub(crate) type AllWanted = BTreeMap<String, Wanted>;

/// Reads the declarations.
pub(crate) fn wanted(declarations: &Declarations) -> Result<AllWanted, CatalogError> {
    declarations
        .collections
        .values()
        .map(|collection| {
            let mut wanted = one(collection, &declarations.definitions)?;
            let is_declared = |target: &str| declarations.collections.contains_key(target);
            wanted.refer(&collection.name, &collection.references, is_declared)?;
            Ok((collection.name.clone(), wanted))
        })
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
            let wanted = WantedIndex { fields: chosen, unique: index.unique, ids: None };
            if !indexes.contains(&wanted) {
                indexes.push(wanted);
            }
        }
        Ok(Self { fields, indexes, references: Vec::new() })
    }

    /// Adds references, each with the index that finds who refers to a document: a declared one that starts with the
    /// member, or one of its own.
    pub(crate) fn refer(
        &mut self,
        collection: &str,
        references: &[Reference],
        is_declared: impl Fn(&str) -> bool,
    ) -> Result<(), CatalogError> {
        for Reference { member, places, target, on_delete } in references {
            let bad = |problem| {
                let (collection, field) = (collection.to_owned(), member.clone());
                Err(CatalogError::BadReference { collection, field, problem })
            };
            if !is_declared(target) {
                return bad("the collection that it leads to is not declared");
            }
            if *on_delete == OnDelete::SetNull && !places.may_be_cleared() {
                return bad("setNull is for members that may be null or absent");
            }
            let ids = Ids { member: member.clone(), places: places.clone() };
            let serves = |index: &WantedIndex| match &index.ids {
                Some(known) => *known == ids,
                None => places.is_whole_member() && index.fields.first().is_some_and(|field| field.name == *member),
            };
            let index = self.indexes.iter().position(serves).unwrap_or_else(|| {
                self.indexes.push(WantedIndex { fields: Vec::new(), unique: false, ids: Some(ids.clone()) });
                self.indexes.len() - 1
            });
            self.references.push(WantedReference { ids, target: target.clone(), on_delete: *on_delete, index });
        }
        Ok(())
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
pub(crate) fn is_done(catalog: &Catalog, all: &AllWanted, releases: &[String]) -> bool {
    let declared = catalog.collections.iter().filter(|(_, collection)| collection.declared);
    declared.clone().count() == all.len()
        && declared
            .clone()
            .all(|(name, collection)| all.get(name).is_some_and(|wanted| is_as_wanted(collection, wanted)))
        && catalog.collections.values().all(|collection| {
            let is_clear = collection.indexes.is_empty() && collection.references.is_empty();
            (collection.declared || is_clear) && collection.held.iter().all(|held| is_held_for(held, releases))
        })
}

/// Whether a release is there that needs the type, and others that do not have it.
fn is_held_for(held: &Held, releases: &[String]) -> bool {
    releases.len() > 1 && releases.contains(&held.release)
}

fn is_as_wanted(collection: &Collection, wanted: &Wanted) -> bool {
    collection.fields == wanted.fields
        && collection.indexes.len() == wanted.indexes.len()
        && collection
            .indexes
            .iter()
            .zip(&wanted.indexes)
            .all(|(index, wanted)| index.state == IndexState::Ready && wanted.is(index))
        && collection.references == wanted.references(&collection.indexes)
}

impl WantedIndex {
    fn is(&self, index: &Index) -> bool {
        index.fields == self.fields && index.unique == self.unique && index.ids == self.ids
    }
}

impl Wanted {
    /// The references once they are ready, by indexes in the order in which they are wanted.
    fn references(&self, indexes: &[Index]) -> Vec<catalog::Reference> {
        let ready = self
            .references
            .iter()
            .filter_map(|wanted| Some(wanted.with(indexes.get(wanted.index)?.number, ReferenceState::Ready)));
        ready.collect()
    }
}

impl WantedReference {
    fn with(&self, index: IndexNumber, state: ReferenceState) -> catalog::Reference {
        let Self { ids, target, on_delete, .. } = self.clone();
        catalog::Reference { ids, target, on_delete, index, state }
    }

    /// Whether documents are held to it already, whatever becomes of them when what they refer to is deleted.
    fn is(&self, reference: &catalog::Reference, index: IndexNumber) -> bool {
        reference.ids == self.ids && reference.target == self.target && reference.index == index
    }
}

/// First: collections get numbers, new indexes are written by every commit from now on. What was begun for other declarations,
/// and cut off, is given up: it may be what documents do not keep to. Nothing changes for readers.
pub(crate) fn started(catalog: &Catalog, all: &AllWanted) -> Catalog {
    let mut next = catalog.clone();
    next.version += 1;
    let Catalog { collections, collections_numbered, indexes_numbered, .. } = &mut next;
    for (name, collection) in collections.iter_mut() {
        let wanted = all.get(name);
        let indexes = wanted.map_or(&[][..], |wanted| &wanted.indexes);
        let begun = collection.indexes.iter_mut().filter(|index| index.state == IndexState::Building);
        for index in begun.filter(|index| !indexes.iter().any(|wanted| wanted.is(index))) {
            index.state = IndexState::Dropping;
        }
        let numbered = |place: usize| {
            let wanted = indexes.get(place)?;
            let kept = collection.indexes.iter().find(|index| index.state != IndexState::Dropping && wanted.is(index));
            kept.map(|index| index.number)
        };
        let references = wanted.map_or(&[][..], |wanted| &wanted.references);
        collection.references.retain(|known| {
            let is_wanted =
                |wanted: &WantedReference| numbered(wanted.index).is_some_and(|number| wanted.is(known, number));
            known.state == ReferenceState::Ready || references.iter().any(is_wanted)
        });
    }
    for (name, wanted) in all {
        let collection = collections.entry(name.clone()).or_insert_with(|| {
            *collections_numbered += 1;
            Collection {
                number: CollectionNumber(*collections_numbered),
                declared: false,
                fields: wanted.fields.clone(),
                indexes: Vec::new(),
                references: Vec::new(),
                held: Vec::new(),
            }
        });
        let mut numbers = Vec::with_capacity(wanted.indexes.len());
        for index in &wanted.indexes {
            let known = find(collection, index).and_then(|place| collection.indexes.get(place));
            numbers.push(known.map(|index| index.number).unwrap_or_else(|| {
                *indexes_numbered += 1;
                let WantedIndex { fields, unique, ids } = index.clone();
                let number = IndexNumber(*indexes_numbered);
                collection.indexes.push(Index { number, fields, unique, ids, state: IndexState::Building });
                number
            }));
        }
        for reference in &wanted.references {
            if let Some(number) = numbers.get(reference.index)
                && !collection.references.iter().any(|known| reference.is(known, *number))
            {
                collection.references.push(reference.with(*number, ReferenceState::Checking));
            }
        }
    }
    next
}

/// Then, once what is being built is complete: what is declared is there, what is not is being dropped. Of the types that
/// documents are held to those stay that one of the releases needs.
pub(crate) fn switched(catalog: &Catalog, all: &AllWanted, releases: &[String]) -> Catalog {
    let mut next = catalog.clone();
    next.version += 1;
    for (name, collection) in &mut next.collections {
        let wanted = all.get(name);
        collection.declared = wanted.is_some();
        let mut indexes = Vec::new();
        if let Some(wanted) = wanted {
            collection.fields = wanted.fields.clone();
            for index in &wanted.indexes {
                if let Some(place) = find(collection, index) {
                    indexes.push(Index { state: IndexState::Ready, ..collection.indexes.remove(place) });
                }
            }
        }
        collection.references = wanted.map(|wanted| wanted.references(&indexes)).unwrap_or_default();
        indexes.extend(collection.indexes.drain(..).map(|index| Index { state: IndexState::Dropping, ..index }));
        collection.indexes = indexes;
        collection.held.retain(|held| is_held_for(held, releases));
    }
    next
}

/// Or, if it could not be completed: what was being built is being dropped, collections that were not there before are gone, since
/// nobody could write to them, and all else stays.
pub(crate) fn given_up(catalog: &Catalog, before: &Catalog) -> Catalog {
    let mut next = catalog.clone();
    next.version += 1;
    next.collections.retain(|name, _| before.collections.contains_key(name));
    for collection in next.collections.values_mut() {
        collection.references.retain(|reference| reference.state == ReferenceState::Ready);
        for index in collection.indexes.iter_mut().filter(|index| index.state == IndexState::Building) {
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

fn find(collection: &Collection, wanted: &WantedIndex) -> Option<usize> {
    collection.indexes.iter().position(|index| index.state != IndexState::Dropping && wanted.is(index))
}
