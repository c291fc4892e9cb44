//! What all handlers share.

use std::sync::Arc;

use tokio::sync::{Semaphore, watch};
use weir_engine::places::Places;

use super::ServerOptions;
use super::bodies::Bodies;
use crate::auth::Auth;
use crate::graphql::service::Service;
use crate::metrics::Readings;

/// What all handlers share.
pub struct Gateway {
    /// The way to the engine.
    pub service: Service,
    /// Who calls.
    pub auth: Auth,
    /// Limits and times.
    pub options: ServerOptions,
    /// What the bodies of requests take.
    pub bodies: Bodies,
    /// One for each running upload.
    pub uploads: Places,
    /// One permit for each open WebSocket.
    pub sockets: Arc<Semaphore>,
    /// One permit for each running subscription.
    pub subscriptions: Arc<Semaphore>,
    /// One for each result that is being sent line by line.
    pub json_lines: Places,
    /// Turns true when the server is told to stop.
    pub stopping: watch::Receiver<bool>,
}

impl Gateway {
    /// What is counted, for Prometheus.
    pub fn metrics(&self) -> String {
        let taken = |max: u32, free: &Semaphore| u64::from(max).saturating_sub(free.available_permits() as u64);
        let readings = Readings {
            sockets: taken(self.options.sockets, &self.sockets),
            subscriptions: taken(self.options.subscriptions, &self.subscriptions),
            ..Readings::default()
        };
        self.service.metrics(readings)
    }

    /// What is said while there is no release.
    pub fn nothing_served(&self) -> &str {
        &self.options.nothing_served
    }
}
