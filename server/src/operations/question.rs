//! What a subscription keeps of its request for as long as it goes on.
//!
//! Rule: no more than its document asks for, as text, which takes the least memory, and in the room that the bodies of
//! requests have.

use serde_json::{Map, Value};
use weir_schema::error::ErrorCode;

use crate::graphql::document::Operation;
use crate::graphql::{GraphqlError, Request};
use crate::http::bodies::{Bodies, Held};
use crate::http::connection::Written;

/// A request that will be asked again, of other releases.
pub struct Question {
    /// The request, without its variables.
    pub request: Request,
    /// Those that its document declares, as JSON text.
    variables: Box<str>,
    _held: Held,
}

impl Question {
    /// Keeps a request.
    pub fn of(mut request: Request, operation: &Operation, bodies: &Bodies) -> Result<Self, GraphqlError> {
        let is_declared = |name: &str| operation.variables.iter().any(|variable| variable.name == name);
        let mut variables = std::mem::take(&mut request.variables);
        variables.retain(|name, _| is_declared(name));
        request.weir = Map::new();
        let variables = Value::Object(variables).to_string().into_boxed_str();
        // Each has a little always, as a connection has.
        let mut held = bodies.hold(&Written::default());
        held.grow(variables.len()).map_err(|no_room| GraphqlError::new(ErrorCode::Unavailable, no_room.to_string()))?;
        Ok(Self { request, variables, _held: held })
    }

    /// The variables.
    pub fn variables(&self) -> Map<String, Value> {
        // It is text of our own.
        serde_json::from_str(&self.variables).unwrap_or_default()
    }
}
