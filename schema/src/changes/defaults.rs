//! Default values as introspection shows them: coerced to their type, so that two ways to write the same are the same.

use serde_json::Number;

use crate::outline::{Literal, Outline, OutlineType, Ty};

/// A default as text, of an argument of this type.
pub(super) fn written(value: &Literal, ty: &Ty, outline: &Outline) -> String {
    match (value, ty) {
        (value, Ty::NonNull(of)) => written(value, of, outline),
        (Literal::Null, _) => "null".to_owned(),
        (Literal::List(values), Ty::List(of)) => list(values.iter().map(|value| written(value, of, outline))),
        // What is no list stands for a list of one.
        (value, Ty::List(of)) => list([written(value, of, outline)].into_iter()),
        (value, Ty::Named(name)) => match outline.types.get(name) {
            Some(OutlineType::Input(fields)) => {
                let Literal::Object(given) = value else { return plain(value) };
                object(fields.iter().filter_map(|(name, field)| {
                    let value = given.get(name).or(field.default.as_ref())?;
                    Some((name.as_str(), written(value, &field.ty, outline)))
                }))
            }
            Some(_) => plain(value),
            None => of_standard(value, name),
        },
    }
}

/// A value of one of GraphQL's own scalars.
fn of_standard(value: &Literal, name: &str) -> String {
    match (value, name) {
        // An id that looks like a number is written as one.
        (Literal::String(text), "ID") if is_integer(text) => text.clone(),
        _ => plain(value),
    }
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let canonical = digits == "0" || !digits.starts_with('0');
    !digits.is_empty() && canonical && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// A value as it is, but for the order of members and the writing of numbers.
fn plain(value: &Literal) -> String {
    match value {
        Literal::Null => "null".to_owned(),
        Literal::Boolean(value) => value.to_string(),
        Literal::Number(value) => number(value),
        Literal::String(text) => serde_json::Value::from(text.as_str()).to_string(),
        Literal::Enum(name) => name.clone(),
        Literal::List(values) => list(values.iter().map(plain)),
        Literal::Object(members) => object(members.iter().map(|(name, value)| (name.as_str(), plain(value)))),
    }
}

/// `1.0` and `1e0` are `1`.
fn number(value: &Number) -> String {
    match value.as_f64() {
        Some(float) if value.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => format!("{float:.0}"),
        _ => value.to_string(),
    }
}

fn list(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(", "))
}

fn object<'a>(members: impl Iterator<Item = (&'a str, String)>) -> String {
    let mut members: Vec<_> = members.collect();
    members.sort();
    let members: Vec<String> = members.into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
    format!("{{{}}}", members.join(", "))
}
