//! Which web pages may reach the server from a browser.
//!
//! A browser lets any page open a WebSocket anywhere, and whoever reaches `weir dev` is the developer. So a page counts
//! only if it comes from this machine or from the very host that it calls. Programs other than browsers send no origin.

use axum::http::{HeaderMap, HeaderValue, Uri, header};

/// Whether the page comes from a host that is this machine: `http://localhost:3000`.
pub fn is_loopback(origin: &HeaderValue) -> bool {
    let host = parse(origin).and_then(|uri| uri.host().map(str::to_owned));
    host.is_some_and(|host| {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        bare == "localhost"
            || bare.ends_with(".localhost")
            || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    })
}

/// Whether a WebSocket may be opened.
pub fn may_connect(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let same = parse(origin).and_then(|uri| Some(uri.authority()?.as_str() == host?)).unwrap_or_default();
    same || is_loopback(origin)
}

fn parse(origin: &HeaderValue) -> Option<Uri> {
    origin.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_this_machine_and_of_the_same_host_may_connect() {
        let table = [
            (None, true),
            (Some("http://localhost:3000"), true),
            (Some("https://app.localhost"), true),
            (Some("http://127.0.0.1:5173"), true),
            (Some("http://[::1]:5173"), true),
            (Some("http://weir.test:4000"), true),
            (Some("http://weir.test:4001"), false),
            (Some("https://evil.example"), false),
            (Some("https://localhost.evil.example"), false),
            (Some("null"), false),
        ];
        for (origin, allowed) in table {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("weir.test:4000"));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            assert_eq!(may_connect(&headers), allowed, "{origin:?}");
        }
    }
}
