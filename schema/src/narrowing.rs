//! The type of the documents of a collection by itself, and what of the documents of another type it leaves out. Pure.
//!
//! Rule: where a type is said not to narrow another, each document that was stored as the other can be read, patched and stored
//! again as this one. The reverse need not hold: what cannot be told from the types counts as narrower, and the documents say.
//!
//! Members that neither type declares are nobody's concern: a release keeps what it does not know of a document.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::declarations::Declarations;
use crate::shape::{Definition, Definitions, Member, Shape, Slot, object};
use crate::validate::{self, Violation};

/// The type of the documents of one collection, with all that it is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentType {
    /// The collection, by its exported name.
    pub collection: String,
    /// The object definition without `id`.
    value: String,
    definitions: Definitions,
}

impl DocumentType {
    /// The type that declarations give the documents of a collection; `None` if they do not have the collection.
    pub fn of(declarations: &Declarations, collection: &str) -> Option<Self> {
        let declared = declarations.collections.get(collection)?;
        let mut names = BTreeSet::new();
        reach(&declarations.definitions, &declared.value, &mut names);
        // In the order of the declarations, so that equal ones give equal types.
        let used = declarations.definitions.iter().filter(|(name, _)| names.contains(*name));
        let definitions = used.map(|(name, definition)| (name.clone(), definition.clone())).collect();
        Some(Self { collection: collection.to_owned(), value: declared.value.clone(), definitions })
    }

    /// Whether a document, given without its id, has this type. Members that the type does not have are left aside.
    pub fn check(&self, mut document: Map<String, Value>) -> Result<(), Violation> {
        document.retain(|name, _| self.declares(name));
        validate::document_of(&self.collection, &self.value, &self.definitions, Value::Object(document)).map(|_| ())
    }

    /// A document as it is stored, given without its id. Members that the type does not have stay, and all stay in their order.
    pub fn normalize(&self, document: Map<String, Value>) -> Result<Map<String, Value>, Violation> {
        let known = document.iter().filter(|(name, _)| self.declares(name));
        let known = known.map(|(name, value)| (name.clone(), value.clone())).collect();
        let checked = validate::document_of(&self.collection, &self.value, &self.definitions, Value::Object(known))?;
        let Value::Object(mut checked) = checked else { return Ok(document) };
        let normal = document.into_iter().filter_map(|(name, value)| {
            let value = if self.declares(&name) { checked.shift_remove(&name)? } else { value };
            Some((name, value))
        });
        Ok(normal.collect())
    }

    /// Whether documents of this type can have the member.
    pub fn declares(&self, member: &str) -> bool {
        object(&self.definitions, &self.value).is_some_and(|object| object.member(member).is_some())
    }

    fn members(&self) -> impl Iterator<Item = &str> {
        let members = object(&self.definitions, &self.value).map(|object| object.members.as_slice());
        members.unwrap_or_default().iter().map(|member| member.name.as_str())
    }

    /// Whether there can be documents of another type that do not have this one.
    pub fn narrows(&self, other: &Self) -> bool {
        let mut comparison = Comparison { wide: &other.definitions, narrow: &self.definitions, seen: BTreeSet::new() };
        !comparison.object(&other.value, &self.value)
    }
}

/// A type that documents have to have beside that of whoever wrote them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Narrowing {
    /// The type.
    pub to: DocumentType,
    /// Members that documents had so far and may not have any more.
    gone: BTreeSet<String>,
}

impl Narrowing {
    /// What a new type asks of the documents of an old one; `None` where they have it for certain. Of documents whose type is not
    /// known nothing is.
    pub fn between(old: Option<&DocumentType>, new: DocumentType) -> Option<Self> {
        if old.is_some_and(|old| !new.narrows(old)) {
            return None;
        }
        let had = old.into_iter().flat_map(DocumentType::members);
        let gone = had.filter(|member| !new.declares(member)).map(str::to_owned).collect();
        Some(Self { to: new, gone })
    }

    /// What a type asks of the documents of another so that they can be read as it: what else they have is nobody's concern. `None`
    /// where they can be for certain.
    pub fn reading(written: &DocumentType, read: DocumentType) -> Option<Self> {
        read.narrows(written).then(|| Self { to: read, gone: BTreeSet::new() })
    }

    /// What the same type asks of the documents of two others.
    pub fn and(mut self, other: Self) -> Self {
        self.gone.extend(other.gone);
        self
    }

    /// Whether a document, given without its id, keeps to it.
    pub fn check(&self, document: Map<String, Value>) -> Result<(), Violation> {
        if let Some(gone) = document.keys().find(|name| self.gone.contains(*name)) {
            let path = format!("{}.{gone}", self.to.collection);
            return Err(Violation { path, message: "is not declared any more".to_owned() });
        }
        self.to.check(document)
    }
}

/// Collects the definitions that one is made of.
fn reach(definitions: &Definitions, name: &str, names: &mut BTreeSet<String>) {
    if !names.insert(name.to_owned()) {
        return;
    }
    match definitions.get(name) {
        Some(Definition::Object(object)) => {
            object.members.iter().for_each(|member| reach_shape(definitions, &member.slot.shape, names));
        }
        Some(Definition::Union(union)) => {
            union.alternatives.iter().for_each(|alternative| reach(definitions, &alternative.object, names));
        }
        Some(Definition::Enum(_)) | None => {}
    }
}

fn reach_shape(definitions: &Definitions, shape: &Shape, names: &mut BTreeSet<String>) {
    match shape {
        Shape::List(element) => reach_shape(definitions, &element.shape, names),
        Shape::Enum(name) | Shape::Object(name) | Shape::Union(name) => reach(definitions, name, names),
        _ => {}
    }
}

/// Whether all that has one type has another too. Each answer is true where that is certain.
struct Comparison<'a> {
    /// What values have.
    wide: &'a Definitions,
    /// What they have to have.
    narrow: &'a Definitions,
    /// Pairs of objects that are being compared: types that contain themselves come back to them.
    seen: BTreeSet<(&'a str, &'a str)>,
}

impl<'a> Comparison<'a> {
    fn object(&mut self, from: &'a str, to: &'a str) -> bool {
        if !self.seen.insert((from, to)) {
            return true;
        }
        let (Some(from), Some(to)) = (object(self.wide, from), object(self.narrow, to)) else { return false };
        let is_there = from.members.iter().all(|member| match to.member(&member.name) {
            Some(wanted) => self.member(member, wanted),
            // A member that is not declared may not be in a document.
            None => false,
        });
        is_there && to.members.iter().all(|wanted| from.member(&wanted.name).is_some() || may_be_missing(&wanted.slot))
    }

    fn member(&mut self, from: &'a Member, to: &'a Member) -> bool {
        let texts = |member: &'a Member, definitions: &'a Definitions| match &member.literal {
            Some(literal) => Some(BTreeSet::from([literal.as_str()])),
            None => texts_of(&member.slot.shape, definitions),
        };
        // Both are text: what counts is which.
        match (texts(from, self.wide), texts(to, self.narrow)) {
            (Some(from_texts), Some(to_texts)) => from_texts.is_subset(&to_texts) && nulls_fit(&from.slot, &to.slot),
            (None, Some(_)) => false,
            (Some(_), None) if matches!(to.slot.shape, Shape::String) => nulls_fit(&from.slot, &to.slot),
            _ => self.slot(&from.slot, &to.slot),
        }
    }

    fn slot(&mut self, from: &'a Slot, to: &'a Slot) -> bool {
        nulls_fit(from, to) && self.shape(&from.shape, &to.shape)
    }

    fn shape(&mut self, from: &'a Shape, to: &'a Shape) -> bool {
        match (from, to) {
            (_, Shape::Json) | (Shape::Int, Shape::Float) => true,
            (Shape::Id | Shape::Ref(_) | Shape::DateTime | Shape::Bytes | Shape::Enum(_), Shape::String) => true,
            // Whether the documents are there that ids lead to is the concern of references.
            (Shape::Id | Shape::Ref(_), Shape::Id | Shape::Ref(_)) => true,
            (Shape::Enum(_), Shape::Enum(_)) => match (texts_of(from, self.wide), texts_of(to, self.narrow)) {
                (Some(from), Some(to)) => from.is_subset(&to),
                _ => false,
            },
            (Shape::List(from), Shape::List(to)) => self.slot(from, to),
            (Shape::Object(from), Shape::Object(to)) => self.object(from, to),
            (Shape::Union(from), Shape::Union(to)) => self.union(from, to),
            (Shape::String | Shape::Boolean | Shape::Int | Shape::Float | Shape::DateTime | Shape::Bytes, to) => {
                from == to
            }
            _ => false,
        }
    }

    fn union(&mut self, from: &'a str, to: &'a str) -> bool {
        let (Some(Definition::Union(from)), Some(Definition::Union(to))) = (self.wide.get(from), self.narrow.get(to))
        else {
            return false;
        };
        from.discriminator == to.discriminator
            && from.alternatives.iter().all(|one| {
                let other = to.alternatives.iter().find(|other| other.literal == one.literal);
                other.is_some_and(|other| self.object(&one.object, &other.object))
            })
    }
}

/// The texts that values of an enum are; `None` for other shapes.
fn texts_of<'a>(shape: &'a Shape, definitions: &'a Definitions) -> Option<BTreeSet<&'a str>> {
    let Shape::Enum(name) = shape else { return None };
    let Some(Definition::Enum(enumeration)) = definitions.get(name) else { return None };
    Some(enumeration.values.iter().map(|value| value.typescript.as_str()).collect())
}

/// Whether a document may lack the member, or have null there.
fn may_be_missing(slot: &Slot) -> bool {
    slot.may_be_null() || slot.shape == Shape::Json
}

fn nulls_fit(from: &Slot, to: &Slot) -> bool {
    !may_be_missing(from) || may_be_missing(to)
}

#[cfg(test)]
mod tests;
