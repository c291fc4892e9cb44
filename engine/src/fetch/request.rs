//! What a script asks for, checked: a method, a URL, headers that are a function's to set, a body.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode, header};
use url::Url;
use weir_sandbox::protocol::{FetchBody, FetchRequest, Redirect};
use weir_schema::limits::{FETCH_HEADER_BYTES_MAX, FETCH_HEADERS_MAX, FETCH_URL_BYTES_MAX};

use super::error::FetchError;
use crate::outside::shortened;

/// Headers of the connection, of how a body is sent, and of what stands between: they are the client's. Those that say for whom
/// a request is would be believed where this machine is taken for a proxy.
const RESERVED: [&str; 19] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
];

/// What goes along when a redirect leads to another origin: any other header may be a credential.
const CARRIED: [HeaderName; 5] =
    [header::ACCEPT, header::ACCEPT_LANGUAGE, header::CONTENT_LANGUAGE, header::CONTENT_TYPE, header::USER_AGENT];

/// A request, ready to be sent to whatever its URL leads to.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// What to do.
    pub method: Method,
    /// With what.
    pub url: Url,
    /// All but those of the connection.
    pub headers: HeaderMap,
    /// `None` is not the same as an empty one: servers may want a length.
    pub body: Option<Bytes>,
    /// What to do with a redirect.
    pub redirect: Redirect,
    /// How long all of it may take, if the script says so.
    pub timeout: Option<Duration>,
}

impl Outgoing {
    /// A request for what is at a URL, and no more.
    pub fn get(url: Url) -> Self {
        let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static("application/json"))]);
        Self { method: Method::GET, url, headers, body: None, redirect: Redirect::Error, timeout: None }
    }

    /// Checks what a script, or a worker in its name, asks for.
    pub fn parse(request: FetchRequest) -> Result<Self, FetchError> {
        let FetchRequest { url, method, headers, body, redirect, timeout_ms } = request;
        let url = parse_url(&url, None)?;
        let method = parse_method(&method)?;
        let body = match body {
            None => None,
            Some(FetchBody::Text(text)) => Some(Bytes::from(text)),
            Some(FetchBody::Base64(text)) => Some(STANDARD.decode(text).map_err(|_| FetchError::Encoding)?.into()),
        };
        if body.is_some() && (method == Method::GET || method == Method::HEAD) {
            return Err(FetchError::Body(method.to_string()));
        }
        let headers = parse_headers(headers)?;
        Ok(Self { method, url, headers, body, redirect, timeout: timeout_ms.map(Duration::from_millis) })
    }

    /// The request that follows on a redirect, after <https://fetch.spec.whatwg.org/#http-redirect-fetch>.
    ///
    /// Stricter than there in what goes along to another origin, and from `https:` none leads to `http:`.
    pub fn redirected(mut self, status: StatusCode, location: &str) -> Result<Self, FetchError> {
        let url = parse_url(location, Some(&self.url))?;
        if self.url.scheme() == "https" && url.scheme() == "http" {
            return Err(FetchError::Downgrade);
        }
        let becomes_get = match status {
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            StatusCode::SEE_OTHER => self.method != Method::GET && self.method != Method::HEAD,
            _ => false,
        };
        if becomes_get {
            self.method = Method::GET;
            self.body = None;
            for name in
                [header::CONTENT_TYPE, header::CONTENT_LANGUAGE, header::CONTENT_ENCODING, header::CONTENT_LOCATION]
            {
                self.headers.remove(name);
            }
        }
        if url.origin() != self.url.origin() {
            let names: Vec<HeaderName> = self.headers.keys().filter(|name| !CARRIED.contains(name)).cloned().collect();
            for name in names {
                self.headers.remove(name);
            }
        }
        self.url = url;
        Ok(self)
    }

    /// How many bytes it sends, about.
    pub fn bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        self.url.as_str().len() + headers + self.body.as_ref().map_or(0, Bytes::len)
    }
}

fn parse_url(text: &str, base: Option<&Url>) -> Result<Url, FetchError> {
    if text.len() > FETCH_URL_BYTES_MAX {
        return Err(FetchError::LongUrl);
    }
    Url::options().base_url(base).parse(text).map_err(FetchError::Url)
}

fn parse_method(text: &str) -> Result<Method, FetchError> {
    let methods =
        [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
    let known = methods.into_iter().find(|method| text.eq_ignore_ascii_case(method.as_str()));
    known.ok_or_else(|| FetchError::Method(shortened(text, 40)))
}

fn parse_headers(given: Vec<(String, String)>) -> Result<HeaderMap, FetchError> {
    let bytes: usize = given.iter().map(|(name, value)| name.len() + value.len()).sum();
    if given.len() > FETCH_HEADERS_MAX || bytes > FETCH_HEADER_BYTES_MAX {
        return Err(FetchError::Headers);
    }
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let bad = || FetchError::Header(shortened(&name, 60));
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        if RESERVED.contains(&key.as_str()) || key.as_str().starts_with("sec-") {
            return Err(FetchError::Reserved(key.to_string()));
        }
        let value = value.trim_matches([' ', '\t']);
        let value = if value.is_ascii() { HeaderValue::from_str(value).ok() } else { None };
        headers.append(key, value.ok_or_else(bad)?);
    }
    headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static("weir"));
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, headers: &[(&str, &str)], body: Option<&str>) -> Result<Outgoing, FetchError> {
        Outgoing::parse(FetchRequest {
            url: "https://api.example.com/v1?a=b#c".to_owned(),
            method: method.to_owned(),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            body: body.map(|text| FetchBody::Text(text.to_owned())),
            redirect: Redirect::Follow,
            timeout_ms: None,
        })
    }

    fn refusal(made: Result<Outgoing, FetchError>) -> String {
        made.err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_is_not_a_functions_to_set_is_refused() {
        for name in [
            "Host",
            "content-length",
            "Transfer-Encoding",
            "connection",
            "sec-fetch-mode",
            "Accept-Encoding",
            "Forwarded",
            "X-Forwarded-For",
            "x-forwarded-host",
            "X-Forwarded-Proto",
            "X-Real-IP",
        ] {
            let message = refusal(request("GET", &[(name, "x")], None));
            assert_eq!(message, format!("the header {} is not a function's to set: leave it out", name.to_lowercase()));
        }
        for (name, value) in [("a b", "x"), ("", "x"), ("x-a", "a\r\nb: c"), ("x-a", "ü"), ("x-a", "a\0"), ("ü", "x")]
        {
            assert!(refusal(request("GET", &[(name, value)], None)).contains("is not a header"), "{name:?} {value:?}");
        }
        let many: Vec<(&str, &str)> = vec![("x-a", "b"); FETCH_HEADERS_MAX + 1];
        assert!(refusal(request("GET", &many, None)).contains("more than 100 headers"));
        let long = "x".repeat(FETCH_HEADER_BYTES_MAX);
        assert!(refusal(request("GET", &[("x-a", &long)], None)).contains("65536 bytes of them"));
        for method in ["CONNECT", "TRACE", "GE T", "", "get\r\n"] {
            assert!(refusal(request(method, &[], None)).contains("there is no method"), "{method:?}");
        }
        assert_eq!(refusal(request("get", &[], Some("x"))), "a request with the method GET has no body");
    }

    /// Method, whether there is a body, and headers, after a redirect.
    fn follow(method: &str, status: u16, location: &str) -> String {
        let body = (method == "POST").then_some("x");
        let headers =
            [("authorization", "secret"), ("cookie", "a=b"), ("x-api-key", "k"), ("content-type", "text/plain")];
        let first = request(method, &headers, body).unwrap_or_else(|error| panic!("{error}"));
        let status = StatusCode::from_u16(status).unwrap_or_default();
        match first.redirected(status, location) {
            Ok(next) => {
                let mut names: Vec<&str> = next.headers.keys().map(HeaderName::as_str).collect();
                names.sort_unstable();
                format!("{} {} {} {}", next.method, next.url, next.body.is_some(), names.join(" "))
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn no_credentials_go_along_to_another_origin() {
        let all = "accept authorization content-type cookie user-agent x-api-key";
        assert_eq!(follow("GET", 302, "/v2"), format!("GET https://api.example.com/v2 false {all}"));
        assert_eq!(follow("POST", 307, "v2"), format!("POST https://api.example.com/v2 true {all}"));
        let without = "accept content-type user-agent";
        for location in ["https://other.example/", "https://api.example.com:8443/", "//other.example/"] {
            assert!(follow("POST", 308, location).ends_with(&format!("true {without}")), "{location}");
        }
        assert!(follow("GET", 302, "http://api.example.com/").contains("from https to http"));
        assert_eq!(follow("POST", 302, "https://other.example/"), "GET https://other.example/ false accept user-agent");
        assert!(follow("POST", 303, "/v2").starts_with("GET https://api.example.com/v2 false"));
        assert!(follow("GET", 302, "https://").contains("cannot be read"));
    }
}
