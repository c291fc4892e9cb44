//! Which web pages may reach the server from a browser.
//!
//! A browser lets any page open a WebSocket anywhere and send simple requests, and whoever reaches `weir dev` is the
//! developer. So a page counts only if it comes from this machine, from the very host that it calls, or from an origin
//! that the operator names. Programs other than browsers say nothing of a page, and are not asked.
//!
//! A page may also have a name of its own point here (DNS rebinding): then it is of the very host that it calls, as its browser
//! sees it. A server that listens on its own machine alone is asked for by an address, as localhost, or by a name that the
//! operator names, so any other name is such a page's.
//!
//! Simple requests are those that a browser sends without asking the server first (<https://fetch.spec.whatwg.org/>). A
//! POST is none: its content type is JSON. A GET is one, unless it carries a header that no form and no image sends.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Uri, header};

/// Headers that a page can only send after the browser has asked the server, which then has said yes to its origin. The
/// first are what clients of GraphQL send for that very reason. `Authorization` is none of them: a browser adds it by itself
/// where somebody has logged in by a dialogue of its own.
const PREFLIGHTED: [&str; 5] = [
    "apollo-require-preflight",
    "graphql-preflight",
    "graphql-require-preflight",
    "x-apollo-operation-name",
    "x-requested-with",
];

/// An origin as browsers write it: `https://app.example.com`, with the port where it is not the scheme's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

/// What is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "an origin is a scheme and a host, and a port if it has one, such as https://app.example.com or http://10.0.0.7:8080"
)]
pub struct NoOrigin;

impl FromStr for Origin {
    type Err = NoOrigin;

    fn from_str(text: &str) -> Result<Self, NoOrigin> {
        let uri: Uri = text.parse().map_err(|_| NoOrigin)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(NoOrigin) };
        let own_port = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return Err(NoOrigin),
        };
        let is_bare = uri.path() == "/" && uri.query().is_none() && !text.ends_with('/');
        if !is_bare || authority.as_str().contains('@') || authority.as_str().ends_with(':') {
            return Err(NoOrigin);
        }
        let host = authority.host().to_ascii_lowercase();
        let port = authority.port_u16().filter(|port| *port != own_port);
        Ok(Self(match port {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        }))
    }
}

impl Origin {
    /// Its host, without the port.
    fn host(&self) -> Option<String> {
        self.0.parse::<Uri>().ok()?.host().map(str::to_owned)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The pages that may reach the server, besides those of its own host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    named: Vec<Origin>,
    reach: Reach,
}

/// From where the server can be reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reach {
    /// From elsewhere too, under whatever name.
    #[default]
    Anywhere,
    /// From its own machine alone.
    Machine,
}

/// In the extensions of a request: the name that it is asked for by is one that the operator has given somebody here.
#[derive(Debug, Clone, Copy)]
pub struct KnownName;

/// Why a request is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Foreign {
    /// It may come from a page whose name points to this machine.
    #[error(
        "this server is for its own machine and is asked for by another name: start it with --allow-origin and the origin \
         of that name"
    )]
    Name,
    /// A page that is not among those that may do so has sent it, and its browser has not asked first.
    #[error(
        "a page of another origin has sent this unasked: start the server with --allow-origin and its origin, or have it \
         send a POST with application/json or the header X-Requested-With"
    )]
    Page,
}

impl Origins {
    /// Those of this machine and these.
    pub fn and(named: Vec<Origin>) -> Self {
        Self { named, reach: Reach::default() }
    }

    /// The same for a server that is reached from there.
    pub fn reached_from(self, reach: Reach) -> Self {
        Self { reach, ..self }
    }

    /// Whether pages of an origin may call, wherever the server is.
    pub fn contains(&self, origin: &HeaderValue) -> bool {
        is_loopback(origin) || self.named.iter().any(|named| named.0.as_bytes() == origin.as_bytes())
    }

    /// Whether the server is asked for by a name of its own.
    pub fn may_ask(&self, parts: &Parts) -> Result<(), Foreign> {
        if parts.extensions.get::<KnownName>().is_some() {
            return Ok(());
        }
        let Some(host) = host(parts).filter(|_| self.reach == Reach::Machine) else { return Ok(()) };
        let Ok(host) = host.parse::<Authority>() else { return Err(Foreign::Name) };
        let host = host.host();
        let is_address = bare(host).parse::<IpAddr>().is_ok();
        let is_named =
            || self.named.iter().any(|named| named.host().is_some_and(|named| named.eq_ignore_ascii_case(host)));
        if is_address || is_localhost(host) || is_named() { Ok(()) } else { Err(Foreign::Name) }
    }

    /// Whether a WebSocket may be opened: a browser asks nobody before it opens one.
    pub fn may_connect(&self, parts: &Parts) -> Result<(), Foreign> {
        self.may_ask(parts)?;
        match parts.headers.get(header::ORIGIN) {
            Some(origin) if !self.allows(origin, parts) => Err(Foreign::Page),
            _ => Ok(()),
        }
    }

    /// Whether a GET may be answered: that no page of another site has sent it unasked.
    pub fn may_get(&self, parts: &Parts) -> Result<(), Foreign> {
        self.may_ask(parts)?;
        let headers = &parts.headers;
        let Some(site) = headers.get("sec-fetch-site") else {
            // Old browsers name at least the origin of a script, and nobody else names any.
            return if is_preflighted(headers) { Ok(()) } else { self.may_connect(parts) };
        };
        // What is typed into the address bar comes from no site.
        let is_own = [&b"same-origin"[..], b"none"].contains(&site.as_bytes());
        let origin = || headers.get(header::ORIGIN).is_some_and(|origin| self.allows(origin, parts));
        if is_own || is_preflighted(headers) || origin() { Ok(()) } else { Err(Foreign::Page) }
    }

    fn allows(&self, origin: &HeaderValue, parts: &Parts) -> bool {
        is_of_host(origin, parts) || self.contains(origin)
    }
}

/// Whether a browser has asked before it sent this, if one has sent it.
pub(super) fn is_preflighted(headers: &HeaderMap) -> bool {
    PREFLIGHTED.iter().any(|name| headers.contains_key(*name))
}

/// By what host, and port if it is not the scheme's, the server is asked for. Over HTTP/2 that is part of the address.
fn host(parts: &Parts) -> Option<&str> {
    let named = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    named.or_else(|| Some(parts.uri.authority()?.as_str()))
}

/// Whether the page comes from the very host that it calls.
fn is_of_host(origin: &HeaderValue, parts: &Parts) -> bool {
    host(parts).and_then(|host| Some(parse(origin)?.authority()?.as_str() == host)).unwrap_or_default()
}

/// Whether the page comes from a host that is this machine: `http://localhost:3000`.
fn is_loopback(origin: &HeaderValue) -> bool {
    let host = parse(origin).and_then(|uri| uri.host().map(str::to_owned));
    host.is_some_and(|host| is_localhost(&host) || bare(&host).parse::<IpAddr>().is_ok_and(|host| host.is_loopback()))
}

/// Whether a name stands for this machine wherever it is looked up.
fn is_localhost(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost")
}

/// An address of IPv6 without its brackets.
fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

fn parse(origin: &HeaderValue) -> Option<Uri> {
    origin.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn origins() -> Origins {
        Origins::and(vec!["https://app.example.com".parse().unwrap()])
    }

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::get("/graphql").header(header::HOST, "weir.test:4000");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn pages_of_this_machine_of_the_same_host_and_of_named_origins_may_connect() {
        let table = [
            (None, true),
            (Some("http://localhost:3000"), true),
            (Some("https://app.localhost"), true),
            (Some("http://127.0.0.1:5173"), true),
            (Some("http://[::1]:5173"), true),
            (Some("http://weir.test:4000"), true),
            (Some("http://weir.test:4001"), false),
            (Some("https://app.example.com"), true),
            (Some("http://app.example.com"), false),
            (Some("https://app.example.com:8443"), false),
            (Some("https://app.example.com.evil.example"), false),
            (Some("https://evil.example"), false),
            (Some("https://localhost.evil.example"), false),
            (Some("null"), false),
        ];
        for (origin, allowed) in table {
            let parts = parts(&origin.map(|origin| ("origin", origin)).into_iter().collect::<Vec<_>>());
            assert_eq!(origins().may_connect(&parts).is_ok(), allowed, "{origin:?}");
        }
        // HTTP/2 has no header for the host.
        let http2 = Request::get("https://weir.test/graphql").header(header::ORIGIN, "https://weir.test");
        let (parts, ()) = http2.body(()).unwrap().into_parts();
        assert_eq!(origins().may_connect(&parts), Ok(()));
    }

    #[test]
    fn a_get_that_a_page_of_another_site_has_sent_unasked_is_foreign() {
        let (cross, own, typed) =
            (("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "none"));
        let beside = ("sec-fetch-site", "same-site");
        let (evil, app, local) = (
            ("origin", "https://evil.example"),
            ("origin", "https://app.example.com"),
            ("origin", "http://localhost:3000"),
        );
        let table: [(&[(&str, &str)], bool); 15] = [
            // curl, a server, an audit.
            (&[], true),
            (&[("accept", "application/json")], true),
            // GraphiQL, the address bar.
            (&[own], true),
            (&[typed], true),
            // An image, a link, a form of another page, also one on a sibling of the host.
            (&[cross], false),
            (&[beside], false),
            (&[cross, ("authorization", "Basic eDp5")], false),
            (&[cross, ("sec-fetch-mode", "no-cors"), ("content-type", "text/plain")], false),
            // A script.
            (&[cross, evil], false),
            (&[evil], false),
            (&[cross, app], true),
            (&[beside, local], true),
            (&[app], true),
            // What a browser has asked for first.
            (&[cross, evil, ("x-requested-with", "weir")], true),
            (&[evil, ("apollo-require-preflight", "true")], true),
        ];
        for (headers, allowed) in table {
            assert_eq!(origins().may_get(&parts(headers)).is_ok(), allowed, "{headers:?}");
        }
    }

    #[test]
    fn a_server_for_its_own_machine_is_asked_for_by_names_of_its_own() {
        let table = [
            ("127.0.0.1:4000", true),
            ("localhost:4000", true),
            ("LOCALHOST", true),
            ("app.localhost:4000", true),
            ("[::1]:4000", true),
            ("10.0.0.7:4000", true),
            ("app.example.com", true),
            ("App.Example.com:4000", true),
            ("evil.example:4000", false),
            ("localhost.evil.example:4000", false),
            ("127.0.0.1.evil.example:4000", false),
            ("", false),
        ];
        for (host, allowed) in table {
            let request = Request::get("/graphql").header(header::HOST, host);
            let request = request.header(header::ORIGIN, format!("http://{host}"));
            let (parts, ()) = request.body(()).unwrap().into_parts();
            let local = origins().reached_from(Reach::Machine);
            assert_eq!(local.may_ask(&parts).is_ok(), allowed, "{host}");
            assert!(allowed || local.may_get(&parts).is_err() && local.may_connect(&parts).is_err(), "{host}");
            assert_eq!(origins().may_ask(&parts), Ok(()), "{host}");
        }
    }

    #[test]
    fn origins_are_written_as_browsers_write_them() {
        let table = [
            ("https://app.example.com", Some("https://app.example.com")),
            ("HTTPS://App.Example.com:443", Some("https://app.example.com")),
            ("http://10.0.0.7:80", Some("http://10.0.0.7")),
            ("http://[::1]:8080", Some("http://[::1]:8080")),
            ("https://app.example.com/", None),
            ("https://app.example.com/path", None),
            ("https://user@app.example.com", None),
            ("app.example.com", None),
            ("ftp://app.example.com", None),
            ("null", None),
            ("*", None),
            ("", None),
        ];
        for (text, expected) in table {
            let origin = text.parse::<Origin>().ok().map(|origin| origin.to_string());
            assert_eq!(origin.as_deref(), expected, "{text}");
        }
    }
}
