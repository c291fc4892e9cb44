//! The GraphQL view of the declarations: what a schema consists of, flat and by name.
//!
//! [`Api::of`] turns one app's [`Declarations`] into it. Whatever GraphQL would refuse is an [`ApiError`] here, so that
//! [`crate::sdl`] prints valid SDL and a schema library can be fed without surprises.

mod build;
mod builtin;
mod error;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fmt;

use indexmap::IndexMap;
use serde_json::Value;

use crate::declarations::Declarations;
use crate::shape::{EnumDefinition, UnionDefinition};

pub use error::ApiError;

/// The root field on all three roots that calls any function by name.
pub const INVOKE: &str = "invoke";
/// The root field on Mutation that calls many functions.
pub const BATCH: &str = "batch";

/// Everything in one GraphQL schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Api {
    /// The root of queries: `query` and `view` functions, then `invoke`.
    pub query: Object,
    /// The root of mutations: `procedure` and `action` functions, then `invoke` and `batch`.
    pub mutation: Object,
    /// The root of subscriptions: the same reads as on Query, then `invoke`.
    pub subscription: Object,
    /// All other named types that a root field reaches, by name: results first, then arguments, then Weir's own. The
    /// scalars are not among them.
    pub types: IndexMap<String, NamedType>,
}

impl Api {
    /// The GraphQL view of the declarations.
    pub fn of(declarations: &Declarations) -> Result<Self, ApiError> {
        build::build(declarations)
    }

    /// The three roots.
    pub fn roots(&self) -> [&Object; 3] {
        [&self.query, &self.mutation, &self.subscription]
    }

    /// The scalars in use, in the order of [`Scalar::ALL`]. Introspection always uses `String` and `Boolean`.
    pub fn scalars(&self) -> Vec<Scalar> {
        let objects = self.types.values().filter_map(|ty| if let NamedType::Object(ty) = ty { Some(ty) } else { None });
        let inputs = self.types.values().filter_map(|ty| if let NamedType::Input(ty) = ty { Some(ty) } else { None });
        let fields = self.roots().into_iter().chain(objects).flat_map(|object| &object.fields);
        let results = fields.clone().map(|field| &field.ty);
        let arguments = fields.flat_map(|field| &field.arguments).chain(inputs.flat_map(|input| &input.fields));
        let used: HashSet<&str> = results.chain(arguments.map(|argument| &argument.ty)).map(TypeRef::name).collect();
        let is_used =
            |scalar: &Scalar| matches!(scalar, Scalar::String | Scalar::Boolean) || used.contains(scalar.name());
        Scalar::ALL.into_iter().filter(is_used).collect()
    }

    /// The object type of this name, roots included.
    pub fn object(&self, name: &str) -> Option<&Object> {
        match self.types.get(name) {
            Some(NamedType::Object(object)) => Some(object),
            Some(_) => None,
            None => self.roots().into_iter().find(|root| root.name == name),
        }
    }
}

/// A type with a name of its own.
#[derive(Debug, Clone, PartialEq)]
pub enum NamedType {
    /// An object in results.
    Object(Object),
    /// An object in arguments.
    Input(InputObject),
    /// String literals, in results and arguments alike.
    Enum(EnumDefinition),
    /// A union of objects, in results.
    Union(UnionDefinition),
}

impl NamedType {
    /// The GraphQL name.
    pub fn name(&self) -> &str {
        match self {
            Self::Object(object) => &object.name,
            Self::Input(input) => &input.name,
            Self::Enum(enumeration) => &enumeration.name,
            Self::Union(union) => &union.name,
        }
    }
}

/// An object type.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// The GraphQL name.
    pub name: String,
    /// Its doc comment.
    pub description: Option<String>,
    /// In the order of declaration; never empty.
    pub fields: Vec<Field>,
}

impl Object {
    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// A field of an object. Only root fields have arguments.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// The name, in TypeScript too.
    pub name: String,
    /// Its doc comment.
    pub description: Option<String>,
    /// In the order of declaration.
    pub arguments: Vec<InputField>,
    /// What it returns.
    pub ty: TypeRef,
}

impl Field {
    /// The argument of this name.
    pub fn argument(&self, name: &str) -> Option<&InputField> {
        self.arguments.iter().find(|argument| argument.name == name)
    }
}

/// An input object type.
#[derive(Debug, Clone, PartialEq)]
pub struct InputObject {
    /// The GraphQL name.
    pub name: String,
    /// The doc comment of the type it stands for.
    pub description: Option<String>,
    /// In the order of declaration; never empty.
    pub fields: Vec<InputField>,
}

/// A field of an input object, or an argument.
#[derive(Debug, Clone, PartialEq)]
pub struct InputField {
    /// The name, in TypeScript too.
    pub name: String,
    /// Its doc comment.
    pub description: Option<String>,
    /// What it takes.
    pub ty: TypeRef,
    /// What it is when left out: a scalar.
    pub default: Option<Value>,
}

impl InputField {
    /// Whether a caller must give it.
    pub fn is_required(&self) -> bool {
        !self.ty.nullable && self.default.is_none()
    }
}

/// A type where it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeRef {
    /// The type itself.
    pub of: Of,
    /// Whether GraphQL writes it without `!`.
    pub nullable: bool,
}

/// A type without its nullability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Of {
    /// A scalar.
    Scalar(Scalar),
    /// One of [`Api::types`].
    Named(String),
    /// A list of these.
    List(Box<TypeRef>),
}

impl TypeRef {
    /// A type that always has a value.
    pub fn required(of: Of) -> Self {
        Self { of, nullable: false }
    }

    /// A type that may be null.
    pub fn nullable(of: Of) -> Self {
        Self { of, nullable: true }
    }

    /// The name inside all lists.
    pub fn name(&self) -> &str {
        match &self.of {
            Of::Scalar(scalar) => scalar.name(),
            Of::Named(name) => name,
            Of::List(element) => element.name(),
        }
    }
}

impl fmt::Display for TypeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.of {
            Of::Scalar(scalar) => f.write_str(scalar.name())?,
            Of::Named(name) => f.write_str(name)?,
            Of::List(element) => write!(f, "[{element}]")?,
        }
        if self.nullable { Ok(()) } else { f.write_str("!") }
    }
}

/// The scalars of every schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scalar {
    /// `String`.
    String,
    /// `Boolean`.
    Boolean,
    /// `Int`.
    Int,
    /// `Float`.
    Float,
    /// `ID`.
    Id,
    /// `DateTime`.
    DateTime,
    /// `JSON`.
    Json,
    /// `Bytes`.
    Bytes,
}

impl Scalar {
    /// All of them: GraphQL's own five, then Weir's three.
    pub const ALL: [Self; 8] =
        [Self::String, Self::Boolean, Self::Int, Self::Float, Self::Id, Self::DateTime, Self::Json, Self::Bytes];

    /// The GraphQL name.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "String",
            Self::Boolean => "Boolean",
            Self::Int => "Int",
            Self::Float => "Float",
            Self::Id => "ID",
            Self::DateTime => "DateTime",
            Self::Json => "JSON",
            Self::Bytes => "Bytes",
        }
    }

    /// The scalar of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scalar| scalar.name() == name)
    }

    /// The address of the specification that it follows, unless it is GraphQL's own.
    pub fn specified_by(self) -> Option<&'static str> {
        match self {
            Self::String | Self::Boolean | Self::Int | Self::Float | Self::Id => None,
            Self::DateTime => Some("https://www.rfc-editor.org/rfc/rfc3339"),
            Self::Json => Some("https://www.rfc-editor.org/rfc/rfc8259"),
            Self::Bytes => Some("https://www.rfc-editor.org/rfc/rfc4648#section-4"),
        }
    }

    /// What it is, for people. GraphQL's own are described as in its reference implementation.
    pub fn description(self) -> &'static str {
        match self {
            Self::String => {
                "The `String` scalar type represents textual data, represented as UTF-8 character sequences. The String \
                 type is most often used by GraphQL to represent free-form human-readable text."
            }
            Self::Boolean => "The `Boolean` scalar type represents `true` or `false`.",
            Self::Int => {
                "The `Int` scalar type represents non-fractional signed whole numeric values. Int can represent values \
                 between -(2^31) and 2^31 - 1."
            }
            Self::Float => {
                "The `Float` scalar type represents signed double-precision fractional values as specified by \
                 [IEEE 754](https://en.wikipedia.org/wiki/IEEE_floating_point)."
            }
            Self::Id => {
                "The `ID` scalar type represents a unique identifier, often used to refetch an object or as key for a \
                 cache. The ID type appears in a JSON response as a String; however, it is not intended to be \
                 human-readable. When expected as an input type, any string (such as `\"4\"`) or integer (such as `4`) \
                 input value will be accepted as an ID."
            }
            Self::DateTime => "A date and time in UTC, as `2026-11-22T09:30:00.000Z`. Arguments may have any offset.",
            Self::Json => "Any JSON value, null included.",
            Self::Bytes => "Bytes in padded base64.",
        }
    }
}
