//! Texts in, a syntax tree as text or an error out.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};
use expect_test::expect;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::parse;

fn places(set: &SelectionSet, shown: &mut String) {
    for item in &set.items {
        shown.push_str(&format!("{}:{} ", item.pos.line, item.pos.column));
        match &item.node {
            Selection::Field(field) => places(&field.node.selection_set.node, shown),
            Selection::InlineFragment(inline) => places(&inline.node.selection_set.node, shown),
            Selection::FragmentSpread(_) => {}
        }
    }
}

fn parsed(text: &str) -> Result<ExecutableDocument, String> {
    parse(text).map_err(|error| {
        let at: Vec<String> = error.locations.iter().map(|at| format!("{}:{}", at.line, at.column)).collect();
        format!("{} {}: {}", error.extensions.code, at.join(" "), error.message)
    })
}

/// The value of the first argument of the first field, as GraphQL writes it.
fn value(literal: &str) -> String {
    let document = parsed(&format!("{{ a(b: {literal}) }}"));
    let document = match document {
        Ok(document) => document,
        Err(error) => return error,
    };
    let (_, operation) = document.operations.iter().next().unwrap();
    let Selection::Field(field) = &operation.node.selection_set.node.items.first().unwrap().node else { panic!() };
    let (_, value) = field.node.arguments.first().unwrap();
    serde_json::to_string(&value.node.clone().into_const().unwrap()).unwrap()
}

#[test]
fn what_the_grammar_allows_is_parsed() {
    let table = [
        "{a}",
        "\u{feff}query,A,{a},",
        "query($a:[ [ Int ! ] ] !=[[1]]@d,$b:ID){a}",
        "query # comment\r\n Q { a }",
        "fragment F on T { a } { ...F }",
        "fragment F on # comment\n T { a } { ... on T { a } ...{ a } ... @d { a } ...onward }",
        "{ on: fragment query mutation(subscription: true) { true false null on } }",
        "subscription S @d(a: $x) { a @e @f(g: {}) }",
        "fragment F on T { a }",
        "\"a\" query (\"\"\"b\"\"\" $a: ID) { a } \"c\" fragment F on T { a }",
    ];
    for text in table {
        assert!(parsed(text).is_ok(), "{text}: {:?}", parsed(text));
    }
}

#[test]
fn what_it_does_not_allow_is_refused() {
    let table = [
        "",
        "queryA { a }",
        "query () { a }",
        "{ }",
        "{ a() }",
        "{ a(b: ) }",
        "{ a(b: 1.) }",
        "{ a(b: 01) }",
        "{ a(b: -) }",
        "{ a(b: 1e) }",
        "{ a(b: 1x) }",
        "{ a(b: 1.5.2) }",
        "{ ...on }",
        "fragment on on T { a }",
        "fragment F(a: 1) on T { a }",
        "query($a: Int = $b) { a }",
        "query($a: Int @d(e: $b)) { a }",
        "query($a Int) { a }",
        "{ a(b: \"x\n\") }",
        "{ a(b: \"\\x\") }",
        "{ a(b: \"\\ud83d\") }",
        "{ a(b: \"\\u{d83d}\") }",
        "{ a(b: \"\"\"x) }",
        "{ a ? }",
        "{ a .. b }",
        "type T { a: Int }",
        "{ a } }",
        "{ a",
        "\"a\" { a }",
        "\"a\"",
    ];
    let mut shown = String::new();
    for text in table {
        shown.push_str(&format!("{text:?}\n  {}\n", parsed(text).unwrap_err()));
    }
    expect![[r#"
        ""
          GRAPHQL_PARSE_FAILED 1:1: Syntax error: expected an operation or a fragment, found the end of the document
        "queryA { a }"
          GRAPHQL_PARSE_FAILED 1:1: Syntax error: expected an operation or a fragment, found `queryA`
        "query () { a }"
          GRAPHQL_PARSE_FAILED 1:8: Syntax error: expected `$`, found `)`
        "{ }"
          GRAPHQL_PARSE_FAILED 1:3: Syntax error: expected a field, a fragment or `}`, found `}`
        "{ a() }"
          GRAPHQL_PARSE_FAILED 1:5: Syntax error: expected the name of an argument, found `)`
        "{ a(b: ) }"
          GRAPHQL_PARSE_FAILED 1:8: Syntax error: expected a value, found `)`
        "{ a(b: 1.) }"
          GRAPHQL_PARSE_FAILED 1:8: Syntax error: 1. is no number, or something stands right behind it
        "{ a(b: 01) }"
          GRAPHQL_PARSE_FAILED 1:8: Syntax error: 01 is no number, or something stands right behind it
        "{ a(b: -) }"
          GRAPHQL_PARSE_FAILED 1:8: Syntax error: - is no number, or something stands right behind it
        "{ a(b: 1e) }"
          GRAPHQL_PARSE_FAILED 1:8: Syntax error: 1e is no number, or something stands right behind it
        "{ a(b: 1x) }"
          GRAPHQL_PARSE_FAILED 1:8: Syntax error: 1 is no number, or something stands right behind it
        "{ a(b: 1.5.2) }"
          GRAPHQL_PARSE_FAILED 1:8: Syntax error: 1.5 is no number, or something stands right behind it
        "{ ...on }"
          GRAPHQL_PARSE_FAILED 1:9: Syntax error: expected a type, found `}`
        "fragment on on T { a }"
          GRAPHQL_PARSE_FAILED 1:10: Syntax error: expected the name of the fragment, found `on`
        "fragment F(a: 1) on T { a }"
          GRAPHQL_PARSE_FAILED 1:11: Syntax error: expected `on`, found `(`
        "query($a: Int = $b) { a }"
          GRAPHQL_PARSE_FAILED 1:17: Syntax error: expected a value without variables, found `$`
        "query($a: Int @d(e: $b)) { a }"
          GRAPHQL_PARSE_FAILED 1:21: Syntax error: expected a value without variables, found `$`
        "query($a Int) { a }"
          GRAPHQL_PARSE_FAILED 1:10: Syntax error: expected `:`, found `Int`
        "{ a(b: \"x\n\") }"
          GRAPHQL_PARSE_FAILED 1:8: Syntax error: the string does not end on its line
        "{ a(b: \"\\x\") }"
          GRAPHQL_PARSE_FAILED 1:9: Syntax error: a string has an escape that there is not, or half of a surrogate pair
        "{ a(b: \"\\ud83d\") }"
          GRAPHQL_PARSE_FAILED 1:9: Syntax error: a string has an escape that there is not, or half of a surrogate pair
        "{ a(b: \"\\u{d83d}\") }"
          GRAPHQL_PARSE_FAILED 1:9: Syntax error: a string has an escape that there is not, or half of a surrogate pair
        "{ a(b: \"\"\"x) }"
          GRAPHQL_PARSE_FAILED 1:8: Syntax error: the block string does not end
        "{ a ? }"
          GRAPHQL_PARSE_FAILED 1:5: Syntax error: unexpected character '?'
        "{ a .. b }"
          GRAPHQL_PARSE_FAILED 1:5: Syntax error: unexpected character '.'
        "type T { a: Int }"
          GRAPHQL_PARSE_FAILED 1:1: Syntax error: expected an operation or a fragment, found `type`
        "{ a } }"
          GRAPHQL_PARSE_FAILED 1:7: Syntax error: expected an operation or a fragment, found `}`
        "{ a"
          GRAPHQL_PARSE_FAILED 1:4: Syntax error: expected a field, a fragment or `}`, found the end of the document
        "\"a\" { a }"
          GRAPHQL_PARSE_FAILED 1:5: Syntax error: expected an operation by its keyword, or a fragment, behind its description, found `{`
        "\"a\""
          GRAPHQL_PARSE_FAILED 1:4: Syntax error: expected an operation or a fragment, found the end of the document
    "#]]
    .assert_eq(&shown);
}

#[test]
fn what_the_tree_has_no_room_for_is_invalid() {
    let table = [
        "query A { a } query A { b }",
        "{ a } { b }",
        "query A { a } { b }",
        "{ a } query A { b }",
        "{ ...F } fragment F on T { a } fragment F on T { a }",
        "{ a(b: { c: 1, d: { c: 1 }, c: 2 }) }",
    ];
    let mut shown = String::new();
    for text in table {
        shown.push_str(&format!("{text}\n  {}\n", parsed(text).unwrap_err()));
    }
    expect![[r#"
        query A { a } query A { b }
          GRAPHQL_VALIDATION_FAILED 1:7 1:21: There can be only one operation named "A".
        { a } { b }
          GRAPHQL_VALIDATION_FAILED 1:1: This anonymous operation must be the only defined operation.
        query A { a } { b }
          GRAPHQL_VALIDATION_FAILED 1:15: This anonymous operation must be the only defined operation.
        { a } query A { b }
          GRAPHQL_VALIDATION_FAILED 1:1: This anonymous operation must be the only defined operation.
        { ...F } fragment F on T { a } fragment F on T { a }
          GRAPHQL_VALIDATION_FAILED 1:19 1:41: There can be only one fragment named "F".
        { a(b: { c: 1, d: { c: 1 }, c: 2 }) }
          GRAPHQL_VALIDATION_FAILED 1:10 1:29: There can be only one input field named "c".
    "#]]
    .assert_eq(&shown);
}

#[test]
fn values_are_what_they_say() {
    let table = [
        ("nullable", "\"nullable\""),
        ("true_north", "\"true_north\""),
        ("[true,null 1 -2.5e1]", "[true,null,1,-25.0]"),
        ("18446744073709551615", "18446744073709551615"),
        (r#""\ud83d\uDE00 \u{1F600} \u00e9 \n\/\"\\""#, r#""😀 😀 é \n/\"\\""#),
        (r#""""a\u0041 "b" \"""c""""#, r#""a\\u0041 \"b\" \"\"\"c""#),
        ("\"\"\"\n    one\n\r\n      two\r    three\n\n\"\"\"", "\"one\\n\\n  two\\nthree\""),
        ("\"\"\" \n\t\"\"\"", "\"\""),
    ];
    for (literal, expected) in table {
        assert_eq!(value(literal), expected, "{literal}");
    }
}

#[test]
fn places_count_lines_and_utf_16_units() {
    let document = parsed("{ a(b: \"😀é\") c\r\n  ...F\r ... on T {d}\n\"\"\"").unwrap_err();
    assert!(document.contains("4:1"), "{document}");
    let document = parsed("{ a(b: \"😀é\") c\r\n  ...F\r ... on T {d}\n e(f: \"\"\"\n\n\"\"\") g }").unwrap();
    let (_, operation) = document.operations.iter().next().unwrap();
    let mut shown = String::new();
    places(&operation.node.selection_set.node, &mut shown);
    assert_eq!(shown.trim_end(), "1:3 1:15 2:3 3:2 3:12 4:2 6:6");
}

const TOKENS: [&str; 38] = [
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ":",
    "!",
    "$",
    "@",
    "=",
    "...",
    "|",
    "&",
    "query",
    "mutation",
    "fragment",
    "on",
    "a",
    "b",
    "_x1",
    "true",
    "null",
    "1",
    "-0",
    "1.5",
    "1e9",
    "01",
    "\"s\"",
    "\"\"",
    "\"\"\"b\"\"\"",
    "\"\\u{1F600}\"",
    "\"\\ud83d\"",
    "\"",
    "#c\n",
    "\r\n",
    "é",
    ",",
];

proptest! {
    /// Whatever a client sends is a document or an error with a place.
    #[test]
    fn no_text_is_too_strange(text in "[ \n\r,#a-cu0-9{}():!$@=.|&\"\\\\é😀\u{feff}\\[\\]-]{0,80}") {
        if let Err(error) = parse(&text) {
            prop_assert!(!error.locations.is_empty());
        }
    }

    #[test]
    fn no_row_of_tokens_is_too_strange(tokens in vec(select(&TOKENS[..]), 0..40), glue in select(&["", " "][..])) {
        if let Err(error) = parse(&tokens.join(glue)) {
            prop_assert!(!error.locations.is_empty());
        }
    }
}
