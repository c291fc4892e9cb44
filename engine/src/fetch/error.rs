//! Why there is no response. The messages are for the author: each says what to do, and none repeats what may be secret
//! of a URL, its path and its parameters.

use std::net::IpAddr;

use weir_schema::limits::{FETCH_HEADER_BYTES_MAX, FETCH_HEADERS_MAX, FETCH_REDIRECTS_MAX, FETCH_URL_BYTES_MAX, Limit};

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Not an absolute URL.
    #[error("the URL cannot be read: {0}")]
    Url(url::ParseError),
    /// Too long to be one.
    #[error("the URL has more than {FETCH_URL_BYTES_MAX} bytes")]
    LongUrl,
    /// `ftp://`, `file://`, `data:`
    #[error("{0}: URLs are not fetched; write https:// or http://")]
    Scheme(String),
    /// `https://user:password@host`
    #[error("the URL holds a user or a password: send them in the header authorization")]
    Credentials,
    /// Not one of the methods.
    #[error("there is no method {0:?} here: use GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS")]
    Method(String),
    /// GET and HEAD have none.
    #[error("a request with the method {0} has no body")]
    Body(String),
    /// Bytes that did not survive the way.
    #[error("the body cannot be read")]
    Encoding,
    /// Not a header.
    #[error("{0:?} is not a header: names are letters, digits and hyphens, values are ASCII text of one line")]
    Header(String),
    /// A header that the connection has for itself.
    #[error("the header {0} is not a function's to set: leave it out")]
    Reserved(String),
    /// Too many or too long.
    #[error("the request has more than {FETCH_HEADERS_MAX} headers or {FETCH_HEADER_BYTES_MAX} bytes of them")]
    Headers,
    /// `app.toml` has no list.
    #[error("the app may fetch from no host: add hosts = [\"{0}\"] under [fetch] in app.toml")]
    NoHosts(String),
    /// Not on the list.
    #[error("the app may not fetch from {0}: add \"{0}\" to hosts under [fetch] in app.toml")]
    Host(String),
    /// The host is on the list, with other ports.
    #[error(
        "the app may fetch from {host} at other ports than {port} only: add \"{host}:{port}\" to hosts under [fetch] in \
         app.toml"
    )]
    Port {
        /// As the list would have it.
        host: String,
        /// The one that was asked for.
        port: u16,
    },
    /// The server sends the request elsewhere.
    #[error("{from} redirects to where the app may not follow: {because}")]
    Redirect {
        /// Which server.
        from: String,
        /// Why not.
        because: Box<FetchError>,
    },
    /// From `https:` to `http:`.
    #[error("the redirect leads from https to http, where others can read along")]
    Downgrade,
    /// Round and round.
    #[error("more than {FETCH_REDIRECTS_MAX} redirects")]
    Redirects,
    /// `redirect: "error"`.
    #[error("{0} redirects, and the request says redirect: \"error\"")]
    Redirected(String),
    /// The name is on the list, the address is not.
    #[error(
        "{name} leads to {address}, {kind}: if that is meant, add \"{listed}\" to hosts under [fetch] in app.toml too"
    )]
    Special {
        /// The name.
        name: String,
        /// The first address that the name leads to.
        address: IpAddr,
        /// What kind of address that is.
        kind: &'static str,
        /// The address as the list would have it.
        listed: String,
    },
    /// The app's own list does not open it here. Which address it is may be for nobody outside to know.
    #[error(
        "{host} leads to {kind}, where the apps of tenants may not fetch from: whoever runs the server can permit that by \
         fetch_addresses under [tenants] in weir.toml"
    )]
    Closed {
        /// Which host.
        host: String,
        /// What kind of address it leads to.
        kind: &'static str,
    },
    /// No address.
    #[error("there is no address for {0}")]
    Unknown(String),
    /// Nobody listens, or no way leads there.
    #[error("no connection to {host}: {because}")]
    Connect {
        /// Which server.
        host: String,
        /// What the system or TLS says.
        because: String,
    },
    /// Without authorities no certificate can be trusted.
    #[error(
        "this machine has no certificates of authorities to check those of servers against: install ca-certificates, or have \
         SSL_CERT_FILE name a file that has some"
    )]
    NoAuthorities,
    /// Whoever signed its certificate is a stranger.
    #[error(
        "the certificate of {0} is from an authority that this machine does not trust: if it is your own, start the server \
         with the authority's certificate in the file that SSL_CERT_FILE names"
    )]
    Authority(String),
    /// The certificate is another server's.
    #[error("the certificate of {0} is for another name, so it may be another server that answers there")]
    CertificateName(String),
    /// Too old, too new, revoked, or not one.
    #[error("the certificate of {host} does not hold: {because}")]
    Certificate {
        /// Which server.
        host: String,
        /// What TLS says.
        because: String,
    },
    /// Too slow.
    #[error("no response from {host} within {ms} ms")]
    Timeout {
        /// Which server.
        host: String,
        /// As allowed.
        ms: u64,
    },
    /// Not HTTP, or cut off.
    #[error("the response of {host} cannot be read: {because}")]
    Response {
        /// Which server.
        host: String,
        /// What is wrong with it.
        because: String,
    },
    /// Past a limit of the call, which ends it.
    #[error("limit reached: {0}")]
    Limit(Limit),
}
