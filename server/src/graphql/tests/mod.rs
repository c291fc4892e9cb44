//! Whole requests against a schema without an engine: document, variables and what the functions return in, response
//! out.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod cache;
mod documents;
mod execution;
mod hidden;
mod hostile;
mod hostile_documents;
mod inputs;

use std::sync::Mutex;

use expect_test::Expect;
use serde_json::{Value, json};
use weir_engine::call::{Answer, CallError, Caller};
use weir_engine::content::Given;
use weir_engine::room::Room;
use weir_schema::commit::Timestamp;
use weir_schema::graphql::GraphqlSettings;

use super::execute::{Invocation, execute};
use super::{Request, Response, Schema, fixture};

/// Bytes of a response after which nothing more is called.
const ROOM: usize = 4_000;

fn schema() -> Schema {
    Schema::build(&fixture::shop(), &GraphqlSettings::default()).unwrap()
}

/// Runs a request. `functions` answers calls; what was called stands before the response, one call per line.
async fn run(
    schema: &Schema,
    query: &str,
    variables: &Value,
    functions: impl Fn(&str) -> Result<Value, CallError>,
) -> String {
    run_giving(schema, query, variables, |name| functions(name).map(Given::from)).await
}

/// The same where functions may give what their caller may not view.
async fn run_giving(
    schema: &Schema,
    query: &str,
    variables: &Value,
    functions: impl Fn(&str) -> Result<Given, CallError>,
) -> String {
    let request = Request::parse(json!({ "query": query, "variables": variables })).unwrap();
    let called = Mutex::new(String::new());
    let call = |_: String, invocation: Invocation| {
        let answer = match &invocation {
            Invocation::Function { name, arguments } => {
                called.lock().unwrap().push_str(&format!("{name} {arguments}\n"));
                functions(name)
            }
            Invocation::Batch { calls, atomic } => {
                called.lock().unwrap().push_str(&format!("batch {} atomic {atomic}\n", calls.len()));
                Ok(json!([]).into())
            }
        };
        async move { Ok(Answer::new(answer?, Timestamp(7))) }
    };
    let response = match schema.prepare(query, None).await {
        Ok(operation) => {
            execute(schema, &operation, request.variables, &Caller::Developer, Room::new(ROOM), call).await
        }
        Err(errors) => Response::refused(errors),
    };
    let mut out = called.into_inner().unwrap();
    let response: Value = serde_json::from_slice(&response.to_json()).unwrap();
    for error in response["errors"].as_array().into_iter().flatten() {
        let path = if error["path"].is_null() { String::new() } else { format!(" at {}", error["path"]) };
        let code = error["extensions"]["code"].as_str().unwrap();
        out.push_str(&format!("{code}{path}: {}\n", error["message"].as_str().unwrap()));
    }
    if let Some(data) = response.get("data") {
        out.push_str(&format!("{data}\n"));
    }
    out
}

/// Checks a request whose functions return these values.
async fn check(query: &str, variables: Value, returns: Value, expected: Expect) {
    let functions = |name: &str| Ok(returns.get(name).cloned().unwrap_or_default());
    expected.assert_eq(&run(&schema(), query, &variables, functions).await);
}

fn order(id: &str) -> Value {
    json!({ "id": id, "total": 2.5, "status": "fee-pool", "note": null, "lines": [{ "sku": "a", "quantity": 1 }] })
}
