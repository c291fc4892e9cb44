//! Whose a request is: a tenant's by the host that it is for, or else by the claim of its token, once that was verified. Whatever
//! else a request says about it says nothing. Which environment of theirs it is for, the host may say too, and the header
//! `x-weir-environment`.
//!
//! What leads nowhere is answered as if there were nothing, always by the same words: nobody learns which tenants there are.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Request, StatusCode};
use axum::response::Response;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use weir_engine::control::administrators;
use weir_schema::error::ErrorCode;
use weir_schema::tenant::{HostName, InstanceName, PRODUCTION, TenantName};

use super::host::{self, Ambiguous};
use super::served::Served;
use super::{Condition, Entry, Tenants};
use crate::auth::error::TokenError;
use crate::auth::token_of;
use crate::graphql::GraphqlError;
use crate::http::gateway::Gateway;
use crate::http::graphql::Refusal;
use crate::http::negotiate::{MediaType, accepted};
use crate::http::origin::KnownName;
use crate::http::too_many;

/// The header that names an environment.
pub const ENVIRONMENT: HeaderName = HeaderName::from_static("x-weir-environment");

/// Whose it is.
pub enum Chosen {
    /// The server's own.
    Own,
    /// A tenant's, or an environment's.
    Tenant(Arc<Served>),
    /// Nobody's.
    Refused(Refused),
}

/// Whether the token of a request is looked at once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// By who answers, who counts it then.
    Again,
    /// By nobody: it counts now.
    Last,
}

impl Look {
    fn of_path(path: &str) -> Self {
        if path == "/graphql" { Self::Again } else { Self::Last }
    }
}

/// Why nobody answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// There is no such tenant, or not any more.
    Nowhere,
    /// It is not served now.
    Unavailable,
    /// It is for more than one host.
    Ambiguous,
    /// There is no such environment, or not any more.
    NoEnvironment,
    /// It is for more than one environment.
    AmbiguousEnvironment,
}

impl From<Refused> for GraphqlError {
    fn from(refused: Refused) -> Self {
        match refused {
            // As of a token that is for another one.
            Refused::Nowhere => Self::from(&TokenError::Foreign),
            Refused::Unavailable => {
                Self::new(ErrorCode::Unavailable, "this is not served at the moment: try again later")
            }
            Refused::Ambiguous => Self::new(ErrorCode::BadRequest, Ambiguous.to_string()),
            Refused::NoEnvironment => Self::new(
                ErrorCode::NotFound,
                format!("there is no such environment: {ENVIRONMENT} names one of weir env list, or {PRODUCTION}"),
            ),
            Refused::AmbiguousEnvironment => Self::new(
                ErrorCode::BadRequest,
                format!("{ENVIRONMENT} is there more than once, or is not ASCII text: send one"),
            ),
        }
    }
}

impl Refused {
    fn status(self) -> StatusCode {
        match self {
            Self::Nowhere | Self::NoEnvironment => StatusCode::NOT_FOUND,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Ambiguous | Self::AmbiguousEnvironment => StatusCode::BAD_REQUEST,
        }
    }
}

impl Entry {
    fn chosen(&self) -> Chosen {
        match (self.condition(), &self.served) {
            (Condition::Served, Some(served)) => Chosen::Tenant(served.clone()),
            (Condition::Creating | Condition::Deleting, _) => Chosen::Refused(Refused::Nowhere),
            _ => Chosen::Refused(Refused::Unavailable),
        }
    }
}

impl Tenants {
    /// Whether there are any: otherwise no request need be looked at.
    pub fn is_empty(&self) -> bool {
        let has_hosts = !self.table.read().entries.is_empty() || self.setup.domain.is_some();
        !has_hosts && !self.own.auth.has_tenant_claims()
    }

    /// Answers a request of an address: by a tenant's routes, or by the server's own.
    pub async fn answer(
        &self,
        own: TowerToHyperService<Router>,
        request: Request<Body>,
        address: IpAddr,
    ) -> Result<Response, Infallible> {
        let (mut parts, body) = request.into_parts();
        let chosen = self.choose(&mut parts, address).await;
        let request = Request::from_parts(parts, body);
        match chosen {
            Chosen::Own => own.call(request).await,
            Chosen::Tenant(served) => served.answer(request).await,
            Chosen::Refused(refused) => Ok(refuse(&self.own, refused, request.headers())),
        }
    }

    async fn choose(&self, parts: &mut Parts, address: IpAddr) -> Chosen {
        // It is about the process.
        if parts.uri.path() == "/healthz" {
            return Chosen::Own;
        }
        let chosen = self.choose_app(parts, address).await;
        match environment(&parts.headers) {
            Ok(None) => chosen,
            Ok(Some(name)) => self.own.environments.of_chosen(chosen, name),
            Err(refused) => Chosen::Refused(refused),
        }
    }

    async fn choose_app(&self, parts: &mut Parts, address: IpAddr) -> Chosen {
        let (path, headers) = (parts.uri.path(), &parts.headers);
        let host = match host::of_request(&parts.uri, headers) {
            Ok(host) => host,
            Err(Ambiguous) => return Chosen::Refused(Refused::Ambiguous),
        };
        if let Some(host) = host {
            let table = self.table.read();
            let entry = table.hosts.get(&host).and_then(|name| table.entries.get(name));
            if let Some(entry) = entry {
                parts.extensions.insert(KnownName);
                return entry.chosen();
            }
            drop(table);
            if let Some(name) = self.below_domain(&host) {
                parts.extensions.insert(KnownName);
                return self.own.environments.choose(name);
            }
        }
        // Whether something is served is nobody's secret, and asked often.
        if path == "/readyz" {
            return Chosen::Own;
        }
        // Who shows none, or several, is told by who answers.
        let Ok(Some(token)) = token_of(headers) else { return Chosen::Own };
        if is_of_administrators(path) {
            // It leads to where it is looked up. Where there is nobody it is as good as one that nobody has made.
            let named = administrators::instance_of(token).map(|name| self.named(&name));
            return named.filter(|chosen| matches!(chosen, Chosen::Tenant(_))).unwrap_or(Chosen::Own);
        }
        self.of_token(token, address, Look::of_path(path)).await
    }

    /// Whose a token is that comes from an address. One that is none is the server's own, which says so where it looks again.
    pub async fn of_token(&self, token: &str, address: IpAddr, look: Look) -> Chosen {
        let auth = &self.own.auth;
        if !auth.has_tenant_claims() {
            return Chosen::Own;
        }
        auth.wait_for_keys(token).await;
        let Ok(login) = self.own.rates.login(address, || auth.remembers(token)) else { return Chosen::Own };
        let read = auth.read(token).await;
        // Who answers looks at it once more, and counts it.
        if look == Look::Last && read.as_ref().is_err_and(TokenError::is_no_token) {
            login.is_guess();
        }
        let chosen = match read.as_ref().map(|verified| verified.tenant().map(str::parse::<TenantName>)) {
            Ok(None) => Chosen::Own,
            Ok(Some(Ok(name))) => self.named(&name.into()),
            Ok(Some(Err(_))) => Chosen::Refused(Refused::Nowhere),
            Err(error) => {
                if look == Look::Last {
                    auth.note_refused(address, error);
                }
                Chosen::Own
            }
        };
        if matches!(chosen, Chosen::Refused(Refused::Nowhere)) {
            auth.note_refused(address, &TokenError::Foreign);
        }
        chosen
    }

    pub(super) fn named(&self, name: &InstanceName) -> Chosen {
        let table = self.table.read();
        table.entries.get(name).map_or(Chosen::Refused(Refused::Nowhere), Entry::chosen)
    }

    /// The environment of the server's own app that a host is by its name.
    fn below_domain<'h>(&self, host: &'h HostName) -> Option<&'h str> {
        host.as_str().strip_suffix(self.setup.domain.as_ref()?.as_str())?.strip_suffix('.')
    }
}

/// The environment that a request names.
fn environment(headers: &HeaderMap) -> Result<Option<&str>, Refused> {
    let mut lines = headers.get_all(ENVIRONMENT).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    let name = line.to_str().ok().filter(|_| lines.next().is_none());
    name.map(Some).ok_or(Refused::AmbiguousEnvironment)
}

/// Whether a request says for which environment it is.
pub fn names_environment(headers: &HeaderMap) -> bool {
    headers.contains_key(ENVIRONMENT)
}

/// What is said where there are no environments; `None`: it is for the app itself.
pub fn without_environments(own: &Gateway, headers: &HeaderMap) -> Option<Response> {
    let chosen = match environment(headers) {
        Ok(name) => name.map_or(Chosen::Own, |name| own.environments.choose(name)),
        Err(refused) => Chosen::Refused(refused),
    };
    match chosen {
        Chosen::Refused(refused) => Some(refuse(own, refused, headers)),
        Chosen::Own | Chosen::Tenant(_) => None,
    }
}

fn refuse(own: &Gateway, refused: Refused, headers: &HeaderMap) -> Response {
    let media = accepted(headers).unwrap_or(MediaType::Json);
    let refusal = Refusal::new(refused.status(), refused.into()).into_response(media);
    too_many::readable(&own.options.origins, headers, refusal)
}

/// Whether a path is for who shows the token of an administrator.
fn is_of_administrators(path: &str) -> bool {
    matches!(path, "/admin/graphql" | "/metrics")
}
