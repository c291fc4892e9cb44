//! The GraphQL view as schema definition language.
//!
//! The order is stable: roots, types as [`Api`] has them, Weir's scalars. Equal APIs print equal bytes.

use std::fmt::Write;

use serde_json::Value;

use crate::api::{Api, Field, InputField, NamedType, Object};

/// Prints the schema. What comes out always parses: [`Api`] holds no name that GraphQL does not allow.
pub fn print(api: &Api) -> String {
    let mut sdl = String::new();
    for root in api.roots() {
        object(&mut sdl, root);
    }
    for ty in api.types.values() {
        named_type(&mut sdl, ty);
    }
    for scalar in api.scalars() {
        if let Some(url) = scalar.specified_by() {
            separate(&mut sdl);
            description(&mut sdl, "", Some(scalar.description()));
            line(&mut sdl, format_args!("scalar {} @specifiedBy(url: {url:?})", scalar.name()));
        }
    }
    sdl
}

fn named_type(sdl: &mut String, ty: &NamedType) {
    match ty {
        NamedType::Object(ty) => object(sdl, ty),
        NamedType::Input(ty) => {
            separate(sdl);
            description(sdl, "", ty.description.as_deref());
            line(sdl, format_args!("input {} {{", ty.name));
            for field in &ty.fields {
                description(sdl, "  ", field.description.as_deref());
                line(sdl, format_args!("  {}", input_field(field)));
            }
            line(sdl, format_args!("}}"));
        }
        NamedType::Enum(ty) => {
            separate(sdl);
            description(sdl, "", ty.description.as_deref());
            line(sdl, format_args!("enum {} {{", ty.name));
            for value in &ty.values {
                line(sdl, format_args!("  {}", value.graphql));
            }
            line(sdl, format_args!("}}"));
        }
        NamedType::Union(ty) => {
            separate(sdl);
            description(sdl, "", ty.description.as_deref());
            let members: Vec<&str> = ty.alternatives.iter().map(|alternative| alternative.object.as_str()).collect();
            line(sdl, format_args!("union {} = {}", ty.name, members.join(" | ")));
        }
    }
}

fn object(sdl: &mut String, ty: &Object) {
    separate(sdl);
    description(sdl, "", ty.description.as_deref());
    line(sdl, format_args!("type {} {{", ty.name));
    for field in &ty.fields {
        object_field(sdl, field);
    }
    line(sdl, format_args!("}}"));
}

/// A field on one line, or with each argument on a line of its own where one of them has a description.
fn object_field(sdl: &mut String, field: &Field) {
    description(sdl, "  ", field.description.as_deref());
    let Field { name, ty, arguments, .. } = field;
    if arguments.is_empty() {
        line(sdl, format_args!("  {name}: {ty}"));
    } else if arguments.iter().all(|argument| argument.description.is_none()) {
        let arguments: Vec<String> = arguments.iter().map(input_field).collect();
        line(sdl, format_args!("  {name}({}): {ty}", arguments.join(", ")));
    } else {
        line(sdl, format_args!("  {name}("));
        for argument in arguments {
            description(sdl, "    ", argument.description.as_deref());
            line(sdl, format_args!("    {}", input_field(argument)));
        }
        line(sdl, format_args!("  ): {ty}"));
    }
}

fn input_field(field: &InputField) -> String {
    match &field.default {
        Some(default) => format!("{}: {} = {}", field.name, field.ty, default_text(default)),
        None => format!("{}: {}", field.name, field.ty),
    }
}

/// A default as GraphQL writes it: a scalar, which is written alike in JSON.
pub fn default_text(default: &Value) -> String {
    default.to_string()
}

/// Puts an empty line between definitions.
fn separate(sdl: &mut String) {
    if !sdl.is_empty() {
        sdl.push('\n');
    }
}

fn line(sdl: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = sdl.write_fmt(text);
    sdl.push('\n');
}

/// A description is written on one line up to this.
const LINE_BYTES_MAX: usize = 100;

/// A description as it is told: without control characters, and blanks at the ends of lines and around it.
pub fn description_text(text: &str) -> String {
    let line = |line: &str| {
        let line: String = line.chars().filter(|c| *c == '\t' || !c.is_control()).collect();
        line.trim_end().to_owned()
    };
    text.trim().lines().map(line).collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// Writes a description as a block string (<https://spec.graphql.org/draft/#sec-String-Value.Block-Strings>).
fn description(sdl: &mut String, indent: &str, text: Option<&str>) {
    let Some(text) = text.map(description_text).filter(|text| !text.is_empty()) else { return };
    if text.len() <= LINE_BYTES_MAX && !text.contains(|c: char| c.is_control() || c == '"' || c == '\\') {
        return line(sdl, format_args!("{indent}\"\"\"{text}\"\"\""));
    }
    line(sdl, format_args!("{indent}\"\"\""));
    for text in text.lines() {
        match text.replace("\"\"\"", "\\\"\"\"") {
            empty if empty.is_empty() => sdl.push('\n'),
            text => line(sdl, format_args!("{indent}{text}")),
        }
    }
    line(sdl, format_args!("{indent}\"\"\""));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_a_block_string() {
        let table = [
            ("", ""),
            (" Newest first.\n", "  \"\"\"Newest first.\"\"\"\n"),
            ("Says \"hi\"", "  \"\"\"\n  Says \"hi\"\n  \"\"\"\n"),
            ("a\\", "  \"\"\"\n  a\\\n  \"\"\"\n"),
            ("one\r\n\u{7}two", "  \"\"\"\n  one\n  two\n  \"\"\"\n"),
            ("one\n\n\"\"\"", "  \"\"\"\n  one\n\n  \\\"\"\"\n  \"\"\"\n"),
        ];
        for (text, expected) in table {
            let mut sdl = String::new();
            description(&mut sdl, "  ", Some(text));
            assert_eq!(sdl, expected, "{text:?}");
        }
    }
}
