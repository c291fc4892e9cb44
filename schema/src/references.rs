//! References between documents: where in a document their ids stand, which collection they lead to, and what becomes
//! of a document when one that it refers to is deleted. Pure.
//!
//! Rule: the places of a reference follow from the document's type alone, types that contain themselves included.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::shape::{Definition, Member, Shape, Slot};

/// Finds a definition by name.
pub type Lookup<'l, 'd> = &'l dyn Fn(&str) -> Option<&'d Definition>;

/// All `Ref<T>` of one `T` in one member of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reference {
    /// The member of the document that is the reference, or in which it lies.
    pub member: String,
    /// Where in the member the ids stand.
    pub places: Places,
    /// The collection that it leads to.
    pub target: String,
    /// What becomes of the document when one that it refers to is deleted.
    pub on_delete: OnDelete,
}

/// What becomes of a document when one that it refers to is deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnDelete {
    /// The other is not deleted.
    #[default]
    Restrict,
    /// It is deleted too.
    Cascade,
    /// It refers to nothing from then on.
    SetNull,
}

impl OnDelete {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Restrict, Self::Cascade, Self::SetNull];

    /// As written in TypeScript.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Restrict => "restrict",
            Self::Cascade => "cascade",
            Self::SetNull => "setNull",
        }
    }
}

/// Where in a member the ids of one type of document stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Places {
    at: Place,
    /// The types on the way to the ids, by name, as far as they hold any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    types: BTreeMap<String, Parts>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Place {
    /// The value is the id.
    Here(Without),
    /// In the elements of a list.
    Each(Box<Place>),
    /// In a value of the named type.
    Within(String),
}

/// What stands in the place of an id that is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Without {
    /// Null.
    Null,
    /// Nothing: the member is absent.
    Absent,
    /// There has to be an id.
    Impossible,
}

/// The parts of a type that hold ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Parts {
    /// Members of an object.
    Members(BTreeMap<String, Place>),
    /// Alternatives of a union, by the literal of the discriminator: the names of their types.
    OneOf { discriminator: String, alternatives: BTreeMap<String, String> },
}

/// The types of documents that a member refers to, each with the places of its ids.
pub fn of(definitions: Lookup, member: &Member) -> Vec<(String, Places)> {
    let mut documents = BTreeSet::new();
    collect(definitions, &member.slot.shape, &mut documents, &mut BTreeSet::new());
    let found = documents.into_iter().filter_map(|document| {
        let mut finder = Finder { definitions, document: &document, types: BTreeMap::new() };
        let at = finder.place(&member.slot)?;
        let types = finder.types;
        Some((document, Places { at, types }))
    });
    found.collect()
}

/// The types of documents that values of a shape refer to.
fn collect(definitions: Lookup, shape: &Shape, documents: &mut BTreeSet<String>, seen: &mut BTreeSet<String>) {
    match shape {
        Shape::Ref(document) => {
            documents.insert(document.clone());
        }
        Shape::List(element) => collect(definitions, &element.shape, documents, seen),
        Shape::Object(name) | Shape::Union(name) if seen.insert(name.clone()) => match definitions(name) {
            Some(Definition::Object(object)) => {
                object.members.iter().for_each(|member| collect(definitions, &member.slot.shape, documents, seen));
            }
            Some(Definition::Union(union)) => {
                let objects = union.alternatives.iter().map(|one| Shape::Object(one.object.clone()));
                objects.for_each(|object| collect(definitions, &object, documents, seen));
            }
            _ => {}
        },
        _ => {}
    }
}

/// Finds the places of the ids of one type of document.
struct Finder<'l, 'd> {
    definitions: Lookup<'l, 'd>,
    document: &'l str,
    types: BTreeMap<String, Parts>,
}

impl Finder<'_, '_> {
    fn place(&mut self, slot: &Slot) -> Option<Place> {
        match &slot.shape {
            Shape::Ref(document) if document == self.document => Some(Place::Here(match slot {
                Slot { nullable: true, .. } => Without::Null,
                Slot { optional: true, .. } => Without::Absent,
                _ => Without::Impossible,
            })),
            Shape::List(element) => self.place(element).map(Box::new).map(Place::Each),
            Shape::Object(name) | Shape::Union(name) if self.holds(&slot.shape) => {
                self.enter(name);
                Some(Place::Within(name.clone()))
            }
            _ => None,
        }
    }

    fn holds(&self, shape: &Shape) -> bool {
        let mut documents = BTreeSet::new();
        collect(self.definitions, shape, &mut documents, &mut BTreeSet::new());
        documents.contains(self.document)
    }

    fn enter(&mut self, name: &str) {
        if self.types.contains_key(name) {
            return;
        }
        // Known before its parts are, which may be of the same type.
        self.types.insert(name.to_owned(), Parts::Members(BTreeMap::new()));
        let parts = match (self.definitions)(name) {
            Some(Definition::Object(object)) => {
                let members = object.members.iter();
                Parts::Members(
                    members.filter_map(|member| Some((member.name.clone(), self.place(&member.slot)?))).collect(),
                )
            }
            Some(Definition::Union(union)) => {
                let mut alternatives = BTreeMap::new();
                for one in &union.alternatives {
                    if self.holds(&Shape::Object(one.object.clone())) {
                        self.enter(&one.object);
                        alternatives.insert(one.literal.clone(), one.object.clone());
                    }
                }
                Parts::OneOf { discriminator: union.discriminator.clone(), alternatives }
            }
            _ => return,
        };
        self.types.insert(name.to_owned(), parts);
    }
}

impl Places {
    /// Whether the member itself is the id.
    pub fn is_whole_member(&self) -> bool {
        matches!(self.at, Place::Here(_))
    }

    /// Whether the ids are elements of a list that is the member itself.
    pub fn is_list(&self) -> bool {
        matches!(&self.at, Place::Each(element) if matches!(**element, Place::Here(_)))
    }

    /// Whether every id may be taken away.
    pub fn may_be_cleared(&self) -> bool {
        fn may(place: &Place) -> bool {
            match place {
                Place::Here(without) => *without != Without::Impossible,
                Place::Each(element) => may(element),
                Place::Within(_) => true,
            }
        }
        let members = self.types.values().filter_map(|parts| match parts {
            Parts::Members(members) => Some(members.values()),
            Parts::OneOf { .. } => None,
        });
        may(&self.at) && members.flatten().all(may)
    }

    /// Whether the ids stand where those of another are, whatever may stand there in their place.
    pub fn is_where(&self, other: &Self) -> bool {
        fn same(one: &Place, other: &Place) -> bool {
            match (one, other) {
                (Place::Here(_), Place::Here(_)) => true,
                (Place::Each(one), Place::Each(other)) => same(one, other),
                (Place::Within(one), Place::Within(other)) => one == other,
                _ => false,
            }
        }
        let same_parts = |(one, other): (&Parts, &Parts)| match (one, other) {
            (Parts::Members(one), Parts::Members(other)) => {
                one.len() == other.len()
                    && one.iter().zip(other).all(|(one, other)| one.0 == other.0 && same(one.1, other.1))
            }
            (one, other) => one == other,
        };
        same(&self.at, &other.at)
            && self.types.keys().eq(other.types.keys())
            && self.types.values().zip(other.types.values()).all(same_parts)
    }

    /// The ids in the member's value, each once.
    pub fn ids<'v>(&self, value: &'v Value) -> BTreeSet<&'v str> {
        let mut ids = BTreeSet::new();
        self.find(&self.at, value, &mut ids);
        ids
    }

    fn find<'v>(&self, place: &Place, value: &'v Value, ids: &mut BTreeSet<&'v str>) {
        match (place, value) {
            (Place::Here(_), Value::String(id)) => {
                ids.insert(id);
            }
            (Place::Each(element), Value::Array(values)) => {
                values.iter().for_each(|value| self.find(element, value, ids));
            }
            (Place::Within(name), Value::Object(members)) => {
                for (member, place) in self.parts(name, members).into_iter().flatten() {
                    if let Some(value) = members.get(member) {
                        self.find(place, value, ids);
                    }
                }
            }
            _ => {}
        }
    }

    /// Takes an id away wherever it stands in the member of a document.
    pub fn clear(&self, document: &mut Map<String, Value>, member: &str, id: &str) {
        self.clear_member(&self.at, document, member, id);
    }

    fn clear_member(&self, place: &Place, members: &mut Map<String, Value>, name: &str, id: &str) {
        let Some(value) = members.get_mut(name) else { return };
        if matches!(place, Place::Here(Without::Absent)) && value.as_str() == Some(id) {
            members.shift_remove(name);
        } else {
            self.clear_value(place, value, id);
        }
    }

    fn clear_value(&self, place: &Place, value: &mut Value, id: &str) {
        match (place, value) {
            (Place::Here(Without::Null), value) if value.as_str() == Some(id) => *value = Value::Null,
            (Place::Each(element), Value::Array(values)) => {
                values.iter_mut().for_each(|value| self.clear_value(element, value, id));
            }
            (Place::Within(name), Value::Object(members)) => {
                for (member, place) in self.parts(name, members).into_iter().flatten() {
                    self.clear_member(place, members, member, id);
                }
            }
            _ => {}
        }
    }

    /// The parts of an object of the named type that hold ids.
    fn parts(&self, name: &str, object: &Map<String, Value>) -> Option<&BTreeMap<String, Place>> {
        match self.types.get(name)? {
            Parts::Members(members) => Some(members),
            Parts::OneOf { discriminator, alternatives } => {
                match self.types.get(alternatives.get(object.get(discriminator)?.as_str()?)?)? {
                    Parts::Members(members) => Some(members),
                    Parts::OneOf { .. } => None,
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use crate::shape::{Alternative, Definitions, ObjectDefinition, UnionDefinition};
    use serde_json::json;

    fn member(name: &str, slot: Slot) -> Member {
        Member { name: name.to_owned(), description: None, slot, literal: None }
    }

    fn object(name: &str, members: Vec<Member>) -> (String, Definition) {
        let (name, input_name) = (name.to_owned(), format!("{name}Input"));
        (name.clone(), Definition::Object(ObjectDefinition { name, input_name, description: None, members }))
    }

    fn list(element: Slot) -> Shape {
        Shape::List(Box::new(element))
    }

    /// A thread of comments, each with an author, an optional moderator and answers; and payments of two kinds.
    fn definitions() -> Definitions {
        let user = || Shape::Ref("User".to_owned());
        let moderator = Slot { shape: user(), nullable: false, optional: true };
        let answers = list(Slot::required(Shape::Object("Comment".to_owned())));
        let alternative = |literal: &str| Alternative { literal: literal.to_owned(), object: format!("By{literal}") };
        let payment = UnionDefinition {
            name: "Payment".to_owned(),
            description: None,
            discriminator: "kind".to_owned(),
            alternatives: vec![alternative("card"), alternative("cash")],
        };
        [
            object(
                "Comment",
                vec![
                    member("text", Slot::required(Shape::String)),
                    member("author", Slot::nullable(user())),
                    member("moderator", moderator),
                    member("answers", Slot::required(answers)),
                ],
            ),
            object("Bycard", vec![member("by", Slot::required(Shape::Ref("Bank".to_owned())))]),
            object("Bycash", vec![member("by", Slot::required(Shape::String))]),
            ("Payment".to_owned(), Definition::Union(payment)),
        ]
        .into()
    }

    fn places(shape: Shape) -> Vec<(String, Places)> {
        let definitions = definitions();
        of(&|name| definitions.get(name), &member("m", Slot::required(shape)))
    }

    #[test]
    fn ids_are_found_at_any_depth() {
        let user = || Shape::Ref("User".to_owned());
        let thread = json!({ "author": "a", "moderator": "b", "text": "x", "answers": [
            { "author": null, "answers": [{ "author": "c", "moderator": "a", "answers": [] }] },
        ] });
        let table = [
            (user(), json!("a"), "User: a"),
            (user(), json!(null), "User:"),
            (list(Slot::nullable(user())), json!(["b", null, "a", "b"]), "User: a b"),
            (Shape::Object("Comment".to_owned()), thread, "User: a b c"),
            (Shape::Union("Payment".to_owned()), json!({ "kind": "card", "by": "b" }), "Bank: b"),
            (Shape::Union("Payment".to_owned()), json!({ "kind": "cash", "by": "b" }), "Bank:"),
            (Shape::Id, json!("a"), ""),
        ];
        for (shape, value, expected) in table {
            let found = places(shape);
            let shown = found.iter().map(|(document, places)| {
                let ids = places.ids(&value).into_iter().map(|id| format!(" {id}"));
                format!("{document}:{}", ids.collect::<String>())
            });
            assert_eq!(shown.collect::<Vec<_>>().join("; "), expected, "{value}");
        }
    }

    #[test]
    fn places_are_compared_by_where_they_are() {
        let user = || Shape::Ref("User".to_owned());
        let of_slot = |slot| of(&|_| None, &member("m", slot)).remove(0).1;
        let whole = of_slot(Slot::required(user()));
        let table = [
            (of_slot(Slot::nullable(user())), true),
            (of_slot(Slot { shape: user(), nullable: false, optional: true }), true),
            (of_slot(Slot::required(list(Slot::required(user())))), false),
            (places(Shape::Object("Comment".to_owned())).remove(0).1, false),
        ];
        for (other, expected) in table {
            assert_eq!((whole.is_where(&other), other.is_where(&whole)), (expected, expected), "{other:?}");
            assert!(other.is_where(&other));
        }
        let elements = |slot| of_slot(Slot::required(list(slot)));
        assert!(elements(Slot::required(user())).is_where(&elements(Slot::nullable(user()))));
    }

    #[test]
    fn ids_are_cleared_where_they_may_be_missing() {
        let user = || Shape::Ref("User".to_owned());
        let required = places(user());
        assert!(!required[0].1.may_be_cleared());
        assert!(!places(list(Slot::required(user())))[0].1.may_be_cleared());
        assert!(!places(Shape::Union("Payment".to_owned()))[0].1.may_be_cleared());
        let table = [
            (list(Slot::nullable(user())), json!(["a", "b", "a"]), json!([null, "b", null])),
            (
                Shape::Object("Comment".to_owned()),
                json!({ "author": "a", "answers": [{ "author": "a", "moderator": "a", "answers": [] }] }),
                json!({ "author": null, "answers": [{ "author": null, "answers": [] }] }),
            ),
        ];
        for (shape, before, after) in table {
            let found = places(shape);
            assert!(found[0].1.may_be_cleared(), "{before}");
            let mut document = Map::from_iter([("m".to_owned(), before)]);
            found[0].1.clear(&mut document, "m", "a");
            assert_eq!(document["m"], after);
        }
        let optional = member("m", Slot { shape: user(), nullable: false, optional: true });
        let (_, places) = of(&|_| None, &optional).remove(0);
        let mut document = Map::from_iter([("m".to_owned(), json!("a"))]);
        places.clear(&mut document, "m", "b");
        assert_eq!(document.len(), 1);
        places.clear(&mut document, "m", "a");
        assert_eq!(document.len(), 0);
    }
}
