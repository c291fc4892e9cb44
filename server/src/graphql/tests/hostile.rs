//! Documents made to cost much: refused before anything runs, by a limit with a name, and with work in proportion.

use std::fmt::Write;

use expect_test::expect;
use weir_schema::graphql::GraphqlSettings;

use super::super::validate::merge::COMPARED;
use super::super::{Schema, fixture};
use super::hostile_documents::hostile_documents;

const MEGABYTE: usize = 1 << 20;

fn schema(settings: &GraphqlSettings) -> Schema {
    Schema::build(&fixture::shop(), settings).unwrap()
}

/// What becomes of each: the limit that refuses it, or the code of the first error with the number of errors.
async fn outcomes(schema: &Schema, bytes: usize) -> String {
    let mut out = String::new();
    for (name, document) in hostile_documents(bytes) {
        assert!(document.len() >= bytes - 16, "{name}");
        let outcome = match schema.prepare(&document, None).await {
            Ok(_) => "is let through".to_owned(),
            Err(errors) => {
                let text = serde_json::to_string(&errors).unwrap();
                assert!(text.len() < 16 << 10, "{name}: an answer of {} bytes", text.len());
                match errors[0].extensions.limit {
                    Some(limit) => limit.to_owned(),
                    None => format!("{} {}", errors.len(), errors[0].extensions.code),
                }
            }
        };
        writeln!(out, "{name}: {outcome}").unwrap();
    }
    out
}

#[tokio::test]
async fn a_document_of_a_megabyte_is_not_even_looked_at() {
    let schema = schema(&GraphqlSettings::default());
    for line in outcomes(&schema, MEGABYTE).await.lines() {
        assert!(line.ends_with(": document_bytes"), "{line}");
    }
}

#[tokio::test]
async fn a_megabyte_that_may_come_is_refused_by_what_it_has_too_much_of() {
    let schema = schema(&GraphqlSettings { document_bytes: 2 * MEGABYTE, ..GraphqlSettings::default() });
    expect![[r#"
        deep selections: document_depth
        deep lists: document_depth
        deep objects: document_depth
        closed brackets: document_tokens
        unknown fields: document_tokens
        one field many times: document_tokens
        one object many times: document_tokens
        aliases: document_aliases
        aliases below: document_aliases
        directives: document_directives
        unknown directives: document_directives
        declared variables: document_variables
        used variables: document_variables
        arguments: document_tokens
        operations: document_definitions
        operations with fragments: document_definitions
        fragments: document_definitions
        a fragment bomb: document_tokens
        fragments in circles: document_definitions
        spreads of one fragment: document_tokens
        inline fragments: document_tokens
        overlapping fields: document_tokens
        a long name: document_name_bytes
        a long number: document_name_bytes
        a long string: is let through
        escapes: is let through
        surrogates: is let through
        half surrogates: 1 GRAPHQL_PARSE_FAILED
        a block string: is let through
        quotes: document_tokens
        a comment: is let through
        comments: is let through
        commas: is let through
        letters of other scripts: document_tokens
        characters of four bytes: is let through
        nothing: 1 GRAPHQL_PARSE_FAILED
        punctuation: document_tokens
        zeros: document_tokens
    "#]]
    .assert_eq(&outcomes(&schema, MEGABYTE).await);
}

#[tokio::test]
async fn so_is_one_that_fits_the_default_limits() {
    let schema = schema(&GraphqlSettings::default());
    expect![[r#"
        deep selections: document_depth
        deep lists: document_depth
        deep objects: document_depth
        closed brackets: document_tokens
        unknown fields: root_fields
        one field many times: root_fields
        one object many times: root_fields
        aliases: root_fields
        aliases below: document_aliases
        directives: document_directives
        unknown directives: document_directives
        declared variables: document_variables
        used variables: document_variables
        arguments: 20 GRAPHQL_VALIDATION_FAILED
        operations: document_definitions
        operations with fragments: document_definitions
        fragments: document_definitions
        a fragment bomb: document_depth
        fragments in circles: document_depth
        spreads of one fragment: document_tokens
        inline fragments: root_fields
        overlapping fields: 1 GRAPHQL_VALIDATION_FAILED
        a long name: document_name_bytes
        a long number: document_name_bytes
        a long string: is let through
        escapes: is let through
        surrogates: is let through
        half surrogates: 1 GRAPHQL_PARSE_FAILED
        a block string: is let through
        quotes: 1 GRAPHQL_PARSE_FAILED
        a comment: is let through
        comments: is let through
        commas: is let through
        letters of other scripts: document_tokens
        characters of four bytes: is let through
        nothing: 1 GRAPHQL_PARSE_FAILED
        punctuation: document_tokens
        zeros: document_tokens
    "#]]
    .assert_eq(&outcomes(&schema, 16 << 10).await);
}

#[tokio::test]
async fn fields_of_one_key_are_compared_once_each() {
    let settings = GraphqlSettings { document_aliases: 10_000, ..GraphqlSettings::default() };
    let schema = schema(&settings);
    // Each key of each alternative, with another in it: compared in pairs they would be some 700,000.
    let keys: String = (0..1_200).map(|i| format!("a{i}:__typename ")).collect();
    let document = format!("{{ lastTransfer {{ ... on Done {{ {keys} }} ... on Refused {{ {keys} }} }} }}");
    COMPARED.set(0);
    assert!(schema.prepare(&document, None).await.is_ok());
    assert_eq!(COMPARED.get(), 1_200);
}

#[tokio::test]
async fn each_limit_holds_at_its_value_and_not_one_past_it() {
    type Settings = fn(usize) -> GraphqlSettings;
    let table: [(&str, Settings, usize, &str); 13] = [
        ("document_bytes", |n| GraphqlSettings { document_bytes: n, ..Default::default() }, 15, "{ countOrders }"),
        ("document_tokens", |n| GraphqlSettings { document_tokens: n, ..Default::default() }, 3, "{ countOrders }"),
        (
            "document_name_bytes",
            |n| GraphqlSettings { document_name_bytes: n, ..Default::default() },
            11,
            "{ countOrders }",
        ),
        (
            "document_depth",
            |n| GraphqlSettings { document_depth: n, ..Default::default() },
            2,
            "{ order(id: 1) { id } }",
        ),
        (
            "document_definitions",
            |n| GraphqlSettings { document_definitions: n, ..Default::default() },
            2,
            "{ ...F } fragment F on Query { countOrders }",
        ),
        (
            "document_aliases",
            |n| GraphqlSettings { document_aliases: n, ..Default::default() },
            1,
            "{ a: countOrders }",
        ),
        (
            "document_directives",
            |n| GraphqlSettings { document_directives: n, ..Default::default() },
            2,
            "{ countOrders @skip(if: false) @include(if: true) }",
        ),
        (
            "document_variables",
            |n| GraphqlSettings { document_variables: n, ..Default::default() },
            2,
            "query($k: JSON = 1) { settings(key: $k) }",
        ),
        (
            "document_selections",
            |n| GraphqlSettings { document_selections: n, ..Default::default() },
            3,
            "{ order(id: 1) { id total } }",
        ),
        (
            "root_fields",
            |n| GraphqlSettings { root_fields: n, ..Default::default() },
            2,
            "{ a: countOrders countOrders }",
        ),
        (
            "variables_bytes",
            |n| GraphqlSettings { variables_bytes: n, ..Default::default() },
            9,
            "query($k: JSON = 1) { settings(key: $k) }",
        ),
        ("cost", |n| GraphqlSettings { cost: n as u64, ..Default::default() }, 4, "{ a: countOrders b: countOrders }"),
        (
            "cost",
            |n| GraphqlSettings { cost: n as u64, ..Default::default() },
            12,
            "mutation { invoke(function: \"transfer\") __typename }",
        ),
    ];
    for (limit, settings, fits, document) in table {
        for (value, expected) in [(fits, None), (fits - 1, Some(limit))] {
            let refused = refused_by(&schema(&settings(value)), document, r#"{"k":"v"}"#).await;
            assert_eq!(refused.as_deref(), expected, "{limit} = {value}: {document}");
        }
    }
}

/// The limit that a request is past, if it is.
async fn refused_by(schema: &Schema, document: &str, variables: &str) -> Option<String> {
    let errors = match schema.prepare(document, None).await {
        Ok(operation) => {
            let given = serde_json::from_str(variables).unwrap();
            super::super::execute::start(schema, &operation, given, super::super::cost::Lists::Whole).err()
        }
        Err(errors) => Some(errors),
    };
    errors.map(|errors| errors[0].extensions.limit.unwrap_or(errors[0].extensions.code.as_str()).to_owned())
}

#[tokio::test]
async fn what_is_small_and_used_many_times_counts_each_time() {
    let schema = schema(&GraphqlSettings { variables_bytes: 1_000, ..GraphqlSettings::default() });
    let uses = |count: usize| format!("query($b: JSON) {{ invoke(function: \"f\", args: [{}]) }}", "$b ".repeat(count));
    let given = format!(r#"{{"b":"{}"}}"#, "x".repeat(98));
    for (count, expected) in [(1, None), (10, None), (11, Some("variables_bytes"))] {
        assert_eq!(refused_by(&schema, &uses(count), &given).await.as_deref(), expected, "{count}");
    }
}

#[tokio::test]
async fn a_name_that_no_operation_can_have_takes_no_room() {
    let schema = schema(&GraphqlSettings::default());
    let before = schema.cache.bytes();
    let errors = schema.prepare("{ countOrders }", Some(&"x".repeat(256))).await.err();
    assert_eq!(errors.and_then(|errors| errors[0].extensions.limit), Some("document_name_bytes"));
    assert_eq!(schema.cache.bytes(), before);
}

#[tokio::test]
async fn null_is_no_condition_whatever_others_have_asked() {
    let schema = schema(&GraphqlSettings::default());
    let document = "query($b: Boolean = true) { countOrders @include(if: $b) __typename }";
    for (given, expected) in [
        (r#"{"b":null}"#, Some("BAD_ARGUMENTS")),
        (r#"{"b":false}"#, None),
        (r#"{}"#, None),
        (r#"{"b":null}"#, Some("BAD_ARGUMENTS")),
    ] {
        assert_eq!(refused_by(&schema, document, given).await.as_deref(), expected, "{given}");
    }
}

#[tokio::test]
async fn who_may_not_ask_for_the_schema_is_told_no_names_of_it() {
    let open = schema(&GraphqlSettings::default());
    let closed = schema(&GraphqlSettings { introspection: false, ..GraphqlSettings::default() });
    let mut out = String::new();
    for document in [
        "{ __schema { queryType { name } } }",
        "query($x: Boolean!) { __type(name: \"Order\") @include(if: $x) { name } countOrders }",
        "{ ...F } fragment F on Query { a: __schema { queryType { name } } }",
        "{ __typename countOrders }",
        "{ countOrder }",
        "{ orders(customer: 1) { id } }",
        "{ ordersOf(customer: 1, filer: {}) { id } }",
        "{ ordersOf(customer: 1, filter: { status: open }) { id } }",
        "{ ordersOf(customer: 1, filter: { statuses: [closed] }) { id } }",
        "query($f: OrderFilterInput) { ordersOf(customer: 1, filter: $f) { id } }",
    ] {
        writeln!(out, "{document}").unwrap();
        for (name, schema) in [("open", &open), ("closed", &closed)] {
            let given = serde_json::from_str(r#"{"x":true,"f":{"state":1}}"#).unwrap();
            let started = match schema.prepare(document, None).await {
                Ok(operation) => {
                    super::super::execute::start(schema, &operation, given, super::super::cost::Lists::Whole).map(drop)
                }
                Err(errors) => Err(errors),
            };
            let told = started.map_or_else(|errors| errors[0].message.clone(), |()| "runs".to_owned());
            writeln!(out, "  {name}: {told}").unwrap();
        }
    }
    expect![[r#"
        { __schema { queryType { name } } }
          open: runs
          closed: the app does not tell its schema: introspection is off in its app.toml
        query($x: Boolean!) { __type(name: "Order") @include(if: $x) { name } countOrders }
          open: runs
          closed: the app does not tell its schema: introspection is off in its app.toml
        { ...F } fragment F on Query { a: __schema { queryType { name } } }
          open: runs
          closed: the app does not tell its schema: introspection is off in its app.toml
        { __typename countOrders }
          open: runs
          closed: runs
        { countOrder }
          open: Unknown field "countOrder" on type "Query". Did you mean "countOrders" or "order"?
          closed: Unknown field "countOrder" on type "Query".
        { orders(customer: 1) { id } }
          open: Unknown field "orders" on type "Query". Did you mean "order" or "ordersOf"?
          closed: Unknown field "orders" on type "Query".
        { ordersOf(customer: 1, filer: {}) { id } }
          open: Unknown argument "filer" on field "ordersOf" of type "Query". Did you mean "filter"?
          closed: Unknown argument "filer" on field "ordersOf" of type "Query".
        { ordersOf(customer: 1, filter: { status: open }) { id } }
          open: Argument filter: OrderFilterInput has no field status; it has statuses, min, or
          closed: Argument filter: OrderFilterInput has no field status
        { ordersOf(customer: 1, filter: { statuses: [closed] }) { id } }
          open: Argument filter: statuses: expected OrderStatus (open | paid | fee_pool), got closed
          closed: Argument filter: statuses: expected OrderStatus, got closed
        query($f: OrderFilterInput) { ordersOf(customer: 1, filter: $f) { id } }
          open: $f: OrderFilterInput has no field state; it has statuses, min, or
          closed: $f: OrderFilterInput has no field state
    "#]]
    .assert_eq(&out);
}
