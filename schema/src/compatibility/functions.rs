//! Functions of two releases, and the types that clients see of them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Change, Described, Found, Level, Part};
use crate::changes::{self, Kind, Severity};
use crate::declarations::{Declarations, FunctionKind};
use crate::outline::{Outline, OutlineType};

pub(super) fn compare(old: &Described, new: &Described, found: &mut Found) {
    schema(&old.outline, &new.outline, found);
    kinds(old, new, found);
    endpoints(&old.declarations, &new.declarations, found);
}

/// What clients see of the schema. What holds for a function on Query and on Subscription is told once.
fn schema(old: &Outline, new: &Outline, found: &mut Found) {
    let changes = changes::between(old, new);
    let on_query: BTreeSet<(&str, &str)> = changes
        .iter()
        .filter_map(|change| Some((change.kind.name(), change.coordinate.strip_prefix("Query.")?)))
        .collect();
    for change in &changes {
        let field = change.coordinate.strip_prefix("Subscription.");
        if field.is_some_and(|field| on_query.contains(&(change.kind.name(), field))) || is_implied(change) {
            continue;
        }
        let is_root = |name: &str| matches!(name, "Query" | "Mutation" | "Subscription");
        let owner = change.coordinate.split_once('.').map(|(owner, _)| owner);
        let part = if owner.is_some_and(is_root) { Part::Function } else { Part::Type };
        found.0.push(Change {
            level: level(change.kind),
            part,
            coordinate: change.coordinate.clone(),
            description: change.description.clone(),
            reached_by: reached_by(old, change),
        });
    }
}

/// A scalar of GraphQL goes and comes with what uses it, and that is told.
fn is_implied(change: &changes::Change) -> bool {
    matches!(change.kind, Kind::TypeRemoved | Kind::TypeAdded)
        && crate::api::Scalar::parse(&change.coordinate).is_some()
}

fn level(kind: Kind) -> Level {
    match (kind, kind.severity()) {
        (_, Severity::Breaking) => Level::Breaking,
        // An argument that may be left out is one more thing that clients can say.
        (Kind::OptionalInputFieldAdded | Kind::OptionalArgAdded, _) => Level::Addition,
        (_, Severity::Dangerous) => Level::Dangerous,
        (_, Severity::Safe) => Level::Addition,
    }
}

/// By which functions clients come to what has changed, unless it is a field that they select or an argument that they give.
fn reached_by(old: &Outline, change: &changes::Change) -> Vec<String> {
    let names = |names: BTreeSet<&str>| names.into_iter().map(str::to_owned).collect();
    match change.coordinate.split_once('.') {
        // Who fails may be who does not give the argument.
        Some((_, rest)) if matches!(change.kind, Kind::RequiredArgAdded | Kind::ArgChangedKind) => {
            rest.split('(').next().map(str::to_owned).into_iter().collect()
        }
        Some((owner, _)) => match old.types.get(owner) {
            Some(OutlineType::Object(_) | OutlineType::Interface(_)) => Vec::new(),
            _ => names(old.fields_that_reach(owner)),
        },
        None => names(old.fields_that_reach(&change.coordinate)),
    }
}

/// The root type on which a kind of function is.
fn root(kind: FunctionKind) -> &'static str {
    match kind {
        FunctionKind::Query | FunctionKind::View => "Query",
        FunctionKind::Procedure | FunctionKind::Action => "Mutation",
        FunctionKind::Stream => "Subscription",
    }
}

/// What GraphQL does not tell: what kind a function is of, how it is kept, its code.
fn kinds(old: &Described, new: &Described, found: &mut Found) {
    for (place, (name, before)) in old.declarations.functions.iter().enumerate() {
        let Some((now_place, _, now)) = new.declarations.functions.get_full(name) else { continue };
        let at = format!("{}.{name}", root(now.kind));
        if before.kind != now.kind {
            let level = if root(before.kind) == root(now.kind) { Level::Internal } else { Level::Breaking };
            let what = format!("{name} was a {} and is a {} now.", before.kind.as_str(), now.kind.as_str());
            found.add(level, Part::Function, &at, what);
        }
        if before.keep != now.keep {
            found.add(Level::Internal, Part::Function, &at, format!("{name} is computed and kept at other times."));
        }
        let (before, now) = (old.codes.get(place), new.codes.get(now_place));
        if before.zip(now).is_some_and(|(before, now)| before != now) {
            found.add(
                Level::Internal,
                Part::Function,
                &at,
                format!("The code of {name}, or what it rests on, changed."),
            );
        }
    }
}

fn endpoints(old: &Declarations, new: &Declarations, found: &mut Found) {
    let by_name = |declarations: &Declarations| -> BTreeMap<String, String> {
        let named = |endpoint: &crate::endpoints::Endpoint| {
            let name = format!("{} {}", endpoint.method.as_str(), endpoint.path.as_str());
            (name, endpoint.function.name.clone())
        };
        declarations.endpoints.iter().map(named).collect()
    };
    let (old, new) = (by_name(old), by_name(new));
    for (name, function) in &old {
        match new.get(name) {
            None => found.add(Level::Breaking, Part::Endpoint, name, format!("{name} was removed.")),
            Some(now) if now != function => {
                let what = format!("{name} was answered by {function} and is by {now} now.");
                found.add(Level::Internal, Part::Endpoint, name, what);
            }
            Some(_) => {}
        }
    }
    for name in new.keys().filter(|name| !old.contains_key(*name)) {
        found.add(Level::Addition, Part::Endpoint, name, format!("{name} was added."));
    }
}
