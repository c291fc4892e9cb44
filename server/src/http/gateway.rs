//! What all handlers share. Each tenant has a gateway of its own beside the server's, to an engine of its own.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::http::request::Parts;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tracing::Span;
use weir_engine::places::Places;

use super::bodies::Bodies;
use super::{ServerOptions, connection};
use crate::auth::error::{TokenError, Unauthenticated};
use crate::auth::verify::Verified;
use crate::auth::{self, Auth, Credentials};
use crate::graphql::service::Service;
use crate::metrics::Readings;
use crate::rate::Rates;
use crate::tenants::Slot;
use crate::tenants::environments::Environments;

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
    pub sockets: Capacity,
    /// One permit for each running subscription.
    pub subscriptions: Capacity,
    /// One for each result that is being sent line by line.
    pub json_lines: Places,
    /// Turns true when the server is told to stop.
    pub stopping: watch::Receiver<bool>,
    /// Under what the log has what is done here: the name of a tenant or environment, and for the server's own nothing.
    pub span: Span,
    /// Who else is served, of the server's own.
    pub tenants: Slot,
    /// The environments of the app.
    pub environments: Environments,
    /// Whether sockets that end do not wait for what runs.
    pub ends_at_once: AtomicBool,
    /// Whether what was deployed is being loaded.
    pub is_loading: AtomicBool,
}

/// So many of a kind at one time: of a gateway, and of all of a server together.
#[derive(Debug, Clone)]
pub struct Capacity {
    most: u32,
    own: Arc<Semaphore>,
    all: Option<Arc<Semaphore>>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
#[must_use = "it is given back when it is dropped"]
pub struct Permit {
    _own: OwnedSemaphorePermit,
    _all: Option<OwnedSemaphorePermit>,
}

impl Capacity {
    /// So many.
    pub fn new(most: u32) -> Self {
        Self { most, own: Arc::new(Semaphore::new(most as usize)), all: None }
    }

    /// As many for somebody else, which count as some of these.
    pub fn beside(&self) -> Self {
        Self { all: Some(self.own.clone()), ..Self::new(self.most) }
    }

    /// One more, if it may be had.
    pub fn take(&self) -> Option<Permit> {
        let all = self.all.clone().map(Semaphore::try_acquire_owned).transpose().ok()?;
        Some(Permit { _own: self.own.clone().try_acquire_owned().ok()?, _all: all })
    }

    /// The same for one that counts among all already.
    pub fn take_over(&self) -> Option<Permit> {
        Some(Permit { _own: self.own.clone().try_acquire_owned().ok()?, _all: None })
    }

    /// How many there are.
    pub fn taken(&self) -> u64 {
        u64::from(self.most).saturating_sub(self.own.available_permits() as u64)
    }
}

impl Gateway {
    /// What is counted, for Prometheus.
    pub fn metrics(&self) -> String {
        let readings = Readings {
            sockets: self.sockets.taken(),
            subscriptions: self.subscriptions.taken(),
            tokens_refused: self.auth.refused(),
            tenants: self.tenants.get().map(|tenants| tenants.counts()),
            ..Readings::default()
        };
        self.service.metrics(readings)
    }

    /// How long queries and mutations of a socket may take that ends.
    pub fn grace(&self) -> Duration {
        if self.ends_at_once.load(Ordering::Relaxed) { Duration::ZERO } else { self.options.socket.grace }
    }

    /// Has sockets that end from now on wait for nothing.
    pub fn end_at_once(&self) {
        self.ends_at_once.store(true, Ordering::Relaxed);
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
        // Many may wait for the keys of one issuer, and be none the worse for it.
        self.auth.wait_for_keys(token).await;
        let login = self.rates.login(address, || self.auth.remembers(token))?;
        let verified = self.auth.of_token_from(address, token).await;
        if verified.as_ref().is_err_and(TokenError::is_no_token) {
            login.is_guess();
        }
        Ok(verified?)
    }

    /// What is said while there is no release.
    pub fn nothing_served(&self) -> &str {
        if self.is_loading.load(Ordering::Relaxed) {
            "what is deployed is still being loaded: try again later"
        } else {
            &self.options.nothing_served
        }
    }
}
