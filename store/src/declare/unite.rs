//! What several releases declare, as one: they are there at once and have the same documents. Pure.
//!
//! Rule: what one release declares is there whatever the others declare, or they are refused together. So the union has each
//! index and each reference of any release, and a member of an index sorts in the same way in all of them.

use weir_schema::references::OnDelete;

use crate::catalog::FieldKind;
use crate::error::CatalogError;
use crate::held::name_of;

use super::{AllWanted, Wanted, WantedIndex, WantedReference};

/// A release with what it declares of one collection.
type Of<'a> = (&'a str, &'a Wanted);

/// Unites what releases declare, the first of them first.
pub(crate) fn unite(releases: &[(&str, AllWanted)]) -> Result<AllWanted, CatalogError> {
    if let [(_, only)] = releases {
        return Ok(only.clone());
    }
    let mut united = AllWanted::new();
    for collection in releases.iter().flat_map(|(_, all)| all.keys()) {
        if !united.contains_key(collection) {
            let declaring = releases.iter().filter_map(|(name, all)| Some((*name, all.get(collection)?)));
            united.insert(collection.clone(), collection_of(collection, &declaring.collect::<Vec<_>>())?);
        }
    }
    Ok(united)
}

fn collection_of(collection: &str, releases: &[Of<'_>]) -> Result<Wanted, CatalogError> {
    let mut united = Wanted { fields: Default::default(), indexes: Vec::new(), references: Vec::new() };
    for (_, wanted) in releases {
        for (field, kind) in &wanted.fields {
            united.fields.entry(field.clone()).or_insert(*kind);
        }
    }
    for (name, wanted) in releases {
        for index in wanted.indexes.iter().filter(|index| index.ids.is_none()) {
            check_order(collection, (name, index), releases)?;
            if !united.indexes.contains(index) {
                united.indexes.push(index.clone());
            }
        }
    }
    for (reference, index) in references_of(collection, releases)? {
        let place = united.indexes.iter().position(|known| known == index).unwrap_or_else(|| {
            united.indexes.push(index.clone());
            united.indexes.len() - 1
        });
        united.references.push(WantedReference { index: place, ..reference.clone() });
    }
    Ok(united)
}

/// Whether the members of an index sort as they do in it wherever they are declared: documents of each release have to fit it.
fn check_order(collection: &str, (one, index): (&str, &WantedIndex), releases: &[Of<'_>]) -> Result<(), CatalogError> {
    for field in &index.fields {
        let sorts = |kind: &FieldKind| kind.order().is_ok_and(|order| order == field.order);
        let other = releases.iter().find(|(_, wanted)| wanted.fields.get(&field.name).is_some_and(|kind| !sorts(kind)));
        if let Some((other, _)) = other {
            return Err(apart(collection, &field.name, "is in an index and sorts in another way in each", one, other));
        }
    }
    Ok(())
}

/// The references of all releases, each with its index. Of those in the same places one is left.
fn references_of<'a>(
    collection: &str,
    releases: &[Of<'a>],
) -> Result<Vec<(&'a WantedReference, &'a WantedIndex)>, CatalogError> {
    let mut found: Vec<(&str, &WantedReference, &WantedIndex)> = Vec::new();
    for (name, wanted) in releases {
        for reference in &wanted.references {
            let Some(index) = wanted.indexes.get(reference.index) else { continue };
            let Some(known) = found.iter_mut().find(|(_, known, _)| known.is_where(reference)) else {
                found.push((name, reference, index));
                continue;
            };
            if known.1.target != reference.target {
                return Err(apart(
                    collection,
                    &reference.ids.member,
                    "refers to another collection in each",
                    known.0,
                    name,
                ));
            }
            // What clears an id leaves a document as the other release must not find it.
            if known.1.clears() && !reference.ids.places.may_be_cleared() {
                *known = (name, reference, index);
            }
        }
    }
    Ok(found.into_iter().map(|(_, reference, index)| (reference, index)).collect())
}

fn apart(collection: &str, field: &str, problem: &'static str, one: &str, other: &str) -> CatalogError {
    let (collection, field) = (collection.to_owned(), field.to_owned());
    CatalogError::Apart { collection, field, problem, one: name_of(one).to_owned(), other: name_of(other).to_owned() }
}

impl WantedReference {
    fn is_where(&self, other: &Self) -> bool {
        self.ids.member == other.ids.member && self.ids.places.is_where(&other.ids.places)
    }

    fn clears(&self) -> bool {
        self.on_delete == OnDelete::SetNull
    }
}
