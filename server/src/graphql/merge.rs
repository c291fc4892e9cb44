//! Which fields may share a response key (<https://spec.graphql.org/draft/#sec-Field-Selection-Merging>).

use indexmap::IndexMap;
use weir_schema::api::Scalar;

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
pub(super) fn check_shapes(alternatives: &[(String, Selected)]) -> Result<(), GraphqlError> {
    let mut by_key: IndexMap<&str, Vec<&Member>> = IndexMap::new();
    for field in alternatives.iter().flat_map(|(_, selected)| &selected.fields) {
        let Some(member) = &field.member else { continue };
        let members = by_key.entry(&field.key.name).or_default();
        for other in members.iter() {
            if !same_shape(&member.completion, &other.completion) {
                let message = format!(
                    "Fields \"{}\" conflict because they return conflicting types. Use different aliases to fetch both.",
                    field.key.name
                );
                return Err(invalid(message, other.location).at(member.location));
            }
        }
        members.push(member);
    }
    Ok(())
}

fn same_shape(a: &Completion, b: &Completion) -> bool {
    a.nullable == b.nullable
        && match (&a.of, &b.of) {
            (Complete::Scalar(a), Complete::Scalar(b)) => a == b,
            (Complete::Enum(a), Complete::Enum(b)) => a.name == b.name,
            (Complete::List(a), Complete::List(b)) => same_shape(a, b),
            (a, b) => match (objects(a), objects(b)) {
                (Some(a), Some(b)) => a.iter().all(|a| b.iter().all(|b| same_fields(a, b))),
                _ => false,
            },
        }
}

/// The selections of a composite type.
fn objects(complete: &Complete) -> Option<Vec<&Selected>> {
    match complete {
        Complete::Object(selected) => Some(vec![selected]),
        Complete::Union { alternatives, .. } => Some(alternatives.iter().map(|(_, selected)| selected).collect()),
        _ => None,
    }
}

fn same_fields(a: &Selected, b: &Selected) -> bool {
    a.fields.iter().all(|field| {
        let other = b.fields.iter().find(|other| other.key == field.key);
        match (&field.member, other.map(|other| &other.member)) {
            (_, None) | (None, Some(None)) => true,
            (Some(a), Some(Some(b))) => same_shape(&a.completion, &b.completion),
            // `__typename` is a `String!`.
            (Some(one), Some(None)) | (None, Some(Some(one))) => {
                !one.completion.nullable && matches!(one.completion.of, Complete::Scalar(Scalar::String))
            }
        }
    })
}
