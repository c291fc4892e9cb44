//! Declarations in, SDL or an error out.

#![allow(clippy::unwrap_used, reason = "tests")]

use expect_test::{Expect, expect};
use indexmap::IndexMap;

use super::Api;
use crate::declarations::{Declarations, Function, FunctionKind};
use crate::sdl;
use crate::shape::{
    Alternative, Definition, EnumDefinition, EnumValue, Member, ObjectDefinition, Shape, Slot, UnionDefinition,
};

fn member(name: &str, slot: Slot) -> Member {
    Member { name: name.into(), description: None, slot, literal: None }
}

fn required(name: &str, shape: Shape) -> Member {
    member(name, Slot::required(shape))
}

fn object(name: &str, input_name: &str, members: Vec<Member>) -> Definition {
    let description = Some(format!("About {name}."));
    Definition::Object(ObjectDefinition { name: name.into(), input_name: input_name.into(), description, members })
}

fn enumeration(name: &str, values: &[(&str, &str)]) -> Definition {
    let value = |(graphql, typescript): &(&str, &str)| EnumValue {
        graphql: (*graphql).into(),
        typescript: (*typescript).into(),
    };
    Definition::Enum(EnumDefinition {
        name: name.into(),
        description: None,
        values: values.iter().map(value).collect(),
    })
}

fn union(name: &str, objects: &[&str]) -> Definition {
    let alternatives =
        objects.iter().map(|object| Alternative { literal: object.to_lowercase(), object: (*object).into() });
    Definition::Union(UnionDefinition {
        name: name.into(),
        description: None,
        discriminator: "kind".into(),
        alternatives: alternatives.collect(),
    })
}

fn function(kind: FunctionKind, name: &str, arguments: Vec<Member>, result: Slot) -> Function {
    Function {
        name: name.into(),
        kind,
        description: None,
        module: "functions/a.ts".into(),
        line: 1,
        arguments,
        result,
        keep: None,
        groups: None,
        index: None,
    }
}

fn declare(definitions: Vec<Definition>, functions: Vec<Function>) -> Declarations {
    Declarations {
        definitions: definitions.into_iter().map(|definition| (definition.name().to_owned(), definition)).collect(),
        collections: IndexMap::new(),
        functions: functions.into_iter().map(|function| (function.name.clone(), function)).collect(),
        endpoints: Vec::new(),
    }
}

fn named(name: &str) -> Shape {
    Shape::Object(name.into())
}

fn list(slot: Slot) -> Shape {
    Shape::List(Box::new(slot))
}

/// Everything in the SDL but what all apps have.
fn check(definitions: Vec<Definition>, functions: Vec<Function>, expected: &Expect) {
    let own = |part: &&str| {
        !["  invoke(", "CallInput", "CallResult", "CallError", "scalar JSON"].iter().any(|own| part.contains(own))
    };
    let printed = match Api::of(&declare(definitions, functions)) {
        Ok(api) => sdl::print(&api).split("\n\n").filter(own).map(|part| format!("{}\n", part.trim_end())).collect(),
        Err(error) => format!("{error}\n"),
    };
    expected.assert_eq(&printed);
}

const QUERY: FunctionKind = FunctionKind::Query;

#[test]
fn an_app_without_functions_has_invoke_and_batch() {
    let api = Api::of(&declare(Vec::new(), Vec::new())).unwrap();
    let fields = |object: &super::Object| object.fields.iter().map(|field| field.name.clone()).collect::<Vec<_>>();
    assert_eq!(api.roots().map(fields), [vec!["invoke"], vec!["invoke", "batch"], vec!["invoke"]]);
    let types: Vec<&String> = api.types.keys().collect();
    assert_eq!(types, ["CallInput", "CallResult", "CallError"]);
}

#[test]
fn reads_writes_and_streams_have_their_roots() {
    let int = || Slot::required(Shape::Int);
    let functions = vec![
        function(FunctionKind::Procedure, "write", vec![], int()),
        function(QUERY, "read", vec![required("a", Shape::Id), member("b", Slot { optional: true, ..int() })], int()),
        function(FunctionKind::View, "seen", vec![], int()),
        function(FunctionKind::Action, "act", vec![], int()),
        function(FunctionKind::Stream, "flow", vec![required("a", Shape::Id)], int()),
    ];
    let api = Api::of(&declare(vec![], functions)).unwrap();
    let fields = |object: &super::Object| {
        let field = |field: &super::Field| {
            let arguments: Vec<String> =
                field.arguments.iter().map(|argument| format!("{}: {}", argument.name, argument.ty)).collect();
            format!("{}({}): {}", field.name, arguments.join(", "), field.ty)
        };
        object
            .fields
            .iter()
            .filter(|field| field.name.len() < 5 || field.name == "write")
            .map(field)
            .collect::<Vec<_>>()
            .join("; ")
    };
    assert_eq!(
        api.roots().map(fields),
        [
            "read(a: ID!, b: Int): Int; seen(): Int",
            "write(): Int; act(): Int",
            "read(a: ID!, b: Int): Int; seen(): Int; flow(a: ID!): Int"
        ]
    );
}

#[test]
fn types_are_reached_through_members() {
    let order = |id: Vec<Member>| {
        let rest = vec![
            required("customer", Shape::Ref("Customer".into())),
            required("at", Shape::DateTime),
            required("tags", list(Slot::nullable(Shape::String))),
            required("status", Shape::Enum("Status".into())),
            required("extra", Shape::Json),
            member("lines", Slot { shape: list(Slot::required(named("Line"))), nullable: false, optional: true }),
        ];
        id.into_iter().chain(rest).collect::<Vec<_>>()
    };
    check(
        vec![
            object("Order", "OrderInput", order(vec![required("id", Shape::Id)])),
            object("OrderValue", "OrderInput", order(vec![])),
            object("Line", "LineInput", vec![required("quantity", Shape::Int)]),
            object("Unused", "UnusedInput", vec![required("x", Shape::Bytes)]),
            enumeration("Status", &[("open", "open"), ("fee_pool", "fee-pool")]),
            union("Found", &["Order", "Nothing"]),
            object("Nothing", "NothingInput", vec![required("kind", Shape::String)]),
        ],
        vec![
            function(QUERY, "find", vec![], Slot::required(Shape::Union("Found".into()))),
            function(
                FunctionKind::Procedure,
                "place",
                vec![required("order", named("OrderValue"))],
                Slot::required(named("Order")),
            ),
        ],
        &expect![[r#"
            union Found = Order | Nothing
            """About Order."""
            type Order {
              id: ID!
              customer: ID!
              at: DateTime!
              tags: [String]!
              status: Status!
              extra: JSON
              lines: [Line!]
            }
            """About Nothing."""
            type Nothing {
              kind: String!
            }
            enum Status {
              open
              fee_pool
            }
            """About Line."""
            type Line {
              quantity: Int!
            }
            """About OrderValue."""
            input OrderInput {
              customer: ID!
              at: DateTime!
              tags: [String]!
              status: Status!
              extra: JSON
              lines: [LineInput!]
            }
            """About Line."""
            input LineInput {
              quantity: Int!
            }
            """A date and time in UTC, as `2026-11-22T09:30:00.000Z`. Arguments may have any offset."""
            scalar DateTime @specifiedBy(url: "https://www.rfc-editor.org/rfc/rfc3339")
        "#]],
    );
}

#[test]
fn what_graphql_cannot_hold_is_an_error() {
    let int = || Slot::required(Shape::Int);
    let reads = |definition: &str| vec![function(QUERY, "f", vec![], Slot::required(named(definition)))];
    let takes = |shape: Shape| vec![function(QUERY, "f", vec![required("a", shape)], int())];
    let field = || vec![required("x", Shape::Int)];
    check(
        vec![object("A", "B", field()), object("B", "BInput", field())],
        vec![function(QUERY, "f", vec![required("a", named("A"))], Slot::required(named("B")))],
        &expect![[r#"
            the type B and the type A in arguments would both be the GraphQL type B; rename one of them
        "#]],
    );
    check(
        vec![object("Order", "OrderInput", field()), object("OrderValue", "OrderInput", field())],
        vec![function(QUERY, "f", vec![required("a", named("Order")), required("b", named("OrderValue"))], int())],
        &expect![[r#"
            the type Order in arguments and the type OrderValue in arguments would both be the GraphQL type OrderInput; rename one of them
        "#]],
    );
    check(
        vec![object("CallError", "CallErrorInput", field())],
        reads("CallError"),
        &expect![[r#"
        the type CallError and Weir's own type CallError would both be the GraphQL type CallError; rename one of them
    "#]],
    );
    check(
        vec![object("Query", "QueryInput", field())],
        reads("Query"),
        &expect![[r#"
        the type Query and GraphQL's own Query would both be the GraphQL type Query; rename one of them
    "#]],
    );
    check(
        vec![object("JSON", "JSONInput", field())],
        reads("JSON"),
        &expect![[r#"
        the type JSON and GraphQL's own JSON would both be the GraphQL type JSON; rename one of them
    "#]],
    );
    check(
        vec![object("A", "AInput", [field(), field()].concat())],
        reads("A"),
        &expect![[r#"
        A has x twice; rename one of them
    "#]],
    );
    check(
        vec![enumeration("E", &[("a", "a"), ("a", "A")])],
        takes(Shape::Enum("E".into())),
        &expect![[r#"
        E has a twice; rename one of them
    "#]],
    );
    check(
        vec![object("A", "AInput", vec![])],
        reads("A"),
        &expect![[r#"
        A has no members; a GraphQL type needs at least one
    "#]],
    );
    check(
        vec![object("A", "AInput", vec![required("__x", Shape::Int)])],
        reads("A"),
        &expect![[r#"
        "__x" cannot be a name in GraphQL: letters, digits and _ only, no digit first, no __ first
    "#]],
    );
    check(
        vec![union("U", &["A"]), object("A", "AInput", field())],
        takes(Shape::Union("U".into())),
        &expect![[r#"
        f takes the union U; GraphQL has no unions in arguments: take an object with optional members
    "#]],
    );
    check(
        vec![
            object("A", "AInput", vec![required("x", Shape::Int), required("b", named("B"))]),
            object("B", "BInput", vec![required("a", named("A"))]),
        ],
        takes(named("A")),
        &expect![[r#"
            no value of AInput can ever be written: its member b needs another AInput; make one optional
        "#]],
    );
    check(
        vec![],
        takes(named("Gone")),
        &expect![[r#"
        f names the type Gone, which nothing declares
    "#]],
    );
    check(
        vec![],
        vec![function(QUERY, "batch", vec![], int())],
        &expect![[r#"
        functions/a.ts: the function batch cannot be exported, since batch is a root field of every app; rename it
    "#]],
    );
}

#[test]
fn an_input_may_contain_itself_where_it_can_end() {
    let optional = Slot { shape: named("A"), nullable: false, optional: true };
    check(
        vec![object("A", "AInput", vec![member("a", optional), required("all", list(Slot::required(named("A"))))])],
        vec![function(QUERY, "f", vec![required("a", named("A"))], Slot::required(Shape::Int))],
        &expect![[r#"
            """About A."""
            input AInput {
              a: AInput
              all: [AInput!]!
            }
        "#]],
    );
}
