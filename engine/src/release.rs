//! A compiled app made ready to run.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use semver::Version;
use weir_sandbox::App;
use weir_sandbox::isolate::IsolateError;
use weir_sandbox::pool::{Pool, PoolOptions};
use weir_sandbox::watchdog::Watchdog;
use weir_schema::caller::CallerSettings;
use weir_schema::declarations::{Declarations, Function, FunctionKind};
use weir_schema::digest::Digest;
use weir_schema::graphql::GraphqlSettings;
use weir_schema::limits::{CallLimits, JobSettings};
use weir_schema::manifest::{Cron, Migration};
use weir_schema::metrics::Metric;
use weir_schema::rate::RateSettings;

use crate::access::guard::Guard;
use crate::access::policies::Policies;
use crate::call::Caller;
use crate::experiments::counts::ReleaseCounts;
use crate::fetch::Fetcher;
use crate::groups::view::GroupView;
use crate::keep::code;
use crate::rollouts::health::Tally;
use crate::secrets::{Missing, Secrets};
use crate::usage::Usage;

/// A compiled app made ready to run. Stays usable after another release has become the active one.
pub struct Release {
    number: u64,
    /// That of its bundle, if it has one.
    sequence: Option<u64>,
    /// What it is called where others may have its name.
    key: Arc<str>,
    app: Arc<App>,
    /// For each function the digest of the code that it depends on.
    codes: Vec<Digest>,
    pool: Pool,
    fetcher: Fetcher,
    /// Those that the app names, and no others.
    secrets: Secrets,
    /// Who may do what; `None`: everybody everything.
    policies: Option<Arc<Policies>>,
    /// Its views of groups that are kept up with the commits, once it is active.
    groups: OnceLock<Vec<Arc<GroupView>>>,
    /// Which of these its functions have been seen to call.
    calls: Mutex<HashMap<String, Vec<Arc<GroupView>>>>,
    /// Why it cannot be served, once that is known.
    unservable: OnceLock<String>,
    /// Held by all who use it.
    pub(crate) leases: Arc<()>,
    /// When it was looked for last by who is about to need it, in milliseconds since 1970.
    pub(crate) loaded_ms: AtomicU64,
    /// When somebody asked for it last who stays on it, in milliseconds since 1970; 0: nobody has.
    pub(crate) used_ms: AtomicU64,
    /// Whether calls have gone to it.
    pub(crate) took_calls: AtomicBool,
    /// What was given to its metrics.
    counts: ReleaseCounts,
    /// What clients ask for of it.
    usage: Arc<Usage>,
    /// What their calls come to.
    tally: Tally,
}

/// What an app needs beside itself.
pub(crate) struct Surroundings {
    /// What its actions fetch with.
    pub fetcher: Fetcher,
    /// The secrets that it names.
    pub secrets: Secrets,
}

fn name_of(app: &App) -> String {
    format!("{} {}", app.manifest.name, app.manifest.version)
}

impl Surroundings {
    /// For an app, which is to fetch with that.
    pub(crate) fn of(app: &App, configured: Option<&Secrets>, fetcher: Fetcher) -> Result<Self, Missing> {
        let named = configured.map(|configured| configured.only(&app.manifest.secrets));
        let secrets = named.transpose()?.unwrap_or_default();
        Ok(Self { fetcher, secrets })
    }
}

impl Release {
    /// Loads the app into warm isolates. Blocks until the first is ready.
    pub(crate) fn start(
        app: App,
        sequence: Option<u64>,
        policies: Option<Arc<Policies>>,
        surroundings: Surroundings,
        watchdog: &Watchdog,
        options: &PoolOptions,
    ) -> Result<Self, IsolateError> {
        let app = Arc::new(app);
        let pool = Pool::start(&app, watchdog, options)?;
        let Surroundings { fetcher, secrets } = surroundings;
        // Before the first one nothing is served, which is told by 0.
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let codes = code::digests(&app);
        let counts = ReleaseCounts::of(&app.manifest, &app.declarations);
        let usage = Usage::of(&app.declarations);
        let name = name_of(&app);
        let key = sequence.map_or(name.clone(), |sequence| format!("{name}#{sequence}")).into();
        Ok(Self {
            number,
            sequence,
            key,
            app,
            codes,
            pool,
            fetcher,
            secrets,
            policies,
            groups: OnceLock::new(),
            calls: Mutex::default(),
            unservable: OnceLock::new(),
            leases: Arc::default(),
            loaded_ms: AtomicU64::new(0),
            used_ms: AtomicU64::new(0),
            took_calls: AtomicBool::new(false),
            counts,
            usage,
            tally: Tally::default(),
        })
    }

    /// Tells it from all others of this process.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The sequence of its bundle; `None` where it comes out of none.
    pub fn sequence(&self) -> Option<u64> {
        self.sequence
    }

    /// Its version.
    pub fn version(&self) -> &Version {
        &self.app.manifest.version
    }

    /// The metrics that it declares, by name.
    pub(crate) fn metrics(&self) -> &BTreeMap<String, Metric> {
        &self.app.manifest.metrics
    }

    /// Whoever serves cannot serve it.
    pub fn cannot_be_served(&self, why: String) {
        self.unservable.get_or_init(|| why);
    }

    /// Why it cannot be served, if it was tried.
    pub(crate) fn unservable(&self) -> Option<&str> {
        self.unservable.get().map(String::as_str)
    }

    /// What was given to its metrics since it was loaded.
    pub fn counts(&self) -> &ReleaseCounts {
        &self.counts
    }

    /// The digests of the code that its functions depend on, in the order of declaration.
    pub(crate) fn codes(&self) -> &[Digest] {
        &self.codes
    }

    /// That of a function, by its place in the declarations.
    pub(crate) fn code(&self, function: usize) -> Option<Digest> {
        self.codes.get(function).copied()
    }

    /// `shop 1.4.0`.
    pub fn name(&self) -> String {
        name_of(&self.app)
    }

    /// `shop 1.4.0#7`: what the store tells it by from others of its name.
    pub(crate) fn key(&self) -> &Arc<str> {
        &self.key
    }

    /// What it was made of.
    pub(crate) fn app(&self) -> &App {
        &self.app
    }

    /// What clients ask for of it.
    pub fn usage(&self) -> &Arc<Usage> {
        &self.usage
    }

    /// What the calls of clients come to.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What the app declares.
    pub fn declarations(&self) -> &Declarations {
        &self.app.declarations
    }

    /// What each of its calls may use.
    pub fn limits(&self) -> &CallLimits {
        &self.app.manifest.limits
    }

    /// What binds a call of a function; `None` without policies.
    pub(crate) fn guard(&self, caller: &Caller, function: &str) -> Option<Arc<Guard>> {
        let policies = self.policies.as_ref()?;
        Some(Arc::new(Guard::new(policies, caller, function)))
    }

    pub(crate) fn policies(&self) -> Option<&Policies> {
        self.policies.as_deref()
    }

    /// Whether a caller may do here what another release has allowed, and nothing else: both have the same policies, or none that
    /// bind that caller.
    pub fn decides_as(&self, other: &Self, caller: &Caller) -> bool {
        let are_same = self.app.policies == other.app.policies && self.caller() == other.caller();
        are_same || matches!(caller, Caller::Developer | Caller::Scheduler)
    }

    /// How its GraphQL API answers.
    pub fn graphql(&self) -> &GraphqlSettings {
        &self.app.manifest.graphql
    }

    /// How often each caller may ask it.
    pub fn rate(&self) -> &RateSettings {
        &self.app.manifest.rate
    }

    /// What its functions may know of who calls.
    pub fn caller(&self) -> &CallerSettings {
        &self.app.manifest.caller
    }

    /// How its jobs are run.
    pub fn jobs(&self) -> &JobSettings {
        &self.app.manifest.jobs
    }

    /// What is called again and again.
    pub fn crons(&self) -> &[Cron] {
        &self.app.manifest.cron
    }

    /// How documents of the release before become its own, by collection.
    pub(crate) fn migrations(&self) -> &BTreeMap<String, Migration> {
        &self.app.manifest.migration
    }

    /// A function with its place in the declarations.
    pub(crate) fn function(&self, name: &str) -> Option<(usize, &Function)> {
        let (index, _, function) = self.app.declarations.functions.get_full(name)?;
        Some((index, function))
    }

    /// What a function is.
    pub fn kind(&self, name: &str) -> Option<FunctionKind> {
        self.function(name).map(|(_, function)| function.kind)
    }

    /// Says which of its views of groups are kept up.
    pub(crate) fn keep_groups(&self, views: Vec<Arc<GroupView>>) {
        self.groups.get_or_init(|| views);
    }

    /// A function's groups, if they are kept up.
    pub(crate) fn groups(&self, function: usize) -> Option<&Arc<GroupView>> {
        self.groups.get()?.iter().find(|view| view.function() == function)
    }

    /// All of them.
    pub(crate) fn all_groups(&self) -> &[Arc<GroupView>] {
        self.groups.get().map(Vec::as_slice).unwrap_or_default()
    }

    /// What has to go well before it takes calls: queries by name.
    pub(crate) fn checks(&self) -> &[String] {
        &self.app.manifest.rollout.checks
    }

    /// A function has called a view that is kept up.
    pub(crate) fn note_call(&self, function: &str, view: &Arc<GroupView>) {
        let mut calls = self.calls.lock();
        let called = match calls.get_mut(function) {
            Some(called) => called,
            None => calls.entry(function.to_owned()).or_default(),
        };
        if !called.iter().any(|known| Arc::ptr_eq(known, view)) {
            called.push(view.clone());
        }
    }

    /// The views that are kept up and that a function has been seen to call.
    pub(crate) fn called_groups(&self, function: &str) -> Vec<Arc<GroupView>> {
        self.calls.lock().get(function).cloned().unwrap_or_default()
    }

    pub(crate) fn fetcher(&self) -> &Fetcher {
        &self.fetcher
    }

    /// Whether its `app.toml` names a secret.
    pub(crate) fn names_secret(&self, name: &str) -> bool {
        self.app.manifest.secrets.iter().any(|named| named.as_str() == name)
    }

    pub(crate) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }
}
