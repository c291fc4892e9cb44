//! From a listener to a graceful stop.

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use weir_engine::Engine;
use weir_engine::places::Places;

use super::connection::{Accepted, Numbering};
use super::gateway::Gateway;
use super::{ServerOptions, router};
use crate::graphql::service::{Served, Service, follow};

/// A server of one engine.
pub struct Server {
    gateway: Arc<Gateway>,
    served: watch::Receiver<Option<Arc<Served>>>,
    stop: watch::Sender<bool>,
    follower: JoinHandle<()>,
}

impl Server {
    /// Starts to follow the engine's releases. Needs a tokio runtime.
    pub fn start(engine: Engine, options: ServerOptions) -> Self {
        let (serve, served) = watch::channel(None);
        let (stop, stopping) = watch::channel(false);
        let follower = tokio::spawn(follow(engine.releases(), options.document.clone(), serve));
        let gateway = Gateway {
            service: Service::new(engine, served.clone()),
            uploads: Places::new(options.uploads as usize),
            sockets: Arc::new(Semaphore::new(options.sockets as usize)),
            subscriptions: Arc::new(Semaphore::new(options.subscriptions as usize)),
            json_lines: Places::new(options.json_lines as usize),
            stopping,
            options,
        };
        Self { gateway: Arc::new(gateway), served, stop, follower }
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

    /// Answers on the listener until `shutdown` is done. Then nothing new is accepted, WebSockets are closed with 1001,
    /// and requests in flight have [`ServerOptions::drain`] to finish.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let mut stopping = self.stop.subscribe();
        let stop = self.stop.clone();
        let server =
            axum::serve(Numbering::of(listener), self.router().into_make_service_with_connect_info::<Accepted>())
                .with_graceful_shutdown(async move {
                    shutdown.await;
                    stop.send_replace(true);
                });
        let drained = async {
            let served = server.await;
            // Upgraded connections are no longer the HTTP server's.
            let _ = self.gateway.sockets.acquire_many(self.gateway.options.sockets).await;
            served
        };
        let late = async {
            let _ = stopping.wait_for(|stopping| *stopping).await;
            tokio::time::sleep(self.gateway.options.drain).await;
        };
        let result = tokio::select! {
            served = drained => served,
            () = late => {
                tracing::warn!("stopped with requests in flight after {:?}", self.gateway.options.drain);
                Ok(())
            }
        };
        self.follower.abort();
        result
    }
}
