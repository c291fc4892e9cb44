//! What every schema has by GraphQL itself: the types of introspection and the directives
//! (<https://spec.graphql.org/draft/#sec-Schema-Introspection.Schema-Introspection-Schema>).

use std::sync::LazyLock;

use indexmap::IndexMap;
use serde_json::{Value, json};
use weir_schema::api::{Field, InputField, NamedType, Object, Of, Scalar, TypeRef};
use weir_schema::shape::{EnumDefinition, EnumValue};

/// The vocabulary, made once.
pub struct Vocabulary {
    /// The types whose names begin with `__`.
    pub types: IndexMap<String, NamedType>,
    /// In the order of introspection.
    pub directives: Vec<DirectiveDefinition>,
    /// `__schema` of the root of queries.
    pub schema: Field,
    /// `__type` of the root of queries.
    pub ty: Field,
    /// `__typename` of every object and union.
    pub typename: Field,
}

/// A directive.
pub struct DirectiveDefinition {
    /// Without `@`.
    pub name: &'static str,
    /// For people.
    pub description: &'static str,
    /// Where it may stand, as `__DirectiveLocation` has it.
    pub locations: &'static [&'static str],
    /// What it takes.
    pub arguments: Vec<InputField>,
}

/// The vocabulary.
pub fn vocabulary() -> &'static Vocabulary {
    static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(build);
    &VOCABULARY
}

/// What a value of an enum of introspection means.
pub fn about_value(enumeration: &str, value: &str) -> Option<&'static str> {
    let values: &[(&str, &str)] = match enumeration {
        "__TypeKind" => &KINDS,
        "__DirectiveLocation" => &LOCATIONS,
        _ => return None,
    };
    values.iter().find(|(name, _)| *name == value).map(|(_, about)| *about)
}

/// A field: its name, its type, what it means. `(…)` after the name says that it takes `includeDeprecated`, of this type.
type FieldText = (&'static str, &'static str, &'static str);

const SCHEMA: [FieldText; 6] = [
    ("description", "String", ""),
    ("types", "[__Type!]!", "A list of all types supported by this server."),
    ("queryType", "__Type!", "The type that query operations will be rooted at."),
    (
        "mutationType",
        "__Type",
        "If this server supports mutation, the type that mutation operations will be rooted at.",
    ),
    (
        "subscriptionType",
        "__Type",
        "If this server support subscription, the type that subscription operations will be rooted at.",
    ),
    ("directives(Boolean!)", "[__Directive!]!", "A list of all directives supported by this server."),
];

const TYPE: [FieldText; 11] = [
    ("kind", "__TypeKind!", ""),
    ("name", "String", ""),
    ("description", "String", ""),
    ("specifiedByURL", "String", ""),
    ("fields(Boolean)", "[__Field!]", ""),
    ("interfaces", "[__Type!]", ""),
    ("possibleTypes", "[__Type!]", ""),
    ("enumValues(Boolean)", "[__EnumValue!]", ""),
    ("inputFields(Boolean)", "[__InputValue!]", ""),
    ("ofType", "__Type", ""),
    ("isOneOf", "Boolean", ""),
];

const FIELD: [FieldText; 6] = [
    ("name", "String!", ""),
    ("description", "String", ""),
    ("args(Boolean)", "[__InputValue!]!", ""),
    ("type", "__Type!", ""),
    ("isDeprecated", "Boolean!", ""),
    ("deprecationReason", "String", ""),
];

const INPUT_VALUE: [FieldText; 6] = [
    ("name", "String!", ""),
    ("description", "String", ""),
    ("type", "__Type!", ""),
    ("defaultValue", "String", "A GraphQL-formatted string representing the default value for this input value."),
    ("isDeprecated", "Boolean!", ""),
    ("deprecationReason", "String", ""),
];

const ENUM_VALUE: [FieldText; 4] = [
    ("name", "String!", ""),
    ("description", "String", ""),
    ("isDeprecated", "Boolean!", ""),
    ("deprecationReason", "String", ""),
];

const DIRECTIVE: [FieldText; 7] = [
    ("name", "String!", ""),
    ("description", "String", ""),
    ("isRepeatable", "Boolean!", ""),
    ("locations", "[__DirectiveLocation!]!", ""),
    ("args(Boolean)", "[__InputValue!]!", ""),
    ("isDeprecated", "Boolean!", ""),
    ("deprecationReason", "String", ""),
];

const OBJECTS: [(&str, &str, &[FieldText]); 6] = [
    (
        "__Schema",
        "A GraphQL Schema defines the capabilities of a GraphQL server. It exposes all available types and directives on \
         the server, as well as the entry points for query, mutation, and subscription operations.",
        &SCHEMA,
    ),
    (
        "__Type",
        "The fundamental unit of any GraphQL Schema is the type. There are many kinds of types in GraphQL as represented by \
         the `__TypeKind` enum.\n\nDepending on the kind of a type, certain fields describe information about that type. \
         Scalar types provide no information beyond a name, description and optional `specifiedByURL`, while Enum types \
         provide their values. Object and Interface types provide the fields they describe. Abstract types, Union and \
         Interface, provide the Object types possible at runtime. List and NonNull types compose other types.",
        &TYPE,
    ),
    (
        "__Field",
        "Object and Interface types are described by a list of Fields, each of which has a name, potentially a list of \
         arguments, and a return type.",
        &FIELD,
    ),
    (
        "__InputValue",
        "Arguments provided to Fields or Directives and the input fields of an InputObject are represented as Input Values \
         which describe their type and optionally a default value.",
        &INPUT_VALUE,
    ),
    (
        "__EnumValue",
        "One possible value for a given Enum. Enum values are unique values, not a placeholder for a string or numeric \
         value. However an Enum value is returned in a JSON response as a string.",
        &ENUM_VALUE,
    ),
    (
        "__Directive",
        "A Directive provides a way to describe alternate runtime execution and type validation behavior in a GraphQL \
         document.\n\nIn some cases, you need to provide options to alter GraphQL's execution behavior in ways field \
         arguments will not suffice, such as conditionally including or skipping a field. Directives provide this by \
         describing additional information to the executor.",
        &DIRECTIVE,
    ),
];

const KINDS: [(&str, &str); 8] = [
    ("SCALAR", "Indicates this type is a scalar."),
    ("OBJECT", "Indicates this type is an object. `fields` and `interfaces` are valid fields."),
    ("INTERFACE", "Indicates this type is an interface. `fields`, `interfaces`, and `possibleTypes` are valid fields."),
    ("UNION", "Indicates this type is a union. `possibleTypes` is a valid field."),
    ("ENUM", "Indicates this type is an enum. `enumValues` is a valid field."),
    ("INPUT_OBJECT", "Indicates this type is an input object. `inputFields` is a valid field."),
    ("LIST", "Indicates this type is a list. `ofType` is a valid field."),
    ("NON_NULL", "Indicates this type is a non-null. `ofType` is a valid field."),
];

const LOCATIONS: [(&str, &str); 20] = [
    ("QUERY", "Location adjacent to a query operation."),
    ("MUTATION", "Location adjacent to a mutation operation."),
    ("SUBSCRIPTION", "Location adjacent to a subscription operation."),
    ("FIELD", "Location adjacent to a field."),
    ("FRAGMENT_DEFINITION", "Location adjacent to a fragment definition."),
    ("FRAGMENT_SPREAD", "Location adjacent to a fragment spread."),
    ("INLINE_FRAGMENT", "Location adjacent to an inline fragment."),
    ("VARIABLE_DEFINITION", "Location adjacent to a variable definition."),
    ("SCHEMA", "Location adjacent to a schema definition."),
    ("SCALAR", "Location adjacent to a scalar definition."),
    ("OBJECT", "Location adjacent to an object type definition."),
    ("FIELD_DEFINITION", "Location adjacent to a field definition."),
    ("ARGUMENT_DEFINITION", "Location adjacent to an argument definition."),
    ("INTERFACE", "Location adjacent to an interface definition."),
    ("UNION", "Location adjacent to a union definition."),
    ("ENUM", "Location adjacent to an enum definition."),
    ("ENUM_VALUE", "Location adjacent to an enum value definition."),
    ("INPUT_OBJECT", "Location adjacent to an input object type definition."),
    ("INPUT_FIELD_DEFINITION", "Location adjacent to an input object field definition."),
    ("DIRECTIVE_DEFINITION", "Location adjacent to a directive definition."),
];

const ON_SELECTIONS: &[&str] = &["FIELD", "FRAGMENT_SPREAD", "INLINE_FRAGMENT"];

fn build() -> Vocabulary {
    let objects = OBJECTS.into_iter().map(|(name, about, fields)| {
        let fields = fields.iter().map(field).collect();
        NamedType::Object(Object { name: name.into(), description: Some(about.into()), fields })
    });
    let enums = [
        ("__TypeKind", "An enum describing what kind of type a given `__Type` is.", KINDS.as_slice()),
        (
            "__DirectiveLocation",
            "A Directive can be adjacent to many parts of the GraphQL language, a __DirectiveLocation describes one such \
             possible adjacencies.",
            LOCATIONS.as_slice(),
        ),
    ];
    let enums = enums.into_iter().map(|(name, about, values)| {
        let value = |(value, _): &(&str, &str)| EnumValue { graphql: (*value).into(), typescript: (*value).into() };
        let values = values.iter().map(value).collect();
        NamedType::Enum(EnumDefinition { name: name.into(), description: Some(about.into()), values })
    });
    let root = |name, ty, about| Field { ..field(&(name, ty, about)) };
    let name = argument("name", "String!", "", None);
    Vocabulary {
        types: objects.chain(enums).map(|ty| (ty.name().to_owned(), ty)).collect(),
        directives: directives(),
        schema: root("__schema", "__Schema!", "Access the current type schema of this server."),
        ty: Field {
            arguments: vec![name],
            ..root("__type", "__Type", "Request the type information of a single type.")
        },
        typename: root("__typename", "String!", "The name of the current Object type at runtime."),
    }
}

fn directives() -> Vec<DirectiveDefinition> {
    let directive =
        |name, description, locations, arguments| DirectiveDefinition { name, description, locations, arguments };
    vec![
        directive(
            "include",
            "Directs the executor to include this field or fragment only when the `if` argument is true.",
            ON_SELECTIONS,
            vec![argument("if", "Boolean!", "Included when true.", None)],
        ),
        directive(
            "skip",
            "Directs the executor to skip this field or fragment when the `if` argument is true.",
            ON_SELECTIONS,
            vec![argument("if", "Boolean!", "Skipped when true.", None)],
        ),
        directive(
            "deprecated",
            "Marks an element of a GraphQL schema as no longer supported.",
            &[
                "FIELD_DEFINITION",
                "ARGUMENT_DEFINITION",
                "INPUT_FIELD_DEFINITION",
                "ENUM_VALUE",
                "DIRECTIVE_DEFINITION",
            ],
            vec![argument(
                "reason",
                "String",
                "Explains why this element was deprecated, usually also including a suggestion for how to access \
                 supported similar data. Formatted using the Markdown syntax, as specified by \
                 [CommonMark](https://commonmark.org/).",
                Some(json!("No longer supported")),
            )],
        ),
        directive(
            "specifiedBy",
            "Exposes a URL that specifies the behavior of this scalar.",
            &["SCALAR"],
            vec![argument("url", "String!", "The URL that specifies the behavior of this scalar.", None)],
        ),
        directive(
            "oneOf",
            "Indicates exactly one field must be supplied and this field must not be `null`.",
            &["INPUT_OBJECT"],
            Vec::new(),
        ),
    ]
}

fn field((name, ty, about): &FieldText) -> Field {
    let (name, deprecated) = name.split_once('(').map_or((*name, None), |(name, ty)| (name, Some(ty)));
    let deprecated =
        deprecated.map(|ty| argument("includeDeprecated", ty.trim_end_matches(')'), "", Some(json!(false))));
    Field {
        name: name.into(),
        description: described(about),
        arguments: deprecated.into_iter().collect(),
        ty: type_ref(ty),
    }
}

fn argument(name: &str, ty: &str, about: &str, default: Option<Value>) -> InputField {
    InputField { name: name.into(), description: described(about), ty: type_ref(ty), default }
}

fn described(about: &str) -> Option<String> {
    (!about.is_empty()).then(|| about.to_owned())
}

/// A type as GraphQL writes it.
fn type_ref(text: &str) -> TypeRef {
    let (inner, nullable) = text.strip_suffix('!').map_or((text, true), |inner| (inner, false));
    let of = match inner.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
        Some(element) => Of::List(Box::new(type_ref(element))),
        None => Scalar::parse(inner).map_or_else(|| Of::Named(inner.into()), Of::Scalar),
    };
    TypeRef { of, nullable }
}
