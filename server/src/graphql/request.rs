//! The parameters of a request, whatever brought it.

use serde_json::{Map, Value};
use weir_engine::idempotency::IdempotencyKey;
use weir_schema::error::ErrorCode;

use super::GraphqlError;

/// The header of HTTP and the member of `extensions.weir` that carry an idempotency key.
const KEY: &str = "Idempotency-Key or extensions.weir.idempotencyKey";

/// What a client hears that sends an array of requests.
pub(super) const SEVERAL: &str = "send one request, not an array of them: one document may have several root fields, and many calls go \
                       into the root field batch of mutations or into lines of application/jsonl";

/// A GraphQL request (<https://graphql.github.io/graphql-over-http/draft/#sec-Request-Parameters>).
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The document's text.
    pub query: String,
    /// Which of its operations.
    pub operation_name: Option<String>,
    /// By name without `$`.
    pub variables: Map<String, Value>,
    /// `extensions.weir`: what the client asks of Weir.
    pub weir: Map<String, Value>,
}

impl Request {
    /// Takes the parameters from the JSON that a client sent. `null` counts as left out.
    pub fn parse(value: Value) -> Result<Self, GraphqlError> {
        let mut given = match value {
            Value::Object(given) => given,
            Value::Array(_) => return Err(bad(SEVERAL)),
            _ => return Err(bad("a request is a JSON object with the member query")),
        };
        let query = match given.remove("query") {
            Some(Value::String(query)) => query,
            None | Some(Value::Null) => return Err(bad("the request has no query")),
            Some(_) => return Err(bad("query must be a string")),
        };
        let operation_name = match given.remove("operationName") {
            Some(Value::String(name)) => Some(name),
            None | Some(Value::Null) => None,
            Some(_) => return Err(bad("operationName must be a string")),
        };
        let variables = object(given.remove("variables"), "variables must be an object")?;
        let mut extensions = object(given.remove("extensions"), "extensions must be an object")?;
        let weir = object(extensions.remove("weir"), "extensions.weir must be an object")?;
        Ok(Self { query, operation_name, variables, weir })
    }

    /// The idempotency key of the request: from `extensions.weir.idempotencyKey` or from the header that came with it.
    pub fn idempotency_key(&self, header: Option<&str>) -> Result<Option<IdempotencyKey>, GraphqlError> {
        let member = match self.weir.get("idempotencyKey") {
            None | Some(Value::Null) => None,
            Some(Value::String(key)) => Some(key.as_str()),
            Some(_) => return Err(bad("extensions.weir.idempotencyKey must be a string")),
        };
        let key = match (member, header) {
            (Some(member), Some(header)) if member != header => {
                return Err(bad(&format!("{KEY}: both are there and differ; send one")));
            }
            (member, header) => member.or(header),
        };
        key.map(|key| IdempotencyKey::parse(key).map_err(|error| bad(&format!("{KEY}: {error}")))).transpose()
    }
}

fn object(value: Option<Value>, message: &str) -> Result<Map<String, Value>, GraphqlError> {
    match value {
        Some(Value::Object(object)) => Ok(object),
        None | Some(Value::Null) => Ok(Map::new()),
        Some(_) => Err(bad(message)),
    }
}

fn bad(message: &str) -> GraphqlError {
    GraphqlError::new(ErrorCode::BadRequest, message)
}
