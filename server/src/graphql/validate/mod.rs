//! Validation of a document against a schema, to the letter of <https://spec.graphql.org/draft/#sec-Validation>.
//!
//! Every rule is here but a few. Names of operations, fragments and members of objects that are there twice are found while the
//! text is parsed ([`super::syntax`]), fragments that spread themselves while the document is measured ([`super::scan`]).
//!
//! | module | which rules |
//! |---|---|
//! | this | fields, arguments, fragments, directives: one walk over the document |
//! | `values` | literals have the types of their places |
//! | `variables` | variables are declared, used, and stand where their types allow |
//! | `merge` | fields of one response key can be merged; looked for where all else is right |
//! | `limits` | one root field in a subscription; how deep introspection goes |
//!
//! An error names the places that the reference implementation names. Inside of a literal the syntax tree knows no places: that
//! of the whole literal stands for them.

mod limits;
pub(super) mod merge;
mod values;
mod variables;

use async_graphql::parser::types::{
    Directive, ExecutableDocument, Field as Selected, OperationDefinition, OperationType, Selection, SelectionSet,
    VariableDefinition,
};
use async_graphql::{Name, Pos, Positioned};
use async_graphql_value::Value as Literal;
use indexmap::IndexMap;
use weir_schema::api::{Api, Field, InputField, Object};
use weir_schema::error::ErrorCode;

use super::GraphqlError;
use super::document::location;
use super::introspection::{Composite, Known, Types, vocabulary};
use super::template::variable_type;
use limits::Depths;
use variables::Usages;

/// Errors that are looked for in one document.
const ERRORS_MAX: usize = 100;

/// All that is wrong with a document, in the order of the document. Where that is very much, no more is looked for.
pub fn validate(api: &Api, document: &ExecutableDocument) -> Result<(), Vec<GraphqlError>> {
    let types = Types::of(api);
    let mut validator =
        Validator { types, document, errors: Vec::new(), usages: Usages::default(), depths: Depths::of(document) };
    let mut operations = Vec::new();
    for (_, operation) in document.operations.iter() {
        operations.push((operation, validator.operation(operation)));
    }
    let mut fragments = Vec::new();
    for (name, fragment) in &document.fragments {
        validator.usages = Usages::default();
        let on = validator.condition(&fragment.node.type_condition.node.on);
        validator.directives(&fragment.node.directives, "FRAGMENT_DEFINITION");
        validator.selections(on, &fragment.node.selection_set);
        fragments.push((name.as_str(), std::mem::take(&mut validator.usages)));
    }
    if !validator.is_full() {
        validator.check_usages(&operations, &fragments.into_iter().collect());
    }
    if validator.errors.is_empty() {
        operations.iter().for_each(|(operation, _)| validator.check_merging(operation));
    }
    let mut errors = validator.errors;
    // Fragments and operations come in no order of their own.
    errors.sort_by_key(|error| error.locations.first().map(|at| (at.line, at.column)));
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

struct Validator<'a> {
    types: Types<'a>,
    document: &'a ExecutableDocument,
    errors: Vec<GraphqlError>,
    /// Of the operation or fragment at hand.
    usages: Usages<'a>,
    depths: Depths<'a>,
}

impl<'a> Validator<'a> {
    /// Notes an error, unless there are enough.
    fn error(&mut self, message: String, at: &[Pos]) {
        if self.is_full() {
            return;
        }
        let error = GraphqlError::new(ErrorCode::GraphqlValidationFailed, message);
        self.errors.push(at.iter().fold(error, |error, at| error.at(location(*at))));
    }

    /// Whether there are as many errors as are told. Then the rest of the document is not looked at.
    fn is_full(&self) -> bool {
        self.errors.len() >= ERRORS_MAX
    }

    fn root(&self, ty: OperationType) -> &'a Object {
        let api = self.types.api();
        match ty {
            OperationType::Query => &api.query,
            OperationType::Mutation => &api.mutation,
            OperationType::Subscription => &api.subscription,
        }
    }

    /// What the operation itself uses of variables and fragments.
    fn operation(&mut self, operation: &'a Positioned<OperationDefinition>) -> Usages<'a> {
        self.usages = Usages::default();
        let place = match operation.node.ty {
            OperationType::Query => "QUERY",
            OperationType::Mutation => "MUTATION",
            OperationType::Subscription => "SUBSCRIPTION",
        };
        for definition in &operation.node.variable_definitions {
            self.variable_definition(definition);
        }
        self.check_unique_variables(&operation.node.variable_definitions);
        self.directives(&operation.node.directives, place);
        let root = Composite::Object(self.root(operation.node.ty));
        self.selections(Some(root), &operation.node.selection_set);
        if operation.node.ty == OperationType::Subscription {
            self.check_subscription(operation);
        }
        std::mem::take(&mut self.usages)
    }

    fn variable_definition(&mut self, definition: &'a Positioned<VariableDefinition>) {
        self.directives(&definition.node.directives, "VARIABLE_DEFINITION");
        let declared = &definition.node.var_type;
        match variable_type(self.types, &declared.node) {
            Err(message) => self.error(message, &[declared.pos]),
            Ok(ty) => match (self.types.inside(&ty), &definition.node.default_value) {
                (Some(Known::Composite(composite)), _) => {
                    self.error(format!("{} is not a type of arguments.", composite.name()), &[declared.pos]);
                }
                (_, Some(default)) => {
                    // A constant holds no variables, so it is a literal like any other.
                    if let Err(message) = self.constant(&ty, &default.node.clone().into_value()) {
                        let message = format!("The default of ${}: {message}", definition.node.name.node);
                        self.error(message, &[default.pos]);
                    }
                }
                (_, None) => {}
            },
        }
    }

    fn selections(&mut self, parent: Option<Composite<'a>>, set: &'a Positioned<SelectionSet>) {
        for item in &set.node.items {
            if self.is_full() {
                return;
            }
            match &item.node {
                Selection::Field(field) => self.field(parent, field),
                Selection::InlineFragment(inline) => {
                    self.directives(&inline.node.directives, "INLINE_FRAGMENT");
                    let on = match &inline.node.type_condition {
                        None => parent,
                        Some(condition) => self.condition(&condition.node.on),
                    };
                    self.check_spread(parent, on, None, inline.pos);
                    self.selections(on, &inline.node.selection_set);
                }
                Selection::FragmentSpread(spread) => {
                    self.directives(&spread.node.directives, "FRAGMENT_SPREAD");
                    let name = &spread.node.fragment_name;
                    match self.document.fragments.get(&name.node) {
                        None => self.error(format!("Unknown fragment \"{}\".", name.node), &[name.pos]),
                        Some(fragment) => {
                            self.usages.spreads.insert(name.node.as_str());
                            let on = self.types.find(&fragment.node.type_condition.node.on.node);
                            let on = on.and_then(|on| if let Known::Composite(on) = on { Some(on) } else { None });
                            self.check_spread(parent, on, Some(&name.node), spread.pos);
                        }
                    }
                }
            }
        }
    }

    /// The type that a fragment stands on, if it may stand there.
    fn condition(&mut self, on: &'a Positioned<Name>) -> Option<Composite<'a>> {
        match self.types.find(&on.node) {
            Some(Known::Composite(composite)) => Some(composite),
            Some(_) => {
                self.error(
                    format!("A fragment cannot stand on \"{}\", which is neither object nor union.", on.node),
                    &[on.pos],
                );
                None
            }
            None => {
                self.error(format!("Unknown type \"{}\".", on.node), &[on.pos]);
                None
            }
        }
    }

    fn check_spread(&mut self, parent: Option<Composite<'a>>, on: Option<Composite<'a>>, name: Option<&Name>, at: Pos) {
        let (Some(parent), Some(on)) = (parent, on) else { return };
        if !parent.overlaps(on) {
            let which = name.map_or("This fragment".into(), |name| format!("The fragment \"{name}\""));
            let message = format!(
                "{which} cannot be spread here: no object of type \"{}\" can be of type \"{}\".",
                parent.name(),
                on.name()
            );
            self.error(message, &[at]);
        }
    }

    fn field(&mut self, parent: Option<Composite<'a>>, field: &'a Positioned<Selected>) {
        let name = &field.node.name.node;
        let known = parent.and_then(|parent| self.types.field(parent, name));
        if let (Some(parent), None) = (parent, known) {
            self.error(format!("Unknown field \"{name}\" on type \"{}\".", parent.name()), &[field.pos]);
        }
        self.check_unique_arguments(&field.node.arguments);
        self.arguments(known.map(|known| known.arguments.as_slice()), &field.node.arguments, |argument| {
            let owner = parent.map_or("", Composite::name);
            format!("Unknown argument \"{argument}\" on field \"{name}\" of type \"{owner}\".")
        });
        if let Some(known) = known {
            self.check_required(&known.arguments, &field.node.arguments, &format!("Field \"{name}\""), field.pos);
        }
        self.directives(&field.node.directives, "FIELD");
        self.subfields(known, field);
        if matches!(name.as_str(), "__schema" | "__type") {
            self.check_introspection_depth(field);
        }
    }

    fn subfields(&mut self, known: Option<&'a Field>, field: &'a Positioned<Selected>) {
        let (name, set) = (&field.node.name.node, &field.node.selection_set);
        let selects = !set.node.items.is_empty();
        let inside = known.and_then(|known| Some((known, self.types.inside(&known.ty)?)));
        let within = match inside {
            Some((known, Known::Composite(composite))) => {
                if !selects {
                    let message =
                        format!("Field \"{name}\" of type \"{}\" must have a selection of subfields.", known.ty);
                    self.error(message, &[field.pos]);
                }
                Some(composite)
            }
            Some((known, _)) => {
                if selects {
                    let message = format!(
                        "Field \"{name}\" must not have a selection since type \"{}\" has no subfields.",
                        known.ty
                    );
                    self.error(message, &[set.pos]);
                }
                None
            }
            None => None,
        };
        self.selections(within, set);
    }

    /// Checks the arguments that are given. `known` are those that there are; none if that is not known.
    fn arguments(
        &mut self,
        known: Option<&'a [InputField]>,
        given: &'a [(Positioned<Name>, Positioned<Literal>)],
        unknown: impl Fn(&Name) -> String,
    ) {
        for (name, value) in given {
            if self.is_full() {
                return;
            }
            let definition = known.and_then(|known| known.iter().find(|known| known.name == name.node.as_str()));
            if known.is_some() && definition.is_none() {
                self.error(unknown(&name.node), &[name.pos]);
            }
            self.use_variables(definition.map(|definition| (&definition.ty, definition.default.is_some())), value);
            if let Some(definition) = definition
                && let Err(message) = self.constant(&definition.ty, &value.node)
            {
                self.error(format!("Argument {}: {message}", name.node), &[value.pos]);
            }
        }
    }

    fn check_required(
        &mut self,
        known: &[InputField],
        given: &[(Positioned<Name>, Positioned<Literal>)],
        owner: &str,
        at: Pos,
    ) {
        let is_given = |wanted: &InputField| given.iter().any(|(name, _)| name.node.as_str() == wanted.name);
        for missing in known.iter().filter(|known| known.is_required() && !is_given(known)) {
            let message = format!(
                "{owner} argument \"{}\" of type \"{}\" is required but not provided.",
                missing.name, missing.ty
            );
            self.error(message, &[at]);
        }
    }

    /// An argument that is there twice names all places where it is.
    fn check_unique_arguments(&mut self, given: &[(Positioned<Name>, Positioned<Literal>)]) {
        for (name, places) in by_name(given.iter().map(|(name, _)| name)) {
            if places.len() > 1 {
                self.error(format!("There can be only one argument named \"{name}\"."), &places);
            }
        }
    }

    fn directives(&mut self, directives: &'a [Positioned<Directive>], place: &str) {
        for (index, directive) in directives.iter().enumerate() {
            let name = &directive.node.name.node;
            let known = vocabulary().directives.iter().find(|known| known.name == name.as_str());
            match known {
                None => self.error(format!("Unknown directive \"@{name}\"."), &[directive.pos]),
                Some(known) if !known.locations.contains(&place) => {
                    self.error(format!("Directive \"@{name}\" may not be used on {place}."), &[directive.pos]);
                }
                Some(_) => {}
            }
            self.check_unique_arguments(&directive.node.arguments);
            self.arguments(known.map(|known| known.arguments.as_slice()), &directive.node.arguments, |argument| {
                format!("Unknown argument \"{argument}\" on directive \"@{name}\".")
            });
            let Some(known) = known else { continue };
            let owner = format!("Directive \"@{name}\"");
            self.check_required(&known.arguments, &directive.node.arguments, &owner, directive.pos);
            let before = directives.iter().take(index).find(|before| before.node.name.node == *name);
            if let Some(before) = before {
                let message = format!("The directive \"@{name}\" can only be used once at this location.");
                self.error(message, &[before.pos, directive.pos]);
            }
        }
    }
}

/// The places of each name.
fn by_name<'n>(names: impl Iterator<Item = &'n Positioned<Name>>) -> IndexMap<&'n str, Vec<Pos>> {
    let mut places: IndexMap<&str, Vec<Pos>> = IndexMap::new();
    for name in names {
        places.entry(name.node.as_str()).or_default().push(name.pos);
    }
    places
}
