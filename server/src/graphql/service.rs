//! The active release with its schema, and the running of operations against it.

use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::sync::watch;
use weir_engine::Engine;
use weir_engine::call::{CallError, Caller};
use weir_engine::idempotency::IdempotencyKey;
use weir_engine::lines::Elements;
use weir_engine::live::Watch;
use weir_engine::origin::Connection;
use weir_engine::places::{Place, Places};
use weir_engine::release::Release;
use weir_engine::room::Room;
use weir_engine::row::Row;
use weir_engine::streams::Stream;
use weir_store::Poisoned;

use super::document::Operation;
use super::execute::{Subscribed, execute};
use super::lines::Listed;
use super::{Response, Schema, call};

/// A release and its schema. Whoever holds one keeps both, whatever is activated meanwhile.
pub struct Served {
    /// What runs.
    pub release: Arc<Release>,
    /// What is asked.
    pub schema: Schema,
}

/// The way from an operation to the engine.
#[derive(Clone)]
pub struct Service {
    engine: Engine,
    served: watch::Receiver<Option<Arc<Served>>>,
}

impl Service {
    /// A service of what `served` holds.
    pub fn new(engine: Engine, served: watch::Receiver<Option<Arc<Served>>>) -> Self {
        Self { engine, served }
    }

    /// The same for what comes by a connection.
    pub fn on(&self, connection: Connection) -> Self {
        Self { engine: self.engine.on(connection), served: self.served.clone() }
    }

    /// Whether calls can be answered; if not, why.
    pub fn is_ready(&self) -> Result<(), Poisoned> {
        self.engine.is_ready()
    }

    /// What is served at the moment; `None` before the first release.
    pub fn current(&self) -> Option<Arc<Served>> {
        self.served.borrow().clone()
    }

    /// What is served at the moment, and everything that replaces it.
    pub fn changes(&self) -> watch::Receiver<Option<Arc<Served>>> {
        self.served.clone()
    }

    /// Runs a query or a mutation.
    pub async fn execute(
        &self,
        served: &Served,
        operation: &Operation,
        variables: Map<String, Value>,
        caller: &Caller,
        key: Option<&IdempotencyKey>,
    ) -> Response {
        let call = |field, asked| call::invoke(&self.engine, &served.release, caller, key, field, asked);
        let room = Room::new(served.release.limits().response_bytes);
        execute(&served.schema, operation, variables, caller, room, call).await
    }

    /// Has an endpoint of the release answer a request.
    pub async fn answer(&self, served: &Served, place: usize, request: &Value) -> Result<Value, CallError> {
        self.engine.answer(&served.release, place, request).await
    }

    /// Calls of a caller, one after the other, that are no GraphQL operation.
    pub fn row(&self, served: &Served, caller: &Caller) -> Row {
        Row::new(&self.engine, &served.release, caller)
    }

    /// Watches what a subscription selects; `after` is the cursor of a message that the client has.
    pub fn watch(&self, served: &Served, subscribed: &Subscribed, caller: &Caller, after: Option<String>) -> Watch {
        let arguments = subscribed.arguments.clone();
        self.engine.watch(&served.release, caller, &subscribed.function, arguments, after)
    }

    /// Calls the query whose list is to be answered line by line.
    pub async fn elements(&self, served: &Served, listed: &Listed, caller: &Caller) -> Result<Elements, CallError> {
        self.engine.elements(&served.release, caller, &listed.function, listed.arguments.clone()).await
    }

    /// A place for one more `what` of a caller, on this connection.
    pub fn place(&self, places: &Places, caller: &Caller, what: &str) -> Result<Place, CallError> {
        self.engine.place(places, caller, what)
    }

    /// A place for one more stream of a caller.
    pub fn stream_place(&self, caller: &Caller) -> Result<Place, CallError> {
        self.engine.stream_place(caller)
    }

    /// Starts the stream that a subscription selects.
    pub fn stream(
        &self,
        place: Place,
        served: &Served,
        subscribed: &Subscribed,
        caller: &Caller,
    ) -> Result<Stream, CallError> {
        let arguments = subscribed.arguments.clone();
        self.engine.stream(place, &served.release, caller, &subscribed.function, arguments)
    }
}

/// Builds the schema of each release that the engine activates, and serves it whole. Ends with the engine.
///
/// A release whose schema cannot be built is not served; the one before stays. `weir check` refuses such an app.
pub async fn follow(mut releases: watch::Receiver<Option<Arc<Release>>>, served: watch::Sender<Option<Arc<Served>>>) {
    loop {
        let release = releases.borrow_and_update().clone();
        if let Some(release) = release {
            match Schema::build(release.declarations(), release.graphql()) {
                Ok(schema) => {
                    served.send_replace(Some(Arc::new(Served { release, schema })));
                }
                Err(error) => tracing::error!("the new release is not served: {error}"),
            }
        }
        if releases.changed().await.is_err() {
            return;
        }
    }
}
