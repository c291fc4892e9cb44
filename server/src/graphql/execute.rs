//! Running a plan: each root field once, in order, its value seen through its selections.
//!
//! What a root field calls is the caller's to say, as a function of its name in the response and an [`Invocation`]; so
//! this runs without an engine.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use weir_engine::call::{Answer, Call, CallError, Caller, Emission};
use weir_engine::content::Content;
use weir_engine::room::Room;
use weir_engine::usage::Held;
use weir_schema::api::{BATCH, INVOKE, Object};
use weir_schema::commit::Timestamp;
use weir_schema::error::ErrorCode;
use weir_schema::size::json_bytes;

use super::cost::{self, Lists};
use super::delta::Version;
use super::document::{Operation, Prepared};
use super::error::GraphqlError;
use super::input::BadInput;
use super::introspection::{BYTES_MAX as INTROSPECTION_BYTES_MAX, write_schema, write_type};
use super::plan::{Argument, Complete, Completion, Key, OperationKind, Plan, RootCall, RootSource};
use super::project::Projection;
use super::response::{Response, WeirExtensions};
use super::schema::Schema;
use super::template::Variables;
use crate::rate::app::TakeName;

/// What a root field asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Invocation {
    /// One call.
    Function {
        /// The function's name; it is a root field of the operation's root.
        name: String,
        /// An object, or null for none.
        arguments: Value,
    },
    /// Many calls, answered by the JSON of `[CallResult!]!`.
    Batch {
        /// In order.
        calls: Vec<Call>,
        /// All or none.
        atomic: bool,
    },
}

/// What an operation is about to do.
pub struct Called<'a> {
    /// What it costs.
    pub cost: u64,
    /// Names each function that it calls, as often as it does.
    pub functions: &'a dyn Fn(TakeName<'_>),
    /// The same with the arguments of each call, as far as they are any.
    pub calls: &'a dyn Fn(TakeCall<'_>),
}

/// Is told each call of an operation: the function and its arguments, not checked yet.
pub type TakeCall<'c> = &'c mut dyn FnMut(&str, &Value);

/// Runs a query or a mutation. Root fields for which there is no room any more are not called.
pub async fn execute<F, R>(
    schema: &Schema,
    operation: &Operation,
    variables: Map<String, Value>,
    caller: &Caller,
    room: Room,
    call: F,
) -> Response
where
    F: Fn(String, Invocation) -> R,
    R: Future<Output = Result<Answer, CallError>>,
{
    execute_admitted(schema, operation, variables, caller, room, |_| Ok(()), call).await
}

/// The same, if it is let in once it is known what it asks.
pub async fn execute_admitted<F, R>(
    schema: &Schema,
    operation: &Operation,
    variables: Map<String, Value>,
    caller: &Caller,
    mut room: Room,
    admit: impl FnOnce(&Called<'_>) -> Result<(), GraphqlError>,
    call: F,
) -> Response
where
    F: Fn(String, Invocation) -> R,
    R: Future<Output = Result<Answer, CallError>>,
{
    let (mut variables, prepared, cost) = match start(schema, operation, variables, Lists::Whole) {
        Ok(started) => started,
        Err(errors) => return Response::refused(errors),
    };
    let plan = &prepared.plan;
    let root = root_of(schema, operation.kind);
    let functions = |take: TakeName<'_>| cost::functions(plan, &variables, take);
    let calls = |take: TakeCall<'_>| calls(plan, root, &mut variables.clone(), take);
    if let Err(error) = admit(&Called { cost, functions: &functions, calls: &calls }) {
        return Response::refused(vec![error]);
    }
    prepared.tally.add();
    variables.expect_reads(&plan.reads);
    let mut projection = Projection::start();
    let mut nulled = false;
    let (mut newest, mut oldest) = (None, None);
    for field in &plan.roots {
        // Nothing can be told of what would come after.
        if nulled {
            break;
        }
        projection.key(&field.key);
        match &field.source {
            RootSource::Typename(name) => projection.typename(name),
            RootSource::Schema { completion, locations } => match check_schema(completion, &mut variables) {
                Ok(()) => {
                    let written = projection.written(|out| write_schema(out, &schema.api, completion));
                    if written.is_err() {
                        nulled |= projection.failed(&field.key, completion, locations, too_much()).is_err();
                    }
                }
                Err((key, error)) => {
                    projection.failed_below(&field.key, key, error);
                    nulled = true;
                }
            },
            RootSource::Type { name, completion, locations } => match named(name, &mut variables) {
                Ok(name) => {
                    let written = projection.written(|out| write_type(out, &schema.api, &name, completion));
                    if written.is_err() {
                        nulled |= projection.failed(&field.key, completion, locations, too_much()).is_err();
                    }
                }
                Err(error) => nulled |= projection.failed(&field.key, completion, locations, error).is_err(),
            },
            RootSource::Call(field_call) => {
                let has_room = room.check().map_err(|full| GraphqlError::of_call(full, caller));
                let answer = match has_room.and_then(|()| invocation(root, field_call, &mut variables)) {
                    Ok(invocation) => call(field.key.name.clone(), invocation)
                        .await
                        .map_err(|error| GraphqlError::of_call(error, caller)),
                    Err(error) => Err(error),
                };
                let before = projection.bytes();
                if let Ok(answer) = &answer {
                    newest = newest.max(Some(answer.commit));
                    oldest = oldest.max(answer.age);
                }
                nulled |= write(&mut projection, &field.key, field_call, answer.as_ref().map(|answer| &answer.value));
                room.take(projection.bytes().saturating_sub(before));
            }
        }
    }
    let (data, errors) = projection.finish(nulled);
    let is_told = |commit: &Timestamp| {
        oldest.is_some() || (*commit > Timestamp::ZERO && operation.kind == OperationKind::Mutation)
    };
    let commit = newest.filter(is_told);
    let weir = commit.map(|commit| WeirExtensions { cursor: None, commit, age_ms: oldest.map(age_ms) });
    Response { data: Some(data), errors, weir }
}

/// Why introspection gives nothing.
fn too_much() -> GraphqlError {
    let message = format!("asking for the schema in this way gives more than {INTROSPECTION_BYTES_MAX} bytes");
    GraphqlError::limit("introspection", message)
}

fn age_ms(age: Duration) -> u64 {
    u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
}

/// A subscription about to be watched.
pub struct Subscribed {
    prepared: Arc<Prepared>,
    /// What it costs once.
    pub cost: u64,
    /// The function to watch.
    pub function: String,
    /// Its arguments.
    pub arguments: Value,
}

/// Starts a subscription: what it watches is known, nothing has been called.
pub fn subscribe(
    schema: &Schema,
    operation: &Operation,
    variables: Map<String, Value>,
) -> Result<Subscribed, Vec<GraphqlError>> {
    let (mut variables, prepared, cost) = start(schema, operation, variables, Lists::Whole)?;
    variables.expect_reads(&prepared.plan.reads);
    let call = prepared.plan.roots.iter().find_map(|root| match &root.source {
        RootSource::Call(call) => Some((&root.key, call)),
        _ => None,
    });
    let defect = || vec![GraphqlError::new(ErrorCode::Internal, "the subscription selects nothing to watch")];
    let (key, call) = call.ok_or_else(defect)?;
    match invocation(&schema.api.subscription, call, &mut variables)
        .map_err(|error| vec![error.at_all(&call.locations).on(vec![key.step()])])?
    {
        Invocation::Function { name, arguments } => Ok(Subscribed { function: name, arguments, prepared, cost }),
        Invocation::Batch { .. } => Err(defect()),
    }
}

impl Subscribed {
    /// Counts what it asks for as in use, for as long as the value is held.
    pub fn hold(&self) -> Held {
        self.prepared.tally.hold()
    }

    /// The response for one emission of the watch. A failed one has errors and null, and is followed by others.
    pub fn respond(&self, emission: Result<&Emission, &CallError>, caller: &Caller) -> Response {
        let weir = emission.ok().map(|emission| WeirExtensions {
            cursor: Some(emission.cursor.clone()),
            commit: emission.commit,
            age_ms: emission.age.map(age_ms),
        });
        Response { weir, ..self.project(emission.map(|emission| &emission.value), caller) }
    }

    /// The value of one emission for a client that takes patches; the response in its place if something failed.
    pub fn version(&self, emission: Result<&Emission, &CallError>, caller: &Caller) -> Result<Version, Response> {
        let response = self.respond(emission, caller);
        let call = self.prepared.plan.roots.iter().find_map(|root| match &root.source {
            RootSource::Call(call) => Some((&root.key, call.form)),
            _ => None,
        });
        match (emission, call, response) {
            (Ok(emission), Some((key, form)), Response { data: Some(data), errors, weir: Some(weir) })
                if errors.is_empty() =>
            {
                Ok(Version::new(key, &emission.value, form, data, weir))
            }
            (_, _, response) => Err(response),
        }
    }

    /// The response for one event of a stream. A failed one has errors and null, and is the last.
    pub fn respond_event(&self, event: Result<&Answer, &CallError>, caller: &Caller) -> Response {
        let weir = event.ok().map(|event| WeirExtensions { cursor: None, commit: event.commit, age_ms: None });
        Response { weir, ..self.project(event.map(|event| &event.value), caller) }
    }

    fn project(&self, value: Result<&Arc<Content>, &CallError>, caller: &Caller) -> Response {
        let mut projection = Projection::start();
        let mut nulled = false;
        for field in &self.prepared.plan.roots {
            let RootSource::Call(call) = &field.source else { continue };
            projection.key(&field.key);
            let failed = value.map_err(|error| GraphqlError::of_call(error.clone(), caller));
            nulled |= write(&mut projection, &field.key, call, failed.as_ref().copied());
        }
        let (data, errors) = projection.finish(nulled);
        Response { data: Some(data), errors, weir: None }
    }
}

/// Coerces the variables and finds the plan for them, and what it costs. Refuses what is past `variables_bytes` or `cost`.
pub(super) fn start<'o>(
    schema: &Schema,
    operation: &'o Operation,
    given: Map<String, Value>,
    lists: Lists,
) -> Result<(Variables<'o>, Arc<Prepared>, u64), Vec<GraphqlError>> {
    let bytes_max = schema.settings.variables_bytes;
    if json_bytes(&given) > bytes_max {
        let message = format!("the variables have more than {bytes_max} bytes");
        return Err(vec![GraphqlError::limit("variables_bytes", message)]);
    }
    let variables =
        Variables::coerce(&schema.api, &operation.variables, given).map_err(|errors| schema.tell(errors))?;
    let prepared = operation.plan(schema, &variables).map_err(|error| vec![error])?;
    let Prepared { plan, cost, .. } = prepared.as_ref();
    let cost = schema.prices.check(operation.kind, plan, cost, &variables, lists).map_err(|error| vec![error])?;
    // A variable is there once more each time that it is used again.
    let copies = plan.reads.iter().enumerate().filter(|(_, reads)| **reads > 1).map(|(index, reads)| {
        let bytes = variables.get(index).map_or(0, json_bytes);
        bytes.saturating_mul(*reads as usize)
    });
    if copies.fold(0, usize::saturating_add) > bytes_max {
        let message = format!("the variables, as often as they are used, have more than {bytes_max} bytes");
        return Err(vec![GraphqlError::limit("variables_bytes", message)]);
    }
    Ok((variables, prepared, cost))
}

fn root_of(schema: &Schema, kind: OperationKind) -> &Object {
    match kind {
        OperationKind::Query => &schema.api.query,
        OperationKind::Mutation => &schema.api.mutation,
        OperationKind::Subscription => &schema.api.subscription,
    }
}

/// Tells the calls that the root fields of a plan are.
fn calls(plan: &Plan, root: &Object, variables: &mut Variables<'_>, take: TakeCall<'_>) {
    for field in &plan.roots {
        let RootSource::Call(call) = &field.source else { continue };
        match invocation(root, call, variables) {
            Ok(Invocation::Function { name, arguments }) => take(&name, &arguments),
            Ok(Invocation::Batch { calls, .. }) => calls.iter().for_each(|call| take(&call.function, &call.args)),
            // It is told where it is called.
            Err(_) => {}
        }
    }
}

/// Writes what came of a root field. Whether null has to go further up.
fn write<'p>(
    projection: &mut Projection<'p>,
    key: &'p Key,
    call: &'p RootCall,
    value: Result<&Arc<Content>, &GraphqlError>,
) -> bool {
    let written = match value {
        Ok(content) => projection.shared(key, call, content),
        Err(error) => projection.failed(key, &call.completion, &call.locations, error.clone()),
    };
    written.is_err()
}

/// Whether a function of the app is a field of this root.
pub fn has_function(root: &Object, name: &str) -> bool {
    root.field(name).is_some() && name != INVOKE && name != BATCH
}

/// The value of an argument, if it has one.
fn filled(argument: &Argument, variables: &mut Variables<'_>) -> Result<Option<Value>, GraphqlError> {
    let value = argument.value.fill(variables).map_err(|bad| GraphqlError::from(bad).at(argument.location))?;
    Ok(value.or_else(|| argument.default.clone()))
}

/// Checks the arguments in `__schema` that a variable may make null. An error comes with its response key.
fn check_schema<'p>(completion: &'p Completion, variables: &mut Variables<'_>) -> Result<(), (&'p Key, GraphqlError)> {
    let Complete::Object(selected) = &completion.of else { return Ok(()) };
    for field in &selected.fields {
        let Some(member) = &field.member else { continue };
        for argument in &member.arguments {
            filled(argument, variables).map_err(|error| (&field.key, error.at_all(&member.locations)))?;
        }
    }
    Ok(())
}

/// The name in an argument.
fn named(argument: &Argument, variables: &mut Variables<'_>) -> Result<String, GraphqlError> {
    match filled(argument, variables)? {
        Some(Value::String(name)) => Ok(name),
        _ => Err(BadInput { path: argument.name.clone(), message: "missing".into() }.into()),
    }
}

/// What a root field asks for, its arguments filled in.
pub(super) fn invocation(
    root: &Object,
    call: &RootCall,
    variables: &mut Variables<'_>,
) -> Result<Invocation, GraphqlError> {
    let mut arguments = Map::with_capacity(call.arguments.len());
    for argument in &call.arguments {
        if let Some(value) = filled(argument, variables)? {
            arguments.insert(argument.name.clone(), value);
        }
    }
    match call.field.as_str() {
        INVOKE => {
            let name = match arguments.remove("function") {
                Some(Value::String(name)) => name,
                _ => return Err(BadInput { path: "function".into(), message: "missing".into() }.into()),
            };
            if !has_function(root, &name) {
                let message = format!("{} has no function {name}", root.name);
                return Err(GraphqlError::new(ErrorCode::NotFound, message));
            }
            let arguments = arguments.remove("args").unwrap_or_default();
            Ok(Invocation::Function { name, arguments })
        }
        BATCH => {
            let calls = serde_json::from_value(arguments.remove("calls").unwrap_or_default());
            let calls = calls.map_err(|error| BadInput { path: "calls".into(), message: error.to_string() });
            let atomic = arguments.remove("atomic").and_then(|atomic| atomic.as_bool()).unwrap_or(true);
            Ok(Invocation::Batch { calls: calls?, atomic })
        }
        name => Ok(Invocation::Function { name: name.to_owned(), arguments: Value::Object(arguments) }),
    }
}
