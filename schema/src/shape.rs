//! The types an app may use in its declarations, after compilation.
//!
//! A [`Shape`] is one TypeScript type without its nullability; a [`Slot`] adds `| null` and `?`. Named types are
//! [`Definition`]s, found by name in [`Definitions`]. The name of a definition is its GraphQL output name:
//!
//! - `Doc<Order>` is the definition `Order`, whose first member is `id`;
//! - `Order` without `Doc` is `OrderValue` when `Order` is some document's type, `Order` otherwise;
//! - `Page<…>` and the rows of `view.groupBy` are ordinary objects by the time they are here.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// All named types of an app, by name.
pub type Definitions = IndexMap<String, Definition>;

/// One type, without nullability.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// `string`, and any lone string literal (kept in [`Member::literal`]).
    String,
    /// `boolean`.
    Boolean,
    /// `Int`: a whole number of 32 bits.
    Int,
    /// `Float` or `number`: a finite double.
    Float,
    /// `ID`.
    Id,
    /// `Ref<T>`: the id of a document of the named TypeScript type.
    Ref(String),
    /// `DateTime`: RFC 3339, normalized by [`crate::datetime`].
    DateTime,
    /// `JSON`: any JSON value.
    Json,
    /// `Bytes`: base64 (RFC 4648, padded) in JSON and in functions.
    Bytes,
    /// A list of slots.
    List(Box<Slot>),
    /// A string-literal union: the [`Definition::Enum`] of this name.
    Enum(String),
    /// An object: the [`Definition::Object`] of this name.
    Object(String),
    /// A union of objects: the [`Definition::Union`] of this name.
    Union(String),
}

/// A type where it is used: with `| null` and, for members, `?`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// The type.
    pub shape: Shape,
    /// `T | null`.
    pub nullable: bool,
    /// `member?: T`. Always false for list elements and results.
    pub optional: bool,
}

impl Slot {
    /// A slot that always holds a value.
    pub fn required(shape: Shape) -> Self {
        Self { shape, nullable: false, optional: false }
    }

    /// A slot that may hold null.
    pub fn nullable(shape: Shape) -> Self {
        Self { shape, nullable: true, optional: false }
    }

    /// Whether GraphQL writes it without `!`.
    pub fn may_be_null(&self) -> bool {
        self.nullable || self.optional
    }
}

/// A member of an object, or an argument of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// As written in TypeScript; always a valid GraphQL name.
    pub name: String,
    /// Its doc comment.
    pub description: Option<String>,
    /// Its type.
    pub slot: Slot,
    /// The value, where the type is one lone string literal.
    pub literal: Option<String>,
}

/// A named type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Definition {
    /// An interface, an object type alias or an anonymous object type.
    Object(ObjectDefinition),
    /// A union of string literals.
    Enum(EnumDefinition),
    /// A union of object types.
    Union(UnionDefinition),
}

impl Definition {
    /// The GraphQL output name.
    pub fn name(&self) -> &str {
        match self {
            Self::Object(object) => &object.name,
            Self::Enum(enumeration) => &enumeration.name,
            Self::Union(union) => &union.name,
        }
    }
}

/// An object type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectDefinition {
    /// The GraphQL output name.
    pub name: String,
    /// The GraphQL input name, should it be used in arguments: `OrderInput` for both `Order` and `OrderValue`.
    pub input_name: String,
    /// Its doc comment.
    pub description: Option<String>,
    /// In the order of declaration; never empty.
    pub members: Vec<Member>,
}

impl ObjectDefinition {
    /// The member of this name.
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }
}

/// A union of string literals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnumDefinition {
    /// The GraphQL name, for input and output alike.
    pub name: String,
    /// Its doc comment.
    pub description: Option<String>,
    /// In the order of declaration; never empty, no two with one GraphQL name.
    pub values: Vec<EnumValue>,
}

impl EnumDefinition {
    /// The TypeScript string behind a GraphQL enum value.
    pub fn typescript(&self, graphql: &str) -> Option<&str> {
        self.values.iter().find(|value| value.graphql == graphql).map(|value| value.typescript.as_str())
    }

    /// The GraphQL enum value of a TypeScript string.
    pub fn graphql(&self, typescript: &str) -> Option<&str> {
        self.values.iter().find(|value| value.typescript == typescript).map(|value| value.graphql.as_str())
    }
}

/// One value of an enum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnumValue {
    /// The spelling in GraphQL: `fee_pool`.
    pub graphql: String,
    /// The spelling everywhere else: `fee-pool`.
    pub typescript: String,
}

/// A union of object types, told apart by a member whose type is a lone literal in each of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnionDefinition {
    /// The GraphQL name.
    pub name: String,
    /// Its doc comment.
    pub description: Option<String>,
    /// The member that tells the alternatives apart.
    pub discriminator: String,
    /// Literal of the discriminator and name of the object definition, in the order of declaration.
    pub alternatives: Vec<Alternative>,
}

/// One alternative of a union.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alternative {
    /// The literal that the discriminator has in this alternative.
    pub literal: String,
    /// The name of the [`ObjectDefinition`].
    pub object: String,
}

/// Looks up an object definition; compiled declarations always hold what they name.
pub fn object<'a>(definitions: &'a Definitions, name: &str) -> Option<&'a ObjectDefinition> {
    match definitions.get(name) {
        Some(Definition::Object(object)) => Some(object),
        _ => None,
    }
}
