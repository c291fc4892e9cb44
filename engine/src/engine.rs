//! The engine: one store, the active release, the calls.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use parking_lot::RwLock;
use semver::VersionReq;
use serde_json::Value;
use tokio::sync::{Mutex, Notify, watch};
use tokio::task::JoinSet;
use tracing::{Instrument, Span};
use weir_sandbox::App;
use weir_sandbox::isolate::IsolateError;
use weir_sandbox::pool::PoolOptions;
use weir_sandbox::watchdog::Watchdog;
use weir_schema::declarations::FunctionKind;
use weir_schema::error::ErrorCode;
use weir_schema::limits::Limit;
use weir_store::{Poisoned, Store};

use crate::access;
use crate::access::guard::Guard;
use crate::access::policies::Policies;
use crate::actions::{self, Actions};
pub use crate::activating::ActivateError;
use crate::call::{Answer, Call, CallError, Caller};
use crate::control::refusals::{self, Refusals};
use crate::evolution::Evolving;
use crate::experiments::observations::{self, Observations};
use crate::fetch::{Fetcher, Reach, Resolve, resolve_by_system};
use crate::idempotency::Scope;
use crate::jobs::Clock;
use crate::keep::{self, Keeping};
use crate::origin::{Connection, Origin, Place};
use crate::places::Places;
use crate::procedures;
use crate::recording::Recording;
use crate::release::{Release, Surroundings};
use crate::results::Results;
use crate::results::pump::pump;
use crate::revoked::Revocations;
use crate::rollouts::conduct::Turns;
use crate::rollouts::conductor;
use crate::rollouts::loaded::Writes;
use crate::rollouts::traffic::Traffic;
use crate::room::Room;
use crate::row::{Row, Sealed};
use crate::run::Prepared;
use crate::secrets::Secrets;
use crate::seed::Seed;
use crate::trusted::TrustedDocuments;
use crate::usage::{self, Usages};

/// Cheap to clone; all clones are one engine. A handle may stand for a connection: see [`Engine::on`].
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
    pub(crate) origin: Origin,
    /// The versions that whoever calls stays on, which what is scheduled stays on too.
    line: Option<Arc<VersionReq>>,
}

pub(crate) struct Shared {
    store: Store,
    watchdog: Watchdog,
    pool: PoolOptions,
    /// All releases that are loaded.
    pub(crate) loaded: watch::Sender<Vec<Arc<Release>>>,
    /// Where calls go.
    pub(crate) traffic: watch::Sender<Arc<Traffic>>,
    /// The active release of that, for what runs beside calls.
    pub(crate) active: watch::Sender<Option<Arc<Release>>>,
    /// Held while a release is loaded or dropped: one after the other.
    pub(crate) loading: Mutex<()>,
    /// Held while one is loaded for callers who stay on a line.
    pub(crate) lining: Mutex<()>,
    /// Held from the commit that changes where calls go until they do.
    pub(crate) turning: Mutex<()>,
    /// What is known of such changes.
    pub(crate) turns: Turns,
    /// What runs beside calls for the active release.
    pub(crate) beside: parking_lot::Mutex<JoinSet<()>>,
    /// Where calls go has changed.
    pub(crate) turned: Arc<Notify>,
    /// The number of the release that is served, where somebody serves.
    served: watch::Sender<Option<u64>>,
    results: Results,
    trusted: TrustedDocuments,
    revoked: Revocations,
    observations: Observations,
    keeping: Keeping,
    clock: Clock,
    evolving: Evolving,
    actions: Arc<Actions>,
    /// Places of streams that may run at once.
    stream_places: Places,
    /// `None`: apps run without those that they name.
    secrets: Option<Secrets>,
    runs: Runs,
    refusals: Refusals,
    usages: Usages,
    /// Held while a bundle is being deployed: one after the other.
    deploying: Mutex<()>,
    /// Whether an app without policies denies everything to who is bound by policies.
    denies_without_policies: AtomicBool,
    /// How many keys have to have signed a bundle.
    signatures: AtomicUsize,
    /// Which calls are on record.
    recording: RwLock<Recording>,
    /// Where apps that become active may fetch from.
    reach: RwLock<Reach>,
    /// Looks up the names that apps fetch from: those of all releases take turns.
    resolve: Resolve,
    /// Turns true when all calls are ended.
    ended: watch::Sender<bool>,
    /// Under what the log has what is done for it.
    span: Span,
}

/// Which apps may become active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    /// Whatever its author has compiled: for development, and for commands on a data folder.
    Anything,
    /// What comes out of a bundle that was verified, and nothing else.
    SignedBundles,
}

/// How much memory kept results take before some of them go, roughly, in bytes, where nobody says otherwise.
pub const RESULTS_BYTES_MAX: usize = 256 << 20;

impl Engine {
    /// An engine on an open store, without a release. Apps run on it without the secrets that they name, as suits who
    /// calls no action.
    pub fn start(store: Store, pool: PoolOptions) -> std::io::Result<Self> {
        Self::start_with(store, pool, None, RESULTS_BYTES_MAX, Runs::Anything)
    }

    /// The same with the secrets of the configuration: an app that names others does not become active. Kept results take
    /// at most so many bytes, roughly.
    pub fn start_with(
        store: Store,
        pool: PoolOptions,
        secrets: Option<Secrets>,
        results_bytes_max: usize,
        runs: Runs,
    ) -> std::io::Result<Self> {
        let (active, _) = watch::channel(None);
        let (served, _) = watch::channel(None);
        let span = Span::current();
        let watchdog = Watchdog::start(move |ignored| {
            let _whose = span.enter();
            tracing::error!(
                "a call is past {} and cannot be stopped on a thread of the server: run with --isolation process",
                ignored.limit
            );
        })?;
        let results = Results::start(&store, results_bytes_max, (pool.queue_max.min(pool.queue_share_max) / 2).max(1))?;
        let trusted = TrustedDocuments::of(&store).map_err(std::io::Error::other)?;
        let revoked = Revocations::of(&store).map_err(std::io::Error::other)?;
        let observations = Observations::of(&store).map_err(std::io::Error::other)?;
        let notices = store.notices();
        let actions = Arc::default();
        let stream_places = Places::new(pool.stream_isolates);
        let evolving = Evolving::of(&store).map_err(std::io::Error::other)?;
        let (keeping, clock) = (Keeping::default(), Clock::system());
        let shared = Shared {
            store,
            watchdog,
            pool,
            loaded: watch::Sender::default(),
            traffic: watch::Sender::default(),
            active,
            loading: Mutex::default(),
            lining: Mutex::default(),
            turning: Mutex::default(),
            turns: Turns::default(),
            beside: parking_lot::Mutex::default(),
            turned: Arc::default(),
            served,
            results,
            trusted,
            revoked,
            observations,
            keeping,
            clock,
            evolving,
            actions,
            stream_places,
            secrets,
            runs,
            refusals: Refusals::default(),
            usages: Usages::default(),
            deploying: Mutex::default(),
            denies_without_policies: AtomicBool::new(false),
            signatures: AtomicUsize::new(1),
            recording: RwLock::default(),
            reach: RwLock::default(),
            resolve: resolve_by_system(),
            ended: watch::channel(false).0,
            span: Span::current(),
        };
        let engine = Self { shared: Arc::new(shared), origin: Origin::default(), line: None };
        tokio::spawn(pump(notices, Arc::downgrade(&engine.shared)).in_current_span());
        tokio::spawn(keep::run(Arc::downgrade(&engine.shared)).in_current_span());
        tokio::spawn(refusals::run(Arc::downgrade(&engine.shared)).in_current_span());
        tokio::spawn(conductor::run(Arc::downgrade(&engine.shared)).in_current_span());
        tokio::spawn(observations::run(Arc::downgrade(&engine.shared)).in_current_span());
        tokio::spawn(usage::run(Arc::downgrade(&engine.shared)).in_current_span());
        Ok(engine)
    }

    /// Under what the log has what is done for it: under what was current when it was started.
    pub fn span(&self) -> &Span {
        &self.shared.span
    }

    /// One of those that still exist.
    pub(crate) fn of(shared: &Weak<Shared>) -> Option<Self> {
        Some(Self { shared: shared.upgrade()?, origin: Origin::default(), line: None })
    }

    /// For who must not keep the engine.
    pub(crate) fn downgrade(&self) -> Weak<Shared> {
        Arc::downgrade(&self.shared)
    }

    /// The same engine for what comes by a connection: its calls wait for an isolate in a line of their own.
    pub fn on(&self, connection: Connection) -> Self {
        Self { origin: Origin { connection, ..self.origin }, ..self.clone() }
    }

    /// The same for what comes from an address: records in the audit log name it.
    pub fn at(&self, address: IpAddr) -> Self {
        Self { origin: Origin { address: Some(address), ..self.origin }, ..self.clone() }
    }

    /// The same for who stays on a range of versions: what they schedule does so too.
    pub fn on_line(&self, range: &VersionReq) -> Self {
        Self { line: Some(Arc::new(range.clone())), ..self.clone() }
    }

    /// The versions that whoever calls stays on.
    pub(crate) fn line(&self) -> Option<&VersionReq> {
        self.line.as_deref()
    }

    /// The same for what an action calls.
    pub(crate) fn for_action(&self) -> Self {
        Self { origin: Origin { place: Place::Action, ..self.origin }, ..self.clone() }
    }

    /// The same for what is run for nobody in particular.
    pub(crate) fn for_upkeep(&self) -> Self {
        Self { origin: Origin { place: Place::Upkeep, ..self.origin }, ..self.clone() }
    }

    /// The same for a call that is made once more on another release.
    pub(crate) fn for_shadow(&self) -> Self {
        Self { origin: Origin { place: Place::Shadow, ..self.origin }, ..self.clone() }
    }

    /// Makes an app that nobody has signed the active release: loads it, brings the collections and indexes in line, then
    /// switches. Refused where only signed bundles run, which [`Self::deploy`] takes.
    ///
    /// Calls in progress end on the release that they began on.
    pub async fn activate(&self, app: App) -> Result<Arc<Release>, ActivateError> {
        if !self.runs_anything() {
            return Err(ActivateError::Unsigned);
        }
        let release = self.load(app, None, Writes::FromNow).await?;
        self.direct(Traffic::to(Some(release.clone())));
        self.drain(&[], false).await;
        Ok(release)
    }

    /// Makes an app ready to run. Nothing is changed by that.
    pub(crate) async fn start_release(&self, app: App, sequence: Option<u64>) -> Result<Arc<Release>, ActivateError> {
        let (watchdog, pool) = (self.shared.watchdog.clone(), self.shared.pool.clone());
        let (reach, resolve) = (self.shared.reach.read().clone(), self.shared.resolve.clone());
        let fetcher = Fetcher::new(&app.manifest, reach, resolve);
        let surroundings = Surroundings::of(&app, self.shared.secrets.as_ref(), fetcher)?;
        let policies = self.policies_of(&app)?;
        let span = self.span().clone();
        let starting = tokio::task::spawn_blocking(move || {
            // The threads of its isolates go on with it.
            span.in_scope(|| Release::start(app, sequence, policies, surroundings, &watchdog, &pool))
        });
        let release = starting.await.map_err(|error| IsolateError::Internal(error.to_string()))??;
        Ok(Arc::new(release))
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Whether apps run that nobody has signed.
    pub(crate) fn runs_anything(&self) -> bool {
        self.shared.runs == Runs::Anything
    }

    /// Has such calls on record from now on.
    pub fn have_on_record(&self, recording: Recording) {
        *self.shared.recording.write() = recording;
    }

    /// Which calls are on record.
    pub(crate) fn recording(&self) -> Recording {
        *self.shared.recording.read()
    }

    pub(crate) fn evolving(&self) -> &Evolving {
        &self.shared.evolving
    }

    pub(crate) fn usages(&self) -> &Usages {
        &self.shared.usages
    }

    pub(crate) fn refusals(&self) -> &Refusals {
        &self.shared.refusals
    }

    /// Held while a bundle is being deployed.
    pub(crate) fn deploying(&self) -> &Mutex<()> {
        &self.shared.deploying
    }

    /// From now on an app without `policies.cedar` denies everything but to the developer and the scheduler. Otherwise it allows
    /// everything to everybody, as suits who writes it on their own machine.
    pub fn deny_without_policies(&self) {
        self.shared.denies_without_policies.store(true, Ordering::Relaxed);
    }

    /// How many keys have to have signed a bundle.
    pub(crate) fn signatures(&self) -> &AtomicUsize {
        &self.shared.signatures
    }

    /// Has apps that become active from now on fetch from nowhere else than that, whatever their lists say.
    pub fn fetch_within(&self, reach: Reach) {
        *self.shared.reach.write() = reach;
    }

    fn policies_of(&self, app: &App) -> Result<Option<Arc<Policies>>, ActivateError> {
        let text = match &app.policies {
            Some(text) => text.as_str(),
            None if self.shared.denies_without_policies.load(Ordering::Relaxed) => "",
            None => return Ok(None),
        };
        let policies = access::compile::compile(&app.declarations, &app.manifest.caller, text);
        policies.map(|policies| Some(Arc::new(policies))).map_err(ActivateError::Policies)
    }

    /// The active release, and every one that replaces it. `None` until the first is activated.
    pub fn releases(&self) -> watch::Receiver<Option<Arc<Release>>> {
        self.shared.active.subscribe()
    }

    /// Whether calls can be answered; if not, why.
    pub fn is_ready(&self) -> Result<(), Poisoned> {
        self.shared.store.is_ready()
    }

    /// Ends all that runs of any release, what waits and what is being loaded included, wherever isolates live: who has called is
    /// told that it is not available. Functions do not run here any more.
    pub fn end_calls(&self) {
        self.shared.ended.send_replace(true);
        self.shared.watchdog.end_all();
    }

    pub(crate) fn has_ended(&self) -> bool {
        *self.shared.ended.borrow()
    }

    /// Done when all calls are ended.
    pub(crate) async fn ended(&self) {
        // The sender lives as long as this.
        let _ = self.shared.ended.subscribe().wait_for(|ended| *ended).await;
    }

    /// Whether calls are under way.
    pub fn is_busy(&self) -> bool {
        self.shared.loaded.borrow().iter().any(|release| release.pool().calls_in_flight() > 0)
    }

    /// Finishes the commits that wait and closes the store. Views that are computed eagerly keep an engine until then.
    pub async fn close(&self) {
        self.write_refusals().await;
        self.write_observations().await;
        self.write_usage().await;
        self.keeping().end(self).await;
        // What runs for a release, and not for a caller, ends.
        self.shared.traffic.send_replace(Arc::default());
        self.shared.active.send_replace(None);
        self.shared.loaded.send_replace(Vec::new());
        self.shared.store.close().await;
    }

    /// Calls a function of a release. Queries and views read one snapshot; procedures commit before they answer.
    pub async fn call(
        &self,
        release: &Arc<Release>,
        caller: &Caller,
        function: &str,
        arguments: Value,
    ) -> Result<Answer, CallError> {
        self.call_once(release, caller, function, arguments, None).await
    }

    /// Has the endpoint at a place among those of the release answer a request, for nobody in particular.
    pub async fn answer(&self, release: &Arc<Release>, place: usize, request: &Value) -> Result<Value, CallError> {
        let begun = Instant::now();
        release.usage().called(release.declarations().functions.len() + place);
        let prepared = Prepared::endpoint(release, &Caller::Anonymous, place, request);
        let outcome = match prepared {
            Ok(prepared) => self.act(&prepared).await.map(|answer| answer.value.take()),
            Err(error) => Err(error),
        };
        release.tally().count(outcome.as_ref().map(drop), Some(begun));
        let name = |index: usize| release.declarations().callable(index).map_or("", |endpoint| endpoint.name.as_str());
        self.judged(release, &Caller::Anonymous, name(release.declarations().functions.len() + place), outcome)
    }

    /// As [`Self::call`]. With a scope, what a procedure or an action came to first is returned again, for as long as
    /// the app's limits say.
    pub async fn call_once(
        &self,
        release: &Arc<Release>,
        caller: &Caller,
        function: &str,
        arguments: Value,
        scope: Option<Scope>,
    ) -> Result<Answer, CallError> {
        let begun = Instant::now();
        let outcome = match Prepared::new(release, caller, function, arguments) {
            Ok(prepared) => self.call_prepared(prepared, scope).await,
            Err(error) => Err(error),
        };
        release.tally().count(outcome.as_ref().map(drop), Some(begun));
        self.judged(release, caller, function, outcome)
    }

    /// The same for an action, as part of its own call: nothing is decided but what is read and written.
    pub(crate) async fn call_of_action(
        &self,
        release: &Arc<Release>,
        caller: &Caller,
        guard: Option<Arc<Guard>>,
        function: &str,
        arguments: Value,
    ) -> Result<Answer, CallError> {
        let outcome = match Prepared::undecided(release, caller, function, arguments) {
            Ok(prepared) => self.call_prepared(prepared.part_of(guard), None).await,
            Err(error) => Err(error),
        };
        self.judged(release, caller, function, outcome)
    }

    async fn call_prepared(&self, prepared: Prepared, scope: Option<Scope>) -> Result<Answer, CallError> {
        match (prepared.function()?.kind, scope) {
            (FunctionKind::Query | FunctionKind::View, _) => self.read(&prepared).await,
            (FunctionKind::Procedure, scope) => procedures::call(self, prepared, scope).await,
            (FunctionKind::Action, Some(scope)) => actions::call_once(self, prepared, scope).await,
            (FunctionKind::Action, None) => self.act(&prepared).await,
            (FunctionKind::Stream, _) => {
                let message = format!("{} is a stream: subscribe to it", prepared.function()?.name);
                Err(CallError::new(ErrorCode::BadArguments, message))
            }
        }
    }

    /// Calls many functions: in one transaction, all or none, if `atomic`; otherwise each for itself, in order, and each
    /// sees what the ones before have written.
    ///
    /// There is one outcome per call, in order. In a failed atomic batch the failing call has its error and all others
    /// `ROLLED_BACK`. `scope` gives what is answered once: of an atomic batch the whole, of another each call by its
    /// place; and all of its repeats have to be of the same calls.
    ///
    /// Fails as a whole, and makes no call, if there are more calls than one batch may have. What comes after the results
    /// have filled their room is not made.
    pub async fn batch(
        &self,
        release: &Arc<Release>,
        caller: &Caller,
        calls: Vec<Call>,
        atomic: bool,
        scope: impl Fn(Option<usize>) -> Option<Scope>,
    ) -> Result<Vec<Result<Answer, CallError>>, CallError> {
        let limits = release.limits();
        if calls.len() > limits.batch_calls {
            return Err(CallError::limit(Limit::BatchCalls, limits.batch_calls));
        }
        if atomic {
            return Ok(procedures::call_together(self, release, caller, calls, scope(None)).await);
        }
        let mut row = Row::new(self, release, caller);
        // Who may make none of them leaves nothing behind.
        let may_be_made = |call: &Call| Prepared::may_be_made(release, caller, &call.function, call.args.clone());
        if let Some(whole) = scope(None)
            && calls.iter().any(may_be_made)
            && let Err(error) = row.claim(whole, &calls).await
        {
            let failed = |call: &Call| self.judged(release, caller, &call.function, Err(error.clone()));
            return Ok(calls.iter().map(failed).collect());
        }
        let mut room = Room::new(limits.response_bytes);
        let mut sealed = Vec::with_capacity(calls.len());
        for (index, call) in calls.into_iter().enumerate() {
            let one = match room.check() {
                Ok(()) => row.call(call, scope(Some(index))).await,
                Err(full) => Sealed::refused(full),
            };
            room.take(one.bytes());
            sealed.push(one);
        }
        let mut outcomes = Vec::with_capacity(sealed.len());
        for sealed in sealed {
            outcomes.push(sealed.opened().await);
        }
        Ok(outcomes)
    }

    pub(crate) fn stream_places(&self) -> &Places {
        &self.shared.stream_places
    }

    pub(crate) fn trusted_documents(&self) -> &TrustedDocuments {
        &self.shared.trusted
    }

    pub(crate) fn revocations(&self) -> &Revocations {
        &self.shared.revoked
    }

    /// What the callers of experiments have seen and done.
    pub fn observations(&self) -> &Observations {
        &self.shared.observations
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    pub(crate) fn served(&self) -> &watch::Sender<Option<u64>> {
        &self.shared.served
    }

    pub(crate) fn origin(&self) -> Origin {
        self.origin
    }

    pub(crate) fn actions(&self) -> &Arc<Actions> {
        &self.shared.actions
    }

    pub(crate) fn results(&self) -> &Results {
        &self.shared.results
    }

    pub(crate) fn keeping(&self) -> &Keeping {
        &self.shared.keeping
    }

    /// The clock by which views with a schedule are computed.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }
}

/// A seed for one call.
pub(crate) fn draw() -> Result<Seed, CallError> {
    Seed::draw().map_err(|error| CallError::new(ErrorCode::Internal, error.to_string()))
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.watchdog.stop();
    }
}
