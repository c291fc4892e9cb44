//! What has changed from one schema to another, and whether that breaks clients.
//!
//! What is breaking and what is dangerous, and how it is said, is what `findBreakingChanges` and `findDangerousChanges` of the
//! npm package `graphql` 16 say (`src/utilities/findBreakingChanges.ts`). What they pass over is safe; its kinds have the
//! names of version 17.

mod defaults;
mod kind;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use indexmap::IndexMap;

use crate::api::Scalar;
use crate::outline::{Composite, Outline, OutlineDirective, OutlineField, OutlineInput, OutlineType, Ty};

pub use kind::{Kind, Severity};

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Of which kind.
    pub kind: Kind,
    /// Where it is, as the specification of GraphQL writes schema coordinates: `Order.total`, `Query.ordersOf(limit:)`.
    pub coordinate: String,
    /// What it is, in one sentence.
    pub description: String,
}

/// All changes from one schema to another: breaking ones first, then dangerous ones, then safe ones, and within that in the
/// order of the schemas.
pub fn between(old: &Outline, new: &Outline) -> Vec<Change> {
    let mut found = Found { old, new, changes: Vec::new() };
    found.types();
    found.directives();
    let mut changes = found.changes;
    changes.sort_by_key(|change| change.kind.severity());
    changes
}

struct Found<'a> {
    old: &'a Outline,
    new: &'a Outline,
    changes: Vec<Change>,
}

/// GraphQL's own scalars that a schema has only where it uses them. Introspection uses the others.
const ON_DEMAND: [Scalar; 3] = [Scalar::Int, Scalar::Float, Scalar::Id];

impl Found<'_> {
    fn add(&mut self, kind: Kind, coordinate: impl Into<String>, description: String) {
        self.changes.push(Change { kind, coordinate: coordinate.into(), description });
    }

    fn types(&mut self) {
        let (old, new) = (self.old, self.new);
        let used = |outline: &Outline| outline.used().map(|ty| ty.name().to_owned()).collect::<HashSet<_>>();
        let (used_before, used_now) = (used(old), used(new));
        for (name, ty) in &old.types {
            match new.types.get(name) {
                Some(now) => self.type_changes(name, ty, now),
                None => self.add(Kind::TypeRemoved, name, format!("{name} was removed.")),
            }
        }
        for name in ON_DEMAND.map(Scalar::name) {
            if used_before.contains(name) && !used_now.contains(name) {
                let because = "because it is not referenced anymore";
                self.add(Kind::TypeRemoved, name, format!("Standard scalar {name} was removed {because}."));
            }
        }
        for name in new.types.keys().filter(|name| !old.types.contains_key(*name)) {
            self.add(Kind::TypeAdded, name, format!("{name} was added."));
        }
    }

    fn type_changes(&mut self, name: &str, old: &OutlineType, new: &OutlineType) {
        match (old, new) {
            (OutlineType::Scalar, OutlineType::Scalar) => {}
            (OutlineType::Enum(old), OutlineType::Enum(new)) => self.names(
                &|value| format!("{name}.{value}"),
                (old, Kind::ValueRemovedFromEnum, &|value| format!("{value} was removed from enum type {name}.")),
                (new, Kind::ValueAddedToEnum, &|value| format!("{value} was added to enum type {name}.")),
            ),
            (OutlineType::Union(old), OutlineType::Union(new)) => self.names(
                &|_| name.to_owned(),
                (old, Kind::TypeRemovedFromUnion, &|member| format!("{member} was removed from union type {name}.")),
                (new, Kind::TypeAddedToUnion, &|member| format!("{member} was added to union type {name}.")),
            ),
            (OutlineType::Input(old), OutlineType::Input(new)) => self.input_fields(name, old, new),
            (OutlineType::Object(old), OutlineType::Object(new))
            | (OutlineType::Interface(old), OutlineType::Interface(new)) => self.composite(name, old, new),
            _ => {
                let (old, new) = (kind_name(old), kind_name(new));
                self.add(Kind::TypeChangedKind, name, format!("{name} changed from {old} to {new}."));
            }
        }
    }

    /// What is gone from a list of names, and what has come; each is at a coordinate.
    fn names(
        &mut self,
        at: &dyn Fn(&str) -> String,
        (old, gone, say_gone): Names<'_>,
        (new, come, say_come): Names<'_>,
    ) {
        for name in new.iter().filter(|name| !old.contains(name)) {
            self.add(come, at(name), say_come(name));
        }
        for name in old.iter().filter(|name| !new.contains(name)) {
            self.add(gone, at(name), say_gone(name));
        }
    }

    fn input_fields(&mut self, owner: &str, old: &Inputs, new: &Inputs) {
        for (name, field) in added(old, new) {
            if field.is_required() {
                let description = format!("A required field {name} on input type {owner} was added.");
                self.add(Kind::RequiredInputFieldAdded, format!("{owner}.{name}"), description);
            } else {
                let description = format!("An optional field {name} on input type {owner} was added.");
                self.add(Kind::OptionalInputFieldAdded, format!("{owner}.{name}"), description);
            }
        }
        for (name, field) in old {
            match new.get(name) {
                None => self.add(Kind::FieldRemoved, format!("{owner}.{name}"), format!("{owner}.{name} was removed.")),
                Some(now) if !takes_all_of(&field.ty, &now.ty) => {
                    self.field_kind(Kind::FieldChangedKind, owner, name, &field.ty, &now.ty);
                }
                Some(now) if field.ty != now.ty => {
                    self.field_kind(Kind::FieldChangedKindSafe, owner, name, &field.ty, &now.ty);
                }
                Some(_) => {}
            }
        }
    }

    fn field_kind(&mut self, kind: Kind, owner: &str, name: &str, old: &Ty, new: &Ty) {
        let coordinate = format!("{owner}.{name}");
        let description = format!("{coordinate} changed type from {old} to {new}.");
        self.add(kind, coordinate, description);
    }

    fn composite(&mut self, name: &str, old: &Composite, new: &Composite) {
        for (field, before) in &old.fields {
            match new.fields.get(field) {
                Some(now) => self.field(name, field, before, now),
                None => self.add(Kind::FieldRemoved, format!("{name}.{field}"), format!("{name}.{field} was removed.")),
            }
        }
        for (field, _) in added(&old.fields, &new.fields) {
            self.add(Kind::FieldAdded, format!("{name}.{field}"), format!("{name}.{field} was added."));
        }
        self.names(
            &|_| name.to_owned(),
            (&old.interfaces, Kind::ImplementedInterfaceRemoved, &|interface| {
                format!("{name} no longer implements interface {interface}.")
            }),
            (&new.interfaces, Kind::ImplementedInterfaceAdded, &|interface| {
                format!("{interface} added to interfaces implemented by {name}.")
            }),
        );
    }

    fn field(&mut self, owner: &str, name: &str, old: &OutlineField, new: &OutlineField) {
        let of = format!("{owner}.{name}");
        for (argument, before) in &old.arguments {
            match new.arguments.get(argument) {
                Some(now) => self.argument(&of, argument, before, now),
                None => {
                    let description = format!("{of} arg {argument} was removed.");
                    self.add(Kind::ArgRemoved, format!("{of}({argument}:)"), description);
                }
            }
        }
        for (argument, now) in added(&old.arguments, &new.arguments) {
            let (kind, which) = match now.is_required() {
                true => (Kind::RequiredArgAdded, "A required"),
                false => (Kind::OptionalArgAdded, "An optional"),
            };
            self.add(kind, format!("{of}({argument}:)"), format!("{which} arg {argument} on {of} was added."));
        }
        if !gives_only(&old.ty, &new.ty) {
            self.field_kind(Kind::FieldChangedKind, owner, name, &old.ty, &new.ty);
        } else if old.ty != new.ty {
            self.field_kind(Kind::FieldChangedKindSafe, owner, name, &old.ty, &new.ty);
        }
    }

    fn argument(&mut self, of: &str, name: &str, old: &OutlineInput, new: &OutlineInput) {
        let at = format!("{of}({name}:)");
        let described = |old: &Ty, new: &Ty| format!("{of} arg {name} has changed type from {old} to {new}.");
        if !takes_all_of(&old.ty, &new.ty) {
            return self.add(Kind::ArgChangedKind, at, described(&old.ty, &new.ty));
        }
        if old.ty != new.ty {
            self.add(Kind::ArgChangedKindSafe, at.clone(), described(&old.ty, &new.ty));
        }
        let written = |outline: &Outline, input: &OutlineInput| {
            input.default.as_ref().map(|default| defaults::written(default, &input.ty, outline))
        };
        match (written(self.old, old), written(self.new, new)) {
            (Some(_), None) => {
                self.add(Kind::ArgDefaultValueChange, at, format!("{of} arg {name} defaultValue was removed."));
            }
            (Some(old), Some(new)) if old != new => {
                let description = format!("{of} arg {name} has changed defaultValue from {old} to {new}.");
                self.add(Kind::ArgDefaultValueChange, at, description);
            }
            (None, Some(new)) => {
                self.add(Kind::ArgDefaultValueAdded, at, format!("{of} arg {name} defaultValue {new} was added."));
            }
            _ => {}
        }
    }

    fn directives(&mut self) {
        let (old, new) = (self.old, self.new);
        for (name, before) in &old.directives {
            match new.directives.get(name) {
                Some(now) => self.directive(name, before, now),
                None => self.add(Kind::DirectiveRemoved, format!("@{name}"), format!("{name} was removed.")),
            }
        }
        for (name, _) in added(&old.directives, &new.directives) {
            self.add(Kind::DirectiveAdded, format!("@{name}"), format!("Directive @{name} was added."));
        }
    }

    fn directive(&mut self, name: &str, old: &OutlineDirective, new: &OutlineDirective) {
        for (argument, now) in added(&old.arguments, &new.arguments) {
            if now.is_required() {
                let description = format!("A required arg {argument} on directive {name} was added.");
                self.add(Kind::RequiredDirectiveArgAdded, format!("@{name}({argument}:)"), description);
            } else {
                let description = format!("An optional arg {argument} on directive {name} was added.");
                self.add(Kind::OptionalDirectiveArgAdded, format!("@{name}({argument}:)"), description);
            }
        }
        for (argument, _) in added(&new.arguments, &old.arguments) {
            let description = format!("{argument} was removed from {name}.");
            self.add(Kind::DirectiveArgRemoved, format!("@{name}({argument}:)"), description);
        }
        if old.repeatable && !new.repeatable {
            self.add(
                Kind::DirectiveRepeatableRemoved,
                format!("@{name}"),
                format!("Repeatable flag was removed from {name}."),
            );
        }
        if !old.repeatable && new.repeatable {
            self.add(
                Kind::DirectiveRepeatableAdded,
                format!("@{name}"),
                format!("Repeatable flag was added to {name}."),
            );
        }
        self.names(
            &|_| format!("@{name}"),
            (&old.locations, Kind::DirectiveLocationRemoved, &|at| format!("{at} was removed from {name}.")),
            (&new.locations, Kind::DirectiveLocationAdded, &|at| format!("{at} was added to {name}.")),
        );
    }
}

type Inputs = IndexMap<String, OutlineInput>;

/// Names, the kind of change where one of them has come or gone, and what is said of it.
type Names<'a> = (&'a [String], Kind, &'a dyn Fn(&str) -> String);

/// What the new one has besides.
fn added<'a, T>(
    old: &'a IndexMap<String, T>,
    new: &'a IndexMap<String, T>,
) -> impl Iterator<Item = (&'a String, &'a T)> {
    new.iter().filter(|(name, _)| !old.contains_key(*name))
}

/// Whether whoever expects values of the old type finds nothing else in those of the new one.
fn gives_only(old: &Ty, new: &Ty) -> bool {
    match (old, new) {
        (Ty::NonNull(old), Ty::NonNull(new)) | (Ty::List(old), Ty::List(new)) => gives_only(old, new),
        (Ty::NonNull(_), _) => false,
        (old, Ty::NonNull(new)) => gives_only(old, new),
        (Ty::Named(old), Ty::Named(new)) => old == new,
        _ => false,
    }
}

/// Whether all that may be given where the old type is asked for may be given where the new one is.
fn takes_all_of(old: &Ty, new: &Ty) -> bool {
    match (old, new) {
        (Ty::NonNull(old), Ty::NonNull(new)) | (Ty::List(old), Ty::List(new)) => takes_all_of(old, new),
        (Ty::NonNull(old), new) => takes_all_of(old, new),
        (Ty::Named(old), Ty::Named(new)) => old == new,
        _ => false,
    }
}

fn kind_name(ty: &OutlineType) -> &'static str {
    match ty {
        OutlineType::Scalar => "a Scalar type",
        OutlineType::Object(_) => "an Object type",
        OutlineType::Interface(_) => "an Interface type",
        OutlineType::Union(_) => "a Union type",
        OutlineType::Enum(_) => "an Enum type",
        OutlineType::Input(_) => "an Input type",
    }
}
