//! The releases that take calls with their schemas, and the running of operations against them.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::sync::watch;
use weir_engine::call::{CallError, Caller};
use weir_engine::idempotency::IdempotencyKey;
use weir_engine::lines::Elements;
use weir_engine::live::Watch;
use weir_engine::origin::Connection;
use weir_engine::places::{Place, Places};
use weir_engine::release::Release;
use weir_engine::rollouts::traffic::{Asker, Traffic};
use weir_engine::room::Room;
use weir_engine::row::Row;
use weir_engine::serving::Serving;
use weir_engine::streams::Stream;
use weir_engine::{Engine, ResultCounts};
use weir_schema::error::ErrorCode;
use weir_store::Poisoned;

use super::affinity::{Affinity, Unrouted};
use super::cache::{CacheCounters, OperationCache};
use super::document::Operation;
use super::execute::{Called, Subscribed, TakeCall, execute_admitted};
use super::lines::Listed;
use super::persisted::Persisted;
use super::plan::OperationKind;
use super::{GraphqlError, Request, Response, Schema, call};
use crate::auth::Credentials;
use crate::metrics::{Metrics, Readings};
use crate::rate::app::TakeName;
use crate::rate::rates::{Asked, Holds};
use crate::rate::{AppRates, Limited, Rates, Who};

/// A release and its schema. Whoever holds one keeps both, whatever is activated meanwhile.
pub struct Served {
    /// What runs.
    pub release: Arc<Release>,
    /// What is asked.
    pub schema: Schema,
    /// How often each caller may ask it.
    pub rates: AppRates,
}

/// Where what is asked comes from.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    /// The connection.
    pub connection: Connection,
    /// The client's address.
    pub address: IpAddr,
}

/// The way from an operation to the engine.
#[derive(Clone)]
pub struct Service {
    engine: Engine,
    served: watch::Receiver<AllServed>,
    metrics: Arc<Metrics>,
    persisted: Arc<Persisted>,
    rates: Arc<Rates>,
    address: IpAddr,
    affinity: Option<Arc<Affinity>>,
}

/// All releases that are loaded, each with its schema.
pub type AllServed = Vec<Arc<Served>>;

impl Service {
    /// A service of what `served` holds, for nobody yet.
    pub fn new(
        engine: Engine,
        served: watch::Receiver<AllServed>,
        metrics: Arc<Metrics>,
        persisted: Persisted,
        rates: Arc<Rates>,
    ) -> Self {
        let (persisted, address) = (Arc::new(persisted), Ipv4Addr::UNSPECIFIED.into());
        Self { engine, served, metrics, persisted, rates, address, affinity: None }
    }

    /// What runs the operations.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether only trusted documents run on a release.
    pub fn is_trusted_only(&self, served: &Served) -> bool {
        self.persisted.is_trusted_only(served)
    }

    /// The text of what is counted; `readings` has what the service cannot see.
    pub fn metrics(&self, readings: Readings) -> String {
        let current = self.current();
        let cache = current.as_ref().map(|served| &served.schema.cache);
        let ResultCounts { kept, joined, run } = self.engine.result_counts();
        self.metrics.text(&Readings {
            plan_cache_bytes: cache.map_or(0, OperationCache::bytes),
            plan_cache_operations: cache.map_or(0, OperationCache::len) as u64,
            results: [kept, joined, run],
            registered_bytes: self.persisted.registered_bytes(),
            rate_refused: self.rates.refusals(),
            rate_overflowed: self.rates.overflowed(),
            app: self.engine.app_metrics(),
            releases: self.engine.release_calls(),
            // Of a store that cannot be read there is nothing to tell.
            rollouts: self.engine.rollout_readings().unwrap_or_default(),
            ..readings
        })
    }

    /// The same for what comes from somewhere.
    pub fn on(&self, Source { connection, address }: Source) -> Self {
        let line = self.rates.line(address, connection);
        let engine = self.engine.on(line);
        // What comes by no listener of ours comes from nowhere.
        let engine = if address.is_unspecified() { engine } else { engine.at(address) };
        Self { engine, address, ..self.clone() }
    }

    /// The same for a client that says where its calls should go.
    pub fn with(&self, affinity: Option<Arc<Affinity>>) -> Self {
        let engine = match affinity.as_ref().and_then(|affinity| affinity.line()) {
            Some(line) => self.engine.on_line(line.range()),
            None => self.engine.clone(),
        };
        let engine = match affinity.as_ref().and_then(|affinity| affinity.visitor()) {
            Some(visitor) => engine.of_visitor(visitor),
            None => engine,
        };
        Self { engine, affinity, ..self.clone() }
    }

    /// What answers whoever has shown that.
    pub async fn route(&self, credentials: &Credentials) -> Result<Arc<Served>, Unrouted> {
        let line = self.affinity.as_ref().and_then(|affinity| affinity.line());
        let release = match line {
            None => self.engine.route(|| self.asker(credentials)).ok_or(Unrouted::Nothing)?,
            Some(line) => self.engine.route_on(line, self.asker(credentials)).await?,
        };
        self.served_as(&release).ok_or(Unrouted::Nothing)
    }

    /// Counts whoever has shown that among the callers of an experiment, if one is under way: they have made a call. Whether the release
    /// that they see knows the operation makes no difference, or variants would be compared by different callers; what is an
    /// operation of no release counts for none.
    pub fn count(&self, credentials: &Credentials, prepared: Result<(), &[GraphqlError]>) {
        let is_none = |error: &GraphqlError| {
            let code = error.extensions.code;
            matches!(code, ErrorCode::BadRequest | ErrorCode::GraphqlParseFailed | ErrorCode::PersistedQueryNotFound)
        };
        let is_where_they_want = self.affinity.as_ref().is_some_and(|affinity| affinity.line().is_some());
        if !is_where_they_want && !prepared.is_err_and(|errors| errors.iter().any(is_none)) {
            self.engine.count_caller(self.asker(credentials));
        }
    }

    /// By what whoever has shown that is known where calls are split.
    fn asker<'a>(&'a self, credentials: &'a Credentials) -> Asker<'a> {
        match credentials {
            Credentials::Token(verified) => verified.asker(),
            Credentials::Tokenless(Caller::Anonymous) => {
                match self.affinity.as_ref().and_then(|affinity| affinity.visitor()) {
                    Some(visitor) => Asker::Visitor(visitor),
                    None if self.address.is_unspecified() => Asker::Nobody,
                    None => Asker::Address(self.address),
                }
            }
            Credentials::Tokenless(_) => Asker::Nobody,
        }
    }

    fn served_as(&self, release: &Release) -> Option<Arc<Served>> {
        let number = release.number();
        self.served.borrow().iter().find(|served| served.release.number() == number).cloned()
    }

    fn who<'a>(&self, caller: &'a Caller) -> Who<'a> {
        Who { address: self.address, caller }
    }

    /// Lets a caller's operation in, or says why not. It is counted.
    pub fn admit(&self, served: &Served, caller: &Caller, called: &Called<'_>) -> Result<(), GraphqlError> {
        let policies = |take: TakeName<'_>| {
            let rated_by = |function: &str, arguments: &Value| served.release.rated_by(caller, function, arguments);
            (called.calls)(&mut |function, arguments| {
                if let Some(rate) = rated_by(function, arguments) {
                    take(&rate.policy);
                }
            });
        };
        let asked = Asked { cost: called.cost, functions: called.functions, policies: &policies };
        self.rates.operation(&served.rates, self.who(caller), &asked).map_err(GraphqlError::from)
    }

    /// The same for one that calls a single function. One that is refused counts as answered.
    pub fn admit_call(
        &self,
        served: &Served,
        caller: &Caller,
        kind: OperationKind,
        cost: u64,
        (function, arguments): (&str, &Value),
    ) -> Result<(), GraphqlError> {
        let functions = |take: TakeName<'_>| take(function);
        let calls = |take: TakeCall<'_>| take(function, arguments);
        let admitted = self.admit(served, caller, &Called { cost, functions: &functions, calls: &calls });
        admitted.inspect_err(|error| self.metrics.request(Some(kind), Err(error.extensions.code)))
    }

    /// Counts a subscription as one that a caller holds.
    pub fn hold_subscription(&self, caller: &Caller) -> Result<Holds, GraphqlError> {
        self.rates.subscription(self.who(caller)).map_err(GraphqlError::from)
    }

    /// Counts a WebSocket as one that a caller holds.
    pub fn hold_socket(&self, caller: &Caller) -> Result<Holds, Limited> {
        self.rates.socket_of(self.who(caller))
    }

    /// Counts a message of a WebSocket.
    pub fn message(&self, caller: &Caller) -> Result<(), Limited> {
        self.rates.message(self.who(caller))
    }

    /// Whether calls can be answered; if not, why.
    pub fn is_ready(&self) -> Result<(), Poisoned> {
        self.engine.is_ready()
    }

    /// The active release; `None` before the first one.
    pub fn current(&self) -> Option<Arc<Served>> {
        let release = self.engine.route(|| Asker::Nobody)?;
        self.served_as(&release)
    }

    /// Waits until the active release is served: it may have become active before anybody was there to make a schema of it.
    pub async fn ready(&self) {
        let (mut served, mut traffic) = (self.served.clone(), self.changes());
        loop {
            served.borrow_and_update();
            traffic.borrow_and_update();
            if self.current().is_some() {
                return;
            }
            // An error means that the server is gone, and with it the reason to wait.
            tokio::select! {
                changed = served.changed() => if changed.is_err() { return },
                changed = traffic.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Where calls go at the moment, and each change of that.
    pub fn changes(&self) -> watch::Receiver<Arc<Traffic>> {
        self.engine.traffic()
    }

    /// Waits until whoever has shown that is answered by a release by whose policies they may be denied what another allowed; says so.
    pub async fn other_policies(&self, before: &Served, caller: &Caller, credentials: &Credentials) -> GraphqlError {
        let mut changes = self.changes();
        loop {
            changes.borrow_and_update();
            let next = self.route(credentials).await;
            if next.is_ok_and(|next| !next.release.decides_as(&before.release, caller)) {
                break;
            }
            if changes.changed().await.is_err() {
                // The server ends.
                std::future::pending::<()>().await;
            }
        }
        GraphqlError::new(ErrorCode::Forbidden, "the policies have changed since this began: begin it again")
    }

    /// The operation that a request asks for, valid and compiled. One that is refused counts as answered.
    pub async fn prepare(&self, served: &Served, request: &Request) -> Result<Arc<Operation>, Vec<GraphqlError>> {
        let prepared = self.operation(served, request).await;
        if let Err(errors) = &prepared {
            self.metrics.request(None, outcome(errors));
        }
        prepared
    }

    /// The same of a request that will be answered by another way.
    pub async fn operation(&self, served: &Served, request: &Request) -> Result<Arc<Operation>, Vec<GraphqlError>> {
        self.persisted.prepare(&self.engine, served, request).await
    }

    /// Has a request know its document for as long as it goes on: it will be prepared again for the next release.
    pub fn hold(&self, request: &mut Request) {
        self.persisted.hold(request);
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
        let key = key.map(|key| self.own_key(key, caller));
        let call = |field, asked| call::invoke(&self.engine, &served.release, caller, key.as_ref(), field, asked);
        let room = Room::new(served.release.limits().response_bytes);
        let admit = |called: &Called<'_>| self.admit(served, caller, called);
        let response = execute_admitted(&served.schema, operation, variables, caller, room, admit, call).await;
        self.metrics.request(Some(operation.kind), outcome(&response.errors));
        response
    }

    /// Has an endpoint of the release answer a request.
    pub async fn answer(&self, served: &Served, place: usize, request: &Value) -> Result<Value, CallError> {
        self.engine.answer(&served.release, place, request).await
    }

    /// An idempotency key as its caller's alone: who shows no token is known by the address, an IPv6 one by its network.
    pub fn own_key(&self, key: &IdempotencyKey, caller: &Caller) -> IdempotencyKey {
        match (caller, self.address.to_canonical()) {
            (Caller::Anonymous, IpAddr::V4(address)) => key.at(&address.to_string()),
            (Caller::Anonymous, IpAddr::V6(address)) => key.at(&format!("{:x}", address.to_bits() >> 64)),
            (Caller::Developer | Caller::Scheduler | Caller::Token(_), _) => key.clone(),
        }
    }

    /// Calls of a caller, one after the other, that are no GraphQL operation.
    pub fn row(&self, served: &Served, caller: &Caller) -> Row {
        Row::new(&self.engine, &served.release, caller)
    }

    /// Watches what a subscription selects; `after` is the cursor of a message that the client has.
    pub fn watch(&self, served: &Served, subscribed: &Subscribed, caller: &Caller, after: Option<String>) -> Watch {
        let arguments = subscribed.arguments.clone();
        self.metrics.request(Some(OperationKind::Subscription), Ok(()));
        self.engine.watch(&served.release, caller, &subscribed.function, arguments, after)
    }

    /// Calls the query whose list is to be answered line by line.
    pub async fn elements(&self, served: &Served, listed: &Listed, caller: &Caller) -> Result<Elements, CallError> {
        let elements = self.engine.elements(&served.release, caller, &listed.function, listed.arguments.clone()).await;
        self.metrics.request(Some(OperationKind::Query), elements.as_ref().map(drop).map_err(|error| error.code));
        elements
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
        let stream = self.engine.stream(place, &served.release, caller, &subscribed.function, arguments);
        self.metrics.request(Some(OperationKind::Subscription), stream.as_ref().map(drop).map_err(|error| error.code));
        stream
    }
}

/// What came of a request, by its first error.
fn outcome(errors: &[GraphqlError]) -> Result<(), ErrorCode> {
    errors.first().map_or(Ok(()), |error| Err(error.extensions.code))
}

/// Builds the schema of each release that the engine has loaded, before calls go to it. Ends with the engine.
///
/// One whose schema cannot be built is not served, which its release is told.
pub async fn follow(
    mut loaded: watch::Receiver<Vec<Arc<Release>>>,
    counters: CacheCounters,
    rates: Arc<Rates>,
    served: watch::Sender<AllServed>,
    serving: Serving,
) {
    loop {
        let releases = loaded.borrow_and_update().clone();
        let mut all = AllServed::with_capacity(releases.len());
        for release in &releases {
            let number = release.number();
            let known = served.borrow().iter().find(|served| served.release.number() == number).cloned();
            if let Some(known) = known {
                all.push(known);
                continue;
            }
            match Schema::build_counted(release.declarations(), release.graphql(), counters.clone()) {
                Ok(schema) => {
                    let schema = schema.counting(release.usage());
                    let (release, rates) = (release.clone(), rates.for_app(release.rate(), release.policy_rates()));
                    all.push(Arc::new(Served { release, schema, rates }));
                }
                Err(error) => release.cannot_be_served(error.to_string()),
            }
        }
        served.send_replace(all);
        if let Some(newest) = releases.iter().map(|release| release.number()).max() {
            serving.has_come_to(newest);
        }
        if loaded.changed().await.is_err() {
            return;
        }
    }
}
