//! What all handlers share.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::request::Parts;
use tokio::sync::{Semaphore, watch};
use weir_engine::places::Places;

use super::bodies::Bodies;
use super::{ServerOptions, connection};
use crate::auth::error::{TokenError, Unauthenticated};
use crate::auth::verify::Verified;
use crate::auth::{self, Auth, Credentials};
use crate::graphql::service::Service;
use crate::metrics::Readings;
use crate::rate::Rates;

/// What all handlers share.
pub struct Gateway {
    /// The way to the engine.
    pub service: Service,
    /// Who calls.
    pub auth: Auth,
    /// Limits and times.
    pub options: ServerOptions,
    /// How often somebody may ask.
    pub rates: Arc<Rates>,
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
            tokens_refused: self.auth.refused(),
            ..Readings::default()
        };
        self.service.metrics(readings)
    }

    /// Who sends a request.
    pub async fn credentials(&self, parts: &Parts) -> Result<Credentials, Unauthenticated> {
        match auth::token_of(&parts.headers)? {
            Some(token) => {
                let address = connection::source(&parts.extensions).address;
                Ok(Credentials::Token(self.verified(address, token).await?))
            }
            None => Ok(self.auth.tokenless()),
        }
    }

    /// What a token says that comes from an address. One that is none counts against the address: past its limit only tokens are
    /// looked at that are known. It counts before it is looked at, so that many at the same time are no more than one by one.
    pub async fn verified(&self, address: IpAddr, token: &str) -> Result<Arc<Verified>, Unauthenticated> {
        let login = self.rates.login(address, || self.auth.remembers(token))?;
        let verified = self.auth.of_token_from(address, token).await;
        if !verified.as_ref().is_err_and(TokenError::is_no_token) {
            login.is_no_guess();
        }
        Ok(verified?)
    }

    /// What is said while there is no release.
    pub fn nothing_served(&self) -> &str {
        &self.options.nothing_served
    }
}
