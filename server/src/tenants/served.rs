//! A tenant or an environment that is open: its store, its engine and what works on them, and its own routes.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tracing::{Instrument, Span};
use weir_engine::Engine;
use weir_engine::control::acts::{self, Act};
use weir_engine::control::{Actor, tenants};
use weir_engine::engine::Runs;
use weir_engine::jobs::Scheduler;
use weir_schema::codec::control::InstanceRecord;
use weir_schema::tenant::InstanceName;
use weir_store::Store;

use super::environments::Environments;
use super::{Allowance, Setup, Slot};
use crate::auth::realm::Realm;
use crate::control::Control;
use crate::graphql::schema::servable;
use crate::http::Server;
use crate::http::gateway::Gateway;

/// How long sockets, subscriptions and calls may take to end before they are ended, or what they wait for is taken from under
/// them.
const QUIET_MAX: Duration = Duration::from_millis(500);
/// How long loading what was deployed may keep others waiting: the server that starts, and whoever has it be served again. Then
/// it goes on loading by itself, for as long as its own limits allow.
const LOADING_MAX: Duration = Duration::from_secs(10);
/// Between two looks whether they have.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// One that is served.
pub struct Served {
    gateway: Arc<Gateway>,
    router: TowerToHyperService<Router>,
    open: Mutex<Option<Open>>,
}

/// What is closed with it.
struct Open {
    server: Server,
    engine: Engine,
    control: Control,
    jobs: Scheduler,
    loading: JoinHandle<()>,
}

impl Served {
    /// Serves what is deployed in an open store, beside the server's own; an environment with the app that it is one of.
    pub(super) async fn start(
        own: &Gateway,
        owner: Option<&Gateway>,
        setup: &Setup,
        record: &InstanceRecord,
        data: &Path,
        store: Store,
    ) -> Result<Self, String> {
        let span = span(&record.name);
        let starting = Self::start_inside((own, owner), setup, record, data, store.clone(), span.clone());
        let started = starting.instrument(span).await;
        if started.is_err() {
            store.close().await;
        }
        started
    }

    async fn start_inside(
        (own, owner): (&Gateway, Option<&Gateway>),
        setup: &Setup,
        record: &InstanceRecord,
        data: &Path,
        store: Store,
        span: Span,
    ) -> Result<Self, String> {
        let secrets = (setup.secrets)(&record.name)?;
        tenants::be_named(&store, &record.name).await.map_err(|error| error.to_string())?;
        let named: Vec<String> = secrets.names().map(ToString::to_string).collect();
        if !named.is_empty() {
            let used = acts::record(&store, &Actor::operator(), &Act::on("useSecrets", named)).await;
            used.map_err(|error| error.to_string())?;
        }
        let Allowance { pool, results_bytes, .. } = setup.allowance(&record.name);
        let (pool, results_bytes) = (pool.clone(), *results_bytes);
        let engine = Engine::start_with(store.clone(), pool, Some(secrets), results_bytes, Runs::SignedBundles);
        let engine = engine.map_err(|error| error.to_string())?;
        engine.deny_without_policies();
        engine.have_on_record(setup.recording);
        engine.ask_for_signatures(setup.signatures);
        // The server's own app is whose operator's it is, its environments included.
        if record.name.tenant().is_some() {
            engine.fetch_within(setup.reach.clone());
        }
        let control = Control::start(store, engine.clone(), data, Slot::default());
        let control = match control {
            Ok(control) => control,
            Err(error) => {
                engine.close().await;
                return Err(format!("cannot listen for commands in {}: {error}", data.display()));
            }
        };
        let jobs = Scheduler::start(engine.clone(), engine.clock().clone());
        let server = match (&record.name, owner) {
            (InstanceName::Tenant(name), _) => {
                let realm = Realm::of_tenant(name.clone(), record.created_ms, record.issuers.clone());
                let environments = Environments::Of { tenants: own.tenants.clone(), tenant: Some(name.clone()) };
                Server::start_tenant(own, engine.clone(), realm, environments, span.clone())
            }
            (InstanceName::Environment { name, .. }, owner) => {
                Server::start_environment(own, owner.unwrap_or(own), engine.clone(), name.clone(), span.clone())
            }
        };
        let mut loading = tokio::spawn(load(server.gateway().clone()).instrument(span));
        // Before the first request, so that it is not told that there is nothing.
        let loaded = async {
            // An error means that it is not loaded.
            let _ = (&mut loading).await;
            if engine.releases().borrow().is_some() {
                server.ready().await;
            }
        };
        if tokio::time::timeout(LOADING_MAX, loaded).await.is_err() {
            tracing::warn!("what was deployed takes long to load, and is served once it is");
        }
        let router = TowerToHyperService::new(server.router().with_state(()));
        let gateway = server.gateway().clone();
        Ok(Self { gateway, router, open: Mutex::new(Some(Open { server, engine, control, jobs, loading })) })
    }

    /// What its handlers share.
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// Answers a request that is its.
    pub async fn answer(&self, request: Request<Body>) -> Result<Response, Infallible> {
        self.router.call(request).instrument(self.gateway.span.clone()).await
    }

    /// Has sockets and subscriptions end, as when the server stops.
    pub(super) fn stop(&self) {
        if let Some(open) = &*self.open.lock() {
            open.server.stop();
        }
    }

    /// Has them end without waiting for what runs, which has a moment; then ends what still runs, whatever its limits, and closes
    /// all of it. A second call does nothing.
    pub(super) async fn suspend(&self) {
        self.gateway.end_at_once();
        self.stop();
        self.until_quiet().await;
        self.gateway.service.engine().end_calls();
        self.close().await;
    }

    /// Waits until nothing is open and nothing runs, but not for long.
    async fn until_quiet(&self) {
        let engine = self.gateway.service.engine();
        let is_quiet = || self.gateway.sockets.taken() + self.gateway.subscriptions.taken() == 0 && !engine.is_busy();
        let quiet = async {
            while !is_quiet() {
                tokio::time::sleep(BETWEEN_LOOKS).await;
            }
        };
        // What has not ended by then is ended, or fails with the engine.
        let _ = tokio::time::timeout(QUIET_MAX, quiet).await;
    }

    /// Closes all of it, the store last.
    pub(super) async fn close(&self) {
        let Some(open) = self.open.lock().take() else { return };
        let Open { server, engine, control, jobs, loading } = open;
        async {
            server.stop();
            self.until_quiet().await;
            control.stop().await;
            jobs.stop().await;
            engine.end_calls();
            if !loading.is_finished() {
                loading.abort();
                // Being aborted is all that can become of it.
                let _ = loading.await;
            }
            engine.close().await;
            server.end();
        }
        .instrument(self.gateway.span.clone())
        .await;
    }
}

/// Under what the log has what is done there. At the level of errors, so that whatever is shown of the log says whose it is.
fn span(name: &InstanceName) -> Span {
    match (name.tenant(), name.environment_name()) {
        (Some(tenant), None) => tracing::error_span!("tenant", tenant = %tenant),
        (None, Some(environment)) => tracing::error_span!("environment", environment = %environment),
        (tenant, environment) => {
            let (tenant, environment) = (tenant.map(tracing::field::display), environment.map(tracing::field::display));
            tracing::error_span!("environment", tenant, environment)
        }
    }
}

/// Serves what was deployed, if anything was. Where that fails another one can be deployed.
async fn load(gateway: Arc<Gateway>) {
    gateway.is_loading.store(true, Ordering::Relaxed);
    let restored = gateway.service.engine().restore(&servable).await;
    gateway.is_loading.store(false, Ordering::Relaxed);
    match restored {
        Ok(Some(release)) => tracing::info!("{} {} is served", release.app, release.version),
        Ok(None) => {}
        Err(error) => tracing::error!("what was deployed is not served: {error}"),
    }
}
