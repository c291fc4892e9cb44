//! What changes one JSON value into another, as a JSON Patch (<https://www.rfc-editor.org/rfc/rfc6902>).
//!
//! Lists of objects that each have an `id` of their own are matched by it, so that what goes, comes and moves costs an
//! operation each, however long the list. Other lists are matched place by place between what they begin and end with
//! alike. Where the operations on a value would be longer than the value, it is replaced.

mod order;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use serde::Serialize;
use serde_json::{Map, Number, Value};

use order::Step;

/// The member that tells the elements of a list apart.
const ID: &str = "id";

/// One operation. Values are those of the new document.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Operation<'v> {
    /// Puts in a member, or an element before the one that is there.
    Add {
        /// A JSON Pointer (<https://www.rfc-editor.org/rfc/rfc6901>).
        path: String,
        /// What is put in.
        value: &'v Value,
    },
    /// Takes out.
    Remove {
        /// A JSON Pointer.
        path: String,
    },
    /// Puts something else in the same place.
    Replace {
        /// A JSON Pointer.
        path: String,
        /// What takes the place.
        value: &'v Value,
    },
    /// Takes out an element and puts it in again.
    Move {
        /// A JSON Pointer.
        from: String,
        /// A JSON Pointer, in what is there after it has been taken out.
        path: String,
    },
}

/// The operations that make `new` of `old`, which is at this JSON Pointer, but for the order of the members of objects. None if they are equal.
///
/// Both may nest as deep as JSON text that is parsed may. Takes time in proportion to their size, but that lists with ids
/// are ordered (n log n) and that what is inside of several lists may be compared once for each.
pub fn diff<'v>(path: &str, old: &'v Value, new: &'v Value) -> Vec<Operation<'v>> {
    let mut diff = Diff { operations: Vec::new(), bytes: 0, path: path.to_owned() };
    diff.value(old, new);
    diff.operations
}

/// The operations so far, at the place at hand.
struct Diff<'v> {
    operations: Vec<Operation<'v>>,
    /// About what they have as JSON text.
    bytes: usize,
    path: String,
}

/// Where the operations on one value begin.
struct Start<'v> {
    new: &'v Value,
    operations: usize,
    bytes: usize,
    /// The value is measured when its operations have so many bytes.
    measured_at: usize,
}

/// The operations on a value have become longer than the value.
struct Outgrown;

impl<'v> Diff<'v> {
    fn value(&mut self, old: &'v Value, new: &'v Value) {
        const MEASURED_AT: usize = 256;
        let mut start = Start { new, operations: self.operations.len(), bytes: self.bytes, measured_at: MEASURED_AT };
        let done = match (old, new) {
            (Value::Object(old), Value::Object(new)) => self.object(&mut start, old, new),
            (Value::Array(old), Value::Array(new)) => self.list(&mut start, old, new),
            (old, new) if old == new => return,
            _ => Err(Outgrown),
        };
        start.measured_at = 0;
        if done.and_then(|()| self.check(&mut start)).is_err() {
            self.operations.truncate(start.operations);
            self.bytes = start.bytes;
            self.push(Operation::Replace { path: self.path.clone(), value: new });
        }
    }

    fn object(
        &mut self,
        start: &mut Start<'v>,
        old: &'v Map<String, Value>,
        new: &'v Map<String, Value>,
    ) -> Result<(), Outgrown> {
        for key in old.keys().filter(|key| !new.contains_key(*key)) {
            self.at_key(key, |diff| diff.push(Operation::Remove { path: diff.path.clone() }));
            self.check(start)?;
        }
        for (key, value) in new {
            self.at_key(key, |diff| match old.get(key) {
                Some(old) => diff.value(old, value),
                None => diff.push(Operation::Add { path: diff.path.clone(), value }),
            });
            self.check(start)?;
        }
        Ok(())
    }

    fn list(&mut self, start: &mut Start<'v>, old: &'v [Value], new: &'v [Value]) -> Result<(), Outgrown> {
        match (ids(old), ids(new)) {
            (Some(old_ids), Some(new_ids)) => self.by_id(start, (old, &old_ids), (new, &new_ids)),
            _ => self.by_place(start, old, new),
        }
    }

    /// Lists whose elements are told apart by their ids.
    fn by_id(
        &mut self,
        start: &mut Start<'v>,
        (old, old_ids): (&'v [Value], &[Id<'v>]),
        (new, new_ids): (&'v [Value], &[Id<'v>]),
    ) -> Result<(), Outgrown> {
        let (steps, origins) = order::arrange(old_ids, new_ids);
        for step in steps {
            match step {
                Step::Remove { at } => self.remove(at),
                Step::Add { at, new: place } => {
                    if let Some(value) = new.get(place) {
                        self.add(at, value);
                    }
                }
                Step::Move { from, to } => {
                    let (from, path) = (self.pointer(from), self.pointer(to));
                    self.push(Operation::Move { from, path });
                }
            }
            self.check(start)?;
        }
        for (place, (value, origin)) in new.iter().zip(origins).enumerate() {
            if let Some(before) = origin.and_then(|origin| old.get(origin)) {
                self.at_index(place, |diff| diff.value(before, value));
                self.check(start)?;
            }
        }
        Ok(())
    }

    /// Other lists: what is between their common beginning and end, element by element.
    fn by_place(&mut self, start: &mut Start<'v>, old: &'v [Value], new: &'v [Value]) -> Result<(), Outgrown> {
        let head = old.iter().zip(new).take_while(|(old, new)| old == new).count();
        let (old, new) = (old.get(head..).unwrap_or_default(), new.get(head..).unwrap_or_default());
        let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
        let (old, new) =
            (old.get(..old.len() - tail).unwrap_or_default(), new.get(..new.len() - tail).unwrap_or_default());
        for (place, (old, new)) in old.iter().zip(new).enumerate() {
            self.at_index(head + place, |diff| diff.value(old, new));
            self.check(start)?;
        }
        for place in (new.len()..old.len()).rev() {
            self.remove(head + place);
            self.check(start)?;
        }
        for (place, value) in new.iter().enumerate().skip(old.len()) {
            self.add(head + place, value);
            self.check(start)?;
        }
        Ok(())
    }

    fn remove(&mut self, index: usize) {
        let path = self.pointer(index);
        self.push(Operation::Remove { path });
    }

    fn add(&mut self, index: usize, value: &'v Value) {
        let path = self.pointer(index);
        self.push(Operation::Add { path, value });
    }

    fn push(&mut self, operation: Operation<'v>) {
        self.bytes += match &operation {
            Operation::Add { path, value } => {
                r#"{"op":"add","path":"","value":},"#.len() + path.len() + bytes(value, usize::MAX)
            }
            Operation::Replace { path, value } => {
                r#"{"op":"replace","path":"","value":},"#.len() + path.len() + bytes(value, usize::MAX)
            }
            Operation::Remove { path } => r#"{"op":"remove","path":""},"#.len() + path.len(),
            Operation::Move { from, path } => r#"{"op":"move","from":"","path":""},"#.len() + from.len() + path.len(),
        };
        self.operations.push(operation);
    }

    /// Compares the operations on a value with the value: not each time, but whenever they have doubled.
    fn check(&self, start: &mut Start<'v>) -> Result<(), Outgrown> {
        let spent = self.bytes - start.bytes;
        if spent == 0 || spent < start.measured_at {
            return Ok(());
        }
        start.measured_at = 2 * spent;
        let replaced = r#"{"op":"replace","path":"","value":},"#.len() + self.path.len();
        if replaced + bytes(start.new, spent) < spent { Err(Outgrown) } else { Ok(()) }
    }

    fn pointer(&self, index: usize) -> String {
        format!("{}/{index}", self.path)
    }

    fn at_index(&mut self, index: usize, then: impl FnOnce(&mut Self)) {
        self.at(&index.to_string(), then);
    }

    fn at_key(&mut self, key: &str, then: impl FnOnce(&mut Self)) {
        if key.contains(['~', '/']) {
            self.at(&key.replace('~', "~0").replace('/', "~1"), then);
        } else {
            self.at(key, then);
        }
    }

    fn at(&mut self, token: &str, then: impl FnOnce(&mut Self)) {
        let outer = self.path.len();
        self.path.push('/');
        self.path.push_str(token);
        then(self);
        self.path.truncate(outer);
    }
}

/// What tells an element apart.
#[derive(PartialEq, Eq, Hash, Clone, Copy)]
enum Id<'v> {
    Text(&'v str),
    Number(&'v Number),
}

impl<'v> Id<'v> {
    fn of(element: &'v Value) -> Option<Self> {
        match element.as_object()?.get(ID)? {
            Value::String(id) => Some(Self::Text(id)),
            Value::Number(id) => Some(Self::Number(id)),
            _ => None,
        }
    }
}

/// The ids of a list, if all of its elements have one of their own.
fn ids(list: &[Value]) -> Option<Vec<Id<'_>>> {
    let ids: Vec<Id<'_>> = list.iter().map(Id::of).collect::<Option<_>>()?;
    let mut known = HashSet::with_capacity(ids.len());
    ids.iter().all(|id| known.insert(*id)).then_some(ids)
}

/// About what a value has as JSON text, counted no further than past `max`.
fn bytes(value: &Value, max: usize) -> usize {
    let mut sum = 2;
    match value {
        Value::Null | Value::Bool(_) => sum = 5,
        Value::Number(number) => {
            sum = number.as_i64().map_or(12, |number| number.unsigned_abs().checked_ilog10().unwrap_or(0) as usize + 1);
        }
        Value::String(text) => sum += text.len(),
        Value::Array(elements) => {
            for element in elements {
                if sum > max {
                    break;
                }
                sum += bytes(element, max - sum) + 1;
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                if sum > max {
                    break;
                }
                sum += key.len() + bytes(member, max - sum) + 4;
            }
        }
    }
    sum
}
