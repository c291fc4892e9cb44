//! A query's list as newline-delimited JSON (<https://jsonlines.org>).
//!
//! Each line is an object with one member. `{"data": …}` is an element, as the selections have it. The last line says how it
//! ended: `{"extensions": …}`, with the commit and the number of elements, if the list is whole, and `{"errors": …}` if not.
//! Where neither is there, the rest is missing.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use weir_engine::call::{CallError, Caller};
use weir_engine::content::Places;
use weir_schema::commit::Timestamp;
use weir_schema::error::ErrorCode;

use super::GraphqlError;
use super::cost::Lists;
use super::document::{Operation, Prepared};
use super::execute::{Invocation, invocation, start};
use super::plan::{Complete, Completion, Key, OperationKind, Plan, RootCall, RootSource};
use super::project::Projection;
use super::response::write_json;
use super::schema::Schema;

/// What to ask for instead.
const ADVICE: &str = "application/jsonl is for a query with one root field whose type is a list";

/// A query about to be answered line by line.
pub struct Listed {
    prepared: Arc<Prepared>,
    /// What it costs, its elements aside.
    pub cost: u64,
    /// The function to call.
    pub function: String,
    /// Its arguments.
    pub arguments: Value,
}

/// The one root field, and how each of its elements is written.
struct Root<'p> {
    key: &'p Key,
    call: &'p RootCall,
    element: &'p Completion,
}

/// Finds the one list that an operation asks for; nothing has been called.
pub fn list(
    schema: &Schema,
    operation: &Operation,
    variables: Map<String, Value>,
) -> Result<Listed, Vec<GraphqlError>> {
    let refuse = |why: &str| vec![GraphqlError::new(ErrorCode::BadRequest, format!("{ADVICE}: {why}"))];
    match operation.kind {
        OperationKind::Query => {}
        OperationKind::Mutation => return Err(refuse("this is a mutation, ask for application/json")),
        OperationKind::Subscription => {
            return Err(refuse("this is a subscription, ask for text/event-stream or open a WebSocket"));
        }
    }
    let (mut variables, prepared, cost) = start(schema, operation, variables, Lists::Lines)?;
    variables.expect_reads(&prepared.plan.reads);
    let root = match root_of(&prepared.plan) {
        Some(root) => root,
        None if prepared.plan.roots.len() == 1 => return Err(refuse("this one's is not")),
        None => return Err(refuse("send one request for each")),
    };
    match invocation(&schema.api.query, root.call, &mut variables)
        .map_err(|error| vec![error.at_all(&root.call.locations)])?
    {
        Invocation::Function { name, arguments } => {
            prepared.tally.add();
            Ok(Listed { function: name, arguments, prepared, cost })
        }
        Invocation::Batch { .. } => Err(refuse("this is a batch")),
    }
}

/// The root field, if it is the only one and a list.
fn root_of(plan: &Plan) -> Option<Root<'_>> {
    let [root] = plan.roots.as_slice() else { return None };
    let RootSource::Call(call) = &root.source else { return None };
    let Complete::List(element) = &call.completion.of else { return None };
    Some(Root { key: &root.key, call, element })
}

impl Listed {
    /// Writes the line of an element. An element that the schema does not allow is an error, and the end.
    pub fn write(
        &self,
        out: &mut Vec<u8>,
        index: usize,
        element: &Value,
        hidden: &Places,
    ) -> Result<(), Vec<GraphqlError>> {
        let defect = || vec![GraphqlError::new(ErrorCode::Internal, "the query selects no list")];
        let Root { key, call, element: completion } = root_of(&self.prepared.plan).ok_or_else(defect)?;
        let projected = Projection::element(key, completion, &call.locations, index, element, hidden)?;
        out.extend_from_slice(b"{\"data\":");
        out.extend_from_slice(&projected);
        out.extend_from_slice(b"}\n");
        Ok(())
    }

    /// The errors of a call that failed.
    pub fn failed(&self, error: CallError, caller: &Caller) -> Vec<GraphqlError> {
        let error = GraphqlError::of_call(error, caller);
        vec![match root_of(&self.prepared.plan) {
            Some(Root { key, call, .. }) => error.at_all(&call.locations).on(vec![key.step()]),
            None => error,
        }]
    }
}

/// Writes the last line of a whole list: `elements` is how many there were, none of a list that is null.
pub fn write_end(out: &mut Vec<u8>, commit: Timestamp, elements: Option<usize>) {
    let end = json!({ "extensions": { "weir": { "commit": commit.to_string(), "elements": elements } } });
    write_json(out, &end);
    out.push(b'\n');
}

/// Writes the last line of a list that is not whole.
pub fn write_errors(out: &mut Vec<u8>, errors: &[GraphqlError]) {
    out.extend_from_slice(b"{\"errors\":");
    write_json(out, errors);
    out.extend_from_slice(b"}\n");
}
