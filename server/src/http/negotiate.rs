//! Content types, in and out (<https://graphql.github.io/graphql-over-http/draft/#sec-Media-Types>).

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};

/// In what a response is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaType {
    /// `application/json`: a well-formed request is answered with 200, whatever came of it.
    Json,
    /// `application/graphql-response+json`: a request that was refused before it ran is answered with 400.
    GraphqlResponse,
    /// `application/jsonl`: a line for each element of a list. A request that was refused before it ran is answered with 400.
    JsonLines,
}

impl MediaType {
    /// The header's value.
    pub fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json => "application/json; charset=utf-8",
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
            // Its registration knows no charset: it is UTF-8.
            Self::JsonLines => "application/jsonl",
        })
    }

    /// The status of a request that was refused before it ran.
    pub fn refused(self) -> StatusCode {
        match self {
            Self::Json => StatusCode::OK,
            Self::GraphqlResponse | Self::JsonLines => StatusCode::BAD_REQUEST,
        }
    }
}

/// What a client accepts: the best of ours, the first named of two as good. `None` if it accepts none.
///
/// Without the header, and for `*/*`, it is `application/json`, as old clients expect.
pub fn accepted(headers: &HeaderMap) -> Option<MediaType> {
    let mut best: Option<(MediaType, f32)> = None;
    let mut named = false;
    for header in headers.get_all(header::ACCEPT) {
        for range in header.to_str().unwrap_or_default().split(',') {
            named = true;
            let mut parts = range.split(';').map(str::trim);
            let media = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
                "application/graphql-response+json" => MediaType::GraphqlResponse,
                "application/jsonl" => MediaType::JsonLines,
                "application/json" | "application/*" | "*/*" => MediaType::Json,
                _ => continue,
            };
            let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse).unwrap_or(0.0);
            if quality > best.map_or(0.0, |(_, quality)| quality) {
                best = Some((media, quality));
            }
        }
    }
    if named { best.map(|(media, _)| media) } else { Some(MediaType::Json) }
}

/// Whether a client takes JSON lines (<https://jsonlines.org>): a JSON value in each line.
pub fn accepts_json_lines(headers: &HeaderMap) -> bool {
    let accepted =
        headers.get_all(header::ACCEPT).iter().flat_map(|header| header.to_str().unwrap_or_default().split(','));
    let mut ranges = accepted.map(|range| range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    let takes = |range: String| ["application/jsonl", "application/*", "*/*"].contains(&range.as_str());
    !headers.contains_key(header::ACCEPT) || ranges.any(takes)
}

/// Whether a body is JSON lines in UTF-8.
pub fn is_json_lines(headers: &HeaderMap) -> bool {
    is_utf8(headers, "application/jsonl")
}

/// Whether a body is JSON in UTF-8.
pub fn is_json(headers: &HeaderMap) -> bool {
    is_utf8(headers, "application/json")
}

fn is_utf8(headers: &HeaderMap, media: &str) -> bool {
    let Some(content) = headers.get(header::CONTENT_TYPE).and_then(|content| content.to_str().ok()) else {
        return false;
    };
    let mut parts = content.split(';').map(|part| part.trim().to_ascii_lowercase());
    parts.next().as_deref() == Some(media)
        && parts
            .filter_map(|part| Some(part.strip_prefix("charset=")?.trim_matches('"').to_owned()))
            .all(|charset| charset == "utf-8" || charset == "utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_accepted_type_is_chosen() {
        use MediaType::{GraphqlResponse, Json, JsonLines};
        let table = [
            (None, Some(Json)),
            (Some("*/*"), Some(Json)),
            (Some("application/json"), Some(Json)),
            (Some("application/graphql-response+json"), Some(GraphqlResponse)),
            (Some("application/graphql-response+json; charset=utf-8, application/json; q=0.9"), Some(GraphqlResponse)),
            (Some("application/json, application/graphql-response+json"), Some(Json)),
            (Some("application/json;q=0.5, application/graphql-response+json"), Some(GraphqlResponse)),
            (Some("text/html, */*;q=0.8"), Some(Json)),
            (Some("application/jsonl"), Some(JsonLines)),
            (Some("application/json;q=0.5, application/jsonl"), Some(JsonLines)),
            (Some("text/event-stream"), None),
            (Some("application/json;q=0"), None),
        ];
        for (accept, chosen) in table {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            }
            assert_eq!(accepted(&headers), chosen, "{accept:?}");
        }
    }

    #[test]
    fn only_json_in_utf_8_is_read() {
        let table = [
            (None, false),
            (Some("application/json"), true),
            (Some("Application/JSON; charset=UTF-8"), true),
            (Some("application/json; charset=\"utf-8\""), true),
            (Some("application/json; charset=latin1"), false),
            (Some("text/plain"), false),
            (Some("multipart/form-data; boundary=x"), false),
        ];
        for (content, good) in table {
            let mut headers = HeaderMap::new();
            if let Some(content) = content {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content));
            }
            assert_eq!(is_json(&headers), good, "{content:?}");
            assert!(!is_json_lines(&headers), "{content:?}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/jsonl; charset=utf-8"));
        assert!(is_json_lines(&headers) && !is_json(&headers));
    }

    #[test]
    fn json_lines_are_taken_by_who_says_so_or_nothing() {
        let table = [
            (None, true),
            (Some("application/jsonl"), true),
            (Some("text/html, */*;q=0.1"), true),
            (Some("Application/JSONL;q=0.5"), true),
            (Some("application/json"), false),
        ];
        for (accept, good) in table {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            }
            assert_eq!(accepts_json_lines(&headers), good, "{accept:?}");
        }
    }
}
