//! What only shows when all definitions are known: names, types without end, and the two sides of the API.

use std::collections::{BTreeMap, BTreeSet};

use weir_schema::declarations::Function;
use weir_schema::name::{RESERVED_TYPES, is_graphql_name};
use weir_schema::shape::{Definition, Definitions, Member, Shape, Slot};

use super::registry::{Place, Registry};
use crate::compile::report::Report;

impl<'a, 'g> Registry<'a, 'g> {
    /// Checks all definitions and hands them out. Each function comes with its place.
    pub(super) fn finish<'f>(
        self,
        functions: impl Iterator<Item = (&'f Function, Place<'a, 'g>)>,
        report: &Report,
    ) -> Definitions {
        self.check_rivals(report);
        self.check_names(report);
        self.check_ends(report);
        self.check_sides(functions, report);
        self.into_definitions()
    }

    fn complete_definitions(&self) -> impl Iterator<Item = (&Definition, Place<'a, 'g>)> {
        self.definitions.values().filter_map(|(definition, place)| Some((definition.as_ref()?, *place)))
    }

    fn check_names(&self, report: &Report) {
        for (definition, place) in self.complete_definitions() {
            let name = definition.name();
            if !is_graphql_name(name) {
                let message = format!("`{name}` is not a name that GraphQL allows");
                let help = "use letters, digits and `_`, not starting with a digit or with `__`";
                report.error_with_help(place.file, place.span, message, help);
            } else if RESERVED_TYPES.contains(&name) && name != "PageInfo" {
                let message = format!("`{name}` is a type that GraphQL or Weir itself defines");
                report.error_with_help(place.file, place.span, message, "rename the type");
            }
        }
    }

    /// An object that always contains an object of its own kind never ends.
    fn check_ends(&self, report: &Report) {
        let mut ends: BTreeSet<&str> = BTreeSet::new();
        loop {
            let before = ends.len();
            for (definition, _) in self.complete_definitions() {
                let done = match definition {
                    Definition::Enum(_) => true,
                    Definition::Object(object) => object.members.iter().all(|member| can_end(&member.slot, &ends)),
                    Definition::Union(union) => union.alternatives.iter().any(|one| ends.contains(one.object.as_str())),
                };
                if done {
                    ends.insert(definition.name());
                }
            }
            if ends.len() == before {
                break;
            }
        }
        for (definition, place) in self.complete_definitions() {
            let Definition::Object(object) = definition else {
                continue;
            };
            let endless = object.members.iter().find(|member| !can_end(&member.slot, &ends));
            if let Some(member) = endless {
                let message =
                    format!("a value of `{}` could never end: its `{}` holds the next", object.name, member.name);
                let help = format!("make it optional: {}?: …", member.name);
                report.error_with_help(place.file, place.span, message, help);
            }
        }
    }

    fn check_sides<'f>(&self, functions: impl Iterator<Item = (&'f Function, Place<'a, 'g>)>, report: &Report) {
        let (mut inputs, mut outputs) = (BTreeSet::new(), BTreeSet::new());
        for (function, place) in functions {
            for argument in &function.arguments {
                let mut reached = BTreeSet::new();
                self.reach(&argument.slot.shape, &mut reached);
                self.check_input(function, argument, &reached, place, report);
                inputs.extend(reached);
            }
            self.reach(&function.result.shape, &mut outputs);
        }
        self.check_input_names(&inputs, &outputs, report);
    }

    /// The names of all definitions that a shape consists of.
    fn reach<'s>(&'s self, shape: &'s Shape, reached: &mut BTreeSet<&'s str>) {
        let name = match shape {
            Shape::List(element) => return self.reach(&element.shape, reached),
            Shape::Enum(name) | Shape::Object(name) | Shape::Union(name) => name,
            _ => return,
        };
        if !reached.insert(name) {
            return;
        }
        match self.get(name) {
            Some(Definition::Object(object)) => {
                object.members.iter().for_each(|member| self.reach(&member.slot.shape, reached));
            }
            Some(Definition::Union(union)) => {
                let objects = union.alternatives.iter().filter_map(|one| self.definitions.get_key_value(&one.object));
                for (object, (definition, _)) in objects {
                    if reached.insert(object)
                        && let Some(Definition::Object(object)) = definition
                    {
                        object.members.iter().for_each(|member| self.reach(&member.slot.shape, reached));
                    }
                }
            }
            Some(Definition::Enum(_)) | None => {}
        }
    }

    fn check_input(
        &self,
        function: &Function,
        argument: &Member,
        reached: &BTreeSet<&str>,
        place: Place,
        report: &Report,
    ) {
        let unions = reached.iter().filter(|name| matches!(self.get(name), Some(Definition::Union(_))));
        for union in unions {
            let message = format!(
                "the argument `{}` of `{}` holds `{union}`, a union of objects, which GraphQL does not allow in arguments",
                argument.name, function.name
            );
            let help = "write one object with optional members, or JSON (from \"weir\")";
            report.error_with_help(place.file, place.span, message, help);
        }
    }

    /// Checks that each name on the side of inputs and outputs together stands for one type.
    fn check_input_names(&self, inputs: &BTreeSet<&str>, outputs: &BTreeSet<&str>, report: &Report) {
        // An enum has one name on both sides.
        let enums = inputs.iter().filter(|name| matches!(self.get(name), Some(Definition::Enum(_))));
        let mut taken: BTreeMap<&str, &str> = outputs.iter().chain(enums).map(|name| (*name, *name)).collect();
        for name in inputs {
            let Some((Some(Definition::Object(object)), place)) = self.definitions.get(*name) else {
                continue;
            };
            let input = object.input_name.as_str();
            if RESERVED_TYPES.contains(&input) {
                let message = format!("as an argument `{name}` would be `{input}`, which Weir itself defines");
                report.error_with_help(place.file, place.span, message, "rename the type");
            }
            match taken.insert(input, name) {
                Some(other) if other != *name => {
                    let message = format!("as an argument `{name}` would be `{input}`, and so would `{other}`");
                    let is_document = self.get(other).is_some_and(|other| is_value_of(name, other));
                    let help = if is_document {
                        "take the id as an argument of its own, beside the value"
                    } else {
                        "rename one of them"
                    };
                    report.error_with_help(place.file, place.span, message, help);
                }
                _ => {}
            }
        }
    }
}

/// Whether the name is that of the value of a document.
fn is_value_of(name: &str, document: &Definition) -> bool {
    name.strip_suffix("Value").is_some_and(|base| base == document.name())
}

/// Whether a slot can be filled without a definition that is not known to end.
fn can_end(slot: &Slot, ends: &BTreeSet<&str>) -> bool {
    if slot.may_be_null() {
        return true;
    }
    match &slot.shape {
        Shape::Object(name) | Shape::Union(name) => ends.contains(name.as_str()),
        _ => true,
    }
}
