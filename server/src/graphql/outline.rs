//! Schema definition language, of whichever server, as an [`Outline`].
//!
//! What GraphQL.js would refuse to build for names that are not there is refused here too, so that a comparison never says
//! that something is gone which has only been forgotten.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use async_graphql::Positioned;
use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{
    BaseType, DirectiveDefinition, DirectiveLocation, FieldDefinition, InputValueDefinition, Type, TypeDefinition,
    TypeKind, TypeSystemDefinition,
};
use async_graphql_value::ConstValue;
use indexmap::IndexMap;
use weir_schema::api::Scalar;
use weir_schema::graphql::GraphqlSettings;
use weir_schema::outline::{
    Composite, Literal, Outline, OutlineDirective, OutlineField, OutlineInput, OutlineType, Ty,
};

use super::scan::{self, skip_string, skip_while};

/// How large a schema may be, in bytes and in tokens.
pub const SDL_BYTES_MAX: usize = 16 << 20;
const SDL_TOKENS_MAX: usize = 4 << 20;

/// Why a text is no schema. The message is one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadSdl(String);

/// Parses schema definition language, with extensions.
pub fn parse(text: &str) -> Result<Outline, BadSdl> {
    let bad = |message: String| BadSdl(message.lines().map(str::trim).collect::<Vec<_>>().join(" "));
    scan::text(text, &bounds()).map_err(|error| bad(error.message))?;
    let text = surrogates(text)?;
    // The parser panics on some texts.
    let parsed = catch_unwind(AssertUnwindSafe(|| parse_schema(text)));
    let document = parsed.map_err(|_| bad("the parser fails".to_owned()))?.map_err(|error| bad(error.to_string()))?;
    let mut outline = Outline { types: IndexMap::new(), directives: standard_directives() };
    for definition in document.definitions {
        match definition {
            TypeSystemDefinition::Schema(_) => {}
            TypeSystemDefinition::Type(ty) => add_type(&mut outline, ty.node)?,
            TypeSystemDefinition::Directive(directive) => {
                let name = directive.node.name.node.to_string();
                outline.directives.insert(name, directive_of(directive.node));
            }
        }
    }
    check_names(&outline)?;
    Ok(outline)
}

/// What holds for a schema in place of the limits of documents: the colons of its members would count as aliases.
fn bounds() -> GraphqlSettings {
    GraphqlSettings {
        document_bytes: SDL_BYTES_MAX,
        document_tokens: SDL_TOKENS_MAX,
        document_definitions: SDL_TOKENS_MAX,
        document_aliases: SDL_TOKENS_MAX,
        document_directives: SDL_TOKENS_MAX,
        ..GraphqlSettings::default()
    }
}

/// Writes out surrogate pairs (`\u{d}83d\u{d}e00`), on which the parser would panic, and refuses single surrogates.
fn surrogates(text: &str) -> Result<Cow<'_, str>, BadSdl> {
    if !text.contains("\\u") {
        return Ok(Cow::Borrowed(text));
    }
    let mut written = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(['"', '#']) {
        let (before, found) = rest.split_at(start);
        written.push_str(before);
        let after = found.get(1..).unwrap_or_default().as_bytes();
        let left = if found.starts_with('#') {
            skip_while(after, |byte| byte != b'\n' && byte != b'\r').len()
        } else {
            skip_string(after).len()
        };
        let (token, after) = found.split_at(found.len() - left);
        if token.starts_with('"') && !token.starts_with("\"\"\"") {
            write_pairs(&mut written, token)?;
        } else {
            written.push_str(token);
        }
        rest = after;
    }
    written.push_str(rest);
    Ok(Cow::Owned(written))
}

fn write_pairs(written: &mut String, token: &str) -> Result<(), BadSdl> {
    let unit = |text: &str| {
        let digits = text.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let mut rest = token;
    while let Some(start) = rest.find('\\') {
        let (before, escape) = rest.split_at(start);
        written.push_str(before);
        let (length, first) = match unit(escape) {
            Some(first @ 0xd800..=0xdfff) => {
                let second = escape.get(6..).and_then(unit);
                let mut decoded = char::decode_utf16([Some(first), second].into_iter().flatten());
                match decoded.next() {
                    Some(Ok(c)) => {
                        written.push(c);
                        rest = escape.get(12..).unwrap_or_default();
                        continue;
                    }
                    _ => {
                        return Err(BadSdl("a string has half of a surrogate pair".to_owned()));
                    }
                }
            }
            // An escape of two characters at least, the second of which may be a backslash.
            _ => (2, escape),
        };
        let end = first.char_indices().nth(length).map_or(first.len(), |(end, _)| end);
        let (escape, after) = first.split_at(end);
        written.push_str(escape);
        rest = after;
    }
    written.push_str(rest);
    Ok(())
}

/// Adds a type, or what an extension adds to it.
fn add_type(outline: &mut Outline, definition: TypeDefinition) -> Result<(), BadSdl> {
    let name = definition.name.node.to_string();
    let ty = match definition.kind {
        TypeKind::Scalar => OutlineType::Scalar,
        TypeKind::Object(object) => OutlineType::Object(composite(object.implements, object.fields)),
        TypeKind::Interface(interface) => OutlineType::Interface(composite(interface.implements, interface.fields)),
        TypeKind::Union(union) => OutlineType::Union(texts(union.members)),
        TypeKind::Enum(ty) => {
            OutlineType::Enum(ty.values.into_iter().map(|value| value.node.value.node.to_string()).collect())
        }
        TypeKind::InputObject(input) => OutlineType::Input(inputs(input.fields)),
    };
    let Some(known) = outline.types.get_mut(&name) else {
        outline.types.insert(name, ty);
        return Ok(());
    };
    if !definition.extend {
        return Err(BadSdl(format!("there are two types of the name {name}")));
    }
    match (known, ty) {
        (OutlineType::Scalar, OutlineType::Scalar) => {}
        (OutlineType::Object(known), OutlineType::Object(more))
        | (OutlineType::Interface(known), OutlineType::Interface(more)) => {
            known.interfaces.extend(more.interfaces);
            known.fields.extend(more.fields);
        }
        (OutlineType::Union(known), OutlineType::Union(more)) | (OutlineType::Enum(known), OutlineType::Enum(more)) => {
            known.extend(more);
        }
        (OutlineType::Input(known), OutlineType::Input(more)) => known.extend(more),
        _ => return Err(BadSdl(format!("an extension of {name} is of another kind than the type"))),
    }
    Ok(())
}

fn composite(implements: Vec<Positioned<async_graphql::Name>>, fields: Vec<Positioned<FieldDefinition>>) -> Composite {
    let field = |field: Positioned<FieldDefinition>| {
        let FieldDefinition { name, arguments, ty, .. } = field.node;
        (name.node.to_string(), OutlineField { arguments: inputs(arguments), ty: type_of(&ty.node) })
    };
    Composite { interfaces: texts(implements), fields: fields.into_iter().map(field).collect() }
}

fn texts(names: Vec<Positioned<async_graphql::Name>>) -> Vec<String> {
    names.into_iter().map(|name| name.node.to_string()).collect()
}

fn inputs(inputs: Vec<Positioned<InputValueDefinition>>) -> IndexMap<String, OutlineInput> {
    let input = |input: Positioned<InputValueDefinition>| {
        let InputValueDefinition { name, ty, default_value, .. } = input.node;
        let default = default_value.map(|value| literal(value.node));
        (name.node.to_string(), OutlineInput { ty: type_of(&ty.node), default })
    };
    inputs.into_iter().map(input).collect()
}

fn type_of(ty: &Type) -> Ty {
    let of = match &ty.base {
        BaseType::Named(name) => Ty::Named(name.to_string()),
        BaseType::List(of) => Ty::List(Box::new(type_of(of))),
    };
    if ty.nullable { of } else { Ty::NonNull(Box::new(of)) }
}

fn literal(value: ConstValue) -> Literal {
    match value {
        ConstValue::Null => Literal::Null,
        ConstValue::Boolean(value) => Literal::Boolean(value),
        ConstValue::Number(value) => Literal::Number(value),
        ConstValue::String(text) => Literal::String(text),
        ConstValue::Enum(name) => Literal::Enum(name.to_string()),
        ConstValue::List(values) => Literal::List(values.into_iter().map(literal).collect()),
        ConstValue::Object(members) => {
            Literal::Object(members.into_iter().map(|(name, value)| (name.to_string(), literal(value))).collect())
        }
        // Never written in a document.
        ConstValue::Binary(bytes) => Literal::String(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

fn directive_of(directive: DirectiveDefinition) -> OutlineDirective {
    let locations = directive.locations.iter().map(|location| location_name(location.node).to_owned()).collect();
    OutlineDirective { arguments: inputs(directive.arguments), repeatable: directive.is_repeatable, locations }
}

fn location_name(location: DirectiveLocation) -> &'static str {
    match location {
        DirectiveLocation::Query => "QUERY",
        DirectiveLocation::Mutation => "MUTATION",
        DirectiveLocation::Subscription => "SUBSCRIPTION",
        DirectiveLocation::Field => "FIELD",
        DirectiveLocation::FragmentDefinition => "FRAGMENT_DEFINITION",
        DirectiveLocation::FragmentSpread => "FRAGMENT_SPREAD",
        DirectiveLocation::InlineFragment => "INLINE_FRAGMENT",
        DirectiveLocation::Schema => "SCHEMA",
        DirectiveLocation::Scalar => "SCALAR",
        DirectiveLocation::Object => "OBJECT",
        DirectiveLocation::FieldDefinition => "FIELD_DEFINITION",
        DirectiveLocation::ArgumentDefinition => "ARGUMENT_DEFINITION",
        DirectiveLocation::Interface => "INTERFACE",
        DirectiveLocation::Union => "UNION",
        DirectiveLocation::Enum => "ENUM",
        DirectiveLocation::EnumValue => "ENUM_VALUE",
        DirectiveLocation::InputObject => "INPUT_OBJECT",
        DirectiveLocation::InputFieldDefinition => "INPUT_FIELD_DEFINITION",
        DirectiveLocation::VariableDefinition => "VARIABLE_DEFINITION",
    }
}

/// The directives that every schema has, whether it writes them out or not. One that does may say more of them.
fn standard_directives() -> IndexMap<String, OutlineDirective> {
    let named = |name: &str| Ty::Named(name.to_owned());
    let argument = |name: &str, ty: Ty, default: Option<Literal>| {
        IndexMap::from([(name.to_owned(), OutlineInput { ty, default })])
    };
    let at = |locations: &[&str]| locations.iter().map(|location| (*location).to_owned()).collect();
    let selections = ["FIELD", "FRAGMENT_SPREAD", "INLINE_FRAGMENT"];
    let condition = || argument("if", Ty::NonNull(Box::new(named("Boolean"))), None);
    let reason = argument("reason", named("String"), Some(Literal::String("No longer supported".to_owned())));
    let url = argument("url", Ty::NonNull(Box::new(named("String"))), None);
    let deprecated = ["FIELD_DEFINITION", "ARGUMENT_DEFINITION", "INPUT_FIELD_DEFINITION", "ENUM_VALUE"];
    [
        ("include", condition(), at(&selections)),
        ("skip", condition(), at(&selections)),
        ("deprecated", reason, at(&deprecated)),
        ("specifiedBy", url, at(&["SCALAR"])),
        ("oneOf", IndexMap::new(), at(&["INPUT_OBJECT"])),
    ]
    .into_iter()
    .map(|(name, arguments, locations)| (name.to_owned(), OutlineDirective { arguments, repeatable: false, locations }))
    .collect()
}

/// Refuses names of types that are not there.
fn check_names(outline: &Outline) -> Result<(), BadSdl> {
    let standard = [Scalar::String, Scalar::Boolean, Scalar::Int, Scalar::Float, Scalar::Id].map(Scalar::name);
    let is_known = |name: &str| outline.types.contains_key(name) || standard.contains(&name);
    let of_types = outline.types.values().flat_map(|ty| match ty {
        OutlineType::Union(members) => members.as_slice(),
        OutlineType::Object(composite) | OutlineType::Interface(composite) => composite.interfaces.as_slice(),
        OutlineType::Scalar | OutlineType::Enum(_) | OutlineType::Input(_) => &[],
    });
    let mut named = outline.used().map(Ty::name).chain(of_types.map(String::as_str));
    match named.find(|name| !is_known(name)) {
        Some(name) => Err(BadSdl(format!("it uses the type {name} and does not define it"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use weir_schema::api::Api;
    use weir_schema::{changes, sdl};

    use super::*;
    use crate::graphql::fixture;

    #[test]
    fn what_is_served_has_one_outline_with_and_without_its_text() {
        let api = Api::of(&fixture::shop()).unwrap();
        let (text, outline) = (sdl::print(&api), Outline::of(&api));
        assert_eq!(parse(&text).unwrap().types, outline.types);
        assert!(outline.types.len() > 10, "{text}");
    }

    #[test]
    fn extensions_count_as_part_of_their_types() {
        let whole = "interface I { a: Int } type Query implements I { a: Int b(c: [Int!]! = [1]): U } \
            union U = Query enum E { x y } input N { a: E = x }";
        let parts = "schema { query: Query } type Query { a: Int } extend type Query implements I { b(c: [Int!]! = [1]): U } \
            interface I { a: Int } union U extend union U = Query enum E { x } extend enum E { y } input N { a: E = x }";
        assert_eq!(changes::between(&parse(whole).unwrap(), &parse(parts).unwrap()), []);
    }

    #[test]
    fn what_is_no_schema_is_refused_in_one_line() {
        let deep = format!("type Query {{ a(b: Int = {}): Int }}", "[".repeat(100_000));
        for (text, expected) in [
            ("", "expected"),
            ("<html>", "expected"),
            ("query { a }", "expected"),
            ("type Query { a: Missing }", "it uses the type Missing and does not define it"),
            ("union U = A", "it uses the type A and does not define it"),
            ("type A { a: Int } type A { b: Int }", "there are two types of the name A"),
            ("type A { a: Int } extend union A = A", "of another kind"),
            (&deep, "nests deeper"),
        ] {
            let BadSdl(message) = parse(text).unwrap_err();
            assert!(message.contains(expected) && !message.contains('\n'), "{text:.60}: {message}");
        }
    }
    #[test]
    fn surrogate_pairs_are_written_out() {
        let table = [
            (r#"{ a }"#, Some(r#"{ a }"#)),
            (r#"{ a(b: "\ud83d\uDE00!") }"#, Some(r#"{ a(b: "😀!") }"#)),
            (r#"{ a(b: "\u00e9\\\"\u0041") }"#, Some(r#"{ a(b: "\u00e9\\\"\u0041") }"#)),
            (r#"{ a(b: "\\ud83d") }"#, Some(r#"{ a(b: "\\ud83d") }"#)),
            (r#"{ a(b: """\ud83d""") }"#, Some(r#"{ a(b: """\ud83d""") }"#)),
            ("# \"\\ud83d\n{ a }", Some("# \"\\ud83d\n{ a }")),
            (r#"{ a(b: "\ud83d") }"#, None),
            (r#"{ a(b: "\ud83dx\ude00") }"#, None),
            (r#"{ a(b: "\ude00\ud83d") }"#, None),
            (r#"{ a(b: "\ud8"#, Some(r#"{ a(b: "\ud8"#)),
        ];
        for (given, expected) in table {
            assert_eq!(surrogates(given).ok().as_deref(), expected, "{given}");
        }
    }
}
