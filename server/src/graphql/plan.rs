//! What a compiled operation consists of: all that running it needs, with nothing left to look up.

use std::sync::Arc;

use serde_json::Value;
use weir_engine::content::FormId;
use weir_schema::api::{Scalar, TypeRef};
use weir_schema::shape::EnumDefinition;

use super::error::{Location, PathStep};
use super::template::Template;

/// One operation, its selections merged, for one choice of what `@skip` and `@include` leave in.
#[derive(Debug)]
pub struct Plan {
    /// In response order. Exactly one, a call, in a subscription.
    pub roots: Vec<Root>,
    /// How often its arguments read each variable.
    pub reads: Vec<u32>,
}

/// What an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationKind {
    /// Reads.
    Query,
    /// Writes.
    Mutation,
    /// Watches.
    Subscription,
}

impl OperationKind {
    /// The name of its root type.
    pub fn root(self) -> &'static str {
        match self {
            Self::Query => "Query",
            Self::Mutation => "Mutation",
            Self::Subscription => "Subscription",
        }
    }
}

/// A variable of an operation.
#[derive(Debug)]
pub struct Variable {
    /// Without `$`.
    pub name: String,
    /// Its declared type.
    pub ty: TypeRef,
    /// What it is when left out.
    pub default: Option<Value>,
    /// Where it is declared.
    pub location: Location,
}

/// One response key of the root.
#[derive(Debug)]
pub struct Root {
    /// The response key.
    pub key: Key,
    /// What answers it.
    pub source: RootSource,
}

/// What answers a root field.
#[derive(Debug)]
pub enum RootSource {
    /// `__typename`.
    Typename(&'static str),
    /// `__schema`.
    Schema {
        /// How it is written.
        completion: Completion,
        /// Where it stands, each time that it does.
        locations: Box<[Location]>,
    },
    /// `__type`.
    Type {
        /// The name of the type.
        name: Argument,
        /// How it is written.
        completion: Completion,
        /// Where it stands, each time that it does.
        locations: Box<[Location]>,
    },
    /// A call.
    Call(RootCall),
}

/// A root field that calls a function.
#[derive(Debug)]
pub struct RootCall {
    /// The field: a function's name, `invoke` or `batch`.
    pub field: String,
    /// By name; those that the document leaves out are not here unless they have a default.
    pub arguments: Vec<Argument>,
    /// How its value is written.
    pub completion: Completion,
    /// Where it stands, each time that it does.
    pub locations: Box<[Location]>,
    /// Names what values are made into by it.
    pub form: FormId,
}

/// An argument of a root field.
#[derive(Debug)]
pub struct Argument {
    /// Its name.
    pub name: String,
    /// What the document gives.
    pub value: Template,
    /// What it is when the document gives a variable without a value.
    pub default: Option<Value>,
    /// Whether the document gives it.
    pub is_given: bool,
    /// Where its value stands; where its field does if the document gives none.
    pub location: Location,
}

/// A response key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The alias or the field's name.
    pub name: String,
    /// `"name":`, ready to be written.
    pub json: Box<[u8]>,
}

impl Key {
    /// Makes a key of an alias or a field's name, neither of which JSON has to escape.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), json: format!("\"{name}\":").into_bytes().into_boxed_slice() }
    }

    /// As a step of the path to a place in the response.
    pub fn step(&self) -> PathStep {
        PathStep::Key(self.name.clone())
    }
}

/// How a value is written.
#[derive(Debug)]
pub struct Completion {
    /// Whether null may stand here.
    pub nullable: bool,
    /// What else may.
    pub of: Complete,
}

/// How a value that is not null is written.
#[derive(Debug)]
pub enum Complete {
    /// A scalar.
    Scalar(Scalar),
    /// A string literal, spelled as GraphQL has it.
    Enum(Arc<EnumDefinition>),
    /// Each element.
    List(Box<Completion>),
    /// The selected members of an object.
    Object(Selected),
    /// The members selected of whichever alternative it is.
    Union {
        /// The union's name.
        name: String,
        /// The member that tells the alternatives apart.
        discriminator: String,
        /// By literal of the discriminator.
        alternatives: Vec<(String, Selected)>,
    },
}

/// What is selected of one object type.
#[derive(Debug)]
pub struct Selected {
    /// The object type.
    pub typename: String,
    /// In response order.
    pub fields: Vec<SelectedField>,
}

/// One response key of an object.
#[derive(Debug)]
pub struct SelectedField {
    /// The response key.
    pub key: Key,
    /// What answers it; none is `__typename`.
    pub member: Option<Member>,
}

/// A selected member of an object.
#[derive(Debug)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// By name. Only members of introspection take any.
    pub arguments: Vec<Argument>,
    /// How its value is written.
    pub completion: Completion,
    /// Where it stands, each time that it does.
    pub locations: Box<[Location]>,
}
