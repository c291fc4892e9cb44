//! What may be kept of a response (<https://www.rfc-editor.org/rfc/rfc9111>), and whether a client has it already.
//!
//! A query that was asked for by GET and gave no error has a strong entity tag: the digest of its body and of the type in
//! which it is written. So the tag changes exactly when the body does, whatever has been committed meanwhile, and is the same
//! in every process. Nothing is taken from a cache without asking: the next commit may change it.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::compression::CODINGS;

/// Of a response that is right for this caller, until a commit changes it.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("private, no-cache");
/// Of all others: errors pass, and a mutation happened once.
pub const NEVER: HeaderValue = HeaderValue::from_static("no-store");
/// What else the response depends on. `Origin` is added where origins are looked at.
const VARY: HeaderValue = HeaderValue::from_static(
    "accept, accept-encoding, authorization, x-weir-environment, x-weir-release, x-weir-visitor",
);

/// Bytes of the digest that are shown: no two bodies have the same by chance.
const TAG_BYTES: usize = 16;

/// That the entity tag of a response is ours, and is told apart by the coding of its body.
#[derive(Debug, Clone, Copy)]
pub struct Tagged;

/// A response that has a tag: without its body if the client has that.
pub fn answer(asked: &HeaderMap, media: HeaderValue, body: Vec<u8>) -> Response {
    let tag = tag(&media, &body);
    let known = known(asked, &tag);
    let caching = |tag| [(header::ETAG, tag), (header::CACHE_CONTROL, ASK_AGAIN), (header::VARY, VARY)];
    let mut response = match known {
        Some(known) => (StatusCode::NOT_MODIFIED, caching(known)).into_response(),
        None => match HeaderValue::from_str(&tag) {
            Ok(tag) => (caching(tag), [(header::CONTENT_TYPE, media)], body).into_response(),
            // It is letters and digits.
            Err(_) => ([(header::CONTENT_TYPE, media)], body).into_response(),
        },
    };
    response.extensions_mut().insert(Tagged);
    response
}

/// The entity tag of a body, in quotes.
fn tag(media: &HeaderValue, body: &[u8]) -> String {
    let digest = Sha256::new().chain_update(media.as_bytes()).chain_update([0]).chain_update(body).finalize();
    let shown = digest.get(..TAG_BYTES).unwrap_or_default();
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(shown))
}

/// The entity tag of this body that a client says it has, if it has one, in whatever coding (`If-None-Match`).
pub fn known(asked: &HeaderMap, tag: &str) -> Option<HeaderValue> {
    let bare = tag.strip_suffix('"')?;
    let is_of_body = |known: &str| {
        let coding = known.strip_prefix(bare).and_then(|rest| rest.strip_suffix('"'));
        coding.is_some_and(|coding| {
            coding.is_empty() || CODINGS.iter().any(|known| coding.strip_prefix('-') == Some(known))
        })
    };
    let lists = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|list| list.to_str().ok());
    let mut tags = lists.flat_map(|list| list.split(',')).map(|known| {
        let known = known.trim();
        // Whether it is the same is asked loosely.
        known.strip_prefix("W/").unwrap_or(known)
    });
    let known = tags.find(|known| *known == "*" || is_of_body(known))?;
    HeaderValue::from_str(if known == "*" { tag } else { known }).ok()
}

/// The tag of the same body in a coding.
pub fn coded(tag: &HeaderValue, coding: &str) -> Option<HeaderValue> {
    let bare = tag.to_str().ok()?.strip_suffix('"')?;
    HeaderValue::from_str(&format!("{bare}-{coding}\"")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_the_body_if_one_of_its_tags_is_that_of_the_body() {
        let table = [
            ("\"abc\"", Some("\"abc\"")),
            ("W/\"abc\"", Some("\"abc\"")),
            ("\"x\", \"abc-gzip\"", Some("\"abc-gzip\"")),
            ("\"abc-zstd\"", None),
            ("*", Some("\"abc\"")),
            ("\"abcd\"", None),
            ("\"abc-br\"", None),
            ("\"ab\"", None),
            ("abc", None),
            ("", None),
        ];
        for (asked, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static(asked));
            let found = known(&headers, "\"abc\"");
            assert_eq!(found.as_ref().map(HeaderValue::as_bytes), expected.map(str::as_bytes), "{asked}");
        }
        assert_eq!(known(&HeaderMap::new(), "\"abc\""), None);
    }

    #[test]
    fn a_tag_is_that_of_the_body_and_of_its_type() {
        let (json, other) = (HeaderValue::from_static("application/json"), HeaderValue::from_static("text/plain"));
        assert_eq!(tag(&json, b"{}"), tag(&json, b"{}"));
        assert_ne!(tag(&json, b"{}"), tag(&json, b"{ }"));
        assert_ne!(tag(&json, b"{}"), tag(&other, b"{}"));
        let coded = coded(&HeaderValue::from_str(&tag(&json, b"{}")).unwrap(), "gzip").unwrap();
        assert!(coded.to_str().unwrap().ends_with("-gzip\""), "{coded:?}");
    }
}
