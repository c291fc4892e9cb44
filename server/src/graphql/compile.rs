//! Selection sets merged into a plan (<https://spec.graphql.org/draft/#sec-Field-Selection-Merging>).
//!
//! A plan holds for one choice of what `@skip` and `@include` leave in, so that running it decides nothing. Compiling
//! with [`Conditions::Ignored`] tells what the choice depends on, and how large a plan can become.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_graphql::Positioned;
use async_graphql::parser::types::{
    Directive, ExecutableDocument, Field as Selection, OperationDefinition, Selection as Item, SelectionSet,
};
use async_graphql_value::Value as Literal;
use indexmap::IndexMap;
use serde_json::Value;
use weir_schema::api::{Api, Field, NamedType, Object, Of, Scalar, TypeRef};
use weir_schema::error::ErrorCode;

use super::GraphqlError;
use super::document::location;
use super::error::Location;
use super::introspection::{Composite, Known, Types, vocabulary};
use super::plan::{
    Argument, Complete, Completion, Key, Member, OperationKind, Plan, Root, RootCall, RootSource, Selected,
    SelectedField, Variable,
};
use super::template::{Literals, Variables};

/// What `@skip` and `@include` leave in.
#[derive(Clone, Copy)]
pub enum Conditions<'a> {
    /// Everything.
    Ignored,
    /// What these variables say.
    Chosen(&'a Variables<'a>),
}

/// What a plan depends on beside its document.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Whether there is any `@skip` or `@include`.
    pub conditions: bool,
    /// The variables that they read, by their place in the operation.
    pub variables: BTreeSet<usize>,
}

/// What came of a compilation.
pub struct Compiled {
    /// The plan.
    pub plan: Plan,
    /// What the plan depends on.
    pub seen: Seen,
    /// Selections merged into it, each time they were: a measure of its size.
    pub selections: usize,
}

/// The selections of one response key, in the order of the document; never empty.
type Group<'a> = Vec<&'a Positioned<Selection>>;

struct Compiler<'a> {
    types: Types<'a>,
    document: &'a ExecutableDocument,
    variables: &'a [Variable],
    conditions: Conditions<'a>,
    reads: Vec<u32>,
    seen: Seen,
    /// How many more selections may be merged. Unions multiply: each alternative merges the same selections again.
    selections_left: usize,
}

/// Compiles one operation of a valid document.
pub fn compile<'a>(
    api: &'a Api,
    document: &'a ExecutableDocument,
    operation: &'a OperationDefinition,
    kind: OperationKind,
    variables: &'a [Variable],
    conditions: Conditions<'a>,
    selections_max: usize,
) -> Result<Compiled, GraphqlError> {
    let types = Types::of(api);
    let (reads, seen, selections_left) = (vec![0; variables.len()], Seen::default(), selections_max);
    let mut compiler = Compiler { types, document, variables, conditions, reads, seen, selections_left };
    let root = match kind {
        OperationKind::Query => &api.query,
        OperationKind::Mutation => &api.mutation,
        OperationKind::Subscription => &api.subscription,
    };
    let groups = compiler.groups(root, &[&operation.selection_set.node])?;
    let mut roots = Vec::with_capacity(groups.len());
    for (key, group) in groups {
        let Some(first) = group.first() else { continue };
        let source = match first.node.name.node.as_str() {
            "__typename" => RootSource::Typename(kind.root()),
            "__schema" => RootSource::Schema {
                completion: compiler.completion(&vocabulary().schema.ty, &group)?,
                locations: locations(&group),
            },
            "__type" => compiler.introspected_type(first, &group)?,
            name => RootSource::Call(compiler.call(root, name, first, &group)?),
        };
        roots.push(Root { key: Key::new(key), source });
    }
    let Compiler { reads, seen, selections_left, .. } = compiler;
    Ok(Compiled { plan: Plan { roots, reads }, seen, selections: selections_max - selections_left })
}

/// All places of a response key.
fn locations(group: &Group<'_>) -> Box<[Location]> {
    group.iter().map(|field| location(field.pos)).collect()
}

impl<'a> Compiler<'a> {
    /// Groups the selections of an object by response key.
    fn groups(
        &mut self,
        object: &Object,
        sets: &[&'a SelectionSet],
    ) -> Result<IndexMap<&'a str, Group<'a>>, GraphqlError> {
        let mut groups = IndexMap::new();
        let mut visited = HashSet::new();
        for set in sets {
            self.collect(object, set, &mut visited, &mut groups)?;
        }
        Ok(groups)
    }

    fn collect(
        &mut self,
        object: &Object,
        set: &'a SelectionSet,
        visited: &mut HashSet<&'a str>,
        groups: &mut IndexMap<&'a str, Group<'a>>,
    ) -> Result<(), GraphqlError> {
        self.selections_left = self.selections_left.checked_sub(set.items.len()).ok_or_else(|| {
            GraphqlError::limit("document_selections", "the document selects too many fields of unions")
        })?;
        for item in &set.items {
            if !self.is_in(item.node.directives())? {
                continue;
            }
            match &item.node {
                Item::Field(field) => groups.entry(field.node.response_key().node.as_str()).or_default().push(field),
                Item::InlineFragment(inline) => {
                    let on = inline.node.type_condition.as_ref().map(|condition| condition.node.on.node.as_str());
                    if on.is_none_or(|on| self.applies(on, object)) {
                        self.collect(object, &inline.node.selection_set.node, visited, groups)?;
                    }
                }
                Item::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    let Some(fragment) = self.document.fragments.get(name) else { continue };
                    let on = fragment.node.type_condition.node.on.node.as_str();
                    if visited.insert(name.as_str()) && self.applies(on, object) {
                        self.collect(object, &fragment.node.selection_set.node, visited, groups)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether a fragment on this type applies to the object.
    fn applies(&self, on: &str, object: &Object) -> bool {
        match self.types.find(on) {
            Some(Known::Composite(on)) => on.overlaps(Composite::Object(object)),
            _ => false,
        }
    }

    /// Whether `@skip` and `@include` leave a selection in.
    fn is_in(&mut self, directives: &[Positioned<Directive>]) -> Result<bool, GraphqlError> {
        let mut is_in = true;
        for directive in directives {
            let wanted = match directive.node.name.node.as_str() {
                "include" => true,
                "skip" => false,
                _ => continue,
            };
            self.seen.conditions = true;
            let at = location(directive.pos);
            let holds = match directive.node.get_argument("if").map(|value| &value.node) {
                Some(Literal::Boolean(holds)) => Some(*holds),
                Some(Literal::Variable(name)) => self.condition(name, at)?,
                _ => return Err(invalid("@skip and @include take if: Boolean!.".into(), at)),
            };
            let chosen = matches!(self.conditions, Conditions::Chosen(_));
            is_in &= !chosen || holds == Some(wanted);
        }
        Ok(is_in)
    }

    /// The value of a variable in a condition.
    fn condition(&mut self, name: &str, at: Location) -> Result<Option<bool>, GraphqlError> {
        let found = self.variables.iter().enumerate().find(|(_, variable)| variable.name == name);
        let boolean = TypeRef::required(Of::Scalar(Scalar::Boolean));
        let Some((index, _)) = found.filter(|(_, variable)| variable.may_stand(&boolean, None)) else {
            return Err(invalid(format!("The variable ${name} must be declared as Boolean! to stand here."), at));
        };
        self.seen.variables.insert(index);
        match self.conditions {
            Conditions::Ignored => Ok(None),
            Conditions::Chosen(variables) => match variables.get(index) {
                Some(Value::Bool(holds)) => Ok(Some(*holds)),
                _ => {
                    let message = format!("${name}: null was given where a value is needed");
                    Err(GraphqlError::new(ErrorCode::BadArguments, message).at(at))
                }
            },
        }
    }

    fn call(
        &mut self,
        root: &Object,
        name: &str,
        first: &Positioned<Selection>,
        group: &Group<'a>,
    ) -> Result<RootCall, GraphqlError> {
        let at = location(first.pos);
        let field = root.field(name).ok_or_else(|| unknown_field(name, root, at))?;
        let arguments = self.arguments(field, first)?;
        let completion = self.completion(&field.ty, group)?;
        static FORMS: AtomicU64 = AtomicU64::new(0);
        let form = FORMS.fetch_add(1, Ordering::Relaxed);
        Ok(RootCall { field: name.to_owned(), arguments, completion, locations: locations(group), form })
    }

    fn introspected_type(
        &mut self,
        first: &Positioned<Selection>,
        group: &Group<'a>,
    ) -> Result<RootSource, GraphqlError> {
        let field = &vocabulary().ty;
        let name = self.arguments(field, first)?.pop().ok_or_else(|| defect("__type"))?;
        let completion = self.completion(&field.ty, group)?;
        Ok(RootSource::Type { name, completion, locations: locations(group) })
    }

    fn arguments(&mut self, field: &Field, first: &Positioned<Selection>) -> Result<Vec<Argument>, GraphqlError> {
        let mut arguments = Vec::with_capacity(field.arguments.len());
        for argument in &field.arguments {
            let default = argument.default.clone();
            let given = first.node.get_argument(&argument.name);
            let location = location(given.map_or(first.pos, |literal| literal.pos));
            let value = match (given, &default) {
                (Some(literal), default) => {
                    let mut literals = Literals::new(self.types.api(), self.variables, &mut self.reads);
                    literals
                        .template(&argument.ty, default.as_ref(), &literal.node)
                        .map_err(|message| invalid(format!("Argument {}: {message}", argument.name), location))?
                }
                (None, Some(default)) => super::template::Template::Constant(default.clone()),
                (None, None) if argument.ty.nullable => continue,
                (None, None) => {
                    let message = format!("Argument {} of type {} is missing.", argument.name, argument.ty);
                    return Err(invalid(message, location));
                }
            };
            let is_given = given.is_some();
            arguments.push(Argument { name: argument.name.clone(), value, default, is_given, location });
        }
        Ok(arguments)
    }

    fn completion(&mut self, ty: &TypeRef, group: &Group<'a>) -> Result<Completion, GraphqlError> {
        let of = match &ty.of {
            Of::Scalar(scalar) => Complete::Scalar(*scalar),
            Of::List(element) => Complete::List(Box::new(self.completion(element, group)?)),
            Of::Named(name) => match self.types.named(name) {
                Some(NamedType::Enum(enumeration)) => Complete::Enum(Arc::new(enumeration.clone())),
                Some(NamedType::Object(object)) => Complete::Object(self.selected(object, group)?),
                Some(NamedType::Union(union)) => {
                    let mut alternatives = Vec::with_capacity(union.alternatives.len());
                    for alternative in &union.alternatives {
                        let object = self.types.object(&alternative.object).ok_or_else(|| defect(name))?;
                        alternatives.push((alternative.literal.clone(), self.selected(object, group)?));
                    }
                    let discriminator = union.discriminator.clone();
                    Complete::Union { name: name.clone(), discriminator, alternatives }
                }
                Some(NamedType::Input(_)) | None => return Err(defect(name)),
            },
        };
        Ok(Completion { nullable: ty.nullable, of })
    }

    fn selected(&mut self, object: &Object, group: &Group<'a>) -> Result<Selected, GraphqlError> {
        let sets: Vec<&'a SelectionSet> = group.iter().map(|field| &field.node.selection_set.node).collect();
        let groups = self.groups(object, &sets)?;
        let mut fields = Vec::with_capacity(groups.len());
        for (key, group) in groups {
            let Some(first) = group.first() else { continue };
            let at = location(first.pos);
            let member = match first.node.name.node.as_str() {
                "__typename" => None,
                name => {
                    let field = object.field(name).ok_or_else(|| unknown_field(name, object, at))?;
                    let arguments = self.arguments(field, first)?;
                    let completion = self.completion(&field.ty, &group)?;
                    Some(Member { name: name.to_owned(), arguments, completion, locations: locations(&group) })
                }
            };
            fields.push(SelectedField { key: Key::new(key), member });
        }
        Ok(Selected { typename: object.name.clone(), fields })
    }
}

fn unknown_field(name: &str, object: &Object, at: Location) -> GraphqlError {
    invalid(format!("Cannot query field \"{name}\" on type \"{}\".", object.name), at)
}

fn invalid(message: String, at: Location) -> GraphqlError {
    GraphqlError::new(ErrorCode::GraphqlValidationFailed, message).at(at)
}

fn defect(name: &str) -> GraphqlError {
    GraphqlError::new(ErrorCode::Internal, format!("the schema lacks the type {name}"))
}
