use serde_json::json;

use super::*;
use crate::declarations::Collection;
use crate::shape::{Alternative, EnumDefinition, EnumValue, ObjectDefinition, UnionDefinition};

/// A type as tests write it: `?` and `|null` behind it, `[…]` for lists, `"a"` for a literal, `"a"|"b"` for an enum, `{…}` for an
/// object, `<a: {…}, b: {…}>` for a union by `kind`, `Self` for the type of the whole document.
struct Reader<'t> {
    text: &'t str,
    definitions: Definitions,
}

impl Reader<'_> {
    fn eat(&mut self, token: &str) -> bool {
        self.text = self.text.trim_start();
        let rest = self.text.strip_prefix(token);
        self.text = rest.unwrap_or(self.text);
        rest.is_some()
    }

    fn word(&mut self) -> String {
        self.text = self.text.trim_start();
        let end = self.text.find(|letter: char| !letter.is_alphanumeric()).unwrap_or(self.text.len());
        let (word, rest) = self.text.split_at(end);
        self.text = rest;
        word.to_owned()
    }

    /// The members up to the end of an object.
    fn members(&mut self, end: &str) -> Vec<Member> {
        let mut members = Vec::new();
        while !self.eat(end) {
            let name = self.word();
            let optional = self.eat("?");
            assert!(self.eat(":"), "{}", self.text);
            let (slot, literal) = self.slot();
            members.push(Member { name, description: None, slot: Slot { optional, ..slot }, literal });
            self.eat(",");
        }
        members
    }

    fn define(&mut self, make: impl FnOnce(String) -> Definition) -> String {
        let name = format!("T{}", self.definitions.len());
        self.definitions.insert(name.clone(), make(name.clone()));
        name
    }

    fn object(&mut self, end: &str) -> String {
        let members = self.members(end);
        self.define(|name| {
            let input_name = name.clone();
            Definition::Object(ObjectDefinition { name, input_name, description: None, members })
        })
    }

    fn slot(&mut self) -> (Slot, Option<String>) {
        let mut literal = None;
        let shape = if self.eat("[") {
            let (element, _) = self.slot();
            assert!(self.eat("]"));
            Shape::List(Box::new(element))
        } else if self.eat("{") {
            Shape::Object(self.object("}"))
        } else if self.eat("<") {
            let mut alternatives = Vec::new();
            while !self.eat(">") {
                let literal = self.word();
                assert!(self.eat(":") && self.eat("{"), "{}", self.text);
                alternatives.push(Alternative { literal, object: self.object("}") });
                self.eat(",");
            }
            let discriminator = "kind".to_owned();
            Shape::Union(self.define(|name| {
                Definition::Union(UnionDefinition { name, description: None, discriminator, alternatives })
            }))
        } else if self.eat("\"") {
            let mut values = vec![self.word()];
            self.eat("\"");
            while self.eat("|\"") {
                values.push(self.word());
                self.eat("\"");
            }
            if values.len() == 1 {
                literal = values.pop();
                Shape::String
            } else {
                let value = |value: String| EnumValue { graphql: value.clone(), typescript: value };
                let values = values.into_iter().map(value).collect();
                Shape::Enum(self.define(|name| Definition::Enum(EnumDefinition { name, description: None, values })))
            }
        } else {
            match self.word().as_str() {
                "string" => Shape::String,
                "boolean" => Shape::Boolean,
                "Int" => Shape::Int,
                "Float" => Shape::Float,
                "ID" => Shape::Id,
                "Ref" => Shape::Ref("things".to_owned()),
                "DateTime" => Shape::DateTime,
                "JSON" => Shape::Json,
                "Bytes" => Shape::Bytes,
                "Self" => Shape::Object("Whole".to_owned()),
                other => panic!("{other}: {}", self.text),
            }
        };
        let nullable = self.eat("|null");
        (Slot { shape, nullable, optional: false }, literal)
    }
}

fn read(text: &str) -> DocumentType {
    let mut reader = Reader { text, definitions: Definitions::new() };
    let members = reader.members("$");
    let whole =
        ObjectDefinition { name: "Whole".to_owned(), input_name: "WholeInput".to_owned(), description: None, members };
    let mut declarations = Declarations { definitions: reader.definitions, ..Declarations::default() };
    declarations.definitions.insert("Whole".to_owned(), Definition::Object(whole));
    let collection = Collection {
        name: "things".to_owned(),
        module: String::new(),
        document: "Thing".to_owned(),
        value: "Whole".to_owned(),
        indexes: Vec::new(),
        references: Vec::new(),
    };
    declarations.collections.insert("things".to_owned(), collection);
    DocumentType::of(&declarations, "things").unwrap_or_else(|| panic!("{text}"))
}

/// An old type, a new one, and a document of the old type that the new one leaves out, if there is one.
#[test]
fn what_narrows_and_what_does_not() {
    let table = [
        ("a: string", "a: string", None),
        ("a: string", "a: string, b?: string", None),
        ("a: string", "a: string, b: string|null", None),
        ("a: string", "a: string, b: JSON", None),
        ("a: string", "a: string, b: string", Some(json!({ "a": "x" }))),
        ("a: string, b?: string", "a: string", Some(json!({ "a": "x", "b": "y" }))),
        ("a: string", "a?: string", None),
        ("a?: string", "a: string", Some(json!({}))),
        ("a?: string", "a: string|null", None),
        ("a: string|null", "a?: string", None),
        ("a: string|null", "a: string", Some(json!({ "a": null }))),
        ("a: Int", "a: Float", None),
        ("a: Float", "a: Int", Some(json!({ "a": 0.5 }))),
        ("a: Int", "a: string", Some(json!({ "a": 1 }))),
        ("a: Int", "a: JSON", None),
        ("a: JSON", "a: Int", Some(json!({ "a": "x" }))),
        ("a: JSON", "a: JSON", None),
        ("a: DateTime", "a: string", None),
        ("a: string", "a: DateTime", Some(json!({ "a": "soon" }))),
        ("a: Bytes", "a: string", None),
        ("a: string", "a: Bytes", Some(json!({ "a": "?" }))),
        ("a: ID", "a: Ref", None),
        ("a: Ref", "a: string", None),
        ("a: string", "a: ID", Some(json!({ "a": "" }))),
        ("a: boolean", "a: boolean", None),
        (r#"a: "x"|"y""#, r#"a: "x"|"y"|"z""#, None),
        (r#"a: "x"|"y""#, r#"a: "y"|"x""#, None),
        (r#"a: "x"|"y""#, "a: string", None),
        (r#"a: "x"|"y""#, r#"a: "x"|"z""#, Some(json!({ "a": "y" }))),
        (r#"a: "x"|"y""#, r#"a: "x""#, Some(json!({ "a": "y" }))),
        (r#"a: "x""#, r#"a: "x"|"y""#, None),
        (r#"a: "x""#, "a: string", None),
        (r#"a: "x""#, r#"a: "y""#, Some(json!({ "a": "x" }))),
        ("a: string", r#"a: "x""#, Some(json!({ "a": "y" }))),
        ("a: string", r#"a: "x"|"y""#, Some(json!({ "a": "z" }))),
        (r#"a: "x"|"y"|null"#, r#"a: "x"|"y""#, Some(json!({ "a": null }))),
        ("a: [string]", "a: [string|null]", None),
        ("a: [string|null]", "a: [string]", Some(json!({ "a": [null] }))),
        (r#"a: ["x"|"y"]"#, r#"a: ["x"|"z"]"#, Some(json!({ "a": ["y"] }))),
        ("a: [Int]", "a: Int", Some(json!({ "a": [] }))),
        ("a: {b: string}", "a: {b: string, c?: Int}", None),
        ("a: {b: string, c?: Int}", "a: {b: string}", Some(json!({ "a": { "b": "x", "c": 1 } }))),
        ("a: <x: {kind: \"x\"}>", "a: <x: {kind: \"x\"}, y: {kind: \"y\"}>", None),
        ("a: <x: {kind: \"x\"}, y: {kind: \"y\"}>", "a: <x: {kind: \"x\"}>", Some(json!({ "a": { "kind": "y" } }))),
        ("a: <x: {kind: \"x\", n?: Int}>", "a: <x: {kind: \"x\", n: Int}>", Some(json!({ "a": { "kind": "x" } }))),
        ("a: Int, next?: Self", "a: Float, next?: Self", None),
        ("a: Float, next?: Self", "a: Int, next?: Self", Some(json!({ "a": 1, "next": { "a": 0.5 } }))),
    ];
    for (old, new, left_out) in table {
        let (old_type, new_type) = (read(&format!("{old}$")), read(&format!("{new}$")));
        assert_eq!(new_type.narrows(&old_type), left_out.is_some(), "{old} => {new}");
        if let Some(Value::Object(document)) = left_out {
            assert_eq!(old_type.check(document.clone()), Ok(()), "{old}");
            let narrowing = Narrowing::between(Some(&old_type), new_type.clone());
            let narrowing = narrowing.unwrap_or_else(|| panic!("{old} => {new}"));
            assert!(narrowing.check(document.clone()).is_err(), "{new}: {document:?}");
            // What nobody has declared is kept.
            let mut more = document.clone();
            more.insert("leftOver".to_owned(), json!(1));
            assert_eq!(old_type.check(more.clone()), Ok(()));
            assert_eq!(narrowing.check(more), narrowing.check(document));
        } else {
            assert_eq!(Narrowing::between(Some(&old_type), new_type.clone()), None, "{old} => {new}");
            let unknown = Narrowing::between(None, new_type).map(|narrowing| narrowing.gone.len());
            assert_eq!(unknown, Some(0), "what is not known is looked at");
        }
    }
}

/// What is certain from the types holds for documents: of random types one of which does not narrow the other.
#[test]
fn a_document_fits_each_type_that_does_not_narrow_its_own() {
    let types = [
        "Int",
        "Float",
        "string",
        "DateTime",
        "ID",
        "JSON",
        "boolean",
        "Bytes",
        "\"x\"",
        "\"x\"|\"y\"",
        "\"y\"|\"z\"",
        "[Int]",
        "[Float|null]",
        "{b: Int}",
        "{b?: Float}",
        "{b: Int, c?: Int}",
    ];
    let values = [
        json!(null),
        json!(1),
        json!(0.5),
        json!("x"),
        json!("y"),
        json!("z"),
        json!(""),
        json!(true),
        json!("AAAA"),
        json!("2026-01-01T00:00:00.000Z"),
        json!([1]),
        json!([null]),
        json!([0.5]),
        json!({ "b": 1 }),
        json!({}),
        json!({ "b": 0.5 }),
        json!({ "b": 1, "c": 1 }),
    ];
    let mut all = Vec::new();
    for ty in types {
        for form in [format!("a: {ty}"), format!("a?: {ty}"), format!("a: {ty}|null"), format!("a?: {ty}|null")] {
            all.push((form.clone(), read(&format!("{form}$"))));
        }
    }
    let mut documents = vec![Map::new()];
    documents.extend(values.into_iter().map(|value| Map::from_iter([("a".to_owned(), value)])));
    let mut wider = 0;
    for (old, old_type) in &all {
        for (new, new_type) in &all {
            if new_type.narrows(old_type) {
                continue;
            }
            wider += 1;
            for document in documents.iter().filter(|document| old_type.check((*document).clone()).is_ok()) {
                assert_eq!(new_type.check(document.clone()), Ok(()), "{old} => {new}: {document:?}");
            }
        }
    }
    // Each at least itself.
    assert!(wider > all.len(), "{wider}");
}
