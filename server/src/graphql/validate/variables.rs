//! Variables are declared, used, and stand where their types allow (<https://spec.graphql.org/draft/#sec-Validation.Variables>),
//! through all fragments; and every fragment is used.

use std::collections::{BTreeMap, HashMap, HashSet};

use async_graphql::parser::types::{OperationDefinition, VariableDefinition};
use async_graphql::{Pos, Positioned};
use async_graphql_value::{ConstValue, Value as Literal};
use weir_schema::api::{NamedType, Of, TypeRef};

use super::super::template::{may_stand, variable_type};
use super::{Validator, by_name};

/// What an operation or a fragment itself uses.
#[derive(Default)]
pub(super) struct Usages<'a> {
    /// Fragments that it spreads.
    pub spreads: HashSet<&'a str>,
    variables: Vec<Usage<'a>>,
}

/// A variable where it stands.
struct Usage<'a> {
    name: &'a str,
    at: Pos,
    /// The type of the place, and whether the place has a default. None where anything may stand.
    place: Option<(&'a TypeRef, bool)>,
}

impl<'a> Validator<'a> {
    /// Notes the variables of a literal in a place of some type, with or without a default.
    pub(super) fn use_variables(&mut self, place: Option<(&'a TypeRef, bool)>, literal: &'a Positioned<Literal>) {
        self.use_variables_in(place, &literal.node, literal.pos);
    }

    fn use_variables_in(&mut self, place: Option<(&'a TypeRef, bool)>, literal: &'a Literal, at: Pos) {
        match literal {
            Literal::Variable(name) => self.usages.variables.push(Usage { name, at, place }),
            Literal::List(literals) => {
                let element =
                    place.and_then(|(ty, _)| if let Of::List(element) = &ty.of { Some(&**element) } else { None });
                let place = element.map(|element| (element, false));
                literals.iter().for_each(|literal| self.use_variables_in(place, literal, at));
            }
            Literal::Object(members) => {
                let input = place.and_then(|(ty, _)| match self.types.named(ty.name()) {
                    Some(NamedType::Input(input)) => Some(input),
                    _ => None,
                });
                for (name, literal) in members {
                    let field = input.and_then(|input| input.fields.iter().find(|field| field.name == name.as_str()));
                    self.use_variables_in(field.map(|field| (&field.ty, field.default.is_some())), literal, at);
                }
            }
            _ => {}
        }
    }

    pub(super) fn check_unique_variables(&mut self, definitions: &[Positioned<VariableDefinition>]) {
        for (name, places) in by_name(definitions.iter().map(|definition| &definition.node.name)) {
            if places.len() > 1 {
                self.error(format!("There can be only one variable named \"${name}\"."), &places);
            }
        }
    }

    /// Checks what all operations use, through the fragments that they spread.
    pub(super) fn check_usages(
        &mut self,
        operations: &[(&'a Positioned<OperationDefinition>, Usages<'a>)],
        fragments: &BTreeMap<&'a str, Usages<'a>>,
    ) {
        let mut reached = HashSet::new();
        for (operation, own) in operations {
            let spread = reach(own, fragments);
            let all = [own].into_iter().chain(spread.iter().filter_map(|name| fragments.get(name)));
            let usages: Vec<&Usage<'a>> = all.flat_map(|usages| &usages.variables).collect();
            self.check_variables(operation, &usages);
            reached.extend(spread);
        }
        for (name, fragment) in &self.document.fragments {
            if !reached.contains(name.as_str()) {
                self.error(format!("Fragment \"{name}\" is never used."), &[fragment.pos]);
            }
        }
    }

    fn check_variables(&mut self, operation: &'a Positioned<OperationDefinition>, usages: &[&Usage<'a>]) {
        let definitions = &operation.node.variable_definitions;
        // Of two with one name the last counts; that there are two is an error of its own.
        let of_name = |defined: &'a Positioned<VariableDefinition>| {
            let ty = variable_type(self.types, &defined.node.var_type.node);
            (defined.node.name.node.as_str(), (defined, ty))
        };
        let by_name: HashMap<&str, _> = definitions.iter().map(of_name).collect();
        let mut used = HashSet::new();
        for usage in usages {
            if self.is_full() {
                return;
            }
            used.insert(usage.name);
            let Some((defined, ty)) = by_name.get(usage.name) else {
                let message = format!("Variable \"${}\" is not defined.", usage.name);
                self.error(message, &[usage.at, operation.pos]);
                continue;
            };
            let (Some((place, has_default)), Ok(ty)) = (usage.place, ty) else { continue };
            let default = defined.node.default_value.as_ref().is_some_and(|value| value.node != ConstValue::Null);
            if !may_stand(ty, default, place, has_default) {
                let message = format!("the variable ${} has the type {ty}, where {place} is expected", usage.name);
                self.error(message, &[defined.pos, usage.at]);
            }
        }
        for defined in definitions {
            let name = &defined.node.name.node;
            if !used.contains(name.as_str()) {
                self.error(format!("Variable \"${name}\" is never used."), &[defined.pos]);
            }
        }
    }
}

/// The fragments that are spread, also by one another.
fn reach<'a>(own: &Usages<'a>, fragments: &BTreeMap<&'a str, Usages<'a>>) -> HashSet<&'a str> {
    let mut reached = HashSet::new();
    let mut pending: Vec<&str> = own.spreads.iter().copied().collect();
    while let Some(name) = pending.pop() {
        if reached.insert(name)
            && let Some(usages) = fragments.get(name)
        {
            pending.extend(&usages.spreads);
        }
    }
    reached
}
