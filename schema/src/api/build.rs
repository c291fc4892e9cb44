//! From declarations to the GraphQL view: what is reachable from a function becomes a type, once.

use std::collections::{HashSet, VecDeque};

use indexmap::IndexMap;
use indexmap::map::Entry;

use super::{Api, ApiError, Field, InputField, InputObject, NamedType, Object, Of, Scalar, TypeRef, builtin};
use crate::declarations::{Declarations, Function, FunctionKind};
use crate::name::{RESERVED_FUNCTIONS, is_graphql_name};
use crate::shape::{Definition, Definitions, Member, Shape, Slot, object};

/// Where a type is used; an object is another GraphQL type in each.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Position {
    Result,
    Argument,
}

/// A type found, with what its author calls it.
struct Found {
    ty: NamedType,
    origin: String,
}

struct Builder<'a> {
    definitions: &'a Definitions,
    types: IndexMap<String, Found>,
    /// Definitions seen, by their own name; `pending` are those of them whose members are still to be looked at.
    seen: HashSet<(Position, &'a str)>,
    pending: VecDeque<(Position, &'a str)>,
}

/// See [`Api::of`].
pub(super) fn build(declarations: &Declarations) -> Result<Api, ApiError> {
    let mut builder = Builder {
        definitions: &declarations.definitions,
        types: IndexMap::new(),
        seen: HashSet::new(),
        pending: VecDeque::new(),
    };
    let (mut reads, mut writes, mut streams) = (Vec::new(), Vec::new(), Vec::new());
    for function in declarations.functions.values() {
        let fields = match function.kind {
            FunctionKind::Query | FunctionKind::View => &mut reads,
            FunctionKind::Procedure | FunctionKind::Action => &mut writes,
            FunctionKind::Stream => &mut streams,
        };
        fields.push(builder.root_field(function)?);
    }
    // Streams stand behind what can be watched.
    let watched = reads.iter().cloned().chain(streams).chain([builtin::invoke()]).collect();
    for position in [Position::Result, Position::Argument] {
        for function in declarations.functions.values() {
            builder.reach(function, position)?;
        }
    }
    reads.push(builtin::invoke());
    writes.extend([builtin::invoke(), builtin::batch()]);
    for ty in builtin::types() {
        let origin = format!("Weir's own type {}", ty.name());
        builder.add(Found { ty, origin })?;
    }
    for name in ["Query", "Mutation", "Subscription"].into_iter().chain(Scalar::ALL.map(Scalar::name)) {
        if let Some(found) = builder.types.get(name) {
            let second = format!("GraphQL's own {name}");
            return Err(ApiError::TypeClash { name: name.into(), first: found.origin.clone(), second });
        }
    }
    let types: IndexMap<_, _> = builder.types.into_iter().map(|(name, found)| (name, found.ty)).collect();
    refuse_endless_inputs(&types)?;
    let root = |name: &str, fields| Object { name: name.into(), description: None, fields };
    Ok(Api {
        query: root("Query", reads),
        mutation: root("Mutation", writes),
        subscription: root("Subscription", watched),
        types,
    })
}

impl<'a> Builder<'a> {
    fn root_field(&self, function: &Function) -> Result<Field, ApiError> {
        let name = check_name(&function.name)?;
        if RESERVED_FUNCTIONS.contains(&name) {
            return Err(ApiError::ReservedFunction { name: name.into(), module: function.module.clone() });
        }
        Ok(Field {
            name: name.into(),
            description: function.description.clone(),
            arguments: self.input_fields(name, &function.arguments)?,
            // One failing function must not blank its siblings.
            ty: TypeRef { nullable: true, ..self.type_ref(name, Position::Result, &function.result)? },
        })
    }

    /// Adds all types that the function uses in this position.
    fn reach(&mut self, function: &'a Function, position: Position) -> Result<(), ApiError> {
        match position {
            Position::Result => self.note(position, &function.result),
            Position::Argument => function.arguments.iter().for_each(|argument| self.note(position, &argument.slot)),
        }
        while let Some((position, name)) = self.pending.pop_front() {
            self.define(position, name, &function.name)?;
        }
        Ok(())
    }

    /// Notes the definition that a slot names, to be defined later.
    fn note(&mut self, position: Position, slot: &'a Slot) {
        match &slot.shape {
            Shape::List(element) => self.note(position, element),
            Shape::Object(name) | Shape::Enum(name) | Shape::Union(name) if self.seen.insert((position, name)) => {
                self.pending.push_back((position, name));
            }
            _ => {}
        }
    }

    fn define(&mut self, position: Position, name: &'a str, user: &str) -> Result<(), ApiError> {
        let definition =
            self.definitions.get(name).ok_or_else(|| ApiError::UnknownType { name: name.into(), user: user.into() })?;
        let ty = match (definition, position) {
            (Definition::Enum(enumeration), _) => {
                unique(name, enumeration.values.iter().map(|value| value.graphql.as_str()))?;
                NamedType::Enum(enumeration.clone())
            }
            (Definition::Union(union), Position::Result) => {
                for alternative in &union.alternatives {
                    let known = object(self.definitions, &alternative.object);
                    let known = known
                        .ok_or_else(|| ApiError::UnknownType { name: alternative.object.clone(), user: name.into() })?;
                    if self.seen.insert((position, &known.name)) {
                        self.pending.push_back((position, &known.name));
                    }
                }
                NamedType::Union(union.clone())
            }
            (Definition::Union(_), Position::Argument) => {
                return Err(ApiError::UnionInArguments { union: name.into(), user: user.into() });
            }
            (Definition::Object(object), Position::Result) => {
                self.note_members(position, name, &object.members)?;
                let fields = object.members.iter().map(|member| {
                    Ok(Field {
                        name: check_name(&member.name)?.into(),
                        description: member.description.clone(),
                        arguments: Vec::new(),
                        ty: self.type_ref(name, position, &member.slot)?,
                    })
                });
                let fields = fields.collect::<Result<_, ApiError>>()?;
                NamedType::Object(Object { name: name.into(), description: object.description.clone(), fields })
            }
            (Definition::Object(object), Position::Argument) => {
                self.note_members(position, name, &object.members)?;
                NamedType::Input(InputObject {
                    name: object.input_name.clone(),
                    description: object.description.clone(),
                    fields: self.input_fields(name, &object.members)?,
                })
            }
        };
        check_name(ty.name())?;
        let origin = match position {
            Position::Result => format!("the type {name}"),
            Position::Argument => format!("the type {name} in arguments"),
        };
        self.add(Found { ty, origin })
    }

    fn note_members(&mut self, position: Position, owner: &str, members: &'a [Member]) -> Result<(), ApiError> {
        unique(owner, members.iter().map(|member| member.name.as_str()))?;
        members.iter().for_each(|member| self.note(position, &member.slot));
        Ok(())
    }

    fn input_fields(&self, owner: &str, members: &[Member]) -> Result<Vec<InputField>, ApiError> {
        let fields = members.iter().map(|member| {
            Ok(InputField {
                name: check_name(&member.name)?.into(),
                description: member.description.clone(),
                ty: self.type_ref(owner, Position::Argument, &member.slot)?,
                default: None,
            })
        });
        fields.collect()
    }

    fn type_ref(&self, user: &str, position: Position, slot: &Slot) -> Result<TypeRef, ApiError> {
        let of = match &slot.shape {
            Shape::String => Of::Scalar(Scalar::String),
            Shape::Boolean => Of::Scalar(Scalar::Boolean),
            Shape::Int => Of::Scalar(Scalar::Int),
            Shape::Float => Of::Scalar(Scalar::Float),
            Shape::Id | Shape::Ref(_) => Of::Scalar(Scalar::Id),
            Shape::DateTime => Of::Scalar(Scalar::DateTime),
            Shape::Json => Of::Scalar(Scalar::Json),
            Shape::Bytes => Of::Scalar(Scalar::Bytes),
            Shape::List(element) => Of::List(Box::new(self.type_ref(user, position, element)?)),
            Shape::Enum(name) | Shape::Union(name) => Of::Named(name.clone()),
            Shape::Object(name) if position == Position::Result => Of::Named(name.clone()),
            Shape::Object(name) => {
                let known = object(self.definitions, name);
                let known = known.ok_or_else(|| ApiError::UnknownType { name: name.clone(), user: user.into() })?;
                Of::Named(known.input_name.clone())
            }
        };
        // null is a JSON value, which `JSON!` could neither return nor take.
        Ok(TypeRef { nullable: slot.may_be_null() || slot.shape == Shape::Json, of })
    }

    /// Adds a type. An enum that is used in results and arguments is added twice, as the same.
    fn add(&mut self, found: Found) -> Result<(), ApiError> {
        match self.types.entry(found.ty.name().to_owned()) {
            Entry::Vacant(free) => {
                free.insert(found);
            }
            Entry::Occupied(taken) if matches!(found.ty, NamedType::Enum(_)) && taken.get().ty == found.ty => {}
            Entry::Occupied(taken) => {
                let (name, first) = (taken.key().clone(), taken.get().origin.clone());
                return Err(ApiError::TypeClash { name, first, second: found.origin });
            }
        }
        Ok(())
    }
}

fn check_name(name: &str) -> Result<&str, ApiError> {
    if is_graphql_name(name) { Ok(name) } else { Err(ApiError::BadName { name: name.into() }) }
}

/// Refuses an empty list of names, a name twice, and names that GraphQL does not allow.
fn unique<'n>(owner: &str, names: impl Iterator<Item = &'n str>) -> Result<(), ApiError> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(check_name(name)?) {
            return Err(ApiError::MemberClash { owner: owner.into(), name: name.into() });
        }
    }
    if seen.is_empty() { Err(ApiError::Empty { name: owner.into() }) } else { Ok(()) }
}

/// Refuses input types that need a value of themselves
/// (<https://spec.graphql.org/draft/#sec-Input-Objects.Circular-References>).
fn refuse_endless_inputs(types: &IndexMap<String, NamedType>) -> Result<(), ApiError> {
    let inputs = || types.values().filter_map(|ty| if let NamedType::Input(input) = ty { Some(input) } else { None });
    // Repeatedly marks the inputs that can be written, as all their required members can; the rest is endless.
    let mut writable: HashSet<&str> = HashSet::new();
    let endless = |writable: &HashSet<&str>, input: &'_ InputObject| {
        let blocked = input.fields.iter().find(|field| match &field.ty {
            TypeRef { of: Of::Named(name), nullable: false } => {
                matches!(types.get(name), Some(NamedType::Input(_))) && !writable.contains(name.as_str())
            }
            _ => false,
        });
        blocked.map(|field| field.name.clone())
    };
    loop {
        let before = writable.len();
        let newly: Vec<&str> =
            inputs().filter(|input| endless(&writable, input).is_none()).map(|input| input.name.as_str()).collect();
        writable.extend(newly);
        if writable.len() == before {
            break;
        }
    }
    for input in inputs() {
        if let Some(member) = endless(&writable, input) {
            return Err(ApiError::EndlessInput { name: input.name.clone(), member });
        }
    }
    Ok(())
}
