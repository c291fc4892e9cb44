//! Introspection (<https://spec.graphql.org/draft/#sec-Introspection>): the schema as a value that is asked for like any other.
//!
//! Nothing of it is made before it is asked for: a `Node` is a place in the schema, and what is selected of it is
//! written from there. How deep that may go round in circles is bounded by [`super::validate`].

mod types;
mod vocabulary;

use serde_json::Value;
use weir_schema::api::{Api, Field, InputField, NamedType, Object, Of, Scalar, TypeRef};
use weir_schema::sdl::{default_text, description_text};

use super::plan::{Complete, Completion, Selected};
use super::response::write_value;

pub use types::{Composite, Known, Types};
use vocabulary::about_value;
pub use vocabulary::{DirectiveDefinition, vocabulary};

/// A place in a schema.
#[derive(Clone, Copy)]
enum Node<'a> {
    Schema,
    /// A type without `!`.
    Named(&'a NamedType),
    Root(&'a Object),
    Scalar(Scalar),
    List(&'a TypeRef),
    NonNull(&'a TypeRef),
    Field(&'a Field),
    InputValue(&'a InputField),
    EnumValue {
        enumeration: &'a str,
        value: &'a str,
    },
    Directive(&'a DirectiveDefinition),
}

/// What a node has under a name.
enum Answer<'a> {
    Null,
    Value(Value),
    Node(Node<'a>),
    Nodes(Vec<Node<'a>>),
}

/// The most that one introspection field may give: one schema may be asked for many times over.
pub const BYTES_MAX: usize = 16 << 20;

/// There would be more than [`BYTES_MAX`]. What has been written is not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMuch;

/// Writes `__schema` as it is selected.
pub fn write_schema(out: &mut Vec<u8>, api: &Api, completion: &Completion) -> Result<(), TooMuch> {
    Writer::of(Types::of(api), out).complete(&completion.of, Answer::Node(Node::Schema))
}

/// Writes `__type` as it is selected; null where there is no type of this name.
pub fn write_type(out: &mut Vec<u8>, api: &Api, name: &str, completion: &Completion) -> Result<(), TooMuch> {
    let types = Types::of(api);
    let answer = by_name(types, name).map_or(Answer::Null, Answer::Node);
    Writer::of(types, out).complete(&completion.of, answer)
}

struct Writer<'a, 'o> {
    types: Types<'a>,
    out: &'o mut Vec<u8>,
    /// As long as `out` may become.
    end: usize,
}

impl<'a, 'o> Writer<'a, 'o> {
    fn of(types: Types<'a>, out: &'o mut Vec<u8>) -> Self {
        let end = out.len().saturating_add(BYTES_MAX);
        Self { types, out, end }
    }

    fn complete(&mut self, of: &Complete, answer: Answer<'a>) -> Result<(), TooMuch> {
        if self.out.len() > self.end {
            return Err(TooMuch);
        }
        match (of, answer) {
            (Complete::Object(selected), Answer::Node(node)) => self.selected(selected, node)?,
            (Complete::List(element), Answer::Nodes(nodes)) => {
                self.out.push(b'[');
                for (index, node) in nodes.into_iter().enumerate() {
                    if index > 0 {
                        self.out.push(b',');
                    }
                    self.complete(&element.of, Answer::Node(node))?;
                }
                self.out.push(b']');
            }
            (_, Answer::Value(value)) => write_value(self.out, &value),
            _ => write_value(self.out, &Value::Null),
        }
        Ok(())
    }

    fn selected(&mut self, selected: &Selected, node: Node<'a>) -> Result<(), TooMuch> {
        self.out.push(b'{');
        for (index, field) in selected.fields.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.out.extend_from_slice(&field.key.json);
            match &field.member {
                None => write_value(self.out, &Value::from(selected.typename.as_str())),
                Some(member) => self.complete(&member.completion.of, self.types.member(node, &member.name))?,
            }
        }
        self.out.push(b'}');
        Ok(())
    }
}

fn text(text: &str) -> Answer<'static> {
    Answer::Value(Value::from(text))
}

fn description(text: Option<&str>) -> Answer<'static> {
    let text = text.map(description_text).filter(|text| !text.is_empty());
    text.map_or(Answer::Null, |text| Answer::Value(Value::from(text)))
}

fn inputs(fields: &[InputField]) -> Answer<'_> {
    Answer::Nodes(fields.iter().map(Node::InputValue).collect())
}

/// The type of this name, whatever its kind.
fn by_name<'a>(types: Types<'a>, name: &str) -> Option<Node<'a>> {
    match types.find(name)? {
        Known::Scalar(scalar) => Some(Node::Scalar(scalar)),
        _ => match types.named(name) {
            Some(named) => Some(Node::Named(named)),
            None => types.object(name).map(Node::Root),
        },
    }
}

fn type_node<'a>(types: Types<'a>, ty: &'a TypeRef) -> Answer<'a> {
    if ty.nullable { nullable_node(types, ty) } else { Answer::Node(Node::NonNull(ty)) }
}

fn nullable_node<'a>(types: Types<'a>, ty: &'a TypeRef) -> Answer<'a> {
    match &ty.of {
        Of::Scalar(scalar) => Answer::Node(Node::Scalar(*scalar)),
        Of::List(_) => Answer::Node(Node::List(ty)),
        Of::Named(name) => by_name(types, name).map_or(Answer::Null, Answer::Node),
    }
}

impl<'a> Types<'a> {
    fn member(self, node: Node<'a>, name: &str) -> Answer<'a> {
        match node {
            Node::Schema => self.schema_member(name),
            Node::Named(named) => self.named_member(named, name),
            Node::Root(object) => self.object_member(object, name),
            Node::Scalar(scalar) => scalar_member(scalar, name),
            Node::List(ty) => match (name, &ty.of) {
                ("kind", _) => text("LIST"),
                ("ofType", Of::List(element)) => type_node(self, element),
                _ => Answer::Null,
            },
            Node::NonNull(ty) => match name {
                "kind" => text("NON_NULL"),
                "ofType" => nullable_node(self, ty),
                _ => Answer::Null,
            },
            Node::Field(field) => match name {
                "name" => text(&field.name),
                "description" => description(field.description.as_deref()),
                "args" => inputs(&field.arguments),
                "type" => type_node(self, &field.ty),
                _ => undeprecated(name),
            },
            Node::InputValue(input) => match name {
                "name" => text(&input.name),
                "description" => description(input.description.as_deref()),
                "type" => type_node(self, &input.ty),
                "defaultValue" => input.default.as_ref().map_or(Answer::Null, |value| text(&default_text(value))),
                _ => undeprecated(name),
            },
            Node::EnumValue { enumeration, value } => match name {
                "name" => text(value),
                "description" => description(about_value(enumeration, value)),
                _ => undeprecated(name),
            },
            Node::Directive(directive) => match name {
                "name" => text(directive.name),
                "description" => description(Some(directive.description)),
                "isRepeatable" => Answer::Value(Value::Bool(false)),
                "locations" => Answer::Value(Value::from(directive.locations)),
                "args" => inputs(&directive.arguments),
                _ => undeprecated(name),
            },
        }
    }

    fn schema_member(self, name: &str) -> Answer<'a> {
        let [query, mutation, subscription] = self.api().roots();
        match name {
            "types" => {
                let roots = self.api().roots().map(Node::Root);
                let scalars = self.api().scalars().into_iter().map(Node::Scalar);
                let own = self.api().types.values().map(Node::Named);
                let introspection = vocabulary().types.values().map(Node::Named);
                Answer::Nodes(roots.into_iter().chain(own).chain(scalars).chain(introspection).collect())
            }
            "queryType" => Answer::Node(Node::Root(query)),
            "mutationType" => Answer::Node(Node::Root(mutation)),
            "subscriptionType" => Answer::Node(Node::Root(subscription)),
            "directives" => Answer::Nodes(vocabulary().directives.iter().map(Node::Directive).collect()),
            _ => Answer::Null,
        }
    }

    fn named_member(self, named: &'a NamedType, name: &str) -> Answer<'a> {
        let (kind, about) = match named {
            NamedType::Object(object) => return self.object_member(object, name),
            NamedType::Input(input) => ("INPUT_OBJECT", &input.description),
            NamedType::Enum(enumeration) => ("ENUM", &enumeration.description),
            NamedType::Union(union) => ("UNION", &union.description),
        };
        match (name, named) {
            ("kind", _) => text(kind),
            ("name", _) => text(named.name()),
            ("description", _) => description(about.as_deref()),
            ("inputFields", NamedType::Input(input)) => inputs(&input.fields),
            ("isOneOf", NamedType::Input(_)) => Answer::Value(Value::Bool(false)),
            ("enumValues", NamedType::Enum(enumeration)) => {
                let node = |value: &'a str| Node::EnumValue { enumeration: &enumeration.name, value };
                Answer::Nodes(enumeration.values.iter().map(|value| node(&value.graphql)).collect())
            }
            ("possibleTypes", NamedType::Union(union)) => {
                let objects = union.alternatives.iter().filter_map(|one| self.named(&one.object));
                Answer::Nodes(objects.map(Node::Named).collect())
            }
            _ => Answer::Null,
        }
    }

    fn object_member(self, object: &'a Object, name: &str) -> Answer<'a> {
        match name {
            "kind" => text("OBJECT"),
            "name" => text(&object.name),
            "description" => description(object.description.as_deref()),
            "fields" => Answer::Nodes(object.fields.iter().map(Node::Field).collect()),
            "interfaces" => Answer::Nodes(Vec::new()),
            _ => Answer::Null,
        }
    }
}

fn scalar_member(scalar: Scalar, name: &str) -> Answer<'static> {
    match name {
        "kind" => text("SCALAR"),
        "name" => text(scalar.name()),
        "description" => description(Some(scalar.description())),
        "specifiedByURL" => scalar.specified_by().map_or(Answer::Null, text),
        _ => Answer::Null,
    }
}

/// Nothing in the schema of an app is deprecated.
fn undeprecated(name: &str) -> Answer<'static> {
    if name == "isDeprecated" { Answer::Value(Value::Bool(false)) } else { Answer::Null }
}
