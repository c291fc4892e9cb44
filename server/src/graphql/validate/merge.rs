//! Which fields may share a response key (<https://spec.graphql.org/draft/#sec-Field-Selection-Merging>): those whose values have
//! one shape and, where one object may have both, that are one field with one set of arguments.
//!
//! The specification compares each field with each. Here all of one key are compared with the first, twice: once all of them for
//! their shape, once those that one object may have. That comes to the same, and costs what the document has with its fragments
//! spread, which `document_selections` bounds.

use std::collections::HashSet;

use async_graphql::Positioned;
use async_graphql::parser::types::{Field as Selected, OperationDefinition, Selection, SelectionSet};
use async_graphql_value::Value as Literal;
use indexmap::IndexMap;
use weir_schema::api::{Field, Of, TypeRef};

use super::super::introspection::{Composite, Known};
use super::Validator;

/// A field of a selection set, fragments spread.
#[derive(Clone, Copy)]
struct Spread<'a> {
    parent: Composite<'a>,
    field: &'a Positioned<Selected>,
    known: &'a Field,
}

/// The fields of one response key.
type Group<'a> = Vec<Spread<'a>>;

impl<'a> Validator<'a> {
    /// Checks an operation in which all else is right.
    pub(super) fn check_merging(&mut self, operation: &'a Positioned<OperationDefinition>) {
        let root = Composite::Object(self.root(operation.node.ty));
        let sets = [(root, &operation.node.selection_set.node)];
        let checked = self.check_shapes(&sets).and_then(|()| self.check_fields(&sets));
        if let Err((message, one, other)) = checked {
            self.error(message, &[one.field.pos, other.field.pos]);
        }
    }

    /// The fields of selection sets that stand on these types, by response key.
    fn spread(&self, sets: &[(Composite<'a>, &'a SelectionSet)]) -> IndexMap<&'a str, Group<'a>> {
        let mut groups = IndexMap::new();
        let mut seen = HashSet::new();
        for (on, set) in sets {
            self.spread_into(*on, set, &mut seen, &mut groups);
        }
        groups
    }

    fn spread_into(
        &self,
        on: Composite<'a>,
        set: &'a SelectionSet,
        seen: &mut HashSet<&'a str>,
        groups: &mut IndexMap<&'a str, Group<'a>>,
    ) {
        let composite = |name: &str| match self.types.find(name) {
            Some(Known::Composite(composite)) => Some(composite),
            _ => None,
        };
        for item in &set.items {
            match &item.node {
                Selection::Field(field) => {
                    if let Some(known) = self.types.field(on, &field.node.name.node) {
                        let spread = Spread { parent: on, field, known };
                        groups.entry(field.node.response_key().node.as_str()).or_default().push(spread);
                    }
                }
                Selection::InlineFragment(inline) => {
                    let condition = inline.node.type_condition.as_ref();
                    let on = condition.and_then(|condition| composite(&condition.node.on.node)).unwrap_or(on);
                    self.spread_into(on, &inline.node.selection_set.node, seen, groups);
                }
                Selection::FragmentSpread(spread) => {
                    let name = spread.node.fragment_name.node.as_str();
                    let Some(fragment) = self.document.fragments.get(name) else { continue };
                    if let Some(on) = composite(&fragment.node.type_condition.node.on.node)
                        && seen.insert(name)
                    {
                        self.spread_into(on, &fragment.node.selection_set.node, seen, groups);
                    }
                }
            }
        }
    }

    /// The selection sets of fields, each with the type that it stands on.
    fn sets(&self, group: &[Spread<'a>]) -> Vec<(Composite<'a>, &'a SelectionSet)> {
        let set = |spread: &Spread<'a>| match self.types.inside(&spread.known.ty) {
            Some(Known::Composite(on)) => Some((on, &spread.field.node.selection_set.node)),
            _ => None,
        };
        group.iter().filter_map(set).collect()
    }

    /// Values under one key have one shape, whatever object they are of.
    fn check_shapes(&self, sets: &[(Composite<'a>, &'a SelectionSet)]) -> Result<(), Conflict<'a>> {
        for (key, group) in self.spread(sets) {
            let Some((first, others)) = group.split_first() else { continue };
            for other in others {
                compared();
                if !self.same_shape(&first.known.ty, &other.known.ty) {
                    let why = format!("they return conflicting types {} and {}", first.known.ty, other.known.ty);
                    return Err(conflict(key, &why, first, other));
                }
            }
            self.check_shapes(&self.sets(&group))?;
        }
        Ok(())
    }

    fn same_shape(&self, a: &TypeRef, b: &TypeRef) -> bool {
        a.nullable == b.nullable
            && match (&a.of, &b.of) {
                (Of::List(a), Of::List(b)) => self.same_shape(a, b),
                (Of::List(_), _) | (_, Of::List(_)) => false,
                // What is selected of objects is compared by itself.
                (one, other) => one == other || (self.is_composite(a) && self.is_composite(b)),
            }
    }

    fn is_composite(&self, ty: &TypeRef) -> bool {
        matches!(self.types.inside(ty), Some(Known::Composite(_)))
    }

    /// One key of one object is one field with one set of arguments.
    fn check_fields(&self, sets: &[(Composite<'a>, &'a SelectionSet)]) -> Result<(), Conflict<'a>> {
        for (key, group) in self.spread(sets) {
            // What stands on a union may be of any object.
            let (of_objects, of_any): (Group, Group) =
                group.into_iter().partition(|spread| matches!(spread.parent, Composite::Object(_)));
            let mut by_object: IndexMap<&str, Group> = IndexMap::new();
            for spread in of_objects {
                by_object.entry(spread.parent.name()).or_default().push(spread);
            }
            if by_object.is_empty() {
                by_object.insert("", Vec::new());
            }
            for (_, mut group) in by_object {
                group.extend(&of_any);
                let Some((first, others)) = group.split_first() else { continue };
                for other in others {
                    let (a, b) = (&first.field.node, &other.field.node);
                    if a.name.node != b.name.node {
                        let why = format!("{} and {} are different fields", a.name.node, b.name.node);
                        return Err(conflict(key, &why, first, other));
                    }
                    if !same_arguments(a, b) {
                        return Err(conflict(key, "they have differing arguments", first, other));
                    }
                }
                self.check_fields(&self.sets(&group))?;
            }
        }
        Ok(())
    }
}

#[cfg(not(test))]
fn compared() {}

#[cfg(test)]
fn compared() {
    COMPARED.set(COMPARED.get() + 1);
}

#[cfg(test)]
thread_local! {
    /// Fields whose shapes this thread has compared.
    pub(in super::super) static COMPARED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// A message, and the two fields.
type Conflict<'a> = (String, Spread<'a>, Spread<'a>);

fn conflict<'a>(key: &str, why: &str, one: &Spread<'a>, other: &Spread<'a>) -> Conflict<'a> {
    let message = format!("Fields \"{key}\" conflict because {why}. Use different aliases to fetch both.");
    (message, *one, *other)
}

fn same_arguments(a: &Selected, b: &Selected) -> bool {
    let has = |name: &str, value: &Literal| b.get_argument(name).is_some_and(|other| other.node == *value);
    a.arguments.len() == b.arguments.len() && a.arguments.iter().all(|(name, value)| has(&name.node, &value.node))
}
