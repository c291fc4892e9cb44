//! For which host a request is. Over HTTP/2, and where a proxy is asked, that is part of the address; otherwise it is the header
//! `Host`.
//!
//! Rule: a request that says two things about it is for nobody.

use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};
use weir_schema::tenant::HostName;

/// It names more than one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request names more than one host: send one")]
pub struct Ambiguous;

/// The host; `None`: there is none that could be a tenant's.
pub fn of_request(uri: &Uri, headers: &HeaderMap) -> Result<Option<HostName>, Ambiguous> {
    let mut lines = headers.get_all(header::HOST).iter();
    let line = lines.next();
    if lines.next().is_some() {
        return Err(Ambiguous);
    }
    let named = line.map(|line| line.to_str().ok().and_then(|text| text.parse().ok()).and_then(|text| name(&text)));
    match (uri.authority().map(name), named) {
        (Some(address), Some(header)) if address != header => Err(Ambiguous),
        (Some(host), _) | (None, Some(host)) => Ok(host),
        (None, None) => Ok(None),
    }
}

fn name(authority: &Authority) -> Option<HostName> {
    // What stands before an @ is no part of a host, and nobody sends it here.
    if authority.as_str().contains('@') { None } else { authority.host().parse().ok() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    type Row<'t> = (&'t str, &'t [&'t [u8]], Result<Option<&'t str>, Ambiguous>);

    #[test]
    fn a_request_is_for_one_host_at_most() {
        // The address, the lines of the header, the host.
        let table: &[Row] = &[
            ("/graphql", &[b"acme.example"], Ok(Some("acme.example"))),
            ("/graphql", &[b"ACME.example:4000"], Ok(Some("acme.example"))),
            ("/graphql", &[b"acme.example.:80"], Ok(Some("acme.example"))),
            ("https://acme.example/graphql", &[], Ok(Some("acme.example"))),
            ("https://acme.example/graphql", &[b"acme.example:443"], Ok(Some("acme.example"))),
            ("https://other.example/graphql", &[b"acme.example"], Err(Ambiguous)),
            ("https://[::1]/graphql", &[b"acme.example"], Err(Ambiguous)),
            ("/graphql", &[b"acme.example", b"other.example"], Err(Ambiguous)),
            ("/graphql", &[b"acme.example", b"acme.example"], Err(Ambiguous)),
            ("/graphql", &[], Ok(None)),
            ("/graphql", &[b""], Ok(None)),
            ("/graphql", &[b"[::1]:4000"], Ok(None)),
            ("/graphql", &[b"127.0.0.1:4000"], Ok(Some("127.0.0.1"))),
            ("/graphql", &[b"x@acme.example"], Ok(None)),
            ("/graphql", &[b"acme.example@x"], Ok(None)),
            ("/graphql", &[b"acme.example/x"], Ok(None)),
            ("/graphql", &[b"acme.example, other.example"], Ok(None)),
            ("/graphql", &[b"acme.example\tx"], Ok(None)),
            ("/graphql", &[b"acm\xe9.example"], Ok(None)),
            ("/acme.example", &[b"x"], Ok(Some("x"))),
        ];
        for (uri, lines, expected) in table {
            let mut headers = HeaderMap::new();
            for line in *lines {
                headers.append(header::HOST, HeaderValue::from_bytes(line).unwrap());
            }
            // Headers that others believe are nothing to this.
            for name in ["x-forwarded-host", "forwarded", "x-tenant", "x-host"] {
                headers.append(name, HeaderValue::from_static("evil.example"));
            }
            let host = of_request(&uri.parse().unwrap(), &headers);
            assert_eq!(
                host.as_ref().map(|host| host.as_ref().map(HostName::as_str)).map_err(|it| *it),
                *expected,
                "{uri} {lines:?}"
            );
        }
    }
}
