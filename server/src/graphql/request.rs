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

/// How a request names its document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// By its text.
    Text(String),
    /// By the id of a trusted one: `documentId`.
    Id(String),
    /// By its digest: `extensions.persistedQuery`.
    Hash {
        /// What the client gives as the digest.
        hash: String,
        /// The text, where it is to be remembered.
        text: Option<String>,
    },
}

/// A GraphQL request (<https://graphql.github.io/graphql-over-http/draft/#sec-Request-Parameters>).
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Its document.
    pub asked: Asked,
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
        let text = |value: Option<Value>, name: &str| match value {
            Some(Value::String(text)) => Ok(Some(text)),
            None | Some(Value::Null) => Ok(None),
            Some(_) => Err(bad(&format!("{name} must be a string"))),
        };
        let query = text(given.remove("query"), "query")?;
        let id = text(given.remove("documentId"), "documentId")?;
        let operation_name = match given.remove("operationName") {
            Some(Value::String(name)) => Some(name),
            None | Some(Value::Null) => None,
            Some(_) => return Err(bad("operationName must be a string")),
        };
        let variables = object(given.remove("variables"), "variables must be an object")?;
        let mut extensions = object(given.remove("extensions"), "extensions must be an object")?;
        let weir = object(extensions.remove("weir"), "extensions.weir must be an object")?;
        let hash = persisted_hash(extensions.remove("persistedQuery"))?;
        // Clients whose protocol wants a query send an empty one with what stands for it.
        let query = query.filter(|query| !query.is_empty() || (id.is_none() && hash.is_none()));
        let asked = match (query, id, hash) {
            (Some(text), None, None) => Asked::Text(text),
            (None, Some(id), None) => Asked::Id(id),
            (text, None, Some(hash)) => Asked::Hash { hash, text },
            (None, None, None) => return Err(bad("the request has no query")),
            (_, Some(_), _) => return Err(bad("documentId stands for the query: send one of them")),
        };
        Ok(Self { asked, operation_name, variables, weir })
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

/// `extensions.persistedQuery.sha256Hash`.
fn persisted_hash(value: Option<Value>) -> Result<Option<String>, GraphqlError> {
    let mut persisted = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(persisted)) => persisted,
        Some(_) => return Err(bad("extensions.persistedQuery must be an object")),
    };
    match (persisted.get("version").and_then(Value::as_u64), persisted.remove("sha256Hash")) {
        (Some(1), Some(Value::String(hash))) => Ok(Some(hash)),
        (Some(1), _) => Err(bad("extensions.persistedQuery.sha256Hash must be a string")),
        _ => Err(bad("extensions.persistedQuery.version must be 1")),
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
