//! Arguments and variables: literals, and JSON for variables, mostly right.

use serde_json::{Map, Value, json};

use super::app::{Of, Slot, scalar, spoil};
use super::document::{Variable, Writer};
use super::random::Choose;

impl Writer<'_, '_> {
    /// A literal, or a variable in its place.
    pub fn value(&mut self, slot: &Slot) {
        if self.random.chance(30) {
            let name = self.variable(slot);
            return self.push(&["$", &name]);
        }
        if self.random.below(1_000) < if slot.may_be_null() { 120 } else { 3 } {
            return self.push(&["null"]);
        }
        let wrong = self.random.below(300) == 0;
        match &slot.of {
            _ if wrong => {
                let token =
                    self.random.one_of(&["1", "1.5", "\"a\"", "true", "word", "[ ]", "{ }", "-0", "3000000000"]);
                self.push(&[token]);
            }
            Of::Scalar(name) => {
                let value = self.random.chance(90).then(|| scalar(self.random, name));
                match (value, *name) {
                    (Some(value), _) => self.literal(&value),
                    (None, "ID") => self.push(&["12"]),
                    (None, "Float") => self.push(&["-3"]),
                    (None, "String") => self.push(&["\"\"\"\n  block\n    \\\"\"\"string\n\"\"\""]),
                    (None, "JSON") => {
                        self.push(&["{", "k", ":", "["]);
                        let slot = slot.clone();
                        self.value(&slot);
                        self.push(&["]", "}"]);
                    }
                    (None, _) => self.push(&["0"]),
                }
            }
            Of::Enum(place) => {
                let value = self.enum_value(*place);
                self.push(&[&value]);
            }
            Of::Input(place) => {
                let members = &self.app.inputs[*place].members;
                self.push(&["{"]);
                for member in members {
                    if self.random.below(1_000) < if member.slot.may_be_null() { 500 } else { 995 } {
                        self.push(&[&member.name, ":"]);
                        self.value(&member.slot);
                    }
                }
                if self.random.below(300) == 0 {
                    self.push(&["unknown", ":", "1"]);
                }
                self.push(&["}"]);
            }
            Of::List(element) if self.random.chance(15) => self.value(element),
            Of::List(element) => {
                self.push(&["["]);
                for _ in 0..self.random.between(0, 2) {
                    self.value(element);
                }
                self.push(&["]"]);
            }
            Of::Object(_) | Of::Union(_) => panic!("no argument is a result"),
        }
    }

    fn enum_value(&mut self, place: usize) -> String {
        let values: Vec<&String> = self.enums[format!("E{place}")].as_object().unwrap().keys().collect();
        (*self.random.one_of_these(&values)).clone()
    }

    fn literal(&mut self, value: &Value) {
        match value {
            Value::Array(values) => {
                self.push(&["["]);
                values.iter().for_each(|value| self.literal(value));
                self.push(&["]"]);
            }
            Value::Object(members) => {
                self.push(&["{"]);
                for (name, value) in members {
                    self.push(&[name, ":"]);
                    self.literal(value);
                }
                self.push(&["}"]);
            }
            other => self.push(&[&other.to_string()]),
        }
    }

    /// A variable for a place of this type: a known one at times, mostly of the right type.
    fn variable(&mut self, slot: &Slot) -> String {
        let mut slot = slot.clone();
        let mut ty = slot.graphql();
        // A stricter variable may stand wherever a looser one may.
        if self.random.chance(if slot.may_be_null() { 30 } else { 2 }) {
            slot.nullable = !slot.nullable;
            slot.optional = false;
            ty = slot.graphql();
        }
        if self.random.chance(1) {
            ty = self.random.one_of(&["String", "[Int]", "E0", "I0Input!", "T0", "Nothing", "Bytes", "Float"]).into();
        }
        let known = self.variables.iter().find(|known| known.ty == ty).map(|known| known.name.clone());
        if let Some(known) = known.filter(|_| self.random.chance(40)) {
            return known;
        }
        let name = format!("v{}", self.variables.len());
        self.variables.push(Variable { name: name.clone(), ty, default: Vec::new() });
        let place = self.variables.len() - 1;
        if self.random.chance(25) {
            let value = self.input(&slot);
            let around = std::mem::take(&mut self.out);
            self.constant(&slot, &value);
            self.variables[place].default = std::mem::replace(&mut self.out, around);
        }
        match self.random.below(100) {
            0..10 => {}
            10..13 => {
                self.given.insert(name.clone(), Value::Null);
            }
            below => {
                let mut value = self.input(&slot);
                if below < 20 {
                    spoil(self.random, &mut value);
                }
                self.given.insert(name.clone(), value);
            }
        }
        name
    }

    /// A value for a variable, in GraphQL's spelling.
    fn input(&mut self, slot: &Slot) -> Value {
        if slot.may_be_null() && self.random.chance(15) {
            return Value::Null;
        }
        match &slot.of {
            Of::Scalar("ID") if self.random.chance(20) => json!(12),
            Of::Scalar("Int") if self.random.chance(10) => json!(3.0),
            Of::Scalar(name) => scalar(self.random, name),
            Of::Enum(place) => json!(self.enum_value(*place)),
            Of::Input(place) => {
                let members = &self.app.inputs[*place].members;
                let mut value = Map::new();
                for member in members {
                    if self.random.below(1_000) < if member.slot.may_be_null() { 500 } else { 995 } {
                        value.insert(member.name.clone(), self.input(&member.slot));
                    }
                }
                Value::Object(value)
            }
            Of::List(element) if self.random.chance(15) => self.input(element),
            Of::List(element) => (0..self.random.between(0, 2)).map(|_| self.input(element)).collect(),
            Of::Object(_) | Of::Union(_) => panic!("no argument is a result"),
        }
    }

    /// The literal of a value for a variable.
    fn constant(&mut self, slot: &Slot, value: &Value) {
        match (&slot.of, value) {
            (_, Value::Null) => self.push(&["null"]),
            (Of::Enum(_), Value::String(word)) => self.push(&[word]),
            (Of::List(element), Value::Array(values)) => {
                self.push(&["["]);
                values.iter().for_each(|value| self.constant(element, value));
                self.push(&["]"]);
            }
            (Of::List(element), single) => self.constant(element, single),
            (Of::Input(place), Value::Object(given)) => {
                self.push(&["{"]);
                let members = &self.app.inputs[*place].members;
                for member in members {
                    if let Some(value) = given.get(&member.name) {
                        self.push(&[&member.name, ":"]);
                        self.constant(&member.slot, value);
                    }
                }
                self.push(&["}"]);
            }
            (_, value) => self.literal(value),
        }
    }
}
