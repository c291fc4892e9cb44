//! Bodies that are smaller on the way: those of responses in a coding that the client names, those of requests in gzip.
//!
//! Rule: what comes piece by piece, as lines and events do, is never held back to be compressed. What is small or does not
//! get smaller is sent as it is, and costs nothing here.

use std::convert::Infallible;
use std::future::ready;
use std::io::Read;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Extensions, HeaderMap, HeaderValue, Request, StatusCode, Version, header};
use axum::response::Response;
use flate2::read::MultiGzDecoder;
use tower::{ServiceExt, service_fn};
use tower_http::compression::Compression;

use super::caching::{Tagged, coded};

/// The codings of responses. Every client knows gzip. Brotli would be no better at the speed at which an answer can wait for it,
/// and some clients ask for zstd that cannot read it: what fetches for graphql-codegen does on Node 20.
pub const CODINGS: [&str; 1] = ["gzip"];

/// Smaller bodies fit into the first packets as they are.
const BODY_BYTES_MIN: u64 = 1 << 10;

/// What gets smaller.
const TEXT: [&str; 9] = [
    "application/graphql",
    "application/graphql-response+json",
    "application/javascript",
    "application/json",
    "image/svg+xml",
    "text/css",
    "text/html",
    "text/javascript",
    "text/plain",
];

/// Compresses the body of a response, if the client takes that and there is something to gain.
pub async fn compress(accepted: Option<HeaderValue>, mut response: Response) -> Response {
    if !is_worth_it(&response) {
        return response;
    }
    let headers = response.headers();
    if !headers.get_all(header::VARY).iter().any(|vary| vary.as_bytes().starts_with(b"accept, accept-encoding")) {
        response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    let Some(accepted) = accepted else { return response };
    let mut request = Request::new(());
    request.headers_mut().insert(header::ACCEPT_ENCODING, accepted);
    let status = response.status();
    // The library is asked for this response alone: those that stay as they are do not pass through it.
    let inner = service_fn(move |_: Request<()>| ready(Ok::<_, Infallible>(std::mem::take(&mut response))));
    let compression = Compression::new(inner).compress_when(always);
    let Ok(response) = compression.oneshot(request).await;
    let mut response = response.map(Body::new);
    // Who takes none of the codings, nor the body as it is, gets it as it is.
    *response.status_mut() = status;
    let coding = response.headers().get(header::CONTENT_ENCODING).and_then(|coding| coding.to_str().ok());
    let tag = response.headers().get(header::ETAG);
    if let Some(tag) = coding.zip(tag).and_then(|(coding, tag)| coded(tag, coding)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn always(_: StatusCode, _: Version, _: &HeaderMap, _: &Extensions) -> bool {
    true
}

fn is_worth_it(response: &Response) -> bool {
    let headers = response.headers();
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
    let media = text(header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
    response.body().size_hint().lower() >= BODY_BYTES_MIN
        && TEXT.contains(&media)
        && !headers.contains_key(header::CONTENT_ENCODING)
        && !headers.contains_key(header::CONTENT_RANGE)
        && !text(header::CACHE_CONTROL).contains("no-transform")
        // The tag of an endpoint is its author's: the body that it names stays.
        && (!headers.contains_key(header::ETAG) || response.extensions().get::<Tagged>().is_some())
}

/// How the body of a request is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// As it is.
    Identity,
    /// RFC 1952.
    Gzip,
}

/// Why a coded body cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Undecoded {
    /// It is no such thing.
    #[error("the body is not gzip, or not whole")]
    Malformed,
    /// It has more bytes than a body may have.
    #[error("the body is too large")]
    TooLarge,
}

/// The coding of a request (`Content-Encoding`); `None` if it is not one that is taken.
pub fn coding(headers: &HeaderMap) -> Option<Coding> {
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    let Some(coding) = codings.next() else { return Some(Coding::Identity) };
    let coding = coding.to_str().ok().filter(|_| codings.next().is_none())?.trim().to_ascii_lowercase();
    match coding.as_str() {
        "identity" | "" => Some(Coding::Identity),
        "gzip" | "x-gzip" => Some(Coding::Gzip),
        _ => None,
    }
}

/// The body as it was before it was coded, up to so many bytes.
pub async fn decode(coding: Coding, body: Bytes, bytes_max: usize) -> Result<Bytes, Undecoded> {
    match coding {
        Coding::Identity => Ok(body),
        // A thousand times as much may come of it, which takes its time.
        Coding::Gzip => {
            let decoding = tokio::task::spawn_blocking(move || gunzip(&body, bytes_max));
            decoding.await.unwrap_or(Err(Undecoded::Malformed))
        }
    }
}

fn gunzip(body: &[u8], bytes_max: usize) -> Result<Bytes, Undecoded> {
    let mut decoded = Vec::new();
    let one_more = (bytes_max as u64).saturating_add(1);
    MultiGzDecoder::new(body).take(one_more).read_to_end(&mut decoded).map_err(|_| Undecoded::Malformed)?;
    if decoded.len() > bytes_max { Err(Undecoded::TooLarge) } else { Ok(decoded.into()) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::write::GzEncoder;
    use http_body_util::BodyExt;

    use super::*;

    type Headers<'a> = &'a [(&'a str, &'a str)];

    fn response(headers: Headers, bytes: usize) -> Response {
        let mut response = Response::builder();
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        response.body(Body::from("x".repeat(bytes))).unwrap()
    }

    const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");

    #[tokio::test]
    async fn a_body_is_compressed_if_there_is_something_to_gain() {
        let table: [(Headers, usize, &str, Option<&str>); 13] = [
            (&[JSON], 5000, "gzip", Some("gzip")),
            (&[JSON], 5000, "gzip, deflate, br, zstd", Some("gzip")),
            (&[JSON], 5000, "zstd;q=0, gzip;q=0.1", Some("gzip")),
            (&[JSON], 5000, "br, zstd", None),
            (&[JSON], 5000, "identity", None),
            (&[JSON], 5000, "*;q=0", None),
            (&[JSON], 5000, "", None),
            (&[JSON], 100, "gzip", None),
            (&[("content-type", "application/jsonl")], 5000, "gzip", None),
            (&[("content-type", "text/event-stream")], 5000, "gzip", None),
            (&[("content-type", "image/png")], 5000, "gzip", None),
            (&[JSON, ("cache-control", "no-transform")], 5000, "gzip", None),
            (&[JSON, ("etag", "\"its own\"")], 5000, "gzip", None),
        ];
        for (headers, bytes, accepted, expected) in table {
            let accepted = Some(HeaderValue::from_static(accepted));
            let response = compress(accepted.clone(), response(headers, bytes)).await;
            let coding = response.headers().get(header::CONTENT_ENCODING).map(|coding| coding.to_str().unwrap());
            assert_eq!(coding, expected, "{headers:?} {accepted:?}");
            assert_eq!(response.status(), 200);
            let sent = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(sent.len() == bytes, expected.is_none(), "{headers:?}");
        }
        assert!(!compress(None, response(&[JSON], 5000)).await.headers().contains_key(header::CONTENT_ENCODING));
    }

    #[tokio::test]
    async fn a_body_in_another_coding_has_another_tag() {
        let mut tagged = response(&[JSON, ("etag", "\"abc\""), ("vary", "accept, accept-encoding")], 5000);
        tagged.extensions_mut().insert(Tagged);
        let compressed = compress(Some(HeaderValue::from_static("gzip")), tagged).await;
        assert_eq!(compressed.headers()[header::ETAG], "\"abc-gzip\"");
        assert_eq!(compressed.headers().get_all(header::VARY).iter().count(), 1);
    }

    #[tokio::test]
    async fn a_coded_body_is_read_up_to_a_size() {
        let gzip = |text: &str| {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(text.as_bytes()).unwrap();
            Bytes::from(encoder.finish().unwrap())
        };
        assert_eq!(decode(Coding::Gzip, gzip("12345"), 5).await, Ok(Bytes::from("12345")));
        assert_eq!(decode(Coding::Gzip, gzip("123456"), 5).await, Err(Undecoded::TooLarge));
        assert_eq!(decode(Coding::Gzip, gzip(&"0".repeat(100 << 20)), 1 << 20).await, Err(Undecoded::TooLarge));
        assert_eq!(decode(Coding::Gzip, gzip("12345").slice(..12), 5).await, Err(Undecoded::Malformed));
        assert_eq!(decode(Coding::Gzip, Bytes::from("12345"), 5).await, Err(Undecoded::Malformed));
        assert_eq!(decode(Coding::Identity, Bytes::from("12345"), 5).await, Ok(Bytes::from("12345")));
        for (coded, expected) in [
            ("gzip", Some(Coding::Gzip)),
            ("X-GZip", Some(Coding::Gzip)),
            ("identity", Some(Coding::Identity)),
            ("br", None),
            ("gzip, gzip", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coded));
            assert_eq!(coding(&headers), expected, "{coded}");
        }
    }
}
