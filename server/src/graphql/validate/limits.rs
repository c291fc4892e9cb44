//! What a document may not ask for though every part of it is valid: several root fields of a subscription
//! (<https://spec.graphql.org/draft/#sec-Single-Root-Field>), and introspection that goes round in circles.

use std::collections::HashMap;

use async_graphql::parser::types::{ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet};
use async_graphql::{Pos, Positioned};
use indexmap::IndexMap;

use super::Validator;

/// Lists within lists of fields, types and arguments that introspection may ask for; more grows without end.
const INTROSPECTED_LISTS_MAX: usize = 3;

impl<'a> Validator<'a> {
    pub(super) fn check_subscription(&mut self, operation: &'a Positioned<OperationDefinition>) {
        let mut roots = Roots::default();
        self.collect_roots(&operation.node.selection_set.node, &mut roots);
        for at in &roots.conditions {
            self.error("@skip and @include cannot stand at the root of a subscription.".into(), &[*at]);
        }
        let others: Vec<Pos> = roots.fields.values().skip(1).flatten().map(|(_, at)| *at).collect();
        if !others.is_empty() {
            self.error("A subscription must select exactly one root field.".into(), &others);
        }
        for group in roots.fields.values() {
            if group.first().is_some_and(|(name, _)| name.starts_with("__")) {
                let places: Vec<Pos> = group.iter().map(|(_, at)| *at).collect();
                self.error("A subscription must not select introspection at its root.".into(), &places);
            }
        }
    }

    fn collect_roots(&self, set: &'a SelectionSet, roots: &mut Roots<'a>) {
        for item in &set.items {
            let conditions = item.node.directives().iter();
            let conditions = conditions.filter(|one| matches!(one.node.name.node.as_str(), "skip" | "include"));
            roots.conditions.extend(conditions.map(|one| one.pos));
            match &item.node {
                Selection::Field(field) => {
                    let key = field.node.response_key().node.as_str();
                    roots.fields.entry(key).or_default().push((field.node.name.node.as_str(), field.pos));
                }
                Selection::InlineFragment(inline) => self.collect_roots(&inline.node.selection_set.node, roots),
                Selection::FragmentSpread(spread) => {
                    let name = spread.node.fragment_name.node.as_str();
                    if let Some(fragment) = self.document.fragments.get(name)
                        && !roots.fragments.contains(&name)
                    {
                        roots.fragments.push(name);
                        self.collect_roots(&fragment.node.selection_set.node, roots);
                    }
                }
            }
        }
    }

    pub(super) fn check_introspection_depth(&mut self, field: &'a Positioned<Field>) {
        if self.depths.set(&field.node.selection_set.node) >= INTROSPECTED_LISTS_MAX {
            self.error("Introspection nests too many lists of fields, types and arguments.".into(), &[field.pos]);
        }
    }
}

/// What stands at the root of a subscription.
#[derive(Default)]
struct Roots<'a> {
    /// Names and places of the fields of each response key.
    fields: IndexMap<&'a str, Vec<(&'a str, Pos)>>,
    /// Where there is a `@skip` or an `@include`.
    conditions: Vec<Pos>,
    /// Fragments that have been looked into.
    fragments: Vec<&'a str>,
}

/// How many lists of introspection nest in selections, each fragment measured once.
pub(super) struct Depths<'a> {
    document: &'a ExecutableDocument,
    fragments: HashMap<&'a str, usize>,
}

impl<'a> Depths<'a> {
    /// Nothing is measured yet.
    pub(super) fn of(document: &'a ExecutableDocument) -> Self {
        Self { document, fragments: HashMap::new() }
    }

    fn set(&mut self, set: &'a SelectionSet) -> usize {
        let depth = |this: &mut Self, item: &'a Selection| match item {
            Selection::Field(field) => {
                let name = field.node.name.node.as_str();
                let is_list = matches!(name, "fields" | "interfaces" | "possibleTypes" | "inputFields");
                usize::from(is_list) + this.set(&field.node.selection_set.node)
            }
            Selection::InlineFragment(inline) => this.set(&inline.node.selection_set.node),
            Selection::FragmentSpread(spread) => this.fragment(spread.node.fragment_name.node.as_str()),
        };
        set.items.iter().map(|item| depth(self, &item.node)).max().unwrap_or_default()
    }

    fn fragment(&mut self, name: &'a str) -> usize {
        if let Some(known) = self.fragments.get(name) {
            return *known;
        }
        let Some(fragment) = self.document.fragments.get(name) else { return 0 };
        let depth = self.set(&fragment.node.selection_set.node);
        self.fragments.insert(name, depth);
        depth
    }
}
