//! Declarations for tests, as the compiler would make them of a small shop.

use indexmap::IndexMap;
use weir_schema::declarations::{Declarations, Function, FunctionKind};
use weir_schema::shape::{
    Alternative, Definition, EnumDefinition, EnumValue, Member, ObjectDefinition, Shape, Slot, UnionDefinition,
};

/// A member whose type has the suffixes of TypeScript: `?` before it, `|null` after it.
fn member(name: &str, shape: Shape) -> Member {
    let (name, optional) = name.strip_suffix('?').map_or((name, false), |name| (name, true));
    let (name, nullable) = name.strip_suffix("|null").map_or((name, false), |name| (name, true));
    let slot = Slot { shape, nullable, optional };
    Member { name: name.into(), description: None, slot, literal: None }
}

fn literal(name: &str, value: &str) -> Member {
    Member { literal: Some(value.into()), ..member(name, Shape::String) }
}

fn object(name: &str, input_name: &str, members: Vec<Member>) -> Definition {
    Definition::Object(ObjectDefinition {
        name: name.into(),
        input_name: input_name.into(),
        description: None,
        members,
    })
}

fn list(shape: Shape) -> Shape {
    Shape::List(Box::new(Slot::required(shape)))
}

fn named(name: &str) -> Shape {
    Shape::Object(name.into())
}

fn function(kind: FunctionKind, name: &str, arguments: Vec<Member>, result: Slot) -> Function {
    Function {
        name: name.into(),
        kind,
        description: None,
        module: "functions/shop.ts".into(),
        line: 1,
        arguments,
        result,
        keep: None,
        groups: None,
        index: None,
    }
}

/// Orders with lines, a union of transfer results, functions of all kinds.
pub fn shop() -> Declarations {
    let value = |graphql: &str, typescript: &str| EnumValue { graphql: graphql.into(), typescript: typescript.into() };
    let status = Definition::Enum(EnumDefinition {
        name: "OrderStatus".into(),
        description: None,
        values: vec![value("open", "open"), value("paid", "paid"), value("fee_pool", "fee-pool")],
    });
    let status_shape = || Shape::Enum("OrderStatus".into());
    let line = vec![member("sku", Shape::String), member("quantity", Shape::Int)];
    let order = |id: Vec<Member>| {
        let rest = vec![
            member("total", Shape::Float),
            member("status", status_shape()),
            member("note?", Shape::String),
            member("lines", list(named("Line"))),
        ];
        id.into_iter().chain(rest).collect::<Vec<_>>()
    };
    let alternative = |literal: &str, object: &str| Alternative { literal: literal.into(), object: object.into() };
    let definitions = [
        object("Order", "OrderInput", order(vec![member("id", Shape::Id)])),
        object("OrderValue", "OrderInput", order(Vec::new())),
        object("Line", "LineInput", line),
        status,
        object(
            "OrderFilter",
            "OrderFilterInput",
            vec![
                member("statuses?", list(status_shape())),
                member("min?", Shape::Float),
                member("or?", list(named("OrderFilter"))),
            ],
        ),
        object("Done", "DoneInput", vec![literal("kind", "done"), member("balance", Shape::Float)]),
        object(
            "Refused",
            "RefusedInput",
            vec![literal("kind", "refused"), member("reason", Shape::String), member("retry|null", named("Done"))],
        ),
        Definition::Union(UnionDefinition {
            name: "TransferResult".into(),
            description: None,
            discriminator: "kind".into(),
            alternatives: vec![alternative("done", "Done"), alternative("refused", "Refused")],
        }),
    ];
    use FunctionKind::{Procedure, Query, View};
    let transfer = || Slot::required(Shape::Union("TransferResult".into()));
    let functions = [
        function(
            Query,
            "ordersOf",
            vec![member("customer", Shape::Id), member("limit?", Shape::Int), member("filter?", named("OrderFilter"))],
            Slot::required(list(named("Order"))),
        ),
        function(Query, "order", vec![member("id", Shape::Id)], Slot::nullable(named("Order"))),
        function(Query, "settings", vec![member("key?", Shape::Json)], Slot::required(Shape::Json)),
        function(Query, "holes", Vec::new(), Slot::required(Shape::List(Box::new(Slot::nullable(named("Order")))))),
        function(View, "countOrders", Vec::new(), Slot::required(Shape::Int)),
        function(Query, "lastTransfer", Vec::new(), transfer()),
        function(Procedure, "placeOrder", vec![member("order", named("OrderValue"))], Slot::required(named("Order"))),
        function(Procedure, "transfer", vec![member("from", Shape::Id), member("amount", Shape::Float)], transfer()),
    ];
    Declarations {
        definitions: definitions.into_iter().map(|definition| (definition.name().to_owned(), definition)).collect(),
        collections: IndexMap::new(),
        functions: functions.into_iter().map(|function| (function.name.clone(), function)).collect(),
        endpoints: Vec::new(),
    }
}
