//! Types that cannot be expressed in GraphQL, and what to write instead.

use oxc::ast::ast::{TSLiteral, TSSignature, TSType, TSTypeOperatorOperator};
use oxc::span::GetSpan;

use super::Ty;
use super::registry::Place;
use crate::compile::report::{File, Report, Reported};
use crate::compile::weir;

/// Reports a type that has no counterpart.
pub(super) fn report(ty: Ty, report: &Report) -> Reported {
    let (what, help) = explain(ty.node);
    report.error_with_help(ty.module.file, ty.span(), format!("{what} no counterpart in GraphQL"), help)
}

fn explain(node: &TSType) -> (&'static str, &'static str) {
    match node {
        TSType::TSAnyKeyword(_) => ("`any` has", "write the type, or JSON (from \"weir\") for any JSON value"),
        TSType::TSUnknownKeyword(_) => ("`unknown` has", "write the type, or JSON (from \"weir\") for any JSON value"),
        TSType::TSObjectKeyword(_) => {
            ("`object` has", "write an interface, or JSON (from \"weir\") for any JSON value")
        }
        TSType::TSVoidKeyword(_) => ("`void` has", "return something, such as boolean"),
        TSType::TSUndefinedKeyword(_) => ("`undefined` alone has", "return something, such as boolean"),
        TSType::TSNullKeyword(_) => ("`null` alone has", "write the type that it may have: T | null"),
        TSType::TSNeverKeyword(_) => ("`never` has", "return something, such as boolean"),
        TSType::TSBigIntKeyword(_) => ("`bigint` has", "write string, or Float (from \"weir\")"),
        TSType::TSSymbolKeyword(_) => ("`symbol` has", "write string"),
        TSType::TSTupleType(_) => ("a tuple has", "write an object with named members, or a list"),
        TSType::TSFunctionType(_) | TSType::TSConstructorType(_) => ("a function has", "leave it out"),
        TSType::TSMappedType(_) => {
            ("a mapped type has", "write out the members, or JSON (from \"weir\"), or a list of { key, value }")
        }
        TSType::TSConditionalType(_) | TSType::TSInferType(_) => ("a conditional type has", "write out the type"),
        TSType::TSTemplateLiteralType(_) => ("a template literal type has", "write string, or a union of strings"),
        TSType::TSTypeQuery(_) => ("`typeof` in a declared type has", "write out the type"),
        TSType::TSTypeOperatorType(operator) if operator.operator == TSTypeOperatorOperator::Keyof => {
            ("`keyof` has", "write the names out: \"name\" | \"email\"")
        }
        TSType::TSImportType(_) => (
            "`import(…)` in a declared type has",
            "import the type at the top of the file: import type { T } from \"…\"",
        ),
        TSType::TSTypePredicate(_) => ("a type predicate has", "return boolean"),
        TSType::TSThisType(_) => ("`this` has", "write the name of the type"),
        TSType::TSLiteralType(literal) => match literal.literal {
            TSLiteral::BooleanLiteral(_) => ("a boolean literal type has", "write boolean"),
            TSLiteral::NumericLiteral(_) | TSLiteral::UnaryExpression(_) => {
                ("a numeric literal type has", "write Int or Float (from \"weir\"), or a union of strings")
            }
            TSLiteral::BigIntLiteral(_) => ("a bigint literal type has", "write string"),
            TSLiteral::TemplateLiteral(_) | TSLiteral::StringLiteral(_) => {
                ("a template literal type has", "write a string literal in quotes")
            }
        },
        _ => ("this type has", "write an interface, a list, a union of strings or a scalar"),
    }
}

/// Reports part of an object type that is not a member with a type.
pub(super) fn report_signature(file: &File, signature: &TSSignature, report: &Report) -> Reported {
    let (what, help) = match signature {
        TSSignature::TSIndexSignature(_) => {
            ("an index signature", "write out the members, or JSON (from \"weir\"), or a list of { key, value }")
        }
        TSSignature::TSMethodSignature(_) => ("a method", "leave it out: results are plain data"),
        _ => ("a call signature", "leave it out: results are plain data"),
    };
    let message = format!("{what} has no counterpart in GraphQL");
    report.error_with_help(file, signature.span(), message, help)
}

/// Reports a type of "weir" that only code can use.
pub(super) fn report_code_type(place: Place, name: &str, report: &Report) -> Reported {
    let help = match name {
        "Rows" => "write Doc<T>[]: rows become a list when they are returned",
        "IndexPage" => "write Page<T>: what a sorted view gives is one, whose edges have more members",
        _ => "write an interface with the members that callers need",
    };
    let message = format!("`{name}` is for code and has no counterpart in GraphQL");
    report.error_with_help(place.file, place.span, message, help)
}

/// Reports a type name that is neither declared nor imported.
pub(super) fn report_global(place: Place, name: &str, report: &Report) -> Reported {
    let (message, help) = match name {
        _ if weir::TYPES.contains(&name) => (
            format!("the type `{name}` is not imported"),
            format!("write import {{ type {name} }} from \"weir\" at the top of the file"),
        ),
        "Record" | "Map" | "WeakMap" => (
            format!("`{name}` has no counterpart in GraphQL"),
            "write an interface, or JSON (from \"weir\"), or a list of { key, value }".to_owned(),
        ),
        "Set" | "WeakSet" | "Iterable" | "IterableIterator" | "Iterator" | "Generator" => {
            (format!("`{name}` has no counterpart in GraphQL"), "write a list: T[]".to_owned())
        }
        "AsyncGenerator" | "AsyncIterable" | "AsyncIterableIterator" => {
            (format!("`{name}` is only for the events of streams"), "write a list: T[]".to_owned())
        }
        "Date" => ("`Date` has no counterpart in GraphQL".to_owned(), "write DateTime (from \"weir\")".to_owned()),
        "Uint8Array" | "ArrayBuffer" | "Buffer" => {
            (format!("`{name}` has no counterpart in GraphQL"), "write Bytes (from \"weir\")".to_owned())
        }
        "Promise" => (
            "`Promise` is only for the results of actions: database calls have nothing to wait for".to_owned(),
            "write the type that it resolves to, without async".to_owned(),
        ),
        "Object" | "Function" | "Exclude" | "Extract" | "NonNullable" | "ReturnType" | "Parameters" | "Awaited" => (
            format!("`{name}` has no counterpart in GraphQL"),
            "write the type out; Pick, Omit, Partial, Required and Readonly are understood".to_owned(),
        ),
        "String" | "Number" | "Boolean" => {
            (format!("`{name}` is an object in TypeScript"), format!("write {}", name.to_lowercase()))
        }
        _ => (
            format!("there is no type `{name}`"),
            "declare it in this file, or import it: import type { T } from \"…\"".to_owned(),
        ),
    };
    report.error_with_help(place.file, place.span, message, help)
}
