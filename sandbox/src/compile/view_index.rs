//! `view.index(source, keysOf, valueOf?)`: what it is over, and the types of its keys, of its arguments and of its pages.

use oxc::ast::ast::Expression;
use oxc::span::{GetSpan, Span};
use weir_schema::declarations::ViewIndex;
use weir_schema::name::is_graphql_name;
use weir_schema::shape::{Member, Shape, Slot};

use super::collections::has_order;
use super::elements::{self, Elements, Written, always_there};
use super::exports::Made;
use super::functions::Reader;
use super::literal;
use super::report::{File, Reported};
use super::typing::{Name, Place, Ty};

/// What has an order, for those who chose something else.
const ORDERED: &str =
    "take a string, a number, a boolean, an enum, an ID, a Ref or a DateTime, an object of them, or a list";

/// Reads what a sorted view is over, its arguments, and the type of its pages.
pub(super) fn read<'a, 'g>(
    reader: &mut Reader<'_, 'a, 'g>,
    made: &Made<'a, 'g>,
) -> Result<(Vec<Member>, Slot, ViewIndex), Reported> {
    let (file, report, call) = (made.home.file, reader.report, made.call);
    let (source, keys_of, value_of) = match call.arguments.as_slice() {
        [source, keys_of] => (source, keys_of, None),
        [source, keys_of, value_of] => (source, keys_of, Some(value_of)),
        _ => {
            let message = "view.index takes a collection, the key of a document, and perhaps what is kept of it";
            let help = "write view.index(cities, (c) => c.name)";
            return Err(report.error_with_help(file, call.span, message, help));
        }
    };
    let (Some(source), Some(keys_of)) = (literal::argument(source), literal::argument(keys_of)) else {
        return Err(report.error(file, call.span, "the arguments must be written out here"));
    };
    let elements = elements::read(reader, made, source)?;
    let mut reading = Reading { reader, made, elements: &elements };
    let key = reading.key(keys_of)?;
    let node = match value_of {
        None => Slot::required(Shape::Object(elements.definition.name.clone())),
        Some(value_of) => match literal::argument(value_of) {
            Some(function) => reading.value(function)?,
            None => return Err(report.error(file, value_of.span(), "the arguments must be written out here")),
        },
    };
    let (arguments, page) = (reading.arguments(&key), reading.page(&key, node));
    let parts = key.parts.map(|parts| parts.into_iter().map(|part| part.name).collect());
    let Elements { collection, lists, .. } = elements;
    Ok((arguments, page, ViewIndex { collection, lists, parts, has_values: value_of.is_some() }))
}

/// A property of an object that a function gives: its name, and the type of the member of the element that it is, if it is one.
type Property<'a> = (&'a str, Span, Option<Slot>);

/// The type of a key.
struct Key {
    shape: Shape,
    /// Its members, where it is an object.
    parts: Option<Vec<Member>>,
}

struct Reading<'x, 'r, 'a, 'g> {
    reader: &'x mut Reader<'r, 'a, 'g>,
    made: &'x Made<'a, 'g>,
    elements: &'x Elements,
}

impl<'a, 'g> Reading<'_, '_, 'a, 'g> {
    fn file(&self) -> &'g File<'a> {
        self.made.home.file
    }

    fn error(&self, span: Span, message: &str, help: &str) -> Reported {
        self.reader.report.error_with_help(self.file(), span, message, help)
    }

    fn place(&self) -> Place<'a, 'g> {
        Place { file: self.file(), span: self.made.span }
    }

    /// The type that a function says: the one after its parameters, or that of what it gives.
    fn key(&mut self, function: &'a Expression<'a>) -> Result<Key, Reported> {
        let Written { parameter, result, body } = elements::written(self.file(), self.reader.report, function)?;
        let shape = match (result, body) {
            (Some(node), _) => {
                let (ty, name) = (Ty::new(self.made.home, node), Name::anonymous(self.made.name, "key"));
                let slot = self.reader.types.typed(ty, &name)?.slot;
                self.each(slot, node.span())?
            }
            (None, Some(body)) => self.written_key(parameter, body)?,
            (None, None) => Shape::String,
        };
        self.ordered(shape, function.span())
    }

    /// The type of one key, where a function may give several.
    fn each(&self, slot: Slot, span: Span) -> Result<Shape, Reported> {
        match slot.shape {
            Shape::List(element) if element.may_be_null() => {
                Err(self.error(span, "a list of keys holds no null", "leave out what has no key"))
            }
            Shape::List(element) => Ok(element.shape),
            shape => Ok(shape),
        }
    }

    fn written_key(&mut self, parameter: Option<&str>, body: &'a Expression<'a>) -> Result<Shape, Reported> {
        match body {
            Expression::ObjectExpression(_) => {
                let parts = self.members(parameter, body, "the parts of a key")?;
                let part = |(name, span, member): Property| match member {
                    Some(slot) if !has_order(&slot.shape) => Err(self.error(
                        span,
                        &format!("`{name}` cannot be part of a key: its values have no order"),
                        ORDERED,
                    )),
                    slot => Ok(member_of_type(name, None, slot.unwrap_or_else(|| Slot::required(Shape::String)))),
                };
                let parts = parts.into_iter().map(part).collect::<Result<Vec<_>, _>>()?;
                Ok(self.reader.types.define_of_index(self.made.name, "key", self.place(), parts))
            }
            Expression::ArrayExpression(_) => {
                let keys = literal::elements(self.file(), body, "the keys of a document", self.reader.report)?;
                let shape = |key: &&'a Expression<'a>| {
                    Ok(self.member(parameter, key)?.map_or(Shape::String, |slot| slot.shape))
                };
                let shapes = keys.iter().map(shape).collect::<Result<Vec<_>, Reported>>()?;
                let first = shapes.first().cloned().unwrap_or(Shape::String);
                match shapes.iter().all(|shape| *shape == first) {
                    true => Ok(first),
                    false => {
                        let help = "a list holds several keys of one type; one key of several parts is an object: (o) => ({ a: o.a, b: o.b })";
                        Err(self.error(body.span(), "these keys are of different types", help))
                    }
                }
            }
            body => match self.member(parameter, body)? {
                Some(slot) => self.each(slot, body.span()),
                None => Ok(Shape::String),
            },
        }
    }

    /// A shape as that of a key: one whose values can be sorted, or an object of such.
    fn ordered(&self, shape: Shape, span: Span) -> Result<Key, Reported> {
        let parts = match &shape {
            shape if has_order(shape) => None,
            Shape::Object(name) => {
                let definition =
                    self.reader.types.object_definition(name).ok_or_else(|| self.reader.report.follows())?;
                if let Some(part) = definition.members.iter().find(|part| !has_order(&part.slot.shape)) {
                    let message = format!("`{}` cannot be part of a key: its values have no order", part.name);
                    return Err(self.error(span, &message, ORDERED));
                }
                Some(definition.members)
            }
            _ => return Err(self.error(span, "this cannot be a key: its values have no order", ORDERED)),
        };
        Ok(Key { shape, parts })
    }

    /// The type of what is kept beside a key.
    fn value(&mut self, function: &'a Expression<'a>) -> Result<Slot, Reported> {
        let Written { parameter, result, body } = elements::written(self.file(), self.reader.report, function)?;
        if let Some(node) = result {
            let (ty, name) = (Ty::new(self.made.home, node), Name::anonymous(self.made.name, "value"));
            return Ok(self.reader.types.typed(ty, &name)?.into_element());
        }
        let unknown = |span: Span| {
            let help = "write (o) => o.member, (o) => ({ member: o.member }), or the type: (o): Summary => …";
            self.error(span, "this does not say of what type the value is", help)
        };
        match body {
            Some(body @ Expression::ObjectExpression(_)) => {
                let members = self.members(parameter, body, "the members of a value")?;
                let member = |(name, span, slot): Property| {
                    slot.map(|slot| member_of_type(name, None, slot)).ok_or_else(|| unknown(span))
                };
                let members = members.into_iter().map(member).collect::<Result<Vec<_>, _>>()?;
                Ok(Slot::required(self.reader.types.define_of_index(self.made.name, "value", self.place(), members)))
            }
            Some(body) => self.member(parameter, body)?.ok_or_else(|| unknown(body.span())),
            None => Err(unknown(function.span())),
        }
    }

    /// The type of a member of the element, if the expression is one. Null where it is absent.
    fn member(&self, parameter: Option<&str>, expression: &'a Expression<'a>) -> Result<Option<Slot>, Reported> {
        let definition = &self.elements.definition;
        let member = elements::member_of(self.file(), self.reader.report, definition, parameter, expression)?;
        Ok(member.map(always_there))
    }

    /// The properties of an object.
    fn members(
        &self,
        parameter: Option<&str>,
        object: &'a Expression<'a>,
        what: &str,
    ) -> Result<Vec<Property<'a>>, Reported> {
        let properties = literal::properties(self.file(), object, what, self.reader.report)?;
        if properties.is_empty() {
            return Err(self.error(
                object.span(),
                &format!("{what} are missing"),
                "write at least one: ({ name: o.name })",
            ));
        }
        let member = |property: literal::Property<'a>| {
            if !is_graphql_name(property.name) {
                let help = "use letters, digits and `_`, not starting with a digit or with `__`";
                return Err(self.error(
                    property.span,
                    &format!("`{}` is not a name that GraphQL allows", property.name),
                    help,
                ));
            }
            Ok((property.name, property.span, self.member(parameter, property.value)?))
        };
        properties.into_iter().map(member).collect()
    }

    /// What callers ask with.
    fn arguments(&mut self, key: &Key) -> Vec<Member> {
        let optional = |shape: Shape| Slot { shape, nullable: false, optional: true };
        let argument =
            |name: &str, says: &str, shape: &Shape| member_of_type(name, Some(says), optional(shape.clone()));
        let prefix = self.prefix(key).map(|shape| argument("prefix", "Only keys that begin so.", &shape));
        let order = self.reader.types.define_index_order(self.place());
        [
            argument("key", "Only this key.", &key.shape),
            argument("gt", "Only keys greater than this one.", &key.shape),
            argument("gte", "Only this key and greater ones.", &key.shape),
            argument("lt", "Only keys less than this one.", &key.shape),
            argument("lte", "Only this key and lesser ones.", &key.shape),
        ]
        .into_iter()
        .chain(prefix)
        .chain([
            argument("order", "Ascending unless told.", &order),
            argument("first", "How many entries at most, up to 1,000; 20 unless told.", &Shape::Int),
            argument("after", "The cursor of the entry before the page.", &Shape::String),
            argument("last", "How many entries at most, from the end of those that are asked for.", &Shape::Int),
            argument("before", "The cursor of the entry behind the page.", &Shape::String),
        ])
        .collect()
    }

    /// The type of what keys begin with: a text, or the first of their parts.
    fn prefix(&mut self, key: &Key) -> Option<Shape> {
        match (&key.shape, &key.parts) {
            (Shape::String | Shape::Id | Shape::Ref(_) | Shape::DateTime, _) => Some(Shape::String),
            (_, Some(parts)) => {
                let optional =
                    |part: &Member| Member { slot: Slot { optional: true, ..part.slot.clone() }, ..part.clone() };
                let parts = parts.iter().map(optional).collect();
                Some(self.reader.types.define_of_index(self.made.name, "prefix", self.place(), parts))
            }
            _ => None,
        }
    }

    /// What callers get: a connection, whose edges have the key and the document too.
    fn page(&mut self, key: &Key, node: Slot) -> Slot {
        let (name, place) = (self.made.name, self.place());
        let types = &mut self.reader.types;
        let edge = vec![
            member_of_type("key", None, Slot::required(key.shape.clone())),
            member_of_type(
                "document",
                Some("The id of the document that the entry comes from."),
                Slot::required(Shape::Id),
            ),
            member_of_type("node", None, node),
            member_of_type("cursor", None, Slot::required(Shape::String)),
        ];
        let edges = Shape::List(Box::new(Slot::required(types.define_of_index(name, "edge", place, edge))));
        let members = vec![
            member_of_type("edges", None, Slot::required(edges)),
            member_of_type("pageInfo", None, Slot::required(types.page_info(place))),
        ];
        Slot::required(types.define_of_index(name, "connection", place, members))
    }
}

fn member_of_type(name: &str, description: Option<&str>, slot: Slot) -> Member {
    Member { name: name.to_owned(), description: description.map(str::to_owned), slot, literal: None }
}
