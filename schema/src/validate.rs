//! JSON against shapes: arguments, documents and results.
//!
//! The rules of the contract, in one place:
//!
//! - `a?: T`: a null becomes absent. `a: T | null`: an absent one becomes null, as does one of `a: JSON`. `a?: T | null` keeps both
//!   apart.
//! - Unknown members are errors in arguments and documents; in results they are dropped and absent members are null.
//! - A `DateTime` is rewritten in its one form. A `-0` stays what it is.

use serde_json::{Map, Value};

use crate::declarations::{Collection, Function};
use crate::shape::{Definition, Definitions, EnumDefinition, Member, Shape, Slot, UnionDefinition, object};
use crate::{datetime, id};

/// Where a value does not have its declared type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct Violation {
    /// The place in the value: `args.lines[2].price`.
    pub path: String,
    /// What is wrong and what is expected.
    pub message: String,
}

/// The way from a result to a place in it.
pub type Place = Vec<PlaceStep>;

/// One step of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum PlaceStep {
    /// Into an element of a list.
    Element(usize),
    /// Into a member of an object.
    Member(String),
}

/// Whether a member of a document, told by its type and its id, was kept from who made the result.
pub type IsHidden<'a> = &'a dyn Fn(&str, &str, &str) -> bool;

/// Which rules hold for absent and unknown members.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    /// Into the app: arguments and documents.
    In,
    /// Out of the app: results.
    Out,
}

/// Checks and normalizes the arguments of a call. `null` counts as no arguments.
pub fn arguments(function: &Function, definitions: &Definitions, value: Value) -> Result<Value, Violation> {
    let value = if value.is_null() { Value::Object(Map::new()) } else { value };
    Checker::new(definitions, Direction::In, vec![Step::Root("args")]).members(
        &function.arguments,
        value,
        "an argument",
        None,
    )
}

/// Checks and normalizes a document without its id, as `insert` and `replace` take it.
pub fn document(collection: &Collection, definitions: &Definitions, value: Value) -> Result<Value, Violation> {
    document_of(&collection.name, &collection.value, definitions, value)
}

/// The same where no more is known than the name of the collection and that of its type without the id.
pub fn document_of(name: &str, ty: &str, definitions: &Definitions, value: Value) -> Result<Value, Violation> {
    let mut checker = Checker::new(definitions, Direction::In, vec![Step::Root(name)]);
    match object(definitions, ty) {
        Some(definition) => checker.members(&definition.members, value, "a member", None),
        None => Err(checker.violation("the collection's type is missing from the bundle")),
    }
}

/// Checks and normalizes what a function returned.
pub fn result(function: &Function, definitions: &Definitions, value: Value) -> Result<Value, Violation> {
    Checker::new(definitions, Direction::Out, vec![Step::Root("result")]).slot(&function.result, value)
}

/// The same for what was made by somebody who was not shown all members of documents. Those may be null whatever their type is;
/// where the result has them is told.
pub fn result_without(
    function: &Function,
    definitions: &Definitions,
    value: Value,
    is_hidden: IsHidden<'_>,
) -> Result<(Value, Vec<Place>), Violation> {
    let mut checker = Checker::new(definitions, Direction::Out, vec![Step::Root("result")]);
    checker.is_hidden = Some(is_hidden);
    let value = checker.slot(&function.result, value)?;
    Ok((value, checker.places))
}

/// Checks and normalizes one element of the list that a function returned.
pub fn element(function: &Function, definitions: &Definitions, index: usize, value: Value) -> Result<Value, Violation> {
    element_without(function, definitions, index, value, &|_, _, _| false).map(|(value, _)| value)
}

/// The same as [`result_without`] is for whole results.
pub fn element_without(
    function: &Function,
    definitions: &Definitions,
    index: usize,
    value: Value,
    is_hidden: IsHidden<'_>,
) -> Result<(Value, Vec<Place>), Violation> {
    let mut checker = Checker::new(definitions, Direction::Out, vec![Step::Root("result"), Step::Element(index)]);
    checker.is_hidden = Some(is_hidden);
    match &function.result.shape {
        Shape::List(element) => {
            let value = checker.slot(element, value)?;
            Ok((value, checker.places))
        }
        _ => Err(checker.violation("the function returns no list")),
    }
}

/// One step of the path to the value at hand.
enum Step<'a> {
    Root(&'a str),
    Member(&'a str),
    Element(usize),
}

struct Checker<'a> {
    definitions: &'a Definitions,
    direction: Direction,
    path: Vec<Step<'a>>,
    is_hidden: Option<IsHidden<'a>>,
    /// Where members are null that were hidden.
    places: Vec<Place>,
}

impl<'a> Checker<'a> {
    fn new(definitions: &'a Definitions, direction: Direction, path: Vec<Step<'a>>) -> Self {
        Self { definitions, direction, path, is_hidden: None, places: Vec::new() }
    }

    /// The place at hand.
    fn place(&self) -> Place {
        let step = |step: &Step<'_>| match step {
            Step::Root(_) => None,
            Step::Member(name) => Some(PlaceStep::Member((*name).to_owned())),
            Step::Element(index) => Some(PlaceStep::Element(*index)),
        };
        self.path.iter().filter_map(step).collect()
    }

    fn violation(&self, message: impl Into<String>) -> Violation {
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Root(name) => path.push_str(name),
                Step::Member(name) => {
                    path.push('.');
                    path.push_str(name);
                }
                Step::Element(index) => path.push_str(&format!("[{index}]")),
            }
        }
        Violation { path, message: message.into() }
    }

    fn expected(&self, what: &str, value: &Value) -> Violation {
        self.violation(format!("expected {what}, got {}", describe(value)))
    }

    fn slot(&mut self, slot: &'a Slot, value: Value) -> Result<Value, Violation> {
        if value.is_null() && !matches!(slot.shape, Shape::Json) {
            return if slot.nullable || (slot.optional && self.direction == Direction::Out) {
                Ok(Value::Null)
            } else {
                let expected = self.expected(&self.name_of(&slot.shape), &value);
                let numeric = matches!(slot.shape, Shape::Int | Shape::Float) && self.direction == Direction::Out;
                let hint = if numeric { " (NaN and Infinity are null in JSON)" } else { "" };
                Err(Violation { message: format!("{}{hint}", expected.message), ..expected })
            };
        }
        self.shape(&slot.shape, value)
    }

    fn shape(&mut self, shape: &'a Shape, value: Value) -> Result<Value, Violation> {
        match (shape, value) {
            (Shape::Json, value) => Ok(value),
            (Shape::String, value @ Value::String(_)) => Ok(value),
            (Shape::Boolean, value @ Value::Bool(_)) => Ok(value),
            (Shape::Float, value @ Value::Number(_)) => Ok(value),
            (Shape::Int, Value::Number(number)) => self.int(&number),
            (Shape::Id | Shape::Ref(_), Value::String(text)) => match id::DocumentId::parse(text) {
                Ok(good) => Ok(Value::String(good.as_str().to_owned())),
                Err(bad) => Err(self.violation(bad.to_string())),
            },
            (Shape::DateTime, Value::String(text)) => datetime::normalize(&text)
                .map(Value::String)
                .map_err(|bad| self.violation(format!("{text:?} is {bad}"))),
            (Shape::Bytes, Value::String(text)) if is_base64(&text) => Ok(Value::String(text)),
            (Shape::Enum(name), Value::String(text)) => self.enumeration(name, text),
            (Shape::List(element), Value::Array(values)) => self.list(element, values),
            (Shape::Object(name), value) => match object(self.definitions, name) {
                Some(definition) => self.members(&definition.members, value, "a member", Some(name)),
                None => Err(self.violation(format!("the type {name} is missing from the bundle"))),
            },
            (Shape::Union(name), value) => self.union(name, value),
            (shape, value) => Err(self.expected(&self.name_of(shape), &value)),
        }
    }

    fn int(&self, number: &serde_json::Number) -> Result<Value, Violation> {
        let whole = number.as_i64().or_else(|| {
            number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 4e9).map(|float| float as i64)
        });
        whole
            .and_then(|whole| i32::try_from(whole).ok())
            .map(Value::from)
            .ok_or_else(|| self.expected("Int, a whole number of 32 bits", &Value::Number(number.clone())))
    }

    fn enumeration(&self, name: &str, text: String) -> Result<Value, Violation> {
        let Some(Definition::Enum(enumeration)) = self.definitions.get(name) else {
            return Err(self.violation(format!("the type {name} is missing from the bundle")));
        };
        if enumeration.graphql(&text).is_some() {
            Ok(Value::String(text))
        } else {
            Err(self.expected(&spellings(enumeration), &Value::String(text)))
        }
    }

    fn list(&mut self, element: &'a Slot, values: Vec<Value>) -> Result<Value, Violation> {
        let mut checked = Vec::with_capacity(values.len());
        for (index, value) in values.into_iter().enumerate() {
            self.path.push(Step::Element(index));
            checked.push(self.slot(element, value)?);
            self.path.pop();
        }
        Ok(Value::Array(checked))
    }

    fn union(&mut self, name: &str, value: Value) -> Result<Value, Violation> {
        let Some(Definition::Union(union)) = self.definitions.get(name) else {
            return Err(self.violation(format!("the type {name} is missing from the bundle")));
        };
        let literal = value.get(&union.discriminator).and_then(Value::as_str);
        let alternative = union.alternatives.iter().find(|alternative| Some(alternative.literal.as_str()) == literal);
        match alternative.and_then(|alternative| object(self.definitions, &alternative.object)) {
            Some(definition) => self.members(&definition.members, value, "a member", Some(&definition.name)),
            None => Err(self.violation(format!("expected {}, got {}", union_of(union), describe(&value)))),
        }
    }

    fn members(
        &mut self,
        members: &'a [Member],
        value: Value,
        noun: &str,
        of: Option<&str>,
    ) -> Result<Value, Violation> {
        let Value::Object(mut given) = value else {
            return Err(self.expected("an object", &value));
        };
        let id = self.is_hidden.and_then(|_| given.get("id")?.as_str().map(str::to_owned));
        let mut checked = Map::with_capacity(members.len());
        for member in members {
            self.path.push(Step::Member(&member.name));
            let value = given.remove(&member.name);
            if let (Some(is_hidden), Some(of), Some(id)) = (self.is_hidden, of, &id)
                && value.as_ref().is_none_or(Value::is_null)
                && is_hidden(of, id, &member.name)
            {
                self.places.push(self.place());
                checked.insert(member.name.clone(), Value::Null);
            } else if let Some(value) = self.member(member, value)? {
                checked.insert(member.name.clone(), value);
            }
            self.path.pop();
        }
        match given.keys().next() {
            Some(unknown) if self.direction == Direction::In => {
                let known: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                Err(self.violation(format!("{unknown} is not {noun} here; declared: {known}")))
            }
            _ => Ok(Value::Object(checked)),
        }
    }

    fn member(&mut self, member: &'a Member, value: Option<Value>) -> Result<Option<Value>, Violation> {
        let slot = &member.slot;
        // JSON holds null, and is nullable in GraphQL, whatever is declared.
        let nullable = slot.nullable || slot.shape == Shape::Json;
        let checked = match (value, self.direction) {
            (None, Direction::Out) if nullable || slot.optional => Value::Null,
            (None, _) if slot.optional => return Ok(None),
            (None, _) if nullable => Value::Null,
            (None, _) => {
                return Err(self.violation(format!("missing; declared as {}", self.name_of(&slot.shape))));
            }
            (Some(Value::Null), Direction::In) if slot.optional && !slot.nullable => return Ok(None),
            (Some(value), _) => self.slot(slot, value)?,
        };
        match &member.literal {
            Some(literal) if checked.as_str().is_some_and(|text| text != literal) => {
                Err(self.expected(&format!("{literal:?}"), &checked))
            }
            _ => Ok(Some(checked)),
        }
    }

    fn name_of(&self, shape: &Shape) -> String {
        match shape {
            Shape::String => "a string".into(),
            Shape::Boolean => "a boolean".into(),
            Shape::Int => "Int, a whole number of 32 bits".into(),
            Shape::Float => "a finite number".into(),
            Shape::Id => "ID, a string".into(),
            Shape::Ref(target) => format!("Ref<{target}>, the id of a document"),
            Shape::DateTime => "DateTime, a string as RFC 3339 writes it".into(),
            Shape::Json => "JSON".into(),
            Shape::Bytes => "Bytes, a base64 string".into(),
            Shape::List(_) => "an array".into(),
            Shape::Object(name) => format!("{name}, an object"),
            Shape::Enum(name) | Shape::Union(name) => match self.definitions.get(name) {
                Some(Definition::Enum(enumeration)) => spellings(enumeration),
                Some(Definition::Union(union)) => union_of(union),
                _ => name.clone(),
            },
        }
    }
}

fn spellings(enumeration: &EnumDefinition) -> String {
    let values: Vec<String> = enumeration.values.iter().map(|value| format!("{:?}", value.typescript)).collect();
    format!("{} ({})", enumeration.name, values.join(" | "))
}

fn union_of(union: &UnionDefinition) -> String {
    let literals: Vec<String> =
        union.alternatives.iter().map(|alternative| format!("{:?}", alternative.literal)).collect();
    format!("{}, an object whose {} is {}", union.name, union.discriminator, literals.join(" or "))
}

/// Names a value for an error message, shortened.
fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Array(_) => "an array".into(),
        Value::Object(_) => "an object".into(),
        other => {
            let text = other.to_string();
            if text.chars().count() > 40 { format!("{}…", text.chars().take(40).collect::<String>()) } else { text }
        }
    }
}

/// Padded base64 in the standard alphabet (RFC 4648 section 4).
fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let padding = text.len() - body.len();
    text.len().is_multiple_of(4)
        && padding <= 2
        && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::declarations::FunctionKind;

    fn function(arguments: Vec<Member>) -> Function {
        Function {
            name: "f".into(),
            kind: FunctionKind::Query,
            description: None,
            module: "functions/a.ts".into(),
            line: 1,
            arguments,
            result: Slot::nullable(Shape::Json),
            keep: None,
            groups: None,
            index: None,
        }
    }

    /// GraphQL lets an argument of type JSON be left out, since it cannot be `JSON!`.
    #[test]
    fn absent_and_null_arguments() {
        let member = |nullable, optional, shape| Member {
            name: "a".into(),
            description: None,
            slot: Slot { shape, nullable, optional },
            literal: None,
        };
        let table = [
            (member(false, false, Shape::Int), json!({}), None),
            (member(true, false, Shape::Int), json!({}), Some(json!({ "a": null }))),
            (member(false, true, Shape::Int), json!({ "a": null }), Some(json!({}))),
            (member(true, true, Shape::Int), json!({}), Some(json!({}))),
            (member(true, true, Shape::Int), json!({ "a": null }), Some(json!({ "a": null }))),
            (member(false, false, Shape::Json), json!({}), Some(json!({ "a": null }))),
            (member(false, false, Shape::Json), json!({ "a": null }), Some(json!({ "a": null }))),
            (member(false, true, Shape::Json), json!({}), Some(json!({}))),
        ];
        for (member, given, expected) in table {
            let shown = format!("{member:?} {given}");
            let checked = arguments(&function(vec![member]), &Definitions::new(), given);
            assert_eq!(checked.ok(), expected, "{shown}");
        }
    }
}
