//! Input coercion (<https://spec.graphql.org/draft/#sec-Input-Values>): JSON from a client becomes the JSON that functions
//! take.
//!
//! Only what GraphQL itself demands is checked: kinds, ranges, null, missing and unknown members. What a `DateTime` or a
//! `Bytes` must look like is the engine's to say, for `invoke` and `batch` pass by here.

use std::fmt::{self, Write};

use serde_json::{Map, Number, Value};
use weir_schema::api::{Api, InputObject, NamedType, Of, Scalar, TypeRef};
use weir_schema::error::ErrorCode;
use weir_schema::shape::EnumDefinition;

use super::GraphqlError;

/// What does not have its declared type, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct BadInput {
    /// The place: `$lines[2].price`.
    pub path: String,
    /// What is wrong and what is expected.
    pub message: String,
}

impl From<BadInput> for GraphqlError {
    fn from(bad: BadInput) -> Self {
        Self::new(ErrorCode::BadArguments, bad.to_string())
    }
}

/// Coerces a value that a client sent as JSON. `root` is what its path begins with.
pub fn coerce(api: &Api, ty: &TypeRef, root: &str, value: Value) -> Result<Value, BadInput> {
    let mut coercion = Coercion { api, path: root.to_owned() };
    coercion.value(ty, value)
}

struct Coercion<'a> {
    api: &'a Api,
    path: String,
}

impl Coercion<'_> {
    fn value(&mut self, ty: &TypeRef, value: Value) -> Result<Value, BadInput> {
        if value.is_null() {
            return if ty.nullable { Ok(Value::Null) } else { Err(self.bad(format!("expected {ty}, got null"))) };
        }
        match &ty.of {
            Of::Scalar(kind) => scalar(*kind, value).map_err(|value| self.expected(kind.name(), &value)),
            Of::List(element) => match value {
                Value::Array(values) => {
                    let mut coerced = Vec::with_capacity(values.len());
                    for (index, value) in values.into_iter().enumerate() {
                        coerced.push(self.below(format_args!("[{index}]"), |this| this.value(element, value))?);
                    }
                    Ok(Value::Array(coerced))
                }
                single => Ok(Value::Array(vec![self.value(element, single)?])),
            },
            Of::Named(name) => match self.api.types.get(name) {
                Some(NamedType::Enum(enumeration)) => match &value {
                    Value::String(given) => {
                        let typescript = enumeration.typescript(given);
                        let typescript = typescript.ok_or_else(|| self.expected(&spellings(enumeration), &value))?;
                        Ok(Value::String(typescript.to_owned()))
                    }
                    _ => Err(self.expected(&spellings(enumeration), &value)),
                },
                Some(NamedType::Input(input)) => match value {
                    Value::Object(given) => self.object(input, given),
                    other => Err(self.expected(&format!("{name}, an object"), &other)),
                },
                _ => Err(self.bad(format!("{name} cannot be given"))),
            },
        }
    }

    fn object(&mut self, input: &InputObject, mut given: Map<String, Value>) -> Result<Value, BadInput> {
        let mut coerced = Map::with_capacity(given.len());
        for field in &input.fields {
            let value = match (given.remove(&field.name), &field.default) {
                (Some(value), _) => self.below(format_args!(".{}", field.name), |this| this.value(&field.ty, value))?,
                (None, Some(default)) => default.clone(),
                (None, None) if field.ty.nullable => continue,
                (None, None) => return Err(self.bad(missing(input, &field.name, &field.ty))),
            };
            coerced.insert(field.name.clone(), value);
        }
        match given.keys().next() {
            Some(unknown) => Err(self.bad(not_a_field(input, unknown))),
            None => Ok(Value::Object(coerced)),
        }
    }

    /// Runs one step deeper.
    fn below<T>(&mut self, step: fmt::Arguments<'_>, run: impl FnOnce(&mut Self) -> T) -> T {
        let here = self.path.len();
        // Writing to a string cannot fail.
        let _ = self.path.write_fmt(step);
        let result = run(self);
        // On an error the path was copied into it before.
        self.path.truncate(here);
        result
    }

    fn bad(&self, message: String) -> BadInput {
        BadInput { path: self.path.clone(), message }
    }

    fn expected(&self, what: &str, value: &Value) -> BadInput {
        self.bad(format!("expected {what}, got {}", describe(value)))
    }
}

/// Coerces a value that is not null to a scalar, or gives it back.
pub fn scalar(kind: Scalar, value: Value) -> Result<Value, Value> {
    match (kind, value) {
        (Scalar::Json, value) => Ok(value),
        (Scalar::Boolean, value @ Value::Bool(_)) => Ok(value),
        (Scalar::Float, value @ Value::Number(_)) => Ok(value),
        (Scalar::Int, Value::Number(number)) => int(&number).map(Value::from).ok_or(Value::Number(number)),
        (Scalar::Id, Value::Number(number)) if number.is_i64() || number.is_u64() => {
            Ok(Value::String(number.to_string()))
        }
        (Scalar::String | Scalar::Id | Scalar::DateTime | Scalar::Bytes, value @ Value::String(_)) => Ok(value),
        (_, value) => Err(value),
    }
}

/// A whole number of 32 bits, however it is written: `5`, `5.0`.
pub fn int(number: &Number) -> Option<i32> {
    if let Some(whole) = number.as_i64() {
        return i32::try_from(whole).ok();
    }
    let float = number.as_f64()?;
    let whole = float.fract() == 0.0 && float >= f64::from(i32::MIN) && float <= f64::from(i32::MAX);
    whole.then_some(float as i32)
}

/// The values of an enum, as an error names them.
pub fn spellings(enumeration: &EnumDefinition) -> String {
    let values: Vec<&str> = enumeration.values.iter().map(|value| value.graphql.as_str()).collect();
    format!("{} ({})", enumeration.name, values.join(" | "))
}

/// The message for a missing field.
pub fn missing(input: &InputObject, field: &str, ty: &TypeRef) -> String {
    format!("{} needs {field}: {ty}", input.name)
}

/// The message for an unknown field.
pub fn not_a_field(input: &InputObject, unknown: &str) -> String {
    let known: Vec<&str> = input.fields.iter().map(|field| field.name.as_str()).collect();
    format!("{} has no field {unknown}; it has {}", input.name, known.join(", "))
}

/// Names a value for an error message, shortened.
pub fn describe(value: &Value) -> String {
    const CHARS_MAX: usize = 40;
    match value {
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
        other => {
            let text = other.to_string();
            match text.char_indices().nth(CHARS_MAX) {
                Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
                None => text,
            }
        }
    }
}
