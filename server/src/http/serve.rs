//! From a listener to a graceful stop.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tracing::{Instrument, Span};
use weir_engine::Engine;
use weir_engine::places::Places;
use weir_schema::tenant::EnvironmentName;

use super::accept::Acceptor;
use super::bodies::Bodies;
use super::conversation::Conversations;
use super::gateway::{Capacity, Gateway};
use super::tls::Tls;
use super::{ServerOptions, router};
use crate::auth::realm::Realm;
use crate::auth::{Auth, Tokens, sessions};
use crate::graphql::persisted::Persisted;
use crate::graphql::service::{AllServed, Service, follow};
use crate::metrics::Metrics;
use crate::rate::Rates;
use crate::rate::clock::Clock;
use crate::tenants::environments::Environments;
use crate::tenants::{Slot, Tenants};

/// A server of one engine.
pub struct Server {
    gateway: Arc<Gateway>,
    stop: watch::Sender<bool>,
    follower: JoinHandle<()>,
    /// Ends what outlives its token.
    watchman: JoinHandle<()>,
    tls: Option<Tls>,
    tenants: Option<Arc<Tenants>>,
}

/// What the parts of a server are made of that tenants have in common with it, or their own of.
struct Shared {
    metrics: Metrics,
    rates: Rates,
    auth: Auth,
    bodies: Bodies,
    sockets: Capacity,
    subscriptions: Capacity,
}

impl Server {
    /// Starts to follow the engine's releases, and takes nobody's tokens. Needs a tokio runtime.
    pub fn start(engine: Engine, options: ServerOptions) -> Self {
        Self::start_with(engine, options, Tokens::default())
    }

    /// The same, with these tokens taken.
    pub fn start_with(engine: Engine, options: ServerOptions, tokens: Tokens) -> Self {
        Self::start_by(Clock::system(), engine, options, tokens)
    }

    /// The same with limits that go by another clock.
    pub fn start_by(clock: Clock, engine: Engine, options: ServerOptions, tokens: Tokens) -> Self {
        let Tokens { issuers, remembered } = tokens;
        let shared = Shared {
            metrics: if options.control_plane { Metrics::with_tenants() } else { Metrics::default() },
            rates: Rates::new(&options.rate, clock),
            auth: Auth::new(engine.clone(), issuers, remembered, options.tokenless.clone()),
            bodies: Bodies::new(options.bodies_bytes),
            sockets: Capacity::new(options.sockets),
            subscriptions: Capacity::new(options.subscriptions),
        };
        let tenants = Slot::default();
        let environments = Environments::Of { tenants: tenants.clone(), tenant: None };
        Self::assemble(engine, options, shared, Span::none(), (tenants, environments))
    }

    /// The same of a tenant, beside the server's own: what addresses may do, and what all may hold together, they have in common,
    /// and nothing else.
    pub(crate) fn start_tenant(
        own: &Gateway,
        engine: Engine,
        realm: Realm,
        environments: Environments,
        span: Span,
    ) -> Self {
        let auth = own.auth.of_tenant(engine.clone(), realm);
        Self::start_beside(own, engine, auth, environments, span)
    }

    /// The same of an environment of an app, whose callers it has.
    pub(crate) fn start_environment(
        own: &Gateway,
        of: &Gateway,
        engine: Engine,
        name: EnvironmentName,
        span: Span,
    ) -> Self {
        let auth = of.auth.of_environment(engine.clone());
        Self::start_beside(own, engine, auth, Environments::Is(name), span)
    }

    fn start_beside(own: &Gateway, engine: Engine, auth: Auth, environments: Environments, span: Span) -> Self {
        let options = own.options.clone();
        let shared = Shared {
            metrics: Metrics::default(),
            rates: own.rates.beside(&options.rate),
            auth,
            bodies: own.bodies.clone(),
            sockets: own.sockets.beside(),
            subscriptions: own.subscriptions.beside(),
        };
        Self::assemble(engine, options, shared, span, (Slot::default(), environments))
    }

    fn assemble(
        engine: Engine,
        options: ServerOptions,
        shared: Shared,
        span: Span,
        (tenants, environments): (Slot, Environments),
    ) -> Self {
        let Shared { metrics, rates, auth, bodies, sockets, subscriptions } = shared;
        let (serve, served) = watch::channel(AllServed::new());
        let (stop, stopping) = watch::channel(false);
        let (metrics, rates) = (Arc::new(metrics), Arc::new(rates));
        let (loaded, serving) = (engine.loaded(), engine.serving());
        let following = follow(loaded, metrics.plan_cache.clone(), rates.clone(), serve, serving);
        let follower = tokio::spawn(following.instrument(span.clone()));
        let watching = sessions::watch_over(auth.sessions().clone(), auth.issuers().clone(), auth.revoking());
        let watchman = tokio::spawn(watching.instrument(span.clone()));
        let persisted = Persisted::new(options.trusted_documents);
        let gateway = Gateway {
            auth,
            service: Service::new(engine, served, metrics, persisted, rates.clone()),
            rates,
            bodies,
            uploads: Places::new(options.uploads as usize),
            sockets,
            subscriptions,
            json_lines: Places::new(options.json_lines as usize),
            stopping,
            span,
            tenants,
            environments,
            ends_at_once: AtomicBool::new(false),
            is_loading: AtomicBool::new(false),
            options,
        };
        Self { gateway: Arc::new(gateway), stop, follower, watchman, tls: None, tenants: None }
    }

    /// Serves tenants too.
    pub fn with_tenants(self, tenants: Arc<Tenants>) -> Self {
        self.gateway.tenants.set(&tenants);
        Self { tenants: Some(tenants), ..self }
    }

    /// What its handlers share.
    pub(crate) fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// Has sockets and subscriptions end.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Ends what has looked after it.
    pub(crate) fn end(self) {
        self.watchman.abort();
        self.follower.abort();
    }

    /// Answers over TLS.
    pub fn with_tls(self, tls: Tls) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// Waits until a release is served: until `/readyz` says so. Outlives the server.
    pub fn ready(&self) -> impl Future<Output = ()> + Send + use<> {
        let service = self.gateway.service.clone();
        async move { service.ready().await }
    }

    /// All routes, as they stand below the root of a host.
    pub fn router(&self) -> Router {
        router::router(self.gateway.clone())
    }

    /// Answers on the listener until `shutdown` is done. Then nothing new is accepted, clients are told to send no more,
    /// WebSockets are closed with 1001, and what is in flight has [`ServerOptions::drain`] to finish.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let options = &self.gateway.options;
        let places = Arc::new(Semaphore::new(options.connections as usize));
        let router = self.router();
        let (acceptor, files) = self.tls.map(|tls| (tls.acceptor(), tls)).unzip();
        let mut following = JoinSet::new();
        if let Some(tls) = files {
            following.spawn(tls.follow_files(options.certificate_interval));
        }
        let tenants = self.tenants.clone();
        let conversations =
            Conversations::of(router, self.gateway.clone(), acceptor, self.stop.subscribe(), tenants.clone());
        let acceptor = Acceptor::of(listener, places.clone());
        let accepting = acceptor.run(Arc::new(conversations), self.stop.subscribe());
        let stopping = async {
            shutdown.await;
            self.stop.send_replace(true);
            if let Some(tenants) = &tenants {
                tenants.stop();
            }
        };
        let (mut running, ()) = tokio::join!(accepting, stopping);
        // All places are free when the last connection is closed, and the last that has become a WebSocket.
        let drained = places.acquire_many(options.connections);
        if tokio::time::timeout(options.drain, drained).await.is_err() {
            tracing::warn!("stopped with requests in flight after {:?}", options.drain);
        }
        running.shutdown().await;
        following.shutdown().await;
        if let Some(tenants) = &self.tenants {
            tenants.close().await;
        }
        self.watchman.abort();
        self.follower.abort();
        Ok(())
    }
}
