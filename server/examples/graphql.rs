//! Answers the GraphQL requests of an app without an engine: what its functions return is told with each request. The system
//! tests compare the answers with those of another implementation.
//!
//! Takes JSON lines on stdin and answers each with one on stdout.
//!
//! - `{"app": {PATH: TEXT}}` makes the schema; answers `{"sdl", "enums"}`, the second with the spellings of all enums.
//! - `{"query", "operationName", "variables", "returns": {FUNCTION: {"value"} or {"fail": MESSAGE}}}` answers `{"response",
//!   "calls"}`. A subscription gets one value.
//!
//! What a function returns is not checked against its type before the response is made of it, which an engine does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "made for tests"
)]

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};
use weir::graphql::execute::{Invocation, execute, subscribe};
use weir::graphql::plan::OperationKind;
use weir::graphql::request::Asked;
use weir::graphql::{Request, Response, Schema, call};
use weir_engine::call::{Answer, CallError, Caller, Emission};
use weir_engine::content::Content;
use weir_engine::room::Room;
use weir_sandbox::compile::{Sources, compile};
use weir_schema::commit::Timestamp;
use weir_schema::error::ErrorCode;
use weir_schema::graphql::{COST_MAX, GraphqlSettings};
use weir_schema::shape::Definition;

/// Bytes of a response after which nothing more is called.
const ROOM: usize = 8 << 20;

/// What was called with what, in order.
type Calls = Mutex<Vec<Value>>;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut schema = None;
    for line in io::stdin().lock().lines() {
        let asked: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let answer = match asked.get("app") {
            Some(app) => {
                let (made, answer) = make(app);
                schema = Some(made);
                answer.to_string()
            }
            None => answer(schema.as_ref().expect("there is an app"), asked).await,
        };
        let mut out = io::stdout().lock();
        writeln!(out, "{answer}").unwrap();
        out.flush().unwrap();
    }
}

fn make(app: &Value) -> (Schema, Value) {
    let texts = app.as_object().unwrap().iter().map(|(path, text)| (path.clone(), text.as_str().unwrap().to_owned()));
    let app = compile(&Sources::from_texts(texts)).unwrap_or_else(|diagnostics| panic!("{diagnostics:#?}"));
    let spellings = app.declarations.definitions.values().filter_map(|definition| match definition {
        Definition::Enum(enumeration) => {
            let values = enumeration.values.iter();
            let spelled: BTreeMap<_, _> = values.map(|value| (&value.graphql, &value.typescript)).collect();
            Some((enumeration.name.clone(), json!(spelled)))
        }
        _ => None,
    });
    let enums: Map<String, Value> = spellings.collect();
    // What a request costs the other implementation does not ask.
    let settings = GraphqlSettings { cost: COST_MAX, ..GraphqlSettings::default() };
    let schema = Schema::build(&app.declarations, &settings).unwrap();
    let answer = json!({ "sdl": schema.sdl, "enums": enums });
    (schema, answer)
}

async fn answer(schema: &Schema, mut asked: Value) -> String {
    let returns = asked["returns"].take();
    let request = Request::parse(asked).unwrap();
    let calls = Calls::default();
    let caller = Caller::Anonymous;
    let Asked::Text(text) = &request.asked else { panic!("the text of a document") };
    let response = match schema.prepare(text, request.operation_name.as_deref()).await {
        Err(errors) => Response::refused(errors),
        Ok(operation) if operation.kind == OperationKind::Subscription => {
            match subscribe(schema, &operation, request.variables) {
                Err(errors) => Response::refused(errors),
                Ok(subscribed) => {
                    let value = returned(&calls, &returns, &subscribed.function, &subscribed.arguments);
                    let emission = value.map(|value| Emission {
                        value: Arc::new(Content::from(value)),
                        commit: Timestamp(1),
                        cursor: String::new(),
                        age: None,
                    });
                    subscribed.respond(emission.as_ref(), &caller)
                }
            }
        }
        Ok(operation) => {
            let invoke = |_: String, invocation: Invocation| {
                let value = invoked(&calls, &returns, &invocation);
                async move { Ok(Answer::new(value?, Timestamp(1))) }
            };
            execute(schema, &operation, request.variables, &caller, Room::new(ROOM), invoke).await
        }
    };
    let response = String::from_utf8(response.to_json()).unwrap();
    format!("{{\"response\":{response},\"calls\":{}}}", Value::Array(calls.into_inner().unwrap()))
}

fn invoked(calls: &Calls, returns: &Value, invocation: &Invocation) -> Result<Value, CallError> {
    match invocation {
        Invocation::Function { name, arguments } => returned(calls, returns, name, arguments),
        Invocation::Batch { calls: batch, atomic } => {
            let names: Vec<&str> = batch.iter().map(|call| call.function.as_str()).collect();
            calls.lock().unwrap().push(json!(["batch", { "calls": names, "atomic": atomic }]));
            let outcome = |name: &str| value_of(returns, name).map(|value| Answer::new(value, Timestamp(1)));
            Ok(batch.iter().map(|call| call::call_result(outcome(&call.function))).collect())
        }
    }
}

fn returned(calls: &Calls, returns: &Value, name: &str, arguments: &Value) -> Result<Value, CallError> {
    calls.lock().unwrap().push(json!([name, arguments]));
    value_of(returns, name)
}

fn value_of(returns: &Value, name: &str) -> Result<Value, CallError> {
    match returns[name].get("fail") {
        Some(message) => Err(CallError::new(ErrorCode::FunctionFailed, message.as_str().unwrap())),
        None => Ok(returns[name]["value"].clone()),
    }
}
