//! What is asked of a sorted view: the arguments of its function as a range of its entries.

use serde_json::{Map, Value};
use weir_schema::declarations::{Function, ViewIndex};
use weir_schema::limits::{INDEX_PAGE_DEFAULT, INDEX_PAGE_MAX};
use weir_store::End;

use super::index::{Key, Part, Position, Range, Spot, Window};
use super::{Scalar, cursor};

/// Which page is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// Where its entries are, without regard to cursors.
    pub(super) range: Range,
    /// Which of them it has.
    pub(super) window: Window,
}

/// Arguments that ask for nothing that can be given. Shown to the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("args.{argument}: {message}")]
pub(crate) struct BadQuestion {
    argument: &'static str,
    message: String,
}

impl Question {
    /// Reads arguments that have their declared types. All that they say holds at once.
    pub(crate) fn parse(view: &str, declared: &ViewIndex, arguments: &Value) -> Result<Self, BadQuestion> {
        let given = |name: &str| arguments.get(name).filter(|value| !value.is_null());
        let key = |name: &str| given(name).map(|key| key_of(declared, key));
        let mut range = Range::default();
        if let Some(key) = key("key") {
            range.from(Position::beside(&key, Spot::Before));
            range.until(Position::beside(&key, Spot::Behind));
        }
        for (name, spot) in [("gt", Spot::Behind), ("gte", Spot::Before)] {
            key(name).into_iter().for_each(|key| range.from(Position::beside(&key, spot.clone())));
        }
        for (name, spot) in [("lt", Spot::Before), ("lte", Spot::Behind)] {
            key(name).into_iter().for_each(|key| range.until(Position::beside(&key, spot.clone())));
        }
        if let Some(prefix) = given("prefix") {
            narrow_to(prefix, declared, &mut range)?;
        }
        let descending = given("order").and_then(Value::as_str) == Some("desc");
        let position = |argument: &'static str| {
            let cursor = given(argument).and_then(Value::as_str);
            let read = cursor.map(|cursor| cursor::read(cursor, view, declared.key_parts())).transpose();
            read.map_err(|bad| BadQuestion { argument, message: bad.to_string() })
        };
        let (after, before) = (position("after")?, position("before")?);
        let (from, size) = match (given("first"), given("last")) {
            (Some(_), Some(_)) => {
                let message = "it stands with `first`: say one of them".to_owned();
                return Err(BadQuestion { argument: "last", message });
            }
            (None, Some(last)) => (End::Last, size("last", last)?),
            (Some(first), None) => (End::First, size("first", first)?),
            (None, None) if after.is_none() && before.is_some() => (End::Last, INDEX_PAGE_DEFAULT as usize),
            (None, None) => (End::First, INDEX_PAGE_DEFAULT as usize),
        };
        Ok(Self { range, window: Window { after, before, descending, from, size } })
    }
}

/// Whether arguments of a function, which have their declared types, ask for what can be given.
pub(crate) fn check(function: &Function, arguments: &Value) -> Result<(), BadQuestion> {
    function.index.as_ref().map_or(Ok(()), |declared| Question::parse(&function.name, declared, arguments).map(|_| ()))
}

/// How many entries a page has at most.
fn size(argument: &'static str, given: &Value) -> Result<usize, BadQuestion> {
    let size = given.as_u64().filter(|size| *size <= u64::from(INDEX_PAGE_MAX));
    size.map(|size| size as usize).ok_or_else(|| {
        let message =
            format!("a page of an index has from 0 to {INDEX_PAGE_MAX} entries; ask for more with `after` or `before`");
        BadQuestion { argument, message }
    })
}

/// The parts of a key. What is absent is null.
fn key_of(declared: &ViewIndex, key: &Value) -> Vec<Scalar> {
    let part = |value: Option<&Value>| value.and_then(Scalar::of).unwrap_or(Scalar::Null);
    match &declared.parts {
        None => vec![part(Some(key))],
        Some(names) => names.iter().map(|name| part(key.get(name))).collect(),
    }
}

/// Keys that begin so: texts with a text, those of several parts with some of them.
fn narrow_to(prefix: &Value, declared: &ViewIndex, range: &mut Range) -> Result<(), BadQuestion> {
    let before = |parts: Vec<Part>| Position { key: Key::of(parts), spot: Spot::Before };
    match (&declared.parts, prefix) {
        (Some(names), Value::Object(given)) => {
            let parts = leading(names, given)?;
            range.until(before(parts.iter().cloned().chain([Part::BehindAll]).collect()));
            range.from(before(parts));
        }
        (None, Value::String(text)) => {
            range.from(before(vec![Part::Is(Scalar::Text(text.as_str().into()))]));
            range.until(before(vec![Part::BehindTexts(text.as_str().into())]));
        }
        _ => {}
    }
    Ok(())
}

/// The parts that are given, which must be the first.
fn leading(names: &[String], given: &Map<String, Value>) -> Result<Vec<Part>, BadQuestion> {
    let parts: Vec<Part> = names.iter().map_while(|name| given.get(name).and_then(Scalar::of)).map(Part::Is).collect();
    let mut left = names.iter().skip(parts.len());
    if let Some(missing) = left.next()
        && let Some(late) = left.find(|name| given.contains_key(*name))
    {
        let message = format!("`{late}` is of no use without `{missing}`, which comes before it in the key");
        return Err(BadQuestion { argument: "prefix", message });
    }
    Ok(parts)
}
