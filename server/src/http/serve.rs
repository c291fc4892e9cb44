//! From a listener to a graceful stop.

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use weir_engine::Engine;
use weir_engine::places::Places;

use super::accept::Acceptor;
use super::bodies::Bodies;
use super::conversation::Conversations;
use super::gateway::Gateway;
use super::tls::Tls;
use super::{ServerOptions, router};
use crate::auth::{Auth, Tokens, sessions};
use crate::graphql::persisted::Persisted;
use crate::graphql::service::{Served, Service, follow};
use crate::metrics::Metrics;
use crate::rate::Rates;
use crate::rate::clock::Clock;

/// A server of one engine.
pub struct Server {
    gateway: Arc<Gateway>,
    served: watch::Receiver<Option<Arc<Served>>>,
    stop: watch::Sender<bool>,
    follower: JoinHandle<()>,
    /// Ends what outlives its token.
    watchman: JoinHandle<()>,
    tls: Option<Tls>,
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
        let (serve, served) = watch::channel(None);
        let (stop, stopping) = watch::channel(false);
        let metrics = Arc::<Metrics>::default();
        let rates = Arc::new(Rates::new(&options.rate, clock));
        let (releases, serving) = (engine.releases(), engine.serving());
        let follower = tokio::spawn(follow(releases, metrics.plan_cache.clone(), rates.clone(), serve, serving));
        let Tokens { issuers, remembered } = tokens;
        let auth = Auth::new(engine.clone(), issuers, remembered, options.tokenless.clone());
        let (sessions, issuers) = (auth.sessions().clone(), auth.issuers().clone());
        let watchman = tokio::spawn(sessions::watch_over(sessions, issuers, engine.clone()));
        let persisted = Persisted::new(options.trusted_documents);
        let gateway = Gateway {
            auth,
            service: Service::new(engine, served.clone(), metrics, persisted, rates.clone()),
            rates,
            bodies: Bodies::new(options.bodies_bytes),
            uploads: Places::new(options.uploads as usize),
            sockets: Arc::new(Semaphore::new(options.sockets as usize)),
            subscriptions: Arc::new(Semaphore::new(options.subscriptions as usize)),
            json_lines: Places::new(options.json_lines as usize),
            stopping,
            options,
        };
        Self { gateway: Arc::new(gateway), served, stop, follower, watchman, tls: None }
    }

    /// Answers over TLS.
    pub fn with_tls(self, tls: Tls) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// Waits until a release is served: until `/readyz` says so. Outlives the server.
    pub fn ready(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut served = self.served.clone();
        async move {
            // An error means that the engine is gone, and with it the reason to wait.
            let _ = served.wait_for(Option::is_some).await;
        }
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
        let conversations = Conversations::of(router, self.gateway.clone(), acceptor, self.stop.subscribe());
        let acceptor = Acceptor::of(listener, places.clone());
        let accepting = acceptor.run(Arc::new(conversations), self.stop.subscribe());
        let stopping = async {
            shutdown.await;
            self.stop.send_replace(true);
        };
        let (mut running, ()) = tokio::join!(accepting, stopping);
        // All places are free when the last connection is closed, and the last that has become a WebSocket.
        let drained = places.acquire_many(options.connections);
        if tokio::time::timeout(options.drain, drained).await.is_err() {
            tracing::warn!("stopped with requests in flight after {:?}", options.drain);
        }
        running.shutdown().await;
        following.shutdown().await;
        self.watchman.abort();
        self.follower.abort();
        Ok(())
    }
}
