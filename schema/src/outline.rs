//! What clients can see of a GraphQL schema, whoever wrote it: types, fields, arguments, directives, by name.
//!
//! Unlike [`crate::api`], which has what Weir serves, it has all that GraphQL knows. [`crate::changes`] compares two of them.

mod served;

use std::collections::BTreeSet;
use std::fmt;

use indexmap::IndexMap;
use serde_json::Number;

/// A schema.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outline {
    /// All types that are written out. GraphQL's own scalars are not.
    pub types: IndexMap<String, OutlineType>,
    /// All directives that are written out.
    pub directives: IndexMap<String, OutlineDirective>,
}

/// A named type.
#[derive(Debug, Clone, PartialEq)]
pub enum OutlineType {
    /// A scalar.
    Scalar,
    /// An object.
    Object(Composite),
    /// An interface.
    Interface(Composite),
    /// A union, with the names of its members.
    Union(Vec<String>),
    /// An enum, with its values.
    Enum(Vec<String>),
    /// An input object, with its fields.
    Input(IndexMap<String, OutlineInput>),
}

/// What has fields that can be selected.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Composite {
    /// The names of the interfaces that it implements.
    pub interfaces: Vec<String>,
    /// Its fields.
    pub fields: IndexMap<String, OutlineField>,
}

/// A field that can be selected.
#[derive(Debug, Clone, PartialEq)]
pub struct OutlineField {
    /// What it takes.
    pub arguments: IndexMap<String, OutlineInput>,
    /// What it gives.
    pub ty: Ty,
}

/// An argument, or a field of an input object.
#[derive(Debug, Clone, PartialEq)]
pub struct OutlineInput {
    /// What it takes.
    pub ty: Ty,
    /// What it is when left out.
    pub default: Option<Literal>,
}

impl OutlineInput {
    /// Whether it has to be given.
    pub fn is_required(&self) -> bool {
        matches!(self.ty, Ty::NonNull(_)) && self.default.is_none()
    }
}

/// A directive.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OutlineDirective {
    /// What it takes.
    pub arguments: IndexMap<String, OutlineInput>,
    /// Whether it may stand more than once in the same place.
    pub repeatable: bool,
    /// Where it may stand, as GraphQL writes it: `FIELD_DEFINITION`.
    pub locations: Vec<String>,
}

/// A type where it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ty {
    /// One with a name.
    Named(String),
    /// A list of these.
    List(Box<Ty>),
    /// Never null. Never directly within another.
    NonNull(Box<Ty>),
}

impl Ty {
    /// The name inside all lists.
    pub fn name(&self) -> &str {
        match self {
            Self::Named(name) => name,
            Self::List(of) | Self::NonNull(of) => of.name(),
        }
    }
}

impl fmt::Display for Ty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::List(of) => write!(f, "[{of}]"),
            Self::NonNull(of) => write!(f, "{of}!"),
        }
    }
}

/// A constant, as it is written.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// `1`, `1.5`.
    Number(Number),
    /// `"text"`.
    String(String),
    /// `open`.
    Enum(String),
    /// `[1, 2]`.
    List(Vec<Literal>),
    /// `{ a: 1 }`.
    Object(IndexMap<String, Literal>),
}

impl Outline {
    /// All types where they are used.
    pub fn used(&self) -> impl Iterator<Item = &Ty> {
        let of_directives = self.directives.values().flat_map(|directive| of_inputs(&directive.arguments));
        self.types.values().flat_map(OutlineType::used).chain(of_directives)
    }

    /// The fields of `Query`, `Mutation` and `Subscription` by which clients come to a type, in what they give or in what they
    /// take, as names of functions: each once, in order.
    pub fn fields_that_reach(&self, ty: &str) -> BTreeSet<&str> {
        let roots = ["Query", "Mutation", "Subscription"].into_iter().filter_map(|root| self.types.get(root));
        let fields = roots.flat_map(|root| match root {
            OutlineType::Object(root) => root.fields.iter().collect(),
            _ => Vec::new(),
        });
        let reaches = |field: &OutlineField| {
            let mut seen = BTreeSet::new();
            let mut next: Vec<&str> = of_inputs(&field.arguments).chain([&field.ty]).map(Ty::name).collect();
            while let Some(name) = next.pop() {
                if name == ty {
                    return true;
                }
                if seen.insert(name)
                    && let Some(found) = self.types.get(name)
                {
                    next.extend(found.leads_to());
                }
            }
            false
        };
        fields.filter(|(_, field)| reaches(field)).map(|(name, _)| name.as_str()).collect()
    }
}

impl OutlineType {
    fn used(&self) -> Vec<&Ty> {
        match self {
            Self::Object(composite) | Self::Interface(composite) => {
                let fields = composite.fields.values();
                fields.flat_map(|field| of_inputs(&field.arguments).chain([&field.ty])).collect()
            }
            Self::Input(fields) => of_inputs(fields).collect(),
            Self::Scalar | Self::Union(_) | Self::Enum(_) => Vec::new(),
        }
    }

    /// The names of the types that it is made of.
    fn leads_to(&self) -> Vec<&str> {
        match self {
            Self::Union(members) => members.iter().map(String::as_str).collect(),
            _ => self.used().into_iter().map(Ty::name).collect(),
        }
    }
}

fn of_inputs(inputs: &IndexMap<String, OutlineInput>) -> impl Iterator<Item = &Ty> {
    inputs.values().map(|input| &input.ty)
}
