//! `fetch` of actions: requests to the hosts that `app.toml` names, and to nothing else.
//!
//! The rule: a connection goes to an address that was looked at for the request at hand, of a host that is on the list, for
//! the first request as for each redirect. What comes back is read within the limits of the call, and within its time.
//!
//! | module | what it does |
//! |---|---|
//! | `request` | what a script asks for, checked; what of it goes along with a redirect |
//! | `hosts` | which URLs are on the list, and to which addresses a name is followed |
//! | `addresses` | which addresses are of the public internet |
//! | `client` | one request over one connection |
//! | `error` | why there is no response |

mod addresses;
mod client;
mod error;
mod hosts;
mod request;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{HeaderMap, LOCATION};
use hyper::{Method, StatusCode, header};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use url::{Host, Url};
use weir_sandbox::protocol::{FetchRequest, HostError, Redirect};
use weir_schema::limits::{FETCH_REDIRECTS_MAX, FETCHES_AT_ONCE_MAX, Limit};
use weir_schema::manifest::Manifest;
use weir_schema::outside::AllowedHost;

use client::Responding;
pub use error::FetchError;
pub use hosts::Reach;
use hosts::Target;
pub(crate) use hosts::{Resolve, resolve_by_system};
use request::Outgoing;

/// What all calls of a release fetch with. Cheap to clone.
#[derive(Clone)]
pub struct Fetcher {
    shared: Arc<Shared>,
}

struct Shared {
    hosts: Vec<AllowedHost>,
    reach: Reach,
    /// The longest that a call may take, and with it a request.
    wall: Duration,
    resolve: Resolve,
    at_once: Semaphore,
    /// Where requests are worked on: the threads of isolates only wait for them.
    runtime: Handle,
}

/// What a call may still send and receive, in bytes.
#[derive(Clone)]
pub struct Budget(Arc<AtomicUsize>);

impl Budget {
    /// So many bytes.
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    fn take(&self, bytes: usize) -> Result<(), FetchError> {
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        taken.map(drop).map_err(|_| FetchError::Limit(Limit::FetchBytes))
    }
}

/// A request under way. Dropping it gives it up.
struct UnderWay(JoinHandle<Result<String, FetchError>>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Fetcher {
    /// For an app, on the runtime that asks.
    pub(crate) fn new(manifest: &Manifest, reach: Reach, resolve: Resolve) -> Self {
        let shared = Shared {
            hosts: manifest.fetch.hosts.clone(),
            reach,
            wall: Duration::from_millis(manifest.limits.wall_ms),
            resolve,
            at_once: Semaphore::new(FETCHES_AT_ONCE_MAX),
            runtime: Handle::current(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Sends a request and reads its response, as JSON text. A request whose future is dropped is given up.
    pub async fn fetch(self, request: FetchRequest, budget: Budget) -> Result<String, HostError> {
        let runtime = self.shared.runtime.clone();
        let mut under_way = UnderWay(runtime.spawn(async move { self.shared.fetch(request, &budget).await }));
        match (&mut under_way.0).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(FetchError::Limit(limit))) => Err(HostError::Limit(limit)),
            Ok(Err(error)) => Err(HostError::Refused(format!("fetch: {error}"))),
            Err(_) => Err(HostError::Refused("fetch: the server is stopping".to_owned())),
        }
    }
}

impl Shared {
    async fn fetch(&self, request: FetchRequest, budget: &Budget) -> Result<String, FetchError> {
        let outgoing = Outgoing::parse(request)?;
        let patience = outgoing.timeout.unwrap_or(self.wall).min(self.wall);
        let host = hosts::allowed(&outgoing.url, &self.hosts)?.name();
        let fetched = tokio::time::timeout(patience, async {
            // Never closed.
            let _turn = self.at_once.acquire().await.ok();
            self.follow(outgoing, budget).await
        });
        let late = |_| FetchError::Timeout { host, ms: u64::try_from(patience.as_millis()).unwrap_or(u64::MAX) };
        fetched.await.map_err(late)?
    }

    /// Sends a request, and those that its redirects make of it.
    async fn follow(&self, mut outgoing: Outgoing, budget: &Budget) -> Result<String, FetchError> {
        let mut redirects = 0;
        let mut came_from = None;
        let mut target = hosts::allowed(&outgoing.url, &self.hosts)?;
        loop {
            budget.take(outgoing.bytes())?;
            let addresses = hosts::addresses(&target, &self.hosts, &self.reach, &self.resolve).await;
            let addresses = addresses.map_err(|error| match came_from.take() {
                Some(from) => FetchError::Redirect { from, because: Box::new(error) },
                None => error,
            })?;
            let responding = client::send(&target, &addresses, &outgoing).await?;
            budget.take(header_bytes(responding.response.headers()))?;
            let Some(location) = location(&responding, outgoing.redirect) else {
                return self.read(&target, outgoing, responding, redirects > 0, budget).await;
            };
            let from = target.name();
            if outgoing.redirect == Redirect::Error {
                return Err(FetchError::Redirected(from));
            }
            if redirects == FETCH_REDIRECTS_MAX {
                return Err(FetchError::Redirects);
            }
            redirects += 1;
            let stays = |error| FetchError::Redirect { from: from.clone(), because: Box::new(error) };
            outgoing = outgoing.redirected(responding.response.status(), &location).map_err(stays)?;
            target = hosts::allowed(&outgoing.url, &self.hosts).map_err(stays)?;
            came_from = Some(from);
        }
    }

    async fn read(
        &self,
        target: &Target,
        outgoing: Outgoing,
        responding: Responding,
        redirected: bool,
        budget: &Budget,
    ) -> Result<String, FetchError> {
        let (status, headers) = (responding.response.status(), responding.response.headers().clone());
        if status == StatusCode::SWITCHING_PROTOCOLS {
            let because = "it switches to another protocol".to_owned();
            return Err(FetchError::Response { host: target.name(), because });
        }
        let body = match outgoing.method {
            Method::HEAD => Vec::new(),
            _ => client::read(target, responding, |bytes| budget.take(bytes)).await?,
        };
        Ok(json!({
            "status": status.as_u16(),
            "statusText": status.canonical_reason().unwrap_or_default(),
            "url": outgoing.url.as_str(),
            "redirected": redirected,
            "headers": header_list(&headers),
            "body": body_value(body),
        })
        .to_string())
    }
}

/// Reads what is at a URL that whoever runs the server has written, as no app does: whole, if it is there and no longer than that.
/// Redirects are not followed.
pub async fn get(url: &Url, bytes_max: usize, patience: Duration) -> Result<Vec<u8>, FetchError> {
    let target = hosts::target(url)?;
    let asked = async {
        let addresses = match &target.host {
            Host::Domain(name) => resolve_by_system()(name.clone(), target.port).await,
            Host::Ipv4(address) => Ok(vec![SocketAddr::new((*address).into(), target.port)]),
            Host::Ipv6(address) => Ok(vec![SocketAddr::new((*address).into(), target.port)]),
        };
        let addresses = addresses.map_err(|_| FetchError::Unknown(target.name()))?;
        let responding = client::send(&target, &addresses, &Outgoing::get(url.clone())).await?;
        let unusable = |because: String| FetchError::Response { host: target.name(), because };
        let status = responding.response.status();
        if status != StatusCode::OK {
            return Err(unusable(format!("its status is {status}")));
        }
        let mut left = bytes_max;
        let admit = |bytes| {
            left = left.checked_sub(bytes).ok_or_else(|| unusable(format!("it has more than {bytes_max} bytes")))?;
            Ok(())
        };
        client::read(&target, responding, admit).await
    };
    let ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
    let late = |_| FetchError::Timeout { host: target.name(), ms };
    tokio::time::timeout(patience, asked).await.map_err(late)?
}

/// Where a response leads on to, if it is a redirect that is not to be returned as it is.
fn location(responding: &Responding, redirect: Redirect) -> Option<String> {
    let is_redirect = matches!(responding.response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let location =
        responding.response.headers().get(LOCATION).filter(|_| is_redirect && redirect != Redirect::Manual)?;
    // What is not ASCII is UTF-8, or what it is taken for.
    Some(String::from_utf8_lossy(location.as_bytes()).into_owned())
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

/// Names and values in the order of the response. What is not ASCII comes as the standard has it, a character for each byte.
fn header_list(headers: &HeaderMap) -> Value {
    let text = |value: &header::HeaderValue| value.as_bytes().iter().map(|byte| char::from(*byte)).collect::<String>();
    headers.iter().map(|(name, value)| json!([name.as_str(), text(value)])).collect()
}

/// Text as such, since that is what most bodies are.
fn body_value(body: Vec<u8>) -> Value {
    match String::from_utf8(body) {
        Ok(text) => json!({ "text": text }),
        Err(bytes) => json!({ "base64": STANDARD.encode(bytes.as_bytes()) }),
    }
}
