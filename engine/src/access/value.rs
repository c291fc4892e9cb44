//! Values of policies, and what becomes of JSON that has a declared type.
//!
//! Rule: a member that policies cannot tell the truth about is not there for them. `Float`, `JSON`, `Bytes` and unions have no
//! counterpart in Cedar; null is an absent attribute, and no element of a set.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;
use weir_schema::shape::{Definitions, Member, Shape, Slot, object};

/// How deep objects of documents and arguments are told to policies.
pub(super) const DEPTH_MAX: usize = 6;

/// A value, as Cedar has them without extensions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Val {
    Bool(bool),
    Long(i64),
    String(Arc<str>),
    Entity(Uid),
    /// Sorted, without repeats.
    Set(Arc<[Val]>),
    Record(Arc<BTreeMap<Arc<str>, Val>>),
}

/// Names an entity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Uid {
    /// `Order`.
    pub(super) of: Arc<str>,
    pub(crate) id: Arc<str>,
}

impl Uid {
    pub(super) fn new(of: &str, id: &str) -> Self {
        Self { of: of.into(), id: id.into() }
    }
}

impl Val {
    pub(super) fn string(text: &str) -> Self {
        Self::String(text.into())
    }

    pub(super) fn set(mut elements: Vec<Self>) -> Self {
        elements.sort_unstable();
        elements.dedup();
        Self::Set(elements.into())
    }

    pub(super) fn strings<'a>(texts: impl IntoIterator<Item = &'a String>) -> Self {
        Self::set(texts.into_iter().map(|text| Self::string(text)).collect())
    }

    pub(super) fn record(members: impl IntoIterator<Item = (Arc<str>, Self)>) -> Self {
        Self::Record(Arc::new(members.into_iter().collect()))
    }
}

/// A type that policies know, of a value with a declared type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Type {
    Bool,
    Long,
    String,
    Set(Box<Type>),
    /// Members with whether they are always there.
    Record(BTreeMap<String, (Type, bool)>),
}

impl Type {
    /// `None` where policies know none.
    pub(super) fn of(shape: &Shape, definitions: &Definitions, depth: usize) -> Option<Self> {
        match shape {
            Shape::String | Shape::Id | Shape::Ref(_) | Shape::DateTime | Shape::Enum(_) => Some(Self::String),
            Shape::Boolean => Some(Self::Bool),
            Shape::Int => Some(Self::Long),
            Shape::List(element) => {
                Self::of(&element.shape, definitions, depth).map(|element| Self::Set(Box::new(element)))
            }
            Shape::Object(name) if depth < DEPTH_MAX => {
                let members = &object(definitions, name)?.members;
                Some(Self::Record(Self::members(members, definitions, depth + 1)))
            }
            Shape::Float | Shape::Json | Shape::Bytes | Shape::Union(_) | Shape::Object(_) => None,
        }
    }

    /// Of those members that policies know.
    pub(super) fn members(
        members: &[Member],
        definitions: &Definitions,
        depth: usize,
    ) -> BTreeMap<String, (Self, bool)> {
        let known = members.iter().filter_map(|Member { name, slot, .. }| {
            Some((name.clone(), (Self::of(&slot.shape, definitions, depth)?, !slot.may_be_null())))
        });
        known.collect()
    }

    /// The value of this type that JSON has; `None` for null, and for what is of another type.
    pub(super) fn value(&self, json: &Json) -> Option<Val> {
        match (self, json) {
            (Self::Bool, Json::Bool(value)) => Some(Val::Bool(*value)),
            (Self::Long, Json::Number(number)) => number.as_i64().map(Val::Long),
            (Self::String, Json::String(text)) => Some(Val::string(text)),
            (Self::Set(element), Json::Array(values)) => {
                Some(Val::set(values.iter().filter_map(|value| element.value(value)).collect()))
            }
            (Self::Record(members), Json::Object(given)) => Some(Self::record(members, |name| given.get(name))),
            _ => None,
        }
    }

    /// A record of those members that are there.
    pub(super) fn record<'j>(
        members: &BTreeMap<String, (Self, bool)>,
        given: impl Fn(&str) -> Option<&'j Json>,
    ) -> Val {
        let there =
            members.iter().filter_map(|(name, (of, _))| Some((Arc::from(name.as_str()), of.value(given(name)?)?)));
        Val::record(there)
    }
}

/// The type of a slot, where policies know one.
pub(super) fn type_of(slot: &Slot, definitions: &Definitions) -> Option<Type> {
    Type::of(&slot.shape, definitions, 0)
}
