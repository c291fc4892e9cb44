//! Keys that an issuer publishes at a URL: read when they are needed, and again now and then.
//!
//! Rule: whatever tokens come, an issuer is asked for its keys at most once in an interval, by one at a time. What it has said is
//! believed for a while if it cannot be asked, and then no longer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jsonwebtoken::Algorithm;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::watch;
use url::Url;
use weir_engine::fetch::{self, FetchError};

use super::error::TokenError;
use super::keys::{KEYS_BYTES_MAX, KeySet, KeysError};
use super::strict::Strict;
use crate::config::{TokensSection, is_of_this_machine, key_url};

/// How long reading from a URL may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads what is at a URL.
pub type Read = Arc<dyn Fn(Url) -> Reading + Send + Sync>;

/// What is at a URL, as it comes.
pub type Reading = Pin<Box<dyn Future<Output = Result<Vec<u8>, FetchError>> + Send>>;

/// What of the world around is needed, so that tests can be all of it.
#[derive(Clone)]
pub struct Outside {
    /// Reads what is at a URL.
    pub read: Read,
    /// The time since some moment. It never goes back, whatever is done to the time of day.
    pub now: Arc<dyn Fn() -> Duration + Send + Sync>,
}

impl Outside {
    /// HTTP, and the clock of the machine.
    pub fn real() -> Self {
        let start = Instant::now();
        Self {
            read: Arc::new(|url| Box::pin(async move { fetch::get(&url, KEYS_BYTES_MAX, PATIENCE).await })),
            now: Arc::new(move || start.elapsed()),
        }
    }
}

/// Where the keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// At this URL.
    Jwks(Url),
    /// Where the metadata (OpenID Connect Discovery 1.0) at this URL say.
    Discovery {
        /// Where the metadata are.
        metadata: Url,
        /// Whose they must be.
        issuer: String,
    },
}

/// Why keys could not be read.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error("its metadata are no JSON object, or have a member twice")]
    Metadata,
    #[error("its metadata are those of another issuer")]
    OtherIssuer,
    #[error("its metadata name no URL that keys are read from as jwks_uri")]
    Address,
}

/// The keys of an issuer that publishes them.
pub struct Remote {
    /// For the log.
    issuer: String,
    source: Source,
    pinned: Vec<Algorithm>,
    times: Times,
    outside: Outside,
    /// Counts sets of keys that took the place of others, of all issuers.
    exchanged: watch::Sender<u64>,
    known: Mutex<Known>,
    /// Held by who reads.
    flight: tokio::sync::Mutex<()>,
}

/// How often, and how long.
#[derive(Debug, Clone, Copy)]
struct Times {
    refresh: Duration,
    believed: Duration,
    interval: Duration,
}

#[derive(Default)]
struct Known {
    keys: Option<(Arc<KeySet>, Duration)>,
    /// When they were asked for last.
    tried: Option<Duration>,
}

impl Remote {
    /// Nothing is read yet.
    pub fn new(
        issuer: &str,
        source: Source,
        pinned: &[Algorithm],
        tokens: &TokensSection,
        outside: Outside,
        exchanged: watch::Sender<u64>,
    ) -> Self {
        Self {
            issuer: issuer.to_owned(),
            source,
            pinned: pinned.to_vec(),
            times: Times {
                refresh: tokens.keys_refresh,
                believed: tokens.keys_believed,
                interval: tokens.keys_interval,
            },
            outside,
            exchanged,
            known: Mutex::default(),
            flight: tokio::sync::Mutex::default(),
        }
    }

    /// The keys, of which one has this `kid`. They are read anew if there is none of that name, or no keys that are young enough.
    pub async fn keys(self: &Arc<Self>, kid: Option<&str>) -> Result<Arc<KeySet>, TokenError> {
        if let Some((keys, read)) = self.believed() {
            if keys.get(kid).is_some() {
                self.refresh_after(read);
                return Ok(keys);
            }
            if !self.may_try() {
                return Err(TokenError::Key);
            }
        }
        // Whoever asks may go away. The others, and the interval, are not to suffer from that.
        let remote = self.clone();
        let _ = tokio::spawn(async move { remote.refresh().await }).await;
        match self.believed() {
            Some((keys, _)) if keys.get(kid).is_some() => Ok(keys),
            Some(_) => Err(TokenError::Key),
            None => Err(TokenError::KeysUnavailable { retry_after: self.times.interval }),
        }
    }

    /// Whether the keys that a token was checked with are those that are believed now.
    pub fn still_has(self: &Arc<Self>, keys: &Arc<KeySet>) -> bool {
        let Some((believed, read)) = self.believed() else { return false };
        self.refresh_after(read);
        Arc::ptr_eq(&believed, keys)
    }

    /// Whether its issuer has other keys now than those that a token was checked with, and not that one among them.
    pub fn has_lost(&self, keys: &Arc<KeySet>, kid: Option<&str>, algorithm: Algorithm) -> bool {
        let known = self.known.lock();
        known.keys.as_ref().is_some_and(|(now, _)| !Arc::ptr_eq(now, keys) && !now.still_has(keys, kid, algorithm))
    }

    /// Has keys read again when it is time, for who goes on with a token that nobody shows again.
    pub fn keep_young(self: &Arc<Self>) {
        let read = self.known.lock().keys.as_ref().map(|(_, read)| *read);
        if let Some(read) = read {
            self.refresh_after(read);
        }
    }

    /// Has keys read again that were read too long ago. Nobody waits for that.
    fn refresh_after(self: &Arc<Self>, read: Duration) {
        if self.since(read) >= self.times.refresh && self.may_try() {
            let remote = self.clone();
            tokio::spawn(async move { remote.refresh().await });
        }
    }

    fn believed(&self) -> Option<(Arc<KeySet>, Duration)> {
        let known = self.known.lock();
        known.keys.clone().filter(|(_, read)| self.since(*read) < self.times.believed)
    }

    fn may_try(&self) -> bool {
        self.known.lock().tried.is_none_or(|tried| self.since(tried) >= self.times.interval)
    }

    fn since(&self, then: Duration) -> Duration {
        (self.outside.now)().saturating_sub(then)
    }

    /// Reads the keys, unless somebody has while this one waited for a turn, or the interval is not over.
    async fn refresh(&self) {
        let _turn = self.flight.lock().await;
        if !self.may_try() {
            return;
        }
        self.known.lock().tried = Some((self.outside.now)());
        let asked = self.ask().await;
        // Those who wait behind this one are not to ask again at once, however long it took.
        self.known.lock().tried = Some((self.outside.now)());
        match asked {
            Ok(keys) => {
                let mut known = self.known.lock();
                let now = (self.outside.now)();
                // Tokens that were checked with the same keys stay checked.
                let (keys, is_other) = match known.keys.take() {
                    Some((before, _)) if before.is_same(&keys) => (before, false),
                    _ => (Arc::new(keys), true),
                };
                known.keys = Some((keys, now));
                drop(known);
                if is_other {
                    self.exchanged.send_modify(|count| *count += 1);
                }
            }
            Err(error) => tracing::warn!("the keys of the issuer {:?} cannot be read: {error}", self.issuer),
        }
    }

    async fn ask(&self) -> Result<KeySet, ReadError> {
        let url = match &self.source {
            Source::Jwks(url) => url.clone(),
            Source::Discovery { metadata, issuer } => {
                let text = (self.outside.read)(metadata.clone()).await?;
                let Ok(Strict(Value::Object(said))) = serde_json::from_slice(&text) else {
                    return Err(ReadError::Metadata);
                };
                if said.get("issuer").and_then(Value::as_str) != Some(issuer) {
                    return Err(ReadError::OtherIssuer);
                }
                let url = said.get("jwks_uri").and_then(Value::as_str).and_then(|url| key_url(url).ok());
                // What came from elsewhere has nothing to say about this machine.
                let may_lead_here = is_of_this_machine(metadata);
                url.filter(|url| may_lead_here || !is_of_this_machine(url)).ok_or(ReadError::Address)?
            }
        };
        Ok(KeySet::of_jwks(&(self.outside.read)(url).await?, &self.pinned)?)
    }
}
