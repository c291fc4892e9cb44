//! One connection from its first byte to its last: HTTP/1.0, 1.1 and 2, until its time is over.
//!
//! Before anything is read that a client sends, it is known whose the connection is, and whether that address may have one more;
//! before a request is answered, whose the request is, and whether that address may ask.
//!
//! A client speaks HTTP/2 by beginning with it, inside TLS when both have said so in the handshake. WebSockets are opened over HTTP/1.1 only; an opened one is no longer
//! this conversation's.

use std::convert::Infallible;
use std::future::ready;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::connect_info::ConnectInfo;
use axum::http::Request;
use axum::response::Response;
use futures_util::FutureExt;
use futures_util::future::Either;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;

use super::activity::{Counted, Quiet};
use super::client_address::of_request;
use super::connection::Accepted;
use super::gateway::Gateway;
use super::manners::Manners;
use super::options::ConnectionOptions;
use super::proxy_protocol;
use super::stream::{Counting, Stream};
use super::too_many;
use crate::rate::standing::Standing;
use crate::tenants::{Tenants, choose};

/// The least that the library takes as the bound of a head.
const HEADER_BYTES_MIN: usize = 8 << 10;

/// How conversations are held.
pub struct Conversations {
    http: auto::Builder<TokioExecutor>,
    router: TowerToHyperService<Router>,
    gateway: Arc<Gateway>,
    tls: Option<TlsAcceptor>,
    stopping: watch::Receiver<bool>,
    tenants: Option<Arc<Tenants>>,
}

impl Conversations {
    /// Requests go to the router, or to that of the tenant whose they are, until the server stops.
    pub fn of(
        router: Router,
        gateway: Arc<Gateway>,
        tls: Option<TlsAcceptor>,
        stopping: watch::Receiver<bool>,
        tenants: Option<Arc<Tenants>>,
    ) -> Self {
        // Once for all, and not for each request.
        let router = TowerToHyperService::new(router.with_state(()));
        Self { http: http(&gateway.options.connection), router, gateway, tls, stopping, tenants }
    }

    /// Holds one, to its end or until there is a reason to end it.
    pub async fn hold(self: Arc<Self>, mut stream: Counting, mut accepted: Accepted) {
        if !self.may_connect(&mut stream, &mut accepted.address).await {
            return;
        }
        let options = &self.gateway.options.connection;
        let Some(stream) = self.shake_hands(stream).await else { return };
        let activity = accepted.written.0.clone();
        let answer = service_fn(|request: Request<Incoming>| {
            let running = accepted.written.0.begin(request.version());
            let mut request = request.map(Body::new);
            let address = of_request(&self.gateway.options.proxies, accepted.address, request.headers());
            request.extensions_mut().insert(ConnectInfo(Accepted { address, ..accepted.clone() }));
            let manners = Manners::of(&request, address);
            let answering = self.may_ask(&request, address).map(|standing| (standing, self.answer(request, address)));
            async move {
                let response = match answering {
                    Ok((standing, answering)) => manners.keep(standing, answering).await,
                    Err((standing, refusal)) => manners.keep(standing, ready(Ok(*refusal))).await,
                };
                Ok::<_, Infallible>(response.map(|body| Counted::of(body, running)))
            }
        });
        let mut conversation = pin!(self.http.serve_connection_with_upgrades(TokioIo::new(stream), answer));
        let mut stopping = self.stopping.clone();
        let quiet = tokio::select! {
            biased;
            ended = conversation.as_mut() => return log(ended),
            quiet = activity.quiet(options) => Some(quiet),
            _ = stopping.wait_for(|stopping| *stopping) => None,
        };
        let Some(quiet) = quiet else {
            // What runs is finished, and the client told to send no more.
            conversation.as_mut().graceful_shutdown();
            return log(conversation.await);
        };
        tracing::debug!("a connection is closed: {quiet:?}");
        if quiet == Quiet::Idle {
            conversation.as_mut().graceful_shutdown();
            // One that does not answer is closed all the same, once nothing runs that was asked for meanwhile.
            let end = Instant::now() + options.idle_timeout;
            while timeout(options.close_timeout, conversation.as_mut()).await.is_err()
                && activity.is_running()
                && Instant::now() < end
            {}
        }
    }

    /// Answers a request.
    fn answer(
        &self,
        request: Request<Body>,
        address: IpAddr,
    ) -> impl Future<Output = Result<Response, Infallible>> + Send + use<> {
        let names_environment = choose::names_environment(request.headers());
        match self.tenants.as_ref().filter(|tenants| names_environment || !tenants.is_empty()) {
            None => match names_environment.then(|| choose::without_environments(&self.gateway, request.headers())) {
                Some(Some(refusal)) => Either::Right(ready(Ok(refusal)).boxed()),
                _ => Either::Left(self.router.call(request)),
            },
            Some(tenants) => {
                let (tenants, own) = (tenants.clone(), self.router.clone());
                // Boxed: otherwise each request would have the room for it, also where there are none.
                Either::Right(async move { tenants.answer(own, request, address).await }.boxed())
            }
        }
    }

    /// Whether a request of an address is answered, and how that stands; or the answer in its place.
    fn may_ask(
        &self,
        request: &Request<Body>,
        address: IpAddr,
    ) -> Result<Option<Standing>, (Option<Standing>, Box<Response>)> {
        // Who looks after the server finds it well, whoever else comes from there.
        if matches!(request.uri().path(), "/healthz" | "/readyz") {
            return Ok(None);
        }
        self.gateway.rates.request(address).map_err(|limited| {
            let standing = limited.standing;
            (standing, Box::new(too_many::response(&self.gateway.options.origins, limited, request.headers())))
        })
    }

    /// Finds out whose a connection is, which counts as that address's from here on. `false`: it is closed.
    async fn may_connect(&self, stream: &mut Counting, address: &mut IpAddr) -> bool {
        let proxies = &self.gateway.options.proxies;
        if proxies.trusts(*address) {
            if !proxies.proxy_protocol {
                return true;
            }
            let patience = self.gateway.options.connection.handshake_timeout;
            let mut stopping = self.stopping.clone();
            let read = tokio::select! {
                read = timeout(patience, proxy_protocol::read(stream)) => read,
                _ = stopping.wait_for(|stopping| *stopping) => return false,
            };
            match read {
                Ok(Ok(Some(client))) => *address = client,
                Ok(Ok(None)) => return true,
                Ok(Err(error)) => {
                    tracing::debug!("a connection of the proxy {address} is closed: {error}");
                    return false;
                }
                Err(_) => {
                    tracing::debug!("the proxy {address} has not said for whom it connects in {patience:?}");
                    return false;
                }
            }
        }
        match self.gateway.rates.connection(*address) {
            Ok(hold) => {
                stream.count_as(hold);
                true
            }
            Err(limited) => {
                tracing::debug!("a connection of {address} is closed: {limited}");
                false
            }
        }
    }

    /// The connection as HTTP sees it; `None` if it does not come to that.
    async fn shake_hands(&self, stream: Counting) -> Option<Stream> {
        let Some(tls) = &self.tls else { return Some(Stream::Plain(stream)) };
        let mut stopping = self.stopping.clone();
        let patience = self.gateway.options.connection.handshake_timeout;
        let shaken = tokio::select! {
            shaken = timeout(patience, tls.accept(stream)) => shaken,
            _ = stopping.wait_for(|stopping| *stopping) => return None,
        };
        match shaken {
            Ok(Ok(stream)) => Some(Stream::Tls(Box::new(stream))),
            Ok(Err(error)) => {
                tracing::debug!("a TLS handshake fails: {error}");
                None
            }
            Err(_) => {
                tracing::debug!("a TLS handshake has not come to its end in {patience:?}");
                None
            }
        }
    }
}

fn log(ended: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = ended {
        tracing::debug!("a connection: {error}");
    }
}

fn http(options: &ConnectionOptions) -> auto::Builder<TokioExecutor> {
    let header_bytes = options.header_bytes.max(HEADER_BYTES_MIN);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // Its own timer for heads would be one more for each request; `Activity` has one for the connection.
    builder.http1().header_read_timeout(None).max_buf_size(header_bytes);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(header_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(options.streams)
        .max_pending_accept_reset_streams(options.resets)
        .max_local_error_reset_streams(options.resets)
        .keep_alive_interval(options.ping_interval)
        .keep_alive_timeout(options.ping_timeout);
    builder
}
