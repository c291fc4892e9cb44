//! Which fields may share a response key (<https://spec.graphql.org/draft/#sec-Field-Selection-Merging>).

use indexmap::IndexMap;
use weir_schema::api::Scalar;
use weir_schema::error::ErrorCode;

use super::GraphqlError;
use super::compile::{Group, invalid};
use super::document::location;
use super::plan::{Complete, Completion, Member, Selected};

/// One response key of one object must mean one field with one set of arguments.
pub(super) fn check_mergeable(key: &str, group: &Group<'_>) -> Result<(), GraphqlError> {
    let Some((first, others)) = group.split_first() else { return Ok(()) };
    for other in others {
        let (a, b) = (&first.node, &other.node);
        let same_arguments = a.arguments.len() == b.arguments.len()
            && a.arguments
                .iter()
                .all(|(name, value)| b.get_argument(&name.node).is_some_and(|other| other.node == value.node));
        let why = if a.name.node != b.name.node {
            format!("{} and {} are different fields", a.name.node, b.name.node)
        } else if !same_arguments {
            "they have differing arguments".to_owned()
        } else {
            continue;
        };
        let message = format!("Fields \"{key}\" conflict because {why}. Use different aliases to fetch both.");
        return Err(invalid(message, location(first.pos)).at(location(other.pos)));
    }
    Ok(())
}

/// Fields of different alternatives may share a response key only if their values have one shape
/// (<https://spec.graphql.org/draft/#SameResponseShape()>).
///
/// Fields of one key are compared with the first of them, and what is selected of all their objects is looked at together:
/// each field is compared once, where comparing them in pairs would take the square of their number.
pub(super) fn check_shapes(alternatives: &[(String, Selected)]) -> Result<(), GraphqlError> {
    let sets: Vec<&Selected> = alternatives.iter().map(|(_, selected)| selected).collect();
    check_sets(&sets)
}

fn check_sets(sets: &[&Selected]) -> Result<(), GraphqlError> {
    if sets.len() < 2 {
        return Ok(());
    }
    // A field without a member is `__typename`.
    let mut by_key: IndexMap<&str, Vec<Option<&Member>>> = IndexMap::new();
    for field in sets.iter().flat_map(|set| &set.fields) {
        by_key.entry(&field.key.name).or_default().push(field.member.as_ref());
    }
    for (key, members) in by_key {
        let Some((first, others)) = members.split_first() else { continue };
        for other in others {
            compared();
            if !same_shape(shape(*first), shape(*other)) {
                let message = format!(
                    "Fields \"{key}\" conflict because they return conflicting types. Use different aliases to fetch both."
                );
                let error = GraphqlError::new(ErrorCode::GraphqlValidationFailed, message);
                let places = [*first, *other].into_iter().flatten().map(|member| member.location);
                return Err(places.fold(error, GraphqlError::at));
            }
        }
        let mut within = Vec::new();
        for member in members.into_iter().flatten() {
            add_objects(&member.completion, &mut within);
        }
        check_sets(&within)?;
    }
    Ok(())
}

/// A type without the members of its objects.
fn shape(member: Option<&Member>) -> &Completion {
    /// That of `__typename`.
    static TYPENAME: Completion = Completion { nullable: false, of: Complete::Scalar(Scalar::String) };
    member.map_or(&TYPENAME, |member| &member.completion)
}

fn same_shape(a: &Completion, b: &Completion) -> bool {
    let is_composite = |of: &Complete| matches!(of, Complete::Object(_) | Complete::Union { .. });
    a.nullable == b.nullable
        && match (&a.of, &b.of) {
            (Complete::Scalar(a), Complete::Scalar(b)) => a == b,
            (Complete::Enum(a), Complete::Enum(b)) => a.name == b.name,
            (Complete::List(a), Complete::List(b)) => same_shape(a, b),
            (a, b) => is_composite(a) && is_composite(b),
        }
}

/// Adds what is selected of the objects that a value may be or hold.
fn add_objects<'p>(completion: &'p Completion, sets: &mut Vec<&'p Selected>) {
    match &completion.of {
        Complete::Scalar(_) | Complete::Enum(_) => {}
        Complete::List(element) => add_objects(element, sets),
        Complete::Object(selected) => sets.push(selected),
        Complete::Union { alternatives, .. } => sets.extend(alternatives.iter().map(|(_, selected)| selected)),
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
    /// Fields that this thread has compared.
    pub(super) static COMPARED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}
